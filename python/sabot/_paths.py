"""Files to read: a path, a glob, a directory with hive partitions, a list, a file object or an fsspec URL, as `FileRef`s."""

# fsspec has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import glob
import io
import os
import re
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import unquote

import pyarrow as pa

from sabot._errors import DataError, MissingFileError, PlanError, StateError, suggest
from sabot._optional import need
from sabot._rows import class_of, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

_NULL = "__HIVE_DEFAULT_PARTITION__"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_GLOB = re.compile(r"[*?[]")
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4", ".br": "brotli"}
# Code of these runs when a stream is built, that of a user does not.
_TRUSTED = sys.stdlib_module_names | {"fsspec", "pyarrow", "s3fs", "gcsfs", "adlfs"}


class _Unpacked(pa.CompressedInputStream):
    """What a packed file holds."""

    packed: Any


class FileRef(NamedTuple):
    """A file to read: how messages name it, how it is opened, and the values that its folders give to partition columns."""

    name: str
    opener: (
        Any  # of a local path a str, of a URL (filesystem, path), of a file object a BorrowedFile
    )
    keys: tuple[tuple[str, str | None], ...] = ()

    @property
    def borrowed(self) -> BorrowedFile | None:
        """The user's file object; None where Sabot opens the file itself."""
        return self.opener if isinstance(self.opener, BorrowedFile) else None

    @property
    def _users(self) -> bool:
        """Whether code of a user reads it, whose exceptions are not ours to change."""
        return self.borrowed is not None and not self.borrowed.trusted

    @property
    def size(self) -> int | None:
        """The bytes of a local file."""
        try:
            return os.path.getsize(self.opener) if isinstance(self.opener, str) else None
        except OSError:
            return None

    def share(self, file: Any, most: int | None = None) -> float | None:
        """How much of a local file lies before the place where reading is; None where that cannot be told.

        Parameters:
            file: as opened() gave it.
            most: bytes that were used up, of what may have been read ahead; of a packed file it means nothing.
        """
        size = self.size
        if not size:
            return None
        if isinstance(file, _Unpacked):
            return min(1.0, file.packed.tell() / size) if not file.packed.closed else 1.0
        if not isinstance(file, pa.OSFile):
            return None
        place = file.tell() if most is None else min(file.tell(), most)
        return min(1.0, place / size)

    @contextmanager
    def opened(self, decompress: bool = False) -> Generator[Any]:
        """The file, open for reading, as pyarrow takes it. `decompress`: as the ending of its name says."""
        opener = self.opener
        compression: Any = _COMPRESSIONS.get(os.path.splitext(self.name)[1]) if decompress else None
        with self.naming():
            if isinstance(opener, str):
                file: Any = pa.OSFile(opener, "rb")
            elif isinstance(opener, BorrowedFile):
                file = opener.begin()
            else:
                filesystem, path = opener
                file = filesystem.open(path, "rb")
        try:
            if compression is None:
                yield file
            else:
                with _Unpacked(file, compression) as plain:
                    plain.packed = file
                    yield plain
        finally:
            file.close()

    @contextmanager
    def naming(self) -> Generator[None]:
        """Errors inside name the file: what pyarrow finds wrong with its bytes is a DataError."""
        try:
            yield
        except pa.ArrowException as error:
            raise DataError(f"{self.name}: {error}") from error
        except UnicodeDecodeError as error:
            if self._users:
                raise
            raise DataError(f"{self.name}: a name in it is not UTF-8 ({error})") from error
        except OSError as error:
            if error.errno is None and not self._users:
                raise DataError(f"{self.name}: {error}") from error
            error.add_note(f"while reading {self.name}")
            raise


