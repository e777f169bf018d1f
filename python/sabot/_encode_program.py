"""What the encoder works with: names and their slots, called functions, and the program that all functions of one blob make."""

from __future__ import annotations

import ast
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
    from types import FunctionType
    from typing import TypeAlias

    from sabot._encode import Encoder
    from sabot._encode_functions import Several, Target
    from sabot._guards import Found

    FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

u8 = struct.Struct("<B").pack
u32 = struct.Struct("<I").pack


def text_of(text: str) -> bytes:
    """A string as the format has it."""
    data = text.encode("utf-8", "backslashreplace")
    return u32(len(data)) + data


class Header(NamedTuple):
    """What stands before the body; `defaults` has, for each parameter, None or (its default object, the node to point at)."""

    name: str
    file: str
    first_line: int
    annotation: int
    locals: Sequence[str]
    defaults: Sequence[tuple[object, ast.AST] | None]
    record: str = (
        ""  # the parameter of a record function; `locals` begins with the columns it reads then
    )
    names: Sequence[str] | None = None  # what the tree calls the locals; None: as they are called
    bound: Mapping[str, object] = {}  # locals that have a value at the start


class Callee(NamedTuple):
    """A function of the user that another calls: what is needed to write it, and why it cannot be compiled, if so.

    bound: parameters that are always given the same. late: those among them that the function binds anew, which begin as locals; the
    others are in `found`.
    """

    fn: FunctionType
    node: FunctionNode | None
    locals: tuple[str, ...]
    found: Mapping[str, Found]
    mangle: Callable[[str], str]
    refusal: tuple[str, str] | None
    bound: tuple[str, ...] = ()
    late: Mapping[str, object] = {}


class Scope:
    """The names of a function or of a comprehension, with their slots; others are looked for in the scope around it."""

    __slots__ = (
        "assigned",
        "callables",
        "displays",
        "firsts",
        "names",
        "nested",
        "outer",
        "tables",
    )

    def __init__(self, names: dict[str, int], outer: Scope | None = None) -> None:
        self.names = names
        self.outer = outer
        self.nested: dict[str, FunctionNode] = {}  # functions defined in it, by name
        self.tables: dict[str, tuple[object, ...]] = {}  # dicts defined in it: their keys
        # Locals that may be functions, see _encode_functions: all that they are given; what that is, once it was asked; the number of the
        # first function of each place; those that are tuples or dicts of functions.
        self.assigned: dict[str, list[ast.AST]] = {}
        self.callables: dict[str, tuple[Target, ...] | None] = {}
        self.firsts: dict[int, int] = {}
        self.displays: dict[str, Several | None] = {}

    def holder(self, name: str) -> Scope | None:
        """The scope that has a local."""
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.outer
        return scope

    def slot(self, name: str) -> int | None:
        """The slot of a name; None where it is no local here."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return None

    def function(self, name: str) -> tuple[FunctionNode, Scope] | None:
        """The function that a local name always stands for, with the scope it was defined in."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return (scope.nested[name], scope) if name in scope.nested else None
            scope = scope.outer
        return None

    def table(self, name: str) -> tuple[object, ...] | None:
        """The keys of the dict that a local name always stands for; the local holds the values."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.tables.get(name)
            scope = scope.outer
        return None


class Own(ast.expr):
    """An expression that a writer put into the tree, and that writes itself. parts: expressions that it writes, too."""

    _fields = ("parts",)

    def __init__(
        self,
        place: ast.AST,
        write: Callable[[Encoder], Sequence[Part]],
        parts: Sequence[ast.expr] = (),
    ) -> None:
        super().__init__()
        self.write = write
        self.parts = [*parts]
        ast.copy_location(self, place)


class Given(Own):
    """A captured object in the place of an expression."""

    def __init__(self, place: ast.AST, value: object) -> None:
        super().__init__(place, lambda encoder: encoder.value(place, value))
        self.value = value


class Inner(NamedTuple):
    """A node to be written in another scope, or deeper in the tree than its part says."""

    node: ast.AST
    scope: Scope | None = None
    levels: int = 0


if TYPE_CHECKING:
    Part: TypeAlias = bytes | ast.AST | Inner


class Later(bytes):
    """Stands for the number of a function that is not written yet."""

    key: Hashable


class Program:
    """What all functions of one blob share: slots, and the table of called functions."""

    def __init__(self, names: Iterable[str], callees: Mapping[Hashable, Callee]) -> None:
        self.slots = list(names)
        self.callees = dict(callees)
        self.functions: list[list[bytes]] = []
        self.recursive: set[Hashable] = set()  # keys of functions that call themselves
        self.numbers: dict[Hashable, int] = {}  # by id of the node, or key of the callee
        self.scopes: dict[Hashable, Scope] = {}
        self.failed: dict[Hashable, tuple[str, str]] = {}
        self.open: list[Hashable] = []
        self.refused: list[tuple[str, str]] = []
        self.columns: frozenset[int] = frozenset()  # slots of parameters that nothing binds anew
        self.partials: dict[Hashable, int] = {}  # partial objects of a text: their first slot

    def add(self, key: Hashable, name: str, first: int, body: Sequence[bytes]) -> None:
        """Adds a function that was written, behind all that it calls. Its own are all slots from `first` on: what its body needed too."""
        count = len(self.slots) - first
        self.numbers[key] = len(self.functions)
        self.functions.append([text_of(name), u32(first), u32(count), *body])

    def later(self, key: Hashable) -> bytes:
        """The number of a function that is being written."""
        self.recursive.add(key)
        number = Later()
        number.key = key
        return number

    def fail(self, key: Hashable, why: tuple[str, str], first: int) -> None:
        """A function cannot be written; nor can those from number `first` on, if they call it."""
        self.failed[key] = why
        if key in self.recursive:
            for other, number in list(self.numbers.items()):
                if number >= first:
                    del self.numbers[other]
                    self.failed[other] = why

    def joined(self, parts: Iterable[bytes]) -> bytes:
        """Bytes, with the numbers that are known by now; of functions that failed nothing is left that is called."""
        return b"".join(
            u32(self.numbers.get(part.key, 0)) if isinstance(part, Later) else part
            for part in parts
        )

    def new_slots(self, names: Sequence[str]) -> int:
        """Adds slots that follow each other; gives the first."""
        first = len(self.slots)
        self.slots += names
        return first
