"""The engine of this process: one session and its cache of compiled code, made at first use, made anew in a forked child.

Read then, from the environment: SABOT_JIT_HELPER, the code generator to use (empty: none), and SABOT_COMPILE_MS, how long it may
take over one function before it is given up and the engine's interpreter goes on (10000). The settings of the cache are followed
whenever `sabot.config` changes them.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from typing import Any, NamedTuple

from sabot import _config, _core
from sabot._errors import PlanError

_COMPILE_MS_LIMIT = 3_600_000

_log = logging.getLogger("sabot.compile")
_lock = threading.Lock()


class _Engine(NamedTuple):
    pid: int
    changes: int  # of settings, that are followed
    session: _core.Session
    cache: _core.Cache
    options: CacheOptions
    cache_off: str  # why there is no cache on disk though one was wanted


_engine: _Engine | None = None


class CacheOptions(NamedTuple):
    """What the settings say of the cache. folder: None for none."""

    folder: str | None
    disk_bytes_max: int
    memory_bytes_max: int


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


def cache_options() -> CacheOptions:
    """The settings of the cache as the engine takes them."""
    folder = str(_config.get("cache_dir"))
    if folder == "auto":
        # As the XDG base directory specification has it: what is not absolute does not count.
        base = os.environ.get("XDG_CACHE_HOME", "")
        base = base if os.path.isabs(base) else os.path.expanduser("~/.cache")
        folder = os.path.join(base, "sabot") if os.path.isabs(base) else "off"
    return CacheOptions(
        None if folder == "off" else os.path.join(folder, "code"),
        int(_config.get("cache_disk_bytes")),
        int(_config.get("cache_memory_bytes")),
    )


def _say_cache_off(why: str) -> None:
    # A home that cannot be written is common where nobody asked for a cache.
    asked = _config.get("cache_dir") != "auto"
    _log.log(
        logging.WARNING if asked else logging.INFO, "compiled code is not kept on disk: %s", why
    )


def _followed(engine: _Engine | None, pid: int) -> _Engine:
    """The engine with the settings in force, made if there is none."""
    changes = _config.changes
    options = cache_options()
    if engine is None or engine.pid != pid:
        cache = _core.Cache(*options)
        session = _core.Session(helper_path(), _compile_ms_max(), None, cache)
    elif engine.options == options:
        return engine._replace(changes=changes)
    else:
        cache, session = engine.cache, engine.session
        cache.configure(*options)
    off = str(json.loads(cache.stats())["disk_off"])
    return _Engine(pid, changes, session, cache, options, off)


def _current() -> _Engine:
    global _engine
    pid = os.getpid()
    found = _engine
    if found is not None and found.pid == pid and found.changes == _config.changes:
        return found
    with _lock:
        before = _engine
        engine = _engine = _followed(before, pid)
    # Without the lock: who handles the record may use the engine.
    if engine.cache_off and (before is None or before.cache_off != engine.cache_off):
        _say_cache_off(engine.cache_off)
    return engine


def session() -> _core.Session:
    """The session of this process."""
    return _current().session


def stats() -> dict[str, Any]:
    """Counters of the session, and under "cache" those of its cache."""
    engine = _current()
    return {**json.loads(engine.session.stats()), "cache": json.loads(engine.cache.stats())}


def cache_off() -> str:
    """Why compiled code is not kept on disk though it should be; empty where it is, or should not be."""
    return _current().cache_off


def _forget_lock() -> None:
    # A fork may copy the lock while another thread holds it.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_lock)
