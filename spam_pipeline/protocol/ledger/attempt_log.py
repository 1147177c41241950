"""Attempts: the recipes that were tried, with which code, and how those ended that made no version. Part of the ledger."""

from collections.abc import Collection

import sqlalchemy as sa

from spam_pipeline.protocol.code_version.code_version import CodeVersion
from spam_pipeline.protocol.ledger.records import Attempts
from spam_pipeline.protocol.ledger.rows import attempts_of, in_batches, now, ticks
from spam_pipeline.protocol.ledger.tables import attempts, code_versions, completions, failures, writing

_BEGIN = sa.insert(attempts).returning(attempts.c.id)
_CODES = sa.select(code_versions).where(code_versions.c.digest.in_(sa.bindparam("digests", expanding=True)))


class AttemptLog:
    """The attempts in a ledger's database, and the code versions that were ever tried."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._remembered: set[str] = set()

    def begin(self, recipe: str, stage: str, partition: str, run: str | None = None) -> int:
        """Note that a recipe is being tried, and return the attempt's id. A process that dies leaves nothing but this."""
        row = {"recipe": recipe, "stage": stage, "partition": partition, "run": run, "began_at": ticks(now())}
        with writing(self._engine) as connection:
            return int(connection.execute(_BEGIN, row).scalar_one())

    def fail(self, attempt_id: int, error: str) -> None:
        """Note the error that ended an attempt."""
        with writing(self._engine) as connection:
            connection.execute(
                sa.insert(failures), {"attempt_id": attempt_id, "error": error, "failed_at": ticks(now())}
            )

    def complete(self, attempt_id: int) -> None:
        """Note that an attempt that makes no version ended well."""
        with writing(self._engine) as connection:
            connection.execute(sa.insert(completions), {"attempt_id": attempt_id, "completed_at": ticks(now())})

    def of(self, recipes: Collection[str]) -> dict[str, Attempts]:
        """The unsuccessful tries of each of these recipes; absent if there were none."""
        with self._engine.connect() as connection:
            return {recipe: found for some in in_batches(recipes) for recipe, found in attempts_of(connection, some)}

    def remember_code(self, code: CodeVersion) -> None:
        """Keep the definitions and libraries of a code version, so that a later one can be compared with it."""
        if code.digest in self._remembered:
            return
        row = {
            "digest": code.digest,
            "definitions": dict(code.definitions),
            "libraries": dict(code.libraries),
            "recorded_at": ticks(now()),
        }
        with writing(self._engine) as connection:
            if (
                connection.scalar(sa.select(code_versions.c.digest).where(code_versions.c.digest == code.digest))
                is None
            ):
                connection.execute(sa.insert(code_versions), row)
        self._remembered.add(code.digest)

    def code(self, digests: Collection[str]) -> dict[str, CodeVersion]:
        """The code versions of these digests; absent if nothing was ever computed by them."""
        with self._engine.connect() as connection:
            return {
                row.digest: CodeVersion(row.digest, row.definitions, row.libraries)
                for some in in_batches(digests)
                for row in connection.execute(_CODES, {"digests": some})
            }
