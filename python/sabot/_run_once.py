"""One run of the engine for one call of a compiled function, outside of streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sabot import _config, _core
from sabot._chain import TIERS
from sabot._guards import watched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sabot._function import Scalar

_ONE_THREAD_ROWS = 16384


def run_once(
    scalar: Scalar,
    plan: _core.Plan,
    feed: Any,
    *,
    rows: int,
    tier: str,
    operators: int,
    by_batch: Mapping[int, tuple[object, ...]] | None = None,
) -> list[Any]:
    """The batches that a plan of one function gives.

    Parameters:
        feed: a stream of record batches, or (batch, number, rows) of each.
        rows: how many there are; few get one thread.
        operators: of the plan.
        by_batch: the operators that CPython answers for whole batches.
    """
    run = _core.Run(
        plan,
        feed,
        (scalar.binding("CALL "),),
        by_batch or {},
        int(_config.get("threads")) or int(rows <= _ONE_THREAD_ROWS),
        int(_config.get("morsel_rows")),
        TIERS[tier],
        [watched() is not None],
        operators,
        validate=_config.get("validate") == "full",
    )
    parts: list[Any] = []
    try:
        while (made := run.next()) is not None:
            parts.append(made[0])
    finally:
        run.close()
    return parts
