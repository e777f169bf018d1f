"""The syntax-tree blob: one function's tree as bytes for the compiler (`src/front/blob.h` defines the format).

`encode` writes it; every name is already resolved. What the format has no node for is written as UNSUPPORTED with a code of
`src/ir/refusal.h`, at the smallest node that explains it, so a report can draw a caret. `dump` prints a blob as text.

The encoder keeps a stack of its own instead of recursing, so deep trees end at DEPTH_MAX and not in a RecursionError.
"""

from __future__ import annotations

import ast
import builtins
import struct
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from sabot._guards import is_scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from sabot._guards import Found

    Part: TypeAlias = bytes | ast.AST
    FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

MAGIC = 0x31464253
VERSION = 1
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
BOOLOP = {"And": 0, "Or": 1}
BUILTIN_RANGE = 1
ANNOTATIONS = {"missing": 0, "unknown": 1, "int": 2, "float": 3, "bool": 4, "str": 5, "None": 6}

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_BIGINT_BITS_MAX = 8192  # below Python's own limit on printing integers
_head = struct.Struct("<BIIII").pack
_u8 = struct.Struct("<B").pack
_u32 = struct.Struct("<I").pack
_i64 = struct.Struct("<q").pack
_f64 = struct.Struct("<d").pack

# Builtins known by identity: those that reach outside the function, and those that only have no compiled form.
_IMPURE = {
    id(getattr(builtins, name)): name
    for name in [
        "print",
        "open",
        "input",
        "exec",
        "eval",
        "compile",
        "setattr",
        "delattr",
        "breakpoint",
        "__import__",
    ]
}
_PLAIN = {
    id(getattr(builtins, name)): name
    for name in [
        "abs",
        "all",
        "any",
        "ascii",
        "bin",
        "bool",
        "bytes",
        "chr",
        "complex",
        "dict",
        "divmod",
        "enumerate",
        "filter",
        "float",
        "format",
        "frozenset",
        "hash",
        "hex",
        "int",
        "isinstance",
        "issubclass",
        "iter",
        "len",
        "list",
        "map",
        "max",
        "min",
        "next",
        "oct",
        "ord",
        "pow",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
        "slice",
        "sorted",
        "str",
        "sum",
        "tuple",
        "type",
        "zip",
    ]
}

# What each form of Python that has no node is called in a report.
_FORMS = {
    "AsyncFor": "async for",
    "AsyncFunctionDef": "a nested function",
    "AsyncWith": "async with",
    "Assert": "assert",
    "Attribute": "attribute access",
    "Await": "await",
    "ClassDef": "a nested class",
    "Delete": "del",
    "Dict": "a dict",
    "DictComp": "a dict comprehension",
    "FunctionDef": "a nested function",
    "GeneratorExp": "a generator expression",
    "Import": "import inside a function",
    "ImportFrom": "import inside a function",
    "JoinedStr": "an f-string",
    "Lambda": "a lambda inside a function",
    "List": "a list",
    "ListComp": "a list comprehension",
    "Match": "match",
    "NamedExpr": "an assignment expression (:=)",
    "Raise": "raise",
    "Set": "a set",
    "SetComp": "a set comprehension",
    "Slice": "a slice",
    "Starred": "unpacking with *",
    "Subscript": "a subscript",
    "Try": "try",
    "TryStar": "try with except*",
    "Tuple": "a tuple",
    "TypeAlias": "a type alias",
    "With": "with",
    "Yield": "yield",
    "YieldFrom": "yield from",
}
# Statements of many lines are shown by the word they begin with.
_KEYWORDS = {
    "AsyncFor": 5,
    "AsyncFunctionDef": 5,
    "AsyncWith": 5,
    "ClassDef": 5,
    "FunctionDef": 3,
    "Match": 5,
    "Try": 3,
    "TryStar": 3,
    "With": 4,
}


class Header(NamedTuple):
    """What stands before the body; `defaults` has, for each parameter, None or (its default object, the node to point at)."""

    name: str
    file: str
    first_line: int
    annotation: int
    slots: dict[str, int]
    defaults: Sequence[tuple[object, ast.AST] | None]


def encode(
    header: Header, node: FunctionNode, found: Mapping[str, Found], mangle: Callable[[str], str]
) -> bytes:
    """The blob of a function: `found` has every name that is not a local, `mangle` gives names as the code object has them."""
    out = [_u32(MAGIC), _u32(VERSION), _str(header.name), _str(header.file)]
    out += [_u32(header.first_line), _u8(header.annotation), _u32(len(header.slots))]
    out += [_str(name) for name in header.slots]
    out.append(_u32(len(header.defaults)))
    for default in header.defaults:
        out.append(_u8(default is not None))
        if default is not None:
            out += _value(default[1], default[0])
    encoder = _Encoder(header.slots, found, mangle)
    if isinstance(node, ast.Lambda):
        out += [_u32(1), _at("RETURN", node.body), _u8(1)]
        out += encoder.run([node.body], 2)
    else:
        out += encoder.run(_body(node.body), 1)
    return b"".join(out)


