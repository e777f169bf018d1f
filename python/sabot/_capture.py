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
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sabot._annotations import blob_annotation, resolve
from sabot._guards import (
    Frozen,
    Guards,
    builtins_of,
    find_dotted,
    find_names,
    is_scalar,
    scalar_key,
)

if TYPE_CHECKING:
    import ast
    from collections.abc import Hashable, Sequence
    from typing import TypeAlias

    from sabot._annotations import Annotation
    from sabot._encode import Callee
    from sabot._guards import Found
    from sabot._source import Source

    FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_VARARGS, _VARKEYWORDS, _GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x4, 0x8, 0x20, 0x80, 0x200
_BLOBS_MAX = 8  # of one code object, by captured values
_CALLS_MAX = 8  # functions that are looked up inside each other
_CALLEES_MAX = 64
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
    """One function as it was when captured. Holds the function, so keep it no longer than what was built from it."""

    __slots__ = (
        "__weakref__",
        "annotations",
        "blob",
        "file",
        "first_line",
        "fn",
        "guards",
        "name",
        "node",
        "owner",
        "params",
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
    captured = _capture_function(fn) if type(fn) is FunctionType else _capture_other(fn)
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
        "locals",
        "names",
        "node",
        "owner",
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
        self.refusals: tuple[Refusal, ...] = ()
        self.blobs: dict[Hashable, bytes] = {}


_by_code: dict[int, _Code] = {}


def _forget(key: int) -> None:
    _by_code.pop(key, None)


def _capture_function(fn: FunctionType) -> Captured:
    code = fn.__code__
    entry = _by_code.get(id(code))
    if entry is None or entry.code() is not code:
        entry = _read_code(code, fn.__globals__)
    captured = Captured()
    captured.fn = fn
    captured.record = ""
    captured.name = fn.__name__
    captured.file = code.co_filename
    captured.first_line = code.co_firstlineno
    captured.params = _params(fn)
    captured.node, captured.owner, captured.source = entry.node, entry.owner, entry.source
    captured.annotations = _annotations(fn)
    seen = _see(fn, entry)
    captured.guards = seen.guards
    captured.refusals = entry.refusals or _odd_globals(fn)
    captured.blob = None if captured.refusals else _blob(captured, entry, seen)
    return captured


class _Seen(NamedTuple):
    """What a function found outside itself, with the functions that it may call, by id."""

    found: dict[str, Found]
    guards: Guards
    callees: dict[int, Callee]
    key: Hashable


def _see(fn: FunctionType, entry: _Code, outer: tuple[int, ...] = ()) -> _Seen:
    """Looks up the names of a function, and those of the functions among them that are user code."""
    names = find_names(fn, entry.names)
    dotted, attributes = find_dotted(names, entry.dotted)
    found = {**names, **dotted}
    callees: dict[int, Callee] = {}
    keys: list[Hashable] = []
    others: list[Guards] = []
    for name, value in found.items():
        target = value.value
        key: Hashable = (value.origin, _value_key(target))
        if type(target) is FunctionType and name in entry.called and _is_users(target, fn):
            new = id(target) not in callees and id(target) not in (*outer, id(fn))
            if new and len(outer) < _CALLS_MAX and len(callees) < _CALLEES_MAX:
                other = _callee(target, (*outer, id(fn)))
                callees.update(other.callees)
                others.append(other.guards)
                key = (value.origin, other.key)
        keys.append(key)
    guards = Guards(fn, names, attributes, tuple(others))
    return _Seen(found, guards, callees, tuple(keys))


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


def _callee(fn: FunctionType, outer: tuple[int, ...]) -> _Seen:
    """A function that another one names: `callees` has itself too."""
    code = fn.__code__
    entry = _by_code.get(id(code))
    if entry is None or entry.code() is not code:
        entry = _read_code(code, fn.__globals__)
    refusals = entry.refusals or _odd_globals(fn)
    accepted = [one for one in refusals if (one.code, one.detail) != ("signature", "*args")]
    refusal = (accepted[0].code, accepted[0].detail) if accepted else None
    seen = _see(fn, entry, outer) if refusal is None else _Seen({}, Guards(fn, {}), {}, ())
    mangle = partial(_mangle, entry.owner)
    from sabot._encode import Callee

    own = Callee(fn, entry.node, entry.locals, seen.found, mangle, refusal)
    defaults = tuple(_value_key(value) for value in (fn.__defaults__ or ()))
    kwdefaults = tuple(
        (name, _value_key(value)) for name, value in (fn.__kwdefaults__ or {}).items()
    )
    key = ("function", id(code), defaults, kwdefaults, seen.key)
    return _Seen(seen.found, seen.guards, {**seen.callees, id(fn): own}, key)


def callees_of(fn: FunctionType) -> dict[int, Callee]:
    """A function of the package that stands in for a builtin, with all that it calls, by id."""
    return _callee(fn, ()).callees


def _capture_other(fn: object) -> Captured:
    """What can be told of a callable that is no plain function; it always runs in CPython."""
    captured = Captured()
    captured.fn = fn
    captured.record = ""
    captured.file, captured.first_line, captured.params = "", 0, None
    captured.blob = captured.guards = captured.node = captured.owner = captured.source = None
    captured.annotations = {}
    if type(fn) is MethodType and type(fn.__func__) is FunctionType:
        below = _capture_function(fn.__func__)
        captured.name, captured.file, captured.first_line = below.name, below.file, below.first_line
        captured.params = (below.params or ())[1:]
        captured.node, captured.owner, captured.source = below.node, below.owner, below.source
        captured.annotations = below.annotations
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
    from sabot._scope import dotted_names, inner_names, own_names
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
        entry.locals = tuple(dict.fromkeys((*_given(code), *bound)))
        used = dict.fromkeys((*used, *inner_names(match.node, mangle)))
        entry.names = tuple(name for name in used if name not in entry.locals)
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
        fn: Any = captured.fn
        entry = _by_code[id(fn.__code__)]
        assert captured.node is not None
        other.blob = _encoded(other, entry, _see(fn, entry), captured.node)
    return other


def null_skipping_blob(captured: Captured, params: Sequence[int]) -> bytes | None:
    """The blob of the function with a first line that returns None where one of these parameters is; None: it has no blob."""
    if captured.blob is None or not params:
        return captured.blob
    from sabot._nulls import guarded

    fn: Any = captured.fn
    entry = _by_code[id(fn.__code__)]
    assert captured.node is not None
    return _encoded(captured, entry, _see(fn, entry), guarded(captured.node, params))


def record_blob(
    captured: Captured,
    node: FunctionNode,
    param: str,
    columns: Sequence[str],
    slots: Sequence[str] = (),
) -> bytes:
    """The blob of a record function whose tree reads columns instead of its parameter, see `_record`.

    slots: locals that the tree has and the function has not.
    """
    from sabot._encode import Header, encode
    from sabot._record import MISSING, local_of

    fn: Any = captured.fn
    entry = _by_code[id(fn.__code__)]
    seen = _see(fn, entry)
    own = [name for name in entry.locals if name != param]
    header = Header(
        captured.name,
        captured.file,
        captured.first_line,
        blob_annotation(captured.annotations.get("return")),
        [*columns, *own, "missing", *(["value"] * len(slots))],
        [None] * len(columns),
        param,
        [*map(local_of, columns), *own, MISSING, *slots],
    )
    return encode(header, node, seen.found, captured.mangle, seen.callees)


def _blob(captured: Captured, entry: _Code, seen: _Seen) -> bytes:
    assert captured.params is not None
    assert captured.node is not None
    annotation = blob_annotation(captured.annotations.get("return"))
    key = (
        captured.name,
        annotation,
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
    places = _default_places(captured.node)
    header = Header(
        captured.name,
        captured.file,
        captured.first_line,
        blob_annotation(captured.annotations.get("return")),
        [*names, *entry.locals[len(names) :]],
        [
            (param.default, places[place]) if param.has_default else None
            for place, param in enumerate(captured.params)
        ],
        names=entry.locals,
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
    return id(kind), id(value) if kind in (BuiltinFunctionType, type, FunctionType) else 0


def _default_places(node: FunctionNode) -> list[ast.expr | ast.arg]:
    """For each parameter the node of its default; the parameter itself where the text has none."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    bare = len(positional) - len(arguments.defaults)
    places: list[ast.expr | ast.arg] = [*positional[:bare], *arguments.defaults]
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        places.append(default or argument)
    return places
