"""Which tracks belong together: items, links beyond chance, and every group that is weighed."""

from collections.abc import Iterable

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from spam_pipeline.trust_and_safety.suspicions.groups import BROADEST, MOST_ITEMS, candidates, clusters, with_items
from spam_pipeline_tests.trust_and_safety.suspicions.made_up_listening import day, heard, listening_of

A, B, C = 1, 2, 3
UPLOADER, OTHER_UPLOADER = 90, 91


def items(*rows: dict[str, object]) -> dict[int, int]:
    return dict(with_items(listening_of(rows)).select("track_key", "item").iter_rows())


def test_a_track_with_twenty_plays_in_the_window_is_an_item() -> None:
    found = items(
        heard(1, A, 12, uploader_key=UPLOADER), heard(1, A, 8, uploader_key=UPLOADER, day=day(9)), heard(1, B, 20)
    )
    assert found == {A: A, B: B}


def test_tracks_with_fewer_are_one_item_of_their_uploader() -> None:
    found = items(
        heard(1, A, 19, uploader_key=UPLOADER),
        heard(2, B, 1, uploader_key=UPLOADER),
        heard(2, C, 1, uploader_key=OTHER_UPLOADER),
    )
    assert found == {A: UPLOADER, B: UPLOADER, C: OTHER_UPLOADER}


def test_a_track_of_an_unknown_uploader_stays_alone() -> None:
    assert items(heard(1, A), heard(1, B)) == {A: A, B: B}


def pairs(*audiences: tuple[int, Iterable[int]], plays: int = 1) -> pl.DataFrame:
    """An item and the devices that hear it, for each audience."""
    rows = [(device, item, plays) for item, devices in audiences for device in devices]
    return pl.DataFrame(rows, schema={"device_key": pl.UInt64, "item": pl.UInt64, "plays": pl.Int64}, orient="row")


def elsewhere(devices: int = 400) -> pl.DataFrame:
    """Others, who hear two items each of forty: without them everybody hears the same, and no overlap is beyond chance."""
    return pairs(
        *((500 + number, range(900_000 + number, 900_000 + devices, 40)) for number in range(40)),
        *((500 + (7 * number + 1) % 40, range(900_000 + number, 900_000 + devices, 40)) for number in range(40)),
    ).unique(maintain_order=True)


def clusters_of(heard: pl.DataFrame) -> pl.DataFrame:
    return clusters([heard], heard["item"].unique().sort())


def linked(*frames: pl.DataFrame) -> dict[int, int]:
    found = clusters_of(pl.concat([*frames, elsewhere()]))
    return {item: cluster for item, cluster in found.iter_rows() if item < 500}


def test_items_with_one_audience_are_a_cluster_named_after_the_least() -> None:
    assert linked(pairs((B, range(10)), (A, range(10)), (C, range(20, 30)))) == {A: A, B: A}


@pytest.mark.parametrize(("common", "expected"), [(6, {}), (7, {A: A, B: A})])
def test_three_common_listeners_are_chance_and_the_others_must_be_four_of_ten(
    common: int, expected: dict[int, int]
) -> None:
    others = pairs(*((500 + device, [device]) for device in range(20 - common)))
    found = linked(pairs((A, range(10)), (B, range(10 - common, 20 - common))), others)
    assert found == expected


def test_an_audience_of_four_says_nothing() -> None:
    assert linked(pairs((A, range(4)), (B, range(4)))) == {}


def test_where_everybody_hears_everything_no_overlap_is_beyond_chance() -> None:
    assert clusters_of(pairs(*((item, range(30)) for item in range(8)))).is_empty()


def test_a_device_that_hears_everything_shares_only_what_it_heard_again() -> None:
    broad = [pairs((item, range(10))) for item in range(100, 101 + BROADEST)]
    assert linked(pairs((A, range(10)), (B, range(10))), *broad) == {}
    again = pairs((A, range(10)), (B, range(10)), plays=2)
    assert linked(again, *broad) == {A: A, B: A}


@pytest.mark.parametrize(("count", "expected"), [(MOST_ITEMS, {1}), (MOST_ITEMS + 1, set())])
def test_a_cluster_of_more_than_forty_items_is_a_scene_and_no_campaign(count: int, expected: set[int]) -> None:
    assert set(linked(pairs(*((item, range(10)) for item in range(1, count + 1)))).values()) == expected


def chained_pairs(count: int) -> pl.DataFrame:
    """Items 2 n and 2 n + 1 share 17 of their 20 listeners, items 2 n + 1 and 2 n + 2 share 11: strong links and weak ones."""
    audiences: list[tuple[int, list[int]]] = []
    passed_on: list[int] = []
    for number in range(count):
        own = range(1_000 * number, 1_000 * number + 23)
        first = [*passed_on, *own][:20]
        second = [*first[3:], *own[-3:]]
        audiences += [(2 * number, first), (2 * number + 1, second)]
        passed_on = [*own[-3:], *first[12:]]
    return pairs(*audiences)


def test_where_weak_links_connect_too_many_only_the_strong_ones_count() -> None:
    few, many = linked(chained_pairs(5)), linked(chained_pairs(21))
    assert set(few.values()) == {0}
    assert many == {item: item - item % 2 for item in range(42)}


@pytest.mark.parametrize(("ranges", "meetings_at_once"), [(1, 1), (3, 500), (7, 10_000_000)])
def test_more_devices_and_meetings_than_fit_into_memory_are_linked_alike(ranges: int, meetings_at_once: int) -> None:
    heard = pl.concat([chained_pairs(21), elsewhere()])
    items = heard["item"].unique().sort()
    of_ranges = [heard.filter(pl.col("device_key") % ranges == number) for number in range(ranges)]
    expected = clusters_of(heard)
    assert expected.height >= 42
    assert_frame_equal(clusters(of_ranges, items, meetings_at_once), expected)


def test_every_item_is_a_group_and_so_is_an_uploader_of_several_and_a_cluster() -> None:
    tracks = pl.DataFrame(
        {"item": [A, B, C, C], "uploader_key": [UPLOADER, UPLOADER, OTHER_UPLOADER, OTHER_UPLOADER]},
        schema={"item": pl.UInt64, "uploader_key": pl.UInt64},
    )
    cluster = pl.DataFrame({"item": [B, C], "cluster": [B, B]}, schema={"item": pl.UInt64, "cluster": pl.UInt64})
    assert candidates(tracks, cluster).rows() == [
        ("cluster", B, B),
        ("cluster", B, C),
        ("track", A, A),
        ("track", B, B),
        ("track", C, C),
        ("uploader", UPLOADER, A),
        ("uploader", UPLOADER, B),
    ]
