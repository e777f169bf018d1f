"""Capture: from a Python function to its syntax tree, its parameters, its guards and the blob that the compiler reads.

`capture(fn)` never raises for a function it cannot capture; `refusals` then says why. Three tables make it quick: for each
function object the `Captured` somebody holds; for each code object its node and the names it uses; for these the blobs by
captured values. So a new function object with known code costs the look-up of its names.

Importing this module is cheap: parsing and encoding are imported by the first capture.
"""

from __future__ import annotations

import weakref
from copy import copy
from functools import cache, partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, NamedTuple, cast

from sabot import _bound
from sabot._annotations import blob_annotation, resolve
from sabot._guards import (
    Found,
    Frozen,
    Guards,
    builtins_of,
    find_dotted,
    find_names,
    is_callable,
    is_scalar,
    scalar_key,
)

if TYPE_CHECKING:
    import ast
    from collections.abc import Hashable, Mapping, Sequence
    from typing import TypeAlias

    from sabot._annotations import Annotation
    from sabot._bound import Called
    from sabot._encode import Callee
    from sabot._guards import Check
    from sabot._imports import Import
    from sabot._source import Source

    FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_VARARGS, _VARKEYWORDS, _GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x4, 0x8, 0x20, 0x80, 0x200
_BLOBS_MAX = 8  # of one code object, by captured values
_CALLS_MAX = 8  # functions that are looked up inside each other
_CALLEES_MAX = 64
_FUNCTIONS_MAX = 16  # in one captured tuple
_TUPLE_MAX = 256  # values of a captured tuple


class Refusal(NamedTuple):
    """Why a function is not captured: a code of `src/ir/refusal.h`. Lines count from 1, columns are UTF-8 bytes from 0."""

    code: str
    detail: str
    line: int
    col: int
    end_line: int
    end_col: int


class Param(NamedTuple):
    """A parameter: `kind` is "positional" or "keyword_only"; `default` means something only where `has_default`."""

    name: str
    kind: str
    has_default: bool
    default: object


class Captured:
    """One function as it was when captured. Holds the function, so keep it no longer than what was built from it.

    base: the plain function that is called. bound: what it is always given, by a partial object or as a method's object.
    places: where each of `params` stands among the function's own.
    """

    __slots__ = (
        "__weakref__",
        "annotations",
        "base",
        "blob",
        "bound",
        "file",
        "first_line",
        "fn",
        "guards",
        "name",
        "node",
        "owner",
        "params",
        "places",
        "record",
        "refusals",
        "source",
    )

    fn: object
    name: str
    file: str
    first_line: int
    params: tuple[Param, ...] | None
    blob: bytes | None
    refusals: tuple[Refusal, ...]
    guards: Guards | None
    annotations: dict[str, Annotation]
    record: str  # the parameter of a record function that was bound to columns; else ""
    node: FunctionNode | None
    owner: str | None
    source: Source | None
    base: FunctionType | None
    bound: Mapping[str, object]
    places: tuple[int, ...]

    def source_line(self, number: int) -> str | None:
        """The text of a line of the function's file as it was compiled, without its end; None where it is not known."""
        return self.source.line(number) if self.source is not None else None

    def mangle(self, name: str) -> str:
        """A name as the function's code object has it: `__x` in a class body is a private name."""
        return _mangle(self.owner, name)


def capture(fn: object) -> Captured:
    """Captures a function; the same object again while nothing it depends on has changed and somebody holds it."""
    known = _by_function.get(id(fn))
    if (
        known is not None
        and known.fn is fn
        and (known.guards is None or known.guards.changed() is None)
    ):
        return known
    # By exact type: isinstance would ask an object for its __class__, which may be code of its own.
    captured = _capture_called(fn) or capture_opaque(fn)
    _by_function[id(fn)] = captured
    return captured


# By id: the values hold their functions, so an entry lives exactly as long as its key means this function.
_by_function: weakref.WeakValueDictionary[int, Captured] = weakref.WeakValueDictionary()


