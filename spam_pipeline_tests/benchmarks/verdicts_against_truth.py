"""How good verdicts are against the truth, by attack type, with labels and without, and what that is in money.

    python -m spam_pipeline_tests.benchmarks.verdicts_against_truth [SEEDS] [PLAYS_PER_DAY]

Simulates ten days per seed with every attack and every oddity, computes facts and signals, and lets the context judge them four times:
with what the experts of the simulation declare, without one attack type of it, and without any of it. No group is suspected here, and no confirmed incident carries to others: this
is what single plays give away.

withheld, called: at the royalty and at the reporting tolerance. Money is what the functions of royalties make of these verdicts beside
what they make of the truth, exactly, by payee: what waits for an incident to be decided is missing from the payees until then.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from spam_pipeline.protocol.fingerprint import numbers
from spam_pipeline.royalties.contracts import PAYOUT, PRO_RATA, USER_CENTRIC, WITHHELD
from spam_pipeline.royalties.statements import Terms, statement
from spam_pipeline.royalties.usage import usage_of
from spam_pipeline.trust_and_safety.contracts import LEGITIMATE, SPAM
from spam_pipeline.trust_and_safety.model_file import quality_of
from spam_pipeline.trust_and_safety.quality import figures
from spam_pipeline_tests.simulated_weeks import (
    DECLARED_ATTACKS,
    HARD_NEGATIVES,
    MONTH,
    ORGANIC,
    PLAYS_PER_DAY,
    UNDECLARED_ATTACKS,
    Week,
    observed,
    share,
    shares,
    simulated,
)

SEEDS, FIRST_SEED = 5, 8201
ATTACKS = (*DECLARED_ATTACKS, *UNDECLARED_ATTACKS)

_WITH_LABELS, _WITHOUT_LABELS = "with labels", "without labels"


def judged(week: Week, labels: str) -> pl.DataFrame:
    """All verdicts of a week under some labels, with the figures of their model in `calibration_error`."""
    incidents = {_WITH_LABELS: week.incidents, _WITHOUT_LABELS: week.incidents.clear()}
    model, verdicts = week.verdicts(incidents[labels] if labels in incidents else week.without(labels))
    held_out = numbers(quality_of(model)).get("held_out_campaigns_calibration_error")
    return verdicts.with_columns(held_out_calibration_error=pl.lit(held_out, dtype=pl.Float64))


def true_verdicts(verdicts: pl.DataFrame) -> pl.DataFrame:
    """What verdicts should have been: no incident is needed by whoever knows the truth."""
    is_spam = pl.col("is_spam")
    return verdicts.with_columns(
        pl.when(is_spam).then(pl.lit(SPAM)).otherwise(pl.lit(LEGITIMATE)).alias("class"),
        is_spam.cast(pl.Float32).alias("spam_probability"),
        incident_id=pl.lit(None, pl.String),
        incident_status=pl.lit(None, pl.String),
    )


def lines(week: Week, verdicts: pl.DataFrame) -> pl.DataFrame:
    """The statement that royalties issue for these verdicts."""
    read = week.pipeline.read
    usage = usage_of(verdicts.lazy(), read("accounts"))
    return statement(MONTH, usage, Terms(*map(read, Terms._fields))).collect()


def money(week: Week, verdicts: pl.DataFrame) -> pl.DataFrame:
    """By rule and currency, in minor units: the pools, what payees get too much and too little, and what waits as withheld."""
    given, due = lines(week, verdicts), lines(week, true_verdicts(verdicts))
    payee = ["rule", "currency", "country", "tier", "payee_id"]
    paid, owed = (
        statement.filter(pl.col("line") == PAYOUT).group_by(payee).agg(pl.col("amount_minor").sum())
        for statement in (given, due)
    )
    both = paid.join(owed, on=payee, how="full", coalesce=True, suffix="_owed").fill_null(0)
    difference = pl.col("amount_minor") - pl.col("amount_minor_owed")
    differences = both.group_by("rule", "currency").agg(
        too_much=difference.clip(lower_bound=0).sum(), too_little=-difference.clip(upper_bound=0).sum()
    )
    amount = pl.col("amount_minor")
    pools = given.group_by("rule", "currency").agg(
        pool=amount.sum(), withheld=amount.filter(pl.col("line") == WITHHELD).sum()
    )
    return pools.join(differences, on=["rule", "currency"], how="left").fill_null(0)


def table_of_types(seeds: Sequence[pl.DataFrame]) -> Iterator[str]:
    """What becomes of each attack type and of each oddity; naming is over the undeclared plays that are not legitimate."""
    plays = pl.concat(seeds)
    yield f"  {'':<19}{'plays':>8}{'withheld':>10}{'called':>9}{'worst seed':>12}{'named':>8}"
    for scenario in (*ATTACKS, *HARD_NEGATIVES, ORGANIC):
        of = plays.filter(pl.col("scenario") == scenario)
        by_seed = [share(seed.filter(pl.col("scenario") == scenario), "is_withheld") for seed in seeds]
        worst = (min if scenario in ATTACKS else max)(by_seed)
        suspected = of.filter(pl.col("class") != LEGITIMATE, pl.col("incident_id").is_null())
        is_named = (suspected["attack_type"] == scenario).fill_null(value=False)
        named = f"{is_named.mean():>8.1%}" if scenario in ATTACKS and suspected.height else f"{'-':>8}"
        withheld, called = share(of, "is_withheld"), share(of, "is_called")
        yield f"  {scenario:<19}{of.height:>8,}{withheld:>10.2%}{called:>9.2%}{worst:>12.2%}{named}"


def table_of_seeds(seeds: dict[int, pl.DataFrame]) -> Iterator[str]:
    """The promises, by seed. Probabilities are judged on plays that no incident decides."""
    names = ("spam", "legit.", "artist", "spam", "legit.", "precision", "PR-AUC", "Brier", "ECE", "ECE held out")
    yield f"  {'':<6}{'withheld from royalties':^27}{'dropped from reports':^29}{'probabilities of undeclared plays':^30}"
    yield "  seed  " + "".join(f"{name:>{max(9, len(name) + 2)}}" for name in names)
    for seed, plays in seeds.items():
        reached = shares(plays)
        undeclared = plays.filter(pl.col("incident_id").is_null())
        is_spam = undeclared["is_spam"].to_numpy()
        found = figures(is_spam, undeclared["spam_probability"].to_numpy(), np.ones(len(is_spam)))
        percent = (
            *("spam_withheld", "legitimate_withheld", "worst_artist"),
            *("spam_called", "legitimate_called", "precision_called"),
        )
        held_out = plays["held_out_calibration_error"][0]
        yield (
            f"  {seed:<6}"
            + "".join(f"{reached[name]:>{11 if name == 'precision_called' else 9}.2%}" for name in percent)
            + "".join(f"{found[name]:>9.4f}" for name in ("pr_auc", "brier", "calibration_error"))
            + (f"{held_out:>14.4f}" if held_out is not None else f"{'-':>14}")
        )


def table_of_money(weeks: dict[int, Week], seeds: dict[int, pl.DataFrame]) -> Iterator[str]:
    """Money that goes to the wrong payee, in dollars exactly, and over all currencies as the largest share of a currency's pools."""
    yield "  money: pools, too much and too little to payees, waiting as withheld; the worst currency's share of its pools"
    amounts = ("too_much", "too_little", "withheld")
    for seed, plays in seeds.items():
        found = money(weeks[seed], plays)
        for rule in (PRO_RATA, USER_CENTRIC):
            of_rule = found.filter(pl.col("rule") == rule, pl.col("pool") > 0)
            dollars = of_rule.filter(pl.col("currency") == "USD").row(0, named=True)
            worst = {name: of_rule.select((pl.col(name) / pl.col("pool")).max()).item() for name in amounts}
            yield f"  {seed:<6}{rule:<14}{dollars['pool'] / 100:>12,.2f} USD" + "".join(
                f"{dollars[name] / 100:>12,.2f} ({worst[name]:.2%})" for name in amounts
            )


