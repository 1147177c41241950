"""Where the fields of many protobuf messages lie, found for all messages at once; nothing is known of what they mean.

A message is plain if it is made of known fields alone, each at most once and with the type that it should have, and numbers in the
shortest encoding. Such a message leaves nothing to a parser but to copy it; any other may still be valid, and is left to a slower one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

_INTEGER, _TEXT = 0, 2  # the lower bits of a tag
_TAG_BITS, _BYTE_BITS, _VARINT_BITS = 3, 8, 7
_WORD_BYTES, _BYTE, _MORE = 8, 0xFF, 0x80
_ENDS = 0x80808080808080  # the bits of which the last byte of a varint lacks its own
_SQUEEZE = ((0x007F007F007F007F, 1), (0x00003FFF00003FFF, 2), (0x000000000FFFFFFF, 4))
"""What of a word stays in its place while its other bits go down to close the gaps between bytes, pairs of bytes, and fours."""


@dataclass(frozen=True)
class Fields:
    """For each field, by its number, and each message: where its value begins, and the number or the size of the text.

    `starts` is 0 where a message does not have a field, and counts from the start of the message. Of messages that are not
    `is_plain` nothing is known.
    """

    is_plain: NDArray[np.bool_]
    starts: Numbers
    values: Numbers


def fields_of(messages: Sequence[bytes], are_texts: Sequence[bool]) -> Fields:
    """Find the fields of messages; those with the numbers 1 to 15 are texts or integers, in this order."""
    data = b"".join([*messages, bytes(_WORD_BYTES)])
    words = np.ndarray(len(data) - _WORD_BYTES + 1, "<i8", data, strides=(1,))  # the next eight bytes from each place
    sizes = np.fromiter(map(len, messages), np.int64, len(messages))
    ends = np.cumsum(sizes)
    first = at = ends - sizes
    number_of, is_text_of = _tags(are_texts)
    rows = np.arange(len(messages))
    shape = len(are_texts) + 1, len(messages)  # the first row is for what is no field
    starts, values = np.zeros((2, shape[0] * shape[1]), np.int64)
    for _ in are_texts:  # a plain message has each field at most once
        word = words[at]
        tag = word & _BYTE
        value, size = _varints(word >> _BYTE_BITS)
        start = at + 1 + size
        after = start + value * is_text_of[tag]
        place = number_of[tag] * len(messages) + rows
        is_field = (size > 0) & (place >= len(messages)) & (after <= ends) & (starts[place] == 0)
        place = np.where(is_field, place, 0)
        starts[place], values[place] = start - first, value
        at = np.where(is_field, after, at)
    return Fields(at == ends, starts.reshape(shape), values.reshape(shape))


def _tags(are_texts: Sequence[bool]) -> tuple[Numbers, Numbers]:
    """By each possible first byte of a field, its number or 0, and 1 for a text or 0."""
    number_of, is_text_of = np.zeros((2, 1 << _BYTE_BITS), np.int64)
    for number, is_text in enumerate(are_texts, start=1):
        tag = number << _TAG_BITS | (_TEXT if is_text else _INTEGER)
        number_of[tag], is_text_of[tag] = number, is_text
    return number_of, is_text_of


def _varints(words: Numbers) -> tuple[Numbers, Numbers]:
    """Read the varint at the start of each word, of seven bytes at most: its value and its size, 0 unless it is as short as can be.

    >>> _varints(np.array([0x05, 0x0381, 0x0080]))
    (array([  5, 385,   0]), array([1, 2, 0]))
    """
    if not (words & _MORE).any():  # as the sizes of nearly all texts
        return words & (_MORE - 1), np.ones_like(words)
    ends = ~words & _ENDS
    below_end = (ends & -ends) - 1  # without an end, -1, in which one bit is counted
    values = words & below_end & ~_ENDS
    for mask, shift in _SQUEEZE:
        values = (values & mask) | ((values & ~mask) >> shift)
    sizes = (np.bitwise_count(below_end).astype(np.int64) + 1) // _BYTE_BITS
    is_shortest = (sizes == 1) | (values >> (_VARINT_BITS * (sizes - 1)) > 0)
    return values, np.where(is_shortest, sizes, 0)
