"""Names that a shell completes: read from the ledger below the home, without the engine, which takes a second to load.

A ledger elsewhere is not asked: a shell that waits for a server at a key stroke is worse than one that completes nothing.
"""

import os
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

STAGES = "select distinct stage from versions order by stage"
ENVIRONMENTS = "select distinct environment from publications order by environment"


def known_names(*queries: str) -> Iterator[str]:
    """The names that queries find in the ledger; none where there is none that can be read."""
    ledger = _home() / "ledger.db"
    with (
        suppress(sqlite3.Error, OSError),
        closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True)) as opened,
    ):
        for query in queries:
            yield from (name for (name,) in opened.execute(query))


def _home() -> Path:
    """The home that `settings` would find, which loads what the engine needs."""
    named = os.environ.get("SPAM_PIPELINE_HOME")
    with suppress(OSError, ValueError):  # no file, none of TOML, or none of UTF-8
        named = named or tomllib.loads(Path("spam_pipeline.toml").read_text("utf-8")).get("home")
    return Path(named if named and isinstance(named, str) else ".spam_pipeline")
