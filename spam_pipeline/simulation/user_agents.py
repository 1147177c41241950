"""A realistic mix of user agents by client: browsers, phones and their versions, with old versions rarer than new ones."""

from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.simulation.randomness import Indices, draw

_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Safari/537.36"
_PLATFORMS = (
    ("Windows NT 10.0; Win64; x64", 60),
    ("Macintosh; Intel Mac OS X 10_15_7", 28),
    ("X11; Linux x86_64", 5),
)
_ANDROID_PHONES = (
    ("SM-S928B", 14),
    ("SM-A556B", 15),
    ("Pixel 9", 8),
    ("SM-G991B", 9),
    ("2312DRA50G", 8),
    ("CPH2581", 7),
    ("moto g84 5G", 6),
    ("V2318", 4),
)


def _browsers() -> list[tuple[str, float]]:
    newest_first = enumerate(range(142, 130, -1))
    chromes = [
        (f"Mozilla/5.0 ({platform}) {_CHROME.format(v=version)}{suffix.format(v=version)}", weight * share * 0.55**age)
        for age, version in newest_first
        for platform, weight in _PLATFORMS
        for suffix, share in (("", 1.0), (" Edg/{v}.0.0.0", 0.2))
    ]
    firefoxes = [
        (f"Mozilla/5.0 ({platform}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0", weight * 0.12 * 0.5**age)
        for age, version in enumerate(range(145, 137, -1))
        for platform, weight in _PLATFORMS
    ]
    safaris = [
        (
            f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{version} Safari/605.1.15",
            30 * 0.5**age,
        )
        for age, version in enumerate(("26.1", "26.0", "18.6", "18.5", "17.6", "16.6"))
    ]
    return chromes + firefoxes + safaris


def _ios_apps() -> list[tuple[str, float]]:
    return [
        (f"Music/{app} (iPhone{model}; iOS {system}; Scale/3.00)", 0.6**app_age * 0.6**system_age * model_weight)
        for app_age, app in enumerate(("9.4.1", "9.4.0", "9.3.2", "9.2.0", "8.9.5"))
        for system_age, system in enumerate(("26.1", "26.0", "18.7", "17.7", "16.7"))
        for model, model_weight in (("17,1", 4), ("16,2", 5), ("15,3", 6), ("14,5", 5), ("12,1", 3))
    ]


def _android_apps() -> list[tuple[str, float]]:
    return [
        (f"Music/{app} (Linux; Android {system}; {phone})", 0.6**app_age * 0.7**system_age * weight)
        for app_age, app in enumerate(("9.4.1", "9.4.0", "9.3.0", "9.1.2"))
        for system_age, system in enumerate((16, 15, 14, 13, 12))
        for phone, weight in _ANDROID_PHONES
    ]


_BY_CLIENT: Final = {"web": _browsers(), "ios": _ios_apps(), "android": _android_apps()}
CLIENTS: Final = pl.Series("client", list(_BY_CLIENT))
_STRINGS: Final = {client: pl.Series("user_agent", [name for name, _ in known]) for client, known in _BY_CLIENT.items()}
_WEIGHTS: Final = {client: np.array([weight for _, weight in known]) for client, known in _BY_CLIENT.items()}

OFFICE_BROWSER: Final = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME.format(v=138)} Edg/138.0.0.0"
"""The browser that a company's administrators deployed on every desk."""

FARM_BUILD: Final = "Music/9.1.2 (Linux; Android 12; 2312DRA50G)"
"""An old build on a cheap phone, as on hundreds of devices on a shelf."""

SCHOOL_TABLET: Final = "Music/9.3.0 (Linux; Android 15; SM-X210)"
"""The tablet that a school bought for a whole year, with one version of the app."""


def browsers(rng: np.random.Generator, count: int) -> pl.Series:
    """Draw user agents of `count` web browsers."""
    return _STRINGS["web"].gather(draw(rng, _WEIGHTS["web"], count))


def user_agents(rng: np.random.Generator, client: Indices) -> pl.Series:
    """Draw one user agent per device, by its client: a position in `CLIENTS`."""
    drawn = {name: _STRINGS[name].gather(draw(rng, _WEIGHTS[name], len(client))) for name in CLIENTS}
    position = pl.Series("position", client)
    choice = pl.when(position == 0).then("web").when(position == 1).then("ios").otherwise("android")
    return pl.DataFrame(drawn).select(choice.alias("user_agent")).to_series()
