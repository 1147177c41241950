"""Observing the landing zone."""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spam_pipeline.protocol.foundation.digest import digest_of_file
from spam_pipeline.protocol.foundation.errors import LandingVanished
from spam_pipeline.protocol.ledger.records import KnownState, Observation
from spam_pipeline.protocol.storage.landing_zone import FileState, LandingZone
from spam_pipeline.protocol.storage.looks import dated_folder, of_dates
from spam_pipeline.protocol.storage.observation import NOT_READ, PASSED_OVER, Known, observe
from spam_pipeline_tests.protocol.toy_pipeline import classify, land


def known_of(observed: Collection[Observation]) -> Known:
    """What is known by some observations, the last of each path."""
    last = {item.path: item for item in observed}
    there = {path: item for path, item in last.items() if item.digest is not None}

    def below(folder: str) -> dict[str, KnownState]:
        return {path: state for path, state in states.items() if path.startswith(f"{folder}/" if folder else "")}

    states = {path: KnownState(item.source, item.partition, item.size, item.marker) for path, item in there.items()}
    return Known(
        files=sum(item.source != PASSED_OVER for item in there.values()),
        folders=Counter(filter(None, map(dated_folder, there))),
        undated={path: state for path, state in states.items() if dated_folder(path) is None},
        below=below,
        last=lambda paths: {path: last[path] for path in sorted(paths) if path in last},
    )


def seen(home: Path, known: Collection[Observation] = ()) -> list[Observation]:
    """Everything that observing tells."""
    return [item for batch in observe(LandingZone(str(home / "landing")), classify, known_of(known)) for item in batch]


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
    batches = list(observe(LandingZone(str(tmp_path / "landing")), classify, known_of(known)))
    assert [len(batch) for batch in batches] == [200, 200, 1, 1]
    paths = [item.path for batch in batches for item in batch]
    assert paths == [*sorted(paths[:-1]), "2026-01-01/gone.txt"]


def test_files_without_a_partition_come_before_the_plays_that_rest_on_them(tmp_path: Path) -> None:
    land(tmp_path, "2026-01-01", "a", "x")
    land(tmp_path, "reference", "b", "x")
    zone = LandingZone(str(tmp_path / "landing"))
    batches = observe(zone, lambda path: ("source", "all" if path.startswith("ref") else "2026-01-01"), known_of([]))
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
    (batch,) = observe(ListedBefore(str(tmp_path / "landing")), classify, known_of([]))
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
    known = [item for batch in observe(zone, classify_strictly, known_of([])) for item in batch]
    passed = next(item for item in known if item.source == PASSED_OVER)
    assert (passed.path, passed.partition, passed.digest) == (r"2026-01-01/no\ttes.md", "no text file", NOT_READ)
    assert list(observe(zone, classify_strictly, known_of(known))) == []


def test_what_was_passed_over_is_read_once_it_belongs_to_a_source(tmp_path: Path) -> None:
    file = land(tmp_path, "2026-01-01", "a", "x")
    zone = LandingZone(str(tmp_path / "landing"))
    (known,) = observe(zone, lambda _: (PASSED_OVER, "too early"), known_of([]))
    assert known[0].digest == NOT_READ
    ((again,),) = observe(zone, classify, known_of(known))
    assert (again.source, again.digest) == ("landed_numbers", digest_of_file(file))


def test_a_landing_zone_of_which_only_what_is_passed_over_is_left_has_vanished(tmp_path: Path) -> None:
    file = land(tmp_path, "2026-01-01", "a", "x")
    zone = LandingZone(str(tmp_path / "landing"))
    (known,) = observe(zone, classify_strictly, known_of([]))
    file.rename(file.with_name("a.md"))
    with pytest.raises(LandingVanished):
        list(observe(zone, classify_strictly, known_of(known)))


def test_a_file_that_was_touched_was_seen_when_its_bytes_were(tmp_path: Path) -> None:
    file = land(tmp_path, "2026-01-01", "a", "x")
    (first,) = seen(tmp_path)
    os.utime(file, ns=(0, 1))
    (again,) = seen(tmp_path, [first])
    assert again.marker != first.marker
    assert (again.digest, again.observed_at) == (first.digest, first.observed_at)


