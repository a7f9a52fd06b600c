"""Tracebacks as a person reads them: their own frames without ours, and cells by their numbers."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Iterator
from types import CodeType, TracebackType
from typing import Any

OUR_ROOMS = ("comfy_nb.engine", "comfy_nb.spec", "comfy_nb.graph")
NOT_THEIRS = ("comfy_nb", "IPython", "ipykernel", "asyncio", "nest_asyncio2", "contextlib")
_FILE = re.compile(r'File "([^"\n]+)"')


def their_lines(trace: TracebackType | None) -> list[str]:
    """Return the lines of a traceback that are a person's, each as `line 3 of the cell: graph = nb.load("x.json")`."""
    found = []
    for each in _links(trace):
        if not _is_theirs(each):
            continue
        module, code, line = _module(each), each.tb_frame.f_code, each.tb_lineno
        where = "the cell" if module == "__main__" else code.co_filename
        inside = "" if code.co_name == "<module>" else f", in {code.co_name}"
        text = linecache.getline(code.co_filename, line).strip()
        found.append(f"line {line} of {where}{inside}: {text}")
    return found


def definition_line(code: CodeType) -> int:
    """Return the number of the line with the `def` of a function, below its decorators."""
    first = code.co_firstlineno
    body = min((line for _, _, line in code.co_lines() if line and line > first), default=first)
    for number in range(first, body + 1):
        if linecache.getline(code.co_filename, number).lstrip().startswith(("def ", "async def ")):
            return number
    return first


def own_frames(trace: TracebackType | None) -> TracebackType | None:
    """Cut our frames off the front of a traceback, so that it starts in the node's code; None if it has none."""
    while trace is not None and _is_ours(trace):
        trace = trace.tb_next
    return trace


def joined(outer: TracebackType | None, inner: TracebackType) -> TracebackType:
    """Return one traceback of a person's frames: those that led to a run, then those of the node that failed in it."""
    of_node = [each for each in _links(inner) if not _is_ours(each)]
    known = {id(each.tb_frame) for each in of_node}  # an error that was shown before has them behind the others
    before = [each for each in _links(outer) if _is_theirs(each) and id(each.tb_frame) not in known]
    found = None
    for each in reversed([*before, *of_node]):
        found = TracebackType(found, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return found or inner


def with_cells(text: str) -> str:
    """Return the text of a traceback with cells by their numbers, `Cell In[3]`, in place of the kernel's files."""

    def named(match: re.Match[str]) -> str:
        found = compiler.format_code_name(match[1]) if compiler is not None else None
        return " ".join(found) if found is not None else match[0]

    compiler = getattr(_shell(), "compile", None)
    return _FILE.sub(named, text)


def as_ipython_shows(kind: str, message: str, trace: TracebackType, cause: BaseException) -> list[str] | None:
    """Return a traceback as IPython shows one, with the errors that led to the `cause`; None where there is no IPython.

    A debugger that is opened now begins at its end.
    """
    shell = _shell()
    if shell is None:
        return None
    shown = type(kind, (Exception,), {"__module__": "builtins"})(message)
    shown.__cause__, shown.__context__ = cause.__cause__, cause.__context__
    shown.__suppress_context__ = cause.__suppress_context__
    lines: list[str] = shell.InteractiveTB.structured_traceback(type(shown), shown, trace, tb_offset=0)
    sys.last_traceback = trace
    return lines


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def _links(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _module(link: TracebackType) -> str:
    return str(link.tb_frame.f_globals.get("__name__", ""))


def _is_theirs(link: TracebackType) -> bool:
    return _module(link).partition(".")[0] not in NOT_THEIRS


def _is_ours(link: TracebackType) -> bool:
    return _module(link).startswith(OUR_ROOMS)
