"""From a captured function's syntax tree to the blob (`_blob.py`): every name resolved, called functions included.

What the format has no node for is written as UNSUPPORTED with a code of `src/ir/refusal.h`, at the smallest node that explains it, so
a report can draw a caret. The encoder keeps a stack of its own instead of recursing, so deep trees end at DEPTH_MAX and not in a
RecursionError; it recurses into called functions only, at most CALLS_MAX deep.

A function that is called by name is written once, into the table of functions; one that calls itself, maybe through others, is
invoked. Its locals are slots of the whole function. A function from elsewhere stands, in reports, where it is called: its own lines are
of another text.
"""

from __future__ import annotations

import ast
import re
import struct
import sys
from typing import TYPE_CHECKING, Any, cast

from sabot._blob import (
    BINARY,
    BOOLOP,
    BUILTINS,
    COMPARE,
    DEPTH_MAX,
    MAGIC,
    NODES,
    TIMES,
    UNARY,
    VERSION,
)
from sabot._encode_program import (
    Callee,
    Given,
    Header,
    Inner,
    Own,
    Program,
    Scope,
    text_of,
    u8,
    u32,
)
from sabot._encode_words import CHANGING, FORMS, IMPURE, KEYWORDS, PLAIN
from sabot._guards import Frozen, is_scalar
from sabot._objects import int_of_enum, is_module, is_users, member
from sabot._scope import bindings
from sabot._times import attribute as of_time
from sabot._times import is_time, number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from typing import TypeAlias

    from sabot._encode_program import Part
    from sabot._guards import Found

    FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

CALLS_MAX = 16  # functions called inside each other

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_BIGINT_BITS_MAX = 8192  # below Python's own limit on printing integers
_TUPLE_MAX = 256  # values of a captured tuple
_head = struct.Struct("<BIIII").pack
_i64 = struct.Struct("<q").pack
_f64 = struct.Struct("<d").pack

_NOWHERE = {"missing": "unresolved", "not_loaded": "not_loaded"}  # names that lead to nothing


def encode(
    header: Header,
    node: FunctionNode,
    found: Mapping[str, Found],
    mangle: Callable[[str], str],
    callees: Mapping[Hashable, Callee] | None = None,
) -> bytes:
    """The blob of a function.

    Parameters:
        found: every name that is not a local, and dotted names of modules.
        mangle: gives names as the code object has them.
        callees: by `Called.key`, the functions among what was found.
    """
    program = Program(header.locals, callees or {})
    encoder = Encoder(program, found, mangle)
    names = header.locals if header.names is None else header.names
    scope = Scope({name: slot for slot, name in enumerate(names)})
    counts = bindings(node, mangle)
    given = names[: len(header.defaults)]
    program.columns = frozenset(k for k, name in enumerate(given) if counts[name] <= 1)
    body = encoder.function(node, scope, header.bound)
    out = [u32(MAGIC), u32(VERSION), text_of(header.name), text_of(header.file)]
    out += [u32(header.first_line), u8(header.annotation), text_of(header.record)]
    out.append(u32(len(program.slots)))
    out += [text_of(name) for name in program.slots]
    out.append(u32(len(header.defaults)))
    for default in header.defaults:
        out.append(u8(default is not None))
        if default is not None:
            out += encoder.value(default[1], default[0])
    out.append(u32(len(program.functions)))
    out += map(program.joined, program.functions)
    return program.joined([*out, *body])


def _operator(table: dict[str, int], operator: ast.AST) -> bytes:
    return u8(table[type(operator).__name__])


def type_name(value: object) -> str:
    """The name of a value's class, with its module; runs no code of the class."""
    if type(value) is Frozen:
        return value.kind
    kind = type(value)
    # Read through `type` itself: a metaclass may define names of its own.
    name: str = type.__dict__["__qualname__"].__get__(kind)
    module = type.__dict__["__dict__"].__get__(kind).get("__module__")
    return f"{module}.{name}" if isinstance(module, str) and module != "builtins" else name


