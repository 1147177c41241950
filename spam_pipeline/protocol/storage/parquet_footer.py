"""The footer of a Parquet file, as far as it says where the values of each column lie. Polars reads footers and does not show this.

A footer is a structure of Thrift's compact protocol: https://parquet.apache.org/docs/file-format/ names the fields by the numbers
used here.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

_MAGIC = b"PAR1"

_ROW_GROUPS = 4
_CHUNKS, _ROWS = 1, 3
_META = 3
_BYTES, _DATA_PAGE, _DICTIONARY_PAGE = 7, 9, 11

_TRUE, _FALSE = 1, 2
_LONG_LIST = 15
_MORE = 128


class Chunk(NamedTuple):
    """The values of one leaf of a column in one row group: `rows` of them, in `size` bytes from `start`."""

    rows: int
    start: int
    size: int


def row_groups(file: Path) -> list[list[Chunk]]:
    """The chunks of each row group, in the order of the leaves of the file's columns. Raises `ValueError` for another format."""
    with file.open("rb") as opened:
        end = opened.seek(-8, 2)
        length = int.from_bytes(opened.read(4), "little")
        if opened.read(4) != _MAGIC:
            raise ValueError(f"{file} is no Parquet file")
        opened.seek(end - length)
        footer = _Compact(opened.read(length)).struct()
    return [[_chunk(chunk[_META], group[_ROWS]) for chunk in group[_CHUNKS]] for group in footer.get(_ROW_GROUPS, ())]


def _chunk(meta: dict[int, Any], rows: int) -> Chunk:
    return Chunk(rows, meta.get(_DICTIONARY_PAGE) or meta[_DATA_PAGE], meta[_BYTES])


class _Compact:
    """Values of Thrift's compact protocol, read from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self) -> dict[int, Any]:
        """The fields of a structure, by number."""
        return dict(self._fields())

    def _fields(self) -> Iterator[tuple[int, Any]]:
        number = 0
        while head := self.byte():
            step = head >> 4
            number = number + step if step else self.integer()
            kind = head & 15
            yield number, kind == _TRUE if kind in {_TRUE, _FALSE} else self._value(kind)

    def _value(self, kind: int) -> Any:
        return _READ[kind](self)

    def double(self) -> bytes:
        """A floating-point number, as its bytes: nobody needs it."""
        return self._take(8)

    def text(self) -> bytes:
        """Bytes of a stated length."""
        return self._take(self._varint())

    def items(self) -> list[Any]:
        """A list, or a set."""
        head = self.byte()
        size = head >> 4
        kind = head & 15
        return [self._value(kind) for _ in range(self._varint() if size == _LONG_LIST else size)]

    def pairs(self) -> list[tuple[Any, Any]]:
        """A map."""
        size = self._varint()
        kinds = self.byte() if size else 0
        return [(self._value(kinds >> 4), self._value(kinds & 15)) for _ in range(size)]

    def byte(self) -> int:
        """One byte."""
        self._at += 1
        return self._data[self._at - 1]

    def _take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def _varint(self) -> int:
        found = shift = 0
        while True:
            byte = self.byte()
            found |= (byte % _MORE) << shift
            if byte < _MORE:
                return found
            shift += 7

    def integer(self) -> int:
        """A whole number."""
        found = self._varint()
        return (found >> 1) ^ -(found & 1)


_READ: dict[int, Callable[[_Compact], Any]] = {
    **dict.fromkeys((_TRUE, _FALSE, 3), _Compact.byte),  # a truth value takes a byte only as an item of a list
    **dict.fromkeys((4, 5, 6), _Compact.integer),
    7: _Compact.double,
    8: _Compact.text,
    **dict.fromkeys((9, 10), _Compact.items),
    11: _Compact.pairs,
    12: _Compact.struct,
}
"""How a value is read, by its kind."""
