"""Attributes of plain objects and classes, found as Python finds them but without running any code of theirs.

`member` follows `object.__getattribute__` and `type.__getattribute__` through the dictionaries of classes and objects. What would run
code (`__getattr__`, descriptors of the user) is not read; a property is given as its function. Asking again later tells whether an
attribute still is what it was.
"""

from __future__ import annotations

import sys
from abc import ABCMeta
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

_MISSING: object = object()
# Read through `type` itself: a metaclass may define names of its own.
_mro_of: Any = type.__dict__["__mro__"].__get__
_flags_of: Any = type.__dict__["__flags__"].__get__
_space_of: Any = type.__dict__["__dict__"].__get__
_HEAP_TYPE = 1 << 9
_PLAIN_BASES = frozenset({object, tuple, int, float, str})
_OPERATORS = frozenset(
    f"__{side}{name}__"
    for side in ("", "r")
    for name in [
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "lshift",
        "rshift",
        "and",
        "or",
        "xor",
        "divmod",
    ]
) | frozenset(
    f"__{name}__"
    for name in [
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "neg",
        "pos",
        "invert",
        "abs",
        "bool",
        "int",
        "float",
        "index",
        "round",
        "trunc",
        "floor",
        "ceil",
    ]
)


class Member(NamedTuple):
    """An attribute: `how` is "value", "method" or "property" (`value` is the function then, `owner` what it is bound to).

    "refused": `value` is a text that says why it is not read.
    """

    how: str
    value: object
    owner: object = None

    def is_same(self, other: Member) -> bool:
        """Whether nothing but the value may have changed between two looks."""
        return self.how == other.how and self.owner is other.owner


def member(value: object, name: str) -> Member:
    """What `value.name` stands for."""
    kind = type(value)
    if name.startswith("__") and name.endswith("__"):
        return Member("refused", f"attribute {name}")
    if kind is type or kind is ABCMeta:
        return _of_class(cast("type", value), name)
    enum = sys.modules.get("enum")
    if enum is not None and kind is enum.EnumType:
        members: object = _space_of(value).get("_member_map_")
        if type(members) is dict and name in members:
            return Member("value", cast("dict[str, object]", members)[name])
        return Member("refused", f".{name} of an enumeration")
    return _of_object(value, kind, name)


def is_users(value: object) -> bool:
    """Whether an object is of a class that Python code made, or is such a class."""
    # isinstance would ask the value for its __class__, which may be code of its own.
    kind = value if issubclass(type(value), type) else type(value)
    return bool(_flags_of(kind) & _HEAP_TYPE)


def is_module(value: object) -> bool:
    """Whether it is a module, of whatever class."""
    return issubclass(type(value), ModuleType)


def called_member(value: object) -> FunctionType | None:
    """The function that a call of an object runs, where it is written in Python."""
    found = _look_up(_mro_of(type(value)), "__call__")
    return found if type(found) is FunctionType else None


def int_of_enum(value: object) -> int | None:
    """The number that a member of an IntEnum is in arithmetic and comparisons; None where it is none, or has operators of its own."""
    enum = sys.modules.get("enum")
    kind = type(value)
    if enum is None or type(kind) is not enum.EnumType or int not in _mro_of(kind):
        return None
    for base in _mro_of(kind):
        if base is int:
            break
        if not _OPERATORS.isdisjoint(_space_of(base)):
            return None
    return int.__index__(cast("int", value))


def _look_up(mro: tuple[type, ...], name: str) -> object:
    for base in mro:
        space: Mapping[str, object] = _space_of(base)
        if name in space:
            return space[name]
    return _MISSING


def _has(kind: type, name: str) -> bool:
    return _look_up(_mro_of(kind), name) is not _MISSING


def _of_class(value: type, name: str) -> Member:
    found = _look_up(_mro_of(value), name)
    if found is _MISSING:
        return Member("refused", f"no attribute .{name}")
    return Member("value", found) if type(found) is FunctionType else _unbound(found, name, value)


def _unbound(found: object, name: str, owner: type) -> Member:
    """What a class has under a name, where an object has nothing of its own."""
    kind = type(found)
    if kind is staticmethod:
        return Member("value", cast("Any", found).__func__)
    if kind is classmethod:
        inner = cast("Any", found).__func__
        if type(inner) is FunctionType:
            return Member("method", inner, owner)
    if _has(kind, "__get__"):
        return Member("refused", f".{name}, a descriptor")
    return Member("value", found)


def _of_object(value: object, kind: type, name: str) -> Member:
    mro = _mro_of(kind)
    for base in mro:
        space: Mapping[str, object] = _space_of(base)
        if "__getattr__" in space:
            return Member("refused", "an object whose class has __getattr__")
        if "__getattribute__" in space and base not in _PLAIN_BASES:
            return Member("refused", "an object whose class has __getattribute__")
    found = _look_up(mro, name)
    if found is not _MISSING:
        read = _by_descriptor(value, found, kind, name)
        if read is not None:
            return read
    own = _own_space(value, mro)
    if own is None:
        return Member("refused", "an object whose __dict__ is no plain one")
    if name in own:
        return Member("value", own[name])
    if found is _MISSING:
        return Member("refused", f"no attribute .{name}")
    if type(found) is FunctionType:
        return Member("method", found, value)
    return _unbound(found, name, kind)


def _own_space(value: object, mro: tuple[type, ...]) -> dict[str, object] | None:
    """An object's own dictionary; empty where it has none, None where that would run code."""
    getter = _look_up(mro, "__dict__")
    if getter is _MISSING:
        return {}
    if type(getter) is not GetSetDescriptorType:
        return None
    space: object = getter.__get__(value)
    return cast("dict[str, object]", space) if type(space) is dict else None


def _by_descriptor(value: object, found: object, kind: type, name: str) -> Member | None:
    """What a class has under a name and goes before what the object has itself; None: it does not."""
    how = type(found)
    if how is MemberDescriptorType or how is _tuple_getter():
        try:
            return Member("value", cast("Any", found).__get__(value, kind))
        except AttributeError:
            return Member("refused", f"no attribute .{name}")
    if how is property:
        function = cast("Any", found).fget
        if type(function) is FunctionType:
            return Member("property", function, value)
    enum = sys.modules.get("enum")
    if enum is not None and type(kind) is enum.EnumType and name in ("value", "name"):
        own = _own_space(value, _mro_of(kind))
        if found is vars(enum.Enum)[name] and own is not None and f"_{name}_" in own:
            return Member("value", own[f"_{name}_"])
    if _has(how, "__set__") or _has(how, "__delete__"):
        return Member("refused", f".{name}, a descriptor")
    return None


def _tuple_getter() -> type | None:
    """The class of a NamedTuple's fields."""
    return getattr(sys.modules.get("_collections"), "_tuplegetter", None)