class BorrowedFile:
    """A user's file object: read from where it stood, by one pass at a time, and never closed."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.trusted = type(file).__module__.partition(".")[0] in _TRUSTED
        self.seekable: bool | None = None  # until it was asked
        self.start = 0
        self._begun = False
        self._lock = threading.Lock()
        if self.trusted:
            self._ask()

    def _ask(self) -> None:
        if getattr(self.file, "closed", False) is True:
            raise StateError(f"the file object {describe(self.file)} is closed")
        seekable = getattr(self.file, "seekable", None)
        self.seekable = bool(seekable()) if seekable is not None else False
        if self.seekable:
            self.start = self.file.tell()

    def begin(self) -> _FilePass:
        """Takes the file for one pass, which gives it back when it is closed."""
        if not self._lock.acquire(blocking=False):
            raise StateError(
                "this file object is being read by another run: close that, or pass a path"
            )
        try:
            if self.seekable is None or getattr(self.file, "closed", False) is True:
                self._ask()
            if self.seekable:
                self.file.seek(self.start)
            elif self._begun:
                raise StateError("this file object cannot seek, and was read before: pass a path")
            self._begun = True
        except BaseException:
            self._lock.release()
            raise
        return _FilePass(self, self._lock.release)


class _FilePass:
    """A borrowed file as one pass sees it: positions are counted from where the file stood."""

    def __init__(self, borrowed: BorrowedFile, give_back: Callable[[], None]) -> None:
        self.closed = False
        self._file = borrowed.file
        self._start = borrowed.start
        self._seekable = bool(borrowed.seekable)
        self._give_back = give_back

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._give_back()

    def read(self, size: int | None = -1) -> bytes:
        data: object = self._file.read(-1 if size is None else size)
        if not isinstance(data, bytes | bytearray | memoryview):
            raise DataError(f"read() of {class_of(self._file)} gave {describe(data)}, not bytes")
        return bytes(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset + (0 if whence else self._start), whence)
        return self.tell()

    def tell(self) -> int:
        place: object = self._file.tell()
        if not isinstance(place, int):
            raise DataError(f"tell() of {class_of(self._file)} gave {describe(place)}, not a place")
        return place - self._start

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return self._seekable


def resolve(source: object) -> list[FileRef]:
    """The files of a source: those of a list in its order, those of a glob or a directory sorted by name.

    Raises:
        MissingFileError: a file is not there, or nothing matches.
        PlanError: it is nothing that names files.
    """
    if isinstance(source, list | tuple):
        refs = [ref for one in cast("Sequence[object]", source) for ref in _resolve_one(one)]
        if not refs:
            raise PlanError("the list of files is empty")
        return refs
    return _resolve_one(source)


def title(source: object, refs: list[FileRef]) -> str:
    """How explain() names the files."""
    if isinstance(source, str | os.PathLike):
        name = os.fsdecode(cast("str | os.PathLike[str]", source))
        return name if len(refs) == 1 and refs[0].name == name else f"{name}, {_count(refs)}"
    return refs[0].name if len(refs) == 1 else _count(refs)


def _count(refs: list[FileRef]) -> str:
    return f"{len(refs)} file{'s' if len(refs) != 1 else ''}"


def _resolve_one(source: object) -> list[FileRef]:
    if isinstance(source, str | os.PathLike):
        path: object = os.fspath(cast("Any", source))
        if isinstance(path, str):
            if not path:
                raise PlanError("the path is empty")
            if "\0" in path:
                raise PlanError(f"the path {path!r} has a null character")
            return _resolve_url(path) if _URL.match(path) else _resolve_path(path)
    if isinstance(source, io.TextIOBase):
        raise PlanError(f"{class_of(source)} gives text; open the file for bytes, with mode 'rb'")
    if not isinstance(source, bytes | bytearray | type) and hasattr(source, "read"):
        name = getattr(source, "name", None)
        name = name if isinstance(name, str) else type(source).__name__
        return [FileRef(name, BorrowedFile(source))]
    hint = "; io.BytesIO(data) makes bytes a file" if isinstance(source, bytes | bytearray) else ""
    raise PlanError(
        f"a source is a path, a glob, a list of them, a file object or a URL, not {class_of(source)}{hint}"
    )


def _resolve_path(path: str) -> list[FileRef]:
    full = os.path.expanduser(path)
    if os.path.isdir(full):
        found = sorted(_walk(full))
        if not found:
            raise MissingFileError(f"the directory {path!r} holds no file")
        return [FileRef(one, one, _keys(one[len(full) :])) for one in found]
    if os.path.exists(full):
        return [FileRef(path, full)]
    if _GLOB.search(full):
        root = os.path.dirname(full[: cast("Any", _GLOB.search(full)).start()])
        found = sorted(one for one in glob.glob(full, recursive=True) if os.path.isfile(one))
        if not found:
            raise MissingFileError(f"no file matches {path!r}")
        return [FileRef(one, one, _keys(one[len(root) :])) for one in found]
    folder = os.path.dirname(full) or "."
    names = os.listdir(folder) if os.path.isdir(folder) else []
    hint = suggest(os.path.basename(full), names) if len(names) < 1000 else ""
    hint = hint if hint.startswith("; did") else ""
    raise MissingFileError(f"there is no file {path!r}{hint}")


def _walk(root: str) -> Iterator[str]:
    """The files below a directory, without hidden ones and those that begin with an underscore, as other writers leave."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith((".", "_")) or "=" in name]
        for name in names:
            if not name.startswith((".", "_")):
                yield os.path.join(folder, name)


def _keys(below: str) -> tuple[tuple[str, str | None], ...]:
    """The key=value folders of a path below its root."""
    found: list[tuple[str, str | None]] = []
    for part in below.replace(os.sep, "/").split("/")[:-1]:
        key, equals, value = part.partition("=")
        if equals and key:
            value = unquote(value)
            found.append((unquote(key), None if value == _NULL else value))
    return tuple(found)


def _resolve_url(url: str) -> list[FileRef]:
    core = need("fsspec", repr(url)).core
    try:
        found: tuple[Any, str] = core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise PlanError(f"{url!r}: {error}") from error
    filesystem, path = found
    scheme = url.partition("://")[0]
    if filesystem.isdir(path):
        names = sorted(_visible(filesystem.find(path), path))
        if not names:
            raise MissingFileError(f"the directory {url!r} holds no file")
        root = path
    elif filesystem.exists(path):
        return [FileRef(url, (filesystem, path))]
    elif match := _GLOB.search(path):
        names = sorted(one for one in filesystem.glob(path) if filesystem.isfile(one))
        if not names:
            raise MissingFileError(f"no file matches {url!r}")
        root = path[: match.start()].rpartition("/")[0]
    else:
        raise MissingFileError(f"there is no file {url!r}")
    return [
        FileRef(f"{scheme}://{one.lstrip('/')}", (filesystem, one), _keys(one[len(root) :]))
        for one in names
    ]


def _visible(names: list[str], root: str) -> Iterator[str]:
    for name in names:
        parts = name[len(root) :].strip("/").split("/")
        hidden = any(part.startswith((".", "_")) and "=" not in part for part in parts)
        if not hidden:
            yield name
