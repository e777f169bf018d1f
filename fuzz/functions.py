"""Functions as values for fuzz/grammar.py: a local that is one of several functions, by a condition, an index, an argument.

The rules are those of grammar.py.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fuzz.terms import Expr

if TYPE_CHECKING:
    from fuzz.forms import Helper
    from fuzz.terms import Var


class Functions:
    """Mixed into forms.Forms."""

    rng: random.Random
    prefix: str
    params: dict[str, str]
    scope: dict[str, Var]
    captured: dict[str, object]
    protected: set[str]
    helpers: list[Helper]

    if TYPE_CHECKING:  # of grammar.Writer

        def __getattr__(self, name: str) -> Any: ...

    def function_value(self, pad: str) -> list[str]:
        """A local that is one of two functions of the same kinds, which are lambdas that may read the parameters around."""
        name = self.fresh_name("g")
        helper, inner, _ = self.helper_of(name, f"{self.prefix}V{name}_")
        helper = replace(helper, defaults=0, may_be_none=False)
        around = {n: v for n, v in self.scope.items() if n in self.params and "n" not in v.tags}
        inner.scope = {**around, **inner.scope}
        head = ", ".join(f"p{k}" for k in range(len(helper.kinds)))
        bodies = [inner.expr(helper.result, 2).text for _ in range(2)]
        lines = [pad + line for line in self.chosen_by(name, head, bodies)]
        text = "\n".join(lines)
        self.protected |= {n for n in around if re.search(rf"\b{n}\b", text)}
        self.captured.update(inner.captured)
        self.helpers.append(helper)
        for _ in range(2):
            parts = [self.dynamic(kind, 1) for kind in helper.kinds]
            held = self.fresh_name("t")
            called = f"{name}({', '.join(part.text for part in parts)})"
            self.define(held, Expr(called, helper.result, True, weight=helper.weight + 1))
            lines.append(f"{pad}{held} = {called}")
        return lines

    def chosen_by(self, name: str, head: str, bodies: list[str]) -> list[str]:
        rng = self.rng
        one, two = (f"(lambda {head}: {body})" for body in bodies)
        test = self.condition(1)[0]
        forms = [
            [f"{name} = {one} if {test} else {two}"],
            [f"if {test}:", f"    {name} = {one}", "else:", f"    {name} = {two}"],
            [
                f"if {test}:",
                f"    def {name}({head}):",
                f"        return {bodies[0]}",
                "else:",
                f"    {name} = {two}",
            ],
            [f"{name} = ({one}, {two})[{self.dynamic('i', 1).text} % 2]"],
            [f"{name}_t = ({one}, {two})", f"{name} = {name}_t[{self.dynamic('i', 1).text} % 2]"],
            [
                f"{name}_t = {{0: {one}, 3: {two}}}",
                f"{name} = lambda {head}: {name}_t[0 if p0 > 2 else 3]({head})",
            ],
            [f"{name} = functools.partial(lambda q, {head}: {bodies[0]} - q, {self.small_int(9)})"],
            [
                f"def {name}_a(h, {head}):",
                f"    return h({head})",
                f"{name} = lambda {head}: {name}_a({one} if p0 > 1 else {two}, {head})",
            ],
            [
                f"def {name}_b(h, {head}):",
                f"    return h({head})",
                f"{name} = lambda {head}: {name}_b({one}, {head}) if p0 > 1 else {name}_b({two}, {head})",
            ],
            [
                f"{name}_s = ({one}, {two})",
                f"{name} = lambda {head}: max([h({head}) for h in {name}_s])",
            ],
        ]
        return rng.choice(forms)