def report(weeks: dict[int, Week]) -> Iterator[str]:
    """All tables."""
    for labels in (_WITH_LABELS, _WITHOUT_LABELS):
        seeds = {seed: judged(week, labels) for seed, week in weeks.items()}
        yield f"\n{labels}"
        yield from table_of_seeds(seeds)
        yield from table_of_types(list(seeds.values()))
        yield from table_of_money(weeks, seeds)
    yield "\nan attack type that no expert ever declared: withheld of it, called, worst seed, and legitimate plays withheld"
    for attack_type in DECLARED_ATTACKS:
        found = [judged(week, attack_type) for week in weeks.values()]
        of_type = [plays.filter(pl.col("scenario") == attack_type) for plays in found]
        caught, together = [share(plays, "is_withheld") for plays in of_type], pl.concat(of_type)
        wrong = max(shares(plays)["legitimate_withheld"] for plays in found)
        yield (
            f"  {attack_type:<19}{share(together, 'is_withheld'):>9.2%}{share(together, 'is_called'):>9.2%}"
            f"{min(caught):>9.2%}{wrong:>9.3%}"
        )


def main(arguments: Sequence[str]) -> None:
    """Simulate, judge and print."""
    sizes = [int(argument) for argument in arguments]
    count, plays_per_day = [*sizes, *(SEEDS, PLAYS_PER_DAY)[len(sizes) :]]
    with tempfile.TemporaryDirectory() as folder:
        weeks = {}
        for seed in range(FIRST_SEED, FIRST_SEED + count):
            pipeline = simulated(Path(folder) / str(seed), seed, plays_per_day=plays_per_day)
            weeks[seed] = observed(pipeline, "play_signals", "agreements")
        for line in report(weeks):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
