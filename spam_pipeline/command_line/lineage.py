"""Sending lineage to a catalogue, or writing it to a file."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from spam_pipeline.command_line.contracts import extra
from spam_pipeline.command_line.terminal import print_record, progress
from spam_pipeline.operations.pipeline import Pipeline

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

_SHOWN_EVERY = 100


def send_lineage(to: str, after: int, *, as_json: bool) -> None:
    """Send the events of publications after a given one to a URL, or append them to a file, a line each."""
    with extra("catalogues"):
        from spam_pipeline.operations.open_lineage import events_after  # noqa: PLC0415 - it may not be installed
    sent, last = 0, after
    write = _to_url if to.startswith(("http://", "https://")) else _to_file
    with progress() as show:
        events = iter(events_after(Pipeline().engine, after))
        while some := list(islice(events, _SHOWN_EVERY)):
            write(to, [event for _, event in some])
            sent, last = sent + len(some), some[-1][0]
            show(f"{sent} events sent, up to publication {last}")
    print_record({"events": sent, "last": last}, as_json=as_json)


def _to_file(to: str, events: Iterable["RunEvent"]) -> None:
    from openlineage.client.serde import Serde  # noqa: PLC0415 - it may not be installed

    place = Path(to)
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("a", encoding="utf-8") as lines:
        lines.writelines(f"{Serde.to_json(event)}\n" for event in events)


def _to_url(to: str, events: Iterable["RunEvent"]) -> None:
    from openlineage.client import OpenLineageClient  # noqa: PLC0415 - it may not be installed

    client = OpenLineageClient(url=to)
    for event in events:
        client.emit(event)
    client.close()
