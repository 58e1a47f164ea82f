"""The house rules: imports go down only, everything public is documented, no file grows too long."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import sklkl

PACKAGE = Path(sklkl.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400

# A package such as divergences/ is one module here. A new module gets a floor here.
FLOORS = {
    "_utils": 0,
    "divergences": 1,
    "modules": 1,
    "losses": 1,
    "data": 1,
    "penalties": 2,
    "distillation": 2,
    "optim": 2,
    "callbacks": 2,
    "metrics": 2,
    "feature_selection": 2,
    "preprocessing": 2,
    "drift": 2,
    "net": 3,
    "_fit": 4,
    "classifier": 5,
    "distiller": 5,
}


def dotted(file):
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(name):
    """The module below ``sklkl`` that a dotted name belongs to; None for ``sklkl`` itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else None


def imports(file):
    """Dotted names of all that a file imports from sklkl, wherever in the file."""
    here = dotted(file).split(".")
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + (file.name == "__init__.py")] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            # "from sklkl import data" imports a module, "from sklkl.data import Rows" an object
            names = [f"{start}.{alias.name}" for alias in node.names] if start == "sklkl" else [start]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "sklkl")


def public_modules():
    names = [dotted(file) for file in FILES]
    return [name for name in names if not any(part.startswith("_") for part in name.split("."))]


def public_objects():
    for module in public_modules():
        for name in getattr(importlib.import_module(module), "__all__", []):
            thing = getattr(importlib.import_module(module), name, None)
            if inspect.isclass(thing) or inspect.isroutine(thing):
                yield pytest.param(thing, id=f"{module}.{name}")


inside = [file for file in FILES if file != PACKAGE / "__init__.py"]
each_file = pytest.mark.parametrize("file", inside, ids=dotted)


@each_file
def test_every_module_has_a_floor(file):
    assert room(dotted(file)) in FLOORS


@each_file
def test_imports_go_down_only(file):
    floor = FLOORS[room(dotted(file))]
    up = [name for name in imports(file) if FLOORS.get(room(name), 99) > floor]
    assert not up, f"{dotted(file)} is on floor {floor}"


def test_divergences_need_no_torch():
    assert not [file for file in (PACKAGE / "divergences").glob("*.py") if "import torch" in file.read_text()]


@pytest.mark.parametrize("module", public_modules())
def test_every_public_name_exists(module):
    imported = importlib.import_module(module)
    assert imported.__doc__
    assert imported.__all__
    assert len(set(imported.__all__)) == len(imported.__all__)
    assert [name for name in imported.__all__ if not hasattr(imported, name)] == []


@pytest.mark.parametrize("thing", list(public_objects()))
def test_everything_public_has_a_docstring_with_examples(thing):
    doc = inspect.getdoc(thing)
    assert doc
    assert thing.__doc__, "a docstring of its own, not an inherited one"
    assert "Examples\n--------\n>>> " in doc


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_no_file_is_too_long(file):
    assert len(file.read_text().splitlines()) <= MAX_LINES
