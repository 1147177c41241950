"""The demo: simulate, converge, and print a short tour of what happened.

Every number it prints is queried from published data. It can be run again on the same home, and then uses what has landed there.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import polars as pl

from spam_pipeline.command_line.terminal import err, out, progress
from spam_pipeline.currencies import as_amount
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.reported_convergence import converge_and_report
from spam_pipeline.protocol import PipelineError
from spam_pipeline.protocol.fingerprint import numbers
from spam_pipeline.protocol.operating import Converged, OnProgress
from spam_pipeline.reporting.page_contents.places import INDEX
from spam_pipeline.reporting.query import ask
from spam_pipeline.settings import FILE, Settings, settings_from_environment
from spam_pipeline.simulation import simulate
from spam_pipeline.trust_and_safety.contracts import SPAM
from spam_pipeline.trust_and_safety.incidents import CONFIRMED, SUSPECTED

DAYS = 10
PLAYS_PER_DAY = 20_000
_SHOWN = 3
"""The number of held partitions, or families of evidence, to print."""

TRUTH = "truth.parquet"
"""The ground truth that a simulation writes beside the landing zone."""

_RECORDS = """
    select (select count(*) from ingestion.received_plays),
           (select count(*) from ingestion.plays),
           (select count(*) from ingestion.rejected)
"""
_CLASSES = """
    select class, count(*) as plays, round(avg(spam_probability), 3) as mean_probability
    from trust_and_safety.classified_plays group by class order by class
"""
_COUNTRIES = """
    select measure, string_agg(country, ' ' order by plays desc, country)
    from (select measure, country, sum(plays) as plays from reporting.top_countries group by all)
    group by measure order by measure
"""
_MONEY = """
    pivot (select currency, rule, line, amount_minor from royalties.royalty_statements where currency in ('USD', 'JPY'))
    on line in ('payout', 'withheld', 'escrow', 'unclaimed') using coalesce(sum(amount_minor), 0)::bigint
    group by currency, rule order by currency desc, rule
"""
_A_VERDICT = """
    select track_id, partition_key, spam_probability, attack_type, reasons
    from trust_and_safety.classified_plays where class = 'spam' and incident_id is null
    order by spam_probability desc, event_id limit 1
