"""Settings: places, the environment, and the start of the grids. Every one is an environment variable, or stands in a file.

The files are `spam_pipeline.toml` in the working directory and in the home; variables count before them, in this order. The defaults run embedded, on one machine, with nothing else installed. What a stage computes is not set here but written in
its code, so that a change of definition is a change of code.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import fsspec  # type: ignore[import-untyped]  # it ships no types
import sqlalchemy as sa
from fsspec.core import split_protocol  # type: ignore[import-untyped]  # it ships no types
from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from upath import UPath

from spam_pipeline.notification_targets import Targets, read_targets
from spam_pipeline.protocol import Cadence, PipelineError, digest
from spam_pipeline.protocol.operating import (
    CACHE_BYTES,
    EVERY_STAGE,
    PRODUCTION,
    Retention,
    RetentionByStage,
    did_you_mean,
)

PREFIX = "SPAM_PIPELINE_"

FILE = "spam_pipeline.toml"
"""The name of a file of settings."""

DEVELOPMENT_KEY = "development key, not a secret"
"""The default identifier key: keyed hashes made with it can be recomputed by anyone who has this source."""

_DAGSTER_URL = "http://localhost:3000"
_DEFAULT_HOME = Path(".spam_pipeline")
_MINIMUM_KEY_LENGTH = 16
_LONGEST_ENVIRONMENT = 40
_ENVIRONMENT = re.compile(rf"[a-z][a-z0-9_-]{{0,{_LONGEST_ENVIRONMENT - 1}}}")
_ASSET_LEVEL = re.compile(r"[A-Za-z0-9_]+")
_LEDGER_BACKENDS = ("sqlite", "postgresql")
_LEAST_OF = {"in_process": 1, "processes": 1, "dagster": 0}
"""The least number that may follow each executor."""

_WIDGET_SCHEMES = ("redis", "rediss", "sqlite", "unix")
_LEDGER_EXPECTED = "expected a SQLAlchemy URL of SQLite or PostgreSQL, such as postgresql+psycopg://user@host/name"


class WrongSetting(PipelineError):
    """An environment variable or a file holds a value that the setting does not accept, or a file has no setting in it."""


def check_environment(name: str) -> str:
    """Return the name of an environment. Raises `ValueError`, saying what is expected."""
    if not _ENVIRONMENT.fullmatch(name):
        longest = _LONGEST_ENVIRONMENT - 1
        raise ValueError(f"expected a lower-case letter, then up to {longest} letters, digits, - or _")
    return name


def environment_of_branch(branch: str) -> str:
    """The environment of a branch of the code: its name, in characters that an environment may have, and never production's.

    >>> environment_of_branch("feature/ADS-12 faster signals")
    'feature-ads-12-faster-signals'
    >>> environment_of_branch("production")
    'branch-production'
    """
    slug = re.sub(r"[^a-z0-9_]+", "-", branch.lower()).strip("-")
    if slug and (slug == PRODUCTION or not slug[0].isalpha()):
        slug = f"branch-{slug}"
    if len(slug) <= _LONGEST_ENVIRONMENT:
        return slug
    mark = digest(branch)[:8]  # of two branches whose names begin alike, neither publishes into the other's environment
    return f"{slug[: _LONGEST_ENVIRONMENT - len(mark) - 1]}-{mark}"


def _environment_of_deployment() -> str:
    """Production, but for the branch deployments of Dagster+, whose variables these are: each has its branch's."""
    is_of_branch = os.environ.get("DAGSTER_CLOUD_IS_BRANCH_DEPLOYMENT") == "1"
    return environment_of_branch(os.environ.get("DAGSTER_CLOUD_GIT_BRANCH", "")) if is_of_branch else PRODUCTION