class Listed(LandingZone):
    """A zone that remembers which folders were inspected."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.inspected: list[str] = []

    def files(self, folder: str = "") -> Iterator[FileState]:
        self.inspected.append(folder)
        return super().files(folder)


def seen_on(home: Path, date: str, known: Collection[Observation]) -> list[tuple[str, bool]]:
    """The paths that a look at one date observes, each with True if it is there."""
    zone = LandingZone(str(home / "landing"))
    found = [item for batch in observe(zone, classify, known_of(known), of_dates([date])) for item in batch]
    return [(item.path, item.digest is not None) for item in found]


def test_only_chosen_folders_are_inspected(tmp_path: Path) -> None:
    files = [land(tmp_path, f"2026-01-0{day}", name, "x") for day in (1, 2) for name in ("a", "b")]
    known = seen(tmp_path)
    for file in files[::2]:
        file.unlink()
    files[1].write_text("longer\n", encoding="utf-8")
    land(tmp_path, "2026-01-01", "c", "x")
    land(tmp_path, "2026-01-02", "c", "x")
    assert seen_on(tmp_path, "2026-01-02", known) == [("2026-01-02/c.txt", True), ("2026-01-02/a.txt", False)]
    assert sorted(item.path for item in seen(tmp_path, known)) == [
        *(f"2026-01-01/{name}.txt" for name in "abc"),
        *(f"2026-01-02/{name}.txt" for name in "ac"),
    ]


def test_what_lies_in_no_dated_folder_is_always_inspected(tmp_path: Path) -> None:
    land(tmp_path, "2026-01-01", "a", "x")
    file = land(tmp_path, "deep/reference", "b", "x")
    zone = LandingZone(str(tmp_path / "landing"))

    def look(known: Collection[Observation]) -> list[str]:
        batches = observe(zone, lambda path: ("source", path[:10]), known_of(known), of_dates(["never"]))
        return [item.path for batch in batches for item in batch]

    known = [item for batch in observe(zone, lambda path: ("source", path[:10]), known_of([])) for item in batch]
    assert look(known) == []
    file.write_text("longer\n", encoding="utf-8")
    assert look(known) == ["deep/reference/b.txt"]
    file.unlink()
    assert look(known) == ["deep/reference/b.txt"]


def test_a_folder_that_vanished_has_gone_with_all_of_its_files(tmp_path: Path) -> None:
    for day, name in (("2026-01-01", "a"), ("2026-01-02", "b"), ("2026-01-02", "c")):
        land(tmp_path, day, name, "x")
    known = seen(tmp_path)
    (tmp_path / "landing/2026-01-02").rename(tmp_path / "aside")
    assert seen_on(tmp_path, "2026-01-02", known) == [("2026-01-02/b.txt", False), ("2026-01-02/c.txt", False)]


def test_a_look_that_finds_nothing_looks_elsewhere_before_it_takes_the_zone_for_vanished(tmp_path: Path) -> None:
    kept, lost = (land(tmp_path, f"2026-01-0{day}", "a", "x") for day in (1, 2))
    known = seen(tmp_path)
    lost.unlink()
    zone = LandingZone(str(tmp_path / "landing"))
    (gone,) = observe(zone, classify, known_of(known), of_dates(["2026-01-02"]))
    assert [item.path for item in gone] == ["2026-01-02/a.txt"]
    kept.unlink()
    with pytest.raises(LandingVanished, match="where 2 were known"):
        list(observe(zone, classify, known_of(known), of_dates(["2026-01-02"])))


def test_many_files_are_inspected_folder_by_folder_with_what_is_known_of_each(tmp_path: Path) -> None:
    for day in (1, 2):
        land(tmp_path, f"2026-01-0{day}", "a", "x")
    known = known_of(seen(tmp_path))
    few, many, one = (Listed(str(tmp_path / "landing")) for _ in range(3))
    assert list(observe(few, classify, known)) == list(observe(many, classify, replace(known, files=10**6))) == []
    assert list(observe(one, classify, known, of_dates(["2026-01-02"]))) == []
    assert (few.inspected, many.inspected) == ([""], ["2026-01-01", "2026-01-02"])
    assert one.inspected == ["2026-01-02"]
