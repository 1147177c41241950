from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.ingestion.blocks import (
    LONGEST_RECORD_BYTES,
    Block,
    UnreadableTail,
    blocks_of_lines,
    blocks_of_messages,
)
from spam_pipeline.ingestion.compression import DamagedStream

PIECES = st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([b"\n", b"a\n", b"\n\nb"])), max_size=20)


@given(pieces=PIECES, block_bytes=st.integers(1, 50))
@settings(deadline=None)
def test_lines_are_cut_at_their_ends_and_numbered_however_the_bytes_come(pieces: list[bytes], block_bytes: int) -> None:
    content = b"".join(pieces)
    seen, line = b"", 1
    for block in blocks_of_lines(iter(pieces), block_bytes):
        assert isinstance(block, Block)
        assert block.first == line
        assert block.size == len(block.data)
        seen += block.data
        line += block.data.count(b"\n")
        assert seen == content.removeprefix(b"\xef\xbb\xbf") or block.data.endswith(b"\n")
    assert seen == content.removeprefix(b"\xef\xbb\xbf")


@given(messages=st.lists(st.binary(max_size=127), max_size=20), cut=st.integers(1, 30), block_bytes=st.integers(1, 50))
@settings(deadline=None)
def test_messages_are_found_and_numbered_however_the_bytes_come(
    messages: list[bytes], cut: int, block_bytes: int
) -> None:
    content = b"".join(bytes([len(message)]) + message for message in messages)
    pieces = (content[start : start + cut] for start in range(0, len(content), cut))
    found: list[bytes] = []
    for block in blocks_of_messages(pieces, block_bytes):
        assert isinstance(block, Block)
        assert block.first == len(found) + 1
        found += block.data
    assert found == messages


def test_an_endless_line_never_fills_the_memory() -> None:
    pieces = (b"x" * 100_000 for _ in range(500))
    ((block),) = blocks_of_lines(pieces, 2 * LONGEST_RECORD_BYTES)
    assert isinstance(block, Block)
    assert LONGEST_RECORD_BYTES < len(block.data) < 4 * LONGEST_RECORD_BYTES


def test_damage_ends_the_lines_with_what_was_not_a_whole_line() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one\ntwo\nthr"
        raise DamagedStream("reason")

    assert list(blocks_of_lines(pieces())) == [Block(1, b"one\ntwo\n", 8), UnreadableTail(3, b"thr", "reason")]
