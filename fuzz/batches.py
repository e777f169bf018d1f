"""Batch functions against CPython: loops over rows and from row to row, NumPy arrays, chains of pyarrow.compute, batch by batch.

    python -m fuzz.batches --functions 300 --columns 6 --seed 7 [--only INDEX]

A case is one function over a few batches. What CPython gives for each batch, a result with its types, or an exception, and NumPy's
warnings, is what the stream must give, up to the first failure. A run also fails when too few functions are compiled, or when nearly all
batches leave compiled code. Everything is determined by the seed.
"""

from __future__ import annotations

import argparse
import linecache
import math
import random
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import sabot as sb
from sabot import Stream, _form_parts

COMPILED_MIN = 0.85
STAYED_MIN = 0.35  # of the batches
TYPES: dict[str, Any] = {
    "i": pa.int64(),
    "j": pa.int32(),
    "s": pa.int16(),
    "u": pa.uint8(),
    "f": pa.float64(),
    "h": pa.float32(),
    "b": pa.bool_(),
}
NUMBERS = "ijsufh"
INTS = "ijsu"
# Functions of NumPy's whose results are those of its own loops.
LOOPS = [
    "sin",
    "cos",
    "tan",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "tanh",
    "sinh",
    "cosh",
    "arcsin",
    "arccos",
    "arctan",
    "arcsinh",
    "arccosh",
    "arctanh",
    "cbrt",
    "degrees",
    "reciprocal",
    "spacing",
]
LOOPS_OF_TWO = [
    "arctan2",
    "hypot",
    "power",
    "logaddexp",
    "logaddexp2",
    "fmod",
    "fmax",
    "fmin",
    "copysign",
    "nextafter",
    "heaviside",
    "float_power",
]


# --- functions


HELPERS = """
RATE = 1.5


def scaled(a, by=2):
    return a * by + RATE


def mixed(a, b, *, low=0):
    total = a + b
    return np.where(total > low, total, a - b), -total


def bounded(x, low=-3, high=9):
    kept = pc.if_else(pc.less(x, low), low, x)
    return pc.min_element_wise(kept, high, skip_nulls=False)


def extended(batch, name, array):
    return batch.append_column(name, array)
"""


HELPERS_NAME = "<batches helpers>"
linecache.cache[HELPERS_NAME] = (
    len(HELPERS),
    None,
    HELPERS.splitlines(keepends=True),
    HELPERS_NAME,
)
HELPER_CODE = compile(HELPERS, HELPERS_NAME, "exec")


