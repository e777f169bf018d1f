"""What a captured function found outside itself, and whether it is still there.

A compiled function is right only while its code, its defaults and the objects behind its names are those seen at capture.
`Guards.changed()` tells the first name that is not, in about a microsecond; it runs no user code: dictionaries are read by
identity, and only exact scalars are compared by value (a counter rebound to an equal number has not changed).
"""

from __future__ import annotations

import struct
import sys
from copy import copy
from functools import partial
from operator import is_
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from sabot._times import is_time, number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CellType, CodeType

    from sabot._objects import Member

_MISSING: object = object()
_dict_get = cast("Callable[[dict[str, object], str, object], object]", dict.get)  # pyright: ignore[reportUnknownMemberType]
_pack_float = struct.Struct("<d").pack


class Found(NamedTuple):
    """Where a name led: `origin` is "closure", "global", "builtin" or "missing" (`value` is then None).

    Also "bound", a parameter that always gets this value; "import", by a statement of the function itself, or "not_loaded"; and for
    dotted names "attribute", "method" (`value` is a bound method) or "property" (a bound method of its function).
    """

    origin: str
    value: object


class Frozen(NamedTuple):
    """A captured list, set or dict of scalars and tuples, or of functions, as it was at capture: `kind` is the name of its exact type."""

    kind: str
    items: tuple[object, ...]  # of a dict: pairs
    key: tuple[object, ...]  # tells contents apart, as long as `items` lives
    is_plain: bool = True  # scalars alone; else keys may be, and all else are functions


_FROZEN_MAX = 256
_TUPLES_DEPTH_MAX = 4


def frozen(value: object) -> Frozen | None:
    """A small list, set or dict of exact scalars and tuples of them, or a list or dict of functions; None for anything else. Keys and
    members that are NaN, or have one in them, are left to CPython."""
    kind = type(value)
    if not (kind is list or kind is dict or kind is set or kind is frozenset):
        return None
    sized = cast("list[object] | dict[object, object]", value)
    if not 0 < len(sized) <= _FROZEN_MAX:
        return None
    items: tuple[object, ...]
    if isinstance(sized, dict):
        pairs = tuple(sized.items())  # one look: another thread may be changing it
        items, members = pairs, tuple(key for key, _ in pairs)
        held = [value for _, value in pairs]
    else:
        items = members = tuple(sized)
        held = [*items]
    flat = [*members, *held] if kind is dict else held
    keys = [*map(plain_key, flat)]
    if None in keys:
        return _frozen_functions(kind.__name__, items, members, held)
    if kind is not list and any(map(_has_nan, members)):
        return None
    name = kind.__name__
    return Frozen(name, items, (name, len(items), *keys))


def plain_key(value: object, depth: int = 0) -> tuple[object, ...] | None:
    """A hashable key of an exact scalar, or of an exact tuple of such; None for anything else."""
    if is_scalar(value):
        return scalar_key(value)
    if type(value) is not tuple or depth >= _TUPLES_DEPTH_MAX:
        return None
    items = cast("tuple[object, ...]", value)
    if len(items) > _FROZEN_MAX:
        return None
    keys = [plain_key(item, depth + 1) for item in items]
    return None if None in keys else ("tuple", *keys)


def _has_nan(value: object) -> bool:
    if type(value) is tuple:
        return any(map(_has_nan, cast("tuple[object, ...]", value)))
    return value != value


def _frozen_functions(
    kind: str, items: tuple[object, ...], members: tuple[object, ...], held: list[object]
) -> Frozen | None:
    of_dict = kind == "dict"
    if kind not in ("list", "dict") or not all(map(is_callable, held)):
        return None
    if of_dict and not all(map(is_scalar, members)):
        return None
    keys = tuple(map(scalar_key, members)) if of_dict else ()
    return Frozen(kind, items, (kind, len(items), *keys, *map(id, held)), False)


def is_callable(value: object) -> bool:
    """Whether the value is a function, a builtin, a class, a bound method or a partial object, by its exact type."""
    kind = type(value)
    return (
        kind is FunctionType
        or kind is BuiltinFunctionType
        or kind is type
        or kind is MethodType
        or kind is partial
    )


def is_scalar(value: object) -> bool:
    """Whether the value is an exact None, bool, int, float, str, date or datetime: what may stand in compiled code as a constant."""
    # By identity, one after the other: a metaclass may have a hash or an equality of its own.
    kind = type(value)
    if kind is int or kind is float or kind is str or kind is bool or value is None:
        return True
    return is_time(value)


def scalar_key(value: object) -> tuple[str, object]:
    """A hashable key of an exact scalar: equal only for the same type and the same value, floats by their bits."""
    if type(value) is float:
        return "float", _pack_float(value)
    if is_time(value):  # of equal datetimes one may have a zone that the other has not
        return type(value).__name__, number_of(value)
    return type(value).__name__, value


