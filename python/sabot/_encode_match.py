"""The match statement in a blob: a chain of if, elif and else over the subject's parts.

Patterns: numbers, None, True, False, dotted constants, names, `_`, alternatives, the classes bool, int and float with at most one
pattern inside, and sequences of the length that a tuple display as the subject has. Others are refused.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sabot._blob import BUILTINS, KINDS
from sabot._encode import Inner, Own, u8, u32

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sabot._encode import Encoder, Part

_CLASSES: dict[int, int] = {
    id(bool): KINDS["BOOL"],
    id(int): KINDS["INT"] | KINDS["BOOL"],
    id(float): KINDS["FLOAT"],
}


class _RefusedError(Exception):
    """A pattern has no form; says what it is."""


def match(encoder: Encoder, node: ast.Match) -> Sequence[Part]:
    """The writer of ast.Match: `if True:` with the subject's assignment and the chain."""
    subject = node.subject
    display = isinstance(subject, ast.Tuple) and not any(
        isinstance(item, ast.Starred) for item in subject.elts
    )
    values = subject.elts if isinstance(subject, ast.Tuple) and display else [subject]
    first = encoder.program.new_slots(["subject"] * len(values))
    names = [f" subject {first + k}" for k in range(len(values))]
    encoder.scope.names.update((name, first + k) for k, name in enumerate(names))
    try:
        chain = _chain(encoder, node, [*node.cases], names, display)
    except _RefusedError as refused:
        return encoder.unsupported(node, "syntax", f"match with {refused}")
    begin = [
        ast.Assign([_name(node, name, ast.Store())], value)
        for name, value in zip(names, values, strict=True)
    ]
    body: list[ast.stmt] = [ast.copy_location(statement, node) for statement in begin]
    whole = ast.If(_constant(node, True), body + chain, [])
    return [Inner(ast.copy_location(whole, node), None, 0)]


def _chain(
    encoder: Encoder, node: ast.Match, cases: list[ast.match_case], names: list[str], display: bool
) -> list[ast.stmt]:
    """The statements that the cases are."""
    orelse: list[ast.stmt] = []
    for case in reversed(cases):
        places: list[ast.expr] = [_name(case.pattern, name) for name in names]
        tests = [*_tests(encoder, case.pattern, places, display)]
        bound = [*_bindings(case.pattern, places, display)]
        if (bound and tests) or case.guard is not None:
            tests += [_binding(case.pattern, name, value) for name, value in bound]
            bound = []
        if case.guard is not None:
            tests.append(case.guard)
        body = [_assign(case.pattern, name, value) for name, value in bound] + case.body
        if tests:
            test = tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests)
            branch = ast.If(ast.copy_location(test, case.pattern), body, orelse)
            orelse = [ast.copy_location(branch, node)]
        else:
            orelse = body
    return orelse


def _tests(
    encoder: Encoder, pattern: ast.pattern, places: list[ast.expr], display: bool
) -> Iterator[ast.expr]:
    """What must hold for a pattern, from left to right; nothing where it always matches."""
    match pattern:
        case ast.MatchAs(None):
            return
        case ast.MatchAs(ast.pattern() as inner):
            yield from _tests(encoder, inner, places, display)
        case ast.MatchOr(patterns):
            if any(True for one in patterns for _ in _bindings(one, places, display)):
                raise _RefusedError("names in alternatives")
            every = [[*_tests(encoder, one, places, display)] for one in patterns]
            if all(every):
                tests = [_all(pattern, tests) for tests in every]
                yield ast.copy_location(ast.BoolOp(ast.Or(), tests), pattern)
        case ast.MatchSequence(patterns) if display:
            if any(isinstance(one, ast.MatchStar) for one in patterns):
                raise _RefusedError("* in a sequence")
            if len(patterns) != len(places):
                yield _constant(pattern, False)
                return
            for one, place in zip(patterns, places, strict=True):
                yield from _tests(encoder, one, [place], False)
        case _ if display:
            raise _RefusedError("a tuple as its subject and a pattern that is no sequence")
        case _:
            yield from _tests_of_one(encoder, pattern, places[0])


def _tests_of_one(encoder: Encoder, pattern: ast.pattern, place: ast.expr) -> Iterator[ast.expr]:
    match pattern:
        case ast.MatchValue(value):
            yield ast.copy_location(ast.Compare(place, [ast.Eq()], [value]), pattern)
        case ast.MatchSingleton(value):
            constant = _constant(pattern, value)
            yield ast.copy_location(ast.Compare(place, [ast.Is()], [constant]), pattern)
        case ast.MatchClass(cls, patterns, [], []) if len(patterns) <= 1:
            found = encoder.known(cls)
            kinds = _CLASSES.get(id(found.value)) if found is not None else None
            if kinds is None:
                raise _RefusedError("a class that is not bool, int or float")
            yield _is_kind(pattern, place, kinds)
            for inner in patterns:
                yield from _tests(encoder, inner, [place], False)
        case ast.MatchSequence():
            raise _RefusedError("a sequence, over a subject that is no tuple display")
        case _:
            raise _RefusedError("a pattern of this form")


def _bindings(
    pattern: ast.pattern, places: list[ast.expr], display: bool
) -> Iterator[tuple[str, ast.expr]]:
    """The names that a pattern binds, with their values."""
    match pattern:
        case ast.MatchAs(inner, name):
            if inner is not None:
                yield from _bindings(inner, places, display)
            if name is not None:
                whole = ast.copy_location(ast.Tuple(places, ast.Load()), pattern)
                yield name, whole if display else places[0]
        case ast.MatchSequence(patterns) if display and len(patterns) == len(places):
            for one, place in zip(patterns, places, strict=True):
                yield from _bindings(one, [place], False)
        case ast.MatchClass(_, patterns):
            for one in patterns:
                yield from _bindings(one, places, False)
        case _:
            pass


def _is_kind(pattern: ast.pattern, place: ast.expr, kinds: int) -> ast.expr:
    """isinstance, by kinds (bits of KINDS)."""

    def write(encoder: Encoder) -> Sequence[Part]:
        head: list[Part] = [encoder.at("CALL", pattern), u8(BUILTINS["ISINSTANCE"]), u32(2), place]
        return [*head, *encoder.value(pattern, kinds)]

    return Own(pattern, write)


def _all(place: ast.pattern, tests: list[ast.expr]) -> ast.expr:
    return tests[0] if len(tests) == 1 else ast.copy_location(ast.BoolOp(ast.And(), tests), place)


def _binding(place: ast.pattern, name: str, value: ast.expr) -> ast.expr:
    """A true expression that gives a name its value: `(name := value, True)[1]`."""
    named = ast.copy_location(ast.NamedExpr(_name(place, name, ast.Store()), value), place)
    pair = ast.copy_location(ast.Tuple([named, _constant(place, True)], ast.Load()), place)
    return ast.copy_location(ast.Subscript(pair, _constant(place, 1), ast.Load()), place)


def _assign(place: ast.pattern, name: str, value: ast.expr) -> ast.stmt:
    return ast.copy_location(ast.Assign([_name(place, name, ast.Store())], value), place)


def _name(place: ast.AST, name: str, context: ast.expr_context | None = None) -> ast.Name:
    return ast.copy_location(ast.Name(name, context or ast.Load()), place)


def _constant(place: ast.AST, value: bool | int | None) -> ast.expr:
    return ast.copy_location(ast.Constant(value), place)
