"""Functions as values in a blob: locals, arguments, items of tuples and dicts that are functions known when the text is read.

A local that is only ever given functions holds a number: which of its functions it is. A call of it is a choice by that number, of the
calls of each. So a function that is picked by a condition, by an index or by a parameter is a choice between numbers, like any other.

Locals of a function's own are functions where each of their assignments is one: a captured function, a builtin with a compiled form, a
nested function or lambda, `functools.partial` of one, an item of a tuple, list or dict of such, a conditional expression of them. As
anything else than what is called they are refused.
"""

from __future__ import annotations

import ast
import functools
from typing import TYPE_CHECKING, NamedTuple, cast

from sabot._blob import COMPARE
from sabot._bound import resolve
from sabot._encode_program import Given, Inner, Own, u8, u32
from sabot._guards import Frozen
from sabot._scope import bindings

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from sabot._encode import Encoder
    from sabot._encode_program import FunctionNode, Part, Scope

CHOICES_MAX = 16  # functions that one value may be


class Target(NamedTuple):
    """One function that a value may be: a captured object; or a nested function with the scope around it and the encoder of its text;
    or another target with arguments that locals hold. own: locals hold some of it."""

    value: object
    function: FunctionNode | None = None
    scope: Scope | None = None
    owner: Encoder | None = None
    inner: Target | None = None
    args: tuple[int, ...] = ()
    keywords: tuple[tuple[str, int], ...] = ()

    @property
    def key(self) -> Hashable:
        """Tells targets apart while the program is written."""
        inner = self.inner.key if self.inner is not None else None
        return (id(self.value), id(self.function), self.scope, inner, self.args, self.keywords)

    @property
    def is_captured(self) -> bool:
        """Whether it needs nothing of the function that made it."""
        return self.function is None and self.inner is None


class Chosen(NamedTuple):
    """What an expression may be, and what writes its number; `number(first)` counts from `first`."""

    targets: tuple[Target, ...]
    number: Callable[[int], list[Part]]


class Several(NamedTuple):
    """A tuple, list or dict of functions: its targets in order, the keys of a dict, and what writes the tuple of their numbers."""

    targets: tuple[Target, ...]
    keys: tuple[object, ...] | None
    numbers: Callable[[int], list[Part]]


# --- what an expression is


def chosen(encoder: Encoder, node: ast.AST) -> Chosen | None:
    """The functions that an expression may be; None where it is something else, or not known."""
    match node:
        case Given():
            return _captured(encoder, node, node.value)
        case ast.Lambda():
            target = Target(None, node, encoder.scope, encoder)
            return Chosen((target,), _itself(encoder, node))
        case ast.Name(name) if encoder.scope.slot(encoder.mangle(name)) is not None:
            return _of_local(encoder, node)
        case ast.Name() | ast.Attribute():
            found = encoder.known(node)
            if found is None or found.origin in ("missing", "not_loaded", "property"):
                return None
            return _captured(encoder, node, found.value)
        case ast.IfExp():
            return _either(encoder, node)
        case ast.Call(function, [inner, *args], keywords) if _is(
            encoder, function, functools.partial
        ):
            return _partial(encoder, node, inner, args, keywords)
        case ast.Subscript():
            return _item(encoder, node)
        case _:
            return None


def _is(encoder: Encoder, node: ast.AST, value: object) -> bool:
    found = encoder.known(node)
    return found is not None and found.value is value


def is_function(encoder: Encoder, value: object) -> bool:
    """Whether a captured object is called in compiled code."""
    from sabot._encode_calls import compiled

    if id(value) in compiled():
        return True
    called = resolve(value)
    if called is None:
        return False
    return called.key in encoder.program.callees or bool(
        called.checks and id(called.fn) in compiled()
    )


def _itself(encoder: Encoder, node: ast.AST) -> Callable[[int], list[Part]]:
    """The number of what is one function."""

    def number(first: int) -> list[Part]:
        return [*encoder.value(node, first)]

    return number


def _captured(encoder: Encoder, node: ast.AST, value: object) -> Chosen | None:
    if not is_function(encoder, value):
        return None
    return Chosen((Target(value),), _itself(encoder, node))