def _body(body: list[ast.stmt]) -> list[Part]:
    parts: list[Part] = [_u32(len(body)), *body]
    match body[0]:
        case ast.Expr(ast.Constant(value=str())):
            parts[1] = _at("PASS", body[0])
        case _:
            pass
    return parts


def _block(statements: Sequence[ast.stmt]) -> list[Part]:
    return [_u32(len(statements)), *statements]


def _str(text: str) -> bytes:
    data = text.encode("utf-8", "backslashreplace")
    return _u32(len(data)) + data


def _at(kind: str, node: ast.AST) -> bytes:
    assert isinstance(node, (ast.expr, ast.stmt, ast.arg))
    width = _KEYWORDS.get(type(node).__name__)
    if width is None:
        end_line, end_col = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    else:
        end_line, end_col = node.lineno, node.col_offset + width
    return _head(NODES[kind], node.lineno, node.col_offset, end_line, end_col)


def _unsupported(node: ast.AST, code: str, detail: str) -> list[bytes]:
    return [_at("UNSUPPORTED", node), _str(code), _str(detail)]


def _value(node: ast.AST, value: object) -> list[bytes]:
    """A constant object, at the place of `node`."""
    if value is None:
        return [_at("CONST_NONE", node)]
    if type(value) is bool:
        return [_at("CONST_BOOL", node), _u8(value)]
    if type(value) is int:
        if _INT64_MIN <= value <= _INT64_MAX:
            return [_at("CONST_INT", node), _i64(value)]
        if value.bit_length() <= _BIGINT_BITS_MAX:
            return [_at("CONST_BIGINT", node), _str(str(value))]
        return _unsupported(node, "big_constant", f"{value.bit_length()} bits")
    if type(value) is float:
        return [_at("CONST_FLOAT", node), _f64(value)]
    if type(value) is str:
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            return _unsupported(node, "type", "str with lone surrogates")
        return [_at("CONST_STR", node), _str(value)]
    return _unsupported(node, "captured", _type_name(value))


def _operator(table: dict[str, int], operator: ast.AST) -> bytes:
    return _u8(table[type(operator).__name__])


def _type_name(value: object) -> str:
    kind = type(value)
    # Read through `type` itself: a metaclass may define names of its own.
    name: str = type.__dict__["__qualname__"].__get__(kind)
    module = type.__dict__["__dict__"].__get__(kind).get("__module__")
    return f"{module}.{name}" if isinstance(module, str) and module != "builtins" else name