def dotted(node: ast.AST) -> tuple[ast.Name | None, str]:
    """The name at the root of `a.b.c` and the whole text of it; (None, "") for anything else."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None, ""
    return node, ".".join([node.id, *reversed(attributes)])


_MARKS = re.compile("[\0-\4][0-9]*")


def _form(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"attribute access .{node.attr}"
    if isinstance(node, ast.Call):
        return "a call of an expression"
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return "a slice"
    name = type(node).__name__
    return FORMS.get(name, name.lower())


class Encoder:
    """Writes the nodes of one function. Each writer gives bytes and the nodes that follow them, in the order of the format.

    place: where all nodes are said to stand; None: where they are.
    """

    def __init__(
        self,
        program: Program,
        found: Mapping[str, Found],
        mangle: Callable[[str], str],
        place: ast.AST | None = None,
    ) -> None:
        self.program = program
        self.found = found
        self.mangle = mangle
        self.place = place
        self.scope = Scope({})

    def function(
        self, node: FunctionNode, scope: Scope, bound: Mapping[str, object] | None = None
    ) -> list[bytes]:
        """A function's body as a list of statements. bound: locals that begin with a value."""
        from sabot._encode_functions import assigned_names
        from sabot._encode_tables import local_tables

        before, self.scope = self.scope, scope
        scope.nested.update(_nested_functions(node, self.mangle))
        scope.tables.update(local_tables(node, self.mangle))
        scope.assigned.update(assigned_names(node, self.mangle, scope.nested))
        first: list[Part] = []
        place = node.body if isinstance(node, ast.Lambda) else node.body[0]
        for name, value in (bound or {}).items():
            first += self.assignment(place, scope.names[name], *self.value(place, value))
        count = len(bound or {})
        if isinstance(node, ast.Lambda):
            head = [u32(count + 1), *first, self.at("RETURN", node.body), u8(1)]
            out = self.run([*head, Inner(node.body, None, 1)], 1)
        else:
            out = self.run([u32(count + len(node.body)), *first, *self._body(node.body)], 1)
        self.scope = before
        return out

    def _body(self, body: list[ast.stmt]) -> list[Part]:
        match body[0]:
            case ast.Expr(ast.Constant(value=str())):
                return [self.at("PASS", body[0]), *body[1:]]
            case _:
                return [*body]

    def run(self, parts: Sequence[Part], depth: int) -> list[bytes]:
        """Writes the parts in order, each node replaced by its own parts until only bytes are left."""
        out: list[bytes] = []
        outermost = self.scope
        stack: list[tuple[Part, int, Scope]] = [
            (part, depth, outermost) for part in reversed(parts)
        ]
        while stack:
            part, depth, scope = stack.pop()
            if isinstance(part, bytes):
                out.append(part)
                continue
            if isinstance(part, Inner):
                scope, depth, part = part.scope or scope, depth + part.levels, part.node
            self.scope = scope
            write = _WRITERS.get(type(part))
            if depth >= DEPTH_MAX and not isinstance(part, (ast.Constant, ast.Name)):
                out += self.unsupported(part, "too_complex", f"nested more than {DEPTH_MAX} deep")
            elif write is None:
                out += self.refuse(part)
            else:
                stack.extend((inner, depth + 1, scope) for inner in reversed(write(self, part)))
        self.scope = outermost
        return out

    def at(self, kind: str, node: ast.AST) -> bytes:
        """The head of a node."""
        node = self.place or node
        assert isinstance(node, (ast.expr, ast.stmt, ast.arg, ast.pattern))
        width = KEYWORDS.get(type(node).__name__)
        if width is None:
            end_line = node.end_lineno or node.lineno
            end_col = node.end_col_offset or node.col_offset
        else:
            end_line, end_col = node.lineno, node.col_offset + width
        return _head(NODES[kind], node.lineno, node.col_offset, end_line, end_col)

    def unsupported(self, node: ast.AST, code: str, detail: str) -> list[bytes]:
        """What has no node, and why; locals of loops over rows by the names that the text has."""
        detail = _MARKS.sub("", detail)
        self.program.refused.append((code, detail))
        return [self.at("UNSUPPORTED", node), text_of(code), text_of(detail)]

    def value(self, node: ast.AST, value: object) -> list[bytes]:
        """A constant object, at the place of `node`."""
        if value is None:
            return [self.at("CONST_NONE", node)]
        if type(value) is bool:
            return [self.at("CONST_BOOL", node), u8(value)]
        if type(value) is int:
            if _INT64_MIN <= value <= _INT64_MAX:
                return [self.at("CONST_INT", node), _i64(value)]
            if value.bit_length() <= _BIGINT_BITS_MAX:
                return [self.at("CONST_BIGINT", node), text_of(str(value))]
            return self.unsupported(node, "big_constant", f"{value.bit_length()} bits")
        if type(value) is float:
            return [self.at("CONST_FLOAT", node), _f64(value)]
        if type(value) is str:
            if any("\ud800" <= letter <= "\udfff" for letter in value):
                return self.unsupported(node, "type", "str with lone surrogates")
            return [self.at("CONST_STR", node), text_of(value)]
        if is_time(value):
            kind, number = number_of(value)
            return [self.at("CONST_TIME", node), u8(TIMES[kind]), _i64(number)]
        items = _plain_tuple(value)
        if items is not None:
            out = [self.at("TUPLE", node), u32(len(items))]
            for item in items:
                out += self.value(node, item)
            return out
        return self.unsupported(node, "captured", type_name(value))

    def local(self, node: ast.AST, slot: int) -> bytes:
        """A local's value."""
        return self.at("LOCAL", node) + u32(slot)

    def assignment(self, node: ast.AST, slot: int, *value: Part) -> list[Part]:
        """A statement that gives one local a value."""
        return [self.at("ASSIGN", node), u32(1), u8(0), u32(slot), *value]

    # Expressions

    def constant(self, node: ast.Constant) -> Sequence[Part]:
        if is_scalar(node.value):
            return self.value(node, node.value)
        return self.unsupported(node, "type", type(node.value).__name__)

    def name(self, node: ast.Name) -> Sequence[Part]:
        name = self.mangle(node.id)
        slot = self.scope.slot(name)
        if slot is not None:
            from sabot._encode_functions import table_of_local, targets_of

            if self.scope.function(name) is not None or targets_of(self, name) is not None:
                return self.unsupported(node, "type", "a function as a value")
            if table_of_local(self, name) is not None:
                return self.unsupported(node, "type", "functions as values")
            if self.scope.table(name) is not None:
                return self.unsupported(node, "type", "a dict as a value")
            return [self.local(node, slot)]
        found = self.found[name]
        if found.origin in _NOWHERE:
            return self.unsupported(node, _NOWHERE[found.origin], node.id)
        return self.value(node, found.value)

    def attribute(self, node: ast.Attribute) -> Sequence[Part]:
        found = self.known(node)
        if found is not None and found.origin == "property":
            from sabot._encode_calls import call

            return call(self, ast.copy_location(ast.Call(node, [], []), node))
        if found is not None and is_constant(found.value):
            return self.value(node, found.value)
        if found is not None and found.origin == "attribute" and self._is_of_object(node):
            return self.value(node, found.value)
        inner = self.known(node.value)
        part = of_time(inner.value, node.attr) if inner is not None else None
        if part is not None:
            return self.value(node, part)
        return self.refuse(node)

    def _is_of_object(self, node: ast.AST) -> bool:
        """Whether a dotted name begins at an object or a class."""
        root, _ = dotted(node)
        found = self.known(root) if root is not None else None
        return found is not None and not is_module(found.value)

    def unary(self, node: ast.UnaryOp) -> Sequence[Part]:
        match node:
            case ast.UnaryOp(ast.USub(), ast.Constant(int(number))) if number == 2**63:
                return self.value(node, -number)  # fits, though its digits alone do not
            case _:
                return [self.at("UNARY", node), _operator(UNARY, node.op), node.operand]

    def binary(self, node: ast.BinOp) -> Sequence[Part]:
        left, right = self._operand(node.left), self._operand(node.right)
        return [self.at("BINARY", node), _operator(BINARY, node.op), left, right]

    def _operand(self, node: ast.expr) -> Part:
        """What is computed with: a member of an IntEnum is its number there."""
        found = self.known(node)
        number = int_of_enum(found.value) if found is not None else None
        return node if number is None else b"".join(self.value(node, number))

    def boolop(self, node: ast.BoolOp) -> Sequence[Part]:
        values = [u32(len(node.values)), *node.values]
        return [self.at("BOOLOP", node), _operator(BOOLOP, node.op), *values]

    def compare(self, node: ast.Compare) -> Sequence[Part]:
        from sabot._encode_tables import member as readable

        identity = any(isinstance(operator, (ast.Is, ast.IsNot)) for operator in node.ops)
        parts: list[Part] = [self.at("COMPARE", node)]
        for place, operand in enumerate([node.left, *node.comparators]):
            if place == 1:
                parts.append(u32(len(node.ops)))
            if place > 0:
                parts.append(_operator(COMPARE, node.ops[place - 1]))
            if identity:
                parts.append(operand)
            elif isinstance(operand, ast.Tuple) and _is_membership(node, place):
                items = map(self._operand, operand.elts)
                parts += [self.at("TUPLE", operand), u32(len(operand.elts)), *items]
            elif _is_membership(node, place):
                parts.append(readable(self, node.ops[place - 1], operand))
            else:
                parts.append(self._operand(operand))
        return parts

    def ifexp(self, node: ast.IfExp) -> Sequence[Part]:
        return [self.at("IFEXP", node), node.test, node.body, node.orelse]

    def items(self, node: ast.Tuple | ast.List) -> Sequence[Part]:
        for item in node.elts:
            if isinstance(item, ast.Starred):
                return self.refuse(item)
        kind = "TUPLE" if isinstance(node, ast.Tuple) else "LIST"
        return [self.at(kind, node), u32(len(node.elts)), *node.elts]

    def subscript(self, node: ast.Subscript) -> Sequence[Part]:
        from sabot._encode_tables import frozen_of, look_up, readable, table_of

        table = table_of(self, node.value)
        if table is not None:
            return look_up(self, node, table, node.slice, None)
        value = self._slice(node)
        if value is not None:
            return self.value(node, value)
        frozen = frozen_of(self, node.value)
        held = node.value
        if frozen is not None and frozen.kind == "list":
            held = readable(self, node.value)
        root, _ = dotted(node.value)
        found = self.known(node.value)
        local = root is not None and self.scope.slot(self.mangle(root.id)) is not None
        is_tuple = held is not node.value or (
            found is not None and _plain_tuple(found.value) is not None
        )
        made = (ast.Tuple, ast.List, ast.ListComp, ast.Subscript, ast.Call, Own)
        inner = isinstance(node.value, made)
        if not (local or is_tuple or inner):
            return self.refuse(node)
        if isinstance(node.slice, ast.Slice):
            from sabot._encode_lists import slice_of

            return slice_of(self, node, held, node.slice)
        return [self.at("SUBSCRIPT", node), held, node.slice]

    def _slice(self, node: ast.Subscript) -> tuple[object, ...] | None:
        """A part of a captured tuple between constants."""
        found = self.known(node.value)
        whole = _plain_tuple(found.value) if found is not None else None
        if whole is None or not isinstance(node.slice, ast.Slice):
            return None
        ends: list[int | None] = []
        for end in (node.slice.lower, node.slice.upper, node.slice.step):
            match end:
                case None:
                    ends.append(None)
                case ast.Constant(int() | None as number):
                    ends.append(number)
                case ast.UnaryOp(ast.USub(), ast.Constant(int(number))):
                    ends.append(-number)
                case _:
                    return None
        return None if ends[2] == 0 else whole[slice(*ends)]

    def named(self, node: ast.NamedExpr) -> Sequence[Part]:
        slot = self._slot(node.target)
        if not isinstance(slot, int):
            return slot
        return [self.at("NAMED", node), u32(slot), node.value]

    def comprehension(self, node: ast.ListComp) -> Sequence[Part]:
        from sabot._encode_calls import comprehension

        return comprehension(self, node)

    def call(self, node: ast.Call) -> Sequence[Part]:
        from sabot._encode_calls import call

        return call(self, node)

    # Statements

    def assign(self, node: ast.Assign) -> Sequence[Part]:
        if isinstance(node.value, ast.Lambda) and self._defines(node.targets[0]):
            return self._definition(node, node.targets[0])
        function = self._given_function(node.targets, node.value)
        if function is not None:
            return self.assignment(node, self.scope.names[function[0]], *function[1])
        from sabot._encode_calls import unpacked

        targets: list[Part] = []
        for target in node.targets:
            written = self.target(target, items=True)
            if isinstance(written, list):
                return written
            targets += written
        value: list[Part] = [node.value]
        if isinstance(node.value, ast.Dict) and self._holds_table(node.targets[0]):
            values = node.value.values
            value = [self.at("TUPLE", node), u32(len(values)), *values]
        elif all(isinstance(target, (ast.Tuple, ast.List)) for target in node.targets):
            value = unpacked(self, node.value)
        return [self.at("ASSIGN", node), u32(len(node.targets)), *targets, *value]

    def _given_function(
        self, targets: Sequence[ast.expr], value: ast.AST
    ) -> tuple[str, list[Part]] | None:
        """The name that is given a function, or functions, and what stands for them; None for other assignments."""
        from sabot._encode_functions import number_of, table_of_local

        match targets:
            case [ast.Name(name)]:
                number = number_of(self, targets[0], value)
                name = self.mangle(name)
                if number is None and isinstance(value, (ast.Tuple, ast.List, ast.Dict)):
                    several = table_of_local(self, name)
                    number = several.numbers(0) if several is not None else None
                return None if number is None else (name, number)
            case _:
                return None

    def annassign(self, node: ast.AnnAssign) -> Sequence[Part]:
        if node.value is None and isinstance(node.target, ast.Name):
            return [self.at("PASS", node)]
        if node.value is not None and isinstance(node.target, ast.Subscript):
            return self.assign(ast.copy_location(ast.Assign([node.target], node.value), node))
        slot = self._slot(node.target)
        if not isinstance(slot, int):
            return slot
        assert node.value is not None
        function = self._given_function([node.target], node.value)
        if function is not None:
            return self.assignment(node, slot, *function[1])
        return self.assignment(node, slot, node.value)

    def augassign(self, node: ast.AugAssign) -> Sequence[Part]:
        from sabot._encode_lists import item_of

        item = item_of(self, node.target)
        if item is not None:
            return [self.at("AUGITEM", node), _operator(BINARY, node.op), *item, node.value]
        slot = self._slot(node.target)
        if not isinstance(slot, int):
            return slot
        return [self.at("AUGASSIGN", node), u32(slot), _operator(BINARY, node.op), node.value]

    def expr(self, node: ast.Expr) -> Sequence[Part]:
        if isinstance(node.value, ast.Constant) and not is_scalar(node.value.value):
            return [self.at("PASS", node)]  # `...` and the like: Python drops it
        return [self.at("EXPR", node), node.value]

    def if_(self, node: ast.If) -> Sequence[Part]:
        return [self.at("IF", node), node.test, *block(node.body), *block(node.orelse)]

    def while_(self, node: ast.While) -> Sequence[Part]:
        return [self.at("WHILE", node), node.test, *block(node.body), *block(node.orelse)]

    def for_(self, node: ast.For) -> Sequence[Part]:
        from sabot._encode_functions import iterable
        from sabot._encode_iter import loop

        target = self.target(node.target)
        if isinstance(target, list):
            return target
        body, orelse = block(node.body), block(node.orelse)
        return loop(self, node, target, iterable(self, node), None, body, orelse)

    def match(self, node: ast.Match) -> Sequence[Part]:
        from sabot._encode_match import match

        return match(self, node)

    def return_(self, node: ast.Return) -> Sequence[Part]:
        if node.value is None:
            return [self.at("RETURN", node), u8(0)]
        return [self.at("RETURN", node), u8(1), node.value]

    def assert_(self, node: ast.Assert) -> Sequence[Part]:
        if sys.flags.optimize:
            return [self.at("PASS", node)]
        passes = [u32(1), self.at("PASS", node)]
        return [self.at("IF", node), node.test, *passes, u32(1), self.at("RAISE", node)]

    def delete(self, node: ast.Delete) -> Sequence[Part]:
        from sabot._encode_lists import item_of

        item = item_of(self, node.targets[0]) if len(node.targets) == 1 else None
        if item is not None:
            pop = [self.at("CALL", node), u8(BUILTINS["POP"]), u32(2), *item]
            return [self.at("EXPR", node), *pop]
        slots: list[bytes] = []
        for target in node.targets:
            slot = self._slot(target)
            if not isinstance(slot, int):
                return slot
            slots.append(u32(slot))
        return [self.at("DEL", node), u32(len(slots)), *slots]

    def definition(self, node: ast.FunctionDef) -> Sequence[Part]:
        name = ast.Name(node.name, ast.Store())
        function = self._given_function([name], node)
        if function is not None:
            return self.assignment(node, self.scope.names[function[0]], *function[1])
        return self._definition(node, name) if self._defines(name) else self.refuse(node)

    def bare(self, node: ast.AST) -> Sequence[Part]:
        return [self.at(type(node).__name__.upper(), node)]

    def import_(self, node: ast.Import | ast.ImportFrom) -> Sequence[Part]:
        """An import of what is loaded does nothing but bind its names, which lead where `known` says."""
        for alias in node.names:
            name = self.mangle(alias.asname or alias.name.partition(".")[0])
            origin = self.found[name].origin if name in self.found else ""
            if self.scope.slot(name) is not None or origin not in ("import", "not_loaded"):
                return self.refuse(node)
            if origin == "not_loaded":
                module = getattr(node, "module", None) or alias.name
                return self.unsupported(node, "not_loaded", module)
        return [self.at("PASS", node)]

    def outer(self, node: ast.Global | ast.Nonlocal) -> Sequence[Part]:
        text = f"{type(node).__name__.lower()} {', '.join(node.names)}"
        return self.unsupported(node, "impure", text)

    def _holds_table(self, target: ast.AST) -> bool:
        """Whether a target is the name of a dict that is only looked into."""
        return isinstance(target, ast.Name) and self.mangle(target.id) in self.scope.tables

    def _defines(self, target: ast.AST) -> bool:
        """Whether a target is the name of a function that calls of that name lead to."""
        return isinstance(target, ast.Name) and self.mangle(target.id) in self.scope.nested

    def _definition(self, node: ast.stmt, target: ast.AST) -> Sequence[Part]:
        """The name of a nested function is bound: to a truth, which only says that it is."""
        assert isinstance(target, ast.Name)
        slot = self.scope.names[self.mangle(target.id)]
        return self.assignment(node, slot, self.at("CONST_BOOL", node) + u8(1))

    # What names stand for, and refusals

    def known(self, node: ast.AST) -> Found | None:
        """What a name outside the function, or a dotted one, stands for."""
        root, text = dotted(node)
        if root is None or self.scope.slot(self.mangle(root.id)) is not None:
            return None
        return self.found.get(text if isinstance(node, ast.Attribute) else self.mangle(root.id))

    def target(self, target: ast.AST, items: bool = False) -> tuple[Part, ...] | list[bytes]:
        """What is assigned to, as the format has it, or why it cannot be. items: items of lists may be."""
        if isinstance(target, (ast.Tuple, ast.List)):
            heads: list[Part] = [u8(1), u32(len(target.elts))]
            for inner in target.elts:
                written = self.target(inner, items)
                if isinstance(written, list):
                    return written
                heads += written
            return tuple(heads)
        from sabot._encode_lists import item_of

        item = item_of(self, target) if items else None
        if item is not None:
            return (u8(2), *item)
        slot = self._slot(target)
        return (u8(0) + u32(slot),) if isinstance(slot, int) else slot

    def _slot(self, target: ast.AST) -> int | list[bytes]:
        """The slot of an assignment's target, or why it has none."""
        match target:
            case ast.Name(name):
                slot = self.scope.slot(self.mangle(name))
                if slot is not None:
                    return slot
                return self.unsupported(
                    target, "impure", f"assignment to {target.id}, which is not a local"
                )
            case ast.Attribute():
                return self.unsupported(target, "impure", f"assignment to attribute .{target.attr}")
            case ast.Subscript():
                return self.unsupported(target, "impure", "assignment to an item")
            case ast.Starred():
                return self.unsupported(target, "syntax", "unpacking with *")
            case _:
                return self.unsupported(target, "syntax", _form(target))

    def refuse(self, node: ast.AST) -> list[bytes]:
        """An UNSUPPORTED node at the innermost place that explains why `node` has no form in a blob."""
        while isinstance(node, (ast.Call, ast.Attribute, ast.Subscript)):
            inner = node.func if isinstance(node, ast.Call) else node.value
            root, text = dotted(inner)
            if root is not None:
                return self._refuse_named(node, root, text)
            if self._hasform(inner):
                break
            node = inner
        return self.unsupported(node, "syntax", _form(node))

    def _hasform(self, node: ast.AST) -> bool:
        """Whether what is called or looked into would itself be compiled."""
        from sabot._encode_calls import is_compiled

        if isinstance(node, ast.Call):
            found = self.known(node.func)
            return found is not None and is_compiled(found.value)
        return type(node) in _WRITERS and not isinstance(node, (ast.Attribute, ast.Subscript))

    def _changed_by(self, node: ast.Call, root: Found | None) -> str | None:
        """What a call changes that the function did not make: the captured container of a method, or the iterator of next."""
        match node:
            case ast.Call(ast.Attribute(ast.Name(), method)) if root is not None:
                kind = type_name(root.value)
                return f"a captured {kind}" if method in CHANGING.get(kind, ()) else None
            case ast.Call(ast.Name(), [ast.Name() as iterator, *_]):
                called, known = self.known(node.func), self.known(iterator)
                if called is None or called.value is not next or known is None:
                    return None
                return None if known.origin == "missing" else "a captured iterator"
            case _:
                return None

    def _refuse_named(
        self, node: ast.Call | ast.Attribute | ast.Subscript, root: ast.Name, text: str
    ) -> list[bytes]:
        """The same for a call, an attribute or a subscript of a dotted name."""
        found = self.known(root)
        if found is not None and found.origin in _NOWHERE:
            return self.unsupported(root, _NOWHERE[found.origin], root.id)
        if isinstance(node, ast.Call):
            called = self.known(node.func)
            known = id(called.value) if called is not None else None
            if known in IMPURE:
                return self.unsupported(node, "impure", IMPURE[known])
            changed = self._changed_by(node, found)
            if changed is not None:
                return self.unsupported(node, "impure", f"{text} changes {changed}")
            if known in PLAIN:
                return self.unsupported(node, "syntax", f"a call of {PLAIN[known]}")
            return self.unsupported(node, "unknown_call", text)
        for place in (node, node.value, root):
            inside = self.known(place)
            if inside is None or is_module(inside.value) or is_constant(inside.value):
                continue
            if isinstance(node, ast.Attribute) and place is node.value and is_users(inside.value):
                why = member(inside.value, self.mangle(node.attr)).value
                return self.unsupported(node, "captured", f"{type_name(inside.value)}: {why}")
            return self.unsupported(place, "captured", type_name(inside.value))
        if isinstance(node, ast.Attribute):
            return self.unsupported(node, "syntax", f"attribute access {text}.{node.attr}")
        return self.unsupported(node, "syntax", _form(node))