class _Code:
    """What one code object always gives: its node, the names it uses, why it is refused, and blobs by captured values."""

    __slots__ = (
        "blobs",
        "called",
        "code",
        "dotted",
        "imports",
        "locals",
        "names",
        "node",
        "owner",
        "rebound",
        "refusals",
        "source",
    )

    def __init__(self, code: CodeType) -> None:
        key = id(code)
        self.code = weakref.ref(code, lambda _: _forget(key))
        self.locals: tuple[str, ...] = ()
        self.node: FunctionNode | None = None
        self.owner: str | None = None
        self.source: Source | None = None
        self.names: tuple[str, ...] = ()
        self.dotted: tuple[str, ...] = ()
        self.called: frozenset[str] = frozenset()
        self.imports: dict[str, Import] = {}
        self.rebound: frozenset[str] = frozenset()  # parameters
        self.refusals: tuple[Refusal, ...] = ()
        self.blobs: dict[Hashable, bytes] = {}


_by_code: dict[int, _Code] = {}


def _forget(key: int) -> None:
    _by_code.pop(key, None)


def _capture_called(fn: object) -> Captured | None:
    """A plain function, a bound method or a partial object of one; None for anything else."""
    called = _bound.resolve(fn, objects=False)
    if called is None or type(called.fn) is not FunctionType:
        return None
    bound = _bound.bind(called.fn, called)
    return None if bound is None else _capture_function(fn, called.fn, called, bound)


def _capture_function(
    given: object, fn: FunctionType, called: Called, bound: Mapping[str, object]
) -> Captured:
    entry = _entry(fn)
    captured = Captured()
    captured.fn = given
    captured.base = fn
    captured.bound = bound
    captured.record = ""
    captured.name = fn.__name__
    captured.file = fn.__code__.co_filename
    captured.first_line = fn.__code__.co_firstlineno
    captured.params, captured.places = _left(_params(fn), bound, len(called.args))
    captured.node, captured.owner, captured.source = entry.node, entry.owner, entry.source
    captured.annotations = _annotations(fn)
    seen = _see(fn, entry, bound, called)
    captured.guards = seen.guards
    captured.refusals = entry.refusals or _odd_globals(fn)
    captured.blob = None if captured.refusals else _blob(captured, entry, seen)
    return captured


def _entry(fn: FunctionType) -> _Code:
    code = fn.__code__
    entry = _by_code.get(id(code))
    if entry is None or entry.code() is not code:
        entry = _read_code(code, fn.__globals__)
    return entry


class _Seen(NamedTuple):
    """What a function found outside itself, with the functions that it may call, by `Called.key`."""

    found: dict[str, Found]
    guards: Guards
    callees: dict[Hashable, Callee]
    key: Hashable


def _see(
    fn: FunctionType,
    entry: _Code,
    bound: Mapping[str, object],
    called: Called,
    outer: tuple[Hashable, ...] = (),
) -> _Seen:
    """Looks up the names of a function, and those of the functions among them that are user code; of itself, too."""
    names = find_names(fn, entry.names)
    fixed = {name: Found("bound", v) for name, v in bound.items() if name not in entry.rebound}
    every: list[Check] = [*called.checks]
    imported: dict[str, Found] = {}
    if entry.imports:
        from sabot._imports import find_imports

        imported, read, check = find_imports(fn, entry.imports)
        every += [*read, check]
    mangle = partial(_mangle, entry.owner)
    plain = {**names, **imported, **fixed}
    dotted, attributes = find_dotted(plain, entry.dotted, mangle)
    every += attributes
    found = {**plain, **dotted}
    callees: dict[Hashable, Callee] = {}
    keys: list[Hashable] = [
        (name, _value_key(value)) for name, value in bound.items() if name in entry.rebound
    ]
    others: list[Guards] = []
    recursive = False
    outer = (*outer, _bound.Called(fn, (), bound, ()).key)
    for name, value in found.items():
        key: Hashable = _value_key(value.value)
        named = name in entry.called or value.origin == "property"
        functions = _functions_in(value.value, named)
        if functions:
            parts: list[Hashable] = [type(value.value), len(functions)]
            for function in functions:
                target = _bound.resolve(function)
                part = _value_key(function)
                if target is not None:
                    part = _call(target, fn, outer, callees, others)
                    every += target.checks
                    recursive = recursive or (type(part) is tuple and part[0] == "outer")
                parts.append(part)
            key = (*parts, _keys_of(value.value))
        keys.append((value.origin, key))
    guards = Guards(fn, {**names, **fixed}, tuple(every), tuple(others), recursive)
    callees[called.key] = _described(fn, entry, bound, found)
    return _Seen(found, guards, callees, tuple(keys))


