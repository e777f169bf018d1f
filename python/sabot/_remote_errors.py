"""Exceptions on their way from a worker process: type, args, attributes, notes, causes, and the frames of their traceback.

A traceback cannot be sent, but what it shows can: file, function and line of each frame. `rebuilt` makes frames that show the same,
without their variables. A class that cannot be sent is a SabotError with its text; arguments that cannot be are their repr.
"""

from __future__ import annotations

import os
import sys
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any, NamedTuple

from sabot import _pickling
from sabot._errors import SabotError

_LINKS_MAX = 20  # exceptions of one chain of causes


class Frame(NamedTuple):
    """What a traceback shows of one frame."""

    file: str
    name: str
    qualified: str
    line: int


class Packed(NamedTuple):
    """An exception without its traceback: pickled, or by its parts."""

    whole: bytes | None
    parts: tuple[bytes, bytes, bytes] | None
    text: str
    frames: tuple[Frame, ...]
    cause: Packed | None
    context: Packed | None
    suppress: bool


def packed(error: BaseException, folder: str, seen: frozenset[int] = frozenset()) -> Packed:
    """An exception as it can be sent; frames of the files in `folder` are left out."""
    seen |= {id(error)}
    cause, context = error.__cause__, error.__context__
    if cause is not None and (id(cause) in seen or len(seen) > _LINKS_MAX):
        cause = None
    if context is cause or id(context) in seen or len(seen) > _LINKS_MAX or cause is not None:
        context = None  # what is shown is the cause
    return Packed(
        _whole(error),
        _parts(error),
        f"{type(error).__qualname__}: {_text(error)}",
        tuple(_frames(error, folder)),
        None if cause is None else packed(cause, folder, seen),
        None if context is None else packed(context, folder, seen),
        error.__suppress_context__,
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its text cannot be made)"


def _whole(error: BaseException) -> bytes | None:
    try:
        data = _pickling.dumps(error)
        again = _pickling.loads(data)
    except Exception:
        return None
    # Classes whose __init__ makes its own args may come back as something else.
    same = type(again) is type(error) and _text(again) == _text(error)
    return data if same else None


def _parts(error: BaseException) -> tuple[bytes, bytes, bytes] | None:
    try:
        kind = _pickling.dumps(type(error))
    except Exception:
        return None
    args = tuple(_sendable(value) for value in error.args)
    state = {name: _sendable(value) for name, value in vars(error).items()}
    return kind, _pickling.dumps(args), _pickling.dumps(state)


def _sendable(value: Any) -> Any:
    try:
        _pickling.loads(_pickling.dumps(value))
    except Exception:
        try:
            return repr(value)
        except Exception:
            return f"(an object of class {type(value).__name__})"
    return value


def _frames(error: BaseException, folder: str) -> list[Frame]:
    frames: list[Frame] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if os.path.dirname(code.co_filename) != folder:
            line = trace.tb_lineno or code.co_firstlineno
            frames.append(Frame(code.co_filename, code.co_name, code.co_qualname, line))
        trace = trace.tb_next
    return frames


def rebuilt(sent: Packed) -> BaseException:
    """The exception that was sent, with its frames and causes."""
    error = _made(sent)
    trace: TracebackType | None = None
    for frame in reversed(sent.frames):
        trace = TracebackType(trace, _stand_in(frame), -1, frame.line)
    error.__traceback__ = trace
    error.__cause__ = None if sent.cause is None else rebuilt(sent.cause)
    error.__context__ = error.__cause__ if sent.context is None else rebuilt(sent.context)
    error.__suppress_context__ = sent.suppress
    return error


def _made(sent: Packed) -> BaseException:
    try:
        if sent.whole is not None:
            return _pickling.loads(sent.whole)
        if sent.parts is not None:
            kind, args, state = map(_pickling.loads, sent.parts)
            error: BaseException = kind.__new__(kind, *args)
            error.args = args
            vars(error).update(state)
            return error
    except Exception as failure:
        problem = f"; {type(failure).__name__}: {failure}"
    else:
        problem = ""
    return SabotError(f"{sent.text} (an exception that cannot be sent between processes{problem})")


def _here() -> FrameType:
    return sys._getframe()  # pyright: ignore[reportPrivateUsage]


def _stand_in(frame: Frame) -> FrameType:
    """A frame that shows a file and a function."""
    code: CodeType = _here.__code__.replace(
        co_filename=frame.file, co_name=frame.name, co_qualname=frame.qualified
    )
    # Globals without a loader, which linecache would ask for the text of a file that is not there.
    made: Any = FunctionType(code, {"sys": sys})
    return made()
