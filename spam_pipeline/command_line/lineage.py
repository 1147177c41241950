"""Sending lineage to a catalogue, or writing it to a file."""

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from spam_pipeline.command_line.contracts import extra
from spam_pipeline.command_line.terminal import print_record, progress
from spam_pipeline.operations.pipeline import Pipeline

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

API_KEY = "OPENLINEAGE_API_KEY"
"""The variable by which OpenLineage's own client is given a key."""

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
    from openlineage.client.transport.http import HttpConfig, HttpTransport  # noqa: PLC0415 - it may not be installed

    key = os.environ.get(API_KEY)
    auth = {"type": "api_key", "apiKey": key} if key else {}
    transport = HttpTransport(HttpConfig.from_dict({"url": to, "auth": auth}))
    try:
        for event in events:
            transport.emit(event)
    finally:
        transport.close()
