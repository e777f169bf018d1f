"""The log of how functions are run: one line for each decision, with its reason and what was measured, by the logger `sabot.compile`.

A run says of each function where its rows are computed when it begins, and later only what is decided anew: native code takes over, what
was compiled is compiled once more for rows that leave, a name was bound anew. What is known at the end alone (rows that left, native code
that was not worth it) is said there. Where nobody listens to INFO a run looks once, and nothing is made.

Threads: that of the run. Handlers of the log are the user's code: they run between two batches, never while a plan is built.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sabot import _core
    from sabot._capture import Captured
    from sabot._chain import Chain
    from sabot._lane import BatchBinding
    from sabot._stage import RunReport

log = logging.getLogger("sabot.compile")

_ORIGINS = {"memory": "compiled before", "disk": "compiled by an earlier process"}


def place_of(captured: Captured) -> str:
    """How lines begin: the function's name, its file and its first line, where it has them."""
    where = f" ({captured.file}:{captured.first_line})" if captured.file else ""
    return f"{captured.name}{where}"


def why_not(core: _core.Function) -> str:
    """Why a function is not compiled, each reason with its line."""
    reasons: list[dict[str, Any]] = json.loads(core.report())["reasons"]
    return "; ".join(reason_text(one["message"], one["detail"], one["line"]) for one in reasons)


def reason_text(message: str, detail: str, line: int) -> str:
    """A reason on one line."""
    text = f"{message}: {detail}" if message and detail else message or detail
    return " ".join(text.split()) + (f" (line {line})" if line else "")


def origin_of(facts: Mapping[str, Any]) -> str:
    """Where native code that is there came from, or in what time."""
    return _ORIGINS.get(facts["native_from"]) or f"compiled in {facts['compile_ms']:.1f} ms"


def say_native(captured: Captured, core: _core.Function, how: str) -> None:
    """Says what native code there is of a compiled function that was waited for. how: what else was decided."""
    if not log.isEnabledFor(logging.INFO):
        return
    facts: dict[str, Any] = json.loads(core.report())
    if facts["native"] == "ready":
        log.info("%s: native code, %s%s", place_of(captured), origin_of(facts), how)
    elif facts["native"] == "failed":
        text = "%s: the engine interprets it: no native code: %s%s"
        log.info(text, place_of(captured), facts["native_error"], how)


def say_refusal(captured: Captured, core: _core.Function) -> None:
    """Says why a function is called as it is."""
    if log.isEnabledFor(logging.DEBUG):
        log.debug("%s is not compiled: %s", place_of(captured), why_not(core))


class _Told(NamedTuple):
    """A compiled function of a run. core: what tells of its native code. unit: what CPython computes where a row of it leaves."""

    step: int
    place: str
    core: _core.Function
    unit: str


