"""Publications as Dagster events: what was published elsewhere appears in a Dagster instance.

The ledger is the truth; an instance remembers how far it has been told. An instance that was deleted is told everything
again. Publications that a run of the same instance made are already there and are passed over.

The events go into a run of their own: a check without a run collides with an earlier one of the same partition in Dagster's
tables, and a check belongs to the latest materialization only when both are of one run.
"""

import uuid
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.events import StepMaterializationData

from spam_pipeline.orchestration.instance import only_one_at
from spam_pipeline.orchestration.metadata import CONTRACT_CHECK, audit_metadata, version_metadata, version_tags
from spam_pipeline.protocol.digest import digest
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.partition import WHOLE
from spam_pipeline.protocol.records import Audit, Publication, Verdict, Version

_JOB = "converge"


class Teller:
    """Tells one Dagster instance what is published in one environment of one ledger, in one run of its own.

    `place` tells apart several ledgers that one instance is told about.
    """

    def __init__(self, instance: dg.DagsterInstance, ledger: Ledger, environment: str, place: str) -> None:
        self._instance = instance
        self._ledger = ledger
        self._environment = environment
        self._cursor = f"spam_pipeline/{digest((place, environment))}"
        self._run_id: str | None = None

    def tell(self) -> int:
        """Tell the instance what it does not know yet; return how many publications that was."""
        with only_one_at(Path(self._instance.root_directory)):
            told = int(self._instance.run_storage.get_cursor_values({self._cursor}).get(self._cursor, "0"))
            found = self._ledger.publications_after(told, self._environment)
            elsewhere = [item for item in found if not self._made_here(item[0])]
            for item in elsewhere:
                self._report(*item)
            if found:
                self._instance.run_storage.set_cursor_values({self._cursor: str(found[-1][0].id)})
        return len(elsewhere)

    def close(self) -> None:
        """End the run, if there was anything to tell."""
        if self._run_id:
            self._event(self._run_id, dg.DagsterEventType.RUN_SUCCESS)

    def _made_here(self, publication: Publication) -> bool:
        return publication.run is not None and self._instance.has_run(publication.run)

    def _report(self, publication: Publication, version: Version, audit: Audit) -> None:
        partition = None if publication.partition == WHOLE else publication.partition
        materialization = dg.AssetMaterialization(
            asset_key=publication.stage,
            partition=partition,
            metadata={
                **version_metadata(version),
                "published_at": dg.MetadataValue.timestamp(publication.published_at),
            },
            tags=version_tags(version),
        )
        evaluation = dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(publication.stage),
            check_name=CONTRACT_CHECK,
            passed=audit.verdict is Verdict.PASSED,
            metadata=audit_metadata(audit, version),
            partition=partition,
        )
        run_id = self._run_id = self._run_id or self._start_run()
        self._event(run_id, dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(materialization))
        self._event(run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION, evaluation)

    def _start_run(self) -> str:
        run_id = str(uuid.uuid4())
        tags = {"spam_pipeline/environment": self._environment}
        self._instance.add_run(dg.DagsterRun(job_name=_JOB, run_id=run_id, tags=tags))
        self._event(run_id, dg.DagsterEventType.RUN_START)
        return run_id

    def _event(self, run_id: str, kind: dg.DagsterEventType, data: Any = None) -> None:
        event = dg.DagsterEvent(event_type_value=kind.value, job_name=_JOB, event_specific_data=data)
        self._instance.report_dagster_event(event, run_id=run_id)
