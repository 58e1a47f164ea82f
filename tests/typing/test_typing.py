"""A user's script, under mypy and pyright at their strictest, with ``-m types``; it also runs.

The checkers are in the ``dev`` extra: without them these tests are skipped.
"""

import importlib.util
import json
import os
import runpy
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


@pytest.mark.types
@needs("mypy")
def test_mypy_finds_no_fault_but_in_a_wrong_script(tmp_path):
    """One run: the second script shows that a fault would be found."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(SCRIPT.read_text().replace('rule: RuleName = "lock"', 'rule: RuleName = "locked"'))
    found = run("-m", "mypy", "--config-file", HERE / "mypy.ini", "--cache-dir", os.devnull, SCRIPT, wrong)
    faults = [line for line in found.stdout.splitlines() if ": error: " in line]
    assert [fault for fault in faults if "wrong.py" not in fault] == [], found.stdout
    assert len(faults) == 1, found.stdout + found.stderr
    assert 'Incompatible default for parameter "rule"' in faults[0]


@pytest.mark.types
@needs("basedpyright")
def test_pyright_finds_no_fault():
    options = "--outputjson", "--pythonpath", sys.executable, "-p", HERE / "pyrightconfig.json"
    report = json.loads(run("-m", "basedpyright", *options).stdout)
    faults = [f"{fault['range']['start']['line'] + 1}: {fault['message']}" for fault in report["generalDiagnostics"]]
    assert not faults
    assert report["summary"]["filesAnalyzed"] == 1


def test_the_script_runs():
    runpy.run_path(str(SCRIPT), run_name="__main__")
