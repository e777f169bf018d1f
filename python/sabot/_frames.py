"""Messages between a run and its worker processes, over a socket pair that they inherit and nobody else can open.

A message is a kind, pickled data, and Arrow data as one IPC stream. A short one goes through the socket whole. A long one lies in
shared memory without a name (memfd, 0600, sealed when it is written), whose descriptor goes through the socket; the reader maps it,
closes the descriptor, and the memory is freed with the last array over it. So nothing is left behind whichever side dies.

Layout of a packet: kind (1 byte), size of the Arrow data, size of the pickled data (8 bytes each, little endian), then, when no
descriptor comes with it, both. In shared memory they follow each other from its beginning, so the Arrow data is aligned.
"""

from __future__ import annotations

import array
import fcntl
import mmap
import os
import socket
import struct
from typing import Any, NamedTuple

import pyarrow as pa

_HEAD = struct.Struct("<cQQ")
_INLINE_MAX = 64 * 1024  # bytes of a message that goes through the socket
_PACKET_MAX = _HEAD.size + _INLINE_MAX
_SEALS = 0x0001 | 0x0002 | 0x0004 | 0x0008  # F_SEAL_SEAL, SHRINK, GROW, WRITE
_ADD_SEALS = 1033  # F_ADD_SEALS

# From the run: a function to load; rows, a batch or a flat_map batch to do; the next of its batches; no more of them; the end.
LOAD, ROWS, BATCH, ITEMS, NEXT, DROP, END = b"L", b"R", b"B", b"I", b"N", b"D", b"E"
# From the worker: what a call gave; a batch of flat_map; no more of them; what failed outside of calls; the object is closed.
DONE, ITEM, NO_ITEM, FAILED, CLOSED = b"d", b"i", b"n", b"f", b"c"


class Message(NamedTuple):
    """`data` is pickled, by whoever sends it; `batch`: Arrow data, or None."""

    kind: bytes
    data: bytes = b""
    batch: pa.RecordBatch | None = None


class ClosedError(Exception):
    """The other side is gone."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends; packets keep their bounds."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: Message) -> None:
    """Sends a message; raises ClosedError where nobody reads."""
    batch, data = message.batch, message.data
    try:
        if len(data) + (0 if batch is None else batch.nbytes) < _INLINE_MAX:
            stream = _inline(batch)
            if len(stream) + len(data) <= _INLINE_MAX:
                sock.sendmsg([_HEAD.pack(message.kind, len(stream), len(data)), stream, data])
                return
        _send_shared(sock, message)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise ClosedError from error


def _inline(batch: pa.RecordBatch | None) -> memoryview:
    sink: Any = pa.BufferOutputStream()
    _write(sink, batch)
    return memoryview(sink.getvalue())


def _send_shared(sock: socket.socket, message: Message) -> None:
    fd = os.memfd_create("sabot-batch", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.fchmod(fd, 0o600)
        with open(fd, "wb", buffering=0, closefd=False) as file:
            sink: Any = pa.PythonFile(file, "w")
            with sink:
                _write(sink, message.batch)
        size = os.fstat(fd).st_size
        rest = memoryview(message.data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        fcntl.fcntl(fd, _ADD_SEALS, _SEALS)
        socket.send_fds(sock, [_HEAD.pack(message.kind, size, len(message.data))], [fd])
    finally:
        os.close(fd)


def _write(sink: Any, batch: pa.RecordBatch | None) -> None:
    if batch is not None:
        writer: Any = pa.ipc.new_stream(sink, batch.schema)
        with writer:
            writer.write_batch(batch)


def receive(sock: socket.socket) -> Message:
    """Waits for a message; raises ClosedError where none can come any more."""
    try:
        packet, ancillary, _, _ = sock.recvmsg(
            _PACKET_MAX, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionResetError as error:
        raise ClosedError from error
    if not packet:
        raise ClosedError
    kind, size, data_size = _HEAD.unpack_from(packet)
    content: Any = memoryview(packet)[_HEAD.size :]
    for _, _, fds in ancillary:
        fd = array.array("i", fds)[0]
        try:
            content = memoryview(mmap.mmap(fd, size + data_size, prot=mmap.PROT_READ))
        finally:
            os.close(fd)
    return Message(kind, bytes(content[size : size + data_size]), _read(content[:size]))


def _read(content: Any) -> pa.RecordBatch | None:
    if not len(content):
        return None
    source: Any = pa.py_buffer(content)
    return pa.ipc.open_stream(source).read_next_batch()
