"""Calls of the user's own functions with whole arrays in a batch function: their texts are read in the same way, at the call.

Such a function computes with what it is given as the text around it would: its parameters stand for arrays, batches or values that the
text tells. Guards of its names are those of every function that is called. What it does beside arrays has to be known here, since nothing
of it but the arrays' statements becomes part of the row function.
"""

from __future__ import annotations

import ast
import copy
from types import FunctionType
from typing import TYPE_CHECKING, cast

from sabot import _bound
from sabot._form_constants import known
from sabot._form_rows import free, stored
from sabot._form_values import Builder, Columns, Function, Known, NoFormError, Several, Value
from sabot._guards import is_scalar

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from sabot._encode_program import Callee, FunctionNode
    from sabot._form import Reader

DEPTH_MAX = 16


def call(reader: Reader, node: ast.Call) -> Value | None:
    """What a call of a function of the user gives; None: it is none, or is given nothing of the batch.

    Raises:
        NoFormError: it is given arrays, and its text is not known in this way.
    """
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    inner = reader.env.get(name)
    given_rows = _is_given_rows(reader, node)
    if inner is None and given_rows:
        inner = reader.functions.get(name)
    if isinstance(inner, Function):
        return _inline(reader, node, inner.node, _name(inner.node), inner, id(inner.node), {})
    if not given_rows:
        return None
    target = reader.called(node)
    if type(target) is not FunctionType:
        return None
    called = _bound.resolve(target)
    callee = reader.callees.get(called.key) if called is not None else None
    if called is None or callee is None:
        return None
    name = target.__name__
    if callee.refusal is not None or callee.node is None or callee.bound:
        detail = callee.refusal[1] if callee.refusal is not None else ""
        raise NoFormError(node, f"{detail or 'a call of whole arrays'}, in {name}")
    return _inline(reader, node, callee.node, name, callee, called.key, _defaults(callee))


def _name(node: FunctionNode) -> str:
    return getattr(node, "name", "a lambda")


def _is_given_rows(reader: Reader, node: ast.Call) -> bool:
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    return any(reader.maybe(one) is not None for one in given)


def _defaults(callee: Callee) -> dict[str, object]:
    """The defaults of a function as they are now; the guards have them."""
    spec = callee.fn.__code__
    names = spec.co_varnames[: spec.co_argcount]
    values = callee.fn.__defaults__ or ()
    late = dict(zip(names[len(names) - len(values) :], values, strict=True))
    named = cast("dict[str, object]", getattr(callee.fn, "__kwdefaults__", None) or {})
    return {**late, **named}


def _inline(
    reader: Reader,
    node: ast.Call,
    function: FunctionNode,
    name: str,
    owner: Callee | Function,
    key: Hashable,
    defaults: Mapping[str, object],
) -> Value:
    if isinstance(function, ast.AsyncFunctionDef):
        raise NoFormError(node, f"an async function, {name}")
    if key in reader.within:
        raise NoFormError(node, f"recursion, in {name}")
    if len(reader.within) >= DEPTH_MAX:
        raise NoFormError(node, "calls inside each other")
    env = _given(reader, node, function, name, defaults)
    made = _moved(function, node)
    within = (*reader.within, key)
    if isinstance(owner, Function):
        for name_inside in free(function):
            owner.home.freeze(ast.Name(name_inside, ast.Load()))
        inside = owner.home.inside({**_around(owner.home, made), **env}, within)
    else:
        inside = reader.inside(env, within, owner)
    inside.hide(stored(_body(made)) - {*env})
    try:
        return inside.given_back(made)
    except NoFormError as error:
        raise NoFormError(node, f"{error.refusal.detail}, in {name}") from None


def _around(home: Reader, function: ast.FunctionDef | ast.Lambda) -> dict[str, Value]:
    """What a function inside sees of the text around it."""
    own = stored(_body(function))
    around: dict[str, Value] = {one: Known(value) for one, value in home.constants.items()}
    around |= {**home.functions, **home.env}
    return {one: value for one, value in around.items() if one not in own}


def _body(function: ast.FunctionDef | ast.Lambda) -> list[ast.AST]:
    return [function.body] if isinstance(function, ast.Lambda) else [*function.body]


def _moved(function: ast.FunctionDef | ast.Lambda, node: ast.Call) -> ast.FunctionDef | ast.Lambda:
    """A copy of a function's text that stands where it is called."""
    made = copy.deepcopy(function)
    for inner in ast.walk(made):
        if isinstance(inner, (ast.expr, ast.stmt)):
            ast.copy_location(inner, node)
    return made


def _given(
    reader: Reader,
    node: ast.Call,
    function: ast.FunctionDef | ast.Lambda,
    name: str,
    defaults: Mapping[str, object],
) -> dict[str, Value]:
    """What the parameters stand for."""
    spec = function.args
    positional = [one.arg for one in [*spec.posonlyargs, *spec.args]]
    by_name = {one.arg for one in [*spec.args, *spec.kwonlyargs]}
    stars = any(isinstance(one, ast.Starred) for one in node.args)
    if (
        stars
        or spec.vararg is not None
        or spec.kwarg is not None
        or len(node.args) > len(positional)
    ):
        raise NoFormError(node, f"the arguments of {name}")
    env = {
        parameter: _value(reader, one)
        for parameter, one in zip(positional, node.args, strict=False)
    }
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in env or keyword.arg not in by_name:
            raise NoFormError(node, f"the arguments of {name}")
        env[keyword.arg] = _value(reader, keyword.value)
    texts = _default_texts(function)
    for parameter in [*positional, *(one.arg for one in spec.kwonlyargs)]:
        if parameter in env:
            continue
        default = texts.get(parameter)
        if parameter in defaults and is_scalar(defaults[parameter]):
            env[parameter] = Known(defaults[parameter])
        elif not defaults and isinstance(default, ast.Constant):
            env[parameter] = Known(default.value)
        else:
            raise NoFormError(node, f"the arguments of {name}")
    return env


def _default_texts(function: ast.FunctionDef | ast.Lambda) -> dict[str, ast.expr | None]:
    spec = function.args
    positional = [*spec.posonlyargs, *spec.args]
    late = positional[len(positional) - len(spec.defaults) :]
    found: dict[str, ast.expr | None] = {
        one.arg: value for one, value in zip(late, spec.defaults, strict=True)
    }
    for one, value in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
        found[one.arg] = value
    return found


def _value(reader: Reader, node: ast.expr) -> Value:
    value = reader.value(node)
    if isinstance(value, (Builder, Columns, Function)) or (
        isinstance(value, Several) and value.is_list
    ):
        raise NoFormError(node, "a list, a dict or a function as an argument")
    if value is not None:
        return value
    found = known(reader, node)
    if found is None:
        raise NoFormError(node, "an argument that is nothing of the batch and not told by the text")
    return found
