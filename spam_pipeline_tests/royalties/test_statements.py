from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.ingestion.contracts import Accounts, Revenue, Rights
from spam_pipeline.protocol.contract import Contract, column_types
from spam_pipeline.protocol.limit import breaches
from spam_pipeline.royalties.assets import royalty_adjustments, royalty_statements
from spam_pipeline.royalties.contracts import LINE, RoyaltyAdjustments, RoyaltyStatements, RoyaltyUsage
from spam_pipeline.royalties.statements import statement
from spam_pipeline_tests.kept_promises import findings_about, numbers_of

MONTH = "2026-01"
IN_TIME, LAST_IN_TIME, LATE = date(2026, 1, 20), date(2026, 2, 5), date(2026, 2, 6)
UNCLAIMED = ("unclaimed", "", "", "")
TIES_BROKEN_BY = ["payout", "escrow", "withheld", "unclaimed"]

Name = tuple[str, str, str, str]


@dataclass(frozen=True)
class Heard:
    """One row of usage."""

    listener: int
    track: str
    plays: int
    ms_per_play: int = 40_000
    is_account: bool = True
    day: int = 10
    arrival: date = IN_TIME
    status: str = "earning"
    incident: str = ""
    country: str = "DE"
    tier: str = "premium"


@dataclass(frozen=True)
class Right:
    """One row of rights."""

    track: str
    payee: str
    share_ppm: int = 1_000_000
    valid_from: date = date(2020, 1, 1)
    valid_to: date | None = None

    def is_valid_on(self, day: int) -> bool:
        return self.valid_from <= date(2026, 1, day) <= (self.valid_to or date.max)


