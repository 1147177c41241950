"""Months that tests make up, and what is paid of them by a naive computation, row by row in exact fractions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

import polars as pl
from hypothesis import strategies as st

from spam_pipeline.ingestion.contracts import Accounts, Agreements, Revenue, Rights
from spam_pipeline.protocol import Contract, column_types
from spam_pipeline.royalties.contracts import AGREED, RULES, USER_CENTRIC, RoyaltyUsage
from spam_pipeline.royalties.statements import Terms, statement

MONTH = "2026-01"
FIRST_ARRIVAL, SECOND_ARRIVAL, LAST_ARRIVAL = date(2026, 1, 20), date(2026, 2, 5), date(2026, 2, 6)
UNCLAIMED = ("unclaimed", "", "", "")

SPREAD = pl.lit(0x9E3779B97F4A7C15, pl.UInt64)
"""Keys of listeners times this are spread over 64 bits, as hashes are."""

Name = tuple[str, str, str, str]
Audience = tuple[str, str]


@dataclass(frozen=True)
class Heard:
    """One row of usage."""

    listener: int
    track: str
    plays: int
    ms_per_play: int = 40_000
    is_account: bool = True
    day: int = 10
    arrival: date = FIRST_ARRIVAL
    status: str = "earning"
    incident: str = ""
    country: str = "DE"
    tier: str = "premium"

    @property
    def audience(self) -> Audience:
        return self.country, self.tier

    @property
    def ms_played(self) -> int:
        return self.plays * self.ms_per_play

    @property
    def is_eligible(self) -> bool:
        return self.status in ("earning", "withheld")


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
class Agreement:
    """One row of agreements."""

    payee: str
    rule: str = "user_centric"
    valid_from: date = date(2026, 1, 1)


@dataclass(frozen=True)
class Month:
    """All inputs of a statement. A net revenue of 10/7 of a pool gives that pool."""

    heard: tuple[Heard, ...]
    rights: tuple[Right, ...]
    pools: Mapping[tuple[str, str, str], int]
    accounts: Mapping[int, Audience] = field(default_factory=dict)
    agreements: tuple[Agreement, ...] = ()

    def usage(self) -> pl.LazyFrame:
        rows = [
            (
                *(*h.audience, h.listener, h.is_account, h.track, date(2026, 1, h.day), h.arrival),
                *(h.status, h.incident, h.plays, h.ms_played),
            )
            for h in self.heard
        ]
        return frame(RoyaltyUsage, rows)

    def terms(self) -> Terms:
        revenue = [(MONTH, *pool, -(-minor * 10 // 7)) for pool, minor in self.pools.items()]
        rights = [(r.track, r.payee, r.valid_from, r.valid_to, r.share_ppm) for r in self.rights]
        accounts = [(key, *home, date(2025, 1, 1)) for key, home in self.accounts.items()]
        agreements = [(a.payee, a.valid_from, a.rule) for a in self.agreements]
        return Terms(
            revenue=frame(Revenue, revenue),
            rights=frame(Rights, rights),
            accounts=frame(Accounts, accounts),
            agreements=frame(Agreements, agreements),
        )

    def statement(self) -> pl.DataFrame:
        return statement(MONTH, self.usage(), self.terms()).collect()

    def user_centric_payees(self) -> set[str]:
        """Whose latest agreement that had begun by the first of January is user-centric."""
        latest: dict[str, Agreement] = {}
        for agreement in self.agreements:
            before = latest.get(agreement.payee)
            has_begun = agreement.valid_from <= date(2026, 1, 1)
            if has_begun and (before is None or before.valid_from < agreement.valid_from):
                latest[agreement.payee] = agreement
        return {payee for payee, agreement in latest.items() if agreement.rule == "user_centric"}


def frame(contract: type[Contract], rows: Iterable[tuple[object, ...]]) -> pl.LazyFrame:
    return pl.LazyFrame(list(rows), schema=column_types(contract), orient="row")


def month(
    *heard: Heard,
    rights: Iterable[Right] = (),
    pool: int = 3000,
    accounts: Iterable[int] = (),
    user_centric: Iterable[str] = (),
) -> Month:
    members = dict.fromkeys(accounts, ("DE", "premium"))
    agreements = tuple(Agreement(payee) for payee in user_centric)
    return Month(heard, tuple(rights), {("DE", "premium", "EUR"): pool}, members, agreements)


def own(*tracks: str) -> list[Right]:
    """Rights in which every track belongs to the payee of its name."""
    return [Right(track, track) for track in tracks]


def amounts(lines: pl.DataFrame, rule: str) -> dict[Name, int]:
    chosen = lines.filter(pl.col("rule") == rule).select("line", "payee_id", "track_id", "incident_id", "amount_minor")
    return {(line, payee, track, incident): amount for line, payee, track, incident, amount in chosen.rows()}


def payouts(lines: pl.DataFrame, rule: str) -> dict[str, int]:
    return {name[1]: amount for name, amount in amounts(lines, rule).items() if name[0] == "payout"}


@dataclass
class NaiveLine:
    """What was heard behind one line, and its part of the pool, before rounding."""

    plays: int = 0
    ms_played: int = 0
    shared_plays: Fraction = Fraction(0)
    part: Fraction = Fraction(0)


def naive_lines(case: Month, audience: Audience, rule: str) -> dict[Name, NaiveLine]:
    """The lines of an audience's pool by one rule; their parts sum to one."""
    heard = [h for h in case.heard if h.audience == audience and h.is_eligible]
    contributors = {h.listener for h in heard if h.is_account}
    contributors |= {listener for listener, home in case.accounts.items() if home == audience}
    user_centric = case.user_centric_payees()
    lines: dict[Name, NaiveLine] = defaultdict(NaiveLine)
    for row in heard:
        listened = sum(h.ms_played for h in heard if h.is_account and h.listener == row.listener)
        for name, share in _shares(row, case.rights).items():
            by_listening = rule == USER_CENTRIC or (rule == AGREED and name[1] in user_centric)
            if by_listening and not row.is_account:
                continue
            line = lines[name]
            line.plays += row.plays
            line.ms_played += row.ms_played
            if by_listening:
                line.part += share * Fraction(row.ms_played, listened * len(contributors))
            else:
                line.shared_plays += share * row.plays
    _divide_the_rest(lines)
    return lines


