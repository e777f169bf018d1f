"""Where the progress of a run is seen: one line of a terminal, which is gone when the run ends, or an output of a notebook.

In a terminal the line stands where the cursor is. What the program prints meanwhile goes through `write` of its streams, which first
takes the line away; while the program is in the middle of a line of its own, or asks for a key, nothing is drawn.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sabot._progress import Snapshot

_BAR_MAX = 24
_COLUMNS = 80


class Display(Protocol):
    """What shows a run; every method may be called by any thread."""

    def show(self, snapshot: Snapshot) -> None: ...
    def hide(self) -> None: ...
    def close(self, snapshot: Snapshot) -> None: ...


def open(place: object) -> Display:
    """The display of a notebook's shell, or of a terminal's stream."""
    return Notebook() if hasattr(place, "kernel") else Terminal(place)


# --- the line


def line(snapshot: Snapshot, width: int, plain: bool = False) -> str:
    """The progress in at most so many columns: what matters less is left out first.

    Parameters:
        plain: in ASCII.
    """
    elapsed, rows, share, end = snapshot
    rate = rows / elapsed if elapsed > 0 else 0.0
    count, short, speed = f"{rows:,} rows", f"{_short(rows)} rows", f"{_short(rate)} rows/s"
    if share is None:
        choices = [[count, speed], [short, speed], [short]]
    else:
        percent, past = f"{int(share * 100):3d}%", _clock(elapsed)
        left = [] if end is None else [f"{_clock(max(0.0, end - elapsed))} left"]
        choices = [
            [percent, count, speed, past, *left],
            [percent, short, speed, past, *left],
            [percent, short, speed, *left],
            [percent, short, *left],
            [percent, *left],
            [percent],
        ]
    for parts in choices:
        text = "  ".join(parts)
        if len(text) <= width:
            break
    else:
        return ""
    room = min(_BAR_MAX, width - len(text) - 2)
    if share is None or room < 8:
        return text
    return "  ".join([parts[0], _bar(share, room, plain), *parts[1:]])


def _bar(share: float, width: int, plain: bool) -> str:
    full = int(share * width)
    return ("#" * full + "." * (width - full)) if plain else ("█" * full + "░" * (width - full))


def _short(number: float) -> str:
    for unit in ("", "k", "M", "G"):
        if number < 1000:
            return f"{number:.3g}{unit}" if number < 999.5 else f"1{'kMGT'['kMG'.find(unit) + 1]}"
        number /= 1000
    return f"{number:.3g}T"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60
    return (
        f"{hours}:{minutes % 60:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
    )


# --- terminals


class Terminal:
    """A line of a terminal.

    Parameters:
        stream: a text stream on it, such as sys.stderr.
    """

    def __init__(self, stream: Any) -> None:
        self._fd: int = stream.fileno()
        self._plain = "utf" not in str(getattr(stream, "encoding", "")).lower()
        self._lock = threading.RLock()  # a signal's handler may print
        self._shown = False
        self._inside = False  # the program is in the middle of a line of its own
        self._hooked: list[Any] = []

    def show(self, snapshot: Snapshot) -> None:
        """Draws the line anew."""
        with self._lock:
            if self._inside or not _is_ours(self._fd):
                return
            if not self._hooked:
                self._hook()
            text = line(snapshot, _columns(self._fd) - 1, self._plain)
            self._shown = True
            self._put(f"\r{text}\x1b[K")

    def hide(self) -> None:
        """Takes the line away, until it is shown again."""
        with self._lock:
            self._erase()
            self.unhook()

    def close(self, snapshot: Snapshot) -> None:
        """Takes the line away for good."""
        self.hide()

    def _erase(self) -> None:
        if self._shown:
            self._shown = False
            self._put("\r\x1b[K")

    def _put(self, text: str) -> None:
        # Past the stream, whose lock a thread may not hold when the interpreter ends.
        try:
            os.write(self._fd, text.encode(errors="replace"))
        except OSError:  # the terminal is gone
            self._inside = True

    def _hook(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            given: Any = stream
            try:
                if given.isatty() and "write" not in vars(given):
                    given.write = self._writing(given, given.write)
                    self._hooked.append(given)
            except (AttributeError, TypeError, ValueError):  # no stream that can be hooked
                continue
        _hooked.add(self)

    def _writing(self, stream: Any, write: Any) -> Any:
        def hooked(text: str) -> int:
            with self._lock:
                self._erase()
                written = write(text)
                if text:
                    self._inside = not text.endswith("\n")
                return written

        return hooked

    def unhook(self) -> None:
        """Gives the program's streams back as they were."""
        hooked, self._hooked = self._hooked, []
        for stream in hooked:
            with contextlib.suppress(AttributeError):  # somebody else took it away
                del stream.write
        _hooked.discard(self)


_hooked: weakref.WeakSet[Terminal] = weakref.WeakSet()


def _forget() -> None:
    # A thread that is not in the child may hold the lock.
    for terminal in list(_hooked):
        terminal.unhook()


os.register_at_fork(after_in_child=_forget)


def _columns(fd: int) -> int:
    try:
        return os.get_terminal_size(fd).columns or _COLUMNS
    except OSError:
        return _COLUMNS


def _is_ours(fd: int) -> bool:
    """Whether the terminal is this program's to draw on: it is in front, and nobody reads keys, as a prompt or a debugger does."""
    termios: Any = importlib.import_module("termios")
    try:
        return bool(termios.tcgetattr(fd)[3] & termios.ICANON) and os.tcgetpgrp(fd) == os.getpgrp()
    except (OSError, termios.error):
        return False


# --- notebooks


class Notebook:
    """An output of a notebook's cell; at the end it says what the run did."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, snapshot: Snapshot) -> None:
        """Puts the line into its output, which it makes first."""
        self._put(line(snapshot, _COLUMNS))

    def hide(self) -> None:
        """Nothing: outputs stand apart from what the program prints."""

    def close(self, snapshot: Snapshot) -> None:
        """Puts rows, time and rate there, if anything was shown."""
        if self._handle is not None:
            elapsed, rows = snapshot[:2]
            self._put(f"{rows:,} rows in {elapsed:.1f} s, {_short(rows / elapsed)} rows/s")

    def _put(self, text: str) -> None:
        data = {"text/plain": text}
        if self._handle is None:
            display: Any = importlib.import_module("IPython.display")
            self._handle = display.display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
