"""The number of each family, computed by hand on four listeners of one track, and its evidence against peers."""

import math
from datetime import date
from typing import Any

import polars as pl
import pytest

from spam_pipeline.trust_and_safety.suspicions.families import FAMILIES, measured, weighed
from spam_pipeline.trust_and_safety.suspicions.groups import CLUSTER, TRACK_ITEM, with_items
from spam_pipeline.trust_and_safety.suspicions.window import window_of
from spam_pipeline.trust_and_safety.suspicions_contract import AUTOMATION, BEHAVIOUR
from spam_pipeline_tests.trust_and_safety.suspicions.made_up_listening import Row, day, heard, listening_of

TRACK, OTHER, THIRD = 1, 2, 3
NAMES = [family.name for family in FAMILIES]


def numbers(*rows: Row, items: tuple[int, ...] = (TRACK,), kind: str = TRACK_ITEM) -> pl.DataFrame:
    """The families of one group."""
    listening = listening_of(rows)
    keys = {"group": pl.UInt64, "item": pl.UInt64}
    grouped = pl.DataFrame({"kind": kind, "group": TRACK, "item": list(items)}, schema={"kind": pl.String, **keys})
    return measured(window_of(listening, with_items(listening)), grouped)


def four(*, plays: tuple[int, int, int, int] = (10, 5, 5, 5), **columns: tuple[Any, ...]) -> list[Row]:
    """Four devices that hear the track, with a value of their own in each of these columns."""
    return [
        heard(number + 1, TRACK, count) | {name: values[number] for name, values in columns.items()}
        for number, count in enumerate(plays)
    ]


def test_devotion_is_the_share_of_the_listener_of_the_mean_play_with_four_plays_more() -> None:
    found = numbers(*four(), heard(1, OTHER, 6))["devotion"].item()
    shares = [10 / (16 + 4), 5 / (5 + 4), 5 / (5 + 4), 5 / (5 + 4)]
    assert found == pytest.approx((10 * shares[0] + 5 * sum(shares[1:])) / 25, abs=1e-6)


def test_evenness_is_the_logarithm_of_variance_over_mean_of_plays_per_listener() -> None:
    assert numbers(*four())["evenness"].item() == pytest.approx(math.log(4.6875 / 6.25 + 0.05))
    assert numbers(*four(plays=(7, 7, 7, 7)))["evenness"].item() == pytest.approx(math.log(0.05))


def test_evenness_does_not_apply_where_most_come_once() -> None:
    assert numbers(*(heard(device, TRACK) for device in range(25)))["evenness"].item() is None


def test_addresses_are_counted_per_listener() -> None:
    assert numbers(*four(ip_key=(1, 1, 2, 3)))["address"].item() == 0.75


def test_cut_off_is_a_share_of_the_plays() -> None:
    assert numbers(*four(cut_off=(5, 0, 0, 0)))["cut_off"].item() == 0.2


def test_registration_is_the_share_of_accounts_opened_within_neighbouring_halves_of_a_month() -> None:
    opened = (date(1970, 1, 1), date(1970, 1, 15), date(1970, 1, 16), date(1972, 5, 1))
    assert numbers(*four(account_since=opened))["registration"].item() == 3 / (4 + 2)
    apart = (date(1970, 1, 1), date(1970, 1, 31), None, None)
    assert numbers(*four(account_since=apart))["registration"].item() == 1 / (2 + 2)


def test_growth_is_the_best_week_over_the_others_in_listeners_and_not_in_plays() -> None:
    last_week = four(day=(day(13), day(12), day(8), day(7)))
    week_before = heard(1, TRACK, 500, day=day(6))
    found = numbers(*last_week, week_before, heard(99, OTHER, 1, day=day(0)))
    assert found["growth"].item() == pytest.approx(math.log((4 + 3) / (1 + 3)))


def test_the_rest_of_growth_is_a_mean_week_although_the_first_is_shorter() -> None:
    every_day = [heard(99, OTHER, day=day(number)) for number in range(17)]
    best_week = four(day=(day(10), day(12), day(14), day(16)))
    before = [heard(5, TRACK, day=day(3)), heard(6, TRACK, day=day(2))]
    found = numbers(*best_week, *before, *every_day)
    assert found["growth"].item() == pytest.approx(math.log((4 + 3) / (2 * 7 / 10 + 3)))


def test_overlap_is_the_share_of_plays_by_devices_that_hear_half_of_a_cluster() -> None:
    of_both = [heard(1, OTHER, 20), heard(2, THIRD, 20)]
    found = numbers(*four(), *of_both, items=(TRACK, OTHER, THIRD), kind=CLUSTER)
    assert found["overlap"].item() == pytest.approx((10 + 20 + 5 + 20) / 65)
    assert numbers(*four(), *of_both)["overlap"].item() is None, "a single item has no core"


@pytest.mark.parametrize(("family", "column", "values"), [("setting", "setting", "ab"), ("hours", "hour", (3, 15))])
def test_a_mix_is_compared_with_the_platforms_in_bits_less_what_chance_adds(
    family: str, column: str, values: Any
) -> None:
    others = heard(99, OTHER, 25) | {column: values[1]}
    of_one = numbers(*four(**{column: (values[0],) * 4}), others)
    assert of_one[family].item() == pytest.approx(1.0), "half of the platform's plays have this value"
    of_two = numbers(*four(**{column: (values[0], values[0], values[0], values[1])}), others)
    bits = 0.8 * math.log2(0.8 * 50 / 20) + 0.2 * math.log2(0.2 * 50 / 30)
    assert of_two[family].item() == pytest.approx(bits - 1 / (2 * math.log(2) * 25), abs=1e-6)


