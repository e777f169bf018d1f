"""Worker processes: each is driven by one thread of a lane, which sends it a batch and waits for the answer.

A process begins with the first work that its thread takes and ends with the run. One that dies is replaced, and what it was doing is
done once more; when that kills the next one too, the run ends with a WorkerError. Nothing that a process does outlives it: it
has one socket and no files, and shared memory has no name (_frames.py).

A worker is a fresh Python, in a process group of its own, so that Ctrl-C at a terminal reaches the run alone, which then ends its
workers. It inherits the environment, the working directory, stdout and stderr; `sys.path` is sent; stdin is empty.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sabot import _frames, _gpus, _pickling
from sabot._calls import Outcome
from sabot._errors import PlanError, WorkerError
from sabot._frames import ClosedError, Message
from sabot._remote_errors import rebuilt

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator

    import pyarrow as pa

    from sabot._calls import Work

_EXIT_S_MAX = 1.0  # for a worker that has closed its object, and has only to end
_START = """\
import sys, json
sys.path[:] = json.loads(sys.argv[3])
from sabot._worker import main
main(int(sys.argv[1]), int(sys.argv[2]))
"""


def ship(work: Work) -> bytes:
    """A function with what it needs, as workers load it.

    Raises:
        PlanError: it cannot be sent to another process.
    """

    try:
        return _pickling.dumps(work)
    except Exception as error:
        raise PlanError(
            f"{work.place.text}: use_process=True sends the function to other processes, and it cannot be pickled: "
            f"{type(error).__name__}: {error}; make what it needs inside of it, or in the __init__ of a class"
        ) from error


def _environment(devices: tuple[str, ...] | None) -> dict[str, str] | None:
    """Ours, but for the GPUs that the worker may see; None: ours."""
    if devices is None:
        return None
    return {**os.environ, _gpus.VARIABLE: ",".join(devices)}


class _Process:
    """One worker process. devices: the GPUs that it sees; None: all that there are."""

    def __init__(self, devices: tuple[str, ...] | None) -> None:
        if not sys.executable:
            raise WorkerError(
                "use_process=True needs sys.executable, the Python to start workers with"
            )
        ours, theirs = _frames.pair()
        self.sock: socket.socket = ours
        self._lock = threading.Lock()
        flags: Any = subprocess
        options: list[str] = flags._args_from_interpreter_flags()
        try:
            with theirs:
                self._popen = subprocess.Popen(
                    [
                        sys.executable,
                        *options,
                        "-c",
                        _START,
                        str(theirs.fileno()),
                        str(os.getpid()),
                        json.dumps(sys.path),
                    ],
                    env=_environment(devices),
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    process_group=0,
                )
            self._pidfd = os.pidfd_open(self._popen.pid)
        except BaseException:
            ours.close()
            raise
        self._poll = select.poll()
        self._poll.register(ours, select.POLLIN)
        self._poll.register(self._pidfd, select.POLLIN)

    def ask(self, message: Message) -> Message:
        _frames.send(self.sock, message)
        # A process that the worker forked holds its socket, too, so that alone does not tell of its end.
        ready = [fd for fd, _ in self._poll.poll()]
        if self.sock.fileno() not in ready:
            raise ClosedError
        return _frames.receive(self.sock)

    def kill(self) -> None:
        """From any thread."""
        with self._lock:
            if self._popen.returncode is None:
                self._popen.kill()

    def end(self) -> str:
        """Waits for the process, which has ended or is about to; tells how it ended."""
        try:
            self._popen.wait(_EXIT_S_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            self._popen.wait()
        self.sock.close()
        os.close(self._pidfd)
        code = self._popen.returncode
        if code >= 0:
            return f"exit status {code}"
        with suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
        return f"signal {-code}"


class Remote:
    """Calls of one thread in a worker process of its own, and in those that replace it. devices: as of the process."""

    def __init__(self, work: Work, shipped: bytes, devices: tuple[str, ...] | None = None) -> None:
        self._work = work
        self._shipped = shipped
        self._devices = devices
        self._process: _Process | None = None
        self._aborted = False

    def rows(self, batch: pa.RecordBatch, stopped: Callable[[], bool]) -> Outcome:
        columns: Any = batch.select(list(self._work.columns))
        return self._outcome(self._ask_twice(Message(_frames.ROWS, batch=columns)))

    def batch(self, batch: pa.RecordBatch) -> Outcome:
        return self._outcome(self._ask_twice(Message(_frames.BATCH, batch=batch)))

    def items(self, batch: pa.RecordBatch) -> Generator[pa.RecordBatch]:
        """The batches of a flat_map call. A worker that dies is replaced only before the first: what was handed on stays."""
        reply = self._ask_twice(Message(_frames.ITEMS, batch=batch))
        try:
            while reply.kind == _frames.ITEM:
                assert reply.batch is not None
                yield reply.batch
                reply = self._ask(Message(_frames.NEXT))
        except GeneratorExit:
            if not self._aborted:
                self._ask(Message(_frames.DROP))
            raise
        except ClosedError:
            raise self._died(1) from None

    def abort(self) -> bool:
        self._aborted = True
        if (process := self._process) is not None:
            process.kill()
        return True

    def close(self) -> None:
        """Ends the process; its object is closed first, unless it was killed."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if not self._aborted:
                reply = process.ask(Message(_frames.END))
                if reply.kind == _frames.FAILED:
                    raise rebuilt(pickle.loads(reply.data))
        except ClosedError:
            pass
        finally:
            process.end()

    def _ask_twice(self, message: Message) -> Message:
        try:
            return self._ask(message)
        except ClosedError:
            failure = self._died(1)
            if self._aborted:
                raise failure from None
        try:
            return self._ask(message)
        except ClosedError:
            raise self._died(2) from None

    def _ask(self, message: Message) -> Message:
        if self._process is None:
            self._process = _Process(self._devices)
            if self._aborted:
                self._process.kill()
            loaded = self._process.ask(Message(_frames.LOAD, self._shipped))
            if loaded.kind == _frames.FAILED:
                error = rebuilt(pickle.loads(loaded.data))
                error.add_note(f"while a worker process loaded {self._work.place.name}")
                self._process.kill()
                self._died(1)
                raise error
        reply = self._process.ask(message)
        if reply.kind == _frames.FAILED:
            raise rebuilt(pickle.loads(reply.data))
        return reply

    def _outcome(self, reply: Message) -> Outcome:
        sent, fatal, is_batch = pickle.loads(reply.data)
        result: Any = reply.batch
        if result is not None and not is_batch:
            result = result.column(0)
        return Outcome(result, [(row, rebuilt(error)) for row, error in sent], fatal)

    def _died(self, times: int) -> WorkerError:
        process, self._process = self._process, None
        how = "it could not be started" if process is None else process.end()
        again = ", and so did the one that replaced it" if times > 1 else ""
        return WorkerError(f"a worker process of {self._work.place.text} died ({how}){again}")
