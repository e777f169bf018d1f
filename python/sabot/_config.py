"""Settings: `sabot.config`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, cast

from sabot._errors import PlanError, suggest

Value = bool | int | str


class _Setting(NamedTuple):
    default: Value
    choices: tuple[str, ...]  # of a text; empty for a number, for yes or no, or for a path
    most: int
    doc: str
    is_path: bool = False  # a path where it is no choice


_SETTINGS: dict[str, _Setting] = {
    "cache_dir": _Setting(
        "auto",
        ("auto", "off"),
        0,
        "folder for compiled code; 'auto': the user's cache folder",
        True,
    ),
    "cache_disk_bytes": _Setting(0, (), 2**48, "bytes kept in that folder; 0: 256 MiB"),
    "cache_memory_bytes": _Setting(
        0, (), 2**48, "bytes of compiled code kept in memory; 0: 64 MiB"
    ),
    "compile": _Setting("auto", ("auto", "off"), 0, "whether functions are compiled"),
    "dead_letter": _Setting("", (), 0, "Parquet file for rows that failed; '': none"),
    "morsel_rows": _Setting(0, (), 2**24, "rows a worker takes at a time; 0: the engine's choice"),
    "progress": _Setting(True, (), 1, "whether a terminal or a notebook shows how far a run is"),
    "threads": _Setting(0, (), 256, "native worker threads; 0: one a processor"),
    "tier": _Setting(
        "auto", ("auto", "interpreter", "native"), 0, "which code runs a compiled function"
    ),
    "validate": _Setting("auto", ("auto", "full"), 0, "how much of a source's arrays is checked"),
}
_VARIABLES = {name: f"SABOT_{name.upper()}" for name in _SETTINGS}
_DUMP = "SABOT_DUMP"
_UNSET = object()
_TRUTHS = {"1": True, "true": True, "0": False, "false": False}


def _check(name: str, value: object) -> Value:
    setting = _SETTINGS[name]
    if isinstance(value, str) and value in setting.choices:
        return str(value)
    if setting.choices and not setting.is_path:
        choices = ", ".join(map(repr, setting.choices))
        raise PlanError(f"{name}={value!r}: it is one of {choices}")
    if isinstance(setting.default, str):
        if setting.is_path:
            return check_path(name, value, "folder, 'auto' or 'off'")
        return "" if isinstance(value, str) and not value else check_path(name, value)
    if isinstance(setting.default, bool):
        if not isinstance(value, bool):
            raise PlanError(f"{name}={shown(value)}: it is True or False")
        return value
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= setting.most:
        raise PlanError(f"{name}={shown(value)}: it is a whole number from 0 to {setting.most}")
    return value


def check_path(name: str, value: object, what: str = "file") -> str:
    """A local file's path, absolute, with links resolved.

    Raises:
        PlanError: it is none.
    """
    text: object = None
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(cast("os.PathLike[str]", value))
    if not isinstance(text, str) or not text or "://" in text or "\0" in text:
        text_of = shown(cast("object", value))
        raise PlanError(f"{name}={text_of}: it is the path of a local {what}")
    try:
        return os.path.realpath(text)
    except UnicodeEncodeError:
        text_of = shown(cast("object", value))
        raise PlanError(f"{name}={text_of}: no file can have this name") from None


def shown(value: object) -> str:
    """A value in a message."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python prints
        text = "a large number"
    return text if len(text) <= 60 else text[:59] + "…"


def _from_environment(name: str) -> tuple[Value, str] | None:
    variable = _VARIABLES[name]
    text = os.environ.get(variable)
    if text is None or text == "":
        return None
    value: object = text
    if isinstance(_SETTINGS[name].default, bool):
        if text.lower() not in _TRUTHS:
            raise PlanError(f"{variable}={shown(text)}: it is 1 or 0")
        value = _TRUTHS[text.lower()]
    elif isinstance(_SETTINGS[name].default, int):
        try:
            value = int(text)
        except ValueError:
            raise PlanError(f"{variable}={shown(text)}: it is a whole number") from None
    return _check(name, value), f"environment {variable}"


class RunSettings(NamedTuple):
    """The settings that a run reads when it begins; `dump`: the text of SABOT_DUMP."""

    threads: int
    morsel_rows: int
    tier: str
    full: bool
    progress: bool
    dump: str


_set: dict[str, Value] = {}
changes: int = 0  # of settings, by calls
_lock = threading.Lock()
_plain: RunSettings | None = None  # in force while the environment has none of the variables


def for_run() -> RunSettings:
    """The settings of a run that begins now.

    Asking `os.environ` for what is not there takes a microsecond for each name, so it is asked for all of them at once.
    """
    global _plain
    found = _plain
    plain = _environment_is_plain()
    if plain and found is not None:
        return found
    with _lock:
        made = RunSettings(
            int(get("threads")),
            int(get("morsel_rows")),
            str(get("tier")),
            get("validate") == "full",
            bool(get("progress")),
            os.environ.get(_DUMP, ""),
        )
        if plain:
            _plain = made
    return made


