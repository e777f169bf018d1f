"""The command line: `sabot cache info` and `sabot cache clear`, also as `python -m sabot`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from sabot import _config, _core
from sabot._engine import CacheOptions, cache_options
from sabot._errors import SabotError


def _info(options: CacheOptions) -> int:
    if options.folder is None:
        print("off: no folder for compiled code (cache_dir)")
        return 0
    found = json.loads(_core.Cache(*options).stats(True))
    print(f"folder   {options.folder} ({_config.source_of('cache_dir')})")
    if found["disk_off"]:
        print(f"off: {found['disk_off']}")
        return 1
    most = options.disk_bytes_max or 256 << 20
    print(f"objects  {found['disk_entries']}")
    print(f"bytes    {found['disk_bytes']} of at most {most}")
    return 0


def _clear(options: CacheOptions) -> int:
    if options.folder is None:
        print("off: no folder for compiled code (cache_dir)")
        return 0
    count = _core.Cache.clear(options.folder)
    print(f"removed {count} object{'' if count == 1 else 's'} from {options.folder}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    parser = argparse.ArgumentParser(prog="sabot", description=None)
    parser.add_argument("--version", action="version", version=_core.__version__)
    topics = parser.add_subparsers(required=True, metavar="command")
    cache = topics.add_parser("cache", help="compiled code that is kept on disk")
    commands = cache.add_subparsers(required=True, metavar="command")
    for name, run, text in (
        ("info", _info, "where it is and how much there is"),
        ("clear", _clear, "remove all of it"),
    ):
        commands.add_parser(name, help=text).set_defaults(run=run)
    given = parser.parse_args(arguments)
    try:
        return given.run(cache_options())
    except SabotError as error:
        print(f"off: {error}")
        return 1
