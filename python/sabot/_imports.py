"""Imports inside a function: names of modules that are loaded already. Nothing is ever imported here.

An import statement binds its names where it stands, so it is looked through only where it comes before every use of them: no use is
outside the statements that follow it in its own block, and nothing else binds the name.
"""

from __future__ import annotations

import ast
import sys
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, NamedTuple

from sabot._guards import Attribute, Found, builtins_of, frozen, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_MISSING: object = object()


class Import(NamedTuple):
    """What an import binds a name to: the modules that must be loaded, the first to look into, and the attributes to follow."""

    loads: str
    root: str
    attributes: tuple[str, ...]


class ImportCheck:
    """That modules are those that were loaded (None: it was not), and that an import statement does what it always did."""

    __slots__ = ("_fn", "_import", "_modules")

    def __init__(self, fn: FunctionType, modules: Mapping[str, object]) -> None:
        self._fn, self._modules = fn, dict(modules)
        self._import = _importer(fn)

    def changed(self) -> str | None:
        """The module that is another now, or None."""
        for name, module in self._modules.items():
            if sys.modules.get(name) is not module:
                return name
        return None if _importer(self._fn) is self._import else "__import__"


def _importer(fn: FunctionType) -> object:
    return look_up(builtins_of(fn), "__import__", None)


def local_imports(node: FunctionNode, mangle: Callable[[str], str]) -> dict[str, Import]:
    """The imported names of a function that stand for the same from their statement to the last use."""
    from sabot._scope import bindings

    if isinstance(node, ast.Lambda):
        return {}
    statements = [(block, place, one) for block, place, one in _imports(node.body)]
    if not statements:
        return {}
    counts = bindings(node, mangle)
    found: dict[str, Import] = {}
    everything: ast.AST = ast.Module(node.body, [])
    for block, place, statement in statements:
        for alias in statement.names:
            name = alias.asname or alias.name.partition(".")[0]
            behind = _uses(name, block[place + 1 :])
            if counts[mangle(name)] == 1 and 0 <= behind == _uses(name, [everything]):
                what = _imported(statement, alias)
                if what is not None:
                    found[mangle(name)] = what
    return found


def _imports(
    body: list[ast.stmt],
) -> Iterator[tuple[list[ast.stmt], int, ast.Import | ast.ImportFrom]]:
    blocks = [body]
    while blocks:
        block = blocks.pop()
        for place, statement in enumerate(block):
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                yield block, place, statement
            elif isinstance(statement, (ast.If, ast.For, ast.While)):
                blocks += [statement.body, statement.orelse]


def _uses(name: str, places: Sequence[ast.AST]) -> int:
    """How often a name stands in a text; where it is declared global or nonlocal, nothing is like that."""
    count = 0
    for place in places:
        for node in ast.walk(place):
            if isinstance(node, ast.Name):
                count += node.id == name
            elif isinstance(node, (ast.Global, ast.Nonlocal)) and name in node.names:
                return -1
    return count


def _imported(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> Import | None:
    if isinstance(statement, ast.ImportFrom):
        if statement.level or statement.module is None:
            return None
        return Import(statement.module, statement.module, (alias.name,))
    root, *attributes = alias.name.split(".")
    return Import(alias.name, root, tuple(attributes) if alias.asname else ())


def find_imports(
    fn: FunctionType, imports: Mapping[str, Import]
) -> tuple[dict[str, Found], tuple[Attribute, ...], ImportCheck]:
    """What imported names stand for; those of modules that are not loaded, or are not plain, are "not_loaded"."""
    found: dict[str, Found] = {}
    read: list[Attribute] = []
    modules: dict[str, object] = {}
    usual = type(_importer(fn)) is BuiltinFunctionType
    for name, what in imports.items():
        value: object = sys.modules.get(what.root)
        loaded: object = sys.modules.get(what.loads)
        modules[what.root], modules[what.loads] = value, loaded
        if type(value) is not ModuleType or type(loaded) is not ModuleType or not usual:
            found[name] = Found("not_loaded", None)
            continue
        for attribute in what.attributes:
            module = value
            value = _MISSING
            if type(module) is ModuleType:
                value = look_up(vars(module), attribute, _MISSING)
            if value is _MISSING:
                break
            assert type(module) is ModuleType
            value = frozen(value) or value
            read.append(Attribute(module, attribute, value))
        found[name] = Found("not_loaded", None) if value is _MISSING else Found("import", value)
    return found, tuple(read), ImportCheck(fn, modules)