def _environment_is_plain() -> bool:
    """Whether none of the variables is there; False where that cannot be told."""
    data: object = getattr(os.environ, "_data", None)
    if type(data) is not dict:
        return False
    return cast("dict[object, object]", data).keys().isdisjoint(_KEYS)


def _keys() -> tuple[object, ...]:
    """The names of a run's variables as the dict behind `os.environ` has them."""
    encode = getattr(os.environ, "encodekey", str)
    names = (
        _VARIABLES[name] for name in ("threads", "morsel_rows", "tier", "validate", "progress")
    )
    return tuple(encode(name) for name in (*names, _DUMP))


_KEYS = _keys()


def get(name: str) -> Value:
    """The value in force of one setting."""
    return _effective(name)[0]


def source_of(name: str) -> str:
    """Where that value came from: "default", "config", or the environment variable."""
    return _effective(name)[1]


def _effective(name: str) -> tuple[Value, str]:
    if name in _set:
        return _set[name], "config"
    return _from_environment(name) or (_SETTINGS[name].default, "default")


class Config(Mapping[str, Value]):
    """All settings in force, as a mapping; as a context manager it gives back what its call changed.

    Made by `sabot.config(...)`.
    """

    def __init__(self, before: dict[str, Value | object]) -> None:
        self._before = before

    def __getitem__(self, name: str) -> Value:
        if name not in _SETTINGS:
            raise KeyError(name)
        return get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_SETTINGS)

    def __len__(self) -> int:
        return len(_SETTINGS)

    def source(self, name: str) -> str:
        """Where a setting's value came from: "default", "config", or the environment variable."""
        if name not in _SETTINGS:
            raise KeyError(name)
        return _effective(name)[1]

    def __repr__(self) -> str:
        rows = [(name, repr(self[name]), self.source(name)) for name in self]
        widths = [max(len(row[k]) for row in rows) for k in range(2)]
        return "\n".join(f"{n:{widths[0]}}  {v:{widths[1]}}  {s}" for n, v, s in rows)

    def __enter__(self) -> Config:
        return self

    def __exit__(self, *_: object) -> None:
        global _plain, changes
        with _lock:
            _plain = None
            changes += 1
            for name, value in self._before.items():
                if value is _UNSET:
                    _set.pop(name, None)
                else:
                    _set[name] = _check(name, value)
        self._before = {}


def config(
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    cache_disk_bytes: int | None = None,
    cache_memory_bytes: int | None = None,
    compile: Literal["auto", "off"] | None = None,
    dead_letter: str | os.PathLike[str] | None = None,
    morsel_rows: int | None = None,
    progress: bool | None = None,
    threads: int | None = None,
    tier: Literal["auto", "interpreter", "native"] | None = None,
    validate: Literal["auto", "full"] | None = None,
    **unknown: object,
) -> Config:
    """Changes settings; as a context manager, for the block only. Without arguments: a look at all of them.

    Each setting can also be given by the environment, as `SABOT_THREADS` and so on; a call wins.

    Parameters:
        cache_dir: the folder where compiled code is kept from one process to the next, in `code` below it; "auto" is `sabot` in the
            user's cache folder, "off" keeps none. A folder that others may enter is not used; the logger `sabot.compile` and
            reports say so.
        cache_disk_bytes: what that folder holds at most, in bytes; the longest unused goes first. 0 means 256 MiB.
        cache_memory_bytes: bytes of compiled code that are kept in memory though nothing uses it; 0 means 64 MiB.
        compile: "auto" compiles what can be compiled, "off" interprets everything. Results are the same.
        dead_letter: a Parquet file for all rows that functions with `on_error="null"` or `"skip"` fail at, for those that name
            no file themselves; "" for none. Each run writes it anew.
        morsel_rows: rows a worker takes at a time; 0 leaves it to the engine.
        progress: whether a terminal or a notebook shows how far a run is, once it is a second old.
        threads: native worker threads; 0 means one a processor.
        tier: "interpreter" runs compiled functions in the engine's own interpreter, "native" waits for native code,
            "auto" starts with the first and goes over to the second.
        validate: "full" checks every batch of a source before anything reads it: offsets, text, decimals, times, counts of nulls;
            "auto" what cannot be read without. A bad batch is a DataError.

    Raises:
        PlanError: an unknown setting or a value out of range.

    >>> import sabot as sb
    >>> with sb.config(threads=1) as settings:
    ...     settings["threads"]
    1
    """
    for name in unknown:
        raise PlanError(f"there is no setting {name!r}{suggest(name, _SETTINGS)}")
    global _plain, changes
    given = {
        "cache_dir": cache_dir,
        "cache_disk_bytes": cache_disk_bytes,
        "cache_memory_bytes": cache_memory_bytes,
        "compile": compile,
        "dead_letter": dead_letter,
        "morsel_rows": morsel_rows,
        "progress": progress,
        "threads": threads,
        "tier": tier,
        "validate": validate,
    }
    checked = {name: _check(name, value) for name, value in given.items() if value is not None}
    with _lock:
        _plain = None
        changes += bool(checked)
        before: dict[str, Value | object] = {name: _set.get(name, _UNSET) for name in checked}
        _set.update(checked)
    return Config(before)
