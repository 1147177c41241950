"""Targets of notifications: the URLs that `SPAM_PIPELINE_NOTIFY` names, and sending to them. All that knows apprise.

A URL holds whatever it takes to write to somebody, so that none is ever logged; the ledger names a target by a digest of it.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from enum import Enum
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from spam_pipeline.protocol import digest

if TYPE_CHECKING:
    import apprise

EVERYBODY = "*"
"""The owner whose targets are those of all owners that have none of their own."""

Targets = Mapping[str, tuple[SecretStr, ...]]
"""The URLs of each owner."""

_EXPECTED = (
    "expected URLs that apprise knows, such as slack://..., with commas between, or JSON by owner such as "
    '{"*": ["slack://..."], "team:royalties": ["mailto://..."]}'
)


class Mood(Enum):
    """The tone of a message; targets show it as a colour or a sign. The values are apprise's."""

    WARNING = "warning"
    SUCCESS = "success"
    INFO = "info"


class Message(NamedTuple):
    """A message to a target."""

    title: str
    body: str
    mood: Mood


def read_targets(value: Any) -> Targets:
    """Read the setting: URLs, or a mapping of them by owner, as text or as it is. Raises `ValueError`, which names no URL."""
    if not value:
        return {}
    is_json = isinstance(value, str) and value.lstrip().startswith("{")
    try:
        by_owner = dict(json.loads(value) if is_json else value if isinstance(value, Mapping) else {EVERYBODY: value})
    except ValueError:
        raise ValueError(_EXPECTED) from None
    return {owner: tuple(_read_url(url) for url in _listed(urls)) for owner, urls in by_owner.items()}


def name_of(url: SecretStr) -> str:
    """The name of a target in the ledger."""
    return digest(url.get_secret_value())[:16]


class Sending:
    """Messages on their way to a target, one after the other, from `deliver`. `arrived` grows until it is over."""

    def __init__(self, url: SecretStr, messages: Sequence[Message], ends_at: float) -> None:
        self.arrived: list[Message] = []
        self._asked = (url, messages, ends_at)
        # A daemon thread, which does not keep a process from ending: not all of apprise's targets have time-outs.
        self._thread = Thread(target=self._send, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Return True if no message is on its way any more."""
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait until it is over, but not for longer."""
        self._thread.join(max(0.0, seconds))

    def _send(self) -> None:
        url, messages, ends_at = self._asked
        target = _opened(url.get_secret_value())
        for message in messages:
            # After the end nobody waits: what comes late can be counted, but the less of it the better.
            if target is None or time.monotonic() >= ends_at or not target.notify(**_as_apprise_has_it(message)):
                return
            self.arrived.append(message)


def deliver(outbox: Mapping[SecretStr, Sequence[Message]], seconds: float) -> dict[SecretStr, Sending]:
    """Send each target its messages, all targets at once, and return what has become of that after `seconds` at most.

    A target that is away, refuses or hangs gets no further ones, and none begins after `seconds`; the one that is on its way then may still arrive.
    """
    ends_at = time.monotonic() + seconds
    sendings = {url: Sending(url, messages, ends_at) for url, messages in outbox.items()}
    for sending in sendings.values():
        sending.wait(ends_at - time.monotonic())
    return sendings


def _as_apprise_has_it(message: Message) -> dict[str, Any]:
    body = message.body or message.title  # without a body apprise sends nothing, and says that it failed
    return {"title": message.title, "body": body, "notify_type": message.mood.value, "body_format": "text"}


def _listed(urls: Any) -> Sequence[str]:
    if isinstance(urls, str):
        from apprise.utils.parse import parse_urls  # noqa: PLC0415 - see `_opened`

        return list(parse_urls(urls)) or [""]  # type: ignore[no-untyped-call]  # its own list of URLs has no types
    if not isinstance(urls, Sequence) or not all(isinstance(url, str | SecretStr) for url in urls):
        raise ValueError(_EXPECTED)
    return [url.get_secret_value() if isinstance(url, SecretStr) else url for url in urls]


def _read_url(url: str) -> SecretStr:
    if _opened(url) is None:
        raise ValueError(_EXPECTED)
    return SecretStr(url)


def _opened(url: str) -> "apprise.Apprise | None":
    """The target of a URL; None if apprise knows no such URL."""
    # Loading it takes 0.2 s, which nobody should wait for who notifies nobody.
    import apprise  # noqa: PLC0415

    logging.getLogger("apprise").disabled = True  # it logs URLs
    logging.getLogger("urllib3").setLevel(
        logging.INFO
    )  # below, it logs their paths, which are the secret of many a webhook
    asset = apprise.AppriseAsset(app_id="spam-pipeline", app_desc="spam-pipeline", async_mode=False)
    target = apprise.Apprise(asset=asset)
    if not target.add(url):
        return None
    for service in target:
        if (
            service.overflow_mode == apprise.OverflowMode.UPSTREAM
        ):  # the default, by which a chat refuses what is too long, for ever
            service.overflow_mode = apprise.OverflowMode.TRUNCATE
    return target
