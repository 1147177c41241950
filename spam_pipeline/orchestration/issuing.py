"""The job `issue`: a person issues the statement of a month from the launchpad of the UI.

Royalties decide what may be issued and what follows; the command `spam-pipeline issue` does the same.
"""

from collections.abc import Callable, Mapping

import dagster as dg

from spam_pipeline.protocol import PipelineError

Issue = Callable[[str, str], Mapping[str, str]]
"""Issues a month, given who decides; returns facts about it. Raises `PipelineError` with the reason when it does not."""

_ASKED = {
    "month": dg.Field(str, description="the month whose statement is issued, YYYY-MM; it is issued once and for ever"),
    "by": dg.Field(str, description="who decides: a name that others know"),
}

_FLAT = dg.ConfigMapping(lambda asked: {"ops": {"issue_statement": {"config": asked}}}, config_schema=_ASKED)
"""The launchpad asks for these fields alone, without the layers that Dagster puts around them."""


def issue_job(issue: Issue) -> dg.JobDefinition:
    """The job, launched with the fields that it asks for."""

    @dg.op(config_schema=_ASKED, out=dg.Out(dg.Nothing), description="Issues a statement as it is published.")
    def issue_statement(context: dg.OpExecutionContext) -> None:
        try:
            issued = issue(context.op_config["month"], context.op_config["by"])
        except PipelineError as problem:
            raise dg.Failure(str(problem), allow_retries=False) from problem
        context.add_output_metadata({name: dg.MetadataValue.text(text) for name, text in issued.items()})

    @dg.job(
        name="issue",
        config=_FLAT,
        description="Issue the statement of a month as it is published. What changes about it later becomes adjustments.",
    )
    def issue_once() -> None:
        issue_statement()

    return issue_once