def _is_membership(node: ast.Compare, place: int) -> bool:
    return place > 0 and isinstance(node.ops[place - 1], (ast.In, ast.NotIn))


def block(statements: Sequence[ast.stmt]) -> list[Part]:
    """A list of statements."""
    return [u32(len(statements)), *statements]


def _plain_tuple(value: object, depth: int = 0) -> tuple[object, ...] | None:
    """An exact tuple of scalars and of such tuples; None for anything else."""
    if type(value) is not tuple or depth >= 8:
        return None
    items = cast("tuple[object, ...]", value)
    if len(items) > _TUPLE_MAX:
        return None
    plain = all(is_scalar(item) or _plain_tuple(item, depth + 1) is not None for item in items)
    return items if plain else None


def is_constant(value: object) -> bool:
    """Whether a captured value may stand in compiled code: a scalar, or a tuple of such."""
    return is_scalar(value) or _plain_tuple(value) is not None


def _nested_functions(node: FunctionNode, mangle: Callable[[str], str]) -> dict[str, FunctionNode]:
    """Functions and lambdas that a function defines under names that it binds nowhere else."""
    counts = bindings(node, mangle)
    found: dict[str, FunctionNode] = {}
    stack: list[ast.AST] = [] if isinstance(node, ast.Lambda) else [*node.body]
    while stack:
        place = stack.pop()
        match place:
            case ast.FunctionDef(name) if not place.decorator_list and counts[mangle(name)] == 1:
                found[mangle(name)] = place
            case ast.Assign([ast.Name(name)], ast.Lambda() as function) if (
                counts[mangle(name)] == 1
            ):
                found[mangle(name)] = function
            case ast.If() | ast.For() | ast.While() | ast.With() | ast.Try():
                stack.extend(ast.iter_child_nodes(place))
            case _:
                pass
    return found