def _either(encoder: Encoder, node: ast.IfExp) -> Chosen | None:
    yes = chosen(encoder, node.body)
    no = chosen(encoder, node.orelse) if yes is not None else None
    if yes is None or no is None:
        return None

    def number(first: int) -> list[Part]:
        after = first + len(yes.targets)
        return [encoder.at("IFEXP", node), node.test, *yes.number(first), *no.number(after)]

    return Chosen((*yes.targets, *no.targets), number)


def _partial(
    encoder: Encoder,
    node: ast.Call,
    inner: ast.expr,
    args: list[ast.expr],
    keywords: list[ast.keyword],
) -> Chosen | None:
    """Its arguments are kept in locals when it is made."""
    function = chosen(encoder, inner)
    starred = any(isinstance(arg, ast.Starred) for arg in args)
    names = [keyword.arg for keyword in keywords if keyword.arg is not None]
    if function is None or starred or len(names) < len(keywords):
        return None
    values = [*args, *(keyword.value for keyword in keywords)]
    key = (id(node), encoder.scope)
    slots = encoder.program.partials.get(key)
    if slots is None:
        slots = encoder.program.partials[key] = encoder.program.new_slots(["made"] * len(values))
    by_place = tuple(range(slots, slots + len(args)))
    by_name = tuple((name, slots + len(args) + k) for k, name in enumerate(names))
    targets = tuple(
        Target(None, inner=target, args=by_place, keywords=by_name) for target in function.targets
    )

    def number(first: int) -> list[Part]:
        keep = [encoder.assignment(node, slots + k, value) for k, value in enumerate(values)]
        return _block(encoder, node, keep, function.number(first))

    return Chosen(targets, number)


def _block(
    encoder: Encoder, node: ast.AST, statements: Sequence[list[Part]], value: list[Part]
) -> list[Part]:
    """A value behind statements; it has no locals of its own but one that nothing uses."""
    slot = encoder.program.new_slots([""])
    flat = [part for statement in statements for part in statement]
    head: list[Part] = [encoder.at("BLOCK", node), u32(slot), u32(1), u32(len(statements))]
    return [*head, *flat, *value]


# --- locals


def assigned_names(
    node: FunctionNode, mangle: Callable[[str], str], nested: Mapping[str, object]
) -> dict[str, list[ast.AST]]:
    """The locals that are only given values one by one, with all that gives them: values, definitions, loops."""
    if isinstance(node, ast.Lambda):
        return {}
    found: dict[str, list[ast.AST]] = {}
    stack: list[ast.AST] = [*reversed(node.body)]
    while stack:
        place = stack.pop()
        match place:
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), value=value):
                if isinstance(value, _MAY_BE_FUNCTIONS):
                    found.setdefault(mangle(name), []).append(value)
            case ast.FunctionDef(name) if not place.decorator_list:
                found.setdefault(mangle(name), []).append(place)
            case ast.For(ast.Name(name)):
                found.setdefault(mangle(name), []).append(place)
            case _:
                pass
        if isinstance(place, ast.stmt) and not isinstance(place, _INNER):
            stack.extend(reversed([*ast.iter_child_nodes(place)]))
    counts = bindings(node, mangle)
    return {
        name: places
        for name, places in found.items()
        if counts[name] == len(places) and name not in nested
    }


_MAY_BE_FUNCTIONS = (
    *(ast.Attribute, ast.Call, ast.Dict, ast.IfExp, ast.Lambda, ast.List, ast.Name),
    *(ast.Subscript, ast.Tuple),
)
_INNER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _of_local(encoder: Encoder, node: ast.Name) -> Chosen | None:
    name = encoder.mangle(node.id)
    slot = encoder.scope.slot(name)
    assert slot is not None
    nested = encoder.scope.function(name)
    if nested is not None:
        function, scope = nested
        bound: list[Part] = [encoder.at("EXPR", node), encoder.local(node, slot)]

        def nested_number(first: int) -> list[Part]:
            return _block(encoder, node, [bound], [*encoder.value(node, first)])

        return Chosen((Target(None, function, scope, encoder),), nested_number)
    targets = targets_of(encoder, name)
    if targets is None:
        return None

    def number(first: int) -> list[Part]:
        local: list[Part] = [encoder.local(node, slot)]
        return _added(encoder, node, local, first)

    return Chosen(targets, number)


