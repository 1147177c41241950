"""What a user agent says of itself: the platform it runs on, and whether it is software that acts by itself.

Looking at one user agent takes some 100 µs, so callers bring each distinct one once, never one per play. Anybody can send any user
agent: what is said here is a claim, and what it means for a verdict is not decided here. The libraries are imported where
they are used, because most commands of the pipeline look at no user agent.
"""

from functools import cache
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from ua_parser import Parser

OTHER_PLATFORM = "other"
"""The platform of what names none, or a rare one."""

LONGEST_READ = 512
"""Characters of a user agent that are looked at. Real ones are shorter; the time that a hostile one takes has to end."""

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
"""Platforms by the operating systems that ua-parser tells apart. A closed list, because some of its rules take the name from
the user agent itself, and a hostile one must not make platforms up."""

_LIBRARY_OF_AN_APP = r"(\S\s+)okhttp/\S*"
"""Android apps often name, behind themselves, the library that they make requests with; alone it is no app."""

_SCRIPTS = (
    r"(?i)^(?:dart|faraday|guzzlehttp|insomnia|java|lavf|perl|php|postmanruntime|python|reqwest|restsharp|ruby|undici)\b"
    r"|headless|htmlunit|jsdom|powershell/|slimerjs|webdriver"
)
"""Script languages, HTTP libraries and browsers without a screen that crawler-user-agents leaves out: the former where they
speak for themselves, at the start."""


def described(user_agents: pl.Series) -> pl.DataFrame:
    """What each of some user agents (String) claims, in their order: `platform` (String) and `is_automated` (Boolean).

    `platform` is the family of operating systems by ua-parser, or `other`. `is_automated` is true for crawlers that
    crawler-user-agents knows, and for scripts, HTTP libraries and browsers without a screen. Null counts as empty.
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
    """The operating system that ua-parser sees in each; null where it sees none."""
    found = (_parser().parse_os(user_agent) for user_agent in user_agents)
    return pl.Series("system", [system and system.family for system in found], dtype=pl.String)


@cache
def _parser() -> "Parser":
    """The parser over the rules that ship with it, in pure Python whatever else is installed: engines differ in details."""
    from ua_parser import BasicResolver, Parser, load_builtins  # noqa: PLC0415 - see the module's docstring

    return Parser(BasicResolver(load_builtins()))


def _known_crawlers(user_agents: pl.Series) -> pl.Series:
    # The library ships no types.
    from crawleruseragents import is_crawler  # type: ignore[import-untyped]  # noqa: PLC0415 - see the docstring

    return pl.Series("is_crawler", [is_crawler(user_agent) for user_agent in user_agents], dtype=pl.Boolean)
