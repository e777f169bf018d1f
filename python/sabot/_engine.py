"""The engine of this process: one session, made at first use, made anew in a forked child.

Read then, from the environment: SABOT_JIT_HELPER, the code generator to use (empty: none), and SABOT_COMPILE_MS, how long it may
take over one function before it is given up and the engine's interpreter goes on (10000).
"""

from __future__ import annotations

import os
import threading

from sabot import _core
from sabot._errors import PlanError

_COMPILE_MS_LIMIT = 3_600_000

_lock = threading.Lock()
_session: tuple[int, _core.Session] | None = None


def helper_path() -> str | None:
    """The code generator that came with the package, or the one named by SABOT_JIT_HELPER; None without one."""
    named = os.environ.get("SABOT_JIT_HELPER")
    if named is not None:
        return named or None
    # os.path, because pathlib alone would double the time that the import takes.
    path = os.path.join(os.path.dirname(__file__), "_bin", "sabot-jit")
    return path if os.path.exists(path) else None


def _compile_ms_max() -> int:
    text = os.environ.get("SABOT_COMPILE_MS", "")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) <= _COMPILE_MS_LIMIT):
        raise PlanError(
            f"SABOT_COMPILE_MS={text!r}: it is a whole number from 1 to {_COMPILE_MS_LIMIT}"
        )
    return int(text)


def session() -> _core.Session:
    """The session of this process."""
    global _session
    pid = os.getpid()
    found = _session
    if found is not None and found[0] == pid:
        return found[1]
    with _lock:
        if _session is None or _session[0] != pid:
            _session = (pid, _core.Session(helper_path(), _compile_ms_max()))
        return _session[1]


def _forget_lock() -> None:
    # A fork may copy the lock while another thread holds it.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_lock)