def _dotted(node: ast.AST) -> tuple[ast.Name | None, str]:
    """The name at the root of `a.b.c` and the whole text of it; (None, "") for anything else."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None, ""
    return node, ".".join([node.id, *reversed(attributes)])


def _form(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"attribute access .{node.attr}"
    if isinstance(node, ast.Call):
        return "a call of an expression"
    name = type(node).__name__
    return _FORMS.get(name, name.lower())


class _Encoder:
    """Writes the nodes of one function. Each writer gives bytes and the nodes that follow them, in the order of the format."""

    __slots__ = ("_found", "_mangle", "_slots")

    def __init__(
        self, slots: dict[str, int], found: Mapping[str, Found], mangle: Callable[[str], str]
    ) -> None:
        self._slots = slots
        self._found = found
        self._mangle = mangle

    def run(self, parts: Sequence[Part], depth: int) -> list[bytes]:
        """Writes the parts in order, each node replaced by its own parts until only bytes are left."""
        out: list[bytes] = []
        stack: list[tuple[Part, int]] = [(part, depth) for part in reversed(parts)]
        while stack:
            part, depth = stack.pop()
            if isinstance(part, bytes):
                out.append(part)
                continue
            write = _WRITERS.get(type(part))
            if depth >= DEPTH_MAX and not isinstance(part, (ast.Constant, ast.Name)):
                out += _unsupported(part, "too_complex", f"nested more than {DEPTH_MAX} deep")
            elif write is None:
                out += self._refuse(part)
            else:
                stack.extend((inner, depth + 1) for inner in reversed(write(self, part)))
        return out

    # Expressions

    def constant(self, node: ast.Constant) -> Sequence[Part]:
        if is_scalar(node.value):
            return _value(node, node.value)
        return _unsupported(node, "type", type(node.value).__name__)

    def name(self, node: ast.Name) -> Sequence[Part]:
        name = self._mangle(node.id)
        found = self._found.get(name)
        if found is None:
            return [_at("LOCAL", node), _u32(self._slots[name])]
        if found.origin == "missing":
            return _unsupported(node, "unresolved", node.id)
        return _value(node, found.value)

    def unary(self, node: ast.UnaryOp) -> Sequence[Part]:
        match node:
            case ast.UnaryOp(ast.USub(), ast.Constant(int(number))) if number == 2**63:
                return _value(node, -number)  # fits, though its digits alone do not
            case _:
                return [_at("UNARY", node), _operator(UNARY, node.op), node.operand]

    def binary(self, node: ast.BinOp) -> Sequence[Part]:
        return [_at("BINARY", node), _operator(BINARY, node.op), node.left, node.right]

    def boolop(self, node: ast.BoolOp) -> Sequence[Part]:
        return [
            _at("BOOLOP", node),
            _operator(BOOLOP, node.op),
            _u32(len(node.values)),
            *node.values,
        ]

    def compare(self, node: ast.Compare) -> Sequence[Part]:
        parts: list[Part] = [_at("COMPARE", node), node.left, _u32(len(node.ops))]
        for operator, operand in zip(node.ops, node.comparators, strict=True):
            parts += [_operator(COMPARE, operator), operand]
        return parts

    def ifexp(self, node: ast.IfExp) -> Sequence[Part]:
        return [_at("IFEXP", node), node.test, node.body, node.orelse]

    def call(self, node: ast.Call) -> Sequence[Part]:
        if not self._is_range(node):
            return self._refuse(node)
        if node.keywords or not 1 <= len(node.args) <= 3:
            return _unsupported(node, "syntax", "range with these arguments")
        return [_at("CALL", node), _u8(BUILTIN_RANGE), _u32(len(node.args)), *node.args]

    # Statements

    def assign(self, node: ast.Assign) -> Sequence[Part]:
        slots: list[bytes] = []
        for target in node.targets:
            slot = self._slot(target)
            if not isinstance(slot, int):
                return slot
            slots.append(_u32(slot))
        return [_at("ASSIGN", node), _u32(len(slots)), *slots, node.value]

    def annassign(self, node: ast.AnnAssign) -> Sequence[Part]:
        if node.value is None and isinstance(node.target, ast.Name):
            return [_at("PASS", node)]
        slot = self._slot(node.target)
        if not isinstance(slot, int):
            return slot
        assert node.value is not None
        return [_at("ASSIGN", node), _u32(1), _u32(slot), node.value]

    def augassign(self, node: ast.AugAssign) -> Sequence[Part]:
        slot = self._slot(node.target)
        if not isinstance(slot, int):
            return slot
        return [_at("AUGASSIGN", node), _u32(slot), _operator(BINARY, node.op), node.value]

    def expr(self, node: ast.Expr) -> Sequence[Part]:
        if isinstance(node.value, ast.Constant) and not is_scalar(node.value.value):
            return [_at("PASS", node)]  # `...` and the like: Python drops it
        return [_at("EXPR", node), node.value]

    def if_(self, node: ast.If) -> Sequence[Part]:
        return [_at("IF", node), node.test, *_block(node.body), *_block(node.orelse)]

    def while_(self, node: ast.While) -> Sequence[Part]:
        return [_at("WHILE", node), node.test, *_block(node.body), *_block(node.orelse)]

    def for_(self, node: ast.For) -> Sequence[Part]:
        slot = self._slot(node.target)
        if not isinstance(slot, int):
            return slot
        return [_at("FOR", node), _u32(slot), node.iter, *_block(node.body), *_block(node.orelse)]

    def return_(self, node: ast.Return) -> Sequence[Part]:
        if node.value is None:
            return [_at("RETURN", node), _u8(0)]
        return [_at("RETURN", node), _u8(1), node.value]

    def bare(self, node: ast.AST) -> Sequence[Part]:
        return [_at(type(node).__name__.upper(), node)]

    def outer(self, node: ast.Global | ast.Nonlocal) -> Sequence[Part]:
        return _unsupported(
            node, "impure", f"{type(node).__name__.lower()} {', '.join(node.names)}"
        )

    # What names stand for, and refusals

    def _global(self, node: ast.AST) -> Found | None:
        """What a plain name outside the function stands for."""
        return self._found.get(self._mangle(node.id)) if isinstance(node, ast.Name) else None

    def _is_range(self, node: ast.AST) -> bool:
        found = self._global(node.func) if isinstance(node, ast.Call) else None
        return found is not None and found.value is range

    def _slot(self, target: ast.AST) -> int | list[bytes]:
        """The slot of an assignment's target, or why it has none."""
        match target:
            case ast.Name(name):
                name = self._mangle(name)
                if name not in self._found:
                    return self._slots[name]
                return _unsupported(
                    target, "impure", f"assignment to {target.id}, which is not a local"
                )
            case ast.Attribute():
                return _unsupported(target, "impure", f"assignment to attribute .{target.attr}")
            case ast.Subscript():
                return _unsupported(target, "impure", "assignment to an item")
            case _:
                return _unsupported(target, "syntax", "assignment to several names at once")

    def _refuse(self, node: ast.AST) -> list[bytes]:
        """An UNSUPPORTED node at the innermost place that explains why `node` has no form in a blob."""
        while isinstance(node, (ast.Call, ast.Attribute, ast.Subscript)):
            inner = node.func if isinstance(node, ast.Call) else node.value
            root, dotted = _dotted(inner)
            if root is not None:
                return self._refuse_named(node, root, dotted)
            if self._is_range(inner) or (
                type(inner) in _WRITERS and not isinstance(inner, ast.Call)
            ):
                break
            node = inner
        return _unsupported(node, "syntax", _form(node))

    def _refuse_named(
        self, node: ast.Call | ast.Attribute | ast.Subscript, root: ast.Name, dotted: str
    ) -> list[bytes]:
        """The same for a call, an attribute or a subscript of a dotted name."""
        found = self._global(root)
        if found is not None and found.origin == "missing":
            return _unsupported(root, "unresolved", root.id)
        if isinstance(node, ast.Call):
            known = id(found.value) if found is not None and root is node.func else None
            if known in _IMPURE:
                return _unsupported(node, "impure", _IMPURE[known])
            if known in _PLAIN:
                return _unsupported(node, "syntax", f"a call of {_PLAIN[known]}")
            return _unsupported(node, "unknown_call", dotted)
        if (
            found is not None
            and not isinstance(found.value, ModuleType)
            and not is_scalar(found.value)
        ):
            return _unsupported(root, "captured", _type_name(found.value))
        if isinstance(node, ast.Attribute):
            return _unsupported(node, "syntax", f"attribute access {dotted}.{node.attr}")
        return _unsupported(node, "syntax", _form(node))


