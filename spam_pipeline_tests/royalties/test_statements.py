from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.reference import PAYOUT_RULES
from spam_pipeline.protocol.operating import breaches
from spam_pipeline.royalties.contracts import LINE, PRO_RATA, RULES, USER_CENTRIC, RoyaltyStatements
from spam_pipeline.royalties.statements import statement
from spam_pipeline_tests.contract_helpers import findings_about, numbers_of
from spam_pipeline_tests.royalties.months import (
    MONTH,
    SPREAD,
    UNCLAIMED,
    Agreement,
    Heard,
    Month,
    Name,
    Right,
    amounts,
    month,
    months,
    naive_amounts,
    naive_lines,
    own,
    payouts,
    rules,
)

THREE_FANS = [Heard(1, "X", 100), Heard(2, "Z", 50), Heard(3, "X", 50), Heard(3, "Y", 50), Heard(3, "Z", 50)]
TEN_FANS = [*(Heard(fan, "P", 400) for fan in range(1, 9)), Heard(9, "Q", 400), Heard(10, "Q", 12_200)]


def test_three_fans_who_paid_ten_each() -> None:
    lines = month(*THREE_FANS, rights=own("X", "Y", "Z"), pool=3000, accounts=[1, 2, 3]).statement()
    assert payouts(lines, "pro_rata") == payouts(lines, "agreed") == {"X": 1500, "Y": 500, "Z": 1000}
    assert payouts(lines, "user_centric") == {"X": 1334, "Y": 333, "Z": 1333}


def test_ten_fans_who_paid_seven_each() -> None:
    lines = month(*TEN_FANS, rights=own("P", "Q"), pool=7000, accounts=range(1, 11)).statement()
    assert payouts(lines, "pro_rata") == payouts(lines, "agreed") == {"P": 1418, "Q": 5582}
    assert payouts(lines, "user_centric") == {"P": 5600, "Q": 1400}


@pytest.mark.parametrize(
    ("user_centric", "agreed"),
    [
        ("X", {"X": 1333, "Y": 556, "Z": 1111}),
        ("Y", {"X": 1600, "Y": 333, "Z": 1067}),
        ("XZ", {"X": 1334, "Y": 333, "Z": 1333}),
        ("XYZ", {"X": 1334, "Y": 333, "Z": 1333}),
    ],
)
def test_what_user_centric_payees_leave_is_divided_pro_rata(user_centric: str, agreed: dict[str, int]) -> None:
    """X has 1333 1/3, Y has 333 1/3 and Z has 1333 1/3 of listening; what is left goes by 150, 50 and 100 plays."""
    lines = month(*THREE_FANS, rights=own("X", "Y", "Z"), pool=3000, accounts=[1, 2, 3], user_centric=user_centric)
    assert payouts(lines.statement(), "agreed") == agreed


@pytest.mark.parametrize("user_centric", ["P", "Q", "PQ"])
def test_fans_of_a_user_centric_payee_are_not_outplayed(user_centric: str) -> None:
    case = month(*TEN_FANS, rights=own("P", "Q"), pool=7000, accounts=range(1, 11), user_centric=user_centric)
    assert payouts(case.statement(), "agreed") == {"P": 5600, "Q": 1400}


def test_amounts_that_are_equal_in_truth_are_tied_however_they_were_summed() -> None:
    """A is owed 1/3 + 1/6 of a contribution and B is owed 1/2: thirds are rounded, halves are not, and A comes first."""
    fans = [Heard(1, "A", 2), Heard(1, "C", 4), Heard(2, "A", 1), Heard(2, "C", 5), Heard(3, "B", 3), Heard(3, "C", 3)]
    for first, second in [("A", "B"), ("B", "A")]:
        rights = [Right("A", first), Right("B", second), Right("C", "Z")]
        lines = month(*fans, rights=rights, pool=3, accounts=[1, 2, 3], user_centric="AB").statement()
        assert payouts(lines, "user_centric") == payouts(lines, "agreed") == {"A": 1, "B": 0, "Z": 2}


