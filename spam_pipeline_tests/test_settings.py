"""Settings: defaults that run embedded, and errors that name the variable and never what it held."""

import re
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from spam_pipeline.settings import (
    DEVELOPMENT_KEY,
    FILE,
    PREFIX,
    Settings,
    WrongSetting,
    settings_from_environment,
    source_of,
)

OWN_KEY = "a secret of more than sixteen characters"

pytestmark = pytest.mark.usefixtures("no_settings")


def with_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> Settings:
    monkeypatch.setenv(PREFIX + name, value)
    return settings_from_environment()


def test_without_variables_everything_lies_below_the_working_directory(tmp_path: Path) -> None:
    settings = settings_from_environment()
    home = tmp_path / ".spam_pipeline"
    assert settings.landing == home / "landing"
    assert settings.landing_zone == str(home / "landing")
    assert settings.store == str(home / "store")
    assert settings.rejected == str(home / "rejected")
    assert settings.ledger == f"sqlite:///{home}/ledger.db"
    assert settings.warehouse == home / "warehouse.duckdb"
    assert settings.widgets == str(home / "widgets.db")
    assert settings.cache == home / "cache"
    assert settings.dagster_home == home / "dagster"


def test_without_variables_the_rest_is_what_the_documentation_says() -> None:
    settings = settings_from_environment()
    assert settings.environment == "production"
    assert settings.start_date == date(2026, 1, 1)
    assert settings.has_development_key
    assert not list(Path.cwd().iterdir()), "reading settings writes nothing"


def test_a_relative_home_is_taken_from_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert with_variable(monkeypatch, "HOME", "elsewhere").landing == tmp_path / "elsewhere" / "landing"


@pytest.mark.parametrize(
    ("name", "value", "attribute"),
    [
        ("LANDING_URL", "s3://bucket/landing", "landing_zone"),
        ("STORE_URL", "s3://bucket/store", "store"),
        ("STORE_URL", "/a/path", "store"),
        ("REJECTED_URL", "memory://rejected", "rejected"),
        ("LEDGER_URL", "sqlite:////a/ledger.db", "ledger"),
        ("LEDGER_URL", "postgresql+psycopg://someone@host/ledger", "ledger"),
        ("WIDGET_URL", "redis://host:6379/0", "widgets"),
        ("WIDGET_URL", "/a/widgets.db", "widgets"),
        ("ENVIRONMENT", "night-2", "environment"),
    ],
)
def test_a_variable_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, name: str, value: str, attribute: str) -> None:
    assert getattr(with_variable(monkeypatch, name, value), attribute) == value


@pytest.mark.parametrize(
    ("value", "packages"),
    [("", ()), ("acme_shared", ("acme_shared",)), ("acme_shared, acme_math", ("acme_shared", "acme_math"))],
)
def test_own_packages_are_listed_with_commas(
    monkeypatch: pytest.MonkeyPatch, value: str, packages: tuple[str, ...]
) -> None:
    assert with_variable(monkeypatch, "OWN_PACKAGES", value).own_packages == packages


def test_run_tags_are_texts_by_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    value = '{"plays": {"team": "ingestion", "dagster-k8s/config": {"container_config": {}}}}'
    tags = {"plays": {"team": "ingestion", "dagster-k8s/config": '{"container_config": {}}'}}
    assert with_variable(monkeypatch, "RUN_TAGS", value).run_tags == tags
    assert with_variable(monkeypatch, "RUN_TAGS", "").run_tags == {}


@pytest.mark.parametrize(
    ("value", "kind", "number"),
    [
        ("in_process", "in_process", None),
        ("in_process:1", "in_process", 1),
        ("processes", "processes", None),
        ("processes:3", "processes", 3),
        ("dagster", "dagster", None),
        ("dagster:0", "dagster", 0),
    ],
)
def test_an_executor_has_a_kind_and_perhaps_a_number(
    monkeypatch: pytest.MonkeyPatch, value: str, kind: str, number: int | None
) -> None:
    assert with_variable(monkeypatch, "EXECUTOR", value).executor == (kind, number)