class Writer:
    """Writes one function; `columns` has the letter of each column's type."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.columns = {f"c{k}": rng.choice("iiiffffjsuhb") for k in range(rng.randint(2, 4))}
        self.columns["c0"] = rng.choice("iffij")
        self.lines: list[str] = []
        self.names = 0

    def name(self) -> str:
        self.names += 1
        return f"v{self.names}"

    def function(self) -> str:
        make = self.rng.choice(
            (
                *(self.lists, self.numpy_rows, self.arrays, self.arrays, self.loops),
                *(self.compute, self.compute, self.columns_in_turn),
                *(self.carried, self.carried, self.wholes, self.wholes),
                *(self.masked, self.filtered),
            )
        )
        make()
        return "def f(batch):\n" + "".join(f"    {line}\n" for line in self.lines)

    def of(self, kinds: str) -> list[str]:
        return [name for name, kind in self.columns.items() if kind in kinds]

    # Expressions of numbers, from some names; texts only

    def constant(self, ints: bool = False) -> str:
        rng = self.rng
        if ints or rng.random() < 0.6:
            return str(rng.choice((0, 1, 2, 3, 5, 7, 10, 100, -1, -3)))
        return str(rng.choice((0.5, 1.5, 2.0, 0.1, -0.25, 1e3)))

    def number(self, names: list[str], depth: int, ints: bool = False) -> str:
        rng = self.rng
        if depth <= 0 or rng.random() < 0.2:
            return rng.choice(names) if rng.random() < 0.75 else self.constant(ints)
        left = self.number(names, depth - 1, ints)
        right = self.number(names, depth - 1, ints)
        operator = rng.choice("++--**%/" if not ints else "++--*&|^%")
        if rng.random() < 0.08:
            return f"(-{left})"
        if operator in "%/" or rng.random() < 0.08:
            divisor = rng.choice((2, 3, 7, 10, -4, 0.5 if not ints else 5))
            operator = "//" if ints and operator == "/" else operator
            return f"({left} {operator if operator in '%/' else '//'} {divisor})"
        return f"({left} {operator} {right})"

    def truth(self, names: list[str], depth: int) -> str:
        rng = self.rng
        if depth > 0 and rng.random() < 0.3:
            word = rng.choice(("and", "or"))
            return f"({self.truth(names, depth - 1)} {word} {self.truth(names, depth - 1)})"
        operator = rng.choice(("<", "<=", ">", ">=", "==", "!="))
        return f"({self.number(names, 1)} {operator} {self.number(names, 1)})"

    # Statements of one turn, which end with a value for each list

    def turn(self, names: list[str], outs: list[str], pad: str, depth: int = 2) -> list[str]:
        rng = self.rng
        lines: list[str] = []
        names = [*names]
        for _ in range(rng.randint(0, 2)):
            made = self.name()
            lines.append(f"{pad}{made} = {self.number(names, 2)}")
            names.append(made)
        if depth and rng.random() < 0.35:
            total, step = self.name(), self.name()
            lines.append(f"{pad}{total} = {rng.choice(('0', '0.0', '1', rng.choice(names)))}")
            lines.append(f"{pad}for {step} in range({rng.randint(1, 12)}):")
            lines.append(f"{pad}    {total} += {rng.choice(names)} * {step}")
            if rng.random() < 0.3:
                lines.append(f"{pad}    if {self.truth([total, *names], 0)}:")
                lines.append(f"{pad}        {rng.choice(('break', 'continue'))}")
            names.append(total)
        if depth and rng.random() < 0.4:
            lines.append(f"{pad}if {self.truth(names, 1)}:")
            lines += self.turn(names, outs, pad + "    ", depth - 1)
            if rng.random() < 0.4:
                lines.append(f"{pad}    continue")
                return lines + self.turn(names, outs, pad, depth - 1)
            lines.append(f"{pad}else:")
            return lines + self.turn(names, outs, pad + "    ", depth - 1)
        return lines + [self.given(names, out, pad) for out in outs]

    def given(self, names: list[str], out: str, pad: str) -> str:
        if out.endswith("[k]"):
            word = self.rng.choice(("=", "=", "+="))
            return f"{pad}{out} {word} {self.number(names, 2)}"
        value = self.truth(names, 1) if out.startswith("t") else self.number(names, 2)
        if out.startswith("n") and self.rng.random() < 0.3:
            value = "None"
        return f"{pad}{out}.append({value})"

    # Forms

    def lists(self) -> None:
        """A loop over lists of Python values."""
        rng = self.rng
        used = rng.sample(self.of(NUMBERS), rng.randint(1, len(self.of(NUMBERS))))
        outs = [f"{rng.choice('ntr')}{k}" for k in range(rng.randint(1, 2))]
        for column in used:
            self.lines.append(f'l{column} = batch["{column}"].to_pylist()')
        self.lines += [f"{out} = []" for out in outs]
        items = [f"x{column}" for column in used]
        over = ", ".join(f"l{column}" for column in used)
        if len(used) == 1:
            self.lines.append(f"for {items[0]} in {over}:")
        else:
            self.lines.append(f"for {', '.join(items)} in zip({over}):")
        checked = " or ".join(f"{item} is None" for item in items)
        if rng.random() < 0.8:
            self.lines.append(f"    if {checked}:")
            self.lines += [f"        {out}.append(None)" for out in outs]
            self.lines.append("        continue")
        self.lines += self.turn(items, outs, "    ")
        self.result([f"pa.array({out})" for out in outs])

    def numpy_rows(self) -> None:
        """A loop over the items of NumPy arrays."""
        rng = self.rng
        used = rng.sample(self.of(NUMBERS), rng.randint(1, len(self.of(NUMBERS))))
        for column in used:
            self.lines.append(f'a{column} = batch.column("{column}").to_numpy()')
        outs = [f"{rng.choice('trr')}{k}" for k in range(rng.randint(1, 2))]
        own = rng.random() < 0.3
        self.lines.append(f"n = len(a{used[0]})")
        if own:
            outs = ["o0[k]"]
            dtype = rng.choice(("", ", dtype=np.int64", ", dtype='float32'"))
            self.lines.append(f"o0 = np.{rng.choice(('zeros', 'ones'))}(n{dtype})")
        else:
            self.lines += [f"{out} = []" for out in outs]
        self.lines.append("for k in range(n):")
        self.lines += self.turn([f"a{column}[k]" for column in used], outs, "    ")
        self.result(["pa.array(o0)"] if own else [f"pa.array({out})" for out in outs])

    def carried(self) -> None:
        """A loop with values that go from row to row, neighbours, and lists that grow as they like."""
        rng = self.rng
        doubles = self.of("f")
        of_numpy = bool(doubles) and rng.random() < 0.35
        pool = doubles if of_numpy else self.of(NUMBERS)
        used = rng.sample(pool, rng.randint(1, min(2, len(pool))))
        items = [f"a{column}[k]" for column in used]
        method = "to_numpy" if of_numpy else "to_pylist"
        for column in used:
            self.lines.append(f'a{column} = batch["{column}"].{method}()')
        first = f"a{used[0]}"
        self.lines.append(f"n = len({first})")
        names = [*items, *self.before(first, of_numpy)]
        states = [self.name() for _ in range(rng.randint(1, 2))]
        none = not of_numpy and rng.random() < 0.3
        for state in states:
            start = "None" if none and rng.random() < 0.5 else rng.choice(("0", "0.0", "1"))
            self.lines.append(f"{state} = {start}")
        own = of_numpy and rng.random() < 0.5
        out = "o0[k]" if own else "r0"
        array = rng.choice(("np.zeros(n)", f"np.zeros_like({first})", "np.full(n, 0.5)"))
        self.lines.append(f"o0 = {array}" if own else "r0 = []")
        self.lines.append(
            rng.choice(
                (
                    "for k in range(n):",
                    "for k in range(n):",
                    "k = -1\n    while k < n - 1:\n        k += 1",
                )
            )
        )
        pad = "    "
        if none:
            missing = " or ".join(f"{one} is None" for one in [*items, *states])
            self.lines.append(f"{pad}if {missing}:")
            self.lines += [f"{pad}    {state} = {rng.choice(('0', '1.5'))}" for state in states]
            self.lines += [f"{pad}    {out}.append(None)", f"{pad}    continue"]
        if rng.random() < 0.4:
            names.append(f"{first}[k - 1]")
        if own and rng.random() < 0.6:
            names.append("o0[k - 1]")
        for state in states:
            change = self.number([*names, *states], 2)
            word = rng.choice(("=", "+=", "+="))
            line = f"{pad}{state} {word} {change}"
            self.lines.append(line)
            if rng.random() < 0.4:
                self.lines.append(f"{pad}if {self.truth([*names, *states], 1)}:")
                self.lines.append(f"{pad}    {state} = {self.number([*items, *states], 1)}")
        if rng.random() < 0.15:
            self.lines.append(f"{pad}if {self.truth([*items, *states], 0)}:")
            self.lines.append(f"{pad}    break")
        given = self.given([*names, *states], out, pad)
        if not own and rng.random() < 0.3:
            self.lines.append(f"{pad}if {self.truth([*items, *states], 0)}:")
            given = "    " + given
        self.lines.append(given)
        self.result(["pa.array(o0)" if own else "pa.array(r0)"])

    def before(self, first: str, of_numpy: bool) -> list[str]:
        """Reductions over a column that go before the loop, and a change of its list."""
        rng = self.rng
        made: list[str] = []
        if rng.random() < 0.4:
            made.append(self.name())
            call = rng.choice((f"sum({first})", f"max({first})", f"min({first})", f"{first}[0]"))
            self.lines.append(f"{made[0]} = {call}")
        if not of_numpy and rng.random() < 0.2:
            change = rng.choice(
                (f"{first}[0] = 3", f"{first}.reverse()", f"{first} = {first}[1:] + [2]")
            )
            self.lines.append(change)
        return made

    def arrays(self) -> None:
        """Operators over whole NumPy arrays."""
        rng = self.rng
        used = rng.sample(self.of(NUMBERS), rng.randint(1, len(self.of(NUMBERS))))
        names: list[str] = []
        for column in used:
            self.lines.append(f'a{column} = batch["{column}"].to_numpy()')
            names.append(f"a{column}")
        for _ in range(rng.randint(1, 3)):
            made = self.name()
            pick = rng.random()
            ints = all(self.columns[name[1:]] in INTS for name in names if name[1:] in self.columns)
            if pick < 0.65:
                text = self.number(names, 2, ints and rng.random() < 0.7 and not self.names > 1)
            elif pick < 0.72:
                text = f"{rng.choice(names)} ** 2"
            elif pick < 0.77:
                text = self.more_of_numpy(names)
            elif pick < 0.82:
                text = self.changed(made, names)
            elif pick < 0.85:
                text = f"scaled({rng.choice(names)}, {self.constant()})"
            elif pick < 0.87:
                self.lines.append(
                    f"{made}a, {made} = mixed({rng.choice(names)}, {rng.choice(names)}, low=1)"
                )
                text = f"{made} + {made}a"
            elif pick < 0.92:
                one, other = rng.choice(names), rng.choice(names)
                text = rng.choice(
                    (
                        f"np.{rng.choice(('sqrt', 'abs', 'floor', 'ceil', 'rint', 'sign', 'square'))}({one})",
                        f"np.{rng.choice(('minimum', 'maximum', 'add', 'less'))}({one}, {other})",
                        f"np.clip({one}, {rng.choice((-2, 0))}, {rng.choice((3, 10))})",
                    )
                )
            else:
                condition = f"{rng.choice(names)} {rng.choice(('<', '>=', '=='))} {self.constant()}"
                text = f"np.where({condition}, {rng.choice(names)}, {self.number(names, 1)})"
            self.lines.append(
                f"{made} = {text} + {names[0]} * 0"
                if text[0] in "-0123456789"
                else f"{made} = {text}"
            )
            names.append(made)
        self.result([f"pa.array({name})" for name in names if name.startswith("v")])

    def loops(self) -> None:
        """Functions that NumPy's own loops compute, between operators."""
        rng = self.rng
        used = rng.sample(self.of("ijsfh"), rng.randint(1, len(self.of("ijsfh"))))
        names = [f"a{column}" for column in used]
        self.lines += [f'a{column} = batch["{column}"].to_numpy()' for column in used]
        for _ in range(rng.randint(1, 5)):
            made = self.name()
            one, other = rng.choice(names), rng.choice([*names, *names, self.constant()])
            inside = rng.choice(
                (one, f"{one} / {rng.choice((3, 16.0, 100))}", f"({one} + {other}) * 0.1")
            )
            text = rng.choice(
                (
                    f"np.{rng.choice(LOOPS)}({inside})",
                    f"np.{rng.choice(LOOPS[:5])}({inside}) + np.{rng.choice(LOOPS[:5])}({one}) * 2",
                    f"np.{rng.choice(LOOPS_OF_TWO)}({inside}, {other})",
                    f"np.{rng.choice(LOOPS_OF_TWO)}({rng.choice((0.5, 2, 3))}, {inside})",
                    f"np.abs({one} * 0.25 + 0.5) ** {rng.choice((3, 0.5, 2.5, -1, one))}",
                    f"np.where({one} > {self.constant()}, np.{rng.choice(LOOPS)}({inside}), {inside})",
                    f"{one} * 2 - {other}",
                )
            )
            self.lines.append(f"{made} = {text}")
            names.append(made)
        self.result([f"pa.array({name})" for name in names if name.startswith("v")])

    def wholes(self) -> None:
        """Scalars and arrays that NumPy makes of whole arrays, between operators."""
        rng = self.rng
        used = rng.sample(self.of("ijsufh"), rng.randint(1, len(self.of("ijsufh"))))
        names = [f"a{column}" for column in used]
        self.lines += [f'a{column} = batch["{column}"].to_numpy()' for column in used]
        scalars: list[str] = []
        for _ in range(rng.randint(2, 6)):
            made = self.name()
            pick = rng.random()
            one = rng.choice((rng.choice(names), f"({rng.choice(names)} * {rng.choice(names)})"))
            if pick < 0.45:
                self.lines.append(f"{made} = {self.reduction(one, rng.choice(names))}")
                scalars.append(made)
                continue
            if pick < 0.65:
                text = self.accumulated(one, rng.choice(names))
            elif pick < 0.72 and len(scalars) > 1:
                word = rng.choice("+-*/")
                self.lines.append(f"{made} = {rng.choice(scalars)} {word} {rng.choice(scalars)}")
                scalars.append(made)
                continue
            elif pick < 0.78 and scalars:
                text = f"np.where({one} > {rng.choice(scalars)}, {one}, {rng.choice(scalars)})"
            elif pick < 0.82:
                text = f"np.{rng.choice(LOOPS[:5])}({one} * 0.1)"
            elif pick < 0.88:
                self.lines.append(f"{made} = {one} * 1.5")
                change = rng.choice((*scalars, *names, "0"))
                self.lines.append(f"{made}[{made} > {self.constant()}] = 0")
                self.lines.append(f"{made} += {change}")
                text = f"{made}[:]"
            else:
                floats = [f"float({name})" for name in scalars]
                lengths = (f"len({rng.choice(names)})", "batch.num_rows")
                other = rng.choice((*scalars, *scalars, *names, self.constant(), *floats, *lengths))
                text = f"{one} {rng.choice('+-*/')} {other}"
            self.lines.append(f"{made} = {text}")
            names.append(made)
        arrays = [name for name in names if name.startswith("v")]
        ends = [f"pa.array({names[0]} - {one})" for one in scalars]
        self.result([f"pa.array({name})" for name in arrays] + ends)

    def reduction(self, one: str, other: str) -> str:
        rng = self.rng
        name = rng.choice(("sum", "mean", "min", "max", "std", "var", "prod", "ptp", "median"))
        method = rng.choice(("sum", "mean", "min", "max", "std", "var", "argmax", "any", "all"))
        return rng.choice(
            (
                f"np.{name}({one})",
                f"{one}.{method}()",
                f"{one}.{rng.choice(('std', 'var'))}(ddof={rng.choice((0, 1, 2))})",
                f"np.nan{rng.choice(('sum', 'mean', 'max', 'std', 'median'))}({one})",
                f"np.percentile({one}, {rng.choice((0, 10, 50, 99.5))})",
                f"{one} @ {other}",
                f"np.dot({one}, {other})",
                f"np.{rng.choice(('add', 'maximum', 'multiply'))}.reduce({one})",
                f"np.sum({one}, dtype=np.{rng.choice(('float32', 'float64', 'int64'))})",
                f"{one}.{rng.choice(('sum', 'mean'))}(axis={rng.choice((0, None))})",
            )
        )

    def accumulated(self, one: str, other: str) -> str:
        rng = self.rng
        return rng.choice(
            (
                f"np.{rng.choice(('cumsum', 'cumprod', 'sort', 'argsort'))}({one})",
                f"{one}.{rng.choice(('cumsum', 'argsort'))}()",
                f"{one}[np.argsort({other})]",
                f"np.{rng.choice(('maximum', 'add', 'minimum'))}.accumulate({one})",
                f"np.roll({one}, {rng.choice((1, -1, 3))})",
                f"np.searchsorted(np.sort({one}), {other})",
                f"np.argsort({one}, kind='stable')",
            )
        )

    def masked(self) -> None:
        """Rows of NumPy arrays that masks leave, and what is computed with them."""
        rng = self.rng
        used = rng.sample(self.of(NUMBERS), rng.randint(1, len(self.of(NUMBERS))))
        self.lines += [f'a{column} = batch["{column}"].to_numpy()' for column in used]
        names = [f"a{column}" for column in used]
        for _ in range(rng.choice((1, 1, 2))):
            one, other = rng.choice(names), rng.choice([*names, self.constant()])
            test = f"({one} {rng.choice(('<', '>=', '!=', '>'))} {other})"
            if rng.random() < 0.4:
                test = f"{test} {rng.choice('&|')} {rng.choice((f'~({one} == 0)', f'np.isfinite({other} * 1.0)'))}"
            mask = test
            if rng.random() < 0.7:
                mask = self.name()
                self.lines.append(f"{mask} = {test}")
            some: list[str] = []
            for name in names:
                some.append(self.name())
                self.lines.append(f"{some[-1]} = {name}[{mask}]")
            names = some
            if rng.random() < 0.3:
                self.lines.append(f"{names[0]} {rng.choice(('+=', '*='))} {rng.choice((2, 3))}")
        made = [*names]
        for _ in range(rng.randint(1, 2)):
            made.append(self.name())
            ints = rng.random() < 0.5
            text = rng.choice(
                (
                    f"{names[0]} * 0 + {self.number(names, 2, ints)}",
                    f"np.where({names[0]} > {self.constant()}, {rng.choice(names)}, {rng.choice(names)})",
                    f"np.sqrt(np.abs({rng.choice(names)}))",
                    f"np.{rng.choice(LOOPS)}({rng.choice(names)})",
                    f"{rng.choice(names)} // {rng.choice(names)}",
                    f"np.zeros(len({names[0]})) + {rng.choice(names)}",
                )
            )
            self.lines.append(f"{made[-1]} = {text}")
        columns = ", ".join(f'"{name}": {name}' for name in made)
        self.lines.append(
            f"return {rng.choice(('', 'pa.record_batch', 'pa.table'))}({{{columns}}})"
        )

    def filtered(self) -> None:
        """A batch's rows that masks of Arrow leave, and what is computed with them."""
        rng = self.rng
        numbers = self.of(NUMBERS)
        batch = "batch"
        for _ in range(rng.choice((1, 1, 2))):
            one = rng.choice(numbers)
            mask = f'pc.{rng.choice(("greater", "less_equal", "not_equal"))}({batch}["{one}"], {self.constant()})'
            if rng.random() < 0.5:
                other = f'pc.is_valid({batch}["{rng.choice([*self.columns])}"])'
                mask = f"pc.{rng.choice(('and_', 'and_kleene', 'or_kleene'))}({mask}, {other})"
            made = self.name()
            pick = rng.random()
            if pick < 0.6:
                self.lines.append(f"{made} = {batch}.filter({mask})")
            elif pick < 0.8:
                self.lines.append(f"{made} = pc.filter({batch}, {mask})")
            elif pick < 0.9:
                self.lines.append(f"{made} = {batch}.drop_null()")
            else:
                test = f'{batch}["{one}"].to_numpy() > {self.constant()}'
                self.lines.append(f"{made} = {batch}.filter({test})")
            batch = made
        columns: list[str] = []
        for _ in range(rng.randint(0, 2)):
            one, other = rng.choice(numbers), rng.choice(numbers)
            x, y = f'{batch}["{one}"]', f'{batch}["{other}"]'
            columns.append(
                rng.choice(
                    (
                        f"pc.multiply({x}, {self.constant()})",
                        f"pc.add({x}, {y})",
                        f"pc.divide({x}, {y})",
                        f"pc.fill_null({x}, 1)",
                        f"pa.array({x}.to_numpy() * 2)",
                        f"pa.array([v * 2 if v is not None else None for v in {x}.to_pylist()])",
                        self.option(x, self.constant())[0],
                    )
                )
            )
        added = "".join(f'.append_column("r{place}", {text})' for place, text in enumerate(columns))
        self.lines.append(f"return {batch}{added}")

    def more_of_numpy(self, names: list[str]) -> str:
        rng = self.rng
        one, other = rng.choice(names), rng.choice(names)
        return rng.choice(
            (
                f"np.{rng.choice(('fmax', 'fmin', 'logical_and', 'logical_xor', 'fmod'))}({one}, {other})",
                f"np.{rng.choice(('copysign', 'heaviside'))}({one}, {other} * 1.0)",
                f"np.{rng.choice(('logical_not', 'signbit', 'reciprocal', 'positive'))}({one})",
                f"np.round({one}, {rng.choice((0, 1, 2, -1))})",
                f"np.select([{one} > {self.constant()}, {one} < {other}], [{one}, {other}], {self.constant()})",
                f"np.nan_to_num({one}, nan={self.constant()})",
                f"np.full_like({one}, {self.constant()})",
                f"{one}.astype({rng.choice(('float', 'np.int64', 'bool', 'np.float32'))}, copy={rng.random() < 0.5})",
                f"{one}.clip({rng.choice((-2, 0))}, {rng.choice((3, 10))})",
            )
        )

    def changed(self, made: str, names: list[str]) -> str:
        """An array that is changed as a whole, or where a mask says."""
        rng = self.rng
        one, other = rng.choice(names), rng.choice(names)
        self.lines.append(f"{made} = {one} {rng.choice(('*', '+'))} {self.constant()}")
        for _ in range(rng.randint(1, 2)):
            self.lines.append(
                rng.choice(
                    (
                        f"{made} {rng.choice(('+=', '*=', '-='))} {other}",
                        f"{made}[:] = {rng.choice((other, self.constant()))}",
                        f"{made}[{other} > {self.constant()}] = {self.constant()}",
                        f"{made}m = {one} < {other}; {made}[{made}m] = {other}[{made}m] * {self.constant()}",
                        f"{made}m = {other} >= 0; {made}[{made}m] += {one}[{made}m]",
                    )
                )
            )
        return f"{made}[:]"

    def columns_in_turn(self) -> None:
        """A loop over names of columns, or a comprehension over them."""
        rng = self.rng
        used = self.of(NUMBERS)
        names = rng.choice(
            ("batch.schema.names", "batch.column_names", repr(tuple(used)), repr(used))
        )
        test = "" if "b" not in self.columns.values() else f"name in {tuple(used)!r}"
        text = rng.choice(
            (
                "pc.coalesce(batch[name], batch[name])",
                "bounded(batch[name])",
                "pc.fill_null(batch[name], 1)",
                "pc.negate(pc.cast(batch[name], pa.float64()))",
                "pc.is_null(batch[name], nan_is_null=True)",
            )
        )
        if rng.random() < 0.5:
            self.lines.append(
                f"return {{name: {text} for name in {names}{f' if {test}' if test else ''}}}"
            )
            return
        self.lines += ["made = {}", f"for place, name in enumerate({names}):"]
        pad = "    "
        if test:
            self.lines.append(f"    if {test}:")
            pad = "        "
        self.lines.append(f'{pad}made[f"{{name}}_{{place}}"] = {text}')
        self.lines.append("return made")

    def option(self, x: str, y: str) -> tuple[str, str]:
        """A call with options, or of a set, and whether it gives numbers or booleans."""
        rng = self.rng
        mode = rng.choice(("half_to_even", "half_up", "down", "towards_infinity", "half_to_odd"))
        items = [rng.choice((0, 1, 2, 5, -3, 7)) for _ in range(rng.randint(1, 6))]
        return rng.choice(
            (
                (f"pc.round({x}, {rng.choice((0, 1, 2, 5))}, '{mode}')", "n"),
                (f"pc.round_to_multiple(pc.cast({x}, 'float64'), {rng.choice((5, 0.25, 0.1))}, round_mode='{mode}')", "n"),
                (f"pc.{rng.choice(('floor', 'ceil', 'trunc'))}({x})", "n"),
                (f"pc.is_in({x}, value_set=pa.array({items}))", "b"),
                (f"pc.index_in({x}, value_set=pa.array({items}), skip_nulls=True)", "n"),
                (f"pc.case_when(pc.make_struct(pc.is_null({x}), pc.greater({x}, 3)), {self.constant()}, {x}, {x})", "n"),
                (f"pc.choose(pc.cast(pc.is_null({x}), pa.int8()), {x}, {self.constant()})", "n"),
                (f"pc.if_else(pc.greater({x}, 2), {x}, {rng.choice(('None', self.constant()))})", "n"),
                (f"pc.{rng.choice(('max', 'min'))}_element_wise({x}, {y}, skip_nulls=False)", "n"),
                (f"pc.cast({x}, pa.{rng.choice(('int8', 'int32', 'float32', 'float64'))}(), safe={rng.random() < 0.5})", "n"),
                (f"pc.add({x}, pa.scalar({rng.choice((1, 7))}, pa.{rng.choice(('int16', 'int64', 'float64'))}()))", "n"),
                (f"pc.fill_null({x}, {rng.choice((1, 2.0))})", "n"),
                (f"bounded({x}, high={rng.choice((3, 100))})", "n"),
                (f"pc.logb({x}, 2.0)", "n"),
            )
        )  # fmt: skip

    def compute(self) -> None:
        """A chain of functions of pyarrow.compute, and aggregates of columns."""
        rng = self.rng
        names = {
            kind: [f'batch["{c}"]' for c in self.of(kinds)]
            for kind, kinds in (("n", "ifjsuh"), ("b", "b"))
        }
        if not names["n"]:
            names["n"] = ['pc.cast(batch["c0"], pa.int64())']
        for _ in range(rng.randint(2, 5)):
            made = self.name()
            x = rng.choice(names["n"])
            y = rng.choice([*names["n"], self.constant()])
            text = rng.choice(
                (
                    f"pc.{rng.choice(('add', 'subtract', 'multiply', 'max_element_wise', 'min_element_wise'))}({x}, {y})",
                    f"pc.{rng.choice(('negate', 'abs', 'sqrt', 'exp', 'sin', 'fill_null'))}({x})",
                    f"pc.divide({x}, {rng.choice((2, 3, 0.5))})",
                    f"pc.if_else({rng.choice([*names['b'], f'pc.is_null({x})'])}, {x}, {x})",
                )
            )
            if text.startswith("pc.fill_null"):
                text = f"pc.fill_null({x}, 1)"
            kind = "n"
            if rng.random() < 0.15:
                of = f'batch["{rng.choice(self.of(NUMBERS) or ["c0"])}"]'
                scalar = f"pc.{rng.choice(('sum', 'mean', 'min', 'max', 'stddev'))}({of})"
                scalar += rng.choice(("", "", ".as_py()"))
                name = rng.choice(("subtract", "divide", "multiply", "fill_null", "if_else"))
                if name == "if_else":
                    text = f"pc.if_else(pc.greater({x}, {scalar}), {x}, {scalar})"
                else:
                    text = f"pc.{name}({x}, {scalar})"
            elif rng.random() < 0.4:
                text, kind = self.option(x, y)
            elif rng.random() < 0.35:
                kind = "b"
                text = f"pc.{rng.choice(('greater', 'less_equal', 'equal', 'not_equal'))}({x}, {y})"
                if names["b"] and rng.random() < 0.5:
                    text = f"pc.{rng.choice(('and_', 'or_kleene', 'and_kleene', 'xor'))}({text}, {rng.choice(names['b'])})"
            self.lines.append(f"{made} = {text}")
            names[kind].append(made)
        self.result([f"v{number}" for number in range(1, self.names + 1)])

    def result(self, columns: list[str]) -> None:
        rng = self.rng
        named = {f"r{k}": text for k, text in enumerate(columns)}
        if rng.random() < 0.5:
            added = "".join(f'.append_column("{name}", {text})' for name, text in named.items())
            self.lines.append(f"return batch{added}")
        else:
            pairs = ", ".join(f'"{name}": {text}' for name, text in named.items())
            self.lines.append(
                f"return {rng.choice(('', 'pa.record_batch', 'pa.table'))}({{{pairs}}})"
            )


