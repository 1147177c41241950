"""Values that many rows of the ledger have in common, each kept once under a digest of itself. The caller has begun the transaction.

What the values mean is up to who keeps them: the columns and settings of versions, and the chunks of their inputs.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.rows import in_batches
from spam_pipeline.protocol.ledger.tables import shared_values

_DIGESTS: sa.BindParameter[bytes] = sa.bindparam("digests", expanding=True)
_KNOWN = sa.select(shared_values.c.digest).where(shared_values.c.digest.in_(_DIGESTS))
_VALUES = sa.select(shared_values).where(shared_values.c.digest.in_(_DIGESTS))
_ADD = sa.insert(shared_values)


def digest_of_value(value: Any) -> bytes:
    """The digest that a JSON value is kept under, names in their order: 128 bits, as nobody else chooses the values."""
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).digest()[:16]


def keep_values(connection: Connection, values: Mapping[bytes, Any]) -> None:
    """Add values by their digests, except those that are there."""
    known = {found for some in in_batches(values.keys()) for found in connection.scalars(_KNOWN, {"digests": some})}
    rows = [{"digest": key, "value": value} for key, value in values.items() if key not in known]
    if rows:
        connection.execute(_ADD, rows)


def values_of(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, Any]:
    """The values of these digests."""
    wanted: Collection[bytes] = set(digests)
    return {
        digest: value for some in in_batches(wanted) for digest, value in connection.execute(_VALUES, {"digests": some})
    }