@given(months)
@settings(max_examples=200)
def test_every_line_of_every_pool_is_what_a_naive_computation_in_fractions_gives(case: Month) -> None:
    lines = case.statement()
    assert findings_about(RoyaltyStatements, lines.lazy()) == []
    assert lines.equals(lines.sort(LINE))
    for (country, tier, currency), pool in case.pools.items():
        of_pool = lines.filter(pl.col("tier") == tier, pl.col("currency") == currency)
        for rule in RULES:
            naive = naive_lines(case, (country, tier), rule)
            expected = naive_amounts(pool, naive)
            assert amounts(of_pool, rule) == expected
            assert sum(expected.values()) == pool
            listened = of_pool.filter(pl.col("rule") == rule).select(*LINE[5:], "plays", "ms_played").rows()
            assert {row[:4]: row[4:] for row in listened} == {n: (x.plays, x.ms_played) for n, x in naive.items()}


@given(months)
@settings(max_examples=40)
def test_the_order_of_input_does_not_matter(case: Month) -> None:
    turned = replace(case, heard=case.heard[::-1], rights=case.rights[::-1], agreements=case.agreements[::-1])
    assert case.statement().equals(turned.statement())


@given(months, st.integers(1, 5))
@settings(max_examples=40)
def test_a_month_of_more_usage_than_fits_into_memory_is_divided_alike(case: Month, usage_at_once: int) -> None:
    usage = case.usage().with_columns(pl.col("listener_key") * SPREAD)
    terms = case.terms()._replace(accounts=case.terms().accounts.with_columns(pl.col("user_key") * SPREAD))
    expected = statement(MONTH, usage, terms).collect()
    assert_frame_equal(statement(MONTH, usage, terms, usage_at_once).collect(), expected)


@given(months, rules)
@settings(max_examples=40)
def test_without_plays_there_is_no_money(case: Month, rule: str) -> None:
    lines = case.statement().filter(pl.col("rule") == rule, pl.col("line") != "unclaimed")
    assert (lines["plays"] > 0).all()
    heard = {heard.track for heard in case.heard if heard.is_eligible}
    heard |= {right.payee for right in case.rights if right.track in heard}
    assert set(lines.select(pl.concat_str("payee_id", "track_id")).to_series()) <= heard


@given(months, st.integers(2, 1000), st.integers(1, 5))
@settings(max_examples=40)
def test_playing_everything_more_often_moves_no_user_centric_money(case: Month, times: int, listener: int) -> None:
    louder = tuple(replace(h, plays=h.plays * times) if h.listener == listener else h for h in case.heard)
    before, after = case.statement(), replace(case, heard=louder).statement()
    columns = [*LINE, "amount_minor"]
    of_rule = pl.col("rule") == "user_centric"
    assert before.filter(of_rule).select(columns).equals(after.filter(of_rule).select(columns))
    assert_within_one_unit(case, before, after, case.user_centric_payees())


@given(months, months)
@settings(max_examples=60)
def test_what_a_user_centric_payee_has_does_not_depend_on_what_others_agreed_to(case: Month, other: Month) -> None:
    """Before rounding it is the same; after it, at most one unit is in it."""
    everybody = replace(case, agreements=tuple(Agreement(payee) for payee in "XYZ"))
    others = replace(case, agreements=other.agreements)
    both = case.user_centric_payees() & others.user_centric_payees()
    assert_within_one_unit(case, case.statement(), others.statement(), both)
    assert_within_one_unit(case, case.statement(), everybody.statement(), case.user_centric_payees())


@given(months)
@settings(max_examples=40)
def test_what_is_agreed_for_a_user_centric_payee_is_what_that_rule_gives(case: Month) -> None:
    lines = case.statement()
    user_centric = lines.filter(pl.col("rule") == "user_centric").with_columns(rule=pl.lit("agreed"))
    assert_within_one_unit(case, lines, user_centric, case.user_centric_payees())


