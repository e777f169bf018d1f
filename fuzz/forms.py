"""The rest of the language for fuzz/grammar.py: bits, powers, rounding, math, builtins of items, tuples, functions of the user.

The rules are those of grammar.py. What can raise gets an operand that depends on a parameter; nothing here makes an integer much longer
than its operands are, shifts and powers have small counts, and a called function has no products in it.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fuzz.choices import Choices
from fuzz.functions import Functions
from fuzz.terms import COMPARISONS, TURNS_MAX, WEIGHT_MAX, Expr, Var, join, literal

# Of any float; of those that have a domain the argument is brought into it, mostly.
MATH_ANY = ("atan", "tanh", "asinh", "erf", "erfc", "cbrt", "fabs", "degrees", "radians", "ulp")
MATH_FINITE = ("sin", "cos", "tan")
MATH_TWO = ("atan2", "copysign", "nextafter", "hypot")
MATH_DOMAIN = (
    "math.sqrt(abs({0}))",
    "math.log(abs({0}) + 0.5)",
    "math.log2(abs({0}) + 1)",
    "math.log10(abs({0}) + 2)",
    "math.log1p(abs({0}))",
    "math.exp(min({0}, 700.0))",
    "math.exp2(min({0}, 9))",
    "math.expm1(min({0}, 2.5))",
    "math.sinh(max(-9.5, min({0}, 9)))",
    "math.cosh(max(-9.5, min({0}, 9)))",
    "math.asin(max(-1.0, min({0}, 1.0)))",
    "math.acos(max(-1.0, min({0}, 1.0)))",
    "math.acosh(abs({0}) + 1)",
    "math.atanh(max(-0.75, min({0}, 0.875)))",
    "math.gamma(min(abs({0}) + 0.25, 160.0))",
    "math.lgamma(abs({0}) + 0.25)",
    "math.frexp({0})[0]",
    "math.modf({0})[1]",
    "math.dist((0.5, {0}), (2, 1.0))",
)
MATH_WILD = (
    "sqrt",
    "log",
    "log1p",
    "exp",
    "expm1",
    "sinh",
    "asin",
    "atanh",
    "acosh",
    "exp2",
    "log2",
)
TUPLES = [(1, 2, 3), (2, -7), (0.5, 2.0, -1.5, 0.0), (-0.0, 1e300, 3.0), (10, 2**53 + 1, 2**62)]


@dataclass(frozen=True)
class Helper:
    """A function that others call: its parameters, of which the last `defaults` have one; the first is called p<first>."""

    name: str
    kinds: str
    result: str
    defaults: int
    weight: int = 3
    may_be_none: bool = False
    first: int = 0


def joined(tags: str, parts: list[Expr], text: str) -> Expr:
    """An expression made of others."""
    return Expr(
        text,
        tags,
        any(p.dynamic for p in parts),
        any(p.loopy for p in parts),
        min(WEIGHT_MAX, max(p.weight for p in parts)),
    )


class Forms(Choices, Functions):
    """Mixed into grammar.Writer."""

    rng: random.Random
    wild: float
    more: float
    tame: bool
    inside: int
    loops: int
    turns: int
    prefix: str
    home: str
    result: str
    params: dict[str, str]
    scope: dict[str, Var]
    captured: dict[str, object]
    protected: set[str]
    helpers: list[Helper]
    helper_text: str

    if TYPE_CHECKING:  # of grammar.Writer

        def __getattr__(self, name: str) -> Any: ...

    # --- expressions ---------------------------------------------------------------------------------------------

    def more_int(self, depth: int) -> Expr:
        makers = (
            (self.bits, 3),
            (self.shift, 3),
            (self.int_power, 2),
            (self.to_int, 4),
            (self.round_int, 1),
            (self.number_theory, 1),
            (lambda d: self.extreme("ii", d), 2),
            (lambda d: self.item_of("ii", d), 3),
            (lambda d: self.sum_of("i", d), 2),
            (lambda d: self.divmod_part("i", d), 1),
            (self.length, 0.5),
            (lambda d: self.by_operator("i", d), 1),
            (lambda d: self.call("i", d), 3),
            (lambda d: self.named("i", d), 1),
            (lambda d: self.chosen("i", d), 5),
        )
        return self.one_of(makers, depth)

    def more_float(self, depth: int) -> Expr:
        makers = (
            (self.float_power, 3),
            (self.round_float, 3),
            (self.math_any, 4),
            (self.math_domain, 4),
            (self.math_two, 2),
            (self.absolute, 1),
            (lambda d: self.extreme("ff", d), 2),
            (lambda d: self.item_of("ff", d), 3),
            (lambda d: self.sum_of("f", d), 3),
            (lambda d: self.divmod_part("f", d), 1),
            (lambda d: self.by_operator("f", d), 1),
            (lambda d: self.call("f", d), 3),
            (lambda d: self.named("f", d), 1),
            (lambda d: self.chosen("f", d), 5),
            (self.to_float, 1),
        )
        return self.one_of(makers, depth)

    def one_of(self, makers: Any, depth: int) -> Expr:
        maker = self.rng.choices([m for m, _ in makers], [w for _, w in makers])[0]
        self.inside += 1
        try:
            return maker(depth)
        finally:
            self.inside -= 1

    def more_bool(self, depth: int) -> Expr:
        self.inside += 1
        try:
            return self.bool_form(depth)
        finally:
            self.inside -= 1

    def bool_form(self, depth: int) -> Expr:
        rng = self.rng
        if rng.random() < 0.2:
            return self.chosen_bool(depth)
        pick = rng.random()
        if pick < 0.15:
            left, right = self.dynamic("b", depth), self.expr("b", depth)
            return joined("b", [left, right], f"({left.text} {rng.choice('&|^')} {right.text})")
        if pick < 0.4:
            return self.membership(depth)
        if pick < 0.5:
            parts = [self.dynamic(k, depth - 1) for k in rng.choice(("ii", "if", "bi"))]
            others = [self.expr("m", depth - 1) for _ in parts]
            op = rng.choice(("==", "!=", "<", "<=", ">", ">="))
            left, right = (", ".join(p.text for p in ps) for ps in (parts, others))
            return joined("b", [*parts, *others], f"(({left}) {op} ({right}))")
        if pick < 0.7:
            return self.quantified(depth)
        if pick < 0.75:
            e = self.expr("t", depth)
            return (
                replace(e, text=f"bool({e.text})", tags="b") if e.dynamic else self.isinstance_of()
            )
        if pick < 0.8:
            parts = [self.dynamic("i", depth), self.expr(rng.choice("if"), depth)]
            rng.shuffle(parts)
            name = rng.choice(("lt", "le", "gt", "ge", "eq", "ne"))
            return joined("b", parts, f"operator.{name}({parts[0].text}, {parts[1].text})")
        if pick < 0.9:
            e = self.dynamic(rng.choice("ffi"), depth)
            return Expr(f"math.{rng.choice(('isnan', 'isinf', 'isfinite'))}({e.text})", "b", True)
        return self.isinstance_of()

    def more_mixed(self, kinds: list[str], depth: int) -> Expr:
        makers = (
            (lambda d: self.extreme("".join(kinds), d), 2),
            (lambda d: self.item_of("".join(kinds), d), 2),
            (self.power_of_row, 1),
            (self.negated, 1),
        )
        return self.one_of(makers, depth)

    def negated(self, depth: int) -> Expr:
        """The opposite of a number that is an int in some rows and a float in others."""
        e = self.mixed(depth)
        return replace(e, text=f"(-{e.text})", tags=e.tags.replace("b", "i"))

    def bits(self, depth: int) -> Expr:
        rng = self.rng
        left = self.expr("i", depth)
        if rng.random() < 0.2:
            return replace(left, text=f"(~{left.text})")
        right = self.expr("i" if rng.random() < 0.85 else "b", depth)
        return joined("i", [left, right], f"({left.text} {rng.choice('&|^')} {right.text})")

    def shift(self, depth: int) -> Expr:
        rng = self.rng
        e = self.dynamic("i", depth)
        count = str(rng.choice((0, 1, 1, 2, 3, 5, 31, 62, 63, 64, 70)))
        op = rng.choice(("<<", ">>", ">>"))
        if rng.random() < 0.5:
            by = self.dynamic("i", depth - 1)
            count = f"({by.text} % {rng.choice((3, 8, 64, 66))})"
        if op == "<<" and (self.tame or self.loops):
            count = rng.choice(("1", "2", f"({self.dynamic('i', 0).text} % 3)"))
        if rng.random() < self.wild / 2:
            count = f"({self.dynamic('i', 0).text} % 9 - 1)"  # a negative count raises
        return Expr(
            f"({e.text} {op} {count})", "i", True, e.loopy, WEIGHT_MAX if op == "<<" else e.weight
        )

    def int_power(self, depth: int) -> Expr:
        rng = self.rng
        e = self.dynamic("i", depth)
        if rng.random() < 0.4 or e.loopy or self.tame or self.loops:
            base = rng.choice(("2", "(-1)", "3", "10", "(-2)"))
            # The kind of the power depends on the sign of the exponent, which no typing is asked to know.
            return Expr(
                f"int({base} ** ({e.text} % {rng.choice((3, 9, 64))}))", "i", True, False, 4
            )
        power = rng.choice((0, 1, 2, 2, 2, 3))
        if e.weight * power > WEIGHT_MAX:
            return e
        return Expr(f"({e.text} ** {power})", "i", True, False, max(1, e.weight * power))

    def power_of_row(self, depth: int) -> Expr:
        base, by = self.rng.choice((2, 3, -1, 10)), self.dynamic("i", depth)
        return Expr(f"({literal(base)} ** ({by.text} % 6 - 2))", "fi", True, False, 4)

    def to_int(self, depth: int) -> Expr:
        rng = self.rng
        kind = rng.choice("fffib")
        e = self.dynamic(kind, depth)
        name = rng.choice(("int", "int", "round", "math.floor", "math.ceil", "math.trunc"))
        if kind != "f" and rng.random() < 0.6:
            name = "abs"
        return Expr(f"{name}({e.text})", "i", True, e.loopy, max(4, e.weight))

    def round_int(self, depth: int) -> Expr:
        e = self.dynamic("i", depth)
        return replace(
            e, text=f"round({e.text}, {self.rng.choice((0, 1, -1, -1, -2, -3, -18, -19, -20))})"
        )

    def number_theory(self, depth: int) -> Expr:
        rng = self.rng
        e = self.dynamic("i", depth)
        if rng.random() < 0.4:
            return Expr(f"math.isqrt({self.wildly(e.text)})", "i", True, e.loopy, e.weight)
        other = self.expr(rng.choice("iib"), depth)
        if rng.random() < 0.6:
            modulus = rng.choice((7, 10, -9, -2, 1, 1_000_000_007, 2**40))
            times = other.text if rng.random() < self.wild else f"abs({other.text})"
            text = f"pow({e.text}, {times}, {modulus})"
            return Expr(text, "i", True, e.loopy or other.loopy, 2)
        return joined("i", [e, other], f"math.gcd({e.text}, {other.text})")

    def wildly(self, text: str) -> str:
        """Within the domain of what wants no negative number, mostly."""
        return text if self.rng.random() < self.wild else f"abs({text})"

    def extreme(self, kinds: str, depth: int) -> Expr:
        rng = self.rng
        parts = [
            self.dynamic(kinds[0], depth),
            *(self.expr(rng.choice(kinds), depth - 1) for _ in range(rng.randint(1, 2))),
        ]
        rng.shuffle(parts)
        texts = ", ".join(p.text for p in parts)
        form = rng.choice(("{0}({1})", "{0}(({1}))", "{0}([{1}])"))
        if rng.random() < 0.15:
            item = self.fresh_name("v")
            form = f"{{0}}({item} for {item} in ({{1}}))"
        return joined(
            join(*(p.tags for p in parts)), parts, form.format(rng.choice(("min", "max")), texts)
        )

    def fresh_name(self, hint: str) -> str:
        return self.counter(hint)

    def item_of(self, kinds: str, depth: int) -> Expr:
        """One item of a tuple, a list, a sorted list, a comprehension or a captured tuple."""
        rng = self.rng
        pick = rng.random()
        if pick < 0.2 and len(set(kinds)) == 1:
            of_kind = {"i": int, "f": float}[kinds[0]]
            value = rng.choice([t for t in TUPLES if type(t[0]) is of_kind])
            name = f"{self.prefix}K{len(self.captured)}"
            self.captured[name] = value
            at = self.dynamic("i", depth - 1).text + f" % {len(value)}"
            return Expr(f"{name}[{at}]", kinds[0], True, False, 2)
        count = rng.randint(2, 4)
        parts = [self.dynamic(kinds[0], depth - 1)]
        parts += [self.expr(rng.choice(kinds), depth - 1) for _ in range(count - 1)]
        texts = ", ".join(p.text for p in parts)
        tags = join(*(p.tags for p in parts))
        if pick < 0.35:
            name = self.fresh_name("v")
            keys = ("", "", ", key=abs", f", key=lambda {name}: ({name} > 1, -{name})")
            if len(tags) > 1:  # a list in memory of several kinds is not sorted by a key
                keys = ("",)
            order = rng.choice(keys) + rng.choice(("", "", ", reverse=True"))
            e = joined(tags, parts, f"sorted(({texts}){order})[{rng.randrange(-count, count)}]")
            return replace(e, dynamic=True)
        if pick < 0.5:
            item = self.fresh_name("v")
            maker = rng.choice(("[{0}]", "tuple({0})", "list({0})"))
            text = maker.format(f"(-{item}) for {item} in ({texts})") + f"[{rng.randrange(count)}]"
            return replace(joined(tags.replace("b", "i"), parts, text), dynamic=True)
        if pick < 0.65:
            at = rng.randrange(-count, count)
            chosen = parts[at]
            return joined(chosen.tags, [chosen, chosen], f"({texts})[{at}]")
        limit = count + (rng.random() < self.wild / 2)  # beyond the end raises
        at = f"{self.dynamic('i', depth - 1).text} % {limit}"
        if rng.random() < 0.3:
            at = f"({at}) - {count}" if limit == count else at
        if rng.random() < self.wild / 2:  # before the first raises
            at = f"({at}) - {count + 1}"
        text = f"({texts})[{at}]" if rng.random() < 0.5 else f"[{texts}][{at}]"
        return replace(joined(tags, parts, text), dynamic=True)

    def sum_of(self, kind: str, depth: int) -> Expr:
        rng = self.rng
        if rng.random() < 0.45 and self.turns * 6 <= TURNS_MAX and not self.tame:
            return self.generated(kind, depth)
        kinds = "i" if kind == "i" else rng.choice(("f", "f", "fi", "fb"))
        parts = [self.dynamic(kinds[0], depth - 1)]
        parts += [self.expr(rng.choice(kinds), depth - 1) for _ in range(rng.randint(1, 3))]
        rng.shuffle(parts)
        texts = ", ".join(p.text for p in parts)
        start = rng.choice(("", "", ", 10" if kind == "i" else ", 0.5"))
        # A list of booleans and floats is refused where the function has lists in memory.
        display = "({0})" if "b" in kinds else rng.choice(("({0})", "[{0}]"))
        return joined(kind, parts, f"sum({display.format(texts)}{start})")

    def generated(self, kind: str, depth: int) -> Expr:
        """A sum over a range: of turns that a row decides, with items of what is in scope."""
        rng = self.rng
        turns = rng.randint(2, 5)
        item = self.fresh_name("k")
        end = self.small_int(turns + 1) if kind == "i" and rng.random() < 0.6 else str(turns)
        saved, self.scope = self.scope, {**self.scope, item: Var("i", True)}
        outer, self.turns = self.turns, self.turns * turns
        element = self.dynamic(kind, depth - 1)
        test = f" if {self.condition(0)[0]}" if kind == "i" and rng.random() < 0.3 else ""
        self.scope, self.turns = saved, outer
        return Expr(
            f"sum({element.text} for {item} in range({end}){test})",
            kind,
            True,
            element.loopy,
            WEIGHT_MAX,
        )

    def divmod_part(self, kind: str, depth: int) -> Expr:
        e, by = self.dynamic(kind, depth), self.divisor(kind, depth - 1)
        return joined(kind, [e, by], f"divmod({e.text}, {by.text})[{self.rng.randrange(2)}]")

    def length(self, depth: int) -> Expr:
        count = self.rng.randint(1, 3)
        parts = [self.expr(self.rng.choice("if"), 0) for _ in range(count)]
        return Expr(f"len(({', '.join(p.text for p in parts)},))", "i")

    def by_operator(self, kind: str, depth: int) -> Expr:
        left, right = self.dynamic(kind, depth), self.expr(kind, depth)
        name = self.rng.choice(
            ("add", "sub", *(("and_", "or_", "xor") if kind == "i" else ("add",)))
        )
        return joined(kind, [left, right], f"operator.{name}({left.text}, {right.text})")

    def named(self, kind: str, depth: int) -> Expr:
        """A value that is kept by := and used again behind; not in another form, which may be a comprehension."""
        if self.inside > 1:
            return self.dynamic(kind, depth)
        e = self.dynamic(kind, depth)
        name = self.fresh_name("w")
        return replace(e, text=f"(({name} := {e.text}) {self.rng.choice('+-')} {name})")

    def to_float(self, depth: int) -> Expr:
        e = self.dynamic(self.rng.choice("ib"), depth)
        return replace(e, text=f"float({e.text})", tags="f")

    def absolute(self, depth: int) -> Expr:
        e = self.dynamic("f", depth)
        return replace(e, text=f"{self.rng.choice(('abs', 'math.fabs'))}({e.text})")

    def float_power(self, depth: int) -> Expr:
        rng = self.rng
        e = self.dynamic("f", depth)
        pick = rng.random()
        if pick < 0.45:
            return replace(e, text=f"({e.text} ** {rng.choice(('2', '2', '2.0', '3', '1', '0'))})")
        if pick < 0.6:
            return replace(e, text=f"(abs({e.text}) ** {rng.choice(('0.5', '1.5', '0.25'))})")
        if pick < 0.7:
            return replace(
                e, text=f"((abs({e.text}) + 0.5) ** {rng.choice(('(-1)', '(-0.5)', '(-2)'))})"
            )
        by = self.dynamic("i", depth - 1)
        if pick < 0.85:
            return joined("f", [e, by], f"({e.text} ** ({by.text} % {rng.choice((3, 4))}))")
        if pick < 0.95:
            return joined("f", [by], f"((abs({by.text}) + 1) ** (-1))")
        other = self.expr("f", depth - 1)
        return joined(
            "f", [e, other], f"((abs({e.text}) + 0.5) ** max(-4.0, min({other.text}, 4.0)))"
        )

    def round_float(self, depth: int) -> Expr:
        rng = self.rng
        e = self.dynamic("f", depth)
        digits = str(
            rng.choice((0, 1, 2, 2, 2, 3, -1, -2, 5, 15, 22, 23, -22, -23, 300, -309, 324))
        )
        if rng.random() < 0.25:
            digits = f"{self.dynamic('i', depth - 1).text} % 7 - 2"
        return replace(e, text=f"round({e.text}, {digits})")

    def math_any(self, depth: int) -> Expr:
        rng = self.rng
        e = self.dynamic(rng.choice("fffi"), depth)
        name = rng.choice(MATH_ANY if rng.random() < 0.7 else MATH_FINITE)
        if rng.random() < self.wild:
            name = rng.choice(MATH_WILD)
        return replace(e, text=f"math.{name}({e.text})", tags="f")

    def math_domain(self, depth: int) -> Expr:
        e = self.dynamic(self.rng.choice("fffi"), depth)
        return replace(e, text=self.rng.choice(MATH_DOMAIN).format(e.text), tags="f")

    def math_two(self, depth: int) -> Expr:
        rng = self.rng
        left, right = self.dynamic("f", depth), self.expr(rng.choice("ffi"), depth)
        pick = rng.random()
        if pick < 0.6:
            return joined(
                "f", [left, right], f"math.{rng.choice(MATH_TWO)}({left.text}, {right.text})"
            )
        if pick < 0.85:
            by = self.divisor("f", depth - 1)
            small = f"max(-1e6, min({left.text}, 1e6))"
            return joined(
                "f", [left, by], f"math.{rng.choice(('fmod', 'remainder'))}({small}, {by.text})"
            )
        return joined(
            "f", [left, right], f"math.pow(abs({left.text}) + 1, max(-2, min({right.text}, 2)))"
        )

    def membership(self, depth: int) -> Expr:
        rng = self.rng
        kinds = rng.choice(("ii", "ff", "if", "fi", "ib"))
        e = self.dynamic(kinds[0], depth)
        items = [self.expr(rng.choice(kinds), depth - 1).text for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.3:
            items.append(e.text)
        if rng.random() < 0.2 and self.params:
            items.append(rng.choice(list(self.params)))
        group = f"({', '.join(items)},)" if rng.random() < 0.5 else f"[{', '.join(items)}]"
        return Expr(f"({e.text} {rng.choice(('in', 'not in'))} {group})", "b", True)

    def quantified(self, depth: int) -> Expr:
        rng = self.rng
        name = rng.choice(("any", "all"))
        parts = [self.dynamic(rng.choice("if"), depth - 1) for _ in range(rng.randint(2, 3))]
        texts = ", ".join(p.text for p in parts)
        if rng.random() < 0.4:
            return joined("b", parts, f"{name}(({texts}))")
        item = self.fresh_name("v")
        source = f"({texts})"
        test = f"{item} {rng.choice(COMPARISONS)} {self.expr(rng.choice('if'), 0).text}"
        if rng.random() < 0.4 and self.turns * 4 <= TURNS_MAX:
            source = f"range({rng.randint(1, 4)})"
            test = f"{self.divided(item)} {rng.choice(COMPARISONS)} {self.dynamic('i', 0).text}"
        return Expr(f"{name}({test} for {item} in {source})", "b", True)

    def divided(self, item: str) -> str:
        """Raises in some turn of some row, where any and all may have stopped before."""
        by = self.dynamic("i", 0).text
        return f"7 // ({item} - {by})" if self.rng.random() < self.wild else f"({item} * {by})"

    def isinstance_of(self) -> Expr:
        rng = self.rng
        several = [
            n
            for n, v in self.scope.items()
            if len(v.tags) > 1 and v.dynamic and not v.maybe_unbound
        ]
        if not several:
            return self.dynamic("b", 0)
        name = rng.choice(several)
        kinds = ["int", "float", "bool", "(int, float)", "(bool, float)"]
        if "n" in self.scope[name].tags:
            kinds = [
                {"i": "int", "f": "float", "b": "bool"}[t]
                for t in self.scope[name].tags
                if t != "n"
            ]
            if "i" in self.scope[name].tags:
                kinds.append("(int, float)")
        else:
            kinds = ["float"] if self.scope[name].tags == "fi" else ["bool"]
        return Expr(f"isinstance({name}, {rng.choice(kinds)})", "b", True)

    # --- functions of the user -----------------------------------------------------------------------------------

    def call(self, kind: str, depth: int) -> Expr:
        rng = self.rng
        fitting = [h for h in self.helpers if h.result == kind]
        if not fitting:
            return self.dynamic(kind, depth)
        helper = rng.choice(fitting)
        parts = [
            self.dynamic(helper.kinds[0], depth),
            *(self.expr(k, depth - 1) for k in helper.kinds[1:]),
        ]
        if helper.defaults and rng.random() < 0.5:
            parts = parts[: -helper.defaults]
        texts = [p.text for p in parts]
        first = helper.first
        if rng.random() < 0.3:
            texts[-1] = f"p{first + len(texts) - 1}={texts[-1]}"
        if rng.random() < 0.15:
            texts = [f"p{k}={text.removeprefix(f'p{k}=')}" for k, text in enumerate(texts, first)]
            rng.shuffle(texts)
        text = f"{helper.name}({', '.join(texts)})"
        if helper.may_be_none:
            text = f"({text} or {literal(4 if kind == 'i' else 0.25)})"
        made = joined(kind, parts, text)
        return replace(made, weight=min(WEIGHT_MAX, made.weight + helper.weight))

    def helper_of(self, name: str, captured_prefix: str) -> tuple[Helper, Any, int]:
        """A helper's signature and a writer for its body."""
        rng = self.rng
        kinds = "".join(rng.choice("if") for _ in range(rng.randint(1, 3)))
        defaults = rng.randint(0, len(kinds) - 1)
        params = {f"p{k}": kind for k, kind in enumerate(kinds)}
        inner = type(self)(rng, params, 0.0, captured_prefix)
        inner.tame = True
        inner.turns = TURNS_MAX
        inner.more = self.more
        inner.daring = False
        inner.scope = {n: Var(kind) for n, kind in params.items()}
        helper = Helper(name, kinds, rng.choice("if"), defaults, may_be_none=rng.random() < 0.25)
        return helper, inner, len(kinds) - defaults

    def head_of(self, helper: Helper, first_default: int) -> str:
        parts = [f"p{k}" for k in range(len(helper.kinds))]
        for k in range(first_default, len(parts)):
            parts[k] += f"={literal(3 if helper.kinds[k] == 'i' else -0.5)}"
        return ", ".join(parts)

    def make_helper(self, count: int) -> None:
        """Functions of the module; a later one may call an earlier one."""
        for k in range(count):
            name = f"{self.home}_h{k}"
            if self.rng.random() < 0.25:
                self.make_method(name)
                continue
            if self.rng.random() < 0.2:
                self.make_recursive(name)
                continue
            helper, inner, first = self.helper_of(name, f"{name}_")
            inner.helpers = list(self.helpers)
            head = self.head_of(helper, first)
            lines = self.helper_lines(inner, helper, "    ")
            constants = "".join(
                f"{n} = {literal(v)}\n" for n, v in inner.captured.items() if n in "\n".join(lines)
            )
            body = "\n".join(lines)
            self.helper_text += f"{constants}\n\ndef {name}({head}):\n{body}\n\n\n"
            self.helpers.append(helper)
            if len(helper.kinds) > 1 and self.rng.random() < 0.3:
                self.make_partial(helper)

    def make_recursive(self, name: str) -> None:
        """A helper that calls itself some turns, which its last parameter counts."""
        rng = self.rng
        helper, inner, _ = self.helper_of(name, f"{name}_")
        kinds, result, last = helper.kinds, helper.result, f"p{len(helper.kinds)}"
        inner.scope[last] = Var("i")
        calls: list[str] = []
        for _ in range(1 if rng.random() < 0.8 else 2):
            args = [inner.expr(kind, 1).text for kind in kinds]
            calls.append(f"{name}({', '.join(args)}, min({last}, 6) - 1)")
        other = inner.expr(result, 1).text
        whole = " + ".join(calls) if result == "i" else f"({' - '.join(calls)}) * 0.5"
        lines = [f"    if {last} <= 0:", f"        return {inner.expr(result, 1).text}"]
        if rng.random() < 0.5:
            lines.append(f"    if {inner.condition(1)[0]}:")
            lines.append(f"        return {calls[0] if rng.random() < 0.4 else other}")
        lines.append(f"    return {whole} + {other}")
        text = "\n".join(lines)
        constants = [f"{n} = {literal(v)}\n" for n, v in inner.captured.items() if n in text]
        head = ", ".join(f"p{k}" for k in range(len(kinds) + 1))
        self.helper_text += f"{''.join(constants)}\n\ndef {name}({head}):\n{text}\n\n\n"
        self.helpers.append(Helper(name, kinds + "i", result, 0))

    def make_partial(self, helper: Helper) -> None:
        """The helper with its first parameter bound by position, or its last by name."""
        name, kinds = f"{helper.name}_q", helper.kinds
        at = 0 if self.rng.random() < 0.6 else len(kinds) - 1
        value = literal(3 if kinds[at] == "i" else -0.5)
        given = value if at == 0 else f"p{at}={value}"
        kinds = kinds[1:] if at == 0 else kinds[:-1]
        defaults = min(helper.defaults - (at > 0), len(kinds) - 1)
        self.helper_text += f"{name} = functools.partial({helper.name}, {given})\n\n\n"
        made = Helper(name, kinds, helper.result, max(defaults, 0), first=int(at == 0))
        self.helpers.append(made)

    def make_method(self, name: str) -> None:
        """A method of an object; its constants are attributes of the object or of its class."""
        helper, inner, first = self.helper_of(f"{name}_o.m", "self.")
        inner.helpers = list(self.helpers)
        lines = self.helper_lines(inner, helper, "        ")
        text = "\n".join(lines)
        used = [(n, v) for n, v in inner.captured.items() if re.search(rf"{n}\b", text)]
        shared = [n for n, _ in used if self.rng.random() < 0.3]
        own = [f"        {n} = {literal(v)}\n" for n, v in used if n not in shared]
        of_class = [
            f"    {n.removeprefix('self.')} = {literal(v)}\n" for n, v in used if n in shared
        ]
        self.helper_text += (
            f"class {name}:\n{''.join(of_class)}\n    def __init__(self):\n{''.join(own)}        self.last = 0\n\n"
            f"    def m(self, {self.head_of(helper, first)}):\n{text}\n\n\n{name}_o = {name}()\n\n\n"
        )
        self.helpers.append(helper)

    def helper_lines(self, inner: Any, helper: Helper, pad: str) -> list[str]:
        rng = self.rng
        lines: list[str] = []
        if rng.random() < 0.5:
            lines.append(f"{pad}t = {inner.dynamic('i', 1).text}")
            inner.scope["t"] = Var("i")
        if helper.may_be_none or rng.random() < 0.6:
            guard, _ = inner.condition(1)
            lines.append(f"{pad}if {guard}:")
            lines.append(f"{pad}    return {inner.expr(helper.result, 2).text}")
        if rng.random() < 0.3:
            test = inner.dynamic("i", 0).text
            lines.append(f"{pad}for _ in range({test} % 4):")
            lines.append(f"{pad}    if {inner.condition(1)[0]}:")
            lines.append(f"{pad}        return {inner.expr(helper.result, 1).text}")
        if not helper.may_be_none:
            lines.append(f"{pad}return {inner.expr(helper.result, 2).text}")
        return lines

    def nested_function(self, pad: str) -> list[str]:
        """A function in the body; it may read the parameters of the one around."""
        name = self.fresh_name("g")
        helper, inner, first = self.helper_of(name, f"{self.prefix}N{name}_")
        around = {n: v for n, v in self.scope.items() if n in self.params and "n" not in v.tags}
        inner.scope = {**around, **inner.scope}
        head = self.head_of(helper, first)
        if self.rng.random() < 0.4:
            lines = [f"{pad}{name} = lambda {head}: {inner.expr(helper.result, 2).text}"]
        else:
            lines = [f"{pad}def {name}({head}):", *self.helper_lines(inner, helper, pad + "    ")]
        body = "\n".join(lines)
        # It reads the variable of the moment of the call: that must keep its kind.
        self.protected |= {n for n in around if re.search(rf"\b{n}\b", body)}
        self.captured.update(inner.captured)
        self.helpers.append(helper)
        return lines

    # --- statements ----------------------------------------------------------------------------------------------

    def more_statement(self, pad: str) -> list[str]:
        pick = self.rng.random()
        if pick < 0.3:
            return self.unpack(pad)
        if pick < 0.45:
            return self.swap(pad)
        if pick < 0.6:
            return self.check(pad)
        if pick < 0.7 and not self.loops:
            return self.delete(pad)
        if pick < 0.85:
            return self.matched(pad)
        return self.keep(pad)

    def unpack(self, pad: str) -> list[str]:
        rng = self.rng
        names = [self.fresh_name("t") for _ in range(2)]
        values = [self.expr(k, 2) for k in rng.choice(("ii", "if", "ff", "ib"))]
        left, right = ", ".join(names), ", ".join(v.text for v in values)
        if rng.random() < 0.3:
            extra = self.fresh_name("t")
            third = self.expr("i", 1)
            left, right = f"({left}), {extra}", f"({right}), {third.text}"
            names, values = [*names, extra], [*values, third]
        for name, value in zip(names, values, strict=True):
            self.define(name, value)
        return [f"{pad}{left} = {right}"]

    def swap(self, pad: str) -> list[str]:
        rng = self.rng
        names = [n for n in self.assignable() if n not in self.params]
        pairs = [
            (a, b)
            for a in names
            for b in names
            if a < b and self.scope[a].tags == self.scope[b].tags
        ]
        if not pairs:
            return self.keep(pad)
        a, b = rng.choice(pairs)
        both = (self.scope[a], self.scope[b])
        for n in (a, b):
            self.scope[n] = Var(
                both[0].tags,
                any(v.dynamic for v in both),
                False,
                any(v.loopy for v in both) or self.loops > 0,
                max(v.weight for v in both),
            )
        return [f"{pad}{a}, {b} = {b}, {a}"]

    def check(self, pad: str) -> list[str]:
        rng = self.rng
        e = self.dynamic("i", 1)
        rare = rng.choice((7, 11, 100, 2**62))
        if rng.random() < 0.5:
            message = rng.choice(("", ', "no"'))
            return [f"{pad}assert {e.text} != {rare}{message}"]
        raised = rng.choice(
            ("ValueError", 'ValueError("no")', f'KeyError(f"{{{rng.choice(list(self.params))}}}")')
        )
        return [f"{pad}if {e.text} == {rare}:", f"{pad}    raise {raised}"]

    def delete(self, pad: str) -> list[str]:
        names = [n for n in self.assignable() if n not in self.params]
        if not names:
            return self.keep(pad)
        name = self.rng.choice(names)
        del self.scope[name]
        return [f"{pad}del {name}"]

    def keep(self, pad: str) -> list[str]:
        """Two variables by one statement."""
        first, second = self.fresh_name("t"), self.fresh_name("t")
        value = self.expr("i", 2)
        self.define(first, value)
        other = self.dynamic("i", 1)
        self.define(second, joined("i", [value, other], ""))
        return [f"{pad}{second} = ({first} := {value.text}) + {other.text}"]

    def items_head(self, pad: str) -> tuple[list[str], str, list[str], int, list[str]]:
        """for over items that are written out."""
        rng = self.rng
        kind = rng.choice("iif")
        parts = [self.expr(kind, 1) for _ in range(rng.randint(2, 4))]
        parts[0] = self.dynamic(kind, 1)
        texts = ", ".join(p.text for p in parts)
        items = rng.choice(("({0})", "[{0}]")).format(texts)
        first = self.small_int(5)  # before the names of the loop exist
        value, index = self.fresh_name("v"), self.fresh_name("i")
        self.scope[value] = Var(
            kind, True, False, any(p.loopy for p in parts), max(p.weight for p in parts)
        )
        pick = rng.random()
        if pick < 0.35:
            return [], f"{pad}for {value} in {items}:", [], len(parts), []
        if pick < 0.5:
            return [], f"{pad}for {value} in reversed({items}):", [], len(parts), []
        self.scope[index] = Var("i", True)
        start = rng.choice(("", ", 1", f", start={rng.choice((2, -1))}"))
        head = f"{index}, {value} in enumerate({items}{start})"
        if pick > 0.75:
            head = f"{value}, {index} in zip({items}, range({rng.randint(1, 5)}))"
        elif pick > 0.6:
            head = f"{value}, {index} in zip({items}, range({first}, 9))"
        return [], f"{pad}for {head}:", [], len(parts), []