# --- columns


EDGES: dict[str, list[Any]] = {
    "i": [0, 1, -1, 2**31, 2**53, 2**53 + 1, 2**62, 2**63 - 1, -(2**63)],
    "f": [0.0, -0.0, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan, 2.0**53, 0.1],
}


def value(rng: random.Random, kind: str, edges: float) -> Any:
    if kind == "b":
        return rng.random() < 0.5
    if kind in "fh":
        drawn = rng.choice(EDGES["f"]) if rng.random() < edges else rng.randint(-40, 60) / 4
        return (
            float(np.float32(drawn))
            if kind == "h" and abs(drawn) < 3e38
            else 0.5
            if kind == "h"
            else drawn
        )
    drawn = rng.choice(EDGES["i"]) if rng.random() < edges else rng.randint(-12, 30)
    limits = np.iinfo(TYPES[kind].to_pandas_dtype())
    return min(max(drawn, int(limits.min)), int(limits.max))


def batches(rng: random.Random, columns: dict[str, str]) -> list[pa.RecordBatch]:
    edges = rng.choice((0.0, 0.0, 0.02, 0.1))
    nulls = rng.choice((0.0, 0.0, 0.0, 0.1))
    made: list[pa.RecordBatch] = []
    for _ in range(rng.randint(1, 4)):
        rows = rng.choice((1, 2, 5, 8, 17, 33))
        arrays: list[Any] = []
        for kind in columns.values():
            values = [
                None if rng.random() < nulls else value(rng, kind, edges) for _ in range(rows + 2)
            ]
            arrays.append(pa.array(values, TYPES[kind]).slice(1, rows))
        made.append(pa.record_batch(arrays, names=list(columns)))
    return made


