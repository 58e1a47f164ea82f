"""Ctrl-C told apart from a callback that asks for the end of training with the same exception."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

_RAISE = dis.opmap["RAISE_VARARGS"]


def asks_to_stop(error: BaseException, hook_owner: Any) -> bool:
    """Whether a callback's own code raised a KeyboardInterrupt, as skorch's EarlyStopping does to end training.

    Else it came from outside: what a signal raises strikes between two instructions or in a call, or is raised by a
    handler, which is given a frame. A callback has a ``raise`` of its own, in a file of its package or of skorch; this
    package raises the exception only to pass an interruption on. Anything else, such as a library that turns a key into
    an exception, counts as an interruption, so none is lost.

    Parameters
    ----------
    error : KeyboardInterrupt
        What came out of a hook; its traceback begins in the function that called the hook.
    hook_owner : object
        The callback.
    """
    packages = {"skorch", *(_package(base.__module__) for base in type(hook_owner).__mro__)} - {_package(__name__)}
    return all(_is_raised_in(links, packages) for links in _tracebacks(error))


def _package(module: Any) -> str:
    return str(module).split(".")[0]


def _links(traceback: TracebackType | None) -> list[TracebackType]:
    links = []
    while traceback is not None:
        links.append(traceback)
        traceback = traceback.tb_next
    return links


def _tracebacks(error: BaseException) -> Iterator[list[TracebackType]]:
    """Yield the traceback of an error, and of every KeyboardInterrupt that was handled on its way out of the hook."""
    links = _links(error.__traceback__)
    frames = [link.tb_frame for link in links]
    yield links
    before = error.__context__
    while before is not None:
        links = _links(before.__traceback__)
        if not links or links[0].tb_frame not in frames[1:]:
            return  # that was before the hook
        if isinstance(before, KeyboardInterrupt):
            yield links
        before = before.__context__


def _is_raised_in(links: list[TracebackType], packages: set[str]) -> bool:
    last = links[-1]
    explicit = last.tb_frame.f_code.co_code[last.tb_lasti] == _RAISE
    inside = _package(last.tb_frame.f_globals.get("__name__")) in packages
    return explicit and inside and not any(_is_given_a_frame(link.tb_frame) for link in links)


def _is_given_a_frame(frame: FrameType) -> bool:
    """Whether a frame is that of a signal handler, whose second argument is the frame that it interrupts."""
    code, values = frame.f_code, frame.f_locals
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04)]
    given = [values.get(name) for name in names]
    flat = [item for value in given for item in (value if type(value) is tuple else (value,))]
    return any(isinstance(item, FrameType) for item in flat)