def _functions_in(value: object, called: bool) -> tuple[object, ...]:
    """The functions that a captured value is or holds. called: it is called by its name, so it may be an object that can be."""
    if called or is_callable(value):
        return (value,)
    if type(value) is Frozen and not value.is_plain:
        pairs = cast("tuple[tuple[object, object], ...]", value.items)
        return value.items if value.kind == "list" else tuple(pair[1] for pair in pairs)
    if type(value) is tuple:
        items = cast("tuple[object, ...]", value)
        if 0 < len(items) <= _FUNCTIONS_MAX and all(map(is_callable, items)):
            return items
    return ()


def _keys_of(value: object) -> Hashable:
    """Of a dict of functions, its keys; it lives no longer than the functions."""
    if type(value) is not Frozen or value.kind != "dict":
        return None
    pairs = cast("tuple[tuple[object, object], ...]", value.items)
    return value.kind, tuple(scalar_key(pair[0]) for pair in pairs)


def _described(
    fn: FunctionType,
    entry: _Code,
    bound: Mapping[str, object],
    found: dict[str, Found],
    refusal: tuple[str, str] | None = None,
) -> Callee:
    from sabot._encode import Callee

    late = {name: value for name, value in bound.items() if name in entry.rebound}
    names = tuple(name for name in entry.locals if name not in bound or name in late)
    mangle = partial(_mangle, entry.owner)
    return Callee(fn, entry.node, names, found, mangle, refusal, tuple(bound), late)


def _call(
    called: Called,
    fn: FunctionType,
    outer: tuple[Hashable, ...],
    callees: dict[Hashable, Callee],
    others: list[Guards],
) -> Hashable:
    """Looks at what a function calls; gives what tells its text apart from others."""
    target, key = called.fn, called.key
    if type(target) is not FunctionType or not _is_users(target, fn):
        given = (*called.args, *called.keywords.values())
        return (id(target), *called.keywords, *map(_value_key, given))
    bound = _bound.bind(target, called)
    own = _bound.Called(target, (), bound, ()).key if bound is not None else None
    if own in outer:
        return "outer", outer.index(own)
    if key in callees:
        return "known", list(callees).index(key)
    if len(outer) > _CALLS_MAX or len(callees) >= _CALLEES_MAX:
        return "more", id(target)
    other = _callee(target, bound, called, outer)
    callees.update(other.callees)
    others.append(other.guards)
    return other.key


def _is_users(target: FunctionType, fn: FunctionType) -> bool:
    """Whether a function belongs to the code that calls it: libraries are not read, nor compiled."""
    mine, its = (str(one.__module__).partition(".")[0] for one in (fn, target))
    return mine == its or not target.__code__.co_filename.startswith(_libraries())


@cache
def _libraries() -> tuple[str, ...]:
    import sysconfig

    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return "<frozen ", *(folder.rstrip("/") + "/" for folder in folders)


def _callee(
    fn: FunctionType,
    bound: Mapping[str, object] | None,
    called: Called,
    outer: tuple[Hashable, ...],
) -> _Seen:
    """A function that another one names: `callees` has itself too."""
    entry = _entry(fn)
    refusals = entry.refusals or _odd_globals(fn)
    accepted = [one for one in refusals if (one.code, one.detail) != ("signature", "*args")]
    refusal = (accepted[0].code, accepted[0].detail) if accepted else None
    if bound is None:
        refusal = ("signature", "what a partial object gives does not fit")
        bound = {}
    if refusal is None:
        seen = _see(fn, entry, bound, called, outer)
    else:
        own = _described(fn, entry, bound, {}, refusal)
        seen = _Seen({}, Guards(fn, {}), {called.key: own}, ())
    defaults = tuple(_value_key(value) for value in (fn.__defaults__ or ()))
    kwdefaults = tuple(
        (name, _value_key(value)) for name, value in (fn.__kwdefaults__ or {}).items()
    )
    # The entry itself, not the code's address: that may be another's once the code is gone.
    key: Hashable = ("function", entry, tuple(bound), defaults, kwdefaults, seen.key)
    key = ("refused", fn.__name__, refusal) if refusal is not None else key
    return seen._replace(key=key)


