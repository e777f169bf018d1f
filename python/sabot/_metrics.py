"""What the engine of this process did so far, in numbers (`sabot.metrics`)."""

from __future__ import annotations

import json
from typing import Any, Literal, NamedTuple, cast, overload

from sabot import _config, _engine
from sabot._errors import PlanError
from sabot._function import blob_head, bound_functions

_TIERS = ("interpreter", "native")


class _Metric(NamedTuple):
    """One line, or with a label one for each value, of the Prometheus text. path: where it is in the mapping."""

    name: str
    kind: str
    path: str
    label: str
    help: str


# A label alone makes one line of each entry of the mapping at `path`; "label=value" tells several paths of one name apart.
_METRICS = (
    _Metric("functions_total", "counter", "functions.compiled", "mode=compiled", "functions bound to columns"),
    _Metric("functions_total", "counter", "functions.interpreted", "mode=interpreted", ""),
    _Metric("refusals_total", "counter", "functions.refused", "reason", "why functions were not compiled"),
    _Metric("rows_total", "counter", "rows.native", "tier=native", "rows that compiled functions were run on"),
    _Metric("rows_total", "counter", "rows.interpreter", "tier=interpreter", ""),
    _Metric("rows_left_total", "counter", "rows.left", "reason", "rows of compiled functions left for CPython"),
    _Metric("compile_requests_total", "counter", "compile.requests", "", "requests for native code"),
    _Metric("compiles_total", "counter", "compile.compiled", "", "requests that the compiler answered with code"),
    _Metric("compile_failures_total", "counter", "compile.failures", "", "requests that ended without code"),
    _Metric("compile_seconds_total", "counter", "compile.ms", "", "time that the compiler took"),
    _Metric("compile_queue", "gauge", "compile.queued", "", "requests that wait"),
    _Metric("compiler_starts_total", "counter", "compile.starts", "", "compiler processes started"),
    _Metric("cache_hits_total", "counter", "cache.memory_hits", "place=memory", "requests that the cache answered"),
    _Metric("cache_hits_total", "counter", "cache.disk_hits", "place=disk", ""),
    _Metric("cache_misses_total", "counter", "cache.disk_misses", "", "look-ups on disk that found nothing good"),
    _Metric("cache_refused_total", "counter", "cache.disk_refused", "", "entries on disk that were damaged, forged or foreign"),
    _Metric("cache_evicted_total", "counter", "cache.memory_evicted", "place=memory", "entries that made room"),
    _Metric("cache_evicted_total", "counter", "cache.disk_evicted", "place=disk", ""),
    _Metric("cache_writes_total", "counter", "cache.disk_writes", "", "entries written"),
    _Metric("cache_failures_total", "counter", "cache.disk_failures", "", "reads and writes that the system refused"),
    _Metric("cache_read_bytes_total", "counter", "cache.disk_bytes_read", "", "bytes of code read from disk"),
    _Metric("cache_written_bytes_total", "counter", "cache.disk_bytes_written", "", "bytes of code written to disk"),
    _Metric("cache_memory_bytes", "gauge", "cache.memory_bytes", "", "bytes of objects kept in memory"),
    _Metric("code_bytes", "gauge", "cache.loaded_bytes", "", "bytes of mapped code in use"),
)  # fmt: skip


