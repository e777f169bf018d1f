"""Functions for the fuzzer, valid by construction, and of a result type known by construction.

Expressions are made for a wanted kind: i (int), f (float), b (bool), m (any number: the value may be of any of the three
kinds), r (the same without bool) or t (anything, only its truth is used). Each carries what the rest of the grammar must
know about it: the tags its value can have (letters of "bifn", n for None), whether a parameter takes part in it, and how
large it can grow.

Rules that keep the functions honest:
* Every condition depends on a parameter and no operand is a constant zero divisor, so no reasonable constant folding
  makes a path unreachable and the result type, the join of the tags of all returns, does not depend on how clever a
  typing is. A function with mixed int and float returns also starts and ends with a return of a float.
* Assignments inside a loop keep the tags that the variable had at the loop's entry, where some are widened on purpose
  (an int that becomes a float in the second turn).
* Loops have few turns, and products of values that grow in a loop are not formed, so that CPython's unbounded integers
  stay below some thousand digits.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace

from fuzz.forms import Forms, Helper
from fuzz.lists import Lists
from fuzz.terms import (
    CAPTURED,
    COMPARISONS,
    FLOAT_DIVISORS,
    FLOAT_EDGE_LITERALS,
    FLOAT_LITERALS,
    INT_DIVISORS,
    INT_EDGE_LITERALS,
    INT_LITERALS,
    PARAMETER_NAMES,
    TURNS_MAX,
    WEIGHT_MAX,
    Expr,
    Function,
    Var,
    join,
    kind_of,
    literal,
)


class Writer(Forms, Lists):
    """Writes one body. `scope` maps each variable to what is known of it at this point of the text."""

    def __init__(
        self, rng: random.Random, params: dict[str, str], wild: float, prefix: str
    ) -> None:
        self.rng = rng
        self.params = params
        self.wild = wild
        self.prefix = prefix
        self.scope: dict[str, Var] = {name: Var(join(kind, "n")) for name, kind in params.items()}
        self.captured: dict[str, object] = {}
        self.protected: set[str] = set()
        self.loops = 0
        self.turns = 1
        self.locals = 0
        self.result = "i"
        self.daring = rng.random() < 0.04  # reads variables that may have no value yet
        self.more = rng.choice(
            (0.0, 0.15, 0.3, 0.5)
        )  # how often the forms of fuzz/forms.py are taken
        self.listing = rng.choice((0.0, 0.0, 0.1, 0.3))  # how often those of fuzz/lists.py are
        self.home = ""  # the name of the function
        self.helpers: list[Helper] = []
        self.helper_text = ""
        self.inside = 0  # forms of fuzz/forms.py around what is written now
        self.tame = False  # no products: what this writes is called in loops
        self.trace = ""  # a variable that turns of loops change and that results show

    # --- expressions ---------------------------------------------------------------------------------------------

    def expr(self, kind: str, depth: int) -> Expr:
        rng = self.rng
        if kind == "m":
            pick = rng.random()
            if pick < 0.35 and depth > 0:
                return self.mixed(depth - 1)
            kind = "i" if pick < 0.65 else "f" if pick < 0.9 else "b"
        if kind == "t":
            return self.truth(depth)
        if kind == "r":
            return (
                self.mixed(depth - 1) if rng.random() < 0.5 else self.expr(rng.choice("if"), depth)
            )
        if depth <= 0 or rng.random() < 0.12:
            return self.atom(kind)
        if rng.random() < self.listing:
            made = self.list_truth(depth - 1) if kind == "b" else self.list_number(kind)
            if made is not None:
                return made
        return {"i": self.int_expr, "f": self.float_expr, "b": self.bool_expr}[kind](depth - 1)

    def mixed(self, depth: int) -> Expr:
        kinds = self.rng.sample("if", 2)
        made = self.list_mixed() if self.rng.random() < self.listing else None
        if made is not None:
            return made
        if self.rng.random() < self.more:
            return self.more_mixed(kinds, depth)
        if self.rng.random() < 0.6:
            return self.conditional(kinds[0], kinds[1], depth)
        return self.and_or(kinds[0], kinds[1], depth)

    def variables(self, *accepted: str) -> list[str]:
        return [
            n
            for n, v in self.scope.items()
            if v.tags in accepted and (not v.maybe_unbound or self.rng.random() < self.wild / 2)
        ]

    def read(self, name: str) -> Expr:
        var = self.scope[name]
        return Expr(name, var.tags, var.dynamic, var.loopy, var.weight)

    def atom(self, kind: str) -> Expr:
        rng = self.rng
        plain = self.variables(kind)
        nullable = self.variables(join(kind, "n"))
        pick = rng.random()
        if nullable and (pick < self.wild or (not plain and pick < 0.12)):
            return replace(
                self.read(rng.choice(nullable)), tags=kind
            )  # a None here raises where it is used
        if plain and pick < 0.72:
            return self.read(rng.choice(plain))
        if nullable and pick < 0.8:
            var = self.read(rng.choice(nullable))
            other = self.constant(kind)
            if rng.random() < 0.6:
                return replace(
                    var, text=f"({var.text} if {var.text} is not None else {other.text})", tags=kind
                )
            return replace(var, text=f"({var.text} or {other.text})", tags=kind)
        return self.constant(kind)

    def constant(self, kind: str) -> Expr:
        rng = self.rng
        if rng.random() < 0.12:
            values = [v for v in CAPTURED if kind_of(v) == kind]
            value = rng.choice(values)
            name = f"{self.prefix}K{len(self.captured)}"
            self.captured[name] = value
            return Expr(name, kind)
        if kind == "b":
            return Expr(rng.choice(("True", "False")), "b")
        edges, tame = (
            (INT_EDGE_LITERALS, INT_LITERALS)
            if kind == "i"
            else (FLOAT_EDGE_LITERALS, FLOAT_LITERALS)
        )
        if rng.random() < 0.1:
            return Expr(literal(rng.choice(edges)), kind)
        value = rng.choice(tame)
        return Expr(literal(-value if rng.random() < 0.15 else value), kind)

    def dynamic(self, kind: str, depth: int) -> Expr:
        """An expression of the wanted kind with a parameter in it."""
        for _ in range(4):
            e = self.expr(kind, depth)
            if e.dynamic:
                return e
        names = [n for n in self.variables(kind) if self.scope[n].dynamic]
        if names:
            return self.read(self.rng.choice(names))
        read = self.some_read()
        test = f"({read.text} == None)"
        if "n" not in read.tags:
            test = f"({read.text} {self.rng.choice(COMPARISONS)} {self.constant(self.rng.choice('if')).text})"
        if kind in "bt":
            return Expr(test, "b", True)
        return Expr(
            f"({test} + {literal(self.rng.choice((1, 2, 10) if kind in 'im' else (0.5, 2.0)))})",
            "i" if kind in "im" else "f",
            True,
        )

    def some_read(self) -> Expr:
        names = [
            n
            for n, v in self.scope.items()
            if v.dynamic and not v.maybe_unbound and "n" not in v.tags and v.tags[:1] != "L"
        ]
        return self.read(self.rng.choice(names or list(self.params)))

    def arith(self, op: str, left: Expr, right: Expr, tags: str) -> Expr:
        weight = max(left.weight, right.weight)
        if op == "*" and self.tame:
            op = "+"
        if op == "*":
            limit = 2 if self.loops else WEIGHT_MAX
            light = right if left.loopy else left
            grows = left.weight + right.weight > (
                WEIGHT_MAX if self.loops and not (left.loopy or right.loopy) else limit
            )
            if self.loops and (left.loopy or right.loopy):
                grows = (left.loopy and right.loopy) or light.weight > 2
            if grows:
                op = "-"
            else:
                weight = left.weight + right.weight
        return Expr(
            f"({left.text} {op} {right.text})",
            tags,
            left.dynamic or right.dynamic,
            left.loopy or right.loopy,
            min(weight, WEIGHT_MAX),
        )

    def divisor(self, kind: str, depth: int) -> Expr:
        rng = self.rng
        pick = rng.random()
        if pick < 0.5:
            return Expr(literal(rng.choice(INT_DIVISORS if kind == "i" else FLOAT_DIVISORS)), kind)
        e = self.dynamic(kind, depth)
        if pick < 0.9 or rng.random() > self.wild * 4:
            other = literal(rng.choice((1, 2, 7)) if kind == "i" else rng.choice((1.0, 0.5)))
            return replace(e, text=f"({e.text} or {other})")
        return e

    def and_or(self, left_kind: str, right_kind: str, depth: int) -> Expr:
        left, right = self.dynamic(left_kind, depth), self.expr(right_kind, depth)
        op = self.rng.choice(("and", "or"))
        return Expr(
            f"({left.text} {op} {right.text})",
            join(left.tags, right.tags),
            left.dynamic and right.dynamic,
            left.loopy or right.loopy,
            max(left.weight, right.weight),
        )

    def conditional(self, then_kind: str, else_kind: str, depth: int) -> Expr:
        guard, narrowed = self.condition(depth)
        saved = self.scope
        self.scope = {**saved, **narrowed}
        then = self.expr(then_kind, depth)
        self.scope = saved
        other = self.expr(else_kind, depth)
        return Expr(
            f"({then.text} if {guard} else {other.text})",
            join(then.tags, other.tags),
            then.dynamic or other.dynamic,
            then.loopy or other.loopy,
            max(then.weight, other.weight),
        )

    def int_expr(self, depth: int) -> Expr:
        rng = self.rng
        if rng.random() < self.more:
            return self.more_int(depth)
        pick = rng.random()
        if pick < 0.44:
            op = rng.choices("+-*", (4, 4, 3))[0]
            return self.arith(op, self.expr("i", depth), self.expr("i", depth), "i")
        if pick < 0.66:
            return self.arith(
                rng.choice(("//", "%")), self.expr("i", depth), self.divisor("i", depth), "i"
            )
        if pick < 0.73:
            e = self.expr("i" if rng.random() < 0.85 else "b", depth)
            return replace(e, text=f"(-{e.text})", tags="i")
        if pick < 0.85:
            return self.conditional("i", "i", depth)
        if pick < 0.93:
            return self.and_or("i", "i", depth)
        op = rng.choice("+-*")
        left, right = self.dynamic("b", depth), self.expr(rng.choice("bi"), depth)
        if rng.random() < 0.5:
            left, right = right, left
        return self.arith(op, left, right, "i")

    def float_expr(self, depth: int) -> Expr:
        rng = self.rng
        if rng.random() < self.more:
            return self.more_float(depth)
        pick = rng.random()
        if pick < 0.48:
            op = rng.choice("+-*")
            kinds = rng.choice(("ff", "ff", "fi", "if", "fm", "fb"))
            return self.arith(op, self.expr(kinds[0], depth), self.expr(kinds[1], depth), "f")
        if pick < 0.64:
            kinds = rng.choice(("ff", "ii", "fi", "if", "bi"))
            return self.arith("/", self.expr(kinds[0], depth), self.divisor(kinds[1], depth), "f")
        if pick < 0.78:
            kinds = rng.choice(("ff", "fi", "if"))
            return self.arith(
                rng.choice(("//", "%")),
                self.expr(kinds[0], depth),
                self.divisor(kinds[1], depth),
                "f",
            )
        if pick < 0.84:
            e = self.expr("f", depth)
            return replace(e, text=f"(-{e.text})")
        if pick < 0.94:
            return self.conditional("f", "f", depth)
        return self.and_or("f", "f", depth)

    def comparable(self, depth: int) -> Expr:
        return self.expr(self.rng.choices("ifbm", (5, 4, 0.4, 1))[0], depth)

    def bool_expr(self, depth: int) -> Expr:
        rng = self.rng
        if rng.random() < self.more:
            return self.more_bool(depth)
        pick = rng.random()
        nullable = [
            n for n, v in self.scope.items() if "n" in v.tags and v.dynamic and not v.maybe_unbound
        ]
        if pick < 0.1 and nullable:
            name = rng.choice(nullable)
            test = rng.choices(("is None", "is not None", "== None", "!= None"), (5, 5, 1, 1))[0]
            return Expr(f"({name} {test})", "b", True)
        if pick < 0.12:
            return Expr(f"({self.some_read().text} {rng.choice(('==', '!='))} None)", "b")
        if pick < 0.55:
            left, right = self.dynamic(rng.choice("iiffm"), depth), self.comparable(depth)
            if rng.random() < 0.3:
                left, right = right, left
            return Expr(f"({left.text} {rng.choice(COMPARISONS)} {right.text})", "b", True)
        if pick < 0.7:
            parts = [self.comparable(depth).text]
            wanted = True  # of two neighbours one depends on a parameter
            for _ in range(rng.choice((2, 2, 3))):
                e = self.dynamic("i", depth) if wanted else self.comparable(depth - 1)
                wanted = not wanted
                parts += [rng.choice(COMPARISONS), e.text]
            return Expr(f"({' '.join(parts)})", "b", True)
        if pick < 0.8:
            e = self.expr("t", depth)
            return Expr(f"(not {e.text})", "b", e.dynamic)
        if pick < 0.93:
            return self.and_or("b", "b", depth)
        return self.conditional("b", "b", depth)

    def truth(self, depth: int) -> Expr:
        rng = self.rng
        pick = rng.random()
        if pick < 0.6 or depth <= 0:
            return self.expr("b", depth)
        if pick < 0.75:
            return self.dynamic("m", depth)
        if pick < 0.85:
            name = rng.choice(list(self.params))
            return self.read(name)
        return self.and_or("t", "t", depth - 1)

    def condition(self, depth: int) -> tuple[str, dict[str, Var]]:
        """A test that depends on a parameter, and what it tells of the variables where it holds."""
        rng = self.rng
        nullable = [
            n
            for n, v in self.scope.items()
            if "n" in v.tags and len(v.tags) > 1 and not v.maybe_unbound
        ]
        if nullable and rng.random() < 0.4:
            name = rng.choice(nullable)
            var = self.scope[name]
            known = {name: replace(var, tags=var.tags.replace("n", ""))}
            if rng.random() < 0.4:
                return f"{name} is not None", known
            saved, self.scope = self.scope, {**self.scope, **known}
            rest = self.expr("t", depth)
            self.scope = saved
            return f"{name} is not None and {rest.text}", known
        return self.dynamic("t", depth).text, {}

    # --- statements ----------------------------------------------------------------------------------------------

    def block(self, pad: str, count: int, depth: int) -> tuple[list[str], bool]:
        """Lines, and whether the end of the block cannot be reached."""
        lines: list[str] = []
        for _ in range(count):
            made, ends = self.statement(pad, depth)
            lines += made
            if ends:
                return lines, True
        return lines, False

    def statement(self, pad: str, depth: int) -> tuple[list[str], bool]:
        rng = self.rng
        if rng.random() < self.listing * 1.5:
            return self.list_statement(pad), False
        pick = rng.random()
        if depth > 0 and pick < 0.2:
            return self.if_statement(pad, depth - 1), False
        if depth > 0 and pick < 0.4 and self.turns * 2 <= TURNS_MAX and self.loops < 2:
            return self.loop(pad, depth - 1), False
        if self.loops and pick < 0.5:
            guard, _ = self.condition(1)
            return [f"{pad}if {guard}:", f"{pad}    {rng.choice(('break', 'continue'))}"], False
        if pick < 0.58 and depth > 0:
            guard, narrowed = self.condition(1)
            saved, self.scope = self.scope, {**self.scope, **narrowed}
            text = self.return_text(2)
            self.scope = saved
            return [f"{pad}if {guard}:", f"{pad}    {text}"], False
        if pick < 0.78:
            made = self.augment(pad)
            if made:
                return made, False
        if rng.random() < self.more / 2:
            return self.more_statement(pad), False
        return self.assign(pad), False

    def assignable(self) -> list[str]:
        return [
            n
            for n, v in self.scope.items()
            if n not in self.protected and not v.maybe_unbound and v.tags[:1] != "L"
        ]

    def assign(self, pad: str) -> list[str]:
        rng = self.rng
        old = self.assignable()
        if old and rng.random() < (0.7 if self.loops else 0.35):
            name = rng.choice(old)
            tags = self.scope[name].tags
            kinds = [k for k in tags if k != "n"] if self.loops else list("iifb")
            value = (
                self.expr(rng.choice(kinds or ["i"]), 3)
                if kinds or not self.loops
                else self.constant("i")
            )
            if self.loops and not set(value.tags) <= set(tags):
                return [f"{pad}pass"]
            if name in self.params and not value.dynamic:
                return [f"{pad}pass"]  # what depends on the row must go on to
            if "n" in tags and self.loops and rng.random() < 0.1:
                value = replace(value, text="None")
        else:
            self.locals += 1
            name = f"t{self.locals}"
            value = self.fresh()
        self.define(name, value)
        return [f"{pad}{name} = {value.text}"]

    def fresh(self) -> Expr:
        """The first value of a new variable."""
        pick = self.rng.random()
        if pick < 0.42:
            return self.expr("i", 3)
        if pick < 0.7:
            return self.expr("f", 3)
        if pick < 0.8:
            return self.expr("b", 2)
        if pick < 0.92:
            return self.mixed(2)
        guard, _ = self.condition(1)
        value = self.expr(self.rng.choice("if"), 1)
        return Expr(
            f"(None if {guard} else {value.text})",
            join("n", value.tags),
            True,
            value.loopy,
            value.weight,
        )

    def define(self, name: str, value: Expr) -> None:
        old = self.scope.get(name)
        tags = old.tags if old and self.loops else value.tags
        loopy = value.loopy or self.loops > 0
        weight = max(value.weight, old.weight) if old and self.loops else value.weight
        dynamic = value.dynamic or bool(old and self.loops and old.dynamic)
        self.scope[name] = Var(tags, dynamic, False, loopy, weight)

    def augment(self, pad: str) -> list[str]:
        rng = self.rng
        names = [
            n for n in self.assignable() if n not in self.params and "n" not in self.scope[n].tags
        ]
        names = [n for n in names if self.scope[n].tags in ("i", "f", "fi")]
        if not names:
            return []
        name = rng.choice(names)
        var = self.scope[name]
        op = rng.choices(("+", "-", "*", "//", "%"), (6, 3, 2, 1, 1))[0]
        kind = (
            rng.choice("if")
            if not self.loops
            else "i"
            if var.tags == "i"
            else "f"
            if var.tags == "f"
            else "m"
        )
        value = (
            self.divisor("f" if kind == "m" else kind, 1)
            if op in ("//", "%")
            else self.expr(kind, 2)
        )
        if op == "*" and value.loopy:
            op = "+"
        if op == "*" and (
            value.weight > 2 if self.loops else var.weight + value.weight > WEIGHT_MAX
        ):
            op = "-"
        weight = (
            min(WEIGHT_MAX, var.weight + value.weight)
            if op == "*"
            else max(var.weight, value.weight)
        )
        tags = var.tags if self.loops or kind == "i" else "f"
        self.define(
            name, Expr("", tags, var.dynamic or value.dynamic, var.loopy or value.loopy, weight)
        )
        return [f"{pad}{name} {op}= {value.text}"]

    def merge(self, *scopes: dict[str, Var]) -> dict[str, Var]:
        """What is known after paths come together."""
        out: dict[str, Var] = {}
        for name in dict.fromkeys(n for s in scopes for n in s):
            have = [s[name] for s in scopes if name in s]
            out[name] = Var(
                join(*(v.tags for v in have)),
                any(v.dynamic for v in have),
                len(have) < len(scopes) or any(v.maybe_unbound for v in have),
                any(v.loopy for v in have),
                max(v.weight for v in have),
            )
        return out

    def if_statement(self, pad: str, depth: int) -> list[str]:
        rng = self.rng
        lines: list[str] = []
        ends: list[dict[str, Var]] = []
        before = dict(self.scope)
        arms = rng.choice((1, 1, 1, 2, 3))
        for arm in range(arms):
            self.scope = dict(before)
            guard, narrowed = self.condition(2)
            self.scope = {**before, **narrowed}
            body, _ = self.block(pad + "    ", rng.randint(1, 2), depth)
            lines += [f"{pad}{'elif' if arm else 'if'} {guard}:", *body]
            ends.append(self.scope)
        self.scope = dict(before)
        if rng.random() < 0.5:
            body, _ = self.block(pad + "    ", rng.randint(1, 2), depth)
            lines += [f"{pad}else:", *body]
        ends.append(self.scope)
        self.scope = self.merge(*ends)
        return lines

    def loop(self, pad: str, depth: int) -> list[str]:
        rng = self.rng
        for name, var in list(self.scope.items()):
            own = name not in self.params and name not in self.protected
            if var.tags == "i" and own and not self.loops and rng.random() < 0.3:
                self.scope[name] = replace(var, tags="fi")
        before_header = dict(self.scope)
        over_list = self.list_head(pad) if rng.random() < self.listing else None
        lines, head, first, turns, bound = (
            over_list
            if over_list is not None
            else self.items_head(pad)
            if rng.random() < self.more
            else self.while_head(pad)
            if rng.random() < 0.35
            else self.for_head(pad)
        )
        if self.trace:
            first = [*first, f"{pad}    {self.step_of_trace(before_header)}"]
        before = {**before_header, **{n: self.scope[n] for n in self.protected if n in self.scope}}
        for name, var in self.scope.items():
            before.setdefault(name, replace(var, maybe_unbound=True))
        outer_turns, self.turns = self.turns, self.turns * turns
        self.loops += 1
        # Whatever the body assigns grows from turn to turn.
        saved, self.scope = (
            self.scope,
            {
                n: replace(v, loopy=True) if n not in self.params else v
                for n, v in self.scope.items()
            },
        )
        body, _ = self.block(pad + "    ", rng.randint(1, 3), depth)
        self.loops -= 1
        self.turns = outer_turns
        after = self.merge(before, self.scope)
        for name in saved:
            after[name] = replace(after[name], maybe_unbound=before[name].maybe_unbound)
        self.scope = {
            **after,
            **{n: replace(v, tags=after[n].tags) for n, v in before.items() if n in self.protected},
        }
        self.protected -= set(bound)
        lines += [head, *first, *body]
        if rng.random() < 0.2:
            lines += [f"{pad}else:", *self.loop_else(pad + "    ")]
        return lines

    def step_of_trace(self, before: dict[str, Var]) -> str:
        """A turn leaves its mark: which it was, and with what values of the loop's own variables."""
        own = [(n, self.scope[n].tags) for n in self.scope if n not in before]
        parts = [f"({n} > 1)" if tags == "f" else f"{n} % 7" for n, tags in own]
        return f"{self.trace} = ({' + '.join([f'{self.trace} * 5 + 1', *parts])}) % 99991"

    def loop_else(self, pad: str) -> list[str]:
        """After a loop that was not left by break. It may return, but not None alone, nor where a float must follow."""
        if self.result in "ifb" and self.rng.random() < 0.25:
            return [f"{pad}return {self.expr(self.result, 2).text}"]
        before = dict(self.scope)
        tail, _ = self.block(pad, 1, 0)
        self.scope = self.merge(before, self.scope)
        return tail

    def counter(self, hint: str) -> str:
        self.locals += 1
        return f"{hint}{self.locals}"

    def small_int(self, size: int) -> str:
        """An integer from 0 to size - 1 that depends on a row."""
        names = self.variables("i", "in")
        names = [n for n in names if "n" not in self.scope[n].tags or self.rng.random() < self.wild]
        if names:
            return f"{self.rng.choice(names)} % {size}"
        e = self.dynamic("b", 1)
        return f"({e.text}) * {size - 1}" if e.tags == "b" else f"(not {e.text}) * {size - 1}"

    def while_head(self, pad: str) -> tuple[list[str], str, list[str], int, list[str]]:
        rng = self.rng
        name = self.counter("k")
        turns = rng.randint(1, 6 if self.turns == 1 else 4)
        inner = pad + "    "
        pick = rng.random()
        start = self.small_int(turns + 1)
        self.protected.add(name)
        self.scope[name] = Var("i", True)
        if pick < 0.3:
            test = rng.choice((f"{name} > 0", name))
            return (
                [f"{pad}{name} = {start}"],
                f"{pad}while {test}:",
                [f"{inner}{name} -= 1"],
                turns,
                [name],
            )
        test = f"{name} < {turns}"
        if pick < 0.7:
            guard, _ = self.condition(2)
            test = f"{test} and ({guard})" if rng.random() < 0.5 else f"({guard}) and {test}"
        return [f"{pad}{name} = 0"], f"{pad}while {test}:", [f"{inner}{name} += 1"], turns, [name]

    def for_head(self, pad: str) -> tuple[list[str], str, list[str], int, list[str]]:
        rng = self.rng
        index = self.counter("i")
        size = rng.randint(1, 6 if self.turns == 1 else 4)
        pick = rng.random()
        lines: list[str] = []
        first: list[str] = []
        bound: list[str] = []
        ints = [n for n in self.variables("i") if self.scope[n].dynamic]
        if pick < 0.3 or (pick >= 0.62 and not ints):
            text = self.constant_range(size)
        elif pick < 0.62:
            text = self.row_range(size)
        elif pick < 0.75:
            name = rng.choice(ints)
            text = rng.choice(
                (
                    f"{name} - {size // 2}, {name} + {size - size // 2}",
                    f"{name} + {size}, {name}, -1",
                )
            )
        else:
            count = self.counter("k")
            bound.append(count)
            self.protected.add(count)
            self.scope[count] = Var("i", False)
            step = rng.choice(
                (
                    "",
                    "",
                    ", 3",
                    ", -2",
                    ", 4611686018427387904",
                    ", -9223372036854775807",
                    ", 9223372036854775807",
                )
            )
            low, high = (
                rng.choice(ints),
                rng.choice([*ints, "0", "9223372036854775807", "-9223372036854775807"]),
            )
            text = f"{low}, {high}{step}"
            lines = [f"{pad}{count} = 0"]
            inner = pad + "    "
            first = [f"{inner}if {count} >= {size}:", f"{inner}    break", f"{inner}{count} += 1"]
        self.scope[index] = Var("i", True, False, False)
        turns = f"range({text})"
        if not bound and rng.random() < 0.15:
            turns = f"reversed({turns})"
        return lines, f"{pad}for {index} in {turns}:", first, size, bound

    def constant_range(self, size: int) -> str:
        """Never empty: what no row gets past would leave the function without a type."""
        rng = self.rng
        step = rng.choice((1, 1, 2, 3, -1, -2, 2**62, -(2**62)))
        start = rng.choice((0, 0, 1, -3, 10, 2**63 - 1 - size, -(2**63) + size, 2**53 - 1))
        if step == 1:
            return rng.choice((f"{size}", f"{size}", f"{start}, {start + size}"))
        if abs(step) > 3:
            edge = 2**62 + (1 if rng.random() < 0.5 else 0)
            return f"{-edge}, {edge}, {step}" if step > 0 else f"{edge}, {-edge}, {step}"
        sign = 1 if step > 0 else -1
        stop = start + (step if abs(start) < 2**62 else sign) * size
        return f"{start}, {stop}, {step}"

    def row_range(self, size: int) -> str:
        rng = self.rng
        small = self.small_int(size + 1)
        options = [
            small,
            f"{small}, {size}",
            f"{size}, {small}, -1",
            f"0, {size}, ({small}) + 1",
            f"-({small}), {self.small_int(2)}",
            f"{size} - {small}, -{size}, -3",
        ]
        if rng.random() < self.wild / 2:
            options = [f"0, {size}, {small}"]  # a step of zero raises
        return rng.choice(options)

    # --- returns and the whole -----------------------------------------------------------------------------------

    def return_text(self, depth: int) -> str:
        rng = self.rng
        kind = self.result
        if kind == "n":
            return rng.choice(("return", "return None"))
        if rng.random() < 0.06:
            return rng.choice(("return None", "return"))
        return self.traced(self.returned(kind, depth))

    def traced(self, e: Expr) -> str:
        """A return that shows the marks of loops, where its kind allows."""
        if not self.trace or e.tags not in ("i", "f", "b"):
            return f"return {e.text}"
        if e.tags == "b":
            return f"return ({e.text}) != ({self.trace} % 2 == 0)"
        return f"return {e.text} + {self.trace}"

    def returned(self, kind: str, depth: int) -> Expr:
        rng = self.rng
        nullable = self.variables(join(kind, "n")) if kind in "ifb" else []
        if nullable and rng.random() < 0.1:
            return self.read(rng.choice(nullable))
        return self.expr("r" if kind == "m" else kind, depth)

    def prelude(self, pad: str) -> list[str]:
        """What careful functions do first: deal with None."""
        rng = self.rng
        lines: list[str] = []
        names = [n for n in self.params if rng.random() < 1.0 - self.wild]
        if not names:
            return lines
        if len(names) > 1 and rng.random() < 0.3:
            test = " or ".join(f"{n} is None" for n in names)
            lines += [f"{pad}if {test}:", f"{pad}    {self.early()}"]
        else:
            for name in names:
                kind = self.params[name]
                pick = rng.random()
                if pick < 0.5:
                    lines += [f"{pad}if {name} is None:", f"{pad}    {self.early()}"]
                elif pick < 0.8:
                    lines += [
                        f"{pad}if {name} is None:",
                        f"{pad}    {name} = {self.constant(kind).text}",
                    ]
                else:
                    lines += [
                        f"{pad}{name} = {name} if {name} is not None else {self.constant(kind).text}"
                    ]
        for name in names:
            self.scope[name] = replace(self.scope[name], tags=self.params[name])
        return lines

    def early(self) -> str:
        if self.result == "n" or self.rng.random() < 0.5:
            return "return None"
        return f"return {self.constant('f' if self.result in 'mt' else self.result).text}"

    def definite_float(self, pad: str) -> list[str]:
        name = self.rng.choice(list(self.params))
        return [
            f"{pad}if {name} is not None and {name} > 3000000000:",
            f"{pad}    return {literal(self.rng.choice(FLOAT_LITERALS))}",
        ]

    def best_so_far(self, pad: str) -> list[str]:
        """A variable that is None until the first turn that sets it."""
        rng = self.rng
        index, best = self.counter("i"), self.counter("t")
        turns = self.small_int(4)
        self.scope[index] = Var("i", True)
        value = self.expr("i", 2)
        self.scope[best] = Var("in", True, False, True, value.weight)
        self.scope[index] = Var("i", True, True)
        return [
            f"{pad}{best} = None",
            f"{pad}for {index} in range({turns}):",
            f"{pad}    if {best} is None or {value.text} {rng.choice(('>', '<'))} {best}:",
            f"{pad}        {best} = {value.text}",
        ]

    def body(self, pad: str) -> list[str]:
        rng = self.rng
        lines = self.definite_float(pad) if self.result == "m" else []
        if self.result in "ifbm" and rng.random() < 0.4:
            self.trace = self.counter("s")
            lines += [f"{pad}{self.trace} = 0"]
        lines += self.prelude(pad)
        if self.more > 0.1 and rng.random() < 0.3:
            lines += self.nested_function(pad)
        if self.more > 0.1 and rng.random() < 0.3:
            lines += self.function_value(pad)
        if rng.random() < 0.08:
            lines += self.best_so_far(pad)
        made, _ = self.block(pad, rng.randint(1, 5), rng.choice((0, 1, 1, 2, 2, 3)))
        lines += made
        if self.result == "m":
            lines += [f"{pad}{self.traced(self.expr('f', 2))}"]
        elif rng.random() < 0.96:
            lines += [f"{pad}{self.return_text(3)}"]
        return lines

    def lambda_body(self) -> str:
        rng = self.rng
        if self.result == "n":
            return "None"
        names = [n for n in self.params if rng.random() < 1.0 - self.wild]
        if self.result == "m" and not names:
            names = [rng.choice(list(self.params))]
        for name in names:
            self.scope[name] = replace(self.scope[name], tags=self.params[name])
        inner = (
            self.conditional("f", "i", 2)
            if self.result == "m"
            else self.expr(self.result, rng.choice((2, 3, 4)))
        )
        if not names:
            return inner.text
        kind = "f" if self.result == "m" else self.result
        other = "None" if self.result != "m" and rng.random() < 0.5 else self.constant(kind).text
        return f"{inner.text} if {' and '.join(f'{n} is not None' for n in names)} else {other}"


