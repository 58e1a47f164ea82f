"""A user's script, under mypy and pyright at their strictest; it also runs.

The checkers are in the ``dev`` extra: without them these tests are skipped.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPT = HERE / "user_script.py"
ROOT = HERE.parents[1]


def run(*arguments):
    """Run Python in the root of the tree, on the package of this tree."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def needs(module):
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"{module} is not installed: pip install sklkl[dev]")


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """Return ``mypy(script)``, what mypy says of a script; runs share a cache."""
    cache = tmp_path_factory.mktemp("mypy")
    return lambda script: run("-m", "mypy", "--config-file", HERE / "mypy.ini", "--cache-dir", cache, script)


@needs("mypy")
def test_mypy_finds_no_fault(mypy):
    found = mypy(SCRIPT)
    assert found.returncode == 0, found.stdout + found.stderr


@needs("mypy")
def test_mypy_finds_a_fault(mypy, tmp_path):
    """The test above can fail: a wrong script is refused."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(SCRIPT.read_text().replace('rule: RuleName = "lock"', 'rule: RuleName = "locked"'))
    found = mypy(wrong)
    assert found.returncode == 1
    assert 'Incompatible default for parameter "rule"' in found.stdout


@needs("basedpyright")
def test_pyright_finds_no_fault():
    options = "--outputjson", "--pythonpath", sys.executable, "-p", HERE / "pyrightconfig.json"
    report = json.loads(run("-m", "basedpyright", *options).stdout)
    faults = [f"{fault['range']['start']['line'] + 1}: {fault['message']}" for fault in report["generalDiagnostics"]]
    assert not faults
    assert report["summary"]["filesAnalyzed"] == 1


def test_the_script_runs():
    ran = run("-W", "error", SCRIPT)
    assert ran.returncode == 0, ran.stderr
