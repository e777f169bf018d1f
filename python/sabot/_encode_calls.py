"""Calls and comprehensions in a blob: builtins known by identity, functions of the user, what sum, min, max, any and all do with an
iterable.

The last become a BLOCK: the loop that they are, with a local of its own for what they keep. Recursion of nested functions, and calls
deeper than CALLS_MAX, are refused.
"""

from __future__ import annotations

import ast
import datetime as dt
import functools
import math
import operator
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sabot._blob import BINARY, BUILTINS, COMPARE, KINDS, MATH, UNARY
from sabot._bound import resolve
from sabot._encode import Encoder, Inner, Own, Scope, dotted, u8, u32
from sabot._encode_functions import call_chosen, chosen, iterable
from sabot._encode_iter import call_of_lambda, generator_of, loop, next_
from sabot._encode_lists import method, reverse_of
from sabot._encode_sorted import key_of, sorted_by, without_key
from sabot._encode_tables import call_of_get, frozen_of, readable
from sabot._guards import is_scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._encode import Part


def call(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    """A call, by what its function is."""
    from sabot._encode_user import call_nested

    node = _unpacked_stars(encoder, node)
    if isinstance(node.func, ast.Name):
        nested = encoder.scope.function(encoder.mangle(node.func.id))
        if nested is not None:
            return call_nested(encoder, node, *nested, encoder)
    if isinstance(node.func, ast.Lambda):
        return call_of_lambda(encoder, node) or encoder.refuse(node)
    of_list = method(encoder, node)
    if of_list is not None:
        return of_list
    found = encoder.known(node.func)
    if found is None:
        one_of = chosen(encoder, node.func)
        if one_of is not None:
            return call_chosen(encoder, node, one_of)
        return call_of_get(encoder, node) or _method(encoder, node) or encoder.refuse(node)
    return call_object(encoder, node, found.value) or encoder.refuse(node)


def _unpacked_stars(encoder: Encoder, node: ast.Call) -> ast.Call:
    """The call with each `*items` written out, where it is known how many there are."""
    args: list[ast.expr] = []
    for arg in node.args:
        inner = arg.value if isinstance(arg, ast.Starred) else None
        if isinstance(inner, (ast.Tuple, ast.List)):
            args += inner.elts
            continue
        count = _length_of(encoder, inner) if inner is not None else None
        if inner is None or count is None:
            args.append(arg)
            continue
        for place in range(count):
            index = ast.copy_location(ast.Constant(place), inner)
            args.append(ast.copy_location(ast.Subscript(inner, index, ast.Load()), inner))
    if len(args) == len(node.args) and not has_stars(node):
        return node
    return ast.copy_location(ast.Call(node.func, args, node.keywords), node)


def _length_of(encoder: Encoder, node: ast.expr) -> int | None:
    """How many items a captured tuple or list has, or each tuple in one, by an index or as the variable of a loop."""
    held: ast.expr | None = None
    match node:
        case ast.Subscript(value, index) if not isinstance(index, ast.Slice):
            held = value
        case ast.Name(name) if (scope := encoder.scope.holder(encoder.mangle(name))) is not None:
            match scope.assigned.get(encoder.mangle(name)):
                case [ast.For() | ast.comprehension() as loop]:
                    held = loop.iter
                case _:
                    return None
        case _:
            items = _captured_items(encoder, node)
            return None if items is None else len(items)
    lengths = {_items_in(one) for one in _captured_items(encoder, held) or ()}
    return lengths.pop() if len(lengths) == 1 else None


def _items_in(value: object) -> int | None:
    return len(cast("tuple[object, ...]", value)) if type(value) is tuple else None


def _captured_items(encoder: Encoder, node: ast.expr) -> tuple[object, ...] | None:
    found = encoder.known(node)
    value = found.value if found is not None else None
    frozen = frozen_of(encoder, node)
    if frozen is not None and frozen.kind == "list":
        value = frozen.items
    return cast("tuple[object, ...]", value) if type(value) is tuple else None


def call_object(encoder: Encoder, node: ast.Call, value: object) -> Sequence[Part] | None:
    """A call of a captured object; None where it has no form."""
    from sabot._encode_user import call_function, call_partial

    write = compiled().get(id(value)) or _numpy_writer(value)
    if write is not None:
        return write(encoder, node)
    called = resolve(value)
    if called is None:
        return None
    callee = encoder.program.callees.get(called.key)
    if callee is not None:
        return call_function(encoder, node, callee, called)
    if called.checks and id(called.fn) in compiled():
        return call_partial(encoder, node, called)
    return None


def _numpy_writer(value: object) -> Callable[[Encoder, ast.Call], Sequence[Part]] | None:
    from sabot._encode_numpy import writer_of

    return writer_of(value)


# --- builtins


def has_stars(node: ast.Call) -> bool:
    return any(isinstance(arg, ast.Starred) for arg in node.args) or any(
        keyword.arg is None for keyword in node.keywords
    )


def _form(node: ast.Call) -> str:
    return f"a call of {ast.unparse(node.func)} with these arguments"


def refuse_call(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    for arg in node.args:
        if isinstance(arg, ast.Starred):
            return encoder.refuse(arg)
    return encoder.unsupported(node, "syntax", _form(node))


def plain(name: str, least: int, most: int) -> Callable[[Encoder, ast.Call], Sequence[Part]]:
    """A builtin of values, without keywords."""

    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        if node.keywords or has_stars(node) or not least <= len(node.args) <= most:
            return refuse_call(encoder, node)
        return builtin(encoder, node, name, *node.args)

    return write


_READING = frozenset({"ENUMERATE", "ZIP", "REVERSED", "LEN"})


def builtin(encoder: Encoder, node: ast.AST, name: str, *args: Part) -> list[Part]:
    if name == "LEN" and isinstance(args[0], ast.expr):
        frozen = frozen_of(encoder, args[0])
        if frozen is not None:
            return [*encoder.value(node, len(frozen.items))]
    if name in _READING:
        args = tuple(readable(encoder, one) if isinstance(one, ast.expr) else one for one in args)
    return [encoder.at("CALL", node), u8(BUILTINS[name]), u32(len(args)), *args]


def _enumerate(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    args = list(node.args)
    for keyword in node.keywords:
        if keyword.arg != "start" or len(args) != 1:
            return refuse_call(encoder, node)
        args.append(keyword.value)
    if has_stars(node) or not 1 <= len(args) <= 2:
        return refuse_call(encoder, node)
    return builtin(encoder, node, "ENUMERATE", *args)


def _zip(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    for keyword in node.keywords:
        match keyword:
            case ast.keyword("strict", ast.Constant(False)):
                pass
            case _:
                return refuse_call(encoder, node)
    if has_stars(node) or len(node.args) > 255:
        return refuse_call(encoder, node)
    return builtin(encoder, node, "ZIP", *node.args)


def _float(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    match node:
        case ast.Call(args=[ast.Constant(str(text))], keywords=[]):
            try:
                return encoder.value(node, float(text))
            except ValueError:
                return [*_raising(encoder, node)]
        case _:
            return plain("FLOAT", 0, 1)(encoder, node)


def _raising(encoder: Encoder, node: ast.AST) -> list[Part]:
    """A value that no row gets: coming to it raises."""
    slot = encoder.program.new_slots([""])
    return [
        encoder.at("BLOCK", node),
        u32(slot),
        u32(1),
        u32(1),
        encoder.at("RAISE", node),
        encoder.local(node, slot),
    ]


def _time(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    """A date or datetime that the text gives."""
    found = encoder.known(node.func)
    values = [*node.args, *(keyword.value for keyword in node.keywords)]
    constants = [constant_of(encoder, value) for value in values]
    known = [constant[0] for constant in constants if constant is not None]
    made = found.value if found is not None else None
    if (
        has_stars(node)
        or len(known) < len(constants)
        or not (made is dt.date or made is dt.datetime)
    ):
        return refuse_call(encoder, node)
    names = [keyword.arg or "" for keyword in node.keywords]
    given = dict(zip(names, known[len(node.args) :], strict=True))
    try:
        value: object = cast("Any", made)(*known[: len(node.args)], **given)
    except (TypeError, ValueError):
        return [*_raising(encoder, node)]
    return encoder.value(node, value)


def constant_of(encoder: Encoder, node: ast.expr) -> tuple[object] | None:
    """The value of a number that is written down, or of a captured number or zone of fixed offset; in a tuple of one."""
    match node:
        case ast.Constant(int() | None as value):
            return (value,)
        case _:
            found = encoder.known(node)
    if found is None or not (type(found.value) is int or type(found.value) is dt.timezone):
        return None
    return (found.value,)


_KINDS: dict[int, int] = {
    id(bool): KINDS["BOOL"],
    id(int): KINDS["INT"] | KINDS["BOOL"],
    id(float): KINDS["FLOAT"],
    id(tuple): KINDS["TUPLE"],
    id(list): KINDS["LIST"],
    id(type(None)): KINDS["NONE"],
    id(str): 0,
    id(bytes): 0,
    id(dict): 0,
    id(complex): 0,
    id(object): sum(KINDS.values()),
}


def _isinstance(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    if node.keywords or len(node.args) != 2:
        return refuse_call(encoder, node)
    wanted = node.args[1]
    names = wanted.elts if isinstance(wanted, ast.Tuple) else [wanted]
    kinds = 0
    for name in names:
        found = encoder.known(name)
        kind = _KINDS.get(id(found.value)) if found is not None else None
        if kind is None:
            return refuse_call(encoder, node)
        kinds |= kind
    return builtin(encoder, node, "ISINSTANCE", node.args[0], joined(encoder.value(node, kinds)))


def joined(parts: Sequence[bytes]) -> bytes:
    return b"".join(parts)


def _items(name: str) -> Callable[[Encoder, ast.Call], Sequence[Part]]:
    """tuple, list and sorted: of an iterable, or of a comprehension. What list and sorted get is a list already."""

    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        key = key_of(node) if name == "SORTED" else None
        if name == "SORTED":
            node = without_key(node)
        reverse = reverse_of(node) if name == "SORTED" else ([] if not node.keywords else None)
        if reverse is None or has_stars(node) or len(node.args) > 1:
            return refuse_call(encoder, node)
        args: list[Part] = [*node.args]
        constants = [joined(encoder.value(node, value)) for value in reverse]
        if args and name == "TUPLE_OF":
            args = unpacked(encoder, node.args[0])
        elif args:
            args = _comprehension_parts(encoder, node.args[0])
        if key is not None and args:
            first = [encoder.at("CALL", node), u8(BUILTINS["LIST_OF"]), u32(1), *args]
            return sorted_by(encoder, node, first, key, any(reverse), False)
        count = u32(len(node.args) + len(constants))
        return [encoder.at("CALL", node), u8(BUILTINS[name]), count, *args, *constants]

    return write


def _extreme(name: str) -> Callable[[Encoder, ast.Call], Sequence[Part]]:
    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        if has_stars(node) or not node.args or len(node.args) > 255:
            return refuse_call(encoder, node)
        options = {keyword.arg: keyword.value for keyword in node.keywords}
        key, default = options.pop("key", None), options.pop("default", None)
        if options or (default is not None and len(node.args) > 1):
            return refuse_call(encoder, node)
        if isinstance(key, ast.Constant) and key.value is None:
            key = None
        if len(node.args) > 1 and key is None:
            return builtin(encoder, node, name, *node.args)
        argument = node.args[0]
        if len(node.args) > 1:
            argument = ast.copy_location(ast.Tuple([*node.args], ast.Load()), node)
        return _extreme_of(encoder, node, "Gt" if name == "MAX" else "Lt", argument, key, default)

    return write


_METHODS = {"bit_count": "BIT_COUNT", "bit_length": "BIT_LENGTH", "is_integer": "IS_INTEGER"}


def _method(encoder: Encoder, node: ast.Call) -> Sequence[Part] | None:
    """A method of a number; None for other calls."""
    match node:
        case ast.Call(ast.Attribute(ast.expr() as inner, name), [], []):
            pass
        case _:
            return None
    root, _ = dotted(inner)
    captured = root is not None and encoder.scope.slot(encoder.mangle(root.id)) is None
    if captured and encoder.known(inner) is None:
        return None
    if name == "conjugate":
        return [encoder.at("UNARY", node), u8(UNARY["UAdd"]), inner]
    if name not in _METHODS:
        return None
    parts: list[Part] = [inner]
    if name == "is_integer":  # ints have it since 3.12
        parts.append(joined(encoder.value(node, sys.version_info >= (3, 12))))
    return builtin(encoder, node, _METHODS[name], *parts)


# --- what goes through an iterable


class _Turns(NamedTuple):
    """The loops of an argument: own slots, the scope in which an item is written, and the item."""

    generators: list[ast.comprehension]
    scope: Scope
    item: Inner
    first: int
    names: list[str]


def turns_of(encoder: Encoder, node: ast.AST, argument: ast.expr, own: Sequence[str]) -> _Turns:
    """Makes slots for `own`, in this order, then for the targets."""
    argument = generator_of(encoder, argument) or argument
    if isinstance(argument, (ast.GeneratorExp, ast.ListComp)):
        generators, element = argument.generators, argument.elt
        targets = [
            encoder.mangle(name.id)
            for generator in generators
            for name in ast.walk(generator.target)
            if isinstance(name, ast.Name)
        ]
    else:
        target = ast.copy_location(ast.Name("", ast.Store()), argument)
        element = ast.copy_location(ast.Name("", ast.Load()), argument)
        generators = [ast.comprehension(target, argument, [], 0)]
        targets = [""]
    names = [*own, *dict.fromkeys(targets)]
    first = encoder.program.new_slots(names)
    slots = {name: first + k for k, name in enumerate(names) if k >= len(own)}
    scope = Scope(slots, encoder.scope)
    match generators[0].target:
        case ast.Name(name) if targets.count(encoder.mangle(name)) == 1:
            scope.assigned[encoder.mangle(name)] = [generators[0]]
        case _:
            pass
    return _Turns(generators, scope, Inner(element, scope, 8), first, names)


def loops_of(
    encoder: Encoder, node: ast.AST, turns: _Turns, body: list[Part], after: list[Part]
) -> list[Part]:
    """One statement: the loops round `body`, a list of statements; `after` (such a list, or empty) stands behind each inner loop."""
    statement: list[Part] = body
    for number, generator in reversed(list(enumerate(turns.generators))):
        if generator.is_async:
            return [*encoder.unsupported(node, "syntax", "async for")]
        for test in reversed(generator.ifs):
            inner = Inner(test, turns.scope, 4)
            statement = [u32(1), encoder.at("IF", node), inner, *statement, u32(0)]
        before, encoder.scope = encoder.scope, turns.scope
        target = encoder.target(generator.target)
        encoder.scope = before
        if isinstance(target, list):
            return [*target]
        # The first iterable belongs to the scope around.
        scope = None if number == 0 else turns.scope
        before, encoder.scope = encoder.scope, turns.scope
        held = iterable(encoder, generator)
        encoder.scope = before
        whole = loop(encoder, node, target, held, scope, statement, [u32(0)])
        if number == 0:
            return whole
        statement = [u32(2), *whole, *after] if after else [u32(1), *whole]
    return statement


def block_of(
    encoder: Encoder, node: ast.AST, turns: _Turns, statements: list[list[Part]], result: list[Part]
) -> list[Part]:
    first = own_slot(turns, 0)
    flat = [part for statement in statements for part in statement]
    head: list[Part] = [encoder.at("BLOCK", node), u32(first), u32(len(turns.names))]
    return [*head, u32(len(statements)), *flat, *result]


def own_slot(turns: _Turns, index: int) -> int:
    return turns.first + index


def _sum(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    args = list(node.args)
    for keyword in node.keywords:
        if keyword.arg != "start" or len(args) != 1:
            return refuse_call(encoder, node)
        args.append(keyword.value)
    # Python evaluates the iterable first: a start that comes before it must not be able to fail.
    if has_stars(node) or not 1 <= len(args) <= 2 or not all(map(is_simple, args[1:])):
        return refuse_call(encoder, node)
    start: Part = Inner(args[1], None, 3) if len(args) > 1 else joined(encoder.value(node, 0))
    turns = turns_of(encoder, node, args[0], ["total"])
    total = own_slot(turns, 0)
    step = "SUM_NEXT" if sys.version_info >= (3, 12) else "SUM_NEXT_PLAIN"
    added = builtin(encoder, node, step, encoder.local(node, total), turns.item)
    loop = loops_of(encoder, node, turns, [u32(1), *encoder.assignment(node, total, *added)], [])
    begin = encoder.assignment(node, total, *builtin(encoder, node, "SUM_BEGIN", start))
    end = builtin(encoder, node, "SUM_END", encoder.local(node, total))
    return block_of(encoder, node, turns, [begin, loop], end)


def is_simple(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value) | ast.UnaryOp(ast.USub(), ast.Constant(value)):
            return is_scalar(value)
        case _:
            return False


def _extreme_of(
    encoder: Encoder,
    node: ast.Call,
    operator: str,
    argument: ast.expr,
    key: ast.expr | None,
    default: ast.expr | None,
) -> Sequence[Part]:
    own = ["best", "started", "item", "most", "rank", "default"]
    turns = turns_of(encoder, node, argument, own)
    best, started, item, most, rank, otherwise = (own_slot(turns, k) for k in range(len(own)))

    def local(slot: int) -> bytes:
        return encoder.local(node, slot)

    keep = encoder.assignment(node, best, local(item))
    body: list[Part] = [u32(2), *encoder.assignment(node, item, turns.item)]
    if key is None:
        count, most, rank = 1, best, item
    else:
        count, keep = 2, [*keep, *encoder.assignment(node, most, local(rank))]
        call = ast.Call(key, [Own(node, lambda _: [local(item)])], [])
        ranked = encoder.assignment(node, rank, Inner(ast.copy_location(call, key), None, 8))
        body = [u32(3), *body[1:], *ranked]
    beats: list[Part] = [encoder.at("COMPARE", node), local(rank), u32(1), u8(COMPARE[operator])]
    beats.append(local(most))
    better: list[Part] = [encoder.at("IF", node), *beats, u32(count), *keep, u32(0)]
    yes, no = joined(encoder.value(node, True)), joined(encoder.value(node, False))
    begin = [u32(count + 1), *keep, *encoder.assignment(node, started, yes)]
    choose: list[Part] = [encoder.at("IF", node), local(started), u32(1), *better, *begin]
    loop = loops_of(encoder, node, turns, [*body, *choose], [])
    statements = [encoder.assignment(node, started, no), loop]
    result: list[Part] = [local(best)]  # unbound when there was no item: then it raises here
    if default is not None:
        first = encoder.assignment(node, otherwise, Inner(default, None, 2))
        statements.insert(0, first)
        result = [encoder.at("IFEXP", node), local(started), *result, local(otherwise)]
    return block_of(encoder, node, turns, statements, result)


def _reduce(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    """functools.reduce: the loop that it is."""
    binds = any(isinstance(place, ast.NamedExpr) for place in ast.walk(node))
    if node.keywords or has_stars(node) or binds or not 2 <= len(node.args) <= 3:
        return refuse_call(encoder, node)
    function, iterable_, *initial = node.args
    turns = turns_of(encoder, node, iterable_, ["total", "started", "item"])
    total, started, item = (own_slot(turns, k) for k in range(3))
    held = [Own(node, _local_of(node, slot)) for slot in (total, item)]
    call = ast.copy_location(ast.Call(function, [*held], []), function)
    more = encoder.assignment(node, total, Inner(call, None, 8))
    body: list[Part] = [u32(2), *encoder.assignment(node, item, turns.item)]
    yes, no = joined(encoder.value(node, True)), joined(encoder.value(node, False))
    begin = [encoder.assignment(node, total, Inner(one, None, 2)) for one in initial]
    if initial:
        body += more
    else:
        begin.append(encoder.assignment(node, started, no))
        body += [encoder.at("IF", node), encoder.local(node, started), u32(1), *more, u32(2)]
        body += [*encoder.assignment(node, total, encoder.local(node, item))]
        body += encoder.assignment(node, started, yes)
    loop = loops_of(encoder, node, turns, body, [])
    # Unbound where there was no item: then it raises here.
    return block_of(encoder, node, turns, [*begin, loop], [encoder.local(node, total)])


def _local_of(node: ast.AST, slot: int) -> Callable[[Encoder], Sequence[Part]]:
    return lambda encoder: [encoder.local(node, slot)]


def _quantifier(stops_at: bool) -> Callable[[Encoder, ast.Call], Sequence[Part]]:
    """any and all: they stop at the first true, or false, item."""

    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        if node.keywords or has_stars(node) or len(node.args) != 1:
            return refuse_call(encoder, node)
        turns = turns_of(encoder, node, node.args[0], ["found"])
        found = own_slot(turns, 0)
        test: list[Part] = [turns.item]
        seen: list[Part] = [encoder.local(node, found)]
        if not stops_at:
            test = [encoder.at("UNARY", node), u8(UNARY["Not"]), *test]
            seen = [encoder.at("UNARY", node), u8(UNARY["Not"]), *seen]
        constant = joined(encoder.value(node, stops_at))
        stop: list[Part] = [u32(2), *encoder.assignment(node, found, constant)]
        stop.append(encoder.at("BREAK", node))
        body: list[Part] = [u32(1), encoder.at("IF", node), *test, *stop, u32(0)]
        leave: list[Part] = [encoder.at("IF", node), *seen, u32(1), encoder.at("BREAK", node)]
        loop = loops_of(encoder, node, turns, body, [*leave, u32(0)])
        begin = encoder.assignment(node, found, joined(encoder.value(node, not stops_at)))
        return block_of(encoder, node, turns, [begin, loop], [encoder.local(node, found)])

    return write


def unpacked(encoder: Encoder, node: ast.expr) -> list[Part]:
    """An iterable of which all items are taken at once: a generator is a comprehension there."""
    generator = generator_of(encoder, node)
    return (
        [readable(encoder, node)] if generator is None else _comprehension_parts(encoder, generator)
    )


def comprehension(encoder: Encoder, node: ast.ListComp) -> Sequence[Part]:
    """A list comprehension as a value."""
    return _comprehension_parts(encoder, node)


def _comprehension_parts(encoder: Encoder, node: ast.expr) -> list[Part]:
    """The list of what a comprehension, or any iterable, gives. Its first own slot is the list while it grows."""
    turns = turns_of(encoder, node, node, ["items"])
    generator = turns.generators[0]
    inner = generator_of(encoder, generator.iter)
    if len(turns.generators) != 1 or generator.ifs or generator.is_async or inner is not None:
        return _grown(encoder, node, turns)
    before, encoder.scope = encoder.scope, turns.scope
    target = encoder.target(generator.target)
    held = iterable(encoder, generator)
    encoder.scope = before
    if isinstance(target, list):
        return [*target]
    head: list[Part] = [encoder.at("COMPREHENSION", node), u32(turns.first), u32(len(turns.names))]
    return [*head, *target, readable(encoder, held), Inner(turns.item.node, turns.scope)]


def _grown(encoder: Encoder, node: ast.expr, turns: _Turns) -> list[Part]:
    """A comprehension with conditions or several loops: the loops, and a list that they fill."""
    items = own_slot(turns, 0)
    added = builtin(encoder, node, "APPEND", encoder.local(node, items), turns.item)
    loops = loops_of(encoder, node, turns, [u32(1), encoder.at("EXPR", node), *added], [])
    begin = encoder.assignment(node, items, *builtin(encoder, node, "LIST_NEW"))
    return block_of(encoder, node, turns, [begin, loops], [encoder.local(node, items)])


def _round(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    args = list(node.args)
    for keyword in node.keywords:
        if keyword.arg != "ndigits" or len(args) != 1:
            return refuse_call(encoder, node)
        args.append(keyword.value)
    if has_stars(node) or not 1 <= len(args) <= 2:
        return refuse_call(encoder, node)
    return builtin(encoder, node, "ROUND", *args)


@functools.cache
def is_same_libm(name: str) -> bool:
    """Whether compiled code has the values of this process's `math`, tried at 64 places."""
    try:
        from sabot._core import math_value
    except ImportError:  # the engine is not there: nothing will run compiled
        return True
    function, count = getattr(math, name), MATH[name][1]
    for k in range(64):
        x = (k - 24) * 0.4375 + 1 / (k + 1) if k < 56 else 10.0 ** ((k - 60) * 37)
        args = (x, 2.75 - x / 3)[:count]
        try:
            wanted: float | None = function(*args)
        except (ValueError, OverflowError):
            wanted = None
        given = math_value(name, x, args[-1])
        if given != wanted and (given == given or wanted == wanted):
            return False
    return True


def libm(name: str) -> Callable[[Encoder, ast.Call], Sequence[Part]]:
    number, count = MATH[name]

    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        if not is_same_libm(name):
            return encoder.unsupported(node, "unknown_call", f"math.{name} of another libm")
        if node.keywords or has_stars(node) or len(node.args) != count:
            return refuse_call(encoder, node)
        return [encoder.at("CALL", node), u8(number), u32(count), *node.args]

    return write


def _logarithm(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    """math.log(x), and of a base: the quotient of two logarithms."""
    if node.keywords or has_stars(node) or not 1 <= len(node.args) <= 2:
        return refuse_call(encoder, node)
    number, _ = MATH["log"]
    if not is_same_libm("log"):
        return encoder.unsupported(node, "unknown_call", "math.log of another libm")
    parts: list[Part] = []
    if len(node.args) == 2:
        parts = [encoder.at("BINARY", node), u8(BINARY["Div"])]
    for arg in node.args:
        parts += [encoder.at("CALL", node), u8(number), u32(1), Inner(arg, None, 1)]
    return parts


_OPERATORS = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mult",
    "truediv": "Div",
    "floordiv": "FloorDiv",
    "mod": "Mod",
    "pow": "Pow",
    "lshift": "LShift",
    "rshift": "RShift",
    "and_": "BitAnd",
    "or_": "BitOr",
    "xor": "BitXor",
}
_COMPARISONS = {"eq": "Eq", "ne": "NotEq", "lt": "Lt", "le": "LtE", "gt": "Gt", "ge": "GtE"}


def _binary(kind: str) -> Callable[[Encoder, ast.Call], Sequence[Part]]:
    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        if node.keywords or has_stars(node) or len(node.args) != 2:
            return refuse_call(encoder, node)
        return [encoder.at("BINARY", node), u8(BINARY[kind]), *node.args]

    return write


def _comparison(kind: str) -> Callable[[Encoder, ast.Call], Sequence[Part]]:
    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        if node.keywords or has_stars(node) or len(node.args) != 2:
            return refuse_call(encoder, node)
        left, right = node.args
        return [encoder.at("COMPARE", node), left, u32(1), u8(COMPARE[kind]), right]

    return write


def _unary(kind: str) -> Callable[[Encoder, ast.Call], Sequence[Part]]:
    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        if node.keywords or has_stars(node) or len(node.args) != 1:
            return refuse_call(encoder, node)
        return [encoder.at("UNARY", node), u8(UNARY[kind]), *node.args]

    return write


_BUILTINS: dict[int, Callable[[Encoder, ast.Call], Sequence[Part]]] = {
    id(range): plain("RANGE", 1, 3),
    id(enumerate): _enumerate,
    id(zip): _zip,
    id(reversed): plain("REVERSED", 1, 1),
    id(len): plain("LEN", 1, 1),
    id(min): _extreme("MIN"),
    id(max): _extreme("MAX"),
    id(bool): plain("BOOL", 0, 1),
    id(float): _float,
    id(isinstance): _isinstance,
    id(tuple): _items("TUPLE_OF"),
    id(list): _items("LIST_OF"),
    id(sorted): _items("SORTED"),
    id(sum): _sum,
    id(any): _quantifier(True),
    id(all): _quantifier(False),
    id(divmod): plain("DIVMOD", 2, 2),
    id(math.isnan): plain("ISNAN", 1, 1),
    id(math.isinf): plain("ISINF", 1, 1),
    id(math.isfinite): plain("ISFINITE", 1, 1),
    id(abs): plain("ABS", 1, 1),
    id(operator.abs): plain("ABS", 1, 1),
    id(int): plain("INT", 0, 1),
    id(round): _round,
    id(operator.index): plain("INT_INDEX", 1, 1),
    id(math.floor): plain("FLOOR", 1, 1),
    id(math.ceil): plain("CEIL", 1, 1),
    id(math.trunc): plain("TRUNC", 1, 1),
    id(math.fabs): plain("FABS", 1, 1),
    id(math.sqrt): plain("SQRT", 1, 1),
    id(math.gcd): plain("GCD", 0, 255),
    id(math.isqrt): plain("ISQRT", 1, 1),
    id(math.degrees): plain("DEGREES", 1, 1),
    id(math.radians): plain("RADIANS", 1, 1),
    id(math.log): _logarithm,
    **{id(getattr(operator, name)): _binary(kind) for name, kind in _OPERATORS.items()},
    **{id(getattr(operator, name)): _comparison(kind) for name, kind in _COMPARISONS.items()},
    id(operator.neg): _unary("USub"),
    id(operator.pos): _unary("UAdd"),
    id(operator.not_): _unary("Not"),
    id(operator.invert): _unary("Invert"),
    id(operator.truth): plain("BOOL", 1, 1),
    id(next): next_,
    id(functools.reduce): _reduce,
}
_BUILTINS.update(
    (id(getattr(math, name)), libm(name)) for name in MATH if name != "log" and hasattr(math, name)
)


def is_compiled(value: object) -> bool:
    """Whether a builtin has a compiled form."""
    return id(value) in compiled()


@functools.cache
def compiled() -> dict[int, Callable[[Encoder, ast.Call], Sequence[Part]]]:
    """All builtins that have a form."""
    from sabot._encode_math import writers
    from sabot._encode_sorted import writers as of_bisect

    times = {id(dt.date): _time, id(dt.datetime): _time}
    return {**_BUILTINS, **times, **writers(), **of_bisect()}
