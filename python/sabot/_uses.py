"""How a function's text uses its one parameter: the evidence that `_kinds` asks for.

Reads the syntax tree only. A local that is assigned once, to the parameter or to an item of it, counts as that; names inside
nested functions and comprehensions count unless the parameter's name is bound anew there.
"""

from __future__ import annotations

import ast
import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, NamedTuple

from sabot._guards import find_names, look_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sabot._capture import Captured

_BATCH_ATTRIBUTES = ("num_rows", "schema", "to_pandas")
_ITEM_METHODS = ("to_numpy", "to_pylist")


class Uses(NamedTuple):
    """What was seen of the parameter, each as the text that follows its name, "" where it was not seen.

    `opaque` is the dotted name of a call that is given the parameter itself.
    """

    batch_attribute: str
    compute: str
    item: str
    opaque: str


def read_uses(captured: Captured, param: str) -> Uses:
    """Reads every use of `param` in a captured function that has a node."""
    assert captured.node is not None
    reader = _Reader(captured, param)
    seen = {"batch_attribute": "", "compute": "", "item": "", "opaque": ""}
    for node in reader.walk():
        for what, text in reader.read(node):
            seen[what] = seen[what] or text
    return Uses(**seen)


def _text(node: ast.expr) -> str:
    """A short text of a name, a dotted name or a constant."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    root = "..."
    if isinstance(node, ast.Name):
        root = node.id
    elif isinstance(node, ast.Constant):
        root = repr(node.value)[:40]
    return ".".join([root, *reversed(attributes)])


class _Reader:
    def __init__(self, captured: Captured, param: str) -> None:
        self._captured = captured
        self._param = param
        node = captured.node
        assert node is not None
        self._body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else [*node.body]
        self._once = self._single_assignments()
        self._imports = self._local_imports()

    def _single_assignments(self) -> dict[str, ast.expr]:
        """Locals bound exactly once, by a plain assignment, with what they are bound to."""
        bound: dict[str, int] = {}
        values: dict[str, ast.expr] = {}
        for top in self._body:
            for node in ast.walk(top):
                match node:
                    case ast.Name(name, ast.Store() | ast.Del()):
                        bound[name] = bound.get(name, 0) + 1
                    case ast.Assign([ast.Name(name)], value):
                        values[name] = value
                    case ast.AnnAssign(ast.Name(name), _, ast.expr() as value):
                        values[name] = value
                    case ast.NamedExpr(ast.Name(name), value):
                        values[name] = value
                    case _:
                        pass
        return {name: value for name, value in values.items() if bound.get(name) == 1}

    def _local_imports(self) -> dict[str, str]:
        names: dict[str, str] = {}
        for top in self._body:
            for node in ast.walk(top):
                if isinstance(node, ast.Import):
                    for alias in node.names:
                        names[alias.asname or alias.name.split(".")[0]] = (
                            alias.name if alias.asname else alias.name.split(".")[0]
                        )
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    for alias in node.names:
                        names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return names

    def walk(self) -> Iterator[ast.AST]:
        """Every node in which the parameter's name still means the parameter."""
        stack = list(self._body)
        while stack:
            node = stack.pop()
            yield node
            match node:
                case ast.Lambda() | ast.FunctionDef() | ast.AsyncFunctionDef():
                    arguments = node.args
                    stack += [*arguments.defaults, *filter(None, arguments.kw_defaults)]
                    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                    every += filter(None, (arguments.vararg, arguments.kwarg))
                    if all(argument.arg != self._param for argument in every):
                        stack += [node.body] if isinstance(node, ast.Lambda) else node.body
                case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                    targets = {
                        inner.id
                        for generator in node.generators
                        for inner in ast.walk(generator.target)
                        if isinstance(inner, ast.Name)
                    }
                    if self._param in targets:
                        stack.append(node.generators[0].iter)
                    else:
                        stack.extend(ast.iter_child_nodes(node))
                case _:
                    stack.extend(ast.iter_child_nodes(node))

    def read(self, node: ast.AST) -> Iterator[tuple[str, str]]:
        """The evidence in one node."""
        match node:
            case ast.Call(ast.Attribute(inner, "column")) if self._is_param(inner):
                yield "batch_attribute", ".column(...)"
            case ast.Call(ast.Attribute(inner, "get"), [_, *_]) if self._is_param(inner):
                yield "item", f".get({_text(node.args[0])})"
            case ast.Attribute(inner, name) if name in _BATCH_ATTRIBUTES and self._is_param(inner):
                yield "batch_attribute", f".{name}"
            case ast.Attribute(inner, name) if name in _ITEM_METHODS:
                item = self._item(inner)
                if item is not None:
                    yield "compute", f"{item}.{name}"
            case ast.Dict() if any(
                key is None and self._is_param(value)
                for key, value in zip(node.keys, node.values, strict=True)
            ):
                yield "item", " in {**...}"
            case ast.Subscript() if self._is_param(node.value) and self._names_a_field(node.slice):
                yield "item", f"[{_text(node.slice)}]"
            case _:
                pass
        if isinstance(node, ast.Call):
            yield from self._read_call(node)

    def _read_call(self, node: ast.Call) -> Iterator[tuple[str, str]]:
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        if self._is_compute(node.func):
            for argument in arguments:
                item = self._item(argument)
                if item is not None:
                    yield "compute", f"{item} in {_text(node.func)}(...)"
        if any(word.arg is None and self._is_param(word.value) for word in node.keywords):
            yield "item", f" in {_text(node.func)}(**...)"
        elif any(self._is_param(argument) for argument in arguments):
            yield "opaque", _text(node.func)

    def _settle(self, node: ast.AST) -> ast.AST:
        """What a local that is assigned once stands for."""
        for _ in range(len(self._once) + 1):
            if (
                not isinstance(node, ast.Name)
                or node.id == self._param
                or node.id not in self._once
            ):
                break
            node = self._once[node.id]
        return node

    def _is_param(self, node: ast.AST) -> bool:
        node = self._settle(node)
        return isinstance(node, ast.Name) and node.id == self._param

    def _item(self, node: ast.AST) -> str | None:
        """The text of the subscript where a node is an item of the parameter."""
        node = self._settle(node)
        if isinstance(node, ast.Subscript) and self._is_param(node.value):
            return f"[{_text(node.slice)}]"
        return None

    def _names_a_field(self, key: ast.expr) -> bool:
        """Whether a subscript may name a field; a number or a slice picks by place instead."""
        key_node = self._settle(key)
        if isinstance(key_node, ast.Name):
            value = self._value(key_node.id)
            return not isinstance(value, int)
        if isinstance(key_node, ast.UnaryOp):
            key_node = key_node.operand
        if isinstance(key_node, ast.Constant):
            return isinstance(key_node.value, str)
        return not isinstance(key_node, (ast.Slice, ast.Tuple))

    def _is_compute(self, node: ast.expr) -> bool:
        """Whether a called name is a function of pyarrow.compute."""
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return False
        compute = sys.modules.get("pyarrow.compute")
        if node.id in self._imports:
            path = ".".join([self._imports[node.id], *reversed(attributes)])
            return path.startswith("pyarrow.compute.")
        value = self._value(node.id)
        while attributes and type(value) is ModuleType and value is not compute:
            value = vars(value).get(attributes.pop())
        if value is compute and compute is not None:
            return bool(attributes)
        return (
            type(value) is FunctionType
            and not attributes
            and (value.__globals__ is vars(compute) if compute is not None else False)
        )

    def _value(self, name: str) -> object:
        """What a name outside the function stands for now; None where it is a local or not defined."""
        fn = self._captured.base
        if fn is None:
            return None
        if name in self._captured.bound:
            return self._captured.bound[name]
        if name in fn.__code__.co_varnames:
            return None
        if name in fn.__code__.co_freevars:
            return find_names(fn, (name,))[name].value
        return look_up(fn.__globals__, name, None)