@dataclass(frozen=True)
class Month:
    """All inputs of a statement. A net revenue of 10/7 of a pool gives that pool."""

    heard: tuple[Heard, ...]
    rights: tuple[Right, ...]
    pools: dict[tuple[str, str, str], int]
    accounts: dict[int, tuple[str, str]] = field(default_factory=dict)

    def inputs(self) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame, pl.LazyFrame]:
        usage = [
            (
                *(h.country, h.tier, h.listener, h.is_account, h.track, date(2026, 1, h.day), h.arrival),
                *(h.status, h.incident, h.plays, h.plays * h.ms_per_play),
            )
            for h in self.heard
        ]
        revenue = [(MONTH, *pool, -(-minor * 10 // 7)) for pool, minor in self.pools.items()]
        rights = [(r.track, r.payee, r.valid_from, r.valid_to, r.share_ppm) for r in self.rights]
        accounts = [(key, *home, date(2025, 1, 1)) for key, home in self.accounts.items()]
        return (
            frame(RoyaltyUsage, usage),
            frame(Revenue, revenue),
            frame(Rights, rights),
            frame(Accounts, accounts),
        )

    def statement(self) -> pl.DataFrame:
        return statement(MONTH, *self.inputs()).collect()

    def issued(self) -> pl.DataFrame:
        return royalty_statements(*self.inputs(), MONTH).collect()

    def adjustments(self) -> pl.DataFrame:
        return royalty_adjustments(*self.inputs(), MONTH).collect()


def frame(contract: type[Contract], rows: Iterable[tuple[object, ...]]) -> pl.LazyFrame:
    return pl.LazyFrame(list(rows), schema=column_types(contract), orient="row")


def month(*heard: Heard, rights: Iterable[Right] = (), pool: int = 3000, accounts: Iterable[int] = ()) -> Month:
    members = dict.fromkeys(accounts, ("DE", "premium"))
    return Month(heard, tuple(rights), {("DE", "premium", "EUR"): pool}, members)


def amounts(lines: pl.DataFrame, rule: str) -> dict[Name, int]:
    chosen = lines.filter(pl.col("rule") == rule).select("line", "payee_id", "track_id", "incident_id", "amount_minor")
    return {(line, payee, track, incident): amount for line, payee, track, incident, amount in chosen.rows()}


def payouts(lines: pl.DataFrame, rule: str) -> dict[str, int]:
    return {name[1]: amount for name, amount in amounts(lines, rule).items() if name[0] == "payout"}


def own(*tracks: str) -> list[Right]:
    """Rights in which every track belongs to the payee of its name."""
    return [Right(track, track) for track in tracks]


def names_of(heard: Heard, rights: Iterable[Right]) -> Iterator[tuple[Name, Fraction]]:
    if heard.status == "withheld":
        yield ("withheld", "", "", heard.incident), Fraction(1)
        return
    valid = [right for right in rights if right.track == heard.track and right.is_valid_on(heard.day)]
    if sum(right.share_ppm for right in valid) != 1_000_000 or any(right.share_ppm < 0 for right in valid):
        yield ("escrow", "", heard.track, ""), Fraction(1)
        return
    for right in valid:
        yield ("payout", right.payee, "", ""), Fraction(right.share_ppm, 1_000_000)


def exact_weights(case: Month, audience: tuple[str, str], rule: str) -> dict[Name, Fraction]:
    eligible = [h for h in case.heard if (h.country, h.tier) == audience and h.status in ("earning", "withheld")]
    weights: dict[Name, Fraction] = defaultdict(Fraction)
    if rule == "user_centric":
        eligible = [h for h in eligible if h.is_account]
        listeners = {h.listener for h in eligible}
        idle = {key for key, home in case.accounts.items() if home == audience} - listeners
        if idle:
            weights[UNCLAIMED] = Fraction(len(idle))
    for heard in eligible:
        total = sum(h.plays * h.ms_per_play for h in eligible if h.listener == heard.listener)
        part = Fraction(heard.plays * heard.ms_per_play, total) if rule == "user_centric" else Fraction(heard.plays)
        for name, share in names_of(heard, case.rights):
            weights[name] += part * share
    return weights or {UNCLAIMED: Fraction(1)}


def exact_division(pool: int, weights: dict[Name, Fraction]) -> dict[Name, int]:
    total = sum(weights.values())
    exact = {name: pool * weight / total for name, weight in weights.items()}
    divided = {name: int(amount) for name, amount in exact.items()}
    served = sorted(exact, key=lambda name: (divided[name] - exact[name], TIES_BROKEN_BY.index(name[0]), name))
    for name in served[: pool - sum(divided.values())]:
        divided[name] += 1
    return divided


listening = st.builds(
    Heard,
    listener=st.integers(1, 5),
    track=st.sampled_from("abcd"),
    plays=st.integers(1, 12),
    ms_per_play=st.integers(1, 9),
    is_account=st.sampled_from([True, True, True, False]),
    day=st.integers(1, 6),
    arrival=st.sampled_from([IN_TIME, LAST_IN_TIME, LATE]),
    status=st.sampled_from(["earning", "earning", "earning", "withheld", "spam", "short"]),
    incident=st.sampled_from(["", "i1", "i2"]),
    tier=st.sampled_from(["premium", "free"]),
)
holding = st.builds(
    Right,
    track=st.sampled_from("abcd"),
    payee=st.sampled_from("XYZ"),
    share_ppm=st.sampled_from([1_000_000, 1_000_000, 500_000, 333_333, 666_667, 0]),
    valid_from=st.integers(1, 6).map(lambda day: date(2026, 1, day)) | st.just(date(2020, 1, 1)),
    valid_to=st.integers(1, 6).map(lambda day: date(2026, 1, day)) | st.none(),
)
months = st.builds(
    Month,
    heard=st.lists(listening, max_size=15).map(tuple),
    rights=st.lists(holding, max_size=8, unique_by=lambda r: (r.track, r.payee, r.valid_from)).map(tuple),
    pools=st.dictionaries(
        st.tuples(st.just("DE"), st.sampled_from(["premium", "free"]), st.sampled_from(["EUR", "JPY", "KWD"])),
        st.integers(0, 50) | st.integers(0, 10**12),
        max_size=4,
    ),
    accounts=st.dictionaries(st.integers(1, 8), st.tuples(st.just("DE"), st.sampled_from(["premium", "free"]))),
)


def test_three_fans_who_paid_ten_each() -> None:
    fans = [Heard(1, "X", 100), Heard(2, "Z", 50), Heard(3, "X", 50), Heard(3, "Y", 50), Heard(3, "Z", 50)]
    lines = month(*fans, rights=own("X", "Y", "Z"), pool=3000, accounts=[1, 2, 3]).statement()
    assert payouts(lines, "pro_rata") == {"X": 1500, "Y": 500, "Z": 1000}
    assert payouts(lines, "user_centric") == {"X": 1334, "Y": 333, "Z": 1333}


def test_ten_fans_who_paid_seven_each() -> None:
    fans = [*(Heard(fan, "P", 400) for fan in range(1, 9)), Heard(9, "Q", 400), Heard(10, "Q", 12_200)]
    lines = month(*fans, rights=own("P", "Q"), pool=7000, accounts=range(1, 11)).statement()
    assert payouts(lines, "pro_rata") == {"P": 1418, "Q": 5582}
    assert payouts(lines, "user_centric") == {"P": 5600, "Q": 1400}


def test_amounts_that_are_equal_in_truth_are_tied_however_they_were_summed() -> None:
    """A is owed 1/3 + 1/6 of a contribution and B is owed 1/2: thirds are rounded, halves are not, and A comes first."""
    fans = [Heard(1, "A", 2), Heard(1, "C", 4), Heard(2, "A", 1), Heard(2, "C", 5), Heard(3, "B", 3), Heard(3, "C", 3)]
    for first, second in [("A", "B"), ("B", "A")]:
        rights = [Right("A", first), Right("B", second), Right("C", "Z")]
        lines = month(*fans, rights=rights, pool=3, accounts=[1, 2, 3]).statement()
        assert payouts(lines, "user_centric") == {"A": 1, "B": 0, "Z": 2}


@given(months)
@settings(max_examples=100, deadline=None)
def test_every_line_of_every_pool_is_what_exact_fractions_give(case: Month) -> None:
    lines = case.statement()
    assert findings_about(RoyaltyStatements, lines.lazy()) == []
    for (country, tier, currency), pool in case.pools.items():
        of_pool = lines.filter(pl.col("tier") == tier, pl.col("currency") == currency)
        for rule in ("pro_rata", "user_centric"):
            expected = exact_division(pool, exact_weights(case, (country, tier), rule))
            assert amounts(of_pool, rule) == expected
            assert sum(expected.values()) == pool


@given(months)
@settings(max_examples=40, deadline=None)
def test_the_order_of_input_does_not_matter(case: Month) -> None:
    turned = replace(case, heard=case.heard[::-1], rights=case.rights[::-1])
    assert case.statement().equals(turned.statement())


@given(months, st.integers(2, 1000), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_playing_everything_more_often_moves_no_user_centric_money(case: Month, times: int, listener: int) -> None:
    louder = tuple(replace(h, plays=h.plays * times) if h.listener == listener else h for h in case.heard)
    before, after = case.statement(), replace(case, heard=louder).statement()
    columns = [*LINE, "amount_minor"]
    of_rule = pl.col("rule") == "user_centric"
    assert before.filter(of_rule).select(columns).equals(after.filter(of_rule).select(columns))


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 10**6), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_no_set_of_accounts_extracts_more_than_it_paid_in(bots: int, fans: int, plays: int, pool: int) -> None:
    farm = [Heard(100 + bot, "fake", plays) for bot in range(bots)]
    listeners = [Heard(fan, "song", 3) for fan in range(fans)]
    lines = month(*farm, *listeners, rights=own("fake", "song"), pool=pool).statement()
    assert payouts(lines, "user_centric")["fake"] <= pool * bots // (bots + fans) + 1


def test_who_was_not_heard_is_not_on_the_statement() -> None:
    lines = month(Heard(1, "X", 1), rights=own("X", "Y"), accounts=[1]).statement()
    assert lines["payee_id"].unique().to_list() == ["X"]


def test_spam_and_short_plays_get_nothing() -> None:
    heard = [Heard(1, "X", 1), Heard(1, "Y", 90, status="spam"), Heard(1, "Z", 90, status="short")]
    lines = month(*heard, rights=own("X", "Y", "Z"), accounts=[1]).statement()
    assert payouts(lines, "pro_rata") == payouts(lines, "user_centric") == {"X": 3000}


def test_withheld_plays_take_part_and_their_money_waits_for_the_incident() -> None:
    heard = [Heard(1, "X", 1), Heard(1, "X", 1, status="withheld", incident="i1"), Heard(1, "Y", 1, status="withheld")]
    lines = month(*heard, rights=own("X", "Y"), accounts=[1]).statement()
    expected = {("payout", "X", "", ""): 1000, ("withheld", "", "", "i1"): 1000, ("withheld", "", "", ""): 1000}
    assert amounts(lines, "pro_rata") == amounts(lines, "user_centric") == expected


def test_logged_out_listeners_count_in_pro_rata_and_contribute_nothing_to_user_centric() -> None:
    heard = [Heard(1, "X", 1), Heard(2, "Y", 2, is_account=False), Heard(3, "Y", 3, is_account=False)]
    lines = month(*heard, rights=own("X", "Y"), pool=600, accounts=[1]).statement()
    assert payouts(lines, "pro_rata") == {"X": 100, "Y": 500}
    assert payouts(lines, "user_centric") == {"X": 600}


def test_what_an_account_without_an_eligible_play_paid_is_unclaimed() -> None:
    lines = month(Heard(1, "X", 1), Heard(2, "X", 9, status="spam"), rights=own("X"), accounts=[1, 2, 3]).statement()
    assert amounts(lines, "user_centric") == {("payout", "X", "", ""): 1000, UNCLAIMED: 2000}
    assert amounts(lines, "pro_rata") == {("payout", "X", "", ""): 3000}


def test_a_pool_without_plays_and_accounts_is_unclaimed_as_a_whole() -> None:
    lines = month(pool=77).statement()
    assert amounts(lines, "pro_rata") == amounts(lines, "user_centric") == {UNCLAIMED: 77}


def test_rights_are_read_as_of_the_event_day_both_ends_included() -> None:
    rights = [
        Right("X", "old", valid_to=date(2026, 1, 10)),
        Right("X", "new", valid_from=date(2026, 1, 11), valid_to=date(2026, 1, 31)),
    ]
    heard = [Heard(1, "X", 1, day=1), Heard(1, "X", 2, day=10), Heard(1, "X", 3, day=11), Heard(1, "X", 4, day=31)]
    lines = month(*heard, rights=rights, pool=1000, accounts=[1]).statement()
    assert payouts(lines, "pro_rata") == payouts(lines, "user_centric") == {"old": 300, "new": 700}


@pytest.mark.parametrize("shares", [(), (999_999,), (600_000, 600_000), (1_500_000, -500_000)])
def test_a_track_whose_rights_do_not_add_up_is_held_in_escrow(shares: tuple[int, ...]) -> None:
    broken = [Right("X", f"payee {number}", share) for number, share in enumerate(shares)]
    lines = month(Heard(1, "X", 1), Heard(1, "Y", 2), rights=[*broken, *own("Y")], accounts=[1]).statement()
    expected = {("escrow", "", "X", ""): 1000, ("payout", "Y", "", ""): 2000}
    assert amounts(lines, "pro_rata") == amounts(lines, "user_centric") == expected


def test_a_day_on_which_two_versions_of_rights_overlap_is_escrow_and_no_other_day() -> None:
    rights = [Right("X", "old", valid_to=date(2026, 1, 10)), Right("X", "new", valid_from=date(2026, 1, 10))]
    heard = [Heard(1, "X", 1, day=9), Heard(1, "X", 1, day=10), Heard(1, "X", 1, day=11)]
    lines = month(*heard, rights=rights, accounts=[1]).statement()
    expected = {("payout", "old", "", ""): 1000, ("escrow", "", "X", ""): 1000, ("payout", "new", "", ""): 1000}
    assert amounts(lines, "pro_rata") == expected


def test_plays_without_revenue_stand_on_lines_without_money() -> None:
    lines = Month((Heard(1, "X", 4),), tuple(own("X")), {}).statement()
    assert lines.select("currency", "rule", "payee_id", "plays", "amount_minor").rows() == [
        ("XXX", "pro_rata", "X", 4, 0),
        ("XXX", "user_centric", "X", 4, 0),
    ]


def test_listening_time_beyond_any_plausible_value_does_not_overflow() -> None:
    loud = [Heard(1, "X", 1, ms_per_play=2**62), Heard(1, "Y", 1, ms_per_play=2**61)]
    lines = month(*loud, rights=own("X", "Y"), accounts=[1]).statement()
    assert payouts(lines, "user_centric") == {"X": 2000, "Y": 1000}


def test_nothing_landed_gives_an_empty_statement_and_no_adjustments() -> None:
    nothing = Month((), (), {})
    assert findings_about(RoyaltyStatements, nothing.issued().lazy()) == []
    assert findings_about(RoyaltyAdjustments, nothing.adjustments().lazy()) == []
    assert nothing.issued().is_empty()
    assert nothing.adjustments().is_empty()


def test_a_late_play_leaves_the_statement_and_adjusts_it() -> None:
    in_time = [Heard(1, "X", 1, arrival=LAST_IN_TIME), Heard(1, "Y", 1)]
    late = Heard(1, "Y", 2, arrival=LATE)
    before = month(*in_time, rights=own("X", "Y"), pool=1000, accounts=[1])
    after = replace(before, heard=(*in_time, late))
    assert after.issued().equals(before.issued())
    assert before.adjustments().is_empty()
    changes = after.adjustments()
    assert payouts(changes, "pro_rata") == payouts(changes, "user_centric") == {"X": -250, "Y": 250}
    assert changes["reason"].unique().to_list() == ["late plays"]


@given(months)
@settings(max_examples=60, deadline=None)
def test_statement_and_adjustments_are_the_statement_over_everything_known(case: Month) -> None:
    issued, changes, known = case.issued(), case.adjustments(), case.statement()
    assert findings_about(RoyaltyAdjustments, changes.lazy()) == []
    together = pl.concat([lines.select(*LINE, "amount_minor") for lines in (issued, changes)])
    paid = pl.col("amount_minor")

    def net(lines: pl.DataFrame) -> list[tuple[object, ...]]:
        return lines.group_by(LINE).agg(paid.sum()).filter(paid != 0).sort(LINE).rows()

    assert net(together) == net(known.select(*LINE, "amount_minor"))


def test_the_fingerprints_count_and_never_add_currencies() -> None:
    case = month(
        Heard(1, "X", 1), Heard(1, "Q", 1), Heard(2, "X", 9, arrival=LATE), rights=own("X"), accounts=[1], pool=100
    )
    issued = numbers_of(RoyaltyStatements, case.issued().lazy())
    assert issued == {
        "pools": 1,
        "pools_without_revenue": 0,
        "unbalanced_pools": 0,
        "payees": 1,
        "escrow_tracks": 1,
        "incidents_withheld": 0,
        **{f"{rule}_{line}_EUR": 50 for rule in ("pro_rata", "user_centric") for line in ("payout", "escrow")},
        **{f"{rule}_{line}_EUR": 0 for rule in ("pro_rata", "user_centric") for line in ("withheld", "unclaimed")},
    }
    changes = numbers_of(RoyaltyAdjustments, case.adjustments().lazy())
    assert changes == {
        "adjusted_lines": 4,
        "adjusted_payees": 1,
        "adjusted_pools": 1,
        "unbalanced_pools": 0,
        "raised_lines": 2,
        "pro_rata_raised_EUR": 41,
        "user_centric_raised_EUR": 25,
    }
    dollars = {"pro_rata_payout_USD": 7, "pro_rata_payout_EUR": 50}
    both = replace(case, pools=case.pools | {("DE", "premium", "USD"): 13}).issued().lazy()
    assert {name: numbers_of(RoyaltyStatements, both)[name] for name in dollars} == dollars


def test_a_statement_that_loses_a_minor_unit_breaks_its_contract() -> None:
    lines = month(Heard(1, "X", 1), rights=own("X"), accounts=[1]).statement()
    short = lines.with_columns(pl.col("amount_minor") - 1)
    (finding,) = findings_about(RoyaltyStatements, short.lazy())
    assert (finding.about, finding.size) == ("all: lines_sum_to_their_pool", 2)
    (breach,) = breaches(RoyaltyStatements.limits(), numbers_of(RoyaltyStatements, short.lazy()))
    assert (breach.about, breach.size) == ("unbalanced_pools", 1)


def test_adjustments_that_do_not_cancel_out_break_their_promise() -> None:
    sound = month(Heard(1, "X", 1), Heard(1, "Y", 1, arrival=LATE), rights=own("X", "Y"), accounts=[1]).adjustments()
    assert breaches(RoyaltyAdjustments.limits(), numbers_of(RoyaltyAdjustments, sound.lazy())) == []
    raised = sound.filter(pl.col("amount_minor") > 0)
    (breach,) = breaches(RoyaltyAdjustments.limits(), numbers_of(RoyaltyAdjustments, raised.lazy()))
    assert breach.about == "unbalanced_pools"
