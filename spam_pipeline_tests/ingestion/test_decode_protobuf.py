from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typing_extensions import override

from spam_pipeline.ingestion.blocks import Block
from spam_pipeline.ingestion.decode_protobuf import decode_messages, play_event
from spam_pipeline.ingestion.protobuf_fields import fields_of
from spam_pipeline.ingestion.records import FIELD_TYPES, KEPT_BYTES

_SHOWN_BYTES = 200


class Raw(bytes):
    """The bytes of a message, a long one shown by its beginning: Hypothesis warns of what takes more than 30,000 characters to show."""

    @override
    def __repr__(self) -> str:
        return super().__repr__() if len(self) <= _SHOWN_BYTES else f"{self[:_SHOWN_BYTES]!r}... of {len(self)}"


TEXTS = {2, 4, 5, 6, 7, 8, 9, 10, 11}


def varint(value: int, padding: int = 0) -> bytes:
    """A varint, if wanted longer than it has to be."""
    parts = [value & 127]
    while value := value >> 7:
        parts.append(value & 127)
    parts += [0] * padding
    return bytes([part | 128 for part in parts[:-1]] + parts[-1:])


def text(number: int, content: bytes, padding: int = 0) -> bytes:
    return varint(number << 3 | 2) + varint(len(content), padding) + content


def integer(number: int, value: int, padding: int = 0) -> bytes:
    return varint(number << 3) + varint(value % 2**64, padding)


CONTENT = st.one_of(
    st.text(max_size=6).map(str.encode), st.binary(max_size=3), st.sampled_from([b"x" * 127, b"x" * 128, b"y" * 20_000])
)
NUMBER = st.one_of(
    st.integers(0, 300), st.sampled_from([2**31 - 1, 2**31, 2**32 + 1, 2**49 - 1, 2**49, 2**63, -1, -(2**40)])
)
PADDING = st.sampled_from([0] * 9 + [1, 2, 8])
RIGHT = st.one_of(
    st.builds(text, st.sampled_from(sorted(TEXTS)), CONTENT), st.builds(integer, st.sampled_from([1, 3, 12]), NUMBER)
)
ODD = st.one_of(
    st.builds(text, st.integers(1, 20), CONTENT, PADDING),
    st.builds(integer, st.integers(1, 20), NUMBER, PADDING),
    st.binary(max_size=4),
    st.sampled_from(
        [b"\x0b\x0c", b"\x0b", b"\x0d1234", b"\x09" + b"12345678", b"\x92\x00\x01a", b"\x00", b"\x12\x05ab"]
    ),
)
MESSAGE = st.one_of(
    st.lists(RIGHT, max_size=12, unique_by=lambda field: field[0]), st.lists(st.one_of(RIGHT, ODD), max_size=5)
).map(lambda fields: Raw(b"".join(fields)))


def expected(raw: bytes) -> tuple[Any, ...] | None:
    """The fields of a message, and how many it has that are unknown, as the reference implementation finds them."""
    try:
        found = play_event().FromString(raw)
    except DecodeError:
        return None
    values = {field.name: getattr(found, field.name) for field in found.DESCRIPTOR.fields}
    values |= {
        field.name: None for field in found.DESCRIPTOR.fields if field.has_presence and not found.HasField(field.name)
    }
    values |= {"schema_version": values["schema_version"] or None, "occurred_at": str(values["occurred_at_ms"])}
    return *(values[name] for name in FIELD_TYPES), len(UnknownFieldSet(found))


@given(messages=st.lists(MESSAGE, max_size=8))
@example(messages=[text(2, b"a"), text(2, b"\xff"), text(4, b"c"), b"", text(9, "\u00e9".encode()), text(9, b"\xc3")])
@example(messages=[integer(1, 2**31), integer(12, 2**49), integer(12, -1), integer(3, 5, 3), text(2, b"a", 1)])
@example(messages=[b"\x12\x01\x80" + text(4, b"y" * 70_000)])
@settings(max_examples=300)
def test_messages_are_decoded_together_as_each_is_by_the_reference_implementation(messages: list[bytes]) -> None:
    messages = list(map(bytes, messages))
    decoded = decode_messages(Block(7, messages, 0))
    wanted = {line: expected(raw) for line, raw in enumerate(messages, start=7)}
    records = decoded.records.select("line", *FIELD_TYPES, "unknown_fields").rows()
    assert records == [(line, *values) for line, values in wanted.items() if values is not None]
    rejected = decoded.rejections.rows()
    assert [(line, reason) for line, _, reason, _ in rejected] == [
        (line, "not a readable message") for line, values in wanted.items() if values is None
    ]
    kept = {line: raw if wanted[line] is not None else raw[:KEPT_BYTES] for line, raw in enumerate(messages, start=7)}
    assert dict(decoded.records.select("line", "raw").rows()) | {line: raw for line, *_, raw in rejected} == kept


@given(fields=st.lists(RIGHT, max_size=12, unique_by=lambda field: field[0]))
def test_what_clients_send_is_plain_in_any_order(fields: list[bytes]) -> None:
    known = [field for field in fields if field[0] & 7 or len(field) <= 8]
    found = fields_of([b"".join(known)], [number in TEXTS for number in range(1, 13)])
    assert found.is_plain.tolist() == [True]
    assert (found.starts[1:] > 0).sum() == len(known)