def look_up(space: dict[str, object], name: str, default: object) -> object:
    """Reads a namespace as a plain dictionary, so that a subclass of `dict` runs no code of its own."""
    return _dict_get(space, name, default)


def find_names(fn: FunctionType, names: tuple[str, ...]) -> dict[str, Found]:
    """Looks each name up as the function itself would: closure cells, globals, builtins."""
    code = fn.__code__
    cells = dict(zip(code.co_freevars, fn.__closure__ or (), strict=True))
    space = fn.__globals__
    below = builtins_of(fn)
    found: dict[str, Found] = {}
    for name in names:
        if name in cells:
            value = _cell_value(cells[name])
            found[name] = (
                Found("missing", None)
                if value is _MISSING
                else Found("closure", frozen(value) or value)
            )
            continue
        value = look_up(space, name, _MISSING)
        if value is not _MISSING:
            found[name] = Found("global", frozen(value) or value)
            continue
        value = look_up(below, name, _MISSING)
        found[name] = Found("missing", None) if value is _MISSING else Found("builtin", value)
    return found


def builtins_of(fn: FunctionType) -> dict[str, object]:
    """The builtins of this function's frames: settled when it was made, by `__builtins__` of its globals then.

    A namespace that is no dictionary is not read: it counts as empty.
    """
    space: object = getattr(fn, "__builtins__", None)
    return cast("dict[str, object]", space) if isinstance(space, dict) else {}


class Check(Protocol):
    """Something else that was seen at capture."""

    def changed(self) -> str | None:
        """What is different now, or None."""
        ...


class Attribute(NamedTuple):
    """An attribute of a module that was read at capture."""

    module: ModuleType
    name: str
    value: object

    def changed(self) -> str | None:
        """Its name where it is another now."""
        now = self.module.__dict__.get(self.name, _MISSING)
        if now is self.value or _same(now, self.value):
            return None
        return f"{self.module.__name__}.{self.name}"


class ObjectAttribute(NamedTuple):
    """An attribute of a plain object, or of a class."""

    owner: object
    name: str
    seen: Member

    def changed(self) -> str | None:
        """Its name where it is another now."""
        from sabot._objects import member

        now = member(self.owner, self.name)
        same = now.is_same(self.seen) and _same(now.value, self.seen.value)
        return None if same else f".{self.name}"


def find_dotted(
    found: Mapping[str, Found],
    dotted: tuple[str, ...],
    mangle: Callable[[str], str] = str,
) -> tuple[dict[str, Found], tuple[Check, ...]]:
    """What names like `math.pi` stand for: attributes of plain modules, objects and classes, read without running their code."""
    values: dict[str, Found] = {}
    read: list[Check] = []
    for text in dotted:
        root, *names = text.split(".")
        root = mangle(root)
        if root not in found or found[root].origin in ("missing", "not_loaded"):
            continue
        steps: list[Check] = []
        at = _follow(found[root], [mangle(name) for name in names], steps)
        if at is not None:
            values[text] = at
            read += steps
    return values, tuple(read)


def _follow(at: Found, names: list[str], steps: list[Check]) -> Found | None:
    """Goes from attribute to attribute; None where one cannot be read."""
    for name in names:
        value = at.value
        if at.origin in ("method", "property") or is_scalar(value) or type(value) is Frozen:
            return None
        if type(value) is ModuleType:
            inside = look_up(vars(value), name, _MISSING)
            if inside is _MISSING:
                return None
            inside = frozen(inside) or inside
            steps.append(Attribute(value, name, inside))
            at = Found("attribute", inside)
            continue
        from sabot._objects import member

        seen = member(value, name)
        if seen.how == "refused":
            return None
        if seen.how == "value":
            seen = seen._replace(value=frozen(seen.value) or seen.value)
        steps.append(ObjectAttribute(value, name, seen))
        if seen.how == "value":
            at = Found("attribute", seen.value)
        else:
            function = cast("Callable[..., object]", seen.value)
            at = Found(seen.how, MethodType(function, seen.owner))
    return at


