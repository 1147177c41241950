"""Claims of a user agent: its platform, and whether it is automated software.

Parsing one takes some 100 µs, so callers pass each distinct one once, never one per play. Anybody can send any user agent:
the result is a claim, whose weight is not decided here. The libraries are imported where they are used, because most
commands of the pipeline parse no user agent.
"""

from functools import cache
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from ua_parser import Parser

OTHER_PLATFORM = "other"
"""The platform of user agents that name none, or a rare one."""

LONGEST_READ = 512
"""The characters of a user agent that are parsed. Real ones are shorter; hostile ones must not take unbounded time."""

_LINUX = (
    "Arch Linux",
    "CentOS",
    "Debian",
    "Fedora",
    "Gentoo",
    "Linux",
    "Linux Mint",
    "Red Hat",
    "SUSE",
    "Ubuntu",
    "openSUSE",
)
_AS_THEY_ARE = ("Android", "Chrome OS", "HarmonyOS", "Mac OS X", "Roku", "Tizen", "Windows", "iOS")
_PLATFORMS = {
    **{name: name for name in _AS_THEY_ARE},
    **dict.fromkeys(_LINUX, "Linux"),
    **dict.fromkeys(("webOS", "Web0S"), "webOS"),
    **dict.fromkeys(("tvOS", "ATV OS X"), "tvOS"),
}
"""Platforms by ua-parser's operating systems. A closed list, because some of its rules copy the name from the user agent, and a
hostile one must not invent platforms."""

_LIBRARY_OF_AN_APP = r"(\S\s+)okhttp/\S*"
"""Android apps often append the library that makes their requests; alone it is no app."""

_SCRIPTS = (
    r"(?i)^(?:dart|faraday|guzzlehttp|insomnia|java|lavf|perl|php|postmanruntime|python|reqwest|restsharp|ruby|undici)\b"
    r"|headless|htmlunit|jsdom|powershell/|slimerjs|webdriver"
)
"""Script languages, HTTP libraries and headless browsers that crawler-user-agents omits; the former only at the start, where
they name themselves."""


def described(user_agents: pl.Series) -> pl.DataFrame:
    """Parse user agents (String), in order, to `platform` (String) and `is_automated` (Boolean).

    `platform` is the family of operating systems by ua-parser, or `other`. `is_automated` is true for crawlers that
    crawler-user-agents knows, and for scripts, HTTP libraries and headless browsers. Null counts as empty.
    """
    read = user_agents.fill_null("").str.head(LONGEST_READ).alias("user_agent")
    claimed = read.str.replace(_LIBRARY_OF_AN_APP, "${1}")
    return pl.DataFrame(
        {
            "platform": _systems(read).replace_strict(_PLATFORMS, default=OTHER_PLATFORM, return_dtype=pl.String),
            "is_automated": claimed.str.contains(_SCRIPTS) | _known_crawlers(claimed),
        }
    )


def _systems(user_agents: pl.Series) -> pl.Series:
    """Return the operating system that ua-parser finds in each, or null."""
    found = (_parser().parse_os(user_agent) for user_agent in user_agents)
    return pl.Series("system", [system and system.family for system in found], dtype=pl.String)


@cache
def _parser() -> "Parser":
    """Load the parser with its own rules, in pure Python whatever else is installed: engines differ in details."""
    from ua_parser import BasicResolver, Parser, load_builtins  # noqa: PLC0415 - see the module's docstring

    return Parser(BasicResolver(load_builtins()))


def _known_crawlers(user_agents: pl.Series) -> pl.Series:
    # The library ships no types.
    from crawleruseragents import is_crawler  # type: ignore[import-untyped]  # noqa: PLC0415 - see the docstring

    return pl.Series("is_crawler", [is_crawler(user_agent) for user_agent in user_agents], dtype=pl.Boolean)
