"""From a live code object to its place in the source text: which syntax-tree node made it.

The text is whatever `linecache` holds for the file, or what `python -c` was given. It is parsed once, whole, to learn where its
top-level statements begin and end; the statement around a function is then compiled with the code's own future flags, and a
code object is accepted only where CPython's own `candidate == live` holds: constants with their types, line and column
tables, exception table. Only constants that are NaN, which equal nothing, are compared by their bits. To learn which node made
the accepted one, the statement is compiled a second time with every `def` and `lambda` moved to a line of its own, and both
trees of code objects are walked in step.

Of a module's other statements only two things reach the code of a function: future flags, and which names are imported (calls
of their attributes are compiled in another way). A statement is therefore compiled apart, with these two; what does not match
so is looked for once more in the file compiled whole. Sources and compiled statements are kept, each in a bounded table; the
tree of a whole file only after such a second look. Nothing here runs user code, except a module loader's `get_source`, through `linecache`.

Threads: one lock round all tables, also because hiding the warnings of a compilation changes the whole process.
"""

from __future__ import annotations
import __future__

import ast
import linecache
import os
import struct
import sys
import threading
import warnings
from bisect import bisect_left
from types import CodeType
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    Group: TypeAlias = dict[tuple[str, int], list["Match"]]
    Nodes: TypeAlias = dict[tuple[str, int], tuple[FunctionNode, str | None]]

_FILES_MAX = 64
_WHOLE = -1  # in place of a statement's number: the whole file
_STATEMENTS_MAX = 32  # of one file
_MARK_BASE = 1 << 28  # no file has that many lines, and it fits a line table
_OPTIONS_WITH_VALUE = "WX"

_CO_NESTED = 0x10  # what "nested_scopes" names; it only says that a function is nested


def _future_flags() -> int:
    mask = 0
    for name in __future__.all_feature_names:
        mask |= getattr(__future__, name).compiler_flag
    return mask & ~_CO_NESTED


_FUTURE_FLAGS = _future_flags()

_locks = [threading.RLock()]  # one
_files: dict[tuple[str, int], tuple[object, Source]] = {}


def _renew_lock() -> None:
    _locks[0] = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)  # another thread may hold it while this one forks


class TooDeepError(Exception):
    """The parser or compiler of this Python gave up on the nesting of a source text."""


class Match(NamedTuple):
    """The node that made a code object; `owner` is the class whose body it stands in (None: no class), for private names."""

    code: CodeType
    node: FunctionNode
    owner: str | None


