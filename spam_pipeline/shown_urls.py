"""URLs as they may be shown: a password is never among what is printed.

Drivers disagree about a URL whose password is not percent-encoded: SQLAlchemy takes one with `/`, `#` or `?` in it, where a parser
of web addresses finds a path. What does not read in one way only is masked as a whole.
"""

import re
from pathlib import Path

MASK = "********"

_URL = re.compile(
    r"(?P<scheme>[^/@]*://)((?P<user>[^:@/?#]*)(?P<password>:[^@?]*)?@)?"
    r"(?P<place>(?<=://)/[^?#]*|[^@?#]*)(?P<options>[?#][^@]*)?"
)
"""At most one `@`, at the end of a login; but a path that begins after the scheme, as a file's does, has no login and may hold any."""


def masked_url(url: str) -> str:
    """A path as it is, or a URL with its password and its options masked: an option can be a password too.

    >>> masked_url("postgresql://ada:se/cret@host/ledger?password=secret"), masked_url("redis://:one@or@another?")
    ('postgresql://ada:********@host/ledger?********', 'redis://********')
    """
    if "://" not in url:
        return url
    parts = _URL.fullmatch(url)
    if parts is None:
        return _masked_whole(url)
    scheme, user, password, place, options = parts.group("scheme", "user", "password", "place", "options")
    login = "" if user is None else f"{user}:{MASK}@" if password else f"{user}@"
    return f"{scheme}{login}{place}{f'?{MASK}' if options else ''}"


def bare_uri(target: str) -> str:
    """A path or URL as a URI without user, password and options.

    >>> bare_uri("redis://:secret@widgets:6379/0?password=secret"), bare_uri("/srv/warehouse.duckdb")
    ('redis://widgets:6379/0', 'file:///srv/warehouse.duckdb')
    """
    if "://" not in target:
        return Path(target).absolute().as_uri()
    parts = _URL.fullmatch(target)
    return parts["scheme"] + parts["place"] if parts else _masked_whole(target)


def _masked_whole(url: str) -> str:
    return f"{url.partition('://')[0]}://{MASK}"
