"""Atomic replacement of a file: build beside it, flush, rename; a remote one is uploaded beside its place first. The content is the caller's."""

import glob
import itertools
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from upath import UPath

from spam_pipeline.protocol import flush

_LEFT_SECONDS = 86_400


@contextmanager
def replaced(place: Path | UPath, leftovers: Collection[str] = ()) -> Iterator[Path]:
    """Yield a local path to build a new file at; on leaving without an error, it durably replaces `place`, or the file it links to.

    Until then readers see the old file, and those that have it open keep it. Each caller builds in a folder of its own, so
    the last of several to finish wins. `leftovers` are suffixes of journals that belong to the old local file only, and would
    be replayed into the new one.
    """
    with _replaced_locally(place, leftovers) if isinstance(place, Path) else _uploaded(place) as building:
        yield building


@contextmanager
def _uploaded(place: UPath) -> Iterator[Path]:
    unfinished = place.with_name(f".{uuid4().hex}.{place.name}")
    with tempfile.TemporaryDirectory() as folder:
        building = Path(folder) / "building"
        yield building
        place.parent.mkdir(parents=True, exist_ok=True)
        place.fs.put_file(str(building), unfinished.path)
        place.fs.mv(unfinished.path, place.path)


@contextmanager
def _replaced_locally(path: Path, leftovers: Collection[str]) -> Iterator[Path]:
    named, path = path, path.resolve()  # whoever put a link there keeps the file on another disk
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        building = folder / "building"
        yield building
        flush(building)
        # A client's journal lies beside the name that it used.
        for place, suffix in itertools.product((named, path), leftovers):
            place.with_name(place.name + suffix).unlink(missing_ok=True)
        building.replace(path)
        flush(path.parent)
    finally:
        shutil.rmtree(folder)


def _sweep(path: Path) -> None:
    """Remove what processes killed a day ago or earlier have left beside a file."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                shutil.rmtree(left)
