"""Files and folders that appear whole or not at all.

A file is written under another name in the folder it belongs to, brought to disk, and renamed; a folder likewise, beside the
one it replaces, and the two change places in one step where the file system can do that (renameat2), else in two. What goes
wrong before that leaves what was there as it was.

A process that is killed leaves its temporary file or folder behind. Each is locked (flock) for as long as its writer lives,
so the next write into the same folder knows which ones are dead, and removes them: `sweep`. The same goes for `.sabot-old`, a
folder set aside in the two-step exchange: if its place is empty it goes back there.

Threads: an object belongs to one writer at a time; any number of writers and processes may use one folder.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sabot._errors import StateError, TargetExistsError

if TYPE_CHECKING:
    from collections.abc import Callable

TEMP = ".sabot-tmp"
_OLD = ".sabot-old"
_TOKEN_SIZE = 8  # random bytes of a temporary name
_NAME_SIZE_MAX = 255
_LEFTOVER = re.compile(
    rf"\.(?P<name>.*)\.[0-9a-f]{{{2 * _TOKEN_SIZE}}}(?P<kind>\.sabot-tmp|\.sabot-old)", re.DOTALL
)

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_UNABLE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def exists_error(path: str) -> TargetExistsError:
    """The error for a target that must not exist and does."""
    return TargetExistsError(
        f'{path!r} exists and mode="error": choose another path, mode="overwrite" or mode="append"'
    )


# --- names and locks


def _beside(folder: str, name: str, kind: str) -> str:
    end = f".{secrets.token_hex(_TOKEN_SIZE)}{kind}"
    if kind == TEMP:  # only a name that is put back must be whole
        room = _NAME_SIZE_MAX - len(end) - 1
        name = os.fsdecode(os.fsencode(name)[:room])
    return os.path.join(folder, f".{name}{end}")


def _lock(fd: int) -> bool:
    """Takes the lock of a file or folder; False if another holds it. A file system without locks counts as taken."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _linked(fd: int, path: str) -> bool:
    """Whether `path` still names what `fd` has open: another process may have swept it before it was locked."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(fd), there)


def sweep(folder: str) -> None:
    """Removes what dead processes left in a folder. What cannot be removed stays; that is no error."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        found = _LEFTOVER.fullmatch(name)
        if found is None:
            continue
        path = os.path.join(folder, name)
        if found["kind"] == _OLD:
            place = os.path.join(folder, found["name"])
            if not os.path.lexists(place):
                _quietly(os.rename, path, place)
                continue
        _remove_if_dead(path)


def _remove_if_dead(path: str) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if _lock(fd) and _linked(fd, path):
            remove(path)
    finally:
        os.close(fd)


def remove(path: str) -> None:
    """Removes a file or a folder with all in it; what cannot be removed stays."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        _quietly(os.unlink, path)


def _quietly(call: Callable[..., object], *arguments: object) -> None:
    with suppress(OSError):
        call(*arguments)


def sync_folder(folder: str) -> None:
    """Brings a folder's names to disk, where the file system can do that for a folder."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
    finally:
        os.close(fd)


def _rename2(source: str, target: str, flags: int) -> bool:
    """renameat2; False where the C library, the kernel or the file system does not have it."""
    call: Any = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNABLE:
        return False
    raise OSError(number, os.strerror(number), source, None, target)


def move_new(source: str, target: str) -> None:
    """Renames to a name that must be free.

    Raises:
        FileExistsError: it is not.
    """
    if _rename2(source, target, _RENAME_NOREPLACE):
        return
    if os.path.isdir(source):
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        os.rename(source, target)
    else:
        os.link(source, target)
        os.unlink(source)


def _parent(target: str) -> str:
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", folder)
    return folder


# --- a file


