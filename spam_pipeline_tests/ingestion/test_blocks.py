from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.ingestion.blocks import (
    LONGEST_RECORD_BYTES,
    Block,
    UnreadableTail,
    blocks_of_lines,
    blocks_of_messages,
)
from spam_pipeline.ingestion.compression import DamagedStream, Piece
from spam_pipeline.ingestion.received_plays import AnyBlock


def plain(pieces: Iterable[bytes]) -> Iterator[Piece]:
    return (Piece(data, len(data)) for data in pieces)


BYTES = st.binary(max_size=20).map(lambda data: data.replace(b"\r", b"").replace(b"\x00", b""))
PIECES = st.lists(st.one_of(BYTES, st.sampled_from([b"\n", b"a\n", b"\n\nb"])), max_size=20)


@given(pieces=PIECES, block_bytes=st.integers(1, 50))
def test_lines_are_cut_at_their_ends_and_numbered_however_the_bytes_come(pieces: list[bytes], block_bytes: int) -> None:
    content = b"".join(pieces)
    seen, line = b"", 1
    for block in blocks_of_lines(plain(pieces), block_bytes):
        assert isinstance(block, Block)
        assert block.first == line
        assert block.size == len(block.data)
        seen += block.data
        line += block.data.count(b"\n")
        assert seen == content.removeprefix(b"\xef\xbb\xbf") or block.data.endswith(b"\n")
    assert seen == content.removeprefix(b"\xef\xbb\xbf")


@given(
    messages=st.lists(st.binary(min_size=1, max_size=127), max_size=20),
    cut=st.integers(1, 30),
    block_bytes=st.integers(1, 50),
)
def test_messages_are_found_and_numbered_however_the_bytes_come(
    messages: list[bytes], cut: int, block_bytes: int
) -> None:
    content = b"".join(bytes([len(message)]) + message for message in messages)
    pieces = (content[start : start + cut] for start in range(0, len(content), cut))
    found: list[bytes] = []
    for block in blocks_of_messages(plain(pieces), block_bytes):
        assert isinstance(block, Block)
        assert block.first == len(found) + 1
        found += block.data
    assert found == messages


def test_an_endless_line_never_fills_the_memory() -> None:
    pieces = (b"x" * 100_000 for _ in range(500))
    ((block),) = blocks_of_lines(plain(pieces), 2 * LONGEST_RECORD_BYTES)
    assert isinstance(block, Block)
    assert LONGEST_RECORD_BYTES < len(block.data) < 4 * LONGEST_RECORD_BYTES


def test_damage_ends_the_lines_with_what_was_not_a_whole_line() -> None:
    def pieces() -> Iterator[Piece]:
        yield Piece(b"one\n\nthr", 16)
        yield Piece(b"", 4)
        raise DamagedStream("reason")

    assert list(blocks_of_lines(pieces())) == [
        Block(1, b"one\n\n", 5),
        UnreadableTail(3, b"thr", "reason", read_bytes=10),
    ]


@given(lines=st.lists(st.sampled_from([b"", b"a", b"bc"]), min_size=2, max_size=20), cut=st.integers(1, 9))
def test_lines_that_end_with_cr_are_lines_however_the_bytes_come(lines: list[bytes], cut: int) -> None:
    content = b"first\r" + b"\r".join(lines)
    pieces = (content[start : start + cut] for start in range(0, len(content), cut))
    blocks = [block for block in blocks_of_lines(plain(pieces), 10) if isinstance(block, Block)]
    assert b"".join(block.data for block in blocks) == content.replace(b"\r", b"\n")
    assert [block.first for block in blocks] == [
        1 + b"".join(block.data for block in blocks[:number]).count(b"\n") for number in range(len(blocks))
    ]


@pytest.mark.parametrize("pieces", [[b"x" * 100, b"\r\n", b"a\r\nb"], [b"x" * 100 + b"\r", b"\na\r\nb"]])
def test_a_first_line_that_fills_a_block_leaves_open_how_lines_end(pieces: list[bytes]) -> None:
    blocks = list(blocks_of_lines(plain(pieces), 10))
    assert b"".join(block.data for block in blocks if isinstance(block, Block)) == b"x" * 100 + b"\r\na\r\nb"


@pytest.mark.parametrize("cut", [blocks_of_lines, blocks_of_messages])
def test_a_stream_of_nothing_but_nul_bytes_is_damaged_and_gave_nothing(
    cut: Callable[[Iterator[Piece], int], Iterator[AnyBlock]],
) -> None:
    (tail,) = cut(plain([b"\x00" * 10, b"\x00" * 3_000_000]), 100)
    assert isinstance(tail, UnreadableTail)
    assert (tail.line, tail.reason, tail.read_bytes) == (1, "nothing but NUL bytes", 0)


def test_nul_bytes_between_messages_are_padding() -> None:
    content = b"\x00" * 5 + b"\x01a" + b"\x00" * 100_000 + b"\x01b" + b"\x00" * 3
    assert [block.data for block in blocks_of_messages(plain([content])) if isinstance(block, Block)] == [[b"a", b"b"]]
    assert all(isinstance(block, Block) for block in blocks_of_messages(plain([content])))
