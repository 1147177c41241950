"""Decoding protobuf messages into records; an unreadable message costs no other message.

`play_event.proto` is for senders; the same message is described here for the runtime, and a test compares the two.
Plain messages are decoded all at once, by `protobuf_fields`, and the others one by one: the columnar decoders that exist reject a
whole batch for one broken message, count no unknown fields and need Arrow's own Python package. Values are validated in `event_rules`.
"""

from functools import cache
from itertools import starmap
from operator import attrgetter

import polars as pl
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from spam_pipeline.ingestion.blocks import Block
from spam_pipeline.ingestion.protobuf_fields import Fields, fields_of
from spam_pipeline.ingestion.records import RECORD_TYPES, Decoded, Rejection, rejections_frame

_FIELDS = {
    "schema_version": "int32",
    "event_id": "string",
    "occurred_at_ms": "int64",
    "track_id": "string",
    "user_id": "optional string",
    "device_id": "string",
    "ip": "optional string",
    "country": "optional string",
    "user_agent": "optional string",
    "client": "string",
    "source": "string",
    "ms_played": "optional int64",
}
"""The fields of the message, numbered from 1 in this order."""

_OPTIONAL = "optional "
_WIDEST_INT32 = 2**31 - 1
_ARE_TEXTS = [kind.endswith("string") for kind in _FIELDS.values()]
_AT_ONCE = 16_384
"""Messages whose numbers fit into the processor's cache; of twelve times as many, each takes a quarter longer."""


@cache
def play_event() -> type[Message]:
    """Return the class of the message `spam_pipeline.PlayEvent`."""
    file = descriptor_pb2.FileDescriptorProto(name="play_event.proto", package="spam_pipeline", syntax="proto3")
    described = file.message_type.add(name="PlayEvent")
    for number, (name, kind) in enumerate(_FIELDS.items(), start=1):
        field = described.field.add(name=name, number=number, label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL)
        field.type = descriptor_pb2.FieldDescriptorProto.Type.Value(f"TYPE_{kind.removeprefix(_OPTIONAL).upper()}")
        if kind.startswith(_OPTIONAL):  # presence is encoded as a one-of with a single member
            field.proto3_optional, field.oneof_index = True, len(described.oneof_decl)
            described.oneof_decl.add(name=f"_{name}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("spam_pipeline.PlayEvent"))


def decode_messages(block: Block[list[bytes]]) -> Decoded:
    """Decode the messages of a block; `line` is the 1-based number of a message within its file.

    Unset fields are null where the encoding records presence; of a repeated field the last value counts.
    """
    messages = pl.DataFrame({"raw": block.data}, schema={"raw": pl.Binary})
    messages = messages.with_columns(line=pl.int_range(block.first, block.first + pl.len(), dtype=pl.Int64))
    groups = [slice(at, at + _AT_ONCE) for at in range(0, max(len(block.data), 1), _AT_ONCE)]
    plain = pl.concat(_plain(messages[group], fields_of(block.data[group], _ARE_TEXTS)) for group in groups)
    if plain.height == messages.height:
        return Decoded(_records(plain), rejections_frame([]))
    parsed, rejections = _parsed(messages.join(plain, on="line", how="anti", maintain_order="left"))
    return Decoded(_records(pl.concat([plain, parsed]).sort("line")), rejections_frame(rejections))


def _plain(messages: pl.DataFrame, found: Fields) -> pl.DataFrame:
    """Copy the fields of the messages that are plain, and whose texts are UTF-8, to columns."""
    where = {f"{name} at": found.starts[number] for number, name in enumerate(_FIELDS, start=1)}
    what = {name: found.values[number] for number, name in enumerate(_FIELDS, start=1)}
    plain = messages.with_columns(**where, **what).filter(found.is_plain & (what["schema_version"] <= _WIDEST_INT32))
    fields = plain.select("line", "raw", *starmap(_field, _FIELDS.items()), unknown_fields=pl.lit(0, pl.Int64))
    texts = [name for name, kind in _FIELDS.items() if kind.endswith("string")]
    try:
        return fields.cast(dict.fromkeys(texts, pl.String))
    except pl.exceptions.ComputeError:
        readable = [all(map(_is_utf8, row)) for row in fields.select(texts).iter_rows()]
        return fields.filter(readable).cast(dict.fromkeys(texts, pl.String))


def _field(name: str, kind: str) -> pl.Expr:
    """The values of a field, of which texts are bytes yet."""
    start, value = pl.col(f"{name} at"), pl.col(name)
    value = pl.col("raw").bin.slice(start, value) if kind.endswith("string") else value
    return (pl.when(start > 0).then(value) if kind.startswith(_OPTIONAL) else value).alias(name)


def _is_utf8(text: bytes | None) -> bool:
    try:
        str(text or b"", "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _parsed(unusual: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[int, Rejection, bytes]]]:
    """Parse messages one by one, into columns and rejections."""
    message_class = play_event()
    messages: list[Message] = []
    located: list[tuple[int, bytes]] = []
    rejections: list[tuple[int, Rejection, bytes]] = []
    for line, raw in unusual.select("line", "raw").iter_rows():
        try:
            messages.append(message_class.FromString(raw))
        except DecodeError:
            rejections.append((line, Rejection("not a readable message"), raw))
        else:
            located.append((line, raw))
    columns: dict[str, pl.Series] = {
        "line": pl.Series([line for line, _ in located], dtype=pl.Int64),
        "raw": pl.Series([raw for _, raw in located], dtype=pl.Binary),
    }
    for name, kind in _FIELDS.items():
        values = list(map(attrgetter(name), messages))
        if kind.startswith(_OPTIONAL):
            values = [
                value if value or message.HasField(name) else None
                for value, message in zip(values, messages, strict=True)
            ]
        columns[name] = pl.Series(values, dtype=pl.Int64 if "int" in kind else pl.String)
    columns["unknown_fields"] = pl.Series([len(UnknownFieldSet(message)) for message in messages], dtype=pl.Int64)
    return pl.DataFrame(columns), rejections


def _records(fields: pl.DataFrame) -> pl.DataFrame:
    # the encoding cannot tell 0 from an absent version, and absent means 1
    version = pl.col("schema_version").replace(0, None)
    moment = pl.col("occurred_at_ms").cast(pl.String)
    return fields.with_columns(schema_version=version, occurred_at=moment).select(*RECORD_TYPES)
