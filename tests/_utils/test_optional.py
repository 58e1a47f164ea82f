"""What is missing is named, also where a package that is there needs it."""

import sys

import pytest

from sklkl._utils.optional import optional


def test_the_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'This needs pyarrow, .*pip install "sklkl\[stream\]"'):
        optional("pyarrow", "stream")


def test_what_a_package_needs_is_named(monkeypatch, tmp_path):
    (tmp_path / "sklkl_needs.py").write_text("import sklkl_not_there")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="This needs sklkl_not_there, which is not installed"):
        optional("sklkl_needs", "stream")
