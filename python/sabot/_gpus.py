"""Which GPUs the worker processes of functions with `gpus=` see.

A worker is shown its devices by `CUDA_VISIBLE_DEVICES`, which CUDA reads when a process first uses it: whole devices of its own, or a
part of one that others have parts of, too. The parts given out by this process never come to more than each device. Nothing
is measured or limited on the device itself: a part is a promise about how many workers share it.

Devices are those that `CUDA_VISIBLE_DEVICES` of this process names, else those that the driver shows under /dev.
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, NamedTuple

from sabot._errors import PlanError, ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterable

VARIABLE = "CUDA_VISIBLE_DEVICES"
_SLACK = 1e-9  # of sums of parts such as 1/3


class Need(NamedTuple):
    """So many workers, each with so many GPUs: a whole number of them, or a part of one."""

    workers: int
    gpus: float

    def __str__(self) -> str:
        noun = "worker" if self.workers == 1 else "workers"
        return f"{self.workers} {noun} with {self.gpus:g} GPU{'s' if self.gpus > 1 else ''} each"


def devices() -> tuple[str, ...]:
    """The GPUs that this process may use, by the names that CUDA gives them."""
    given = os.environ.get(VARIABLE)
    if given is None:
        try:
            found = [re.fullmatch(r"nvidia(\d+)", name) for name in os.listdir("/dev")]
        except OSError:
            return ()
        return tuple(sorted((one[1] for one in found if one is not None), key=int))
    names: list[str] = []
    for name in (part.strip() for part in given.split(",")):
        if not name or name.startswith("-"):  # as CUDA reads it: what follows does not count
            break
        names.append(name)
    return tuple(dict.fromkeys(names))


def workers_max(gpus: float) -> int:
    """How many workers the machine has GPUs for."""
    count = len(devices())
    return count // int(gpus) if gpus >= 1 else count * int(1 / gpus + _SLACK)


def check(name: str, needs: Iterable[Need]) -> None:
    """Refuses what the machine has not.

    Parameters:
        name: of the function that comes last.
        needs: of all functions of one stream, whose workers live at the same time.

    Raises:
        PlanError: there are not as many GPUs.
    """
    wanted = list(needs)
    names = devices()
    held = dict.fromkeys(names, 0.0)
    if all(_taken(held, need) is not None for need in wanted):
        return
    what = " and ".join(map(str, wanted))
    seen = f"{VARIABLE}={os.environ[VARIABLE]!r}" if VARIABLE in os.environ else "/dev/nvidia*"
    raise PlanError(
        f"{name}: {what}, but there {'is' if len(names) == 1 else 'are'} {len(names) or 'no'} "
        f"GPU{'' if len(names) == 1 else 's'} ({seen}); give less gpus= or max_concurrency="
    )


def _taken(held: dict[str, float], need: Need) -> list[tuple[str, ...]] | None:
    """The devices of each worker, added to `held`; None where there are not enough."""
    workers: list[tuple[str, ...]] = []
    for _ in range(need.workers):
        if need.gpus >= 1:
            some = [name for name, part in held.items() if part == 0][: int(need.gpus)]
            if len(some) < int(need.gpus):
                return None
        else:
            # The fullest that has room, so that whole ones are left.
            room = [name for name, part in held.items() if part + need.gpus <= 1 + _SLACK]
            if not room:
                return None
            some = [max(room, key=held.__getitem__)]
        for name in some:
            held[name] += min(need.gpus, 1.0)
        workers.append(tuple(some))
    return workers


_held: dict[str, float] = {}
_lock = threading.Lock()


class Reservation:
    """The devices of the workers of one function in one run, until release(). `left`: of the workers that have not begun.

    Raises:
        ResourceError: other runs of this process have them.
    """

    def __init__(self, name: str, need: Need) -> None:
        self._need = need
        with _lock:
            tried = {device: _held.get(device, 0.0) for device in devices()}
            workers = _taken(tried, need)
            if workers is None:
                raise ResourceError(
                    f"{name} needs {need}, and other runs of this process have too many of the {len(tried)} GPUs; "
                    "run them one after the other, or give less gpus= or max_concurrency="
                )
            _held.update(tried)
        self._all = workers
        self.left = list(reversed(workers))

    def take(self) -> tuple[str, ...]:
        """The devices of one more worker; any thread may call it."""
        with _lock:
            return self.left.pop()

    def release(self) -> None:
        """Gives them back. Calling it again does nothing."""
        with _lock:
            given, self._all = self._all, []
            for device in (device for worker in given for device in worker):
                left = _held[device] - min(self._need.gpus, 1.0)
                _held[device] = left if left > _SLACK else 0.0
