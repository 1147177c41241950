"""A summary of a month as Markdown, for the orchestrator: headline numbers, incidents, and the main drawings, embedded."""

from collections.abc import Sequence

from spam_pipeline.pages.markdown import as_image, as_table
from spam_pipeline.pages.plotter import drawing
from spam_pipeline.reporting.month import DESTINATIONS, IncidentInMonth, Month
from spam_pipeline.reporting.page_contents.month import plays_of_month, spam_of_month

_MOST_INCIDENTS, _LONGEST_NAME = 20, 80


def preview(month: Month, incidents: Sequence[IncidentInMonth]) -> str:
    """Summarise a month in at most some 30 KB, because the orchestrator keeps events for ever."""
    rows = [
        [item.incident_id[:_LONGEST_NAME], item.status, f"{item.play_count:,}", f"{item.play_count_in_reports:,}"]
        for item in incidents[:_MOST_INCIDENTS]
    ]
    rest = len(incidents) - len(rows)
    drawings = {
        "Plays": drawing([plays_of_month(month)]),
        "Spam by type": drawing([spam_of_month(month.spam_by_type)]),
    }
    return "\n\n".join(
        [
            as_table(["", month.name], month.counts()),
            *(f"**{name}**\n\n{as_image(name, drawn)}" for name, drawn in drawings.items() if drawn),
            as_table(
                ["currency", *DESTINATIONS.values()], [[name, *amounts] for name, amounts in month.money().items()]
            ),
            *([as_table(["incident", "status", "plays", "in reports"], rows)] if rows else []),
            *([f"and {rest} more incidents"] if rest > 0 else []),
        ]
    )