def make_params(rng: random.Random) -> dict[str, str]:
    names = rng.sample(PARAMETER_NAMES, rng.choices((1, 2, 3, 4), (3, 5, 3, 1))[0])
    return {name: rng.choices("ifb", (5, 4, 1.2))[0] for name in names}


def captured_text(writer: Writer, body: str) -> str:
    """What stands before a function: modules, constants that it or its helpers read, the helpers."""
    return outside_text(writer, body) + constants_text(writer, body)


def constants_text(writer: Writer, body: str) -> str:
    used = {k: v for k, v in writer.captured.items() if re.search(rf"\b{k}\b", body)}
    return "".join(f"{name} = {literal(value)}\n" for name, value in used.items())


def outside_text(writer: Writer, body: str) -> str:
    modules = [m for m in ("functools", "math", "operator") if f"{m}." in body + writer.helper_text]
    return "".join(f"import {m}\n" for m in modules) + writer.helper_text


def make_function(seed: object, index: int) -> Function:
    """Function `index` of the run `seed`: the same every time, whatever else is made."""
    rng = random.Random(f"{seed}:{index}")
    name = f"f{index}"
    params = make_params(rng)
    operator = "filter" if rng.random() < 0.1 else "with_columns"
    form = rng.choices(("def", "closure", "lambda", "exec"), (11, 3, 5, 2))[0]
    writer = Writer(
        rng,
        params,
        rng.choice((0.0, 0.02, 0.05, 0.1, 0.3)),
        f"{name}_" if form != "closure" else "",
    )
    writer.result = rng.choices("ifbmn", (32, 27, 14, 24, 0.6))[0]
    writer.home = name
    if writer.more > 0.1 and rng.random() < 0.4:
        writer.make_helper(rng.randint(1, 2))
    if operator == "filter" and rng.random() < 0.7:
        writer.result = "b"
    head = ", ".join(params)
    if form == "lambda":
        text = f"lambda {head}: {writer.lambda_body()}"
        captured = captured_text(writer, text)
        source = f"{captured}{name} = {text}\n"
        return Function(name, source, params, writer.result, operator, form, text, captured)
    pad = "        " if form == "closure" else "    "
    body = "\n".join(writer.body(pad))
    if not re.search(r"return (?!None$)", body, re.MULTILINE):
        writer.result = "n"
    if "math." in body and rng.random() < 0.1:
        body = f"{pad}import math\n{body}"
    if form == "closure":
        used = {k: v for k, v in writer.captured.items() if re.search(rf"\b{k}\b", body)}
        cells = ", ".join(used)
        values = ", ".join(literal(v) for v in used.values())
        outside = outside_text(writer, body)
        source = (
            f"{outside}def make_{name}({cells}):\n    def {name}({head}):\n{body}\n\n"
            f"    return {name}\n\n\n{name} = make_{name}({values})\n"
        )
        return Function(name, source, params, writer.result, operator, form)
    captured = captured_text(writer, body)
    return Function(
        name, f"{captured}\n\ndef {name}({head}):\n{body}\n", params, writer.result, operator, form
    )