class Source:
    """The text of one file, cell or command, and the compiled statements of it that were asked for."""

    __slots__ = ("_ends", "_flags", "_groups", "_imports", "filename", "lines")

    def __init__(self, text: str, filename: str) -> None:
        self.filename = filename
        # The tokenizer's lines: str.splitlines would also break at form feeds and Unicode separators.
        self.lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._flags = 0
        self._ends: list[int] | None = None
        self._imports: ast.Import | None = None
        self._groups: dict[tuple[int, int], Group] = {}

    def line(self, number: int) -> str | None:
        """The text of a line, counted from 1, without its end; None outside the file."""
        return self.lines[number - 1] if 1 <= number <= len(self.lines) else None

    def find(self, code: CodeType) -> Match | None:
        """The node of this text that compiles to exactly `code`. Raises TooDeepError where Python cannot compile the text."""
        with _locks[0]:
            try:
                return self._find(code)
            except (RecursionError, MemoryError) as error:
                raise TooDeepError(str(error)) from None
            except (SyntaxError, ValueError, OverflowError):
                return None

    def _find(self, code: CodeType) -> Match | None:
        if self._ends is None:
            self._ends = self._read_statements()
        place = bisect_left(self._ends, code.co_firstlineno)
        for statement in (place, _WHOLE) if place < len(self._ends) else ():
            group = self._group(statement, code.co_flags & _FUTURE_FLAGS)
            for match in group.get((code.co_name, code.co_firstlineno), ()):
                if match.code == code or _with_nans_of(match.code, code) == code:
                    return match
        return None

    def _read_statements(self) -> list[int]:
        """The last line of each top-level statement; statements that share a line count as one."""
        text = "\n".join(self.lines)
        try:
            tree = _parse(text, self.filename, 0)
        except SyntaxError:
            # Notebooks compile their cells so.
            tree = _parse(text, self.filename, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            self._flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        ends: list[int] = []
        for statement in tree.body:
            if ends and statement.lineno <= ends[-1]:
                ends.pop()
            ends.append(statement.end_lineno or statement.lineno)
        names = _imported_names(tree)
        if names:
            place = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
            aliases = [ast.alias(name=name, asname=None, **place) for name in names]
            self._imports = ast.Import(names=aliases, **place)
        return ends

    def _group(self, statement: int, future: int) -> Group:
        key = (statement, future)
        group = self._groups.pop(key, None)
        if group is None:
            group = self._compile_statement(statement, future)
        while len(self._groups) >= _STATEMENTS_MAX:
            del self._groups[next(iter(self._groups))]
        self._groups[key] = group
        return group

    def _compile_statement(self, statement: int, future: int) -> Group:
        tree = self._statement_tree(statement)
        if tree is None:
            return {}
        plain = _compile(tree, self.filename, self._flags | future)
        marked, nodes = _compile_marked(tree, self.filename, self._flags | future)
        group: Group = {}
        pairs = [(plain, marked)]
        while pairs:
            code, twin = pairs.pop()
            node = nodes.get((twin.co_name, twin.co_firstlineno))
            if node is not None:
                match = Match(code, *node)
                group.setdefault((code.co_name, code.co_firstlineno), []).append(match)
            pairs.extend(reversed(_pair_children(code, twin, nodes)))
        return group

    def _statement_tree(self, statement: int) -> ast.Module | None:
        """The tree of one statement with its file's lines, or of the whole file; None where it cannot stand alone."""
        if statement == _WHOLE:
            return _parse("\n".join(self.lines), self.filename, self._flags)
        ends = self._ends or []
        first = ends[statement - 1] if statement else 0
        try:
            tree = _parse(
                "\n".join(self.lines[first : ends[statement]]), self.filename, self._flags
            )
        except SyntaxError:
            return None  # a line that ends in "; \\" belongs to two statements
        if first:
            ast.increment_lineno(tree, first)
        if self._imports is not None:
            tree.body.append(self._imports)
        return tree


def _with_nans_of(mine: object, its: object) -> object:
    """A constant, or a code object, with its NaNs replaced by those of another that have the same bits at the same places.

    CPython takes a NaN among constants for equal only where it is the same object.
    """
    if type(mine) is not type(its):
        return mine
    if isinstance(mine, (float, complex)):
        return its if mine != mine and _bits(mine) == _bits(its) else mine
    if isinstance(mine, tuple):
        ours, theirs = cast("tuple[object, ...]", mine), cast("tuple[object, ...]", its)
        return _tuple_with_nans_of(ours, theirs)
    if isinstance(mine, frozenset):
        few, others = cast("frozenset[object]", mine), cast("frozenset[object]", its)
        rest = frozenset(one for one in few if not _is_nan(one))
        return rest.union(_tuple_with_nans_of(_nans(few), _nans(others)))
    if isinstance(mine, CodeType):
        consts = _tuple_with_nans_of(mine.co_consts, cast("CodeType", its).co_consts)
        return mine.replace(co_consts=consts)
    return mine


def _tuple_with_nans_of(mine: tuple[object, ...], its: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(map(_with_nans_of, mine, its)) if len(mine) == len(its) else mine


def _nans(values: frozenset[object]) -> tuple[object, ...]:
    """The NaNs of a set, in an order of their own."""
    return tuple(sorted(filter(_is_nan, values), key=_bits))


def _is_nan(value: object) -> bool:
    return isinstance(value, (float, complex)) and value != value


def _bits(value: object) -> bytes:
    """The bits of a float or a complex number."""
    number = cast("complex", value)
    return struct.pack("<dd", number.real, number.imag)


def _imported_names(tree: ast.Module) -> list[str]:
    """The names that import statements bind in a module's own scope."""
    names: dict[str, None] = {}
    stack: list[ast.AST] = [*tree.body]
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = None
        elif isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)) and not isinstance(
            node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        ):
            stack.extend(ast.iter_child_nodes(node))
    names.pop("*", None)
    return list(names)


def sources_of(code: CodeType, module_globals: dict[str, object]) -> Iterator[Source]:
    """The texts that `code` may come from, the likeliest first. `linecache` is refreshed only if the first ones fail."""
    filename = code.co_filename
    by_code = _interactive_lines(code)
    if by_code:
        yield _source(filename, by_code, 1)
    lines = linecache.getlines(filename, module_globals)
    if lines:
        yield _source(filename, lines, 0)
        linecache.checkcache(filename)
        again = linecache.getlines(filename, module_globals)
        if again and again is not lines:
            yield _source(filename, again, 0)
    if filename == "<string>":
        text = command_text(sys.orig_argv)
        if text is not None:
            yield _source(filename, text, 2)


def command_text(argv: list[str]) -> str | None:
    """The program text in a command line such as `python -X dev -c "..."`; None where there is none."""
    rest = iter(argv[1:])
    for argument in rest:
        if argument.startswith("--"):
            if argument == "--check-hash-based-pycs":
                next(rest, None)
            continue
        if not argument.startswith("-") or argument == "-":
            return None
        for place, letter in enumerate(argument[1:], 2):
            if letter == "c":
                return argument[place:] or next(rest, None)
            if letter == "m":
                return None
            if letter in _OPTIONS_WITH_VALUE:
                if not argument[place:]:
                    next(rest, None)
                break
    return None


