"""The landing zone, in a local folder and behind fsspec."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from upath import UPath

from spam_pipeline.protocol.definition.landed_file import LandedFile
from spam_pipeline.protocol.foundation.errors import LandingChanged
from spam_pipeline.protocol.storage.landing_zone import LandingZone


@pytest.fixture(params=["local", "remote"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "landing") if request.param == "local" else f"memory://{uuid4().hex}/landing"


def land(url: str, path: str, content: bytes) -> None:
    location = UPath(url) / path
    location.parent.mkdir(parents=True, exist_ok=True)
    location.write_bytes(content)


def landed(url: str, path: str) -> LandedFile:
    zone = LandingZone(url)
    state = zone.state(path)
    assert state is not None
    return LandedFile("numbers", "2026-01-01", path, zone.digest(path), state.size, zone)


def test_files_are_listed_with_path_and_size_however_deep_they_lie(url: str) -> None:
    land(url, "a.csv", b"1")
    land(url, "plays/2026-01-01/00/b.jsonl", b"22")
    land(f"{url}-beside", "c.csv", b"333")
    found = sorted((state.path, state.size) for state in LandingZone(url).files())
    assert found == [("a.csv", 1), ("plays/2026-01-01/00/b.jsonl", 2)]


def test_a_folder_is_listed_alone_or_with_all_that_lies_below_it(url: str) -> None:
    for path in (
        "a.csv",
        "plays/b.jsonl",
        "plays/2026-01-01/00/c.jsonl",
        "plays/2026-01-01x/d.jsonl",
        "plays/e/f/g.jsonl",
    ):
        land(url, path, b"1")
    zone = LandingZone(url)

    def listed(folder: str) -> tuple[list[str], list[str]]:
        files, folders = zone.listing(folder)
        return [state.path for state in files], sorted(folders)

    assert listed("") == (["a.csv"], ["plays"])
    assert listed("plays") == (["plays/b.jsonl"], ["plays/2026-01-01", "plays/2026-01-01x", "plays/e"])
    assert listed("elsewhere") == ([], [])
    assert [state.path for state in zone.files("plays/2026-01-01")] == ["plays/2026-01-01/00/c.jsonl"]
    assert list(zone.files("elsewhere")) == []


def test_a_file_alone_has_the_state_that_the_listing_tells(url: str) -> None:
    land(url, "folder/a.csv", b"1")
    zone = LandingZone(url)
    assert [zone.state(state.path) for state in zone.files()] == list(zone.files())
    assert all(state.marker for state in zone.files())


def test_the_marker_tells_a_replaced_file_of_the_same_size(url: str) -> None:
    land(url, "a.csv", b"1")
    before = LandingZone(url).state("a.csv")
    land(url, "a.csv", b"2")
    after = LandingZone(url).state("a.csv")
    assert before is not None
    assert after is not None
    assert (after.size, after.path) == (before.size, before.path)
    assert after.marker != before.marker


def test_a_missing_zone_is_not_there_and_lists_nothing(url: str) -> None:
    zone = LandingZone(url)
    assert not zone.exists()
    assert list(zone.files()) == []
    assert zone.state("a.csv") is None
    land(url, "a.csv", b"1")
    assert zone.exists()


def test_a_folder_is_no_file(url: str) -> None:
    land(url, "folder/a.csv", b"1")
    assert LandingZone(url).state("folder") is None


def test_a_file_is_read_as_a_stream_and_digested(url: str) -> None:
    land(url, "a.csv", b"1,2\n3,4\n")
    zone = LandingZone(url)
    with zone.open("a.csv") as file:
        assert (file.read(4), file.readline(), file.read()) == (b"1,2\n", b"3,4\n", b"")
    assert zone.digest("a.csv") == hashlib.sha256(b"1,2\n3,4\n").hexdigest()
    with pytest.raises(FileNotFoundError):
        zone.open("b.csv")


def test_links_are_passed_over(tmp_path: Path) -> None:
    land(str(tmp_path / "elsewhere"), "secret.csv", b"1")
    land(str(tmp_path / "landing"), "a.csv", b"1")
    (tmp_path / "landing/link.csv").symlink_to(tmp_path / "elsewhere/secret.csv")
    (tmp_path / "landing/folder").symlink_to(tmp_path / "elsewhere")
    zone = LandingZone(str(tmp_path / "landing"))
    assert [state.path for state in zone.files()] == ["a.csv"]
    assert zone.state("link.csv") is None


def test_a_local_marker_tells_a_file_that_was_renamed_over_one_of_the_same_size_and_time(tmp_path: Path) -> None:
    zone = LandingZone(str(tmp_path))
    land(str(tmp_path), "a.csv", b"1")
    before = zone.state("a.csv")
    land(str(tmp_path), ".b.csv", b"2")
    shutil.copystat(tmp_path / "a.csv", tmp_path / ".b.csv")
    (tmp_path / ".b.csv").replace(tmp_path / "a.csv")
    after = zone.state("a.csv")
    assert before is not None
    assert after is not None
    assert (after.size, after.marker.split()[0]) == (before.size, before.marker.split()[0])
    assert after.marker != before.marker


def test_a_local_marker_tells_a_file_that_was_written_in_place_with_its_time_put_back(tmp_path: Path) -> None:
    zone = LandingZone(str(tmp_path))
    file = tmp_path / "a.csv"
    land(str(tmp_path), "a.csv", b"1")
    before, times = zone.state("a.csv"), file.stat()
    with file.open("r+b") as opened:
        opened.write(b"2")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert zone.state("a.csv") != before


def test_a_message_names_the_place_without_a_password(tmp_path: Path) -> None:
    assert str(LandingZone("memory://bucket/landing")) == "memory://bucket/landing"
    assert str(LandingZone(str(tmp_path))) == str(tmp_path)
    assert "secret" not in str(LandingZone("ftp://someone:secret@host/landing"))


def test_a_landed_file_opens_as_it_was_observed(url: str) -> None:
    land(url, "a.txt", b"x\n")
    file = landed(url, "a.txt")
    with file.open() as raw:
        assert raw.read() == b"x\n"


def test_a_landed_file_that_was_replaced_or_removed_does_not_open(url: str) -> None:
    land(url, "a.txt", b"x\n")
    file = landed(url, "a.txt")
    land(url, "a.txt", b"longer\n")
    with pytest.raises(LandingChanged, match="replaced since it was observed"):
        file.open()
    (UPath(url) / "a.txt").unlink()
    with pytest.raises(LandingChanged, match="is gone"):
        file.open()


@pytest.mark.parametrize("read", [0, 1, -1], ids=["nothing", "a byte", "everything"])
def test_a_landed_file_with_other_bytes_than_those_observed_cannot_be_closed_in_peace(url: str, read: int) -> None:
    land(url, "a.txt", b"x\n")
    file = replace(landed(url, "a.txt"), digest=hashlib.sha256(b"y\n").hexdigest())
    raw = file.open()
    raw.read(read)
    with pytest.raises(LandingChanged, match="has other bytes than those that were observed") as changed:
        raw.close()
    assert (changed.value.path, changed.value.digest) == ("a.txt", hashlib.sha256(b"x\n").hexdigest())


def test_a_file_of_which_only_the_times_are_others_opens(tmp_path: Path) -> None:
    land(str(tmp_path), "a.txt", b"x\n")
    file, before = landed(str(tmp_path), "a.txt"), LandingZone(str(tmp_path)).state("a.txt")
    os.link(tmp_path / "a.txt", tmp_path / ".backup")
    assert LandingZone(str(tmp_path)).state("a.txt") != before
    with file.open() as raw:
        assert raw.read() == b"x\n"


def test_a_file_that_was_opened_as_observed_may_be_replaced_by_rename_while_it_is_read(tmp_path: Path) -> None:
    land(str(tmp_path), "a.txt", b"x\n")
    with landed(str(tmp_path), "a.txt").open() as raw:
        land(str(tmp_path), ".b.txt", b"y\n")
        (tmp_path / ".b.txt").replace(tmp_path / "a.txt")
        assert raw.read() == b"x\n"


@pytest.mark.parametrize(
    "url", ["http://user:s3cret@example.org/landing", "s3://bucket/landing", "memory://bucket/landing"]
)
def test_a_zone_is_named_without_what_is_secret(url: str) -> None:
    named = str(LandingZone(url))
    assert "s3cret" not in named
    assert named == url.replace("user:s3cret@", "")


def test_a_file_is_added_once_and_never_replaced(url: str) -> None:
    zone = LandingZone(url)
    zone.add("issued/2026-01/a.parquet", io.BytesIO(b"first"))
    with pytest.raises(FileExistsError, match="never replaced"):
        zone.add("issued/2026-01/a.parquet", io.BytesIO(b"second"))
    with zone.open("issued/2026-01/a.parquet") as file:
        assert file.read() == b"first"
    assert [state.path for state in zone.files()] == ["issued/2026-01/a.parquet"]


def test_a_file_is_replaced_as_a_whole_or_lands_if_there_was_none(url: str) -> None:
    zone = LandingZone(url)
    for content in (b"first", b"second, and longer"):
        zone.replace("a.csv", io.BytesIO(content))
        with zone.open("a.csv") as file:
            assert file.read() == content
        assert [state.path for state in zone.files()] == ["a.csv"]


def test_a_replaced_file_can_be_edited_by_whoever_could_edit_it_before(tmp_path: Path) -> None:
    land(str(tmp_path), "a.csv", b"1")
    (tmp_path / "a.csv").chmod(0o664)
    LandingZone(str(tmp_path)).replace("a.csv", io.BytesIO(b"2"))
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o664


def test_a_link_is_not_replaced(tmp_path: Path) -> None:
    land(str(tmp_path / "elsewhere"), "a.csv", b"1")
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing/a.csv").symlink_to(tmp_path / "elsewhere/a.csv")
    with pytest.raises(FileExistsError, match="is no file"):
        LandingZone(str(tmp_path / "landing")).replace("a.csv", io.BytesIO(b"2"))
    assert (tmp_path / "landing/a.csv").is_symlink()
    assert (tmp_path / "elsewhere/a.csv").read_bytes() == b"1"
    assert [path.name for path in (tmp_path / "landing").iterdir()] == ["a.csv"]


REPLACE_AND_DIE = """
import io, os, sys
from spam_pipeline.protocol.storage.landing_zone import LandingZone
sys.addaudithook(lambda event, _: os._exit(9) if event == "os.rename" else None)
LandingZone(sys.argv[1]).replace("a.csv", io.BytesIO(b"new"))
"""


def test_who_dies_between_writing_and_replacing_leaves_the_old_file_and_nothing_that_is_listed(tmp_path: Path) -> None:
    zone = LandingZone(str(tmp_path))
    land(str(tmp_path), "a.csv", b"old")
    died = subprocess.run([sys.executable, "-c", REPLACE_AND_DIE, tmp_path], check=False)
    assert died.returncode == 9
    assert (tmp_path / "a.csv").read_bytes() == b"old"
    assert zone.names_in("") == ["a.csv"]
    [left] = [path for path in tmp_path.iterdir() if path.name != "a.csv"]
    assert left.read_bytes() == b"new"
    assert left.name.startswith("."), "hidden files are nobody's"
    zone.replace("a.csv", io.BytesIO(b"again"))
    assert (tmp_path / "a.csv").read_bytes() == b"again"


def test_the_names_in_a_folder_are_those_of_its_own_files(url: str) -> None:
    zone = LandingZone(url)
    assert zone.names_in("folder") == []
    for path in ("folder/b", "folder/a", "folder/.hidden", "folder/below/c", "beside"):
        land(url, path, b"1")
    assert zone.names_in("folder") == ["a", "b"]