# --- comparing


@dataclass
class Given:
    """What came of a list of batches: the results before the first failure, the failure, the warnings."""

    results: list[Any] = field(default_factory=list)
    error: BaseException | None = None
    warned: list[str] = field(default_factory=list)


def as_batch(result: Any) -> pa.RecordBatch:
    if isinstance(result, dict):
        return pa.RecordBatch.from_pydict(result)
    if isinstance(result, pa.Table):
        return (result.combine_chunks().to_batches() or [pa.record_batch([])])[0]
    return result


def by_cpython(fn: Any, given: list[pa.RecordBatch]) -> Given:
    out = Given()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for batch in given:
            try:
                made = as_batch(fn(batch))
                if made.num_rows > 0:  # a stream gives no empty batches
                    out.results.append(made)
            except Exception as error:
                out.error = error
                break
    out.warned = [str(one.message) for one in seen]
    return out


def by_sabot(stream: Stream) -> Given:
    out = Given()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            out.results.extend(stream)
        except Exception as error:
            out.error = error
    out.warned = [str(one.message) for one in seen]
    return out


def bits(array: Any) -> tuple[str, list[Any]]:
    values = array.to_pylist()
    return str(array.type), ["nan" if v != v else repr(v) for v in values]


def difference(wanted: Given, got: Given, schema: pa.Schema) -> str | None:
    """What differs; None where nothing does. An int column of CPython's may be double where a stream has one type."""
    fits = wanted.results
    cast: list[pa.RecordBatch] = []
    failed = wanted.error
    for result in fits:
        try:
            cast.append(result.cast(schema))
        except pa.ArrowInvalid as error:  # no such value in the stream's type
            failed = sb.SchemaError(str(error))
            break
    if len(got.results) != len(cast):
        return f"{len(got.results)} batches, not {len(cast)}; {got.error!r}, not {failed!r}"
    for number, (one, other) in enumerate(zip(got.results, cast, strict=True)):
        for name in schema.names:
            if bits(one[name]) != bits(other[name]):
                return f"batch {number}, column {name}: {one[name]}, not {other[name]}"
    if isinstance(failed, sb.SchemaError):
        return None if isinstance(got.error, sb.SchemaError) else f"{got.error!r}, not {failed!r}"
    if type(got.error) is not type(failed):
        return f"{got.error!r}, not {failed!r}"
    if failed is not None and got.error is not None and got.error.args != failed.args:
        return f"{got.error!r}, not {failed!r}"
    if failed is None and sorted(got.warned) != sorted(wanted.warned):
        return f"warnings {got.warned}, not {wanted.warned}"
    return None


