"""Dataclasses and NamedTuples as what they are to a record function: names, in order, with a value each.

Only classes whose constructor does nothing but keep its arguments: that it is the generated one is told by comparing its code with
that of a class made for the comparison. Whether it still is, `ClassGuard` says.
"""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from types import FunctionType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sabot._guards import is_scalar

if TYPE_CHECKING:
    from types import CellType, CodeType

_MISSING: Any = object()
_HOOKS = ("__init__", "__new__", "__post_init__", "__setattr__", "__getattribute__", "__iter__")


class ClassGuard:
    """A class as it was; `changed` gives its name when it is no longer so."""

    __slots__ = ("_cls", "_function", "_seen")

    def __init__(self, cls: type, fields: tuple[str, ...], function: str) -> None:
        self._cls = cls
        self._function = function
        self._seen = _snapshot(cls, (*_HOOKS, *fields), function)

    def changed(self) -> str | None:
        """The name of the class, or None."""
        names = tuple(name for name, _ in self._seen[1])
        now = _snapshot(self._cls, names, self._function)
        same = len(now[0]) == len(self._seen[0]) and all(
            one is other for one, other in zip(now[0], self._seen[0], strict=True)
        )
        values = zip(now[1], self._seen[1], strict=True)
        if same and all(one[1] is other[1] for one, other in values):
            return None
        return self._cls.__name__


def _snapshot(
    cls: type, names: tuple[str, ...], function: str
) -> tuple[tuple[object, ...], tuple[tuple[str, object], ...]]:
    """What its instances depend on: the classes and its constructor's parts, and the attributes by name."""
    made = _look_up(cls, function)
    parts: tuple[object, ...] = ()
    if type(made) is FunctionType:
        kwdefaults = cast("dict[str, object]", made.__kwdefaults__ or {})
        parts = (made.__code__, *(made.__defaults__ or ()), *kwdefaults, *kwdefaults.values())
    return (*cls.__mro__, *parts), tuple((name, _look_up(cls, name)) for name in names)


def _look_up(cls: type, name: str) -> object:
    """An attribute of the class or its bases, without calling anything."""
    for one in cls.__mro__:
        space = type.__dict__["__dict__"].__get__(one)
        if name in space:
            found = space[name]
            return found.__func__ if isinstance(found, staticmethod) else found
    return _MISSING


class Constructor(NamedTuple):
    """How a class is called, and the names of what its instances hold, in order."""

    fields: tuple[str, ...]
    positional: tuple[str, ...]
    keyword_only: tuple[str, ...]
    defaults: dict[str, object]
    guard: ClassGuard


def constructor_of(cls: object) -> Constructor | None:
    """How a dataclass or a NamedTuple is made, if by nothing but keeping its arguments; None for anything else."""
    if type(cls) is not type:
        return None
    if tuple in cls.__bases__:
        return _named_tuple(cls)
    return _dataclass(cls)


def _same_code(one: CodeType, other: CodeType) -> bool:
    names = (
        "co_code co_consts co_names co_varnames co_freevars co_argcount co_kwonlyargcount co_flags"
    )
    return all(getattr(one, name) == getattr(other, name) for name in names.split())


def _constructor(
    cls: type, fields: tuple[str, ...], name: str, plain: object
) -> Constructor | None:
    """With the parameters of the function of that name, which must be as that of a `plain` class."""
    made, wanted = _look_up(cls, name), _look_up(cast("type", plain), name)
    if type(made) is not FunctionType or type(wanted) is not FunctionType:
        return None
    code = made.__code__
    # A frozen dataclass keeps `object`, whose __setattr__ its constructor calls.
    closed = all(_contents(cell) is object for cell in made.__closure__ or ())
    if not _same_code(code, wanted.__code__) or not closed:
        return None
    count = code.co_argcount
    positional = code.co_varnames[1:count]
    keyword_only = code.co_varnames[count : count + code.co_kwonlyargcount]
    values = made.__defaults__ or ()
    named = positional[len(positional) - len(values) :]
    defaults: dict[str, object] = dict(zip(named, values, strict=True))
    defaults.update(cast("dict[str, object]", made.__kwdefaults__ or {}))
    guard = ClassGuard(cls, fields, name)
    return Constructor(fields, positional, keyword_only, defaults, guard)


def _contents(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING


def _named_tuple(cls: type) -> Constructor | None:
    fields: Any = cls.__dict__.get("_fields")
    if cls.__bases__ != (tuple,) or type(fields) is not tuple:
        return None
    plain = (
        _look_up(cls, "__iter__") is _look_up(tuple, "__iter__")
        and _look_up(cls, "__init__") is object.__init__
        and _look_up(cls, "__getattribute__") is _look_up(tuple, "__getattribute__")
    )
    names = cast("tuple[str, ...]", fields)
    wanted = namedtuple("Plain", names)  # pyright: ignore[reportUntypedNamedTuple]
    return _constructor(cls, names, "__new__", wanted) if plain else None


def _dataclass(cls: type) -> Constructor | None:
    given: Any = cls.__dict__.get("__dataclass_fields__")
    params: Any = cls.__dict__.get("__dataclass_params__")
    if type(given) is not dict or params is None:
        return None
    fields = dataclasses.fields(cls)
    frozen = bool(params.frozen)
    setter = _look_up(cls, "__setattr__")
    plain = (
        _look_up(cls, "__new__") is object.__new__
        and _look_up(cls, "__post_init__") is _MISSING
        and _look_up(cls, "__getattribute__") is object.__getattribute__
        and (frozen or setter is object.__setattr__)
        and _only_fields(cast("dict[str, Any]", given))
        and all(_is_plain(cls, field) for field in fields)
    )
    if not plain:
        return None
    wanted = dataclasses.make_dataclass(
        "Plain",
        [
            (one.name, object, dataclasses.field(default=one.default, kw_only=one.kw_only))
            for one in fields
        ],
        frozen=frozen,
    )
    return _constructor(cls, tuple(one.name for one in fields), "__init__", wanted)


def _only_fields(given: dict[str, Any]) -> bool:
    """Whether there is nothing that a constructor takes and no instance keeps."""
    return all(one._field_type.name != "_FIELD_INITVAR" for one in given.values())


def _is_plain(cls: type, field: Any) -> bool:
    """Whether a field is given to the constructor and read as it was given."""
    shared = _look_up(cls, field.name)
    kept = shared is _MISSING or is_scalar(shared) or type(shared) is MemberDescriptorType
    return field.init and field.default_factory is dataclasses.MISSING and kept
