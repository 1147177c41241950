"""Settings: where things live, in which environment one works, where the grids begin. Every one is an environment variable.

The defaults run embedded, on one machine, with nothing else installed. What a stage computes is not set here but written in
its code, so that a change of definition is a change of code.
"""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from spam_pipeline.protocol.errors import PipelineError
from spam_pipeline.protocol.ledger import PRODUCTION

PREFIX = "SPAM_PIPELINE_"

DEVELOPMENT_KEY = "development key, not a secret"
"""The default identifier key: keyed hashes made with it can be recomputed by anyone who has this source."""

_MINIMUM_KEY_LENGTH = 16
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class WrongSetting(PipelineError):
    """An environment variable holds a value that the setting does not accept."""


def _environment(name: str) -> str:
    if not _ENVIRONMENT.fullmatch(name):
        raise ValueError("expected a lower-case letter, then up to 39 letters, digits, - or _")
    return name


def _key(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < _MINIMUM_KEY_LENGTH:
        raise ValueError(f"expected at least {_MINIMUM_KEY_LENGTH} characters")
    return key


class Settings(BaseSettings):
    """The pipeline's settings; empty URLs stand for the default places under `home`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    home: Path = Path(".spam_pipeline")
    store_url: str = ""
    ledger_url: str = ""
    rejected_url: str = ""
    widget_url: str = ""
    environment: Annotated[str, AfterValidator(_environment)] = PRODUCTION
    start_date: date = date(2026, 1, 1)
    identifier_key: Annotated[SecretStr, AfterValidator(_key)] = SecretStr(DEVELOPMENT_KEY)

    @property
    def landing(self) -> Path:
        """The landing zone."""
        return self.home.absolute() / "landing"

    @property
    def store(self) -> str:
        """Where published data lies."""
        return self.store_url or str(self.home.absolute() / "store")

    @property
    def rejected(self) -> str:
        """Where the bytes of rejected records lie: apart from published data, because they can name people."""
        return self.rejected_url or str(self.home.absolute() / "rejected")

    @property
    def cache(self) -> Path:
        """Local copies of remote files; may be deleted."""
        return self.home.absolute() / "cache"

    @property
    def ledger(self) -> str:
        """The ledger's SQLAlchemy URL."""
        return self.ledger_url or f"sqlite:///{self.home.absolute() / 'ledger.db'}"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file over everything published."""
        return self.home.absolute() / "warehouse.duckdb"

    @property
    def widgets(self) -> str:
        """The keyed store for play counts: a file for SQLite, or a `redis://` URL."""
        return self.widget_url or str(self.home.absolute() / "widgets.db")

    @property
    def dagster_home(self) -> Path:
        """Where the Dagster instance lies when `DAGSTER_HOME` names none."""
        return self.home.absolute() / "dagster"

    @property
    def has_development_key(self) -> bool:
        """Whether keyed hashes are made with the public default."""
        return self.identifier_key.get_secret_value() == DEVELOPMENT_KEY

    def configuration(self) -> dict[str, Any]:
        """The entries that stages and deliveries may take, by name. What stands here can be part of a recipe."""
        return {
            "start_date": self.start_date,
            "identifier_key": self.identifier_key.get_secret_value(),
            "warehouse_file": str(self.warehouse),
            "widget_store": self.widgets,
        }


def settings_from_environment() -> Settings:
    """The settings that the environment variables give. Raises `WrongSetting`, naming the variable and what it accepts."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"{PREFIX}{'_'.join(map(str, item['loc'])).upper()}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_input=False)
        ]
        raise WrongSetting("; ".join(problems)) from None