_WRITERS: dict[type[ast.AST], Callable[[_Encoder, Any], Sequence[Part]]] = {
    ast.AnnAssign: _Encoder.annassign,
    ast.Assign: _Encoder.assign,
    ast.AugAssign: _Encoder.augassign,
    ast.BinOp: _Encoder.binary,
    ast.BoolOp: _Encoder.boolop,
    ast.Break: _Encoder.bare,
    ast.Call: _Encoder.call,
    ast.Compare: _Encoder.compare,
    ast.Constant: _Encoder.constant,
    ast.Continue: _Encoder.bare,
    ast.Expr: _Encoder.expr,
    ast.For: _Encoder.for_,
    ast.Global: _Encoder.outer,
    ast.If: _Encoder.if_,
    ast.IfExp: _Encoder.ifexp,
    ast.Name: _Encoder.name,
    ast.Nonlocal: _Encoder.outer,
    ast.Pass: _Encoder.bare,
    ast.Return: _Encoder.return_,
    ast.UnaryOp: _Encoder.unary,
    ast.While: _Encoder.while_,
}


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
        locals_ = [self._str() for _ in range(self._u32())]
        self._lines.append(f"function {name} {file}:{line} -> {_key(ANNOTATIONS, annotation)}")
        self._lines.append(
            "locals " + " ".join(f"{slot}:{text}" for slot, text in enumerate(locals_))
        )
        for slot in range(self._u32()):
            if self._u8():
                self._lines.append(f"default {slot}")
                self._nodes(1, 1)
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

    def _fields(self, kind: str) -> tuple[list[object], list[tuple[str, int]]]:
        """The fields of a node of its own, as text, and what follows them."""
        match kind:
            case "CONST_BOOL":
                return [bool(self._u8())], []
            case "CONST_INT":
                return [self._take("<q")], []
            case "CONST_FLOAT":
                return [repr(self._take("<d"))], []
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
                return [{BUILTIN_RANGE: "range"}[self._u8()]], [("list", 0)]
            case "UNSUPPORTED":
                return [self._str(), repr(self._str())], []
            case "ASSIGN":
                return [self._u32() for _ in range(self._u32())], [("", 1)]
            case "AUGASSIGN":
                return [self._u32(), _key(BINARY, self._u8())], [("", 1)]
            case "EXPR":
                return [], [("", 1)]
            case "IF" | "WHILE":
                return [], [("", 1), ("list", 0), ("else", 0)]
            case "FOR":
                return [self._u32()], [("", 1), ("list", 0), ("else", 0)]
            case "RETURN":
                return [], [("", self._u8())]
            case _:
                return [], []


def _key(table: Mapping[str, int], number: int) -> str:
    for name, value in table.items():
        if value == number:
            return name
    raise KeyError(number)
