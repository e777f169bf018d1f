"""What a function is made of, and what is worth doing with it: `UdfCompiler`.

Everything is told from the objects that the function's names lead to, now, and from its syntax tree; nothing from how a name is spelt.
"""

from __future__ import annotations

import ast
import sys
import threading
from collections import OrderedDict
from enum import Enum
from types import (
    BuiltinFunctionType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sabot._capture import capture, seen_names
from sabot._errors import PlanError
from sabot._kinds import kind_of
from sabot._udf import unwrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sabot._capture import Captured
    from sabot._guards import Found

_LIBRARIES = {"numpy": "numpy", "pandas": "pandas", "pyarrow": "arrow"}
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_ARROW_METHODS = frozenset({"column", "to_pylist"})
_LIST_METHODS = frozenset({"append", "extend", "insert", "pop", "sort", "reverse"})
_FUNCTIONS = (FunctionType, BuiltinFunctionType)
# Functions of NumPy besides its ufuncs of which each item of the result has one item of the arguments.
_BY_ITEMS = ("where", "clip", "select", "nan_to_num", "round", "isclose", "real_if_close")


class CompilationStrategy(Enum):
    """What is worth doing with a function; `UdfCompiler.choose_strategy` chooses.

    SKIP: nothing, since Arrow's or pandas' kernels do all the work. NJIT: its loops become native code. VECTORIZE: so does its arithmetic
    on NumPy arrays, item by item. AUTO: what a row can be computed by is compiled, and the rest left to Python.
    """

    SKIP = "skip"
    NJIT = "njit"
    VECTORIZE = "vectorize"
    AUTO = "auto"


class FunctionPattern(NamedTuple):
    """What a function is made of; made by `UdfCompiler.analyze`.

    Attributes:
        has_loops: it has `for`, `while` or comprehensions; loop_count: how many of them.
        has_numpy: it calls NumPy, or makes NumPy arrays of columns; numpy_call_count: how many calls of NumPy it has.
        numpy_by_items: of those, or of operators on such arrays, some work item by item, as `np.sin(x)` and `x * 2` do, and `np.sum` not.
        has_pandas: it uses pandas.
        has_arrow: it uses pyarrow, or methods of record batches.
        has_dict_access: it reads items by keys that are text, as `record["price"]`.
        has_list_ops: it makes or changes lists.
    """

    has_loops: bool = False
    loop_count: int = 0
    has_numpy: bool = False
    numpy_call_count: int = 0
    numpy_by_items: bool = False
    has_pandas: bool = False
    has_arrow: bool = False
    has_dict_access: bool = False
    has_list_ops: bool = False


class CacheInfo(NamedTuple):
    """The state of a `UdfCompiler`'s cache: of `functools.lru_cache`, and the bytes of what it holds."""

    hits: int
    misses: int
    maxsize: int
    currsize: int
    bytes: int


def pattern_of(captured: Captured, declared_kind: str | None = None) -> FunctionPattern:
    """What a captured function is made of; nothing where its source is not known."""
    if captured.node is None or captured.base is None:
        return FunctionPattern()
    reader = _Reader(captured, seen_names(captured))
    if kind_of(captured, (), "with_columns", declared_kind).kind == "batch":
        reader.is_batch()
    return reader.pattern()


class _Reader:
    def __init__(self, captured: Captured, found: Mapping[str, Found]) -> None:
        self._captured = captured
        self._found = found
        self._params = {param.name for param in captured.params or ()}
        node = captured.node
        assert node is not None
        self._body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else [*node.body]
        self._imports = _imported(self._body)
        self._seen: dict[str, Any] = {}

    def is_batch(self) -> None:
        self._seen["has_arrow"] = True

    def pattern(self) -> FunctionPattern:
        seen = self._seen
        for top in self._body:
            for node in ast.walk(top):
                self._read(node)
        if seen.get("has_numpy") and not seen.get("numpy_by_items"):
            # Arrays that columns become are computed with by operators.
            seen["numpy_by_items"] = bool(seen.get("made")) and any(
                isinstance(node, (ast.BinOp, ast.Compare, ast.UnaryOp))
                for top in self._body
                for node in ast.walk(top)
            )
        seen.pop("made", None)
        return FunctionPattern(**seen)

    def _read(self, node: ast.AST) -> None:
        seen = self._seen
        match node:
            case ast.For() | ast.AsyncFor() | ast.While():
                self._loop(1)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self._loop(len(node.generators))
                if isinstance(node, ast.ListComp):
                    seen["has_list_ops"] = True
            case ast.List(ctx=ast.Load()):
                seen["has_list_ops"] = True
            case ast.Subscript(slice=ast.Constant(str())):
                seen["has_dict_access"] = True
            case ast.Call():
                self._call(node)
            case ast.Name() | ast.Attribute():
                library = self._library(node)
                if library is not None:
                    seen[f"has_{library}"] = True
            case _:
                pass

    def _loop(self, count: int) -> None:
        self._seen["has_loops"] = True
        self._seen["loop_count"] = self._seen.get("loop_count", 0) + count

    def _call(self, node: ast.Call) -> None:
        seen = self._seen
        target = self._value(node.func)
        if target is list or target is sorted:
            seen["has_list_ops"] = True
        if self._library(node.func) == "numpy":
            seen["numpy_call_count"] = seen.get("numpy_call_count", 0) + 1
            if _is_by_items(target):
                seen["numpy_by_items"] = True
        elif isinstance(node.func, ast.Attribute) and self._library(node.func) is None:
            self._method(node.func.attr)

    def _method(self, name: str) -> None:
        """A method of something that is no module: of a batch, an array or a list, by what those alone have."""
        seen = self._seen
        if name == "to_pandas":
            seen["has_pandas"] = True
        elif name == "to_numpy":
            seen["has_numpy"] = seen["made"] = True
        elif name in _ARROW_METHODS:
            seen["has_arrow"] = True
        elif name in _LIST_METHODS:
            seen["has_list_ops"] = True

    def _value(self, node: ast.AST) -> object:
        """The object that a name outside the function leads to, or that of an import inside; None: not known."""
        text = _dotted(node)
        root, _, rest = text.partition(".")
        if not root or root in self._params:
            return None
        if root in self._imports:
            return _followed(sys.modules.get(self._imports[root][0]), self._imports[root][1], rest)
        found = self._found.get(text) or self._found.get(self._captured.mangle(root))
        if found is None or found.origin in ("missing", "not_loaded"):
            return None
        if text in self._found or not rest:
            return found.value
        return _followed(found.value, "", rest)

    def _library(self, node: ast.AST) -> str | None:
        """Which of the libraries the object of a name is from."""
        text = _dotted(node)
        root = text.partition(".")[0]
        if root in self._imports and root not in self._params:
            top = self._imports[root][0].partition(".")[0]
        else:
            name = _module_of(self._value(node))
            top = name.partition(".")[0]
        return _LIBRARIES.get(top)


def _dotted(node: ast.AST) -> str:
    from sabot._encode import dotted

    return dotted(node)[1]


def _imported(body: list[ast.AST]) -> dict[str, tuple[str, str]]:
    """The names that import statements of the function bind: each with its module and the attribute that is taken from it."""
    names: dict[str, tuple[str, str]] = {}
    for top in body:
        for node in ast.walk(top):
            if isinstance(node, ast.Import):
                for one in node.names:
                    name = one.asname or one.name.partition(".")[0]
                    names[name] = (one.name if one.asname else name, "")
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for one in node.names:
                    names[one.asname or one.name] = (node.module, one.name)
    return names


def _followed(value: object, first: str, rest: str) -> object:
    """An attribute of a module, of which no code runs; None: there is none."""
    for name in filter(None, [first, *rest.split(".")]):
        if type(value) is not ModuleType:
            return None
        value = vars(value).get(name)
    return value


def _module_of(value: object) -> str:
    if type(value) is ModuleType:
        return value.__name__
    if type(value) is MethodType:
        return _module_of(value.__func__)
    kind = _class_module(type(value))
    if isinstance(kind, str) and kind.partition(".")[0] in _LIBRARIES:
        return kind
    if issubclass(type(value), type):
        kind = _class_module(cast("type", value))
    elif any(type(value) is one for one in _FUNCTIONS) or isinstance(
        kind, MemberDescriptorType
    ):  # the latter: Cython's
        kind = getattr(value, "__module__", None)
    return kind if isinstance(kind, str) else ""


def _class_module(kind: type) -> object:
    """What a class has as `__module__`; no code of the class or a metaclass runs."""
    return type.__dict__["__module__"].__get__(kind)


def _is_by_items(target: object) -> bool:
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or target is None:
        return False
    return type(target) is numpy.ufunc or any(
        target is getattr(numpy, name, None) for name in _BY_ITEMS
    )


def strategy_of(pattern: FunctionPattern) -> CompilationStrategy:
    """The strategy for a function of this pattern."""
    if pattern.has_loops:
        return CompilationStrategy.NJIT
    if pattern.numpy_by_items:
        return CompilationStrategy.VECTORIZE
    if (pattern.has_arrow or pattern.has_pandas) and not pattern.has_numpy:
        return CompilationStrategy.SKIP
    return CompilationStrategy.AUTO


class _Entry(NamedTuple):
    fn: object  # held, so that its id stays its own
    made: Callable[..., Any]
    size: int


class UdfCompiler:
    """Compiles functions as `auto_compile` does and holds the latest ones; what was not used for longest goes first.

    Safe to use from several threads.

    Parameters:
        max_cache_size: functions that are held.
        max_cache_bytes: the size of what is held, in bytes: the functions' code and what the compiler read of them; None: no limit.
            A function that is larger alone is compiled and not held.

    Raises:
        PlanError: a limit that is no whole number from 1 on.

    >>> import sabot as sb
    >>> def area(w, h):
    ...     return w * h
    >>> compiler = sb.UdfCompiler(max_cache_size=100)
    >>> compiler.compile_udf(area) is compiler.compile_udf(area)
    True
    >>> compiler.cache_info().hits, compiler.choose_strategy(compiler.analyze(area)).name
    (1, 'AUTO')
    """

    def __init__(self, max_cache_size: int = 1000, max_cache_bytes: int | None = None) -> None:
        for name, value in (
            ("max_cache_size", max_cache_size),
            ("max_cache_bytes", max_cache_bytes),
        ):
            given = cast("object", value)
            if given is None and name == "max_cache_bytes":
                continue
            if not isinstance(given, int) or isinstance(given, bool) or given < 1:
                raise PlanError(f"{name}={given!r}: it is a whole number from 1 on")
        self._size_max, self._bytes_max = max_cache_size, max_cache_bytes
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._lock = threading.RLock()  # the collector of garbage may call in again
        self._hits = self._misses = self._bytes = 0

    def compile_udf(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """What `auto_compile` gives for a function; the same object while it is held.

        Raises:
            PlanError: as `auto_compile` does.
        """
        with self._lock:
            entry = self._entries.get(id(fn))
            if entry is not None:
                self._entries.move_to_end(id(fn))
                self._hits += 1
                return entry.made
            self._misses += 1
        from sabot._auto import auto_compile

        made = _Entry(fn, auto_compile(fn), _size_of(fn))
        with self._lock:
            entry = self._entries.get(id(fn))
            if entry is None:
                self._keep(made)
            return made.made if entry is None else entry.made

    def _keep(self, entry: _Entry) -> None:
        limit = self._bytes_max
        if limit is not None and entry.size > limit:
            return
        self._entries[id(entry.fn)] = entry
        self._bytes += entry.size
        while len(self._entries) > self._size_max or (limit is not None and self._bytes > limit):
            _, gone = self._entries.popitem(last=False)
            self._bytes -= gone.size

    def analyze(self, fn: Callable[..., Any]) -> FunctionPattern:
        """What a function is made of; nothing where its source is not known.

        Raises:
            PlanError: it is no function.
        """
        function, options = unwrap(fn)
        if not callable(function):
            raise PlanError(f"analyze takes a function, not {type(fn).__name__}")
        return pattern_of(capture(function), options.kind)

    def choose_strategy(self, pattern: FunctionPattern) -> CompilationStrategy:
        """What is worth doing with a function of this pattern.

        NJIT where it has loops of its own; else VECTORIZE where it computes with NumPy item by item; else SKIP where all it uses is Arrow
        or pandas; else AUTO.

        Raises:
            PlanError: what was given is no pattern.
        """
        given = cast("object", pattern)
        if not isinstance(given, FunctionPattern):
            raise PlanError(f"choose_strategy takes a FunctionPattern, not {type(given).__name__}")
        return strategy_of(given)

    def cache_info(self) -> CacheInfo:
        """Hits, misses, the most functions that are held, how many are, and their bytes."""
        with self._lock:
            return CacheInfo(
                self._hits, self._misses, self._size_max, len(self._entries), self._bytes
            )


def _size_of(fn: object) -> int:
    captured = capture(unwrap(fn)[0])
    code = captured.base.__code__ if captured.base is not None else None
    held = sys.getsizeof(fn) + (sys.getsizeof(code) + len(code.co_code) if code else 0)
    return held + len(captured.blob or b"")