def assert_within_one_unit(case: Month, left: pl.DataFrame, right: pl.DataFrame, payees: set[str]) -> None:
    """The lines of these payees are the same as agreed, but for a minor unit in the amount."""
    for country, tier, currency in case.pools:
        of_pool = (pl.col("country") == country, pl.col("tier") == tier, pl.col("currency") == currency)
        one, other = (
            {name: amount for name, amount in amounts(lines.filter(of_pool), "agreed").items() if name[1] in payees}
            for lines in (left, right)
        )
        assert one.keys() == other.keys()
        assert all(abs(amount - other[name]) <= 1 for name, amount in one.items())


@given(months)
@settings(max_examples=40)
def test_while_nobody_is_user_centric_what_is_agreed_is_pro_rata(case: Month) -> None:
    agreements = tuple(replace(agreement, rule="pro_rata") for agreement in case.agreements)
    lines = replace(case, agreements=agreements).statement()
    agreed, pro_rata = (lines.filter(pl.col("rule") == rule).drop("rule") for rule in ("agreed", "pro_rata"))
    assert agreed.equals(pro_rata)


@given(
    st.lists(
        st.builds(
            Heard,
            listener=st.integers(1, 6),
            track=st.sampled_from(["fake", "fake too", "song", "other song"]),
            plays=st.integers(1, 10**6),
            ms_per_play=st.integers(1, 10**6),
        ),
        max_size=20,
    ),
    st.integers(0, 10**6),
)
@settings(max_examples=60)
def test_no_set_of_accounts_extracts_more_than_it_paid_in(heard: list[Heard], pool: int) -> None:
    """Accounts 1 to 3 play what they like, and nobody else plays what they want to be paid for."""
    farm = {1, 2, 3}
    plays = [h for h in heard if h.listener in farm or h.track.endswith("song")]
    rights = own("fake", "fake too", "song", "other song")
    lines = month(*plays, rights=rights, pool=pool, accounts=range(1, 7), user_centric=["fake", "fake too"]).statement()
    for rule in ("user_centric", "agreed"):
        extracted = [amount for payee, amount in payouts(lines, rule).items() if payee.startswith("fake")]
        assert sum(extracted) <= pool * len(farm) // 6 + len(extracted)


def test_who_was_not_heard_is_not_on_the_statement() -> None:
    lines = month(Heard(1, "X", 1), rights=own("X", "Y"), accounts=[1], user_centric="Y").statement()
    assert lines["payee_id"].unique().to_list() == ["X"]


def test_spam_and_short_plays_get_nothing() -> None:
    heard = [Heard(1, "X", 1), Heard(1, "Y", 90, status="spam"), Heard(1, "Z", 90, status="short")]
    lines = month(*heard, rights=own("X", "Y", "Z"), accounts=[1]).statement()
    assert [payouts(lines, rule) for rule in RULES] == [{"X": 3000}] * 3


def test_withheld_money_waits_for_the_incident_under_the_name_of_its_payee() -> None:
    heard = [
        Heard(1, "X", 1),
        Heard(1, "X", 1, status="withheld", incident="i1"),
        Heard(1, "Y", 1, status="withheld", incident="i1"),
        Heard(1, "Y", 2, status="withheld"),
        Heard(1, "broken", 1, status="withheld", incident="i1"),
    ]
    rights = [*own("X"), Right("Y", "X", 500_000), Right("Y", "Z", 500_000)]
    lines = month(*heard, rights=rights, accounts=[1], pool=1200, user_centric="X").statement()
    expected: dict[Name, int] = {
        ("payout", "X", "", ""): 200,
        ("withheld", "X", "", "i1"): 300,
        ("withheld", "Z", "", "i1"): 100,
        ("withheld", "X", "", ""): 200,
        ("withheld", "Z", "", ""): 200,
        ("withheld", "", "broken", "i1"): 200,
    }
    assert [amounts(lines, rule) for rule in RULES] == [expected] * 3


