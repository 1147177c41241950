import gzip
import io
import random
import zlib
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.ingestion.compression import DamagedStream, decompressed

CONTENT = random.Random(1).randbytes(3_000) + b"the same again, " * 4_000  # noqa: S311 - the same in every process
PACKED = gzip.compress(CONTENT)
PLACE = st.one_of(st.integers(0, len(PACKED) - 1), st.integers(-12, -1), st.integers(0, 12))
DAMAGE: st.SearchStrategy[Callable[[bytes], bytes]] = st.one_of(
    st.builds(lambda place: lambda packed: packed[:place], PLACE),
    st.builds(lambda rest: lambda packed: packed + rest, st.binary(max_size=20)),
    st.builds(
        lambda place, change: lambda packed: packed[:place] + change + packed[place:][len(change) :],
        PLACE,
        st.binary(min_size=1, max_size=4),
    ),
)


@given(damage=DAMAGE)
def test_a_damaged_gzip_stream_gives_the_bytes_that_the_reference_implementation_gives(
    damage: Callable[[bytes], bytes],
) -> None:
    found = b""
    try:
        for piece in decompressed(io.BytesIO(damage(PACKED)), "a.gz"):
            found += piece.data
    except DamagedStream:
        pass
    reference = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        expected = reference.decompress(damage(PACKED))
    except zlib.error:
        expected = b""
    assert found == expected