"""
_DAYS = "select distinct partition_key from trust_and_safety.classified_plays order by all"


def settings_of_demonstration(settings: Settings, today: date) -> Settings:
    """Settings by which the simulated days end yesterday, as those of a platform do, unless they name the first one or files have landed.

    That first day is kept in the home's file of settings, where every later command and Dagster read it. Raises `LandingElsewhere`.
    """
    settings.require_landing_below_home()
    if "start_date" in settings.model_fields_set or settings.landing.exists():
        return settings
    file, first = settings.home / FILE, today - timedelta(days=DAYS)
    settings.home.mkdir(parents=True, exist_ok=True)
    kept = file.read_text(encoding="utf-8") if file.exists() else ""
    file.write_text(f"start_date = {first.isoformat()}\n{kept}", encoding="utf-8")
    return settings.model_copy(update={"start_date": first})


def print_demonstration() -> None:
    """Run the demo on the home that the settings name, and print the tour."""
    settings = settings_of_demonstration(settings_from_environment(), datetime.now(UTC).date())
    with progress() as on_progress:
        for line in demonstrate(Pipeline(settings), on_progress):
            out.print(line, soft_wrap=True)


class NotSimulated(PipelineError):
    """The landing zone was not written by a simulation."""


def demonstrate(
    pipeline: Pipeline, on_progress: OnProgress, days: int = DAYS, plays_per_day: int = PLAYS_PER_DAY
) -> Iterator[str]:
    """Run the demo on the pipeline's home, and yield the lines of its tour.

    Raises `NotSimulated` when the landing zone was not written by a simulation, and `LandingElsewhere` when it is not below
    the home.
    """
    converge = partial(converge_and_report, pipeline, None, on_progress, is_estimated=err.is_terminal)
    yield from _landing_zone(pipeline, on_progress, days, plays_per_day)
    yield _converged("converged", converge())
    yield from _suspicions(pipeline)
    yield from _tour(pipeline)
    yield ""
    yield from _verdict(pipeline)
    yield _model(pipeline)
    yield ""
    yield _confirm_incident(pipeline)
    before = _digests(pipeline)
    yield _converged("  converged", converge())
    yield f"  content changed: {_changed(before, _digests(pipeline))}"
    yield ""
    yield _land_late_play(pipeline)
    yield _converged("  converged", converge())
    yield _converged("  and again", converge())
    yield ""
    yield "Next: open Dagster on this data with the README's next command, or query it, for example:"
    yield '  spam-pipeline query "select * from reporting.daily_plays order by plays desc limit 5"'
    yield f"The report pages show what changed, and why: {pipeline.settings.reports / INDEX}"


def _landing_zone(pipeline: Pipeline, on_progress: OnProgress, days: int, plays_per_day: int) -> Iterator[str]:
    settings = pipeline.settings
    settings.require_landing_below_home()
    if settings.landing.exists():
        if not (settings.home / TRUTH).exists():
            raise NotSimulated(
                f"{settings.landing} was not written by a simulation, and the demo would add a play to it: "
                "set SPAM_PIPELINE_HOME to another home, or run spam-pipeline converge"
            )
        yield f"using what has landed in {settings.landing}"
        return
    done = count(1)
    made = simulate(
        settings.home,
        days=days,
        plays_per_day=plays_per_day,
        start=settings.start_date,
        on_day=lambda day, plays: on_progress(f"simulated {day}: {plays:,} plays", next(done), days),
    )
    yield f"simulated {made.days} days into {settings.landing}: {made.plays:,} plays in {made.files} files"


def _suspicions(pipeline: Pipeline) -> Iterator[str]:
    """The groups that wait for a person, and the first of each queue with its strongest evidence."""
    day, suspicions = pipeline.suspicions()
    yield f"suspected on {day}: {len(suspicions)} groups; the strong ones hold their slice of a day until somebody decides, and nothing else waits"
    for first in (item for item in suspicions if item.rank == 1):
        evidence = ", ".join(
            f"{family['family']} {family['value']:.3g} (usually {family['usual']:.3g})"
            for family in first.families[:_SHOWN]
        )
        yield f"  first of {first.queue}: {first.suspicion_id}, {first.plays:,} plays of {first.devices} devices: {evidence}"


def _verdict(pipeline: Pipeline) -> Iterator[str]:
    """One verdict that the model reached, with its reasons."""
    with pipeline.query() as connection:
        found = ask(connection, _A_VERDICT).rows
    for track, day, probability, attack_type, reasons in found:
        yield f"a verdict: a play of track {track} on {day} is spam with probability {probability:.2f}, {attack_type or 'of no known type'}:"
        for reason in reasons:
            is_measured = reason["value"] is not None
            seen = f" is {reason['value']:.3g}, usually {reason['usual']:.3g}" if is_measured else ""
            yield f"  {reason['signal']}{seen}"


def _model(pipeline: Pipeline) -> str:
    """The published model's results on campaigns that were held out of its training."""
    known = numbers(pipeline.fingerprint("spam_model"))
    if known["is_policy"]:
        return "the model: none, because there are too few labels; plays are classified by a fixed policy, and every verdict says so"
    prefix = "held_out_campaigns"
    spam, legitimate, error = (
        f"{known[f'{prefix}_{name}']:.2%}" if f"{prefix}_{name}" in known else "unknown"
        for name in ("withheld_spam_share", "withheld_legitimate_share", "calibration_error")
    )
    return (
        f"the model: trained on {known['spam_examples']:,.0f} examples of spam from {known['incidents']:.0f} incidents; on held-out "
        f"campaigns it withholds {spam} of spam and {legitimate} of legitimate plays, calibration error {error}"
    )


def _confirm_incident(pipeline: Pipeline) -> str:
    """Confirm the suspected incidents the way an expert does: by editing `incidents.csv`."""
    file = pipeline.settings.landing / "incidents.csv"
    known = pl.read_csv(file, infer_schema=False)
    suspected = known.filter(pl.col("status") == SUSPECTED)["incident_id"].unique().sort().to_list()
    if not suspected:
        return "No incident is suspected, so there is nothing for an expert to confirm:"
    is_decided = pl.col("incident_id").is_in(suspected)
    unfinished = file.with_name(".incidents.csv")
    known.with_columns(pl.when(is_decided).then(pl.lit(CONFIRMED)).otherwise("status").alias("status")).write_csv(
        unfinished
    )
    unfinished.replace(file)
    return f"An expert confirms {', '.join(suspected)}, suspected until now, in {file.name}:"