def test_a_cleared_incident_moves_money_from_withheld_to_the_same_payees() -> None:
    suspected = [*THREE_FANS, Heard(2, "Y", 7, status="withheld", incident="i")]
    cleared = [replace(heard, status="earning") for heard in suspected]
    before, after = (
        month(*heard, rights=own("X", "Y", "Z"), accounts=[1, 2, 3], user_centric="Y").statement()
        for heard in (suspected, cleared)
    )
    for rule in RULES:
        waiting = amounts(before, rule)["withheld", "Y", "", "i"]
        assert abs(payouts(after, rule)["Y"] - payouts(before, rule)["Y"] - waiting) <= 1


def test_an_incident_that_was_cleared_for_one_play_still_withholds_another() -> None:
    heard = [Heard(1, "X", 1, incident="i"), Heard(1, "X", 2, status="withheld", incident="i")]
    lines = month(*heard, rights=own("X"), accounts=[1]).statement()
    expected = {("payout", "X", "", ""): 1000, ("withheld", "X", "", "i"): 2000}
    assert [amounts(lines, rule) for rule in RULES] == [expected] * 3


def test_logged_out_listeners_count_in_pro_rata_and_contribute_nothing_to_user_centric() -> None:
    heard = [Heard(1, "X", 1), Heard(2, "Y", 2, is_account=False), Heard(3, "Y", 3, is_account=False)]
    case = month(*heard, rights=own("X", "Y"), pool=600, accounts=[1])
    lines = case.statement()
    assert payouts(lines, "pro_rata") == {"X": 100, "Y": 500}
    assert payouts(lines, "user_centric") == {"X": 600}
    assert payouts(replace(case, agreements=(Agreement("X"),)).statement(), "agreed") == {"X": 600, "Y": 0}


def test_what_an_account_without_an_eligible_play_paid_is_unclaimed_or_goes_to_those_who_are_paid_by_plays() -> None:
    heard = [Heard(1, "X", 1), Heard(2, "X", 9, status="spam")]
    case = month(*heard, rights=own("X"), accounts=[1, 2, 3], user_centric="X")
    lines = case.statement()
    expected = {("payout", "X", "", ""): 1000, UNCLAIMED: 2000}
    assert amounts(lines, "user_centric") == amounts(lines, "agreed") == expected
    assert amounts(lines, "pro_rata") == {("payout", "X", "", ""): 3000}
    with_another = replace(case, heard=(*heard, Heard(4, "Y", 1, is_account=False)), rights=tuple(own("X", "Y")))
    assert payouts(with_another.statement(), "agreed") == {"X": 1000, "Y": 2000}


def test_a_pool_without_plays_and_accounts_is_unclaimed_as_a_whole() -> None:
    lines = month(pool=77).statement()
    assert [amounts(lines, rule) for rule in RULES] == [{UNCLAIMED: 77}] * 3


def test_a_pool_that_only_a_share_of_nothing_is_left_for_is_unclaimed() -> None:
    rights = [Right("X", "X"), Right("X", "nothing", share_ppm=0)]
    lines = month(Heard(1, "X", 1), rights=rights, accounts=[1, 2], user_centric="X").statement()
    expected = {("payout", "X", "", ""): 1500, ("payout", "nothing", "", ""): 0, UNCLAIMED: 1500}
    assert amounts(lines, "agreed") == expected


def test_rights_are_read_as_of_the_event_day_both_ends_included() -> None:
    rights = [
        Right("X", "old", valid_to=date(2026, 1, 10)),
        Right("X", "new", valid_from=date(2026, 1, 11), valid_to=date(2026, 1, 31)),
    ]
    heard = [Heard(1, "X", 1, day=1), Heard(1, "X", 2, day=10), Heard(1, "X", 3, day=11), Heard(1, "X", 4, day=31)]
    lines = month(*heard, rights=rights, pool=1000, accounts=[1]).statement()
    assert [payouts(lines, rule) for rule in RULES] == [{"old": 300, "new": 700}] * 3


@pytest.mark.parametrize("shares", [(), (999_999,), (600_000, 600_000), (1_500_000, -500_000)])
def test_a_track_whose_rights_do_not_add_up_is_held_in_escrow(shares: tuple[int, ...]) -> None:
    broken = [Right("X", f"payee {number}", share) for number, share in enumerate(shares)]
    case = month(Heard(1, "X", 1), Heard(1, "Y", 2), rights=[*broken, *own("Y")], accounts=[1])
    lines = replace(case, agreements=(Agreement("payee 0"),)).statement()
    expected = {("escrow", "", "X", ""): 1000, ("payout", "Y", "", ""): 2000}
    assert [amounts(lines, rule) for rule in RULES] == [expected] * 3