class Guards:
    """The names that one function object reads outside itself, with the objects found at capture.

    `names` maps each name to what was found. `changed()` returns the name that leads elsewhere now, or None.
    checks: what else was seen, likewise. others: those of the functions that it calls. recursive: it calls itself.
    """

    __slots__ = (
        "_builtins",
        "_calls",
        "_cells",
        "_checks",
        "_code",
        "_defaults",
        "_fn",
        "_from_builtins",
        "_from_globals",
        "_gone",
        "_kwdefaults",
        "names",
    )

    def __init__(
        self,
        fn: FunctionType,
        names: Mapping[str, Found],
        checks: tuple[Check, ...] = (),
        others: tuple[Check, ...] = (),
        recursive: bool = False,
    ) -> None:
        self.names = dict(names)
        self._checks = (*checks, *others)
        self._calls = recursive or bool(others)
        self._fn = fn
        self._code = fn.__code__
        self._defaults = fn.__defaults__
        kwdefaults: dict[str, object] | None = fn.__kwdefaults__
        self._kwdefaults = dict(kwdefaults) if kwdefaults else None
        self._builtins = builtins_of(fn)
        cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
        self._from_globals = tuple((n, f.value) for n, f in names.items() if f.origin == "global")
        self._from_builtins = tuple((n, f.value) for n, f in names.items() if f.origin == "builtin")
        self._gone = tuple(n for n, f in names.items() if f.origin == "missing" and n not in cells)
        self._cells = tuple(
            (n, cells[n], _MISSING if f.origin == "missing" else f.value)
            for n, f in names.items()
            if n in cells
        )

    def with_others(self, others: tuple[Check, ...]) -> Guards:
        """The same with more to look at."""
        made = copy(self)
        made._checks = (*self._checks, *others)
        return made

    @property
    def code(self) -> CodeType:
        """The code object that was captured."""
        return self._code

    @property
    def calls_functions(self) -> bool:
        """Whether functions of the user are called."""
        return self._calls

    def changed(self) -> str | None:
        """The name of what was rebound since capture, or None: a name, "__code__", "__defaults__" or "__kwdefaults__"."""
        fn = self._fn
        if fn.__code__ is not self._code:
            return "__code__"
        if fn.__defaults__ is not self._defaults and not _same_values(
            fn.__defaults__, self._defaults
        ):
            return "__defaults__"
        if (fn.__kwdefaults__ or self._kwdefaults) and not _same_items(
            fn.__kwdefaults__, self._kwdefaults
        ):
            return "__kwdefaults__"
        space = fn.__globals__
        for name, value in self._from_globals:
            now = space.get(name, _MISSING)
            if now is not value and not _same(now, value):
                return name
        below = self._builtins
        for name, value in self._from_builtins:
            if name in space:
                return name
            now = below.get(name, _MISSING)
            if now is not value and not _same(now, value):
                return name
        for name, cell, value in self._cells:
            now = _cell_value(cell)
            if now is not value and not _same(now, value):
                return name
        for name in self._gone:
            if name in space or name in below:
                return name
        for one in self._checks:
            name = one.changed()
            if name is not None:
                return name
        return None


def tracing_active(code: CodeType | None = None) -> bool:
    """Whether a debugger, tracer or profiler watches Python code that runs on this thread.

    True under `sys.settrace`, `sys.setprofile`, and where a tool of `sys.monitoring` has events set, for everything or for
    `code`. A tool under `sys.monitoring.COVERAGE_ID` does not count: it asks which lines ran, not to see each run.
    """
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return True
    if sys.version_info < (3, 12):
        return False
    monitoring = sys.monitoring
    for tool in range(6):
        if tool == monitoring.COVERAGE_ID or monitoring.get_tool(tool) is None:
            continue
        if monitoring.get_events(tool) or (
            code is not None and monitoring.get_local_events(tool, code)
        ):
            return True
    return False


def _cell_value(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING


def _same(now: object, was: object) -> bool:
    if type(was) is Frozen:
        if _holds_these(now, was):
            return True
        again = frozen(now)
        return again is not None and again.key == was.key
    if type(now) is not type(was) or not is_scalar(now):
        return now is was
    return scalar_key(now) == scalar_key(was)


def _holds_these(now: object, was: Frozen) -> bool:
    """Whether it has the very objects that were seen, in their order; looking at their values takes ten times as long."""
    kind = type(now)
    if not (kind is list or kind is dict or kind is set or kind is frozenset):
        return False
    if kind.__name__ != was.kind:
        return False
    held = cast("list[object] | dict[object, object]", now)
    if len(held) != len(was.items):
        return False
    if isinstance(held, dict):
        pairs = cast("tuple[tuple[object, object], ...]", was.items)
        return all(
            key is seen_key and value is seen
            for (key, value), (seen_key, seen) in zip(tuple(held.items()), pairs, strict=True)
        )
    return all(map(is_, held, was.items))


def _same_values(now: tuple[object, ...] | None, was: tuple[object, ...] | None) -> bool:
    return len(now or ()) == len(was or ()) and all(map(_same, now or (), was or ()))


def _same_items(now: dict[str, object] | None, was: dict[str, object] | None) -> bool:
    now, was = now or {}, was or {}
    return now.keys() == was.keys() and all(_same(now[name], was[name]) for name in was)
