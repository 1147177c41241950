"""Printing the settings that count, and where each comes from, without secrets."""

import json
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from spam_pipeline.command_line.terminal import out, print_json, print_narrow_table
from spam_pipeline.settings import PREFIX, Settings, setting_files, settings_from_environment, source_of
from spam_pipeline.shown_urls import MASK, masked_url

_PLACES = {
    "landing_url": "landing_zone",
    "store_url": "store",
    "ledger_url": "ledger",
    "rejected_url": "rejected",
    "widget_url": "widgets",
    "warehouse_url": "warehouse",
    "reports_url": "reports",
}
"""Settings that are empty by default, by the place that counts then."""


def print_settings(*, as_json: bool) -> None:
    """Print every setting."""
    settings = settings_from_environment()
    found = [
        {"name": name, "value": _shown(settings, name), "source": source_of(name)} for name in Settings.model_fields
    ]
    if as_json:
        print_json(found)
        return
    print_narrow_table(("setting", "value", "from"), [tuple(item.values()) for item in found])
    files = " and ".join(str(file) for file in setting_files())
    out.print(f"read from variables such as {PREFIX}HOME, then from {files}", soft_wrap=True)


def _shown(settings: Settings, name: str) -> str:
    value: Any = getattr(settings, _PLACES.get(name, name))
    if isinstance(value, SecretStr):
        return "the public development key" if settings.has_development_key else MASK
    if name.endswith("_url"):
        return masked_url(str(value))
    return _WRITTEN.get(name, str)(value)


_WRITTEN: dict[str, Callable[[Any], str]] = {
    "executor": lambda value: ":".join(str(part) for part in value if part is not None),
    "cache_size": lambda value: value.human_readable(decimal=True),
    "retention": lambda value: ", ".join(f"{stage}: {policy}" for stage, policy in value.items()),
    "run_tags": json.dumps,
    "asset_prefix": "/".join,
    "own_packages": ", ".join,
    "plays_cadence": lambda value: value.value,
}
"""How values are written that a variable does not take as they print."""
