"""From a landed file to accepted plays and rejected records, in batches of bounded size.

Combines decompression, blocks, decoding, rules and pseudonyms, each of which has a module of its own. Duplicates are kept;
`plays` removes them per event day.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import chain, islice

import polars as pl

from spam_pipeline.ingestion.addresses import networks_of
from spam_pipeline.ingestion.blocks import (
    LONGEST_RECORD_BYTES,
    Block,
    UnreadableTail,
    blocks_of_lines,
    blocks_of_messages,
)
from spam_pipeline.ingestion.compression import decompressed
from spam_pipeline.ingestion.contracts import Gaps, Manifests, ReceivedFiles, ReceivedPlays, Rejected
from spam_pipeline.ingestion.decode_json import decode_lines
from spam_pipeline.ingestion.decode_protobuf import decode_messages
from spam_pipeline.ingestion.event_rules import Bounds, apply_rules, bounds_of
from spam_pipeline.ingestion.hosting import HostingNetworks, hosting_networks
from spam_pipeline.ingestion.pseudonyms import keyed_hash
from spam_pipeline.ingestion.records import RECORD_TYPES, Decoded, Rejection, rejections_frame
from spam_pipeline.ingestion.sources import GAP, arrival_hour, holds_json, stated_in
from spam_pipeline.ingestion.stated_arrivals import WrongStatement, read_gap, read_manifest
from spam_pipeline.protocol import LandedFile, column_types

REJECTED = "rejected"
REJECTED_BYTES = "rejected_bytes"
GAPS, MANIFESTS = "gaps", "manifests"
FILES = "files"

# Measured on two cores: a third worker adds a tenth, because one that holds the interpreter's lock leaves a core partly idle.
_WORKERS = 3
_BLOCKS_AHEAD = _WORKERS + 1
_BATCH_BYTES = 96 * 1024 * 1024

AnyBlock = Block[bytes] | Block[list[bytes]] | UnreadableTail


@dataclass(frozen=True)
class _Rules:
    """The parameters that every block of a file is processed with."""

    hour: datetime
    bounds: Bounds
    identifier_key: str
    hosting: HostingNetworks


@dataclass(frozen=True)
class _Received:
    """The result of one block: `plays` of the contract, `rejections` of the rules, the number of bytes read, and what ended the file."""

    plays: pl.DataFrame
    rejections: pl.DataFrame
    size: int
    tail: UnreadableTail | None = None


def received_batches(file: LandedFile, identifier_key: str, start_date: date) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the plays of a file by event day, its rejected records, their bytes, and the account of the file.

    The items are `(day, ReceivedPlays)` in file order, `("rejected", Rejected)` and `("rejected_bytes", ...)` with columns
    `file`, `line` and `raw` (at most 64 KiB a record). Every non-blank record is in exactly one of the first two. The last item
    is `("files", ReceivedFiles)`, one row. A gap and a manifest give `("gaps", Gaps)` or `("manifests", Manifests)` alone.
    Raises `LandingChanged` when the file is no longer the one that was observed.
    """
    stated = stated_in(file.path)
    if stated is not None:
        yield from _statement(file, *stated)
        return
    hour = arrival_hour(file.path)
    rules = _Rules(hour, bounds_of(hour, start_date), identifier_key, hosting_networks())
    receive = partial(_receive, rules=rules)
    with file.open() as raw:
        pieces = decompressed(raw, file.path)
        blocks: Iterator[AnyBlock]
        blocks = blocks_of_lines(pieces) if holds_json(file.path) else blocks_of_messages(pieces)
        accepted, rejected, tail = 0, 0, None
        for batch in _batches(_in_parallel(receive, blocks)):
            yield from _parts(batch, file.path)
            accepted += sum(received.plays.height for received in batch)
            rejected += sum(received.rejections.height for received in batch)
            tail = batch[-1].tail
    yield FILES, _account(file, accepted, rejected, tail)


def _account(file: LandedFile, accepted: int, rejected: int, tail: UnreadableTail | None) -> pl.DataFrame:
    """The row of a file in `ReceivedFiles`."""
    lost_bytes = file.size - tail.read_bytes if tail else 0
    damage, is_cut_off = (tail.reason, tail.is_cut_off) if tail else (None, False)
    row = (file.path, arrival_hour(file.path), file.size, accepted, rejected, lost_bytes, is_cut_off, damage)
    return pl.DataFrame([row], schema=column_types(ReceivedFiles), orient="row")


