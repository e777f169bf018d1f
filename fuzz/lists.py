"""Lists that grow and change, for fuzz/grammar.py.

A list is a variable with the tag L beside the kind of its items, which is one for the whole life of the list. Lists stay short: they
grow by few items a turn, and no list is made of itself inside a loop. Positions are mostly within the list; some are not, and raise.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from fuzz.terms import Expr, Var

ITEM_WEIGHT = 8  # as large as what loops make of numbers


class Lists:
    """Mixed into grammar.Writer."""

    rng: random.Random
    wild: float
    loops: int
    tame: bool
    inside: int
    scope: dict[str, Var]

    if TYPE_CHECKING:  # of grammar.Writer

        def __getattr__(self, name: str) -> Any: ...

    def lists_of(self, kinds: str) -> list[str]:
        """Lists that are there, of items of these kinds."""
        return [
            n
            for n, v in self.scope.items()
            if v.tags[:1] == "L" and v.tags[1:] in kinds and not v.maybe_unbound
        ]

    def item(self, kind: str, text: str) -> Expr:
        return Expr(text, kind, True, True, ITEM_WEIGHT)

    def place(self, name: str) -> str:
        """A position of a list that is not empty; now and then beyond it."""
        rng = self.rng
        at = self.dynamic("i", 1).text
        return rng.choice(
            (f"{at} % len({name})", f"{at} % len({name})", f"-1 - {at} % len({name})", "-1", "0")
            + ((f"{at} % 7", f"{at}") if rng.random() < self.wild else ())
        )

    # --- expressions

    def list_number(self, kind: str) -> Expr | None:
        """A number that a list gives; None where there is no such list."""
        rng = self.rng
        names = self.lists_of(kind)
        if kind == "i" and rng.random() < 0.3:
            every = self.lists_of("ifb")
            if every:
                return Expr(f"len({rng.choice(every)})", "i", True, True, 2)
        if not names:
            return None
        name = rng.choice(names)
        pick = rng.random()
        other = self.constant(kind).text
        start = ", 0.5" if kind == "f" else ""  # the sum of no items is an int
        if pick < 0.5:
            return self.item(kind, f"({name}[{self.place(name)}] if {name} else {other})")
        if pick < 0.6 and rng.random() < self.wild:
            return self.item(kind, f"{name}[{self.place(name)}]")
        if pick < 0.75:
            return self.item(kind, f"sum({name}{rng.choice(('', '', '[:3]', '[-2:]'))}{start})")
        if pick < 0.9:
            best = rng.choice(("max({0})", "min({0})", "sorted({0})[0]", "max(reversed({0}))"))
            return self.item(kind, f"({best.format(name)} if {name} else {other})")
        inner = self.fresh_name("v")
        return self.item(kind, f"sum([-{inner} for {inner} in {name} if {inner} > 1]{start})")

    def list_mixed(self) -> Expr | None:
        """An item that may be an int or a float."""
        names = [n for n in self.lists_of("fi") if self.scope[n].tags == "Lfi"]
        if not names:
            return None
        name = self.rng.choice(names)
        other = self.constant(self.rng.choice("if")).text
        return self.item("fi", f"({name}[{self.place(name)}] if {name} else {other})")

    def list_truth(self, depth: int) -> Expr | None:
        rng = self.rng
        names = self.lists_of("ifb")
        if not names:
            return None
        name = rng.choice(names)
        kind = self.scope[name].tags[1:]
        pick = rng.random()
        if pick < 0.3:
            value = self.dynamic(kind if kind != "f" else rng.choice("fi"), depth)
            return Expr(f"({value.text} {rng.choice(('in', 'not in'))} {name})", "b", True)
        if pick < 0.5:
            other = rng.choice(self.lists_of(kind))
            return Expr(f"({name} {rng.choice(('==', '!='))} {other})", "b", True)
        if pick < 0.7:
            return Expr(f"{rng.choice(('any', 'all'))}({name})", "b", True)
        return Expr(rng.choice((f"bool({name})", f"(not {name})", f"(len({name}) > 2)")), "b", True)

    # --- statements

    def list_statement(self, pad: str) -> list[str]:
        names = [*self.lists_of("ifb"), *self.lists_of("fi")]
        if not names or self.rng.random() < (0.1 if self.loops else 0.35):
            return self.new_list(pad)
        return self.changed_list(pad, self.rng.choice(names))

    def new_list(self, pad: str) -> list[str]:
        rng = self.rng
        if rng.random() < 0.15:
            return self.mixed_list(pad)
        kind = rng.choice("iiffb")
        old = [n for n in self.lists_of(kind) if not self.loops]
        first = self.dynamic(kind, 1).text
        count = self.small_int(5)
        if old and rng.random() < 0.5:
            source, second = rng.choice(old), rng.choice(old)
            cut = rng.choice(("1:", ":-1", ":2", "::-1", f"{count}:", f"-({count}):4"))
            text = rng.choice((
                source, f"{source}[{cut}]", f"{source} + {second}", f"sorted({source})",
                f"sorted({source}, reverse=True)", f"list({source})", f"{source}.copy()",
                f"sorted({source}, key=lambda v: (v > 1, -v))",
                f"({source} if {self.condition(1)[0]} else {second})",
            ))  # fmt: skip
        else:
            inner = self.fresh_name("v")
            text = rng.choice((
                f"[{first}]", f"[{first}, {self.expr(kind, 1).text}]", f"[{first}] * ({count})",
                f"[{first} for {inner} in range({count})]",
                f"[{first} for {inner} in range(6) if {inner} != {count}]",
            ))  # fmt: skip
            if kind == "i" and rng.random() < 0.4:
                text = rng.choice((
                    f"list(range({count}))", f"[{inner} * 3 % 5 for {inner} in range({count})]",
                    f"[{inner} - 2 for {inner} in reversed(range({count}, 5))]",
                ))  # fmt: skip
        name = self.fresh_name("xs")
        self.scope[name] = Var("L" + kind, True, False, True, ITEM_WEIGHT)
        if text[0] == "[" and rng.random() < 0.25:
            return [f"{pad}{name} = []", f"{pad}{name}.append({first})"]
        return [f"{pad}{name} = {text}"]

    def mixed_list(self, pad: str) -> list[str]:
        """Zeros that floats are put among, or what else has both."""
        rng = self.rng
        first, second = self.dynamic("i", 1).text, self.dynamic("f", 1).text
        count = self.small_int(5)
        name = self.fresh_name("xs")
        self.scope[name] = Var("Lfi", True, False, True, ITEM_WEIGHT)
        if rng.random() < 0.4:
            return [f"{pad}{name} = [{first}, {second}]"]
        change = rng.choice((f"{name}[{count}] = {second}", f"{name}.append({second})"))
        return [f"{pad}{name} = [{rng.choice(('0', first))}] * (({count}) + 1)", f"{pad}{change}"]

    def changed_list(self, pad: str, name: str) -> list[str]:
        rng = self.rng
        if self.scope[name].tags == "Lfi":
            value = self.dynamic(rng.choice("if"), 1).text
            place = self.place(name)
            change = rng.choice((
                f"{name}[{place}] = {value}", f"{name}[{place}] += 1", f"{name}.append({value})",
                f"{name}.pop()", f"{name}.pop({place})", f"{name}.extend({name}[:2])",
            ))  # fmt: skip
            return [f"{pad}if {name}:", f"{pad}    {change}"]
        kind = self.scope[name].tags[1:]
        value = self.dynamic(kind, 1).text
        pick = rng.random()
        if pick < 0.35:
            return [f"{pad}{name}.append({value})"]
        if pick < 0.45:
            return [f"{pad}{name} += [{value}]"]
        if pick < 0.5:
            return [f"{pad}{name}.insert({self.small_int(4)}, {value})"]
        if pick < 0.55:
            sort = rng.choice((".sort()", ".sort(reverse=True)", ".reverse()"))
            return [f"{pad}{name}{sort}"]
        if pick < 0.6 and not self.loops:
            return [f"{pad}{name}.extend({rng.choice(self.lists_of(kind))})"]
        inner = pad + "    "
        place = self.place(name)
        if pick < 0.75:
            change = f"{name}[{place}] = {value}"
        elif pick < 0.83 and kind != "b":
            change = f"{name}[{place}] {rng.choice('+-')}= {value}"
        elif pick < 0.9:
            other = self.place(name)
            change = f"{name}[{place}], {name}[{other}] = {name}[{other}], {name}[{place}]"
        else:
            change = rng.choice((f"{name}.pop()", f"{name}.pop({place})", f"del {name}[{place}]"))
        if rng.random() < self.wild:
            return [f"{pad}{change}"]
        return [f"{pad}if {name}:", f"{inner}{change}"]

    def list_head(self, pad: str) -> tuple[list[str], str, list[str], int, list[str]] | None:
        """for over the first items of a list; the list may change in the loop."""
        rng = self.rng
        names = self.lists_of("if")
        if not names:
            return None
        name = rng.choice(names)
        value, count = self.fresh_name("v"), self.fresh_name("k")
        turns = rng.randint(1, 4)
        self.scope[value] = Var(self.scope[name].tags[1:], True, False, True, ITEM_WEIGHT)
        self.protected.add(count)
        self.scope[count] = Var("i", True)
        items = rng.choice(("{0}", "{0}", "reversed({0})", "{0}[:3]")).format(name)
        head = f"{pad}for {value} in {items}:"
        if rng.random() < 0.3:
            index = self.fresh_name("i")
            self.scope[index] = Var("i", True)
            head = f"{pad}for {index}, {value} in enumerate({items}):"
        inner = pad + "    "
        first = [f"{inner}if {count} >= {turns}:", f"{inner}    break", f"{inner}{count} += 1"]
        return [f"{pad}{count} = 0"], head, first, turns, [count]