def _digests(pipeline: Pipeline) -> Mapping[tuple[str, str], str]:
    """The contents that are published, by stage and partition."""
    published = pipeline.engine.ledger.published(pipeline.settings.environment, list(pipeline.graph.stages))
    return {(stage, key): version.content for stage, by_key in published.items() for key, version in by_key.items()}


def _changed(before: Mapping[tuple[str, str], str], after: Mapping[tuple[str, str], str]) -> str:
    """The number of partitions of each stage whose content changed."""
    counts = Counter(stage for (stage, key), content in after.items() if before.get((stage, key)) != content)
    return ", ".join(f"{stage} {count}" for stage, count in counts.items()) or "nothing"


def _tour(pipeline: Pipeline) -> Iterator[str]:
    with pipeline.query() as connection:
        received, plays, rejected = ask(connection, _RECORDS).rows[0]
        yield (
            f"records: {received + rejected:,} landed = {plays:,} plays + {received - plays:,} duplicates "
            f"+ {rejected:,} rejected with file, line and reason"
        )
        yield "classes:"
        for name, count, probability in ask(connection, _CLASSES).rows:
            yield f"  {name:<12}{count:>10,}  mean spam probability {probability}"
        yield "top countries:"
        for measure, countries in ask(connection, _COUNTRIES).rows:
            yield f"  {measure:<14}{countries}"
        yield "royalties of two currencies:                    payout      withheld        escrow     unclaimed"
        for currency, rule, *amounts in ask(connection, _MONEY).rows:
            yield f"  {currency} {rule:<34}" + "".join(f"{as_amount(amount, currency):>14}" for amount in amounts)
        days = [day for (day,) in ask(connection, _DAYS).rows]
    truth = pl.scan_parquet(pipeline.settings.home / TRUTH)
    yield _against_truth(pipeline.read("classified_plays", days), truth)


def _against_truth(classified: pl.LazyFrame, truth: pl.LazyFrame) -> str:
    """The verdicts compared with the ground truth of the simulation; plays that it does not list are organic."""
    is_attack = pl.col("event_id").is_in(truth.filter("is_spam").collect()["event_id"].implode())
    counts = (
        classified.select(is_attack=is_attack, is_spam=pl.col("class") == SPAM)
        .group_by("is_attack")
        .agg(plays=pl.len(), spam=pl.col("is_spam").sum())
        .collect()
    )
    shares = {attack: (spam, plays) for attack, plays, spam in counts.select("is_attack", "plays", "spam").rows()}
    caught, attacks = shares.get(True, (0, 0))
    wrong, others = shares.get(False, (0, 0))
    return f"against the ground truth: {caught:,} of {attacks:,} plays of attacks are classified as spam, and {wrong:,} of {others:,} others"


def _converged(what: str, done: Converged) -> str:
    problems = [
        *(f"held: {line}" for line in done.held[:_SHOWN]),
        *([f"and {len(done.held) - _SHOWN} more are held"] if len(done.held) > _SHOWN else []),
        *(f"failed: {item.stage} {item.partition}: {item.error}" for item in done.failed),
    ]
    counts = f"{what} in {done.seconds:.1f} s: {done.computed} partitions computed, {done.reused} reused"
    return "\n  ".join([counts, *problems])


def _land_late_play(pipeline: Pipeline) -> str:
    """Land one play of the first day in the last hour of the last arrival day, unless an earlier run did."""
    landing = pipeline.settings.landing
    track = _last_track(landing / "reference" / "tracks.csv")
    last_day = max(path.name for path in (landing / "plays").iterdir())
    day = pipeline.settings.start_date
    play = {
        "event_id": "demo-late-play",
        "occurred_at": f"{day.isoformat()}T12:00:00Z",
        "track_id": track,
        "user_id": None,
        "device_id": "demo-device",
        "ip": "192.0.2.1",
        "country": "SE",
        "user_agent": "demo",
        "client": "web",
        "source": "direct",
        "ms_played": 120_000,
    }
    folder = landing / "plays" / last_day / "23"
    folder.mkdir(exist_ok=True)
    late = folder / "late.jsonl"
    if late.exists():
        return f"One play of {day} landed late in an earlier run, in a file of its own:"
    unfinished = folder / ".late.jsonl"
    unfinished.write_text(json.dumps(play) + "\n", encoding="utf-8")
    unfinished.replace(late)
    return f"One play of {day} lands late, in a file of its own:"


def _last_track(tracks: Path) -> str:
    return str(pl.scan_csv(tracks).select(pl.col("track_id").last()).collect().item())