def callees_of(fn: FunctionType) -> dict[Hashable, Callee]:
    """A function of the package that stands in for a builtin, with all that it calls, by `Called.key`."""
    called = _bound.Called(fn, (), {}, ())
    return _callee(fn, {}, called, ()).callees


def capture_opaque(fn: object) -> Captured:
    """What can be told of a callable that always runs in CPython: one that is no plain function, or is to be called by others."""
    captured = Captured()
    captured.fn = fn
    captured.record = ""
    captured.file, captured.first_line, captured.params = "", 0, None
    captured.blob = captured.guards = captured.node = captured.owner = captured.source = None
    captured.annotations = {}
    captured.base, captured.bound, captured.places = None, {}, ()
    if type(fn) is MethodType and type(fn.__func__) is FunctionType:
        function = fn.__func__
        entry = _entry(function)
        captured.name, captured.base = function.__name__, function
        captured.file = function.__code__.co_filename
        captured.first_line = function.__code__.co_firstlineno
        captured.params = _params(function)[1:]
        captured.places = tuple(range(1, len(captured.params) + 1))
        captured.node, captured.owner, captured.source = entry.node, entry.owner, entry.source
        captured.annotations = _annotations(function)
        detail = "a bound method"
    else:
        kind = type(fn).__name__
        named = kind in (
            "builtin_function_or_method",
            "type",
        )  # their names are data, not properties
        name: object = getattr(fn, "__name__", "") if named else ""
        captured.name = str(name or kind)
        detail = f"{kind} {name}" if name else f"an object of class {kind}"
    captured.refusals = (_whole(captured, "signature", detail),)
    return captured


def _read_code(code: CodeType, module_globals: dict[str, object]) -> _Code:
    """Finds the node of a code object. What was found is kept; a missing source is looked for again the next time."""
    from sabot._imports import local_imports
    from sabot._scope import bindings, dotted_names, inner_names, own_names
    from sabot._source import TooDeepError, sources_of

    entry = _Code(code)
    failure = ("no_source", "")
    for source in sources_of(code, module_globals):
        try:
            match = source.find(code)
        except TooDeepError as error:
            failure = ("too_complex", str(error))
            continue
        if match is None:
            if failure[0] == "no_source":
                failure = ("source_mismatch", "")
            continue
        entry.node, entry.owner, entry.source = match.node, match.owner, source
        mangle = partial(_mangle, match.owner)
        bound, used = own_names(match.node, mangle)
        entry.imports = local_imports(match.node, mangle)
        given = _given(code)
        own = dict.fromkeys((*given, *bound))
        entry.locals = tuple(name for name in own if name not in entry.imports)
        counts = bindings(match.node, mangle)
        entry.rebound = frozenset(name for name in given if counts[name] > 1)
        used = dict.fromkeys((*used, *inner_names(match.node, mangle)))
        entry.names = tuple(name for name in used if name not in own)
        entry.dotted, entry.called = dotted_names(match.node)
        entry.refusals = _signature(code, match.node)
        _by_code[id(code)] = entry
        return entry
    line = code.co_firstlineno
    entry.refusals = (*_signature(code, None), Refusal(*failure, line, 0, line, 0))
    if failure[0] == "source_mismatch":
        _by_code[id(code)] = entry
    return entry


def _signature(code: CodeType, node: FunctionNode | None) -> tuple[Refusal, ...]:
    """Refusals of the kinds of function and parameter that are never compiled."""
    from sabot._scope import own_yield

    flags = code.co_flags
    yields = node and own_yield(node)
    details = (
        (flags & _VARARGS, "*args", node and node.args.vararg),
        (flags & _VARKEYWORDS, "**kwargs", node and node.args.kwarg),
        (flags & _GENERATOR, "a generator function", yields),
        (flags & _COROUTINE, "an async function", node),
        (flags & _ASYNC_GENERATOR, "an async generator function", yields),
    )
    line = code.co_firstlineno
    return tuple(
        Refusal("signature", detail, place.lineno, place.col_offset, *_end(place))
        if place
        else Refusal("signature", detail, line, 0, line, 0)
        for is_set, detail, place in details
        if is_set
    )