def test_targets_of_notifications_are_urls_which_nothing_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = with_variable(monkeypatch, "NOTIFY", '{"*": "json://user:s3cret@localhost", "team:royalties": []}')
    assert [url.get_secret_value() for url in settings.notify["*"]] == ["json://user:s3cret@localhost"]
    assert settings.notify["team:royalties"] == ()
    assert "s3cret" not in f"{settings!r}{settings.model_dump()}{settings.model_dump_json()}"
    assert with_variable(monkeypatch, "NOTIFY", "").notify == {}
    with pytest.raises(ValidationError) as error:
        Settings(notify="nobody://s3cret")
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(("value", "prefix"), [("", ()), ("spam", ("spam",)), ("music/spam_1", ("music", "spam_1"))])
def test_an_asset_prefix_has_levels(monkeypatch: pytest.MonkeyPatch, value: str, prefix: tuple[str, ...]) -> None:
    assert with_variable(monkeypatch, "ASSET_PREFIX", value).asset_prefix == prefix


@pytest.mark.parametrize(
    ("branch", "environment"),
    [
        ("night", "night"),
        ("feature/ADS-12 faster_signals", "feature-ads-12-faster_signals"),
        ("2026-model", "branch-2026-model"),
        ("_hidden", "branch-_hidden"),
        ("production", "branch-production"),
        ("Production", "branch-production"),
    ],
)
def test_a_branch_deployment_publishes_into_an_environment_of_its_branch(
    monkeypatch: pytest.MonkeyPatch, branch: str, environment: str
) -> None:
    monkeypatch.setenv("DAGSTER_CLOUD_IS_BRANCH_DEPLOYMENT", "1")
    monkeypatch.setenv("DAGSTER_CLOUD_GIT_BRANCH", branch)
    assert settings_from_environment().environment == environment
    assert with_variable(monkeypatch, "ENVIRONMENT", "night-2").environment == "night-2"


def test_branches_whose_long_names_begin_alike_have_environments_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_CLOUD_IS_BRANCH_DEPLOYMENT", "1")
    environments = set()
    for end in ("a", "b"):
        monkeypatch.setenv("DAGSTER_CLOUD_GIT_BRANCH", "signals-" * 8 + end)
        environments.add(settings_from_environment().environment)
    assert len(environments) == 2
    assert {len(name) for name in environments} == {40}


def test_a_deployment_that_is_no_branch_publishes_into_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_CLOUD_IS_BRANCH_DEPLOYMENT", "0")
    monkeypatch.setenv("DAGSTER_CLOUD_GIT_BRANCH", "main")
    assert settings_from_environment().environment == "production"


@pytest.mark.parametrize("branch", ["", "日本"])
def test_a_branch_without_a_name_publishes_nowhere(monkeypatch: pytest.MonkeyPatch, branch: str) -> None:
    monkeypatch.setenv("DAGSTER_CLOUD_IS_BRANCH_DEPLOYMENT", "1")
    monkeypatch.setenv("DAGSTER_CLOUD_GIT_BRANCH", branch)
    with pytest.raises(WrongSetting, match="SPAM_PIPELINE_ENVIRONMENT: expected a lower-case letter"):
        settings_from_environment()