def _added(encoder: Encoder, node: ast.AST, number: list[Part], first: int) -> list[Part]:
    if first == 0:
        return number
    from sabot._blob import BINARY

    return [encoder.at("BINARY", node), u8(BINARY["Add"]), *number, *encoder.value(node, first)]


def targets_of(encoder: Encoder, name: str) -> tuple[Target, ...] | None:
    """The functions that a local may be; None where it is no local function."""
    scope = encoder.scope.holder(name)
    if scope is None:
        return None
    if name not in scope.callables and name in scope.assigned:
        scope.callables[name] = None  # while it is found out: a name that leads to itself is none
        before, encoder.scope = encoder.scope, scope
        places = [_assigned(encoder, place) for place in scope.assigned[name]]
        encoder.scope = before
        known = [place for place in places if place is not None]
        targets = tuple(target for place in known for target in place.targets)
        fits = len(known) == len(places) and 0 < len(targets) <= CHOICES_MAX
        scope.callables[name] = targets if fits else None
        if fits:
            first = 0
            for place, one in zip(scope.assigned[name], known, strict=True):
                scope.firsts[id(place)] = first
                first += len(one.targets)
    return scope.callables.get(name)


def _assigned(encoder: Encoder, place: ast.AST) -> Chosen | Several | None:
    """What one place gives to a local: an expression, the items that a loop goes through, or a definition."""
    match place:
        case ast.FunctionDef():
            target = Target(None, place, encoder.scope, encoder)
            return Chosen((target,), _itself(encoder, place))
        case ast.For() | ast.comprehension():
            scope = encoder.scope
            if isinstance(place, ast.comprehension) and scope.outer is not None:
                encoder.scope = scope.outer
            found = several(encoder, place.iter)
            encoder.scope = scope
            return found if found is not None and found.keys is None else None
        case _:
            found_one = chosen(encoder, place)
    if found_one is None or _may_be_alias(encoder, place):
        return None
    return found_one


def _may_be_alias(encoder: Encoder, place: ast.AST) -> bool:
    """Whether it names a partial object that another local has: its arguments are kept where that was made, once."""
    match place:
        case ast.IfExp():
            return _may_be_alias(encoder, place.body) or _may_be_alias(encoder, place.orelse)
        case ast.Call():
            return _may_be_alias(encoder, place.args[0])
        case _:
            found = chosen(encoder, place)
            return found is None or any(target.inner is not None for target in found.targets)


def number_of(encoder: Encoder, target: ast.AST, place: ast.AST) -> list[Part] | None:
    """What a local function is given at one place; None where the target is no such local."""
    if not isinstance(target, ast.Name):
        return None
    name = encoder.mangle(target.id)
    if targets_of(encoder, name) is None:
        return None
    scope = encoder.scope.holder(name)
    if scope is None or id(place) not in scope.firsts:
        return None
    found = _assigned(encoder, place)
    assert isinstance(found, Chosen)
    return found.number(scope.firsts[id(place)])


def iterable(encoder: Encoder, place: ast.For | ast.comprehension) -> ast.expr:
    """What a loop goes through: numbers where its target is a local function."""
    target = place.target
    if not isinstance(target, ast.Name):
        return place.iter
    name = encoder.mangle(target.id)
    scope = encoder.scope.holder(name)
    if scope is None or targets_of(encoder, name) is None:
        return place.iter
    first = scope.firsts.get(id(place))
    if first is None:
        return place.iter

    def write(inside: Encoder) -> Sequence[Part]:
        found = several(inside, place.iter)
        assert found is not None
        return found.numbers(first)

    return Own(place.iter, write)


# --- items


