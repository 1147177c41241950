"""Limits: bounds on a number of a fingerprint, promised by a producer's contract or required by a consumer's expectation.

A number that is absent, because there were no rows to compute it from, breaks no limit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spam_pipeline.protocol.foundation.finding import Finding, Severity

Numbers = Mapping[str, float]
"""The numbers of a fingerprint by name, such as `spam_share` or `effective_networks`."""


@dataclass(frozen=True)
class Limit:
    """Bounds on one number of a fingerprint; `severity` is the consequence of breaking them.

    >>> print(Limit("spam_share", at_least=0.01, at_most=0.2).finding({"spam_share": 0.25}))
    spam_share: expected at least 0.01 and at most 0.2, got 0.25
    """

    number: str
    at_least: float | None = None
    at_most: float | None = None
    severity: Severity = Severity.REFUSE

    def finding(self, numbers: Numbers) -> Finding | None:
        """The finding about these numbers, None while they are within bounds; its size is how far outside the number is."""
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
    """The findings about some numbers, one for each limit that they break."""
    return [finding for limit in limits if (finding := limit.finding(numbers))]