def _divide_the_rest(lines: dict[Name, NaiveLine]) -> None:
    rest = 1 - sum(line.part for line in lines.values())
    plays = sum(line.shared_plays for line in lines.values())
    for line in list(lines.values()):
        line.part += rest * line.shared_plays / plays if plays else 0
    if rest and not plays:
        lines[UNCLAIMED].part = rest


def _shares(heard: Heard, rights: Iterable[Right]) -> dict[Name, Fraction]:
    """Who has which share in a row of usage."""
    line, incident = ("withheld", heard.incident) if heard.status == "withheld" else ("payout", "")
    valid = [right for right in rights if right.track == heard.track and right.is_valid_on(heard.day)]
    if sum(right.share_ppm for right in valid) != 1_000_000 or any(right.share_ppm < 0 for right in valid):
        return {("escrow" if line == "payout" else line, "", heard.track, incident): Fraction(1)}
    shares: dict[Name, Fraction] = defaultdict(Fraction)
    for right in valid:
        shares[line, right.payee, "", incident] += Fraction(right.share_ppm, 1_000_000)
    return shares


def naive_amounts(pool: int, lines: Mapping[Name, NaiveLine]) -> dict[Name, int]:
    """Every part of the pool rounded down, and the units that are left given to the largest remainders."""
    exact = {name: pool * line.part for name, line in lines.items()}
    divided = {name: int(amount) for name, amount in exact.items()}

    by_remainder = sorted(exact, key=lambda name: (divided[name] - exact[name], name))
    for name in by_remainder[: pool - sum(divided.values())]:
        divided[name] += 1
    return divided


_days_of_january = st.integers(1, 6).map(lambda day: date(2026, 1, day))
listening = st.builds(
    Heard,
    listener=st.integers(1, 5),
    track=st.sampled_from("abcd"),
    plays=st.integers(1, 12),
    ms_per_play=st.integers(1, 9),
    is_account=st.sampled_from([True, True, True, False]),
    day=st.integers(1, 6),
    arrival=st.sampled_from([FIRST_ARRIVAL, SECOND_ARRIVAL, LAST_ARRIVAL]),
    status=st.sampled_from(["earning", "earning", "earning", "withheld", "spam", "short"]),
    incident=st.sampled_from(["", "i1", "i2"]),
    tier=st.sampled_from(["premium", "free"]),
)
holding = st.builds(
    Right,
    track=st.sampled_from("abcd"),
    payee=st.sampled_from("XYZ"),
    share_ppm=st.sampled_from([1_000_000, 1_000_000, 500_000, 333_333, 666_667, 0]),
    valid_from=_days_of_january | st.just(date(2020, 1, 1)),
    valid_to=_days_of_january | st.none(),
)
agreeing = st.builds(
    Agreement,
    payee=st.sampled_from("XYZ"),
    rule=st.sampled_from(["pro_rata", "user_centric", "user_centric"]),
    valid_from=st.sampled_from([date(2024, 5, 17), date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 2)]),
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
    agreements=st.lists(agreeing, max_size=4, unique_by=lambda a: (a.payee, a.valid_from)).map(tuple),
)
"""Months of two audiences with up to three currencies, of 2, 0 and 3 decimals; rights and agreements change and overlap."""

rules = st.sampled_from(RULES)
