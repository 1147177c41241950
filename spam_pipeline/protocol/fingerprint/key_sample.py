"""Samples of keys: the number of distinct identifiers, the most frequent ones, and how evenly rows spread over them.

Keys are 64-bit keyed hashes, uniformly distributed, so the smallest ones are a random sample of the keys, and the same keys are
in the samples of other versions: samples merge, and estimates from them are comparable. A library of sketches would not do,
because a fingerprint has to be a deterministic function of the data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Self

from spam_pipeline.protocol.fingerprint.entropy import Entropy, correction, effective_number, entropy_of, significant
from spam_pipeline.protocol.fingerprint.estimate import Estimate, of_count, of_share
from spam_pipeline.protocol.fingerprint.measured import Measured, added
from spam_pipeline.protocol.fingerprint.mixture import Counts, Mixture, mixed, of_one, plug_in_nats

SAMPLED = 256
"""Keys that a sample holds at most."""

LISTED = 20
"""Most frequent keys that are listed for one version."""

_ALL_KEYS = 2.0**64


@dataclass(frozen=True)
class Top:
    """A frequent key, what people call it (empty when it has no name), and its rows or weight."""

    key: int
    name: str
    count: int


@dataclass(frozen=True)
class KeySample(Measured):
    """Distinct keys, the most frequent ones, and a bottom-k sample of all of them with exact counts.

    For one version everything is exact. After merging:

    - `total` and the counts in `sample` are exact.
    - `distinct` is exact while the sample is not full; then it is (k - 1) / (largest sampled key / 2^64) with a relative
      standard error of 1 / sqrt(k - 2), 6 % (Bar-Yossef et al. 2002; Beyer et al., SIGMOD 2007).
    - `top` lists every key that either side lists. A count may lack rows from versions in which the key was not listed, at
      most `unlisted` of them; a key that is listed nowhere has at most `unlisted` rows.
    - `entropy_nats` is exact while the sample is not full; then it adds to what each version knows exactly an estimate of how
      the rows of each key spread over the versions (see `mixture`): from the listed keys and, for all other rows, from the
      sampled ones, each standing for as many as it takes to account for those rows (a ratio estimator). For plays with Zipf's
      law over 2 to 28 days its standard error was 0.01 to 0.17 nats.
    - `surprise_variance` (see `entropy`) comes from the same keys.

    `mixture` is what merging has to remember, and None for one version.
    """

    total: int
    distinct: int
    top: tuple[Top, ...]
    sample: Counts
    entropy_nats: float
    surprise_variance: float = 0.0
    unlisted: int = 0
    mixture: Mixture | None = None

    def merge(self, other: Self) -> Self:
        """The keys of both; see the class for what is exact and what is estimated."""
        sample = bottom(added(self.sample, other.sample))
        top = _merged_top((*self.top, *other.top))
        total = self.total + other.total
        mixture = self._mixture_with(other, top, sample)
        entropy = _estimated_entropy(total, top, sample, mixture)
        return type(self)(
            total=total,
            distinct=_estimated_distinct(sample),
            top=top,
            sample=sample,
            entropy_nats=entropy.nats,
            surprise_variance=entropy.surprise_variance,
            unlisted=self.unlisted + other.unlisted,
            mixture=mixture,
        )

    def _mixture_with(self, other: Self, top: tuple[Top, ...], sample: Counts) -> Mixture:
        one, two = self._own_mixture(), other._own_mixture()
        return Mixture(
            one.within + two.within,
            mixed(_counts(top), (_counts(self.top), one.top), (_counts(other.top), two.top)),
            mixed(sample, (self.sample, one.sample), (other.sample, two.sample)),
        )

    def _own_mixture(self) -> Mixture:
        plug_in = self.entropy_nats - correction(self.total, self.distinct)
        return self.mixture or of_one(self.total, plug_in)

    def numbers(self, name: str) -> dict[str, float]:
        """The number of keys, the effective number of keys, and the share of the most frequent key."""
        if not self.total:
            return {}
        return {
            name: self.distinct,
            f"effective_{name}": effective_number(self.entropy_nats, self.distinct),
            f"top_share_of_{name}": self.top[0].count / self.total,
        }

    def estimates(self, name: str) -> dict[str, Estimate]:
        """All of the numbers."""
        if not self.total:
            return {}
        return {
            name: of_count(self.distinct),
            f"effective_{name}": Estimate(self.entropy_nats, self.surprise_variance / self.total),
            f"top_share_of_{name}": of_share(self.top[0].count, self.total),
        }

    def to_json(self) -> dict[str, Any]:
        """All fields; sampled keys as differences, which are short."""
        keys = sorted(self.sample)
        steps = [after - before for before, after in pairwise([0, *keys])]
        return {
            **vars(self),
            "top": [[item.key, item.name, item.count] for item in self.top],
            "sample": [steps, [self.sample[key] for key in keys]],
            "mixture": self.mixture and [self.mixture.within, *map(_pairs, (self.mixture.top, self.mixture.sample))],
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """All fields."""
        steps, counts = kept["sample"]
        mixture = kept["mixture"] and Mixture(kept["mixture"][0], *map(dict, kept["mixture"][1:]))
        read = {
            "top": tuple(Top(*item) for item in kept["top"]),
            "sample": dict(zip(accumulate(steps), counts, strict=True)),
            "mixture": mixture,
        }
        return cls(**{**kept, **read})


def bottom(counts: Counts) -> dict[int, int]:
    """The counts of the smallest keys, in ascending order."""
    return {key: counts[key] for key in sorted(counts)[:SAMPLED]}


def _pairs(amounts: Counts) -> list[list[int]]:
    return [[key, amounts[key]] for key in sorted(amounts)]


def most_frequent(top: Iterable[Top]) -> tuple[Top, ...]:
    """Keys in the order in which they are listed: the most frequent first, then by key."""
    return tuple(sorted(top, key=lambda item: (-item.count, item.key)))


def _merged_top(listed: Iterable[Top]) -> tuple[Top, ...]:
    counts: dict[int, int] = {}
    names: dict[int, str] = {}
    for item in listed:
        counts[item.key] = counts.get(item.key, 0) + item.count
        names[item.key] = max(item.name, names.get(item.key, ""))
    return most_frequent(Top(key, names[key], count) for key, count in counts.items())


def _counts(top: Iterable[Top]) -> dict[int, int]:
    return {item.key: item.count for item in top}


def _estimated_distinct(sample: Counts) -> int:
    if len(sample) < SAMPLED:
        return len(sample)
    return round((SAMPLED - 1) * _ALL_KEYS / max(sample))


def _estimated_entropy(total: int, top: tuple[Top, ...], sample: Counts, mixture: Mixture) -> Entropy:
    """The entropy of all keys, given the listed ones (with their exact counts where they are sampled too) and a sample."""
    if len(sample) < SAMPLED:
        return entropy_of((count, 1) for count in sample.values())
    listed = {**_counts(top), **{item.key: sample[item.key] for item in top if item.key in sample}}
    tail = [key for key in sample if key not in listed]
    rows = sum(sample[key] for key in tail)
    each = (total - sum(listed.values())) / rows if rows else 0.0
    spread = {**mixture.top, **mixture.sample}
    between = sum(spread.get(key, 0) for key in listed) + each * sum(spread.get(key, 0) for key in tail)
    nats = plug_in_nats(total, mixture.within, between) + correction(total, _estimated_distinct(sample))
    surprise = entropy_of([*((count, 1) for count in listed.values()), *((sample[key], each) for key in tail)])
    return Entropy(significant(nats), surprise.surprise_variance)
