"""Calls of functions of the user: nested ones, those that a name leads to, methods, and what partial objects call.

A function is written at its first call. One that calls itself is invoked by its number, which is known when it has been written.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, cast

from sabot._encode import CALLS_MAX, Encoder
from sabot._encode_calls import compiled, has_stars, is_simple, joined, refuse_call
from sabot._encode_functions import CHOICES_MAX, chosen
from sabot._encode_program import Given, Own, Scope, u32
from sabot._guards import is_scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Hashable, Sequence

    from sabot._bound import Called
    from sabot._encode_functions import Chosen, Target
    from sabot._encode_program import Callee, FunctionNode, Part


def call_partial(encoder: Encoder, node: ast.Call, called: Called) -> Sequence[Part]:
    """A partial object of a builtin: the call that it makes."""
    given = [*called.args, *called.keywords.values()]
    taken = any(keyword.arg in called.keywords for keyword in node.keywords)
    if taken or has_stars(node) or not all(map(is_scalar, given)):
        return refuse_call(encoder, node)
    args = [ast.Constant(cast("Any", value)) for value in called.args]
    keywords = [
        ast.keyword(name, ast.Constant(cast("Any", value)))
        for name, value in called.keywords.items()
    ]
    made = ast.Call(node.func, [*args, *node.args], [*keywords, *node.keywords])
    ast.copy_location(made, node)
    for constant in [*args, *(keyword.value for keyword in keywords)]:
        ast.copy_location(constant, node)
    return compiled()[id(called.fn)](encoder, made)


def _arguments(
    node: ast.Call,
    function: FunctionNode,
    defaults: dict[str, Part],
    bound: Container[str] = (),
    by_position: int = 0,
) -> list[tuple[str, Part]] | None:
    """The parameters that a call gives values to, in the order of evaluation; None where it does not fit the signature.

    bound: parameters that the call does not give, the first `by_position` and some others.
    """
    spec = function.args
    positional = [arg.arg for arg in [*spec.posonlyargs, *spec.args]][by_position:]
    by_name = {arg.arg for arg in [*spec.args, *spec.kwonlyargs] if arg.arg not in bound}
    given: list[tuple[str, Part]] = []
    if has_stars(node) or spec.kwarg is not None:
        return None
    if any(name in bound for name in positional[: len(node.args)]):
        return None
    given += zip(positional, node.args, strict=False)
    extra = node.args[len(positional) :]
    if extra and spec.vararg is None:
        return None
    for keyword in node.keywords:
        if keyword.arg not in by_name or any(keyword.arg == name for name, _ in given):
            return None
        given.append((keyword.arg, keyword.value))
    if spec.vararg is not None:
        if node.keywords and extra:
            return None  # they would be evaluated in another order
        rest = ast.copy_location(ast.Tuple([*extra], ast.Load()), node)
        given.append((spec.vararg.arg, rest))
    have = {name for name, _ in given}
    for name in [*positional, *(arg.arg for arg in spec.kwonlyargs)]:
        if name not in have and name not in bound:
            if name not in defaults:
                return None
            given.append((name, defaults[name]))
    return given


def _default_nodes(function: FunctionNode) -> dict[str, ast.expr]:
    spec = function.args
    positional = [*spec.posonlyargs, *spec.args]
    late = positional[len(positional) - len(spec.defaults) :]
    found = {arg.arg: value for arg, value in zip(late, spec.defaults, strict=True)}
    for arg, value in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
        if value is not None:
            found[arg.arg] = value
    return found


def inline(
    encoder: Encoder,
    node: ast.Call,
    number: bytes,
    given: list[tuple[int, Part]],
    kind: str = "INLINE",
) -> list[Part]:
    parts: list[Part] = [encoder.at(kind, node), number, u32(len(given))]
    for slot, value in given:
        parts += [u32(slot), value]
    return parts


def call_nested(
    encoder: Encoder, node: ast.Call, function: FunctionNode, scope: Scope, owner: Encoder
) -> Sequence[Part]:
    """scope, owner: where the function is defined, and the encoder of the text around it."""
    program = encoder.program
    name = getattr(function, "name", "<lambda>")
    if any(type(key) is tuple and key[0] == id(function) for key in program.open):
        return encoder.unsupported(node, "syntax", "recursion")
    if len(program.open) >= CALLS_MAX:
        return encoder.unsupported(node, "too_complex", "calls inside each other")
    if _is_special(function):
        return encoder.unsupported(node, "signature", f"a call of {name}")
    defaults: dict[str, Part] = {}
    for parameter, value in _default_nodes(function).items():
        if not is_simple(value):
            return encoder.unsupported(value, "syntax", "a default that is no constant")
        defaults[parameter] = value
    given = _arguments(node, function, defaults)
    if given is None:
        return refuse_call(encoder, node)
    functions = _functions_given(encoder, owner.mangle, given)
    if _binds_anew(function, owner.mangle, functions):
        return encoder.unsupported(node, "type", f"a function as a value, in {name}")
    key = (id(function), scope, _key_of(functions))
    slots = _nested_slots(owner, function, scope, key, functions)
    bound = joined(encoder.value(node, True))
    if isinstance(node.func, ast.Name) and encoder.scope.function(encoder.mangle(node.func.id)):
        bound = encoder.local(node, scope.names[encoder.mangle(node.func.id)])  # is it defined yet
    pairs: list[tuple[int, Part]] = [(slots.names[""], bound)]
    pairs += [(slots.names[owner.mangle(parameter)], value) for parameter, value in given]
    return inline(encoder, node, u32(program.numbers[key]), pairs)


def _functions_given(
    encoder: Encoder, mangle: Callable[[str], str], given: list[tuple[str, Part]]
) -> dict[str, tuple[Target, ...]]:
    """The parameters that are given functions. Their values in `given` become numbers, see _encode_functions."""
    functions: dict[str, tuple[Target, ...]] = {}
    for place, (name, value) in enumerate(given):
        if not isinstance(value, ast.expr):
            continue
        found = chosen(encoder, value)
        if found is not None and len(found.targets) <= CHOICES_MAX:
            functions[mangle(name)] = found.targets
            given[place] = name, Own(value, _first_of(found))
    return functions


def _first_of(found: Chosen) -> Callable[[Encoder], Sequence[Part]]:
    return lambda _: found.number(0)


def _binds_anew(
    function: FunctionNode, mangle: Callable[[str], str], functions: dict[str, tuple[Target, ...]]
) -> bool:
    """Whether a function binds one of these parameters itself."""
    from sabot._scope import bindings

    if not functions:
        return False
    counts = bindings(function, mangle)
    return any(counts[name] > 1 for name in functions)


def _key_of(functions: dict[str, tuple[Target, ...]]) -> Hashable:
    return tuple((name, *(one.key for one in targets)) for name, targets in functions.items())


def _nested_slots(
    encoder: Encoder,
    function: FunctionNode,
    scope: Scope,
    key: Hashable,
    functions: dict[str, tuple[Target, ...]],
) -> Scope:
    """Writes a nested function at its first call with these functions as arguments; gives its scope."""
    from sabot._scope import own_names

    program = encoder.program
    known = program.scopes.get(key)
    if known is not None:
        return known
    bound, _ = own_names(function, encoder.mangle)
    names = ["", *dict.fromkeys([*map(encoder.mangle, _parameters(function)), *bound])]
    first = program.new_slots(names)
    inner = Scope({name: first + k for k, name in enumerate(names)}, scope)
    inner.callables.update(functions)
    program.open.append(key)
    body = encoder.function(function, inner)
    program.open.pop()
    program.add(key, getattr(function, "name", "<lambda>"), first, body)
    program.scopes[key] = inner
    return inner


def _parameters(function: FunctionNode) -> list[str]:
    spec = function.args
    every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
    return [arg.arg for arg in every] + ([spec.vararg.arg] if spec.vararg else [])


def _is_special(function: FunctionNode) -> bool:
    """A generator or a coroutine: calling it runs nothing."""
    if isinstance(function, ast.AsyncFunctionDef):
        return True
    inner = [function.body] if isinstance(function, ast.Lambda) else function.body
    stack: list[ast.AST] = list(inner)
    while stack:
        place = stack.pop()
        if isinstance(place, (ast.Yield, ast.YieldFrom, ast.Await)):
            return True
        if not isinstance(place, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            stack.extend(ast.iter_child_nodes(place))
    return False


def call_function(
    encoder: Encoder, node: ast.Call, callee: Callee, called: Called
) -> Sequence[Part]:
    program = encoder.program
    fn = callee.fn
    if callee.refusal is not None:
        code, detail = callee.refusal
        return encoder.unsupported(node, code, _within(fn.__name__, detail))
    assert callee.node is not None
    defaults: dict[str, Part] = {}
    spec = callee.node.args
    names = [arg.arg for arg in [*spec.posonlyargs, *spec.args]]
    values = fn.__defaults__ or ()
    late = zip(names[len(names) - len(values) :], values, strict=True)
    kwdefaults: dict[str, object] = getattr(fn, "__kwdefaults__", None) or {}
    for name, value in [*late, *kwdefaults.items()]:
        defaults[name] = Given(node, value)
    bound = {name for name in _parameters(callee.node) if callee.mangle(name) in callee.bound}
    given = _arguments(node, callee.node, defaults, bound, len(called.args))
    if given is None:
        return refuse_call(encoder, node)
    functions = _functions_given(encoder, callee.mangle, given)
    if _binds_anew(callee.node, callee.mangle, functions):
        return encoder.unsupported(node, "type", f"a function as a value, in {fn.__name__}")
    key: Hashable = (called.key, _key_of(functions)) if functions else called.key
    is_open = key in program.open
    if not is_open and len(program.open) >= CALLS_MAX:
        return encoder.unsupported(node, "too_complex", "calls inside each other")
    if is_open and not all(one.is_captured for every in functions.values() for one in every):
        return encoder.unsupported(node, "syntax", "recursion with a function of its own")
    refused = None if is_open else write_callee(encoder, node, callee, key, functions)
    if refused is not None:
        code, detail = refused
        return encoder.unsupported(node, code, _within(fn.__name__, detail))
    slots = program.scopes[key].names
    pairs: list[tuple[int, Part]] = []
    for name, value in callee.late.items():
        pairs.append((slots[name], joined(encoder.value(node, value))))
    pairs += [(slots[callee.mangle(parameter)], value) for parameter, value in given]
    if is_open:
        return inline(encoder, node, program.later(key), pairs, "INVOKE")
    kind = "INVOKE" if key in program.recursive else "INLINE"
    return inline(encoder, node, u32(program.numbers[key]), pairs, kind)


def _within(name: str, detail: str) -> str:
    """What is refused in a called function, as its caller says it."""
    return f"{detail}, in {name}" if detail else f"in {name}"


def write_callee(
    encoder: Encoder,
    node: ast.Call,
    callee: Callee,
    key: Hashable,
    functions: dict[str, tuple[Target, ...]] | None = None,
) -> tuple[str, str] | None:
    """Writes a function at its first call; gives why it cannot be, if so. functions: parameters that are functions."""
    program = encoder.program
    if key in program.numbers or key in program.failed:
        return program.failed.get(key)
    assert callee.node is not None
    refused_before = len(program.refused)
    names = list(callee.locals)
    first = program.new_slots(names)
    scope = Scope({name: first + k for k, name in enumerate(names)})
    scope.callables.update(functions or {})
    program.scopes[key] = scope
    before = len(program.functions)
    program.open.append(key)
    inner = Encoder(program, callee.found, callee.mangle, encoder.place or node)
    body = inner.function(callee.node, scope)
    program.open.pop()
    if len(program.refused) > refused_before:
        program.fail(key, program.refused[refused_before], before)
        del program.refused[refused_before:]
        return program.failed[key]
    # blob.h has a meaning for names that begin with math.
    of_math = callee.fn.__module__ == "sabot._math"
    name = f"math.{callee.fn.__name__}" if of_math else callee.fn.__name__.replace(".", "_")
    program.add(key, name, first, body)
    return None
