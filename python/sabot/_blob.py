"""The syntax-tree blob: one function's tree as bytes for the compiler (`src/front/blob.h` defines the format).

`_encode` writes it. `dump` prints a blob as text.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = 0x31464253
VERSION = 4
DEPTH_MAX = 200

NODES = {
    "CONST_NONE": 1,
    "CONST_BOOL": 2,
    "CONST_INT": 3,
    "CONST_BIGINT": 4,
    "CONST_FLOAT": 5,
    "CONST_STR": 6,
    "LOCAL": 7,
    "UNARY": 8,
    "BINARY": 9,
    "BOOLOP": 10,
    "COMPARE": 11,
    "IFEXP": 12,
    "CALL": 13,
    "UNSUPPORTED": 14,
    "TUPLE": 15,
    "LIST": 16,
    "SUBSCRIPT": 17,
    "NAMED": 18,
    "INLINE": 19,
    "BLOCK": 20,
    "COMPREHENSION": 21,
    "SLICE": 22,
    "CONST_TIME": 23,
    "INVOKE": 24,
    "ASSIGN": 32,
    "AUGASSIGN": 33,
    "EXPR": 34,
    "PASS": 35,
    "IF": 36,
    "WHILE": 37,
    "FOR": 38,
    "RETURN": 39,
    "BREAK": 40,
    "CONTINUE": 41,
    "RAISE": 42,
    "DEL": 43,
    "AUGITEM": 44,
}
UNARY = {"USub": 1, "UAdd": 2, "Not": 3, "Invert": 4}
BINARY = {
    "Add": 1,
    "Sub": 2,
    "Mult": 3,
    "Div": 4,
    "FloorDiv": 5,
    "Mod": 6,
    "Pow": 7,
    "LShift": 8,
    "RShift": 9,
    "BitAnd": 10,
    "BitOr": 11,
    "BitXor": 12,
    "MatMult": 13,
}
COMPARE = {
    "Eq": 1,
    "NotEq": 2,
    "Lt": 3,
    "LtE": 4,
    "Gt": 5,
    "GtE": 6,
    "Is": 7,
    "IsNot": 8,
    "In": 9,
    "NotIn": 10,
}
COLUMN_NULLS, COLUMN_NUMPY = 1, 2  # flags of COLUMN
BOOLOP = {"And": 0, "Or": 1}
BUILTINS = {
    "RANGE": 1,
    "ENUMERATE": 2,
    "ZIP": 3,
    "REVERSED": 4,
    "LEN": 5,
    "MIN": 6,
    "MAX": 7,
    "BOOL": 8,
    "FLOAT": 9,
    "ISINSTANCE": 10,
    "TUPLE_OF": 11,
    "LIST_OF": 12,
    "SORTED": 13,
    "SUM_BEGIN": 14,
    "SUM_NEXT": 15,
    "SUM_NEXT_PLAIN": 16,
    "SUM_END": 17,
    "DIVMOD": 18,
    "ISNAN": 19,
    "ISINF": 20,
    "ISFINITE": 21,
    "ABS": 22,
    "INT": 23,
    "ROUND": 24,
    "FLOOR": 25,
    "CEIL": 26,
    "TRUNC": 27,
    "FABS": 28,
    "SQRT": 29,
    "GCD": 30,
    "ISQRT": 31,
    "DEGREES": 32,
    "RADIANS": 33,
    "INT_INDEX": 34,
    "LIST_NEW": 35,
    "APPEND": 36,
    "POP": 37,
    "INSERT": 38,
    "EXTEND": 39,
    "REVERSE": 40,
    "SORT": 41,
    "LIST_INDEX": 42,
    "SORT_BY": 43,
    "COLUMN": 44,
    "ARRAY_INDEX": 45,
    "LDEXP": 58,
    "EXPONENT": 59,
    "BIT_COUNT": 60,
    "BIT_LENGTH": 61,
    "IS_INTEGER": 62,
    "NP_ITEM": 128,
    "NP_CAST": 129,
    "NP_SQRT": 130,
    "NP_ABSOLUTE": 131,
    "NP_FABS": 132,
    "NP_FLOOR": 133,
    "NP_CEIL": 134,
    "NP_TRUNC": 135,
    "NP_RINT": 136,
    "NP_SIGN": 137,
    "NP_SQUARE": 138,
    "NP_NEGATIVE": 139,
    "NP_ISNAN": 140,
    "NP_ISINF": 141,
    "NP_ISFINITE": 142,
    "NP_MINIMUM": 143,
    "NP_MAXIMUM": 144,
    "NP_CLIP": 145,
}
# By libm, with the number of their arguments.
MATH = {
    "acos": (64, 1),
    "acosh": (65, 1),
    "asin": (66, 1),
    "asinh": (67, 1),
    "atan": (68, 1),
    "atanh": (69, 1),
    "cbrt": (70, 1),
    "cos": (71, 1),
    "cosh": (72, 1),
    "erf": (73, 1),
    "erfc": (74, 1),
    "exp": (75, 1),
    "exp2": (76, 1),
    "expm1": (77, 1),
    "log": (78, 1),
    "log10": (79, 1),
    "log1p": (80, 1),
    "log2": (81, 1),
    "sin": (82, 1),
    "sinh": (83, 1),
    "tan": (84, 1),
    "tanh": (85, 1),
    "atan2": (86, 2),
    "copysign": (87, 2),
    "fmod": (88, 2),
    "nextafter": (89, 2),
    "pow": (90, 2),
    "remainder": (91, 2),
}
KINDS = {"NONE": 1, "BOOL": 2, "INT": 4, "FLOAT": 8, "TUPLE": 16, "LIST": 32}
TIMES = {"DATE": 0, "STAMP": 1, "AWARE": 2}
ANNOTATIONS = {"missing": 0, "unknown": 1, "int": 2, "float": 3, "bool": 4, "str": 5, "None": 6}


def dump(blob: bytes) -> str:
    """A blob as indented text, one node a line; raises ValueError for bytes that are no blob."""
    return _Reader(blob).text()


class _Reader:
    """Reads a blob with a stack of pending fields, as it is written: no recursion."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._at = 0
        self._lines: list[str] = []

    def text(self) -> str:
        try:
            self._read()
        except (struct.error, UnicodeDecodeError, KeyError) as error:
            raise ValueError(f"not a function blob: {error} at byte {self._at}") from None
        if self._at != len(self._blob):
            raise ValueError(
                f"not a function blob: {len(self._blob) - self._at} bytes after its end"
            )
        return "\n".join(self._lines)

    def _take(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._blob, self._at)
        self._at += struct.calcsize(form)
        return value

    def _u8(self) -> int:
        return self._take("<B")

    def _u32(self) -> int:
        return self._take("<I")

    def _str(self) -> str:
        size = self._u32()
        if self._at + size > len(self._blob):
            raise struct.error("a string passes the end")
        self._at += size
        return self._blob[self._at - size : self._at].decode()

    def _read(self) -> None:
        if (self._u32(), self._u32()) != (MAGIC, VERSION):
            raise ValueError("not a function blob: wrong magic or version")
        name, file, line, annotation = self._str(), self._str(), self._u32(), self._u8()
        record = self._str()
        locals_ = [self._str() for _ in range(self._u32())]
        kind = f" record {record}" if record else ""
        self._lines.append(
            f"function {name} {file}:{line} -> {_key(ANNOTATIONS, annotation)}{kind}"
        )
        self._lines.append(
            "locals " + " ".join(f"{slot}:{text}" for slot, text in enumerate(locals_))
        )
        for slot in range(self._u32()):
            if self._u8():
                self._lines.append(f"default {slot}")
                self._nodes(1, 1)
        for number in range(self._u32()):
            name, first, count = self._str(), self._u32(), self._u32()
            self._lines.append(f"called {number} {name}, locals {first} to {first + count}")
            self._nodes(self._u32(), 1)
        self._nodes(self._u32(), 0)

    def _nodes(self, count: int, indent: int) -> None:
        """Reads `count` nodes and all that is below them. A pending entry is a number of nodes, or a field to read first."""
        pending: list[tuple[str, int, int]] = [("", count, indent)]
        while pending:
            field, count, indent = pending.pop()
            if field == "list":
                pending.append(("", self._u32(), indent))
            elif field == "else":
                size = self._u32()
                if size:
                    self._lines.append("  " * (indent - 1) + "else")
                pending.append(("", size, indent))
            elif field == "pairs":
                pending.extend([("pair", 0, indent)] * self._u32())
            elif field == "arguments":
                pending.extend([("argument", 0, indent)] * self._u32())
            elif field == "argument":
                self._lines.append("  " * indent + f"to {self._u32()}")
                pending.append(("", 1, indent))
            elif field == "pair":
                self._lines.append("  " * indent + _key(COMPARE, self._u8()))
                pending.append(("", 1, indent))
            elif count:
                pending.append(("", count - 1, indent))
                pending.extend(reversed(self._node(indent)))

    def _node(self, indent: int) -> list[tuple[str, int, int]]:
        kind = _key(NODES, self._u8())
        line, col, end_line, end_col = (self._u32() for _ in range(4))
        own, below = self._fields(kind)
        place = (
            f"{line}:{col}-{end_col}" if line == end_line else f"{line}:{col}-{end_line}:{end_col}"
        )
        self._lines.append("  " * indent + f"{kind}{''.join(f' {text}' for text in own)}  @{place}")
        return [(field, count, indent + 1) for field, count in below]

    def _called(self) -> str:
        number = self._u8()
        numbers = {first: f"math.{name}" for name, (first, _) in MATH.items()}
        return numbers.get(number) or _key(BUILTINS, number).lower()

    def _target(self) -> str:
        """A target as text."""
        kind = self._u8()
        if kind == 0:
            return str(self._u32())
        if kind == 2:
            return f"[{self._inline()}][{self._inline()}]"
        return f"({', '.join([self._target() for _ in range(self._u32())])})"

    def _inline(self) -> str:
        """An expression inside of a target, in one line."""
        before, self._lines = self._lines, []
        self._nodes(1, 0)
        text = "; ".join(line.strip() for line in self._lines)
        self._lines = before
        return text

    def _fields(self, kind: str) -> tuple[list[object], list[tuple[str, int]]]:
        """The fields of a node of its own, as text, and what follows them."""
        match kind:
            case "CONST_BOOL":
                return [bool(self._u8())], []
            case "CONST_INT":
                return [self._take("<q")], []
            case "CONST_FLOAT":
                return [repr(self._take("<d"))], []
            case "CONST_TIME":
                return [_key(TIMES, self._u8()).lower(), self._take("<q")], []
            case "CONST_BIGINT":
                return [self._str()], []
            case "CONST_STR":
                return [repr(self._str())], []
            case "LOCAL":
                return [self._u32()], []
            case "UNARY":
                return [_key(UNARY, self._u8())], [("", 1)]
            case "BINARY":
                return [_key(BINARY, self._u8())], [("", 2)]
            case "BOOLOP":
                return [_key(BOOLOP, self._u8())], [("list", 0)]
            case "COMPARE":
                return [], [("", 1), ("pairs", 0)]
            case "IFEXP":
                return [], [("", 3)]
            case "CALL":
                return [self._called()], [("list", 0)]
            case "TUPLE" | "LIST":
                return [], [("list", 0)]
            case "SUBSCRIPT":
                return [], [("", 2)]
            case "NAMED":
                return [self._u32()], [("", 1)]
            case "INLINE" | "INVOKE":
                return [self._u32()], [("arguments", 0)]
            case "BLOCK":
                return [self._u32(), self._u32()], [("list", 0), ("", 1)]
            case "COMPREHENSION":
                return [self._u32(), self._u32(), self._target()], [("", 2)]
            case "SLICE":
                return ["backwards"] if self._u8() else [], [("", 3)]
            case "DEL":
                return [self._u32() for _ in range(self._u32())], []
            case "UNSUPPORTED":
                return [self._str(), repr(self._str())], []
            case "ASSIGN":
                return [self._target() for _ in range(self._u32())], [("", 1)]
            case "AUGITEM":
                return [_key(BINARY, self._u8())], [("", 3)]
            case "AUGASSIGN":
                return [self._u32(), _key(BINARY, self._u8())], [("", 1)]
            case "EXPR":
                return [], [("", 1)]
            case "IF" | "WHILE":
                return [], [("", 1), ("list", 0), ("else", 0)]
            case "FOR":
                return [self._target()], [("", 1), ("list", 0), ("else", 0)]
            case "RETURN":
                return [], [("", self._u8())]
            case _:
                return [], []


def _key(table: Mapping[str, int], number: int) -> str:
    for name, value in table.items():
        if value == number:
            return name
    raise KeyError(number)
