import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import sklkl
from sklkl._utils.show_versions import PACKAGES

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_versions_are_those_installed(capsys):
    sklkl.show_versions()
    shown = dict(re.findall(r"^ *([^:\n]+): (.*)$", capsys.readouterr().out, flags=re.MULTILINE))
    assert shown["scikit-learn"] == version("scikit-learn")
    assert shown["torch"] == version("torch")
    assert set(PACKAGES) <= set(shown)


def test_no_dependency_is_forgotten():
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *(name for extra in extras["all"] for name in taken(extra, extras))]
    assert {re.split(r"[\[>=]", requirement)[0] for requirement in needed} <= set(PACKAGES)


def taken(extra, extras):
    """Return what ``sklkl[a,b]`` stands for."""
    return [name for part in extra.removeprefix("sklkl[").rstrip("]").split(",") for name in extras[part]]