def several(encoder: Encoder, node: ast.AST) -> Several | None:
    """A tuple, list or dict of functions."""
    keys: tuple[object, ...] | None = None
    match node:
        case ast.Tuple(items) | ast.List(items):
            pass
        case ast.Dict(names, items):
            keys = _keys(names)
            if keys is None:
                return None
        case ast.Name(name) if encoder.scope.slot(encoder.mangle(name)) is not None:
            return _of_local_items(encoder, node)
        case _:
            return _captured_items(encoder, node)
    found = [chosen(encoder, item) for item in items]
    known = [one for one in found if one is not None]
    single = all(len(one.targets) == 1 and not one.targets[0].args for one in known)
    if not known or len(known) < len(found) or not single:
        return None

    def numbers(first: int) -> list[Part]:
        each = [part for k, one in enumerate(known) for part in one.number(first + k)]
        return [encoder.at("TUPLE", node), u32(len(known)), *each]

    return Several(tuple(one.targets[0] for one in known), keys, numbers)


def _keys(names: Sequence[ast.expr | None]) -> tuple[object, ...] | None:
    keys = [name.value for name in names if isinstance(name, ast.Constant)]
    plain = all(type(key) is int or type(key) is str for key in keys)
    return tuple(keys) if plain and len(set(keys)) == len(names) else None


def _captured_items(encoder: Encoder, node: ast.AST) -> Several | None:
    found = encoder.known(node)
    value = found.value if found is not None else None
    keys: tuple[object, ...] | None = None
    if type(value) is Frozen and value.kind in ("list", "dict"):
        items = value.items
        if value.kind == "dict":
            pairs = cast("tuple[tuple[object, object], ...]", items)
            keys, items = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
            if not all(type(key) is int or type(key) is str for key in keys):
                return None
    elif type(value) is tuple:
        items = cast("tuple[object, ...]", value)
    else:
        return None
    if not 0 < len(items) <= CHOICES_MAX or not all(is_function(encoder, item) for item in items):
        return None
    count = len(items)

    def numbers(first: int) -> list[Part]:
        return _counted(encoder, node, first, count)

    return Several(tuple(map(Target, items)), keys, numbers)


def _counted(encoder: Encoder, node: ast.AST, first: int, count: int) -> list[Part]:
    each = [part for k in range(count) for part in encoder.value(node, first + k)]
    return [encoder.at("TUPLE", node), u32(count), *each]


def _of_local_items(encoder: Encoder, node: ast.Name) -> Several | None:
    """Of a local that is given one display, once."""
    name = encoder.mangle(node.id)
    found = table_of_local(encoder, name)
    slot = encoder.scope.slot(name)
    if found is None or slot is None:
        return None

    def numbers(first: int) -> list[Part]:
        if first == 0:
            return [encoder.local(node, slot)]
        bound: list[Part] = [encoder.at("EXPR", node), encoder.local(node, slot)]
        return _block(encoder, node, [bound], _counted(encoder, node, first, len(found.targets)))

    return found._replace(numbers=numbers)


def table_of_local(encoder: Encoder, name: str) -> Several | None:
    """The functions in the one display that a local is given."""
    scope = encoder.scope.holder(name)
    if scope is None or len(scope.assigned.get(name, ())) != 1:
        return None
    display = scope.assigned[name][0]
    if not isinstance(display, (ast.Tuple, ast.List, ast.Dict)):
        return None
    before, encoder.scope = encoder.scope, scope
    found = several(encoder, display)
    encoder.scope = before
    return found


def _item(encoder: Encoder, node: ast.Subscript) -> Chosen | None:
    found = several(encoder, node.value)
    if found is None or isinstance(node.slice, ast.Slice):
        return None
    keys = found.keys
    place = _place_of(found, node.slice)
    if place is not None:
        return _at_place(encoder, node, found, place)
    if keys is None:

        def by_place(first: int) -> list[Part]:
            return [encoder.at("SUBSCRIPT", node), *found.numbers(first), node.slice]

        return Chosen(found.targets, by_place)
    if not all(type(key) is int for key in keys):
        return None

    def by_key(first: int) -> list[Part]:
        return _looked_up(encoder, node, found, keys, first)

    return Chosen(found.targets, by_key)


def _place_of(found: Several, index: ast.expr) -> int | None:
    """Where a constant index or key leads; None for any other."""
    match index:
        case ast.Constant(int() | str() as wanted):
            pass
        case ast.UnaryOp(ast.USub(), ast.Constant(int(number))) if found.keys is None:
            wanted = len(found.targets) - number
        case _:
            return None
    keys = range(len(found.targets)) if found.keys is None else found.keys
    for place, key in enumerate(keys):
        if type(key) is type(wanted) and key == wanted:
            return place
    return None


