"""The document of a decision: a small JSON file in the landing zone that says who decided what about which version, when and why.

It lies at `decisions/<YYYY-MM-DD>/<SHA-256 of its bytes>.json`. So a decision is a landed fact, which a ledger that was lost learns again.
What a decision has to say, and what is no decision, is up to this module; `landed_decisions` reads, lands and records.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from spam_pipeline.protocol.foundation.errors import PipelineError
from spam_pipeline.protocol.foundation.finding import Finding, Severity
from spam_pipeline.protocol.ledger.records import Decision, DecisionKind

DECISIONS = "decisions"
"""The source of these documents in observations, and their folder in the landing zone. No stage reads them."""

MOST_BYTES = 1024 * 1024
"""The size of a document that is read. One with fifty findings has a hundredth of it."""

_FORMAT = 1
_PATH = re.compile(r"decisions/([0-9]{4}-[0-9]{2}-[0-9]{2})/([0-9a-f]{64})\.json")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_LONGEST_NAME, _LONGEST_REASON, _LONGEST_KEY = 100, 2000, 200
_PLACEHOLDERS = frozenset({"WHO", "TEXT"})
"""Words of printed commands, which stay in the ledger for ever if somebody pastes one as it is."""


class WrongDecision(PipelineError):
    """A decision without a name or a reason, or about a version that leaves nothing to decide."""


class WrongDecisionDocument(PipelineError):
    """A file in the place of a decision that is none. The message never quotes it."""


class LandedDecision(NamedTuple):
    """A decision as its document has it: the version's recipe instead of an id, and the document of the decision before it that was known."""

    document: str
    recipe: str
    follows: str | None
    decision: Decision


def place_of_document(path: str) -> tuple[str, str] | None:
    """Return day and digest in the path of a decision's document; None for any other path.

    >>> place_of_document(f"decisions/2026-01-05/{'0' * 64}.json") == ("2026-01-05", "0" * 64)
    True
    """
    found = _PATH.fullmatch(path)
    return None if found is None or not _is_day(found[1]) else (found[1], found[2])


def path_of_document(landed: LandedDecision) -> str:
    """Return the path of a decision's document below the landing zone's root."""
    return f"{DECISIONS}/{landed.decision.decided_at:%Y-%m-%d}/{landed.document}.json"


def document_of(decision: Decision, recipe: str, follows: str | None) -> tuple[LandedDecision, bytes]:
    """Write a decision about the version of a recipe as a document; return it with its bytes."""
    stated = {
        "format": _FORMAT,
        "environment": decision.environment,
        "stage": decision.stage,
        "partition": decision.partition,
        "recipe": recipe,
        "content": decision.content,
        "kind": decision.kind.value,
        "by": decision.by,
        "reason": decision.reason,
        "findings": [_stated(finding) for finding in decision.findings],
        "decided_at": decision.decided_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "follows": follows,
    }
    content = json.dumps(stated, ensure_ascii=False, indent=2).encode() + b"\n"
    return LandedDecision(hashlib.sha256(content).hexdigest(), recipe, follows, decision), content


def read_document(digest: str, content: bytes) -> LandedDecision:
    """Read the bytes of the document that this digest names. Raises `WrongDecisionDocument`."""
    if hashlib.sha256(content).hexdigest() != digest:
        raise WrongDecisionDocument(
            "it is not what was decided: its bytes have another digest than its name; restore it"
        )
    try:
        stated = json.loads(content)
        if stated["format"] != _FORMAT:
            raise WrongDecisionDocument(f"its format is not {_FORMAT}, which this release reads")
        return _read(digest, stated)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, WrongDecision) as wrong:
        raise WrongDecisionDocument(
            "it is not well-formed: it does not say who decided what about which version"
        ) from wrong


def _read(digest: str, stated: Mapping[str, Any]) -> LandedDecision:
    decided_at = datetime.fromisoformat(stated["decided_at"])
    if decided_at.tzinfo is None:
        raise ValueError("a time without offset")
    follows = stated["follows"]
    decision = Decision(
        environment=_matched(_ENVIRONMENT, stated["environment"]),
        version_id=0,
        stage=_key(stated["stage"]),
        partition=_key(stated["partition"]),
        content=_matched(_DIGEST, stated["content"]),
        kind=DecisionKind(stated["kind"]),
        by=require_name(stated["by"]),
        reason=require_reason(stated["reason"]),
        findings=tuple(_finding(item) for item in stated["findings"]),
        decided_at=decided_at.astimezone(UTC),
    )
    recipe = _matched(_DIGEST, stated["recipe"])
    return LandedDecision(digest, recipe, None if follows is None else _matched(_DIGEST, follows), decision)


def _finding(stated: Mapping[str, Any]) -> Finding:
    texts = [stated[name] for name in ("rule", "about", "expected", "seen")]
    size = float(stated["size"])
    if not math.isfinite(size) or not all(isinstance(text, str) for text in texts):
        raise ValueError("a finding of another shape")
    rule, about, expected, seen = texts
    return Finding(rule, about, Severity(stated["severity"]), expected, seen, size=size)


def _stated(finding: Finding) -> dict[str, Any]:
    """What a finding says, without its evidence: that is who and what is behind it, and no part of what was accepted."""
    names = ("rule", "about", "expected", "seen", "size")
    return {name: getattr(finding, name) for name in names} | {"severity": finding.severity.value}


def _matched(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError("text of another form")
    return text


def _key(text: str) -> str:
    if not 0 < len(text) <= _LONGEST_KEY or not text.isprintable():
        raise ValueError("no name of a stage or a partition")
    return text


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def require_name(by: str) -> str:
    """Return who decides, with blanks normalised. Raises `WrongDecision` when it is empty, too long or not printable."""
    return _required(by, "by whom", _LONGEST_NAME)


def require_reason(reason: str) -> str:
    """Return why somebody decides, with blanks normalised. Raises like `require_name`."""
    return _required(reason, "why", _LONGEST_REASON)


def _required(text: str, what: str, longest: int) -> str:
    stripped = " ".join(text.split())
    if stripped in _PLACEHOLDERS:
        raise WrongDecision(f"a decision says {what}: {stripped} stands for that in the command that was printed")
    if not stripped or len(stripped) > longest or not stripped.isprintable():
        raise WrongDecision(f"a decision says {what} in 1 to {longest} printable characters")
    return stripped
