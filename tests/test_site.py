"""The site leaves nothing out: an example has a place in the gallery, a parameter one in its table."""

import inspect
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

import sklkl

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_has_one_place_in_the_gallery(example):
    patterns = re.findall(r"examples/(plot_\S+\.py)", (DOCS / "gallery.rst").read_text(encoding="utf-8"))
    assert len([pattern for pattern in patterns if fnmatch(example.name, pattern)]) == 1


def test_every_parameter_has_one_place_in_its_table():
    page = (DOCS / "user_guide" / "parameters.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    parameters = inspect.signature(sklkl.KLClassifier).parameters.values()
    assert sorted(named) == sorted(entry.name for entry in parameters if entry.kind is not entry.VAR_KEYWORD)


@pytest.mark.parametrize("path", [*DOCS.rglob("*.md"), ROOT / "README.md"], ids=lambda path: path.name)
def test_code_fits_the_column(path):
    blocks = re.findall(r"^```(?:python|shell)\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert [line for block in blocks for line in block.splitlines() if len(line) > 79] == []


def test_the_version_to_cite_is_this_one():
    assert f"\nversion: {sklkl.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
