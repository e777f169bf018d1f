"""Choices and generators for fuzz/grammar.py: match, map, filter, next, min and max by a key, constant tables, methods of numbers.

The rules are those of grammar.py.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from fuzz.terms import COMPARISONS, Expr, Var, join, literal

if TYPE_CHECKING:
    from fuzz.forms import Forms as Writer
else:
    Writer = object

KEYS = (-2, 0, 1, 2, 3, 5, 10)


def joined(tags: str, parts: list[Expr], text: str) -> Expr:
    from fuzz.forms import joined as of_forms

    return of_forms(tags, parts, text)


class Choices(Writer):
    """Mixed into forms.Forms."""

    rng: random.Random

    def chosen(self, kind: str, depth: int) -> Expr:
        """An int or a float."""
        makers: list[Any] = [
            self.looked_up,
            self.displayed,
            self.next_of,
            self.by_key,
            self.applied,
            self.mapped,
        ]
        if kind == "i":
            makers.append(self.of_bits)
        return self.rng.choice(makers)(kind, depth)

    def chosen_bool(self, depth: int) -> Expr:
        rng = self.rng
        if rng.random() < 0.3:
            e = self.dynamic("f", depth)
            return Expr(f"({e.text}).is_integer()", "b", True)
        e = self.dynamic(rng.choice("iif"), depth)
        keys = rng.sample(KEYS, rng.randint(1, 4))
        table: Any = rng.choice((set(keys), keys, dict.fromkeys(keys, 0.5), frozenset(keys)))
        return Expr(f"({e.text} {rng.choice(('in', 'not in'))} {self.table(table)})", "b", True)

    def table(self, value: object) -> str:
        """The name of a captured table, or a display of it."""
        if self.rng.random() < 0.3 and not isinstance(value, frozenset):
            return literal(value)
        name = f"{self.prefix}K{len(self.captured)}"
        self.captured[name] = value
        return name

    def operands(self, kind: str, depth: int, count: int) -> list[Expr]:
        parts = [self.dynamic(kind, depth - 1)]
        parts += [self.expr(kind, depth - 1) for _ in range(count - 1)]
        self.rng.shuffle(parts)
        return parts

    def looked_up(self, kind: str, depth: int) -> Expr:
        """In a captured dict."""
        rng = self.rng
        keys = rng.sample(KEYS, rng.randint(2, 5))
        values = [
            rng.choice((1, -7, 60, 2**53 + 1) if kind == "i" else (0.5, -0.0, 1e300)) for _ in keys
        ]
        name = self.table(dict(zip(keys, values, strict=True)))
        key = self.dynamic("i", depth - 1)
        if rng.random() < 0.4:
            name = self.table({k: values[0] if k else values[-1] for k in range(3)})
            return Expr(f"{name}[{key.text} % 3]", kind, True, key.loopy, 2)
        default = self.expr(kind, depth - 1)
        return joined(
            join(kind, default.tags), [key, default], f"{name}.get({key.text}, {default.text})"
        )

    def displayed(self, kind: str, depth: int) -> Expr:
        """In a dict that is written where it is looked into."""
        key = self.dynamic("i", depth - 1)
        parts = self.operands(kind, depth, 3)
        pairs = ", ".join(f"{k}: {p.text}" for k, p in zip((0, 1, 7), parts, strict=True))
        default = self.expr(kind, 0)
        every = [key, *parts, default]
        text = f"{{{pairs}}}.get({key.text}, {default.text})"
        return joined(join(default.tags, *(p.tags for p in parts)), every, text)

    def next_of(self, kind: str, depth: int) -> Expr:
        parts = self.operands(kind, depth, 3)
        default = self.expr(kind, depth - 1)
        name, op = self.fresh_name("v"), self.rng.choice(COMPARISONS)
        items = ", ".join(p.text for p in parts)
        limit = self.dynamic(kind, 0)
        text = f"next(({name} for {name} in ({items}) if {name} {op} {limit.text}), {default.text})"
        every = [*parts, default, limit]
        return Expr(
            text,
            join(default.tags, *(p.tags for p in parts)),
            True,
            any(e.loopy for e in every),
            max(e.weight for e in every),
        )

    def by_key(self, kind: str, depth: int) -> Expr:
        rng = self.rng
        parts = self.operands(kind, depth, 3)
        name = self.fresh_name("v")
        keys = ["abs", f"lambda {name}: -{name}", f"lambda {name}: ({name} > 1, {name})"]
        if kind == "i":
            keys.append(f"lambda {name}: {name} % 7")
        items = ", ".join(p.text for p in parts)
        form = rng.choice(("({0})", "[{0}]", "{0}")).format(items)
        text = f"{rng.choice(('min', 'max'))}({form}, key={rng.choice(keys)})"
        return joined(join(*(p.tags for p in parts)), parts, text)

    def applied(self, kind: str, depth: int) -> Expr:
        parts = self.operands(kind, depth, 2)
        a, b = self.fresh_name("v"), self.fresh_name("v")
        body = self.rng.choice((f"{a} - {b}", f"{b} if {a} > {b} else -{a}", f"{a} + 2 * {b}"))
        return joined(kind, parts, f"(lambda {a}, {b}: {body})({', '.join(p.text for p in parts)})")

    def mapped(self, kind: str, depth: int) -> Expr:
        rng = self.rng
        parts = self.operands(kind, depth, 3)
        items = ", ".join(p.text for p in parts)
        name = self.fresh_name("v")
        through = rng.choice(
            (
                f"map(abs, ({items}))",
                f"map(lambda {name}: 3 - {name}, [{items}])",
                f"filter(None, ({items}))",
                f"filter(lambda {name}: {name} > 1, ({items}))",
                f"map(lambda {name}: -{name}, filter(lambda {name}: {name} < 9, ({items})))",
                f"(-{name} for {name} in map(abs, ({items})))",
            )
        )
        if rng.random() < 0.5:
            return joined(kind, parts, f"sum({through}, {literal(1 if kind == 'i' else 0.5)})")
        default = self.expr(kind, 0)
        every = [*parts, default]
        text = f"{rng.choice(('min', 'max'))}({through}, default={default.text})"
        return joined(join(kind, *(e.tags for e in every)), every, text)

    def of_bits(self, kind: str, depth: int) -> Expr:
        e = self.dynamic(self.rng.choice((kind, kind, "b")), depth)
        method = self.rng.choice(("bit_count", "bit_length", "conjugate"))
        if method == "conjugate":
            return joined("i", [e], f"({e.text}).conjugate()")
        return Expr(f"({e.text}).{method}()", "i", e.dynamic, e.loopy, 1)

    def matched(self, pad: str) -> list[str]:
        """A variable whose value a match decides."""
        rng = self.rng
        subject = self.dynamic(rng.choice("iif"), 1)
        kind = rng.choice("if")
        name, held = self.fresh_name("t"), self.fresh_name("m")
        values = [self.expr(kind, 1) for _ in range(3)]
        pattern = rng.choice(("0", "1 | 2 | -1", "2.5", "int()", "True", "None | 7"))
        guarded = f"{held} if {held} {rng.choice(COMPARISONS)} {self.dynamic('i', 0).text}"
        head = f"{pad}match {subject.text}:"
        if rng.random() < 0.3:
            other = self.dynamic("i", 0)
            head = f"{pad}match {subject.text}, {other.text}:"
            pattern = rng.choice(("0, _", "(1, 2) | (2, 1)", "_, 0 | 3", "int(), 5"))
            guarded = f"{held}, _ if {held} > 2"
        body = [head]
        for case, value in zip((pattern, guarded, "_"), values, strict=True):
            body += [f"{pad}    case {case}:", f"{pad}        {name} = {value.text}"]
        self.define(name, joined(join(*(v.tags for v in values)), values, ""))
        self.scope[name] = Var(
            self.scope[name].tags, True, False, self.loops > 0, self.scope[name].weight
        )
        return body