def _interactive_lines(code: CodeType) -> list[str]:
    """The lines of a statement typed at the prompt of Python 3.13 or later, which files them by code object."""
    lines_of = getattr(linecache, "_getlines_from_code", None)
    return list(lines_of(code)) if callable(lines_of) else []  # pyright: ignore


def _source(filename: str, origin: list[str] | str, sort: int) -> Source:
    """The Source of a text, the same object again while `linecache` hands out the same list."""
    with _locks[0]:
        key = (filename, sort)
        known = _files.pop(key, None)
        if known is None or (known[0] is not origin and known[0] != origin):
            known = (origin, Source("".join(origin), filename))
        while len(_files) >= _FILES_MAX:
            del _files[next(iter(_files))]
        _files[key] = known
        return known[1]


def _parse(text: str, filename: str, flags: int) -> ast.Module:
    return cast("ast.Module", _compile_quietly(text, filename, flags | ast.PyCF_ONLY_AST))


def _compile(tree: ast.Module, filename: str, flags: int) -> CodeType:
    return cast("CodeType", _compile_quietly(tree, filename, flags))


def _compile_quietly(source: str | ast.Module, filename: str, flags: int) -> object:
    with warnings.catch_warnings():  # Python warned when it loaded the file
        warnings.simplefilter("ignore")
        return compile(source, filename, "exec", flags, dont_inherit=True)


def _compile_marked(tree: ast.Module, filename: str, flags: int) -> tuple[CodeType, Nodes]:
    """Compiles with each function node at a line of its own; also says which (name, line) is which node, in which class."""
    nodes: Nodes = {}
    marks: dict[int, int] = {}
    saved: list[tuple[ast.expr | ast.stmt, int, int, int | None, int | None]] = []
    stack: list[tuple[ast.AST, str | None]] = [(tree, None)]
    while stack:
        node, owner = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            # The first line of a decorated function is that of its first decorator.
            place = (
                node
                if isinstance(node, ast.Lambda) or not node.decorator_list
                else node.decorator_list[0]
            )
            mark = marks.setdefault(id(place), _MARK_BASE + len(marks))
            nodes["<lambda>" if isinstance(node, ast.Lambda) else node.name, mark] = (node, owner)
            saved.append(
                (place, place.lineno, place.col_offset, place.end_lineno, place.end_col_offset)
            )
        inner = node.name if isinstance(node, ast.ClassDef) else owner
        stack.extend((child, inner) for child in ast.iter_child_nodes(node))
    try:
        for place, *_ in saved:
            place.lineno = place.end_lineno = marks[id(place)]
            place.col_offset = place.end_col_offset = 0
        return _compile(tree, filename, flags), nodes
    finally:
        for place, line, column, end_line, end_column in saved:
            place.lineno, place.col_offset = line, column
            place.end_lineno, place.end_col_offset = end_line, end_column


def _children(code: CodeType) -> list[CodeType]:
    return [value for value in code.co_consts if isinstance(value, CodeType)]


def _pair_children(code: CodeType, twin: CodeType, nodes: Nodes) -> list[tuple[CodeType, CodeType]]:
    """Pairs the code objects inside two compilations of one tree, the second with marked lines.

    Both list them in the order of the text, but equal ones are listed once, and without column tables two functions on one
    line can be equal when their lines are not marked. Then the first of each kind is taken: the others are equal to it.
    """
    plain, marked = _children(code), _children(twin)
    if len(plain) == len(marked):
        return list(zip(plain, marked, strict=True))
    pairs: list[tuple[CodeType, CodeType]] = []
    rest = iter(marked)
    for child in plain:
        for other in rest:
            if _alike(child, other, nodes):
                pairs.append((child, other))
                break
    return pairs


def _alike(code: CodeType, twin: CodeType, nodes: Nodes) -> bool:
    named = nodes.get((twin.co_name, twin.co_firstlineno))
    first = _first_line(named[0]) if named else twin.co_firstlineno
    return (
        code.co_firstlineno == first
        and code.co_name == twin.co_name
        and code.co_code == twin.co_code
        and code.co_names == twin.co_names
        and code.co_varnames == twin.co_varnames
        and _plain_constants(code) == _plain_constants(twin)
    )


def _first_line(node: FunctionNode) -> int:
    return (
        node.lineno
        if isinstance(node, ast.Lambda) or not node.decorator_list
        else node.decorator_list[0].lineno
    )


def _plain_constants(code: CodeType) -> list[str]:
    return [repr(value) for value in code.co_consts if not isinstance(value, CodeType)]
