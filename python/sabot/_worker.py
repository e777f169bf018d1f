"""What a worker process runs: calls of one user function, for the run that started it.

It is started by exec, never by fork, and does not run the user's main module: the function comes pickled, by value where it is of that
module. It answers one message at a time. A thread watches whether the run still lives; when it does not, the process ends at
once, whatever it does.
"""

from __future__ import annotations

import atexit
import os
import pickle
import select
import socket
import sys
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sabot import _frames, _pickling
from sabot._calls import call_batch, call_rows, items
from sabot._frames import ClosedError, Message
from sabot._instances import Holder
from sabot._remote_errors import packed

if TYPE_CHECKING:
    from collections.abc import Generator

    from sabot._calls import Outcome, Work
    from sabot._remote_errors import Packed

_WATCH_MS = 1000


def main(fd: int, parent: int) -> None:
    """Serves one run until it ends."""
    sock = socket.socket(fileno=fd)
    threading.Thread(target=_watch, args=(sock, parent), name="sabot-watch", daemon=True).start()
    worker = _Worker(sock)
    with suppress(ClosedError):
        while worker.answer(_frames.receive(sock)):
            pass
    # The rest of an orderly exit frees what ends anyway, and would wait for threads that the function left.
    runner: Any = atexit
    with suppress(BaseException):
        runner._run_exitfuncs()
    worker.flush()
    os._exit(0)


def _watch(sock: socket.socket, parent: int) -> None:
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    # A process that was forked off the parent may hold the other end, too.
    while not poll.poll(_WATCH_MS) and os.getppid() == parent:
        pass
    os._exit(1)


class _Worker:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._work: Work | None = None
        self._holder: Holder | None = None
        self._made: Generator[pa.RecordBatch] | None = None

    def answer(self, message: Message) -> bool:
        """Does what one message asks for; False after the last."""
        kind = message.kind
        try:
            reply = self._do(kind, message)
        except BaseException as error:  # sent to the run
            reply = Message(_frames.FAILED, _pickled(_packed(error)))
        self.flush()
        _frames.send(self._sock, reply)
        return kind != _frames.END

    def _do(self, kind: bytes, message: Message) -> Message:
        if kind == _frames.LOAD:
            self._work = _pickling.loads(message.data)
            assert self._work is not None
            self._holder = Holder(self._work.target, self._work.place.name)
            return Message(_frames.DONE)
        assert self._holder is not None
        assert self._work is not None
        if kind == _frames.END:
            self._holder.close()
            return Message(_frames.CLOSED)
        if kind == _frames.NEXT:
            return self._next()
        if kind == _frames.DROP:
            self._drop()
            return Message(_frames.NO_ITEM)
        fn = self._holder.get()
        assert message.batch is not None
        if kind == _frames.ITEMS:
            self._made = items(fn, self._work, message.batch)
            return self._next()
        if kind == _frames.ROWS:
            return _done(call_rows(fn, self._work, message.batch, lambda: False))
        return _done(call_batch(fn, self._work, message.batch))

    def _next(self) -> Message:
        assert self._made is not None
        batch = next(self._made, None)
        if batch is None:
            self._made = None
            return Message(_frames.NO_ITEM)
        return Message(_frames.ITEM, batch=batch)

    def _drop(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            with closing(made):
                pass

    def flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()


def _packed(error: BaseException) -> Packed:
    return packed(error, _OWN_FOLDER)


def _done(outcome: Outcome) -> Message:
    result = outcome.result
    is_batch = isinstance(result, pa.RecordBatch)
    if result is not None and not is_batch:
        batches: Any = pa.RecordBatch
        result = batches.from_arrays([result], ["result"])
    failures = [(row, _packed(error)) for row, error in outcome.failures]
    return Message(_frames.DONE, _pickled((failures, outcome.fatal, is_batch)), result)


def _pickled(data: Any) -> bytes:
    return pickle.dumps(data, pickle.HIGHEST_PROTOCOL)


_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__))
