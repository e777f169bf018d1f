"""The event loop on which one run awaits its async functions: the consumer's, or one private loop for all of them.

Threads: `RunLoop` is used by any thread of the run, a private loop runs in a thread of its own.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


class RunLoop:
    """One run's loop; every stage that needs it enters it and leaves it.

    given: the loop that consumes the run; None: a private one, begun by the first stage and ended with the last.
    """

    def __init__(self, given: asyncio.AbstractEventLoop | None = None) -> None:
        self._given = given
        self._lock = threading.Lock()
        self._users = 0
        self._private: _PrivateLoop | None = None

    def enter(self) -> asyncio.AbstractEventLoop:
        if self._given is not None:
            return self._given
        with self._lock:
            self._users += 1
            if self._private is None:
                self._private = _PrivateLoop()
            return self._private.loop

    def leave(self) -> None:
        if self._given is not None:
            return
        with self._lock:
            self._users -= 1
            private = self._private
            if self._users or private is None:
                return
            self._private = None
        private.close()


class _PrivateLoop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        import asyncio

        from sabot._bridge import start

        self.loop = asyncio.new_event_loop()
        self._closing = False
        self._thread = start(self._run, "sabot-calls")

    def close(self) -> None:
        """Ends it; a call that blocks it is left to end by itself."""
        from sabot._bridge import BLOCKED_S_MAX

        self._closing = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        if (
            threading.current_thread() is not self._thread
        ):  # the collector of garbage closes anywhere
            self._thread.join(BLOCKED_S_MAX)

    def _run(self) -> None:
        import asyncio

        loop = self.loop
        while not self._closing:
            with contextlib.suppress(BaseException):  # of what a function left on the loop
                loop.run_forever()
        strays = asyncio.all_tasks(loop)
        for stray in strays:
            stray.cancel()
        with contextlib.suppress(BaseException):
            loop.run_until_complete(_ended(strays))
            loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _ended(tasks: set[Any]) -> None:
    import asyncio

    await asyncio.gather(*tasks, return_exceptions=True)