@pytest.mark.parametrize("plays", [(10, 5, 5, 4), (10, 10, 10, 0)])
def test_groups_with_less_than_25_plays_or_four_devices_say_nothing(plays: tuple[int, int, int, int]) -> None:
    assert numbers(*(row for row in four(plays=plays) if row["plays"])).is_empty()


def groups(*values: dict[str, Any]) -> pl.DataFrame:
    """Groups of which each names what is not usual: of a family or of its size."""
    usual: dict[str, Any] = {"kind": TRACK_ITEM, "group": 0, "plays": 1_000, "devices": 8, **dict.fromkeys(NAMES)}
    rows = [{**usual, **own, "group": number} for number, own in enumerate(values)]
    floats = dict.fromkeys(NAMES, pl.Float64)
    return pl.DataFrame(rows, schema_overrides={"group": pl.UInt64, **floats})


def peers(family: str, *, devices: int = 8, middle: float = 0.5) -> list[dict[str, Any]]:
    """Twenty groups around a middle, half of them 0.1 and half of them 0.2 away from it."""
    return [
        {family: middle + away * side, "devices": devices} for away in (0.1, 0.2) for side in (-1, 1) for _ in range(5)
    ]


def evidence(family: str, value: float, *others: dict[str, Any]) -> tuple[float, float]:
    """What is usual, and the evidence of one group with this value among others."""
    found = weighed(groups({family: value}, *others))
    return found[f"usual_{family}"][0], found[f"evidence_{family}"][0]


def chance_of(deviation: float) -> float:
    """-log10 of the upper tail of the normal distribution, at a deviation over 1.5."""
    return -math.log10(math.erfc(deviation / 1.5 / math.sqrt(2)) / 2)


def test_evidence_is_minus_log10_of_the_chance_of_the_number_among_its_peers() -> None:
    middle, deviation = 0.6, 0.2
    value = middle + 3 * 1.4826 * deviation
    usual, found = evidence("cut_off", value, *peers("cut_off"))
    assert usual == middle, "the eleventh of 21, the group itself among them"
    assert found == pytest.approx(chance_of(3), abs=1e-4)


def test_of_some_families_few_is_suspicious_and_of_the_others_much() -> None:
    for family in FAMILIES:
        if family.name != "overlap":
            others = peers(family.name, middle=5.0)
            low, high = (evidence(family.name, value, *others)[1] > 0 for value in (3.5, 6.5))
            assert (low, high) == (family.is_low, not family.is_low), family.name


def test_less_than_one_deviation_is_no_evidence() -> None:
    assert evidence("hours", 0.6, *peers("hours"))[1] == 0


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_no_family_adds_more_than_its_most(family: Any) -> None:
    extreme = (
        {"kind": CLUSTER, "overlap": 1.0}
        if family.name == "overlap"
        else {family.name: -500.0 if family.is_low else 500.0}
    )
    assert weighed(groups(extreme, *peers(family.name)))[f"evidence_{family.name}"][0] == family.most


def test_attacks_among_the_peers_do_not_hide_each_other() -> None:
    alone = evidence("hours", 5.0, *peers("hours"))[1]
    assert evidence("hours", 5.0, *peers("hours"), *({"hours": 5.0} for _ in range(4)))[1] == alone == 3.0


def test_peers_are_groups_of_a_size() -> None:
    small, large = peers("hours", devices=8), peers("hours", devices=64, middle=5.0)
    found = weighed(groups({"hours": 5.0}, {"hours": 5.0, "devices": 64}, *small, *large))
    assert found["evidence_hours"][0] == 3.0
    assert found["evidence_hours"][1] == 0
    assert found["peers"].to_list()[:2] == [21, 21]


def test_with_fewer_than_fifteen_peers_of_a_size_all_sizes_are_the_peers() -> None:
    found = weighed(groups({"hours": 5.0}, *peers("hours", devices=64)))
    assert found.select("peers", "evidence_hours").row(0) == (21, 3.0)


def test_clusters_are_nobodys_peers() -> None:
    clustered = [{**peer, "kind": CLUSTER} for peer in peers("hours", middle=5.0)]
    assert evidence("hours", 5.0, *peers("hours"), *clustered)[1] == 3.0


@pytest.mark.parametrize(("core", "expected"), [(0.6, 0.0), (0.7, 0.75), (0.8, 1.5), (1.0, 3.0), (0.1, 0.0)])
def test_the_core_of_a_cluster_is_evidence_from_six_tenths_on(core: float, expected: float) -> None:
    assert evidence("overlap", core)[1] == pytest.approx(expected)


def test_a_queue_sums_the_strongest_family_of_each_block_and_multiplies_with_the_stake() -> None:
    usual = [peers(name) for name in ("devotion", "address", "setting", "hours")]
    others = [{key: value for peer in row for key, value in peer.items()} for row in zip(*usual, strict=True)]
    crude = {"devotion": 0.5, "address": -500.0, "setting": 500.0, "hours": 500.0}
    found = weighed(groups(crude, *others)).row(0, named=True)
    assert [found[f"evidence_{name}"] for name in ("address", "setting", "hours")] == [3.0, 3.0, 3.0]
    assert found[AUTOMATION] == (3.0 + 3.0) * 3.0, "address and setting tell the same, and log10 of 1,000 plays is 3"
    assert found[BEHAVIOUR] == 0


def test_a_platform_without_peers_suspects_nothing_by_comparison() -> None:
    found = weighed(groups({"kind": CLUSTER, "hours": 5.0}))
    assert found["evidence_hours"].to_list() == [0.0]
