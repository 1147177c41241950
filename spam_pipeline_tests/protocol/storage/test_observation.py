"""Observing the landing zone."""

import os
from collections.abc import Collection
from pathlib import Path

import pytest

from spam_pipeline.protocol.foundation.digest import digest_of_file
from spam_pipeline.protocol.foundation.errors import LandingVanished
from spam_pipeline.protocol.ledger.records import Observation
from spam_pipeline.protocol.storage.landing_zone import LandingZone
from spam_pipeline.protocol.storage.observation import NOT_READ, PASSED_OVER, observe
from spam_pipeline_tests.protocol.toy_pipeline import classify, land


def seen(home: Path, known: Collection[Observation] = ()) -> list[Observation]:
    """Everything that observing tells."""
    return [item for batch in observe(LandingZone(str(home / "landing")), classify, known) for item in batch]


def test_a_new_file_is_seen_with_its_digest(tmp_path: Path) -> None:
    file = land(tmp_path, "2026-01-01", "a", "x")
    (item,) = seen(tmp_path)
    assert (item.source, item.partition, item.path) == ("landed_numbers", "2026-01-01", "2026-01-01/a.txt")
    assert (item.digest, item.size) == (digest_of_file(file), 2)


def test_a_file_that_did_not_change_is_not_seen_again(tmp_path: Path) -> None:
    land(tmp_path, "2026-01-01", "a", "x")
    assert seen(tmp_path, seen(tmp_path)) == []


def test_a_replaced_file_is_seen_again(tmp_path: Path) -> None:
    file = land(tmp_path, "2026-01-01", "a", "x")
    known = seen(tmp_path)
    land(tmp_path, "2026-01-01", "a", "y")
    os.utime(file, ns=(0, 1))
    (item,) = seen(tmp_path, known)
    assert item.digest == digest_of_file(file)


def test_a_file_that_has_gone_is_seen_once_as_gone(tmp_path: Path) -> None:
    stays = land(tmp_path, "2026-01-01", "a", "x")
    land(tmp_path, "2026-01-01", "b", "y")
    known = seen(tmp_path)
    (tmp_path / "landing/2026-01-01/b.txt").unlink()
    (gone,) = seen(tmp_path, known)
    assert (gone.path, gone.digest) == ("2026-01-01/b.txt", None)
    assert seen(tmp_path, [known[0], gone]) == []
    assert stays.exists()


def test_files_of_no_source_and_links_are_passed_over(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("x", encoding="utf-8")
    folder = land(tmp_path, "2026-01-01", "a", "x").parent
    (folder / "notes.md").write_text("x", encoding="utf-8")
    (folder / "link.txt").symlink_to(secret)
    assert [item.path for item in seen(tmp_path)] == ["2026-01-01/a.txt"]


def test_many_files_come_in_batches_oldest_first_and_what_has_gone_comes_last(tmp_path: Path) -> None:
    gone = land(tmp_path, "2026-01-01", "gone", "x")
    known = seen(tmp_path)
    gone.unlink()
    for number in range(401):
        land(tmp_path, f"2026-01-{number % 20 + 2:02}", str(number), "x")
    batches = list(observe(LandingZone(str(tmp_path / "landing")), classify, known))
    assert [len(batch) for batch in batches] == [200, 200, 1, 1]
    paths = [item.path for batch in batches for item in batch]
    assert paths == [*sorted(paths[:-1]), "2026-01-01/gone.txt"]


def test_files_without_a_partition_come_before_the_plays_that_rest_on_them(tmp_path: Path) -> None:
    land(tmp_path, "2026-01-01", "a", "x")
    land(tmp_path, "reference", "b", "x")
    zone = LandingZone(str(tmp_path / "landing"))
    batches = observe(zone, lambda path: ("source", "all" if path.startswith("ref") else "2026-01-01"), [])
    assert [item.path for batch in batches for item in batch] == ["reference/b.txt", "2026-01-01/a.txt"]


class ListedBefore(LandingZone):
    """A zone whose file vanishes between its listing and its reading."""

    def digest(self, path: str, size: int | None = None) -> str:
        if path.endswith("/b.txt"):
            raise FileNotFoundError(path)
        return super().digest(path, size)


def test_a_file_that_vanishes_before_it_is_read_is_not_seen(tmp_path: Path) -> None:
    land(tmp_path, "2026-01-01", "a", "x")
    land(tmp_path, "2026-01-01", "b", "x")
    (batch,) = observe(ListedBefore(str(tmp_path / "landing")), classify, [])
    assert [item.path for item in batch] == ["2026-01-01/a.txt"]


@pytest.mark.parametrize("what_is_left", ["nothing", "a folder", "a file of no source"])
def test_a_zone_that_vanished_is_not_taken_for_everything_removed(tmp_path: Path, what_is_left: str) -> None:
    land(tmp_path, "2026-01-01", "a", "x")
    land(tmp_path, "2026-01-01", "b", "x")
    known = seen(tmp_path)
    (tmp_path / "landing").rename(tmp_path / "unmounted")
    if what_is_left != "nothing":
        (tmp_path / "landing").mkdir()
    if what_is_left == "a file of no source":
        (tmp_path / "landing" / "mount me here").touch()
    with pytest.raises(LandingVanished, match=rf"{tmp_path}/landing, where 2 were known: mount it .* use a new home"):
        seen(tmp_path, known)


def test_a_missing_zone_is_empty_while_nothing_is_known(tmp_path: Path) -> None:
    assert seen(tmp_path) == []


def classify_strictly(path: str) -> tuple[str, str] | None:
    return classify(path) or ((PASSED_OVER, "no text file") if path.endswith(".md") else None)


def test_what_is_passed_over_is_observed_with_the_reason_and_not_read(tmp_path: Path) -> None:
    folder = land(tmp_path, "2026-01-01", "a", "x").parent
    (folder / "no\ttes.md").write_text("x", encoding="utf-8")
    zone = LandingZone(str(tmp_path / "landing"))
    known = [item for batch in observe(zone, classify_strictly, []) for item in batch]
    passed = next(item for item in known if item.source == PASSED_OVER)
    assert (passed.path, passed.partition, passed.digest) == (r"2026-01-01/no\ttes.md", "no text file", NOT_READ)
    assert list(observe(zone, classify_strictly, known)) == []


def test_what_was_passed_over_is_read_once_it_belongs_to_a_source(tmp_path: Path) -> None:
    file = land(tmp_path, "2026-01-01", "a", "x")
    zone = LandingZone(str(tmp_path / "landing"))
    (known,) = observe(zone, lambda _: (PASSED_OVER, "too early"), [])
    assert known[0].digest == NOT_READ
    ((again,),) = observe(zone, classify, known)
    assert (again.source, again.digest) == ("landed_numbers", digest_of_file(file))


def test_a_landing_zone_of_which_only_what_is_passed_over_is_left_has_vanished(tmp_path: Path) -> None:
    file = land(tmp_path, "2026-01-01", "a", "x")
    zone = LandingZone(str(tmp_path / "landing"))
    (known,) = observe(zone, classify_strictly, [])
    file.rename(file.with_name("a.md"))
    with pytest.raises(LandingVanished):
        list(observe(zone, classify_strictly, known))


def test_a_file_that_was_touched_was_seen_when_its_bytes_were(tmp_path: Path) -> None:
    file = land(tmp_path, "2026-01-01", "a", "x")
    (first,) = seen(tmp_path)
    os.utime(file, ns=(0, 1))
    (again,) = seen(tmp_path, [first])
    assert again.marker != first.marker
    assert (again.digest, again.observed_at) == (first.digest, first.observed_at)
