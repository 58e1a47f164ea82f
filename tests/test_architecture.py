"""The house rules: imports go down only, everything public is documented, no file grows too long."""

import ast
import importlib
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

import sklkl

PACKAGE = Path(sklkl.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400

# A package such as divergences/ is one room, and so is a module in the root, where nothing is private.
FLOORS = {
    "_utils": 0,
    "divergences": 1,
    "modules": 1,
    "losses": 1,
    "parallel": 1,
    "data": 1,
    "penalties": 2,
    "distillation": 2,
    "optim": 2,
    "callbacks": 2,
    "metrics": 2,
    "feature_selection": 2,
    "preprocessing": 2,
    "drift": 2,
    "_engine": 2,
    "net": 3,
    "_fit": 4,
    "classifier": 5,
    "distiller": 5,
    "io": 6,
    "model_selection": 6,
    "inspection": 6,
}


@cache
def tree(file):
    return ast.parse(file.read_text())


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
    for node in ast.walk(tree(file)):
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
                yield f"{module}.{name}", thing


inside = [file for file in FILES if file != PACKAGE / "__init__.py"]


def test_every_module_has_a_floor():
    assert inside
    assert [dotted(file) for file in inside if room(dotted(file)) not in FLOORS] == []


def test_imports_go_down_only():
    floors = {dotted(file): FLOORS[room(dotted(file))] for file in inside}
    pairs = [(dotted(file), name) for file in inside for name in imports(file)]
    assert len(pairs) > len(inside)
    assert [(file, name) for file, name in pairs if FLOORS.get(room(name), 99) > floors[file]] == []


def assert_no_circle(arrows):
    """Take away whatever imports nothing that is left, until nothing is left."""
    while arrows:
        free = {name for name, targets in arrows.items() if not targets & arrows.keys()}
        assert free, f"a circle among {sorted(arrows)}"
        arrows = {name: targets - free for name, targets in arrows.items() if name not in free}


def test_rooms_make_no_circle():
    arrows = {name: set() for name in FLOORS}
    for file in inside:
        arrows[room(dotted(file))] |= {room(name) for name in imports(file)} - {room(dotted(file)), None}
    assert_no_circle(arrows)


def test_files_make_no_circle():
    assert_no_circle({dotted(file): set(imports(file)) for file in inside if file.name != "__init__.py"})


def test_a_circle_is_found():
    with pytest.raises(AssertionError, match="a circle among"):
        assert_no_circle({"a": {"b"}, "b": {"a"}, "c": {"a"}})


def test_no_private_module_in_the_root():
    assert [file.name for file in PACKAGE.glob("_*.py")] == ["__init__.py"]


def test_every_room_says_what_it_may_import():
    rooms = [file for file in inside if file.name == "__init__.py"]
    assert rooms
    assert [dotted(file) for file in rooms if "May import:" not in ast.get_docstring(tree(file))] == []


def test_private_functions_of_scikit_learn_have_one_door():
    found = {
        dotted(file)
        for file in inside
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("sklearn", "skorch")
        for alias in node.names
        if any(part.startswith("_") for part in [*node.module.split("."), alias.name])
    }
    assert found == {"sklkl._utils.sklearn_private"}


def test_divergences_need_no_torch():
    assert not [file for file in (PACKAGE / "divergences").glob("*.py") if "import torch" in file.read_text()]


@pytest.mark.parametrize("module", public_modules())
def test_every_public_name_exists(module):
    imported = importlib.import_module(module)
    assert imported.__doc__
    assert imported.__all__
    assert len(set(imported.__all__)) == len(imported.__all__)
    assert [name for name in imported.__all__ if not hasattr(imported, name)] == []


def test_everything_public_has_a_docstring_with_examples():
    documented = {
        name: bool(thing.__doc__)
        and "Examples\n--------\n>>> " in inspect.getdoc(thing)  # its own, not an inherited one
        for name, thing in public_objects()
    }
    assert documented
    assert [name for name, found in documented.items() if not found] == []


def test_examples_fit_the_column_of_their_page():
    lines = {dotted(file): re.findall(r"^ +(?:>>>|\.\.\.) (.*)", file.read_text(), re.MULTILINE) for file in FILES}
    assert [(name, line) for name, found in lines.items() for line in found if len(line) > 79] == []


def test_no_file_is_too_long():
    lengths = {dotted(file): len(file.read_text().splitlines()) for file in FILES}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}
