"""Erasing people: from landed files, from rejected records, and from everything that was ever computed from either.

The list of erased people is an input like any other, and keeps out what is sent later. Landed files are rewritten without their records,
a convergence brings everything to where it would be without them, and what still holds them is forgotten: versions, their
fingerprints, copies. Each step can be done again, so that an erasure that was interrupted is finished by asking for it once more.
"""

import io
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from spam_pipeline.ingestion.erased_people import PEOPLE_PATH, read_people, with_people
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.reported_convergence import converge_and_report
from spam_pipeline.operations.screening import Screening
from spam_pipeline.operations.traces import (
    REJECTED,
    STORE,
    Needles,
    Person,
    Trace,
    stored_traces,
    traces,
)
from spam_pipeline.protocol.operating import (
    OnProgress,
    forget,
    no_progress,
    require_name,
    require_reason,
    rows_with,
)

CAUSE = "erasure of a person"
"""Why versions were forgotten, as the ledger has it."""


@dataclass(frozen=True)
class Erasing:
    """What an erasure did: the landed records that went and the files that they were in, versions that were forgotten, what is held.

    `left` are the places in which somebody still occurs: none, unless something is held, failed, or is for a person to look at.
    """

    records: int
    files: int
    versions: int
    held: tuple[str, ...]
    failed: tuple[str, ...]
    left: tuple[Trace, ...]


def erase(
    pipeline: Pipeline, people: Sequence[Person], *, by: str, reason: str, on_progress: OnProgress = no_progress
) -> Erasing:
    """Erase people from everything, and prove it by a search. What they do from now on is somebody else's.

    Raises `WrongPerson`, `WrongDecision` without a name or a reason, `NotRewritten`, and like `converge_and_report`.
    """
    who, why = require_name(by), require_reason(reason)
    pipeline.require_key_of_ones_own()
    needles = Needles(people, pipeline.settings.identifier_key.get_secret_value())
    screening = Screening(pipeline.landing_zone, pipeline.engine.claims, needles.identifier_key)
    on_progress("rewriting landed files")
    _list_people(pipeline, needles, who, why)
    paths = [state.path for state in pipeline.landing_zone.files()]
    screened = screening.screen(paths, screening.people())
    done = converge_and_report(pipeline, None, on_progress)
    on_progress("forgetting versions")
    versions = _forget(pipeline, needles)
    left = traces(pipeline, people, on_progress)
    failed = tuple(f"{item.stage} {item.partition}: {item.error}" for item in done.failed)
    return Erasing(
        records=sum(screened.erased.values()),
        files=len(screened.erased),
        versions=versions,
        held=tuple(done.held),
        failed=failed,
        left=tuple(left),
    )


def _list_people(pipeline: Pipeline, needles: Needles, by: str, reason: str) -> None:
    """Land the entries before anything else, so that what arrives meanwhile is screened too."""
    landing = pipeline.landing_zone
    with pipeline.engine.claims.on_rewriting():
        content = b""
        if landing.state(PEOPLE_PATH) is not None:
            with landing.open(PEOPLE_PATH) as file:
                content = file.read()
        read_people(content)  # raises for a list that nobody could read afterwards either
        added = needles.erasures(by, reason, datetime.now(UTC))
        landing.replace(PEOPLE_PATH, io.BytesIO(with_people(content, added)))


def _forget(pipeline: Pipeline, needles: Needles) -> int:
    """Forget the versions that hold people, and delete whatever else is stored of them; return the number of versions."""
    engine, settings = pipeline.engine, pipeline.settings
    store, private = engine.stores
    paths = {trace.where for trace in stored_traces(STORE, settings.store, needles)}
    rows = rows_with(settings.ledger, needles.are_in, needles.keys)
    ids = {row.version_id for row in rows if row.version_id is not None} | set(_versions_with(pipeline, paths))
    forgotten = forget(engine, ids, CAUSE)
    published = engine.ledger.files(forgotten.published)
    kept = {file.path for parts in published.values() for made in parts.values() for file in made}
    store.delete(sorted(paths - kept))
    engine.journal.rewrite(engine.journal.documents_with(needles.are_in, needles.keys))
    private.delete([trace.where for trace in stored_traces(REJECTED, settings.rejected, needles)])
    shutil.rmtree(settings.cache, ignore_errors=True)
    engine.ledger.prunings.compact(0)
    return len(forgotten.versions)


def _versions_with(pipeline: Pipeline, paths: Collection[str]) -> Iterator[int]:
    """The versions that have one of these files."""
    for stage in {path.split("/")[1] for path in paths if path.count("/") > 1}:
        for version_id, files in pipeline.engine.ledger.prunings.stage_files(stage).items():
            if any(file.path in paths for file in files):
                yield version_id