def test_the_start_date_and_the_key_are_what_stages_receive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPAM_PIPELINE_START_DATE", "2025-12-31")
    settings = with_variable(monkeypatch, "IDENTIFIER_KEY", OWN_KEY)
    assert not settings.has_development_key
    assert settings.configuration() == {
        "start_date": date(2025, 12, 31),
        "identifier_key": OWN_KEY,
        "warehouse_file": str(settings.warehouse),
        "reports_folder": str(settings.reports),
        "widget_store": settings.widgets,
    }


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("HOME", __file__, "a folder"),
        ("RUN_TAGS", "plays=large", "tags by stage, as JSON"),
        ("RUN_TAGS", '["plays"]', "tags by stage, as JSON"),
        ("LANDING_URL", "nosuch://bucket", "a path, or a URL whose file system is installed"),
        ("STORE_URL", "nosuch://bucket", "a path, or a URL whose file system is installed"),
        ("REJECTED_URL", "nosuch://bucket", "a path, or a URL whose file system is installed"),
        ("WAREHOUSE_URL", "nosuch://bucket", "a path, or a URL whose file system is installed"),
        ("REPORTS_URL", "nosuch://bucket", "a path, or a URL whose file system is installed"),
        ("LEDGER_URL", "nonsense", "a SQLAlchemy URL of SQLite or PostgreSQL"),
        ("LEDGER_URL", "sqlite://", "a SQLAlchemy URL of SQLite or PostgreSQL"),
        ("LEDGER_URL", "mysql://someone:password@host/ledger", "a SQLAlchemy URL of SQLite or PostgreSQL"),
        ("LEDGER_URL", "postgresql://someone:password@host:port/ledger", "a SQLAlchemy URL of SQLite or PostgreSQL"),
        ("LEDGER_URL", "postgresql+pg8000://someone:password@host/ledger", "a database whose driver is installed"),
        ("WIDGET_URL", "nosuch://host", "redis://..., sqlite:///... or the path of a file"),
        ("ENVIRONMENT", "Production", "a lower-case letter, then"),
        ("ENVIRONMENT", "", "a lower-case letter, then"),
        ("ENVIRONMENT", "../else", "a lower-case letter, then"),
        ("ASSET_PREFIX", "music/", "letters, digits and _, with / between levels"),
        ("ASSET_PREFIX", "music.spam", "letters, digits and _, with / between levels"),
        ("START_DATE", "2026-02-30", "a day, YYYY-MM-DD"),
        ("START_DATE", "1767225600", "a day, YYYY-MM-DD"),
        ("START_DATE", "", "a day, YYYY-MM-DD"),
        ("OWN_PACKAGES", "acme-shared", "names of top-level packages, with commas between"),
        ("OWN_PACKAGES", "acme.shared", "names of top-level packages, with commas between"),
        (
            "EXECUTOR",
            "celery",
            "in_process, in_process:<partitions at once>, processes, processes:<how many>, dagster, or",
        ),
        ("EXECUTOR", "in_process:0", "in_process, in_process:<"),
        ("EXECUTOR", "processes:0", "in_process, in_process:<"),
        ("EXECUTOR", "dagster:", "in_process, in_process:<"),
        ("IDENTIFIER_KEY", "fifteen letters", "at least 16 characters"),
        ("IDENTIFIER_KEY", "", "at least 16 characters"),
    ],
)
def test_a_wrong_value_names_its_variable_and_what_is_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, accepted: str
) -> None:
    with pytest.raises(WrongSetting) as error:
        with_variable(monkeypatch, name, value)
    message = str(error.value)
    assert message.startswith(f"{PREFIX}{name}: expected {accepted}")
    assert "password" not in message
    assert error.value.__context__ is None, "the error it comes from holds the value"


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPAM_PIPELINE_START_DATE", "tomorrow")
    with pytest.raises(WrongSetting, match=r"SPAM_PIPELINE_ENVIRONMENT: .*; SPAM_PIPELINE_START_DATE: "):
        with_variable(monkeypatch, "ENVIRONMENT", "Production")


def test_an_environment_of_ones_own_delivers_to_a_place_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPAM_PIPELINE_HOME", str(tmp_path))
    monkeypatch.setenv("SPAM_PIPELINE_ENVIRONMENT", "night")
    settings = settings_from_environment()
    assert settings.warehouse == tmp_path / "environments" / "night" / "warehouse.duckdb"
    assert settings.widgets == str(tmp_path / "environments" / "night" / "widgets.db")


