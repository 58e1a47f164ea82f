"""A user's script, under mypy and pyright at their strictest; it also runs.

The checkers are in the ``dev`` extra: without them these tests are skipped.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPT = HERE / "user_script.py"
ROOT = HERE.parents[1]


def run(*arguments):
    """Run Python in the root of the tree; return whether it succeeded, and what it says."""
    # a copy of the package that is installed is not what is checked
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode == 0, result.stdout + result.stderr


def needs(module):
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"{module} is not installed: pip install sklkl[dev]")


@needs("mypy")
def test_mypy_finds_no_fault(tmp_path):
    passed, said = run("-m", "mypy", "--config-file", HERE / "mypy.ini", "--cache-dir", tmp_path, SCRIPT)
    assert passed, said


@needs("mypy")
def test_mypy_finds_a_fault(tmp_path):
    """The test above can fail: a wrong script is refused."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(SCRIPT.read_text().replace('activation: ActivationName = "tanh"', 'activation: int = "tanh"'))
    passed, said = run("-m", "mypy", "--config-file", HERE / "mypy.ini", "--cache-dir", tmp_path, wrong)
    assert not passed
    assert "[assignment]" in said


@needs("basedpyright")
def test_pyright_finds_no_fault():
    passed, said = run("-m", "basedpyright", "--pythonpath", sys.executable, "-p", HERE / "pyrightconfig.json")
    assert passed, said


def test_the_script_runs():
    passed, said = run("-W", "error", SCRIPT)
    assert passed, said
