"""The key of identifiers: where the public development key may be used. Hashing with it is the work of ingestion.

Whoever has this source can recompute a pseudonym that was made with that key, so it is for simulated people, and for trying
something in an environment that others do not read.
"""

import logging
from contextlib import suppress
from pathlib import Path

from upath import UPath

from spam_pipeline.protocol import PipelineError
from spam_pipeline.protocol.operating import PRODUCTION, LandingZone
from spam_pipeline.settings import PREFIX, Settings

_TRUTH = "truth.parquet"
"""Lies beside a landing zone that was simulated, and beside no other: nobody knows the truth about real plays."""

WARNED = ".warned-of-development-key"
"""The file in a home by which it is known that somebody was warned."""

_logger = logging.getLogger(__name__)

_MAKE_A_KEY = f"export {PREFIX}IDENTIFIER_KEY=$(python -c 'import secrets; print(secrets.token_urlsafe(32))')"


class DevelopmentKeyRefused(PipelineError):
    """Identifiers of real people would be hashed with the public development key, in production."""


def warn_of_development_key(home: Path) -> None:
    """Warn that the public key is used, once for each home: who sees it at every command stops reading warnings."""
    warned = home / WARNED
    if warned.exists():
        return
    _logger.warning("%sIDENTIFIER_KEY is not set: identifiers are hashed with the public development key", PREFIX)
    with suppress(OSError):  # of a home that nobody may write to
        warned.touch()


def require_key_of_ones_own(settings: Settings, landing: LandingZone) -> None:
    """Raise `DevelopmentKeyRefused` when production has the development key and files landed that nobody simulated."""
    if settings.environment != PRODUCTION or not settings.has_development_key:
        return
    is_simulated = (UPath(settings.landing_zone).parent / _TRUTH).exists()
    if is_simulated or next(landing.files(), None) is None:
        return
    raise DevelopmentKeyRefused(
        f"{PREFIX}IDENTIFIER_KEY is not set: {PRODUCTION} does not hash the identifiers of people with the public development key, "
        f"and {landing} is not simulated (there is no {_TRUTH} beside it). Make a key once, and keep it where your secrets are, "
        f"because another one gives everybody another pseudonym:\n{_MAKE_A_KEY}"
    )