def _end(place: ast.expr | ast.stmt | ast.arg) -> tuple[int, int]:
    """Where a node ends, line and column; of an async function, its word `async`."""
    line, col = place.end_lineno, place.end_col_offset
    if type(place).__name__ == "AsyncFunctionDef" or line is None or col is None:
        return place.lineno, place.col_offset + len("async")
    return line, col


def _whole(captured: Captured, code: str, detail: str) -> Refusal:
    line = captured.first_line
    return Refusal(code, detail, line, 0, line, 0)


def _odd_globals(fn: FunctionType) -> tuple[Refusal, ...]:
    """A dict subclass may run code at each look-up, so nothing can be said of its names."""
    line = fn.__code__.co_firstlineno
    return tuple(
        Refusal("captured", f"{what} of class {type(space).__name__}", line, 0, line, 0)
        for what, space in (("globals", fn.__globals__), ("builtins", builtins_of(fn)))
        if type(space) is not dict
    )


def _params(fn: FunctionType) -> tuple[Param, ...]:
    code = fn.__code__
    defaults = fn.__defaults__ or ()
    keyword_defaults: dict[str, object] = fn.__kwdefaults__ or {}
    bare = code.co_argcount - len(defaults)
    params: list[Param] = []
    for place, name in enumerate(code.co_varnames[: code.co_argcount]):
        has_default = place >= bare
        params.append(
            Param(name, "positional", has_default, defaults[place - bare] if has_default else None)
        )
    last = code.co_argcount + code.co_kwonlyargcount
    for name in code.co_varnames[code.co_argcount : last]:
        params.append(
            Param(name, "keyword_only", name in keyword_defaults, keyword_defaults.get(name))
        )
    return tuple(params)


def _left(
    params: tuple[Param, ...], bound: Mapping[str, object], by_position: int
) -> tuple[tuple[Param, ...], tuple[int, ...]]:
    """The parameters that are not bound, with their places. Those behind one that is bound by name are given by name only."""
    if not bound:
        return params, tuple(range(len(params)))
    left: list[Param] = []
    places: list[int] = []
    named = False
    for place, param in enumerate(params):
        if param.name in bound:
            named = named or place >= by_position
        else:
            left.append(param._replace(kind="keyword_only") if named else param)
            places.append(place)
    return tuple(left), tuple(places)


def _given(code: CodeType) -> tuple[str, ...]:
    """The names of all parameters, *args and **kwargs last."""
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & _VARARGS) + bool(code.co_flags & _VARKEYWORDS)
    return code.co_varnames[:count]


def _annotations(fn: FunctionType) -> dict[str, Annotation]:
    written: object = fn.__annotations__
    if type(written) is not dict or not written:
        return {}
    spaces = (fn.__globals__, builtins_of(fn))
    return {name: resolve(value, spaces) for name, value in written.items()}


def _mangle(owner: str | None, name: str) -> str:
    """Python's rule for private names."""
    if owner is None or not name.startswith("__") or name.endswith("__"):
        return name
    owner = owner.lstrip("_")
    return f"_{owner}{name}" if owner else name


def renamed(captured: Captured, params: tuple[Param, ...]) -> Captured:
    """The same function with parameters that have other names or defaults. One with a default then is not given."""
    other = copy(captured)
    other.params = params
    if captured.blob is not None:
        assert captured.node is not None
        other.blob = _encoded(other, *_seen_again(captured), captured.node)
    return other


def _seen_again(captured: Captured) -> tuple[_Code, _Seen]:
    assert captured.base is not None
    entry = _by_code[id(captured.base.__code__)]
    called = _bound.resolve(captured.fn, objects=False)
    assert called is not None
    return entry, _see(captured.base, entry, captured.bound, called)


def seen_names(captured: Captured) -> Mapping[str, Found]:
    """What the names outside a captured plain function lead to, dotted ones too."""
    return _seen_again(captured)[1].found


def seen_functions(captured: Captured) -> Mapping[Hashable, Callee]:
    """The functions that a captured plain function may call, by `Called.key`."""
    return _seen_again(captured)[1].callees


