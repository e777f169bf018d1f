"""Async iteration of a stream: the run is driven by a helper thread, its async sources by the event loop that consumes."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from sabot._bridge import OnLoop, ReaderThread
from sabot._loops import RunLoop
from sabot._run import RunContext

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    import pyarrow as pa


async def run_async(
    run: Callable[[RunContext], Generator[pa.RecordBatch]],
) -> AsyncGenerator[pa.RecordBatch]:
    """The batches of a run, for the running event loop, which waits neither for the engine nor for a source.

    Parameters:
        run: gives the batches of a run with that context; it is called and closed in a helper thread.
    """
    loop = asyncio.get_running_loop()
    context = RunContext(partial(OnLoop, loop=loop))
    context.loop = RunLoop(loop)
    reader = ReaderThread(lambda: run(context))
    try:
        async for batch in reader:
            yield batch
    finally:
        # First what the helper thread may wait for.
        context.stops.stop()
        await reader.aclose()