class NewFile:
    """A file that is written beside its place. `commit` puts it there, `abandon` removes it; one of them ends it.

    `sink` is where to write. `replace=False`: the place must be free, before and at the end. `mode`: the file's permissions; None:
    those of the file that it replaces, or what the process gives new files.
    """

    def __init__(self, target: str, *, replace: bool, mode: int | None = None) -> None:
        self.target = target
        self._replace = replace
        self._mode = mode
        folder = _parent(target)
        self._before = _identity(target)
        if self._before is not None and not replace:
            raise exists_error(target)
        if self._before is not None and not os.access(target, os.W_OK, effective_ids=True):
            # Its folder would let it be replaced, but somebody has protected it.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target)
        self._path, self._fd = self._create(folder)
        try:
            self.sink: pa.NativeFile = pa.OSFile(self._path, "wb")
        except BaseException:
            self._end()
            raise

    def _create(self, folder: str) -> tuple[str, int]:
        while True:
            path = _beside(folder, os.path.basename(self.target), TEMP)
            try:
                mode = 0o666 if self._mode is None else self._mode
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            except OSError as error:
                raise type(error)(error.errno, error.strerror, self.target) from None
            _lock(fd)
            if _linked(fd, path):
                return path, fd
            os.close(fd)

    def commit(self, *, unchanged: bool = False) -> int:
        """Puts the file in its place and gives its size in bytes.

        Raises:
            TargetExistsError: the place must be free and is not.
            StateError: `unchanged`, and another has changed what was there since this began.
        """
        self.sink.close()
        os.fsync(self._fd)
        size = os.fstat(self._fd).st_size
        if unchanged and _identity(self.target) != self._before:
            raise StateError(f"{self.target!r} was changed by another while it was appended to")
        if self._replace:
            if self._before is not None and self._mode is None:
                os.fchmod(self._fd, stat.S_IMODE(os.stat(self.target).st_mode))
            os.replace(self._path, self.target)
        else:
            try:
                move_new(self._path, self.target)
            except FileExistsError:
                raise exists_error(self.target) from None
        self._close()
        sync_folder(os.path.dirname(self.target) or ".")
        return size

    def abandon(self) -> None:
        """Removes the temporary file."""
        _quietly(self.sink.close)
        self._end()

    def _end(self) -> None:
        _quietly(os.unlink, self._path)
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _identity(path: str) -> tuple[int, int, int, int] | None:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return None
    return there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns


# --- a folder


class NewFolder:
    """A folder that is filled beside its place, or inside it (`inside=True`, to add files to it).

    `path` is where to write. `commit` puts it there, in place of what is there; `close` only removes it.
    """

    def __init__(self, target: str, *, inside: bool = False) -> None:
        self.target = target
        folder = target if inside else _parent(target)
        name = "" if inside else os.path.basename(target)
        while True:
            self.path = _beside(folder, name, TEMP)
            try:
                os.mkdir(self.path)
                self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                raise type(error)(error.errno, error.strerror, target) from None
            _lock(self._fd)
            if _linked(self._fd, self.path):
                return
            os.close(self._fd)

    def commit(self, *, replace: bool) -> None:
        """Puts the folder in its place; one that was there is removed.

        Raises:
            TargetExistsError: not `replace`, and a folder with something in it is there.
        """
        folder = os.path.dirname(self.target) or "."
        sync_folder(self.path)
        if os.path.isdir(self.target):
            if not replace and os.listdir(self.target):
                raise exists_error(self.target)
            os.chmod(self.path, stat.S_IMODE(os.stat(self.target).st_mode))
            if not _rename2(self.path, self.target, _RENAME_EXCHANGE):
                self._exchange_in_two_steps(folder)
        else:
            move_new(self.path, self.target)
        sync_folder(folder)
        self.close()

    def _exchange_in_two_steps(self, folder: str) -> None:
        aside = _beside(folder, os.path.basename(self.target), _OLD)
        os.rename(self.target, aside)
        try:
            os.rename(self.path, self.target)
        except BaseException:
            os.rename(aside, self.target)
            raise
        self.path = aside

    def close(self) -> None:
        """Removes what now has the temporary name: what was not put in place, or what it replaced."""
        remove(self.path)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
