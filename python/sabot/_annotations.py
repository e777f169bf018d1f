"""Annotations, as far as they can be told without running code: written as objects or as strings, optional or not."""

from __future__ import annotations

import sys
from types import ModuleType, UnionType
from typing import TYPE_CHECKING, NamedTuple

from sabot._guards import look_up

if TYPE_CHECKING:
    import ast

_UNKNOWN = object()
_BLOB = {int: 2, float: 3, bool: 4, str: 5, type(None): 6}  # SB_BLOB_ANN_* of src/front/blob.h
_BLOB_MISSING, _BLOB_UNKNOWN = 0, 1
_TEXT_MAX = 1000


class Annotation(NamedTuple):
    """What an annotation names: `value` is the object (None itself stands as its type), meaningless unless `known`.

    `optional` says that None may come in its place: `Optional[int]` and `int | None` are (int, optional).
    """

    value: object
    optional: bool
    known: bool


def resolve(written: object, spaces: tuple[dict[str, object], dict[str, object]]) -> Annotation:
    """Tells what an annotation names; strings look their names up in `spaces`, globals first, then builtins."""
    members = _members(written, spaces)
    optional = type(None) in members
    values = [value for value in members if value is not type(None)]
    if not values:
        return Annotation(type(None), optional=False, known=optional)
    if len(values) > 1 or values[0] is _UNKNOWN:
        return Annotation(None, optional, known=False)
    return Annotation(values[0], optional, known=True)


def blob_annotation(annotation: Annotation | None) -> int:
    """The number of a return annotation in a blob."""
    if annotation is None:
        return _BLOB_MISSING
    value = annotation.value
    return (
        _BLOB.get(value, _BLOB_UNKNOWN)
        if annotation.known and isinstance(value, type)
        else _BLOB_UNKNOWN
    )


def _members(written: object, spaces: tuple[dict[str, object], dict[str, object]]) -> list[object]:
    """The objects between which a union chooses; one for anything else. Text is parsed, never evaluated."""
    members: list[object] = []
    stack = [written]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            tree = _parse(value)
            stack += [_UNKNOWN] if tree is None else _tree_members(tree, spaces)
        elif value is None:
            members.append(type(None))
        elif isinstance(value, UnionType) or _is_union(value):
            stack.extend(reversed(getattr(value, "__args__", ())))
        elif type(value).__name__ == "ForwardRef" and type(value).__module__ in (
            "typing",
            "annotationlib",
        ):
            stack.append(getattr(value, "__forward_arg__", _UNKNOWN))
        elif type(value).__module__ in ("typing", "types") and hasattr(value, "__origin__"):
            members.append(getattr(value, "__origin__"))  # noqa: B009
        else:
            members.append(value)
    return members


def _is_union(value: object) -> bool:
    typing = sys.modules.get("typing")
    return (
        typing is not None
        and type(value).__module__ == "typing"
        and (getattr(value, "__origin__", None) is typing.Union)
    )


def _parse(text: str) -> ast.expr | None:
    import ast

    try:
        return ast.parse(text.strip(), mode="eval").body if len(text) <= _TEXT_MAX else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _tree_members(
    tree: ast.expr, spaces: tuple[dict[str, object], dict[str, object]]
) -> list[object]:
    """The objects that the members of a parsed annotation name; a string in it is one again."""
    import ast

    objects: list[object] = []
    stack = [tree]
    while stack:
        match stack.pop():
            case ast.BinOp(left, ast.BitOr(), right):
                stack += [left, right]
            case ast.Constant(None | str() as value):
                objects.append(value)
            case ast.Subscript(head, inner):
                found = _look_up(head, spaces)
                typing = sys.modules.get("typing")
                if typing is not None and found is typing.Optional:
                    objects.append(None)
                    stack.append(inner)
                elif typing is not None and found is typing.Union:
                    stack += inner.elts if isinstance(inner, ast.Tuple) else [inner]
                else:
                    alias = type(found).__module__ in ("typing", "types")
                    objects.append(getattr(found, "__origin__", found) if alias else found)
            case node:
                objects.append(_look_up(node, spaces))
    return objects


def _look_up(node: ast.expr, spaces: tuple[dict[str, object], dict[str, object]]) -> object:
    """The object that a dotted name means, by dict look-ups in namespaces and modules only."""
    import ast

    match node:
        case ast.Name(name):
            for space in spaces:
                if name in space:
                    return look_up(space, name, _UNKNOWN)
            return _UNKNOWN
        case ast.Attribute(inner, name):
            module = _look_up(inner, spaces)
            return vars(module).get(name, _UNKNOWN) if isinstance(module, ModuleType) else _UNKNOWN
        case _:
            return _UNKNOWN
