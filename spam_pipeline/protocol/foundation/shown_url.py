"""URLs as messages and records show them."""

from urllib.parse import urlsplit


def without_credentials(url: str) -> str:
    """A URL without the user, the password and the options that it may hold.

    >>> without_credentials("redis://:secret@counts.example:6379/0?password=secret")
    'redis://counts.example:6379/0'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