@dataclass
class Totals:
    """What a run counted."""

    functions: int = 0
    compiled: int = 0
    batches: int = 0
    rows: int = 0
    left: int = 0
    failed: int = 0
    found: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


def check(index: int, seed: str, columns: int, totals: Totals) -> None:
    """One function on some column sets."""
    rng = random.Random(f"{seed}:{index}")
    writer = Writer(rng)
    text = writer.function()
    name = f"<batches {seed} {index}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space: dict[str, Any] = {"pa": pa, "pc": pc, "np": np, "math": math}
    exec(HELPER_CODE, space)
    exec(compile(text, name, "exec"), space)
    fn = space["f"]
    schema = pa.schema({column: TYPES[kind] for column, kind in writer.columns.items()})
    totals.functions += 1
    report = sb.explain(fn, schema)
    if report.mode != "compiled":
        totals.refused[report.reasons[0].message.rpartition(": ")[2]] += 1
        if rng.random() < 0.8:
            return
    else:
        totals.compiled += 1
    for case in range(columns):
        given = batches(rng, writer.columns)
        tier = rng.choice(("interpreter", "native"))
        with sb.config(tier=tier, threads=rng.choice((1, 2))):
            stream = Stream.from_batches(given, schema=schema).map(fn)
            told = stream.schema
            got = by_sabot(stream)
        wanted = by_cpython(fn, given)
        if told is None:
            continue
        why = difference(wanted, got, told)
        if why is not None:
            totals.found.append(f"function {index}, case {case}, {tier}: {why}\n{text}")
            return
        count(stream, totals, wanted)