def _statement(file: LandedFile, kind: str, hour: int | None) -> Iterator[tuple[str, pl.DataFrame]]:
    """The gap or the manifest in a file, or the rejection of one that cannot be read."""
    with file.open() as raw:
        content = raw.read(LONGEST_RECORD_BYTES)
    try:
        yield _gap(file.path, hour, content) if kind == GAP else _manifest(file.path, hour, content)
    except WrongStatement as problem:
        lost = rejections_frame([(1, Rejection(str(problem)), content)]).with_columns(file=pl.lit(file.path))
        yield REJECTED, lost.select(*column_types(Rejected))
        yield REJECTED_BYTES, lost.select("file", "line", "raw")


def _gap(path: str, hour: int | None, content: bytes) -> tuple[str, pl.DataFrame]:
    row = {"file": path, "hour": hour, **read_gap(content)._asdict()}
    return GAPS, pl.DataFrame([row], schema=column_types(Gaps))


def _manifest(path: str, hour: int | None, content: bytes) -> tuple[str, pl.DataFrame]:
    rows = [(path, unit, hour, count) for unit, count in read_manifest(content).items()]
    return MANIFESTS, pl.DataFrame(rows, schema=column_types(Manifests), orient="row")


def _in_parallel(receive: Callable[[AnyBlock], _Received], blocks: Iterator[AnyBlock]) -> Iterator[_Received]:
    """Process blocks in parallel and yield results in order; only a few blocks are in memory at a time."""
    first = list(islice(blocks, 2))
    if len(first) < 2:  # noqa: PLR2004 - a small file: starting threads for it took a third of its time
        yield from map(receive, first)
        return
    ahead: deque[Future[_Received]] = deque()
    with ThreadPoolExecutor(_WORKERS) as workers:
        for block in chain(first, blocks):
            ahead.append(workers.submit(receive, block))
            if len(ahead) > _BLOCKS_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _batches(received: Iterable[_Received]) -> Iterator[list[_Received]]:
    """Group results, because a file holds plays of several days and one block has few of each."""
    batch: list[_Received] = []
    for item in received:
        batch.append(item)
        if sum(one.size for one in batch) >= _BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _receive(block: AnyBlock, *, rules: _Rules) -> _Received:
    if isinstance(block, UnreadableTail):
        lost = rejections_frame([(block.line, Rejection(block.reason), block.raw)])
        decoded = Decoded(pl.DataFrame(schema=RECORD_TYPES), lost)
        size, tail = len(block.raw), block
    else:
        decoded = decode_messages(block) if isinstance(block.data, list) else decode_lines(block)
        size, tail = block.size, None
    checked = apply_rules(decoded, rules.bounds)
    return _Received(_pseudonymous(checked.records, rules), checked.rejections, size, tail)


def _pseudonymous(records: pl.DataFrame, rules: _Rules) -> pl.DataFrame:
    """Replace identifiers by keys, and addresses by their network and hosting status, as the contract has them."""
    of_plays = {"track": "track_id", "user": "user_id", "device": "device_id", "user_agent": "user_agent"}
    keys = [_keys(records[name], kind, rules) for kind, name in of_plays.items()]
    of_addresses = records.select("ip").join(
        _of_addresses(records["ip"].unique(), rules), on="ip", how="left", nulls_equal=True, maintain_order="left"
    )
    return records.with_columns(
        *keys, *of_addresses.drop("ip"), arrival_hour=pl.lit(rules.hour).cast(pl.Datetime("ms", "UTC"))
    ).select(*column_types(ReceivedPlays))


def _of_addresses(addresses: pl.Series, rules: _Rules) -> pl.DataFrame:
    """The keys of distinct addresses and of their networks, and whether those are hosting."""
    networks = networks_of(addresses)
    is_hosting = rules.hosting.among(networks).alias("is_hosting")
    return pl.DataFrame([addresses, _keys(addresses, "ip", rules), _keys(networks, "network", rules), is_hosting])


def _keys(values: pl.Series, kind: str, rules: _Rules) -> pl.Series:
    return keyed_hash(values, kind, rules.identifier_key).alias(f"{kind}_key")


def _parts(batch: list[_Received], path: str) -> Iterator[tuple[str, pl.DataFrame]]:
    plays = pl.concat([received.plays for received in batch])
    by_day = plays.with_columns(day=pl.col("occurred_at").dt.date()).partition_by(
        "day", include_key=False, as_dict=True, maintain_order=True
    )
    for (day,), share in by_day.items():
        yield day.isoformat(), share
    rejections = pl.concat([received.rejections for received in batch])
    if rejections.height:
        located = rejections.sort("line").with_columns(file=pl.lit(path))
        yield REJECTED, located.select(*column_types(Rejected))
        yield REJECTED_BYTES, located.select("file", "line", "raw")
