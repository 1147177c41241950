import polars as pl
import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA  # type: ignore[import-untyped]  # the library ships no types
from hypothesis import given, settings
from hypothesis import strategies as st
from ua_parser import parse_os

from spam_pipeline.trust_and_safety.user_agents import LONGEST_READ, OTHER_PLATFORM, described

CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"

PLATFORMS = [
    ("Music/9.4.1 (iPhone17,1; iOS 26.1; Scale/3.00)", "iOS"),
    ("Music/9.1.2 (Linux; Android 12; 2312DRA50G)", "Android"),
    ("Music/1 CFNetwork/1474 Darwin/23.0.0", "iOS"),
    ("Mozilla/5.0 (iPad; CPU OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)", "iOS"),
    (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME}", "Windows"),
    (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {CHROME}", "Mac OS X"),
    (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME}", "Linux"),
    ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Linux"),
    (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME}", "Chrome OS"),
    ("Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36", "webOS"),
    ("Sonos/70.3 (ZPS1)", OTHER_PLATFORM),
    ("", OTHER_PLATFORM),
    (None, OTHER_PLATFORM),
]

AUTOMATED = [
    "curl/8.11.0",
    "Wget/1.21.4",
    "python-requests/2.32.3",
    "Python/3.11 aiohttp/3.9.1",
    "okhttp/4.12.0",
    "Go-http-client/1.1",
    "Java/17.0.1",
    "Dart/3.2 (dart:io)",
    "Lavf/60.3.100",
    "GuzzleHttp/7",
    f"Mozilla/5.0 (X11; Linux x86_64) {CHROME.replace('Chrome', 'HeadlessChrome')}",
    "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/538.1",
    "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.4046",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
]

PEOPLES = [
    *(user_agent for user_agent, _ in PLATFORMS),
    "Music/9.1.2 (Linux; Android 12; 2312DRA50G) okhttp/4.12.0",
    f"Mozilla/5.0 (Linux; Android 9; CUBOT X19) {CHROME}",
    "JavaScriptPlayer/2.0 (Macintosh; Intel Mac OS X 10_15_7)",
    "AppleCoreMedia/1.0.0.21A329 (iPhone; U; CPU OS 17_0 like Mac OS X; en_us)",
]


def of_one(user_agent: str | None) -> tuple[str, bool]:
    platform, is_automated = described(pl.Series([user_agent], dtype=pl.String)).row(0)
    return platform, is_automated


@pytest.mark.parametrize(("user_agent", "platform"), PLATFORMS)
def test_a_platform_is_a_family_of_operating_systems(user_agent: str | None, platform: str) -> None:
    assert of_one(user_agent)[0] == platform


def test_nobody_can_make_a_platform_up() -> None:
    user_agent = "HbbTV/1.2.1 (; madeup ; 2015)"
    system = parse_os(user_agent)
    assert system is not None
    assert system.family == "madeup"
    assert of_one(user_agent)[0] == OTHER_PLATFORM


@pytest.mark.parametrize("user_agent", AUTOMATED)
def test_scripts_libraries_crawlers_and_browsers_without_a_screen_are_automated(user_agent: str) -> None:
    assert of_one(user_agent)[1]


@pytest.mark.parametrize("user_agent", PEOPLES)
def test_apps_browsers_and_players_are_not_automated(user_agent: str | None) -> None:
    assert not of_one(user_agent)[1]


def test_every_crawler_that_is_known_by_example_is_automated() -> None:
    examples = [example for crawler in CRAWLER_USER_AGENTS_DATA for example in crawler.get("instances", [])]
    assert described(pl.Series(examples))["is_automated"].all()


def test_what_stands_past_the_longest_read_is_not_looked_at() -> None:
    padded = "x" * LONGEST_READ
    assert of_one(f"{padded} HeadlessChrome/142.0 (Windows NT 10.0)") == (OTHER_PLATFORM, False)
    assert of_one(f"{padded[:300]} HeadlessChrome/142.0 (Windows NT 10.0)") == ("Windows", True)


def test_no_user_agents_give_no_rows_of_the_same_types() -> None:
    assert described(pl.Series([], dtype=pl.String)).schema == {"platform": pl.String, "is_automated": pl.Boolean}


@settings(max_examples=50)
@given(st.lists(st.text(max_size=40) | st.sampled_from([name for name, _ in PLATFORMS] + AUTOMATED) | st.none()))
def test_a_user_agent_is_described_alike_whatever_is_beside_it(user_agents: list[str | None]) -> None:
    together = described(pl.Series(user_agents, dtype=pl.String)).rows()
    assert together == [of_one(user_agent) for user_agent in user_agents]