class RunLog:
    """What is said of one run of the engine.

    Parameters:
        changed: functions that the run interprets, and why; it grows while the run lasts.
        tier: the setting.
    """

    def __init__(self, chain: Chain, changed: Mapping[int, str], tier: str) -> None:
        self._changed = changed
        self._seen = set(changed)
        self._compiled: dict[int, _Told] = {}
        self._waiting: set[int] = set()  # for native code
        self._careful: set[int] = set()  # whose native code tells leaving rows apart
        self._passed: dict[int, int] = {}  # rows that CPython got without a try, before this run
        lowered = [one for one in chain.batches.values() if one.lowered is not None]
        forms = {id(one.lowered.scalar): one for one in lowered if one.lowered is not None}
        for index, step in enumerate(chain.steps):
            place = place_of(step.scalar.captured)
            batch = forms.get(id(step.scalar))
            unit = "row by row" if batch is None else "batch by batch"
            if index in changed:
                log.info("%s: CPython calls it %s: %s", place, unit, _changed(changed[index]))
            elif step.scalar.core.compiled:
                told = _Told(index, place, step.scalar.core, unit)
                self._compiled[index] = told
                self._begin(told, batch, tier)
            elif isinstance(step.scalar.numba, str):
                why = step.scalar.numba or why_not(step.scalar.core)
                log.info("%s: CPython calls it row by row: %s", place, why)
            else:
                log.info('%s: Numba computes it, not exactly: compile="numba"', place)
        for one in chain.batches.values():
            if one.lowered is None:
                _opaque(one)

    def _begin(self, told: _Told, batch: BatchBinding | None, tier: str) -> None:
        facts: dict[str, Any] = json.loads(told.core.report())
        how = _form(batch)
        if tier == "interpreter":
            log.info('%s: %s, the engine interprets it: tier="interpreter"', told.place, how)
            return
        if facts["careful"]:
            self._careful.add(told.step)
        self._passed[told.step] = facts["rows_passed"]
        state = facts["native"]
        if state == "ready":
            where = f"native code from the first row, {origin_of(facts)}"
        elif state == "failed":
            where = f"the engine interprets it: no native code: {facts['native_error']}"
        elif tier == "native":
            where = 'waits for native code: tier="native"'
        else:
            where = (
                f"the engine interprets it until native code is there, asked for after about "
                f"{facts['native_after']:,} rows"
            )
        if state in ("none", "pending"):
            self._waiting.add(told.step)
        log.info("%s: %s, %s", told.place, how, where)

    def look(self, report: Callable[[], str]) -> None:
        """Says what was decided since the last time. report: of the engine's run."""
        for index in self._changed.keys() - self._seen:
            self._seen.add(index)
            self._waiting.discard(index)
            told = self._compiled[index]
            why = _changed(self._changed[index])
            log.info("%s: CPython calls it %s from here on: %s", told.place, told.unit, why)
        if self._waiting:
            functions: list[dict[str, Any]] = json.loads(report())["functions"]
            for index in sorted(self._waiting):
                if functions[index]["rows_native"]:
                    self._take_over(self._compiled[index], functions[index])
        for told in self._compiled.values():
            self._look_at_leaving(told, json.loads(told.core.report()))

    def _look_at_leaving(self, told: _Told, facts: Mapping[str, Any]) -> None:
        if facts["careful"] and told.step not in self._careful:
            self._careful.add(told.step)
            text = "%s: rows leave in more than 1 of 16 vectors: native code that tells them apart"
            log.info(text, told.place)
        if facts["rows_passed"] > self._passed.get(told.step, facts["rows_passed"]):
            del self._passed[told.step]
            text = "%s: nearly all rows leave: CPython calls it %s at once, with a try now and then"
            log.info(text, told.place, told.unit)

    def _take_over(self, told: _Told, function: Mapping[str, Any]) -> None:
        self._waiting.discard(told.step)
        facts: dict[str, Any] = json.loads(told.core.report())
        before = ""
        if function["rows_interpreter"]:
            before = f", after {function['rows_interpreter']:,} rows by the interpreter"
            before += _cost(facts, "interpreter")
        text = "%s: native code%s, %s%s"
        log.info(text, told.place, _cost(facts, "native"), origin_of(facts), before)

    def end(self, report: RunReport) -> None:
        """Says what only the end of the run tells."""
        functions: list[dict[str, Any]] = report.facts()["functions"]
        if not functions:
            return
        self.look(lambda: json.dumps({"functions": functions}))
        for index, told in self._compiled.items():
            one = functions[index]
            facts: dict[str, Any] = json.loads(told.core.report())
            if index in self._waiting and one["rows_interpreter"]:
                self._never(told, one["rows_interpreter"], facts)
            left: dict[str, int] = one["rows_left"]
            if one["rows_cpython"]:
                log.info(
                    "%s: CPython computed %s of %s rows, called %s%s",
                    told.place,
                    f"{one['rows_cpython']:,}",
                    f"{one['rows']:,}",
                    told.unit,
                    "".join(f", {count:,} left by {reason}" for reason, count in left.items()),
                )

    def _never(self, told: _Told, rows: int, facts: Mapping[str, Any]) -> None:
        if facts["native"] == "failed":
            why = f"no native code: {facts['native_error']}"
        elif facts["native"] == "none":
            why = f"native code is worth it after about {facts['native_after']:,} rows"
        else:
            why = "native code was not there before its end"
        cost = _cost(facts, "interpreter")
        log.info("%s: the engine interpreted all %s rows%s: %s", told.place, f"{rows:,}", cost, why)


def _form(batch: BatchBinding | None) -> str:
    if batch is None or batch.lowered is None:
        return "compiled"
    text = f"{batch.lowered.kind} form"
    if batch.refusal is not None:
        one = batch.refusal
        text += f" (not row form: {reason_text('', one.detail or one.code, one.line)})"
    return text


def _cost(facts: Mapping[str, Any], tier: str) -> str:
    timed = facts["timed"][tier]
    return f" at {timed['ns'] / timed['rows']:.3g} ns a row" if timed["rows"] else ""


def _changed(why: str) -> str:
    """As reports have it: `rebound: name`, or what watches the run."""
    return why.replace("rebound: ", "bound anew: ")


def _opaque(one: BatchBinding) -> None:
    """Of a batch or record function that CPython runs."""
    from sabot._capture import capture

    unit = "row by row" if one.rows is not None else "batch by batch"
    why = (one.label or "").partition("  because: ")[2]
    place = place_of(capture(one.function))
    log.info("%s: CPython calls it %s%s", place, unit, f": {why}" if why else "")


def of_run(chain: Chain, changed: Mapping[int, str], tier: str) -> RunLog | None:
    """The log of a run that begins; None where nobody listens."""
    return RunLog(chain, changed, tier) if log.isEnabledFor(logging.INFO) else None
