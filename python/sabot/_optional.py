"""Libraries that Sabot works with and does not need: imported when asked for, and named with their install command."""

from __future__ import annotations

import importlib
from typing import Any

from sabot._errors import MissingLibraryError


def need(module: str, what: str) -> Any:
    """The module `module`, which `what` needs.

    Raises:
        MissingLibraryError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:  # it is there, and lacks something itself
            raise
        missing = MissingLibraryError(f"{what} needs {module}: pip install {module}")
        missing.name = module
        raise missing from None
