"""Limits: bounds on a number of a fingerprint. In a contract they are the producer's promise, in an expectation a consumer's need.

A number that a fingerprint does not have, because there were no rows to take it from, breaks no limit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spam_pipeline.protocol.foundation.finding import Finding, Severity

Numbers = Mapping[str, float]
"""The numbers of a fingerprint by name, such as `spam_share` or `effective_networks`."""


@dataclass(frozen=True)
class Limit:
    """A number has to be at least this and at most that; a contract says what follows if it is not."""

    number: str
    at_least: float | None = None
    at_most: float | None = None
    severity: Severity = Severity.REFUSE

    def finding(self, numbers: Numbers) -> Finding | None:
        """What speaks against these numbers, if anything does; its size is how far outside the number is."""
        seen = numbers.get(self.number)
        if seen is None:
            return None
        short = 0.0 if self.at_least is None else self.at_least - seen
        over = 0.0 if self.at_most is None else seen - self.at_most
        size = max(short, over)
        if size <= 0:
            return None
        return Finding("limit", self.number, self.severity, str(self), f"{seen:g}", size=size)

    def __str__(self) -> str:
        """The limit in words."""
        bounds = {"at least": self.at_least, "at most": self.at_most}
        return " and ".join(f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None)


def breaches(limits: Iterable[Limit], numbers: Numbers) -> list[Finding]:
    """What speaks against some numbers, one finding for each limit that they break."""
    return [finding for limit in limits if (finding := limit.finding(numbers))]