_WRITERS: dict[type[ast.AST], Callable[[Encoder, Any], Sequence[Part]]] = {
    ast.AnnAssign: Encoder.annassign,
    ast.Assert: Encoder.assert_,
    ast.Assign: Encoder.assign,
    ast.Attribute: Encoder.attribute,
    ast.AugAssign: Encoder.augassign,
    ast.BinOp: Encoder.binary,
    ast.BoolOp: Encoder.boolop,
    ast.Break: Encoder.bare,
    ast.Call: Encoder.call,
    ast.Compare: Encoder.compare,
    ast.Constant: Encoder.constant,
    ast.Continue: Encoder.bare,
    ast.Delete: Encoder.delete,
    ast.Expr: Encoder.expr,
    ast.For: Encoder.for_,
    ast.FunctionDef: Encoder.definition,
    ast.Global: Encoder.outer,
    ast.If: Encoder.if_,
    ast.IfExp: Encoder.ifexp,
    ast.Import: Encoder.import_,
    ast.ImportFrom: Encoder.import_,
    ast.List: Encoder.items,
    ast.ListComp: Encoder.comprehension,
    ast.Match: Encoder.match,
    ast.Name: Encoder.name,
    ast.NamedExpr: Encoder.named,
    Given: lambda encoder, node: node.write(encoder),
    Own: lambda encoder, node: node.write(encoder),
    ast.Nonlocal: Encoder.outer,
    ast.Pass: Encoder.bare,
    ast.Raise: Encoder.bare,
    ast.Return: Encoder.return_,
    ast.Subscript: Encoder.subscript,
    ast.Tuple: Encoder.items,
    ast.UnaryOp: Encoder.unary,
    ast.While: Encoder.while_,
}
