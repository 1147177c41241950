"""Flushing: what was written is on the disk before anything is told to rest on it."""

import os
from pathlib import Path


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, would survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
