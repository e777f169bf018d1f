"""What closing a source raises: told once, whoever asks first, and never in the place of the source's own error."""

import threading
import time

import pyarrow as pa
import pytest

from sabot import _sources as sources

BATCH = pa.record_batch({"a": [1, 2, 3]})


@pytest.mark.parametrize("reads_on", [True, False])
def test_what_closing_raised_before_anybody_asked_is_told_once(reads_on):
    """A source that has ended by itself, before its consumer reads on or closes it."""

    async def ends():
        yield BATCH

    class Fails:
        def __aiter__(self):
            self.inner = ends()
            return self

        async def __anext__(self):
            return await anext(self.inner)

        async def aclose(self):
            closed.set()
            raise OSError("second")

    closed = threading.Event()
    batches = sources.from_batches(Fails()).open()
    next(batches)
    assert closed.wait(5)
    time.sleep(0.05)
    if reads_on:
        with pytest.raises(OSError, match="second"):
            next(batches)
        batches.close()
    else:
        with pytest.raises(OSError, match="second"):
            batches.close()


def test_what_a_source_raised_is_not_replaced_by_what_its_closing_raised():
    class Fails:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise ZeroDivisionError("here")

        async def aclose(self):
            raise OSError("second")

    batches = sources.from_batches(Fails()).open()
    with pytest.raises(ZeroDivisionError, match="here"):
        next(batches)
    batches.close()
