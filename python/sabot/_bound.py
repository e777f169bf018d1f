"""What a callable comes to: a plain function with some of its parameters bound, as by `functools.partial` or by a method's object."""

from __future__ import annotations

from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sabot._objects import called_member

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

_DEPTH_MAX = 16


class Called(NamedTuple):
    """A function of Python or of C, and what it is always given. `checks` tell whether that is still so."""

    fn: object
    args: tuple[object, ...]
    keywords: Mapping[str, object]
    checks: tuple[PartialCheck | CallCheck, ...]

    @property
    def key(self) -> Hashable:
        """Tells callables apart while their parts live."""
        named = tuple((name, id(value)) for name, value in self.keywords.items())
        return (id(self.fn), tuple(map(id, self.args)), named)


class PartialCheck:
    """A partial object, which may be given other contents."""

    __slots__ = ("_args", "_fn", "_items", "_partial")

    def __init__(self, given: Any) -> None:
        self._partial = given
        self._fn, self._args, self._items = given.func, given.args, tuple(given.keywords.items())

    def changed(self) -> str | None:
        """What was replaced, or None."""
        now = self._partial
        items: tuple[Any, ...] = ()
        keywords: object = now.keywords
        if type(keywords) is dict:
            items = tuple(cast("dict[str, object]", keywords).items())
        same = now.func is self._fn and now.args is self._args and len(items) == len(self._items)
        pairs = zip(items, self._items, strict=False)
        if same and all(one[0] == two[0] and one[1] is two[1] for one, two in pairs):
            return None
        return "functools.partial"


class CallCheck:
    """The `__call__` of an object's class."""

    __slots__ = ("_fn", "_object")

    def __init__(self, given: object, fn: FunctionType) -> None:
        self._object, self._fn = given, fn

    def changed(self) -> str | None:
        """What was replaced, or None."""
        return None if called_member(self._object) is self._fn else "__call__"


def resolve(value: object, *, objects: bool = True) -> Called | None:
    """What a call of `value` calls; None where that is not known. A plain function comes to itself.

    objects: those whose class has a `__call__` too.
    """
    args: tuple[object, ...] = ()
    keywords: dict[str, object] = {}
    checks: list[PartialCheck | CallCheck] = []
    for _ in range(_DEPTH_MAX):
        kind = type(value)
        if kind is FunctionType:
            return Called(value, args, keywords, tuple(checks))
        if kind is BuiltinFunctionType or kind is type:
            return Called(value, args, keywords, tuple(checks)) if checks else None
        if kind is MethodType:
            method = cast("MethodType", value)
            args, value = (method.__self__, *args), method.__func__
        elif kind is partial:
            given = cast("Any", value)
            named: Any = given.keywords
            if type(named) is not dict:
                return None
            args, keywords = (*given.args, *args), {**cast("dict[str, object]", named), **keywords}
            checks.append(PartialCheck(given))
            value = given.func
        else:
            function = called_member(value) if objects else None
            if function is None:
                return None
            checks.append(CallCheck(value, function))
            args, value = (value, *args), function
    return None


def bind(fn: FunctionType, called: Called) -> dict[str, object] | None:
    """The parameters that are bound, by name; None where every call would be refused, or *args would take some."""
    code = fn.__code__
    if len(called.args) > code.co_argcount:
        return None
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    bound = dict(zip(names, called.args, strict=False))
    for name, value in called.keywords.items():
        if name in bound or name not in names[code.co_posonlyargcount :]:
            return None
        bound[name] = value
    return bound