def null_skipping_blob(captured: Captured, params: Sequence[int]) -> bytes | None:
    """The blob of the function with a first line that returns None where one of these parameters is; None: it has no blob."""
    if captured.blob is None or not params:
        return captured.blob
    from sabot._nulls import guarded

    assert captured.node is not None
    node = guarded(captured.node, [captured.places[place] for place in params])
    return _encoded(captured, *_seen_again(captured), node)


def record_blob(
    captured: Captured,
    node: FunctionNode,
    param: str,
    columns: Sequence[str],
    slots: Sequence[str] = (),
    *,
    is_record: bool = True,
) -> bytes:
    """The blob of a function whose tree reads columns instead of its parameter, see `_record` and `_form`.

    slots: locals that the tree has and the function has not. is_record: it is a record function, and not of whole batches.
    """
    from sabot._encode import Header, encode
    from sabot._record import MISSING, local_of

    entry, seen = _seen_again(captured)
    own = [name for name in _locals(captured, entry) if name != param]
    header = Header(
        captured.name,
        captured.file,
        captured.first_line,
        blob_annotation(captured.annotations.get("return")),
        [*columns, *own, "missing", *(["value"] * len(slots))],
        [None] * len(columns),
        param if is_record else "",
        [*map(local_of, columns), *own, MISSING, *slots],
        _late(captured, entry),
    )
    return encode(header, node, seen.found, captured.mangle, seen.callees)


def _locals(captured: Captured, entry: _Code) -> list[str]:
    """The names that have slots: parameters that are given, then the other locals."""
    given = [entry.locals[place] for place in captured.places]
    bound = {name for name in captured.bound if name not in entry.rebound}
    return [*given, *(name for name in entry.locals if name not in bound and name not in given)]


def _late(captured: Captured, entry: _Code) -> dict[str, object]:
    """Bound parameters that the function binds anew: they begin as locals."""
    return {name: value for name, value in captured.bound.items() if name in entry.rebound}


def _blob(captured: Captured, entry: _Code, seen: _Seen) -> bytes:
    assert captured.params is not None
    assert captured.node is not None
    annotation = blob_annotation(captured.annotations.get("return"))
    key = (
        captured.name,
        annotation,
        captured.places,
        tuple(
            _value_key(param.default) if param.has_default else None for param in captured.params
        ),
        seen.key,
    )
    blob = entry.blobs.get(key)
    if blob is not None:
        return blob
    blob = _encoded(captured, entry, seen, captured.node)
    while len(entry.blobs) >= _BLOBS_MAX:
        del entry.blobs[next(iter(entry.blobs))]
    entry.blobs[key] = blob
    return blob


def _encoded(captured: Captured, entry: _Code, seen: _Seen, node: FunctionNode) -> bytes:
    from sabot._encode import Header, encode

    assert captured.params is not None
    assert captured.node is not None
    names = [param.name for param in captured.params]
    own = _locals(captured, entry)
    places = _default_places(captured.node)
    header = Header(
        captured.name,
        captured.file,
        captured.first_line,
        blob_annotation(captured.annotations.get("return")),
        [*names, *own[len(names) :]],
        [
            (param.default, places[place]) if param.has_default else None
            for place, param in zip(captured.places, captured.params, strict=True)
        ],
        names=own,
        bound=_late(captured, entry),
    )
    return encode(header, node, seen.found, captured.mangle, seen.callees)


def _value_key(value: object) -> Hashable:
    """Tells values apart as far as a blob does: scalars by value, all else by what the encoder asks about it."""
    if is_scalar(value):
        return scalar_key(value)
    kind = type(value)
    if kind is Frozen:
        return cast("Frozen", value).key
    if kind is tuple:
        items = cast("tuple[object, ...]", value)
        if len(items) <= _TUPLE_MAX:
            return "tuple", tuple(map(_value_key, items))
    by_identity = kind is BuiltinFunctionType or kind is type or kind is FunctionType
    return id(kind), id(value) if by_identity else 0


def _default_places(node: FunctionNode) -> list[ast.expr | ast.arg]:
    """For each parameter the node of its default; the parameter itself where the text has none."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    bare = len(positional) - len(arguments.defaults)
    places: list[ast.expr | ast.arg] = [*positional[:bare], *arguments.defaults]
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        places.append(default or argument)
    return places