def _key(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < _MINIMUM_KEY_LENGTH:
        raise ValueError(f"expected at least {_MINIMUM_KEY_LENGTH} characters")
    return key


def _home(folder: Path) -> Path:
    if folder.exists() and not folder.is_dir():
        raise ValueError("expected a folder, or where one can be made")
    return folder


def _day(value: str | date) -> date:
    try:
        return value if isinstance(value, date) else date.fromisoformat(value)
    except ValueError:
        raise ValueError("expected a day, YYYY-MM-DD") from None


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _packages(value: str | tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(filter(None, re.split(r"[,\s]+", value))) if isinstance(value, str) else value
    if not _are_texts(names) or not all(name.isidentifier() for name in names):
        raise ValueError("expected names of top-level packages, with commas between them")
    return names


def _asset_prefix(value: str | tuple[str, ...]) -> tuple[str, ...]:
    levels = tuple(value.split("/") if value else ()) if isinstance(value, str) else value
    if not _are_texts(levels) or not all(_ASSET_LEVEL.fullmatch(level) for level in levels):
        raise ValueError("expected letters, digits and _, with / between levels, such as music/spam")
    return levels


def _ledger_url(url: str) -> str:
    """An empty URL, or one of a database that the ledger is kept in and whose driver is installed."""
    if not url:
        return url
    try:
        parsed = sa.make_url(url)
        dialect = parsed.get_dialect()
    except (sa.exc.ArgumentError, ValueError):
        raise ValueError(_LEDGER_EXPECTED) from None
    if parsed.get_backend_name() not in _LEDGER_BACKENDS or parsed.database in {None, "", ":memory:"}:
        raise ValueError(_LEDGER_EXPECTED)
    try:
        dialect.import_dbapi()
    except ImportError as error:
        raise ValueError(f"expected a database whose driver is installed: {error}") from None
    return url


def _files_url(url: str) -> str:
    """An empty URL, a path, or an fsspec URL whose file system is installed."""
    try:
        fsspec.get_filesystem_class(split_protocol(url)[0])
    except (ImportError, ValueError) as error:
        raise ValueError(f"expected a path, or a URL whose file system is installed: {error}") from None
    return url


def _web_url(url: str) -> str:
    if not url:
        return _DAGSTER_URL
    if not url.startswith(("http://", "https://")):
        raise ValueError("expected http://... or https://...")
    return url.rstrip("/")


def _run_tags(value: str | Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    try:
        read = json.loads(value or "{}") if isinstance(value, str) else value
        return {stage: {tag: _as_tag(item) for tag, item in tags.items()} for stage, tags in read.items()}
    except (ValueError, AttributeError):
        raise ValueError('expected tags by stage, as JSON such as {"plays": {"team": "ingestion"}}') from None


def _as_tag(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _retention(value: str | Mapping[str, str | Retention]) -> RetentionByStage:
    """A policy for all stages, or policies by stage, as text or as JSON."""
    try:
        named = value if isinstance(value, Mapping) else _policies(value)
        return {
            stage: item if isinstance(item, Retention) else Retention.read(str(item)) for stage, item in named.items()
        }
    except (ValueError, AttributeError) as problem:
        by_stage = '{"*": "30d", "play_signals": "0d", "royalty_statements": "forever"}'
        raise ValueError(f"{problem}; for stages of their own, JSON such as {by_stage}") from None


def _policies(text: str) -> Mapping[str, str]:
    return dict(json.loads(text)) if text.lstrip().startswith("{") else {EVERY_STAGE: text}


def _widget_url(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    if separator and scheme not in _WIDGET_SCHEMES:
        raise ValueError("expected redis://..., sqlite:///... or the path of a file")
    return url


class ExecutorChoice(NamedTuple):
    """Where a convergence has partitions computed: `in_process`, by `processes` of this machine, or in runs of `dagster`.

    `number` is that of the partitions at once or the processes, or the seconds of work of a run; None for the default.
    """

    kind: str
    number: int | None


def _executor(value: str | ExecutorChoice) -> ExecutorChoice:
    if isinstance(value, ExecutorChoice):
        return value
    kind, separator, number = str(value).partition(":")
    if kind in _LEAST_OF and not separator:
        return ExecutorChoice(kind, None)
    if kind in _LEAST_OF and re.fullmatch("[0-9]{1,4}", number) and int(number) >= _LEAST_OF[kind]:
        return ExecutorChoice(kind, int(number))
    raise ValueError(
        "expected in_process, in_process:<partitions at once>, processes, processes:<how many>, dagster, or "
        "dagster:<seconds of work in a run>"
    )


class LandingElsewhere(PipelineError):
    """A simulation is written below home, but the landing zone lies elsewhere."""


class Settings(BaseSettings):
    """The pipeline's settings; empty URLs stand for the default places under `home`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    home: Annotated[Path, AfterValidator(_home)] = _DEFAULT_HOME
    landing_url: Annotated[str, AfterValidator(_files_url)] = ""
    store_url: Annotated[str, AfterValidator(_files_url)] = ""
    ledger_url: Annotated[str, AfterValidator(_ledger_url)] = ""
    rejected_url: Annotated[str, AfterValidator(_files_url)] = ""
    widget_url: Annotated[str, AfterValidator(_widget_url)] = ""
    warehouse_url: Annotated[str, AfterValidator(_files_url)] = ""
    reports_url: Annotated[str, AfterValidator(_files_url)] = ""
    environment: Annotated[str, AfterValidator(check_environment)] = Field(default_factory=_environment_of_deployment)
    start_date: Annotated[date, BeforeValidator(_day)] = date(2026, 1, 1)
    plays_cadence: Cadence = Cadence.DAY
    identifier_key: Annotated[SecretStr, AfterValidator(_key)] = SecretStr(DEVELOPMENT_KEY)
    executor: Annotated[ExecutorChoice, NoDecode, BeforeValidator(_executor)] = ExecutorChoice("in_process", None)
    cache_size: ByteSize = ByteSize(CACHE_BYTES)
    asset_prefix: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_asset_prefix)] = ()
    run_tags: Annotated[Mapping[str, Mapping[str, str]], NoDecode, BeforeValidator(_run_tags)] = Field(
        default_factory=dict
    )
    dagster_url: Annotated[str, AfterValidator(_web_url)] = _DAGSTER_URL
    own_packages: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_packages)] = ()
    retention: Annotated[RetentionByStage, NoDecode, BeforeValidator(_retention)] = Field(
        default_factory=lambda: {EVERY_STAGE: Retention()}
    )
    notify: Annotated[Targets, NoDecode, BeforeValidator(read_targets)] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, variables, the file in the working directory, and the one in the home that these name, in this order."""
        files = setting_files(init_settings().get("home"))
        return init_settings, env_settings, *(InitSettingsSource(settings_cls, _read(file)) for file in files)

    @property
    def landing(self) -> Path:
        """The landing zone, unless another one is named; simulations are written here."""
        return self.home.absolute() / "landing"

    @property
    def landing_zone(self) -> str:
        """The path or URL of the landing zone."""
        return self.landing_url or str(self.landing)

    def require_landing_below_home(self) -> None:
        """Raise `LandingElsewhere` when what is written to `landing` would not be observed."""
        if self.landing_zone != str(self.landing):
            raise LandingElsewhere(
                f"{PREFIX}LANDING_URL names another place, but a simulation is only ever written to {self.landing}: "
                "unset it to simulate there"
            )

    @property
    def store(self) -> str:
        """The path or URL of published data."""
        return self.store_url or str(self.home.absolute() / "store")

    @property
    def rejected(self) -> str:
        """The path or URL of the bytes of rejected records: apart from published data, because they can name people."""
        return self.rejected_url or str(self.home.absolute() / "rejected")

    @property
    def cache(self) -> Path:
        """Local copies of remote files; may be deleted."""
        return self.home.absolute() / "cache"

    @property
    def ledger(self) -> str:
        """The ledger's SQLAlchemy URL."""
        file = sa.URL.create("sqlite", database=str(self.home.absolute() / "ledger.db"))
        return self.ledger_url or file.render_as_string(hide_password=False)

    @property
    def warehouse(self) -> UPath:
        """The DuckDB file over everything published in the environment."""
        return self._target(self.warehouse_url, "warehouse.duckdb")

    @property
    def reports(self) -> UPath:
        """The folder of pages for people."""
        return self._target(self.reports_url, "reports")

    @property
    def widgets(self) -> str:
        """The keyed store for play counts: a file for SQLite, or a `redis://` URL."""
        return self.widget_url or str(self.environment_dir / "widgets.db")

    @property
    def unnamed_targets(self) -> frozenset[str]:
        """The entries of the configuration that are targets below a home which may be one of several over the ledger."""
        named = {
            "warehouse_file": self.warehouse_url,
            "reports_folder": self.reports_url,
            "widget_store": self.widget_url,
        }
        return frozenset(name for name, url in named.items() if not url) if self.ledger_url else frozenset()

    def _target(self, url: str, name: str) -> UPath:
        """A target at its URL, or by its name below home; another environment's never takes the place of production's."""
        if not url:
            return UPath(self.environment_dir / name)
        place = UPath(url)
        return (
            place if self.environment == PRODUCTION else place.parent / "environments" / self.environment / place.name
        )

    @property
    def environment_dir(self) -> Path:
        """The folder of an environment's deliveries, so that no other one replaces those of production; a widget server is shared."""
        home = self.home.absolute()
        return home if self.environment == PRODUCTION else home / "environments" / self.environment

    @property
    def dagster_home(self) -> Path:
        """The folder of the environment's own Dagster instance; in production, when `DAGSTER_HOME` names none."""
        return self.environment_dir / "dagster"

    @property
    def has_development_key(self) -> bool:
        """Return True if keyed hashes are made with the public default."""
        return self.identifier_key.get_secret_value() == DEVELOPMENT_KEY

    def configuration(self) -> dict[str, Any]:
        """The entries that stages and deliveries may take, by name. What stands here can be part of a recipe."""
        return {
            "start_date": self.start_date,
            "identifier_key": self.identifier_key.get_secret_value(),
            "warehouse_file": str(self.warehouse),
            "reports_folder": str(self.reports),
            "widget_store": self.widgets,
        }


def settings_from_environment() -> Settings:
    """Read the settings from variables and files. Raises `WrongSetting`, naming the variable or the file and what it accepts."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            _problem(str(item["loc"][0]), item["type"], item["msg"]) for item in error.errors(include_input=False)
        ]
    # Raised here and not above, so that it does not carry the error that holds the values.
    raise WrongSetting("; ".join(problems))


def setting_files(home: str | Path | None = None) -> tuple[Path, Path]:
    """The files that settings are read from: in the working directory, and in the home that is given or that this one names."""
    here = Path(FILE)
    named = home or os.environ.get(f"{PREFIX}HOME") or _read(here).get("home")
    return here, (Path(named) if isinstance(named, str | Path) else _DEFAULT_HOME) / FILE


def source_of(name: str) -> str:
    """Where the value of a setting comes from: the name of a variable, the path of a file, or `default`."""
    variable = f"{PREFIX}{name.upper()}"
    if variable in os.environ:
        return variable
    if found := next((file for file in setting_files() if name in _read(file)), None):
        return str(found)
    is_of_branch = name == "environment" and _environment_of_deployment() != PRODUCTION
    return "DAGSTER_CLOUD_GIT_BRANCH" if is_of_branch else "default"


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise WrongSetting(f"{file}: {error}") from None


def _problem(name: str, kind: str, message: str) -> str:
    source = source_of(name)
    if kind == "extra_forbidden":
        return f"{source}: no setting is called {name}{did_you_mean(name, Settings.model_fields)}"
    expected = message.removeprefix("Value error, ")
    is_in_file = source.endswith(FILE)
    return f"{source}: {name}: {expected}" if is_in_file else f"{PREFIX}{name.upper()}: {expected}"
