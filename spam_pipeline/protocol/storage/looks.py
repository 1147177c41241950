"""Looks at a landing zone: which of its dated folders one inspects. What is found there is compared in `observation`.

A dated folder is one that is named like a day or a month, wherever it lies. Long after its date hardly anything changes in it, so that a tick
inspects the newest ones, those that appear or vanish, and the others in turn. What lies outside of them is inspected by each look. Nothing here
decides what is read or computed: a look that comes later finds the same.
"""

import re
import time
import zlib
from collections.abc import Callable, Collection, Mapping

Choose = Callable[[Collection[str], Mapping[str, int]], Collection[str]]
"""Chooses the dated folders to inspect, by those that are listed now and those that are known, with the number of their files."""

WHOLE_ROUND_SECONDS = 3600
"""The time within which ticks have inspected every folder."""

FILES_AT_ONCE = 20_000
"""A landing zone with so many files is inspected as a whole; of a larger one, so many files of the newest dates: 0.1 seconds of CPU."""

_FEWEST_DATES = 3
"""The newest dated folders that are inspected however many files they have: what is late on a day lands on the next one."""

_FIRST_SECONDS = 60
"""The part of a round that the first look of a process inspects: others looked before it."""

_DATED = re.compile(r"(?:[^/]+/)*?[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?(?=/)")


def dated_folder(path: str) -> str | None:
    r"""The dated folder that a path lies in, the outermost one if there are several; None if it lies in none.

    A folder whose name has a backslash or cannot be printed is not taken for one: the ledger spells such paths differently.

    >>> dated_folder("plays/2026-01-05/07/a.jsonl"), dated_folder("issued/2026-01/b.parquet"), dated_folder("incidents.csv")
    ('plays/2026-01-05', 'issued/2026-01', None)
    """
    found = _DATED.match(path)
    return found[0] if found and found[0].isprintable() and "\\" not in found[0] else None


def everything(listed: Collection[str], known: Mapping[str, int]) -> Collection[str]:
    """Choose all folders."""
    return {*listed, *known}


def of_dates(dates: Collection[str]) -> Choose:
    """Choose the folders of some days or months."""

    def choose(listed: Collection[str], known: Mapping[str, int]) -> Collection[str]:
        return {folder for folder in everything(listed, known) if _date_of(folder) in dates}

    return choose


class Rounds:
    """The looks of one process, each at what may have changed: in one round of them every folder has its turn.

    A turn is a second of the hour, and a look takes the turns that have come since the one before it. So it needs no record of what was
    inspected, and several processes may look by turns.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._looked_at: float | None = None
        self._looking_at = 0.0
        self._pending: frozenset[str] = frozenset()
        self._wants_everything = False

    def choose(self, listed: Collection[str], known: Mapping[str, int]) -> Collection[str]:
        """Choose what the next look inspects; also whatever the last one was to inspect, if that did not come to its end."""
        self._looking_at = self._clock()
        since = self._looking_at - _FIRST_SECONDS if self._looked_at is None else self._looked_at
        today = time.strftime("%Y-%m-%d", time.gmtime(self._looking_at))
        self._pending |= due(listed, known, since, self._looking_at, today)
        return everything(listed, known) if self._wants_everything else self._pending

    def want_everything(self) -> None:
        """Let looks inspect all folders until one has come to its end."""
        self._wants_everything = True

    def end(self) -> None:
        """Say that everything that was chosen has been inspected."""
        self._looked_at, self._pending, self._wants_everything = self._looking_at, frozenset(), False


def due(listed: Collection[str], known: Mapping[str, int], since: float, now: float, today: str) -> frozenset[str]:
    """The folders that a look inspects: the newest, those of days to come, those that appeared or vanished, those whose turn has come.

    >>> sorted(due(["2026-01-02"], {"2026-01-01": 9}, 0, 0, "2026-01-05"))
    ['2026-01-01', '2026-01-02']
    """
    folders = everything(listed, known)
    moved = set(listed) ^ known.keys()
    to_come = {folder for folder in folders if _date_of(folder) > today}
    in_turn = {folder for folder in folders if _has_turn(folder, since, now)}
    return frozenset({*moved, *to_come, *in_turn, *_newest(set(folders) - to_come, known)})


def _newest(folders: Collection[str], known: Mapping[str, int]) -> list[str]:
    found: list[str] = []
    files = 0
    for folder in sorted(folders, key=_date_of, reverse=True):
        files += known.get(folder, 0)
        if len(found) >= _FEWEST_DATES and files > FILES_AT_ONCE:
            break
        found.append(folder)
    return found


def _has_turn(folder: str, since: float, now: float) -> bool:
    """True if the folder's second of the round is after one time and not after another."""
    turn = zlib.crc32(folder.encode()) % WHOLE_ROUND_SECONDS
    return (int(now) - turn) // WHOLE_ROUND_SECONDS > (int(since) - turn) // WHOLE_ROUND_SECONDS


def _date_of(folder: str) -> str:
    return folder.rpartition("/")[2]
