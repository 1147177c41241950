"""Types of the ledger's columns beyond SQLAlchemy's own: how a value lies in the database. What the columns mean is in `tables`."""

import json
from typing import Any

import sqlalchemy as sa
import zstandard
from sqlalchemy.engine import Dialect
from typing_extensions import override


class PackedJson(sa.TypeDecorator[Any]):
    """JSON, compressed: fingerprints, definitions and lists of files repeat themselves, and lie in a third to a half of their bytes."""

    impl = sa.LargeBinary
    cache_ok = True

    @override
    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes:
        del dialect
        return zstandard.compress(json.dumps(value, separators=(",", ":")).encode())

    @override
    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:
        del dialect
        return None if value is None else json.loads(zstandard.decompress(value))
