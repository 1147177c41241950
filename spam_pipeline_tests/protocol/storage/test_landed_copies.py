"""Copies of remote landed files between observing and decoding them."""

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from spam_pipeline.protocol.storage.cache_room import CacheRoom
from spam_pipeline.protocol.storage.landed_copies import LandedCopies

DIGEST = hashlib.sha256(b"abc").hexdigest()


@pytest.fixture
def copies(tmp_path: Path) -> LandedCopies:
    return LandedCopies(tmp_path / "landing", CacheRoom(tmp_path, max_bytes=1000))


def writing(content: bytes) -> Callable[[Path], None]:
    def fetch(to: Path) -> None:
        to.write_bytes(content)

    return fetch


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_copy_is_taken_once_and_gone_then(copies: LandedCopies, tmp_path: Path) -> None:
    assert copies.add(writing(b"abc")) == DIGEST
    taken = copies.take(DIGEST)
    assert files_in(tmp_path) == []
    assert taken is not None
    with taken:
        assert taken.read() == b"abc"
    assert copies.take(DIGEST) is None


def test_nobody_but_the_owner_reaches_a_copy(copies: LandedCopies, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        copies.add(writing(b"abc"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "landing").stat().st_mode) == 0o700


def test_a_copy_with_other_bytes_is_none(copies: LandedCopies, tmp_path: Path) -> None:
    copies.add(writing(b"abc"))
    (tmp_path / "landing" / DIGEST).write_bytes(b"abd")
    assert copies.take(DIGEST) is None


def test_what_could_not_be_fetched_leaves_nothing(copies: LandedCopies, tmp_path: Path) -> None:
    def fetch(to: Path) -> None:
        to.write_bytes(b"ab")
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        copies.add(fetch)
    assert files_in(tmp_path) == []


def test_only_what_leaves_room_for_others_is_kept(copies: LandedCopies) -> None:
    assert copies.has_room_for(100)
    assert not copies.has_room_for(101)


def test_what_nobody_took_within_a_day_is_swept(copies: LandedCopies, tmp_path: Path) -> None:
    copies.sweep()
    for content, age in ((b"abc", 25 * 3600), (b"abd", 0)):
        digest = copies.add(writing(content))
        file = tmp_path / "landing" / digest
        os.utime(file, (0, file.stat().st_mtime - age))
    copies.sweep()
    assert [file.read_bytes() for file in files_in(tmp_path)] == [b"abd"]