def test_an_environment_of_ones_own_delivers_beside_a_target_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPAM_PIPELINE_WAREHOUSE_URL", "memory://bucket/all.duckdb")
    assert str(settings_from_environment().warehouse) == "memory://bucket/all.duckdb"
    settings = with_variable(monkeypatch, "ENVIRONMENT", "night")
    assert str(settings.warehouse) == "memory://bucket/environments/night/all.duckdb"


def test_targets_below_home_yield_to_other_homes_only_where_the_ledger_is_kept_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert settings_from_environment().unnamed_targets == frozenset()
    monkeypatch.setenv("SPAM_PIPELINE_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    assert settings_from_environment().unnamed_targets == {"warehouse_file", "reports_folder", "widget_store"}
    assert with_variable(monkeypatch, "REPORTS_URL", str(tmp_path)).unnamed_targets == {
        "warehouse_file",
        "widget_store",
    }


def test_the_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = with_variable(monkeypatch, "IDENTIFIER_KEY", OWN_KEY)
    shown = f"{settings!r} {settings} {settings.identifier_key!r} {settings.model_dump_json()}"
    assert OWN_KEY not in shown


def test_a_refused_key_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrongSetting) as error:
        with_variable(monkeypatch, "IDENTIFIER_KEY", "short secret")
    assert "short secret" not in f"{error.value!r} {error.value}"


def test_the_development_key_is_long_enough_to_be_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_variable(monkeypatch, "IDENTIFIER_KEY", DEVELOPMENT_KEY).has_development_key


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings_from_environment().environment = "night"


# Files


def write_file(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / FILE
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_in_the_working_directory_or_in_the_home_has_settings_and_variables_count_before_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_file(tmp_path, 'home = "data"\nstart_date = 2025-03-01\nexecutor = "processes:3"\n')
    write_file(tmp_path / "data", 'start_date = 2024-01-01\nenvironment = "night"\nown_packages = ["acme"]\n')
    monkeypatch.setenv(f"{PREFIX}EXECUTOR", "in_process:1")
    settings = settings_from_environment()
    assert (settings.home, settings.start_date, settings.environment) == (Path("data"), date(2025, 3, 1), "night")
    assert (settings.executor, settings.own_packages) == (("in_process", 1), ("acme",))
    sources = {name: source_of(name) for name in ("executor", "start_date", "environment", "store_url")}
    assert list(sources.values()) == ["SPAM_PIPELINE_EXECUTOR", FILE, f"data/{FILE}", "default"]


def test_a_table_of_a_file_is_what_its_variable_has_as_json(tmp_path: Path) -> None:
    write_file(tmp_path, '[run_tags.plays]\nteam = "ingestion"\n"dagster-k8s/config" = {container_config = {}}\n')
    tags = {"plays": {"team": "ingestion", "dagster-k8s/config": '{"container_config": {}}'}}
    assert settings_from_environment().run_tags == tags


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('start_date = "soon"', "start_date: expected a day, YYYY-MM-DD"),
        ('identifer_key = "x"', "no setting is called identifer_key; did you mean identifier_key?"),
        ("home = 5", "home: Input is not a valid path"),
        ("own_packages = [1]", "own_packages: expected names of top-level packages"),
        ("asset_prefix = 1", "asset_prefix: expected letters"),
        ("run_tags = 1", "run_tags: expected tags by stage"),
        ("executor = 1", "executor: expected in_process"),
        ("no settings", "Expected '=' after a key"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, problem: str
) -> None:
    file = write_file(tmp_path, text)
    with pytest.raises(WrongSetting, match=f"^{FILE}: {re.escape(problem)}"):
        settings_from_environment()
    if not text.startswith("home"):
        file.rename(write_file(tmp_path / "home", ""))
        monkeypatch.setenv(f"{PREFIX}HOME", str(tmp_path / "home"))
        with pytest.raises(WrongSetting, match=f"^{tmp_path}/home/{FILE}: {re.escape(problem)}"):
            settings_from_environment()