def _at_place(encoder: Encoder, node: ast.Subscript, found: Several, place: int) -> Chosen:
    keep: list[Part] = [encoder.at("EXPR", node), *found.numbers(0)]

    def number(first: int) -> list[Part]:
        return _block(encoder, node, [keep], [*encoder.value(node, first)])

    return Chosen((found.targets[place],), number)


def _looked_up(
    encoder: Encoder, node: ast.Subscript, found: Several, keys: tuple[object, ...], first: int
) -> list[Part]:
    """The number at a key; behind a key that is not there the number is unbound, and reading it fails."""
    slot = encoder.program.new_slots(["key", "number"])
    parts: list[Part] = [encoder.at("EXPR", node), *found.numbers(0)]
    parts += encoder.assignment(node, slot, Inner(node.slice, None, 2))
    for place, key in enumerate(keys):
        parts += [encoder.at("IF", node), encoder.at("COMPARE", node), encoder.local(node, slot)]
        parts += [u32(1), u8(COMPARE["Eq"]), *encoder.value(node, key), u32(1)]
        parts += [*encoder.assignment(node, slot + 1, *encoder.value(node, first + place)), u32(0)]
    head: list[Part] = [encoder.at("BLOCK", node), u32(slot), u32(2), u32(2 + len(keys))]
    return [*head, *parts, encoder.local(node, slot + 1)]


# --- calls


def call_chosen(encoder: Encoder, node: ast.Call, found: Chosen) -> Sequence[Part]:
    """A call of what may be one function, or one of several."""
    from sabot._encode_calls import has_stars, refuse_call

    if has_stars(node) or len(found.targets) > CHOICES_MAX:
        return refuse_call(encoder, node)
    if len(found.targets) == 1:
        keep: list[Part] = [encoder.at("EXPR", node), *found.number(0)]
        return _block(encoder, node, [keep], [*_call_target(encoder, node, found.targets[0])])
    values = [*node.args, *(keyword.value for keyword in node.keywords)]
    slot = encoder.program.new_slots(["number", *["given"] * len(values)])
    statements = encoder.assignment(node, slot, *found.number(0))
    for k, value in enumerate(values):
        statements += encoder.assignment(node, slot + 1 + k, Inner(value, None, 1))
    held = [_held(node, slot + 1 + k) for k in range(len(values))]
    count = len(node.args)
    named = [
        ast.keyword(keyword.arg, value)
        for keyword, value in zip(node.keywords, held[count:], strict=True)
    ]
    call = ast.copy_location(ast.Call(node.func, [*held[:count]], named), node)
    parts: list[Part] = []
    for k, target in enumerate(found.targets):
        if k + 1 < len(found.targets):
            parts += [encoder.at("IFEXP", node), encoder.at("COMPARE", node)]
            parts += [encoder.local(node, slot), u32(1), u8(COMPARE["Eq"])]
            parts += encoder.value(node, k)
        parts += _call_target(encoder, call, target)
    head: list[Part] = [encoder.at("BLOCK", node), u32(slot), u32(1 + len(values))]
    return [*head, u32(1 + len(values)), *statements, *parts]


def _held(node: ast.AST, slot: int) -> ast.expr:
    return Own(node, lambda encoder: [encoder.local(node, slot)])


def _call_target(encoder: Encoder, node: ast.Call, target: Target) -> Sequence[Part]:
    from sabot._encode_calls import call_object, refuse_call
    from sabot._encode_user import call_nested

    while target.inner is not None:
        given = dict(target.keywords)
        later = {keyword.arg for keyword in node.keywords}
        keywords = [
            ast.keyword(name, _held(node, slot))
            for name, slot in given.items()
            if name not in later
        ]
        args = [_held(node, slot) for slot in target.args]
        made = ast.Call(node.func, [*args, *node.args], [*keywords, *node.keywords])
        node, target = ast.copy_location(made, node), target.inner
    if target.function is not None:
        if target.scope is None or target.owner is None:
            return refuse_call(encoder, node)
        return call_nested(encoder, node, target.function, target.scope, target.owner)
    return call_object(encoder, node, target.value) or encoder.refuse(node)