@overload
def metrics() -> dict[str, Any]: ...
@overload
def metrics(format: Literal["dict"]) -> dict[str, Any]: ...
@overload
def metrics(format: Literal["prometheus"]) -> str: ...
def metrics(format: object = "dict") -> dict[str, Any] | str:
    """What this process's engine did since it started, worker processes not included.

    Parameters:
        format: "dict" for a mapping, "prometheus" for the text that Prometheus reads.

    Returns:
        A mapping with
        "functions": times a function was bound to columns, "compiled" and "interpreted", and "refused", those that are not
        compiled by reason (one may have several);
        "rows": rows that compiled functions were run on, by "native" code and the engine's "interpreter", and "left", those of them
        that were left for CPython, by reason;
        "compile": "requests" for native code, those "compiled" and those that ended as "failures", "ms" that the compiler took in
        all, requests "queued" now, "starts" of its process;
        "cache": look-ups, entries and bytes of the code cache, in memory and on disk; "disk_off" says why nothing is kept on
        disk though it should be;
        "ns_per_row": of each compiled function that ran, among the last 256 that were bound, a mapping of "function", "place" (file
        and line), "columns" that it was bound to, and the measured nanoseconds a row by the engine's "interpreter", which serves until
        native code is there, and by "native" code; None where it did not run there. One vector of 2,048 rows in 16 is timed, and the
        first of each run.

    Raises:
        PlanError: another format.

    >>> import sabot as sb
    >>> sorted(sb.metrics())
    ['cache', 'compile', 'functions', 'ns_per_row', 'rows']
    """
    if not isinstance(format, str) or format not in ("dict", "prometheus"):
        raise PlanError(f"format={_config.shown(format)}: it is one of 'dict', 'prometheus'")
    raw = _engine.stats()
    found = {
        "functions": raw["functions"],
        "rows": raw["rows"],
        "compile": {
            "requests": raw["requests"],
            "compiled": raw["compiled"],
            "failures": raw["failures"],
            "ms": raw["compile_ms"],
            "queued": raw["queued"],
            "starts": raw["helper_starts"],
        },
        "cache": raw["cache"],
        "ns_per_row": _ns_per_row(),
    }
    return found if format == "dict" else _prometheus(found)


def _ns_per_row() -> list[dict[str, Any]]:
    """What was measured of each function; those of one place and with columns of the same types are one."""
    sums: dict[tuple[str, str, str], dict[str, list[int]]] = {}
    for blob, columns, core in bound_functions():
        facts: dict[str, Any] = json.loads(core.report()) if core.compiled else {}
        if not any(one["rows"] for one in facts.get("timed", {}).values()):
            continue
        types = dict(columns)
        read = ", ".join(f"{name}: {types[name]}" for name in facts["params"])
        name, file, line = blob_head(blob)
        of = sums.setdefault((name, f"{file}:{line}", read), {tier: [0, 0] for tier in _TIERS})
        for tier in _TIERS:
            of[tier][0] += facts["timed"][tier]["ns"]
            of[tier][1] += facts["timed"][tier]["rows"]
    return [
        dict(zip(("function", "place", "columns"), key, strict=True))
        | {tier: ns / rows if rows else None for tier, (ns, rows) in of.items()}
        for key, of in sums.items()
    ]


def _ns_per_row_lines(measured: list[dict[str, Any]]) -> list[str]:
    lines = [
        "# HELP sabot_ns_per_row nanoseconds a row that a compiled function took, some rows measured",
        "# TYPE sabot_ns_per_row gauge",
    ]
    for one in measured:
        labels = ",".join(
            f'{name}="{_escaped(one[name])}"' for name in ("function", "place", "columns")
        )
        lines += [
            f'sabot_ns_per_row{{{labels},tier="{tier}"}} {one[tier]}'
            for tier in _TIERS
            if one[tier] is not None
        ]
    return lines


def _escaped(text: str) -> str:
    """A label's value as the format has it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _prometheus(found: dict[str, Any]) -> str:
    lines: list[str] = []
    last = ""
    for metric in _METRICS:
        name = f"sabot_{metric.name}"
        if metric.name != last:
            lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}"]
        last = metric.name
        part, key = metric.path.split(".")
        value: Any = found[part][key]
        label, _, which = metric.label.partition("=")
        if isinstance(value, dict):
            counts = cast("dict[str, int]", value)
            lines += [f'{name}{{{label}="{which}"}} {counts[which]}' for which in sorted(counts)]
        elif metric.name.endswith("_seconds_total"):
            lines.append(f"{name} {value / 1000}")
        else:
            lines.append(f'{name}{{{label}="{which}"}} {value}' if label else f"{name} {value}")
    lines += _ns_per_row_lines(found["ns_per_row"])
    return "\n".join(lines) + "\n"