def test_a_day_on_which_two_versions_of_rights_overlap_is_escrow_and_no_other_day() -> None:
    rights = [Right("X", "old", valid_to=date(2026, 1, 10)), Right("X", "new", valid_from=date(2026, 1, 10))]
    heard = [Heard(1, "X", 1, day=9), Heard(1, "X", 1, day=10), Heard(1, "X", 1, day=11)]
    lines = month(*heard, rights=rights, accounts=[1]).statement()
    expected = {("payout", "old", "", ""): 1000, ("escrow", "", "X", ""): 1000, ("payout", "new", "", ""): 1000}
    assert amounts(lines, "pro_rata") == expected


def test_a_payee_who_claims_a_track_twice_is_one_line_with_its_plays_once() -> None:
    rights = [Right("X", "Y", 500_000), Right("X", "Y", 500_000, valid_from=date(2021, 1, 1))]
    lines = month(Heard(1, "X", 4), rights=rights, accounts=[1]).statement()
    assert lines.select("payee_id", "plays", "amount_minor").rows() == [("Y", 4, 3000)] * 3


def test_plays_without_revenue_stand_on_lines_without_money() -> None:
    lines = Month((Heard(1, "X", 4),), tuple(own("X")), {}).statement()
    expected = [("XXX", rule, "X", 4, 0) for rule in RULES]
    assert lines.select("currency", "rule", "payee_id", "plays", "amount_minor").rows() == expected


def test_listening_time_beyond_any_plausible_value_does_not_overflow() -> None:
    loud = [Heard(1, "X", 1, ms_per_play=2**62), Heard(1, "Y", 1, ms_per_play=2**61)]
    lines = month(*loud, rights=own("X", "Y"), accounts=[1]).statement()
    assert payouts(lines, "user_centric") == {"X": 2000, "Y": 1000}


def test_nothing_landed_gives_an_empty_statement() -> None:
    lines = Month((), (), {}).statement()
    assert findings_about(RoyaltyStatements, lines.lazy()) == []
    assert lines.is_empty()


def test_agreements_name_the_rules_that_lines_are_divided_by() -> None:
    assert PAYOUT_RULES == (PRO_RATA, USER_CENTRIC)
    assert set(RULES) == {*PAYOUT_RULES, "agreed"}


def test_the_fingerprint_counts_and_never_adds_currencies() -> None:
    case = month(Heard(1, "X", 1), Heard(1, "Q", 1), rights=own("X"), accounts=[1], pool=100)
    assert numbers_of(RoyaltyStatements, case.statement().lazy()) == {
        "pools": 1,
        "pools_without_revenue": 0,
        "unbalanced_pools": 0,
        "payees": 1,
        "escrow_tracks": 1,
        "incidents_withheld": 0,
        **{f"{rule}_{line}_EUR": 50 for rule in RULES for line in ("payout", "escrow")},
        **{f"{rule}_{line}_EUR": 0 for rule in RULES for line in ("withheld", "unclaimed")},
    }
    dollars = {"agreed_payout_USD": 6, "agreed_payout_EUR": 50}
    both = replace(case, pools={**case.pools, ("DE", "premium", "USD"): 13}).statement().lazy()
    assert {name: numbers_of(RoyaltyStatements, both)[name] for name in dollars} == dollars


def test_a_statement_that_loses_a_minor_unit_breaks_its_contract() -> None:
    lines = month(Heard(1, "X", 1), rights=own("X"), accounts=[1]).statement()
    short = lines.with_columns(pl.col("amount_minor") - 1)
    (breach,) = breaches(RoyaltyStatements.limits(), numbers_of(RoyaltyStatements, short.lazy()))
    assert (breach.about, breach.size) == ("unbalanced_pools", 1)
