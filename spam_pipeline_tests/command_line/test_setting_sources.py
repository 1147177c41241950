"""The settings that count, as a command prints them: each with its source, and no secret."""

import json
from pathlib import Path

import pytest

from spam_pipeline.settings import Settings
from spam_pipeline_tests.conftest import KEY, CommandLine


def test_every_setting_is_printed_with_its_value_and_source(spam_pipeline: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "spam_pipeline.toml").write_text('asset_prefix = "music/spam"\nown_packages = ["a", "b"]\n', "utf-8")
    variables = {"EXECUTOR": "processes:3", "RUN_TAGS": '{"plays": {"team": "x"}}'}
    ended = spam_pipeline("settings", "--environment", "night", "--json", home=tmp_path, **variables)
    found = {item.pop("name"): tuple(item.values()) for item in json.loads(ended.out)}
    assert found.keys() == Settings.model_fields.keys()
    assert found["executor"] == ("processes:3", "SPAM_PIPELINE_EXECUTOR")
    assert found["run_tags"] == (variables["RUN_TAGS"], "SPAM_PIPELINE_RUN_TAGS")
    assert found["environment"] == ("night", "SPAM_PIPELINE_ENVIRONMENT")
    assert found["asset_prefix"] == ("music/spam", "spam_pipeline.toml")
    assert found["own_packages"] == ("a, b", "spam_pipeline.toml")
    assert found["store_url"] == (f"{tmp_path}/store", "default")
    assert (found["cache_size"], found["plays_cadence"]) == (("5.0GB", "default"), ("day", "default"))


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_no_secret_is_printed(spam_pipeline: CommandLine, tmp_path: Path, as_json: tuple[str, ...]) -> None:
    urls = {
        "LEDGER_URL": "postgresql+psycopg://ada:hidden@host/ledger?password=hidden",
        "WIDGET_URL": "redis://:hidden@host:6379/0",
        "STORE_URL": "s3://bucket/store?secret=hidden",
    }
    ended = spam_pipeline("settings", *as_json, home=tmp_path, **urls)
    assert ended.status == 0
    assert "redis://:********@host:6379/0" in ended.out
    assert not [secret for secret in ("hidden", KEY) if secret in ended.out + ended.err]


@pytest.mark.parametrize("password", ["quux/quux#quux", "quux?quux@quux"])
def test_a_password_that_is_not_encoded_is_not_printed(
    spam_pipeline: CommandLine, tmp_path: Path, password: str
) -> None:
    urls = {
        "LEDGER_URL": f"postgresql+psycopg://ada:{password}@host/ledger",
        "DAGSTER_URL": f"https://ada:{password}@dagster.example",
        "WIDGET_URL": f"redis://host:6379/0?password={password}",
    }
    ended = spam_pipeline("settings", "--json", home=tmp_path, **urls)
    assert ended.status == 0
    assert "quux" not in ended.out + ended.err
