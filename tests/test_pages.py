"""Every Python block of README and docs runs as printed, page by page from the top, and prints what the page says.

A block of ``output`` has what the blocks of ``python`` since the last one print. Words have to be the same; decimal
numbers, which training makes, may differ a little between processors and versions.
"""

import io
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import pytest
from sybil.document import Document
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if path.exists())
# What is not Python, or shows a part of the source, is not run. Another language has to be thought of.
NOT_RUN = {"shell", "text", "{literalinclude}", "{toctree}"}
DECIMAL = re.compile(r"-?\d+\.\d+")

each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Return the module that a page is run as: its classes can be stored by name, as those of a notebook."""
    plt.switch_backend("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    yield sys.modules["__main__"]
    plt.close("all")


def parsed(path, printed):
    def compared(example):
        return difference(str(example.parsed), taken(printed))

    parsers = CodeBlockParser("python", PythonEvaluator()), CodeBlockParser("output", compared)
    return Document.parse(str(path), *parsers)


def taken(printed):
    """Return what was printed since the last call."""
    text = printed.getvalue()
    printed.seek(0)
    printed.truncate()
    return text


def difference(said, printed):
    """Return what is wrong, if something is, as Sybil's evaluators do."""
    message = f"The page says\n{said}\nand what is printed is\n{printed}"
    if DECIMAL.sub("#", said).split() != DECIMAL.sub("#", printed).split():
        return message
    numbers = zip(DECIMAL.findall(said), DECIMAL.findall(printed), strict=True)
    return None if all(close(*pair) for pair in numbers) else message


def close(said, printed):
    last_digit = 10.0 ** -len(said.partition(".")[2])
    return float(printed) == pytest.approx(float(said), rel=0.1, abs=1.5 * last_digit)


@each_page
@pytest.mark.filterwarnings("error")  # also those that other tests ignore: a reader would see them
def test_blocks_run_as_printed(path, script, once):
    printed = io.StringIO()
    document = parsed(path, printed)
    document.namespace = vars(script)

    def run():
        with redirect_stdout(printed):
            for example in document.examples():
                example.evaluate()
        return not printed.getvalue()

    # pages of the same blocks, as README and the first one are, run and print the same
    blocks = tuple(str(example.parsed) for example in document.examples())
    assert once(blocks, run), "the page does not say what is printed"


@each_page
def test_every_block_is_run(path):
    fences = re.findall(r"^[\s>]*(?:`{3,}|~{3,})[ \t]*(\S*)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    languages = [language for language in fences[::2] if language not in NOT_RUN]
    assert set(fences[1::2]) <= {""}, "a fence within a fence"
    assert set(languages) <= {"python", "output"}
    assert len(list(parsed(path, io.StringIO()).examples())) == len(languages)


@pytest.mark.parametrize(("said", "printed"), [("0.50 a", "0.52  a\n"), ("1.0", "1.09"), ("{'a': 1}", "{'a': 1}")])
def test_rounding_is_no_difference(said, printed):
    assert difference(said, printed) is None


@pytest.mark.parametrize(("said", "printed"), [("0.50", "0.60"), ("a 1", "a 2"), ("", "0.1"), ("0.1 0.2", "0.1")])
def test_another_result_is_a_difference(said, printed):
    assert difference(said, printed)