def count(stream: Stream, totals: Totals, wanted: Given) -> None:
    run = stream.last_run
    if run is None or not run.report["functions"]:
        return
    counts = run.report["functions"][0]
    totals.batches += len(wanted.results)
    totals.rows += counts["rows"]
    totals.left += counts["rows_cpython"]
    totals.failed += wanted.error is not None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--functions", type=int, default=300)
    parser.add_argument("--columns", type=int, default=6, help="column sets for each function")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--only", type=int, help="the number of one function")
    arguments = parser.parse_args()
    _form_parts.WORTH = 0  # what has little to gain is compiled, too
    totals = Totals()
    start = time.monotonic()
    numbers = range(arguments.functions) if arguments.only is None else [arguments.only]
    for index in numbers:
        check(index, arguments.seed, arguments.columns, totals)
    for found in totals.found:
        print(found)
    stayed = 1 - totals.left / max(1, totals.rows)
    print(
        f"{totals.functions} functions, {totals.compiled} compiled, {totals.rows} rows, {stayed:.0%} stayed in compiled code, "
        f"{totals.failed} runs failed as they should, {len(totals.found)} findings, {time.monotonic() - start:.0f} s"
    )
    for reason, times in totals.refused.most_common(8):
        print(f"  not compiled, {times}: {reason}")
    worth = arguments.only is not None or (
        totals.compiled >= COMPILED_MIN * totals.functions and stayed >= STAYED_MIN
    )
    if not worth:
        print("too little ran as compiled code")
    return 0 if worth and not totals.found else 1


if __name__ == "__main__":
    sys.exit(main())
