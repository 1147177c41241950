"""Notifications: what is so now is compared with what each target was notified of, and what is new or over is sent.

Level-triggered: the ledger has what each target knows, so that a lost message, a process that dies or a target that was away is made up for the
next time, and nothing is sent twice but what a process had sent when it died. A target that is slow keeps nobody waiting: what it takes later
is noted the next time, and until then it is sent nothing. What there is to know is in `alerts`.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import SecretStr

from spam_pipeline.notification_targets import EVERYBODY, Message, Mood, Sending, Targets, deliver, name_of
from spam_pipeline.operations.alerts import Alert, Kind, alerts_of
from spam_pipeline.protocol.operating import (
    PRODUCTION,
    Claimed,
    Engine,
    Notice,
    Overview,
    StalenessReport,
    Subject,
    did_you_mean,
    place_of,
    shell_command,
)
from spam_pipeline.settings import PREFIX, Settings, WrongSetting

_SHOWN = 10
"""Alerts of a message that are spelt out."""

_LONGEST_LINE = 300
"""Characters of a title, and of what is listed of an alert: a partition may wait for many others."""

_SECONDS = 10.0
"""What sending may take, however many targets there are: below the 60 seconds of a sensor's tick, and nobody waits longer to converge."""

_PAUSE_SECONDS = 60.0
"""How long a process leaves a target alone that was away: its ticks are 10 seconds apart."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class News:
    """What is new to a target: alerts that have begun, and notices that are over, of one owner."""

    owner: str
    begun: tuple[Alert, ...]
    over: tuple[Notice, ...]


@dataclass
class _Sent:
    """News on their way to a target; `recorded` is how many of them the ledger has as known to it."""

    news: Sequence[News]
    sending: Sending
    recorded: int = 0


def require_known_owners(targets: Targets, owners: Collection[str]) -> None:
    """Raise `WrongSetting` where somebody is to be notified of what an owner has that no stage is of: nobody ever would be."""
    for owner in sorted(targets.keys() - {EVERYBODY, *owners}):
        near = did_you_mean(owner, owners) or f"; there are {', '.join(sorted(owners))}"
        shown = owner.partition("://")[0]  # who swapped owner and URL has a secret here
        raise WrongSetting(f"{PREFIX}NOTIFY: no stage is of {shown}{near}")


class Notifications:
    """Notifies the targets that the settings name. Keeps in mind which of them were away or are slow, for this process alone.

    It waits for `seconds` at most, and leaves a target that did not take everything alone for `pause` seconds.
    """

    def __init__(self, settings: Settings, seconds: float = _SECONDS, pause: float = _PAUSE_SECONDS) -> None:
        self._settings = settings
        self._seconds = seconds
        self._pause = pause
        self._away: dict[str, float] = {}
        self._sent: dict[SecretStr, _Sent] = {}

    def send(self, engine: Engine, found: Overview | None = None, *, only_late: bool = False) -> None:
        """Send what is new and what is over; with `only_late`, of lateness alone: everything else may be about to change.

        That is by how the stages stand, as it was just `found`, or by what they are now. Does nothing while another process of this environment does the same, and raises nothing because of a target.
        """
        if not self._settings.notify:
            return
        with suppress(Claimed), engine.claims.on_notifying(engine.environment):
            self._record(engine)
            self._send(engine, found or Overview.of(engine), only_late=only_late)

    def _send(self, engine: Engine, found: Overview, *, only_late: bool) -> None:
        kinds = {Kind.LATE} if only_late else set(Kind)
        alerts = alerts_of(found, self._settings, only_late=only_late)
        owners = {name: stage.owner for name, stage in engine.graph.stages.items()}
        outbox: dict[SecretStr, list[News]] = {}
        for url, routed in _by_target(self._settings.notify, alerts).items():
            known = engine.ledger.notices.open(engine.environment, name_of(url))
            known = {subject: item for subject, item in known.items() if Kind(subject.kind) in kinds}
            news = list(news_of(routed, known, _lasting(alerts, found.report), owners))
            if news and self._is_free(url):
                outbox[url] = news
        messages = {url: [message_of(item, engine.environment) for item in news] for url, news in outbox.items()}
        for url, sending in deliver(messages, self._seconds).items():
            self._sent[url] = _Sent(outbox[url], sending)
        self._record(engine)

    def _is_free(self, url: SecretStr) -> bool:
        """Return True if nothing is on its way to a target, and it was not away just now."""
        return url not in self._sent and time.monotonic() >= self._away.get(name_of(url), 0.0)

    def _record(self, engine: Engine) -> None:
        """Note in the ledger what has arrived by now, and keep in mind what may arrive later: nobody should be sent that again."""
        for url, item in list(self._sent.items()):
            is_over = item.sending.is_over  # first: what arrives meanwhile is for the next time
            arrived = len(item.sending.arrived)
            for news in item.news[item.recorded : arrived]:
                engine.ledger.notices.record(
                    engine.environment,
                    begun=[(alert.subject, alert.mark) for alert in news.begun],
                    over=[notice.subject for notice in news.over],
                    target=name_of(url),
                )
                item.recorded += 1
            if is_over:
                del self._sent[url]
            self._note(url, is_away=arrived < len(item.news))

    def _note(self, url: SecretStr, *, is_away: bool) -> None:
        """Remember that a target was away, and log it once."""
        name = name_of(url)
        if is_away and name not in self._away:
            _logger.warning(
                "a target of SPAM_PIPELINE_NOTIFY (%s) did not take a message: it is tried again", _scheme(url)
            )
        if is_away:
            self._away[name] = time.monotonic() + self._pause
        else:
            self._away.pop(name, None)


def news_of(
    alerts: Sequence[Alert], known: Mapping[Subject, Notice], lasting: Collection[Subject], owners: Mapping[str, str]
) -> Iterator[News]:
    """What is new to a target by owner, given the alerts that it should know, those that it knows, and the subjects that are not over."""
    begun, over = defaultdict[str, list[Alert]](list), defaultdict[str, list[Notice]](list)
    for alert in alerts:
        if alert.subject not in known or known[alert.subject].mark != alert.mark:
            begun[alert.owner].append(alert)
    for subject, notice in known.items():
        if Kind(subject.kind).ends and subject not in lasting:
            over[owners.get(subject.about.partition(" ")[0], "")].append(notice)
    order = list(Kind)
    for owner in sorted({*begun, *over}):
        yield News(owner, tuple(sorted(begun[owner], key=lambda item: order.index(item.kind))), tuple(over[owner]))


def message_of(news: News, environment: str = PRODUCTION) -> Message:
    """The message about what is new to an owner: one thing with all that is known of it, or several as a digest."""
    where = "" if environment == PRODUCTION else f"[{environment}] "
    mood = Mood.WARNING if any(item.kind.ends for item in news.begun) else Mood.INFO if news.begun else Mood.SUCCESS
    match news.begun, news.over:
        case (alert,), ():
            return Message(f"{where}{alert.title}"[:_LONGEST_LINE], "\n".join(_spelt_out(alert)), mood)
        case (), (notice,):
            return Message(f"{where}{_ended(notice)}", f"owner: {news.owner}" if news.owner else "", mood)
    return Message(f"{where}{_counted(news)}", "\n".join(_digest(news, environment)), mood)


def _by_target(targets: Targets, alerts: Sequence[Alert]) -> dict[SecretStr, list[Alert]]:
    """The alerts that each target should know: those of the owners that name it, or of all that name none; what stops everything, all of them."""
    routed: dict[SecretStr, list[Alert]] = {url: [] for urls in targets.values() for url in urls}
    for alert in alerts:
        concerned = routed if alert.kind is Kind.STOPPED else targets.get(alert.owner, targets.get(EVERYBODY, ()))
        for url in dict.fromkeys(concerned):
            routed[url].append(alert)
    return routed


def _lasting(alerts: Sequence[Alert], report: StalenessReport) -> set[Subject]:
    """The subjects that are not over: whatever there is an alert of, and what is about to run, of which nobody knows how that ends."""
    runnable = [item for by_key in report.statuses.values() for item in by_key.values() if item.can_run]
    about = [place_of(item.stage, item.partition) for item in runnable]
    return {alert.subject for alert in alerts} | {
        Subject(kind.value, place) for place in about for kind in (Kind.REFUSED, Kind.FAILED, Kind.HELD)
    }


def _counted(news: News) -> str:
    """The title of a digest, such as `team:ingestion: 2 refused, 1 late, 1 over`."""
    counts = Counter(item.kind.value for item in news.begun)
    over = [f"{len(news.over)} over"] if news.over else []
    return f"{news.owner or 'spam-pipeline'}: " + ", ".join(
        [*(f"{count} {kind}" for kind, count in counts.items()), *over]
    )


def _digest(news: News, environment: str) -> Iterator[str]:
    for alert in news.begun[:_SHOWN]:
        yield f"- {alert.title}"[:_LONGEST_LINE]
        yield from (f"  {what}: {page}" for what, page in alert.links)
    if len(news.begun) > _SHOWN:
        yield f"- and {len(news.begun) - _SHOWN} more"
    yield from (f"- {_ended(notice)}" for notice in news.over[:_SHOWN])
    if len(news.over) > _SHOWN:
        yield f"- and {len(news.over) - _SHOWN} more are over"
    if any(item.kind.ends for item in news.begun):
        waiting, status = (shell_command(words, environment) for words in ("waiting", "status"))
        yield f"what follows, and the commands that decide: {waiting}; what is late: {status}"


def _spelt_out(alert: Alert) -> Iterator[str]:
    facts = [("owner", alert.owner), ("meanwhile", alert.consequence), ("command", alert.command), *alert.links]
    return (f"{what}: {fact}" for what, fact in facts if fact)


def _ended(notice: Notice) -> str:
    return f"over: {notice.subject.about} was {notice.subject.kind}, notified {notice.begun_at:%Y-%m-%d %H:%M} UTC"


def _scheme(url: SecretStr) -> str:
    return url.get_secret_value().partition(":")[0]
