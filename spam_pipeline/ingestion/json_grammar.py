"""A grammar of plain event lines, as regular expressions: flat JSON objects whose known fields have the right types.

A line that matches is safe for a fast, lenient parser, because it leaves nothing to be lenient about. Lines that do not match
may still be valid: nested values, rare escapes and very large numbers are left to a slower parser.
"""

from collections.abc import Collection

from spam_pipeline.ingestion.records import FIELD_TYPES

_GAP = r"[ \t\r]*"
_PLAIN = r'[^"\\\x00-\x1f]'
_UNICODE_ESCAPE = r"u(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2})"  # no surrogates
_STRING = rf'"(?:{_PLAIN}|\\(?:["\\/bfnrt]|{_UNICODE_ESCAPE}))*"'
_INTEGER = r"-?(?:0|[1-9][0-9]{0,17})"
_NUMBER = rf"{_INTEGER}(?:\.[0-9]{{1,17}})?(?:[eE][+-]?[0-9]{{1,2}})?"
_TIME = rf'(?:"[0-9]{{4}}-[0-9A-Za-z:.+-]*"|{_INTEGER}|null)'

INTEGER_FIELDS = ("schema_version", "ms_played")
_TIME_FIELDS = ("occurred_at",)


def known_fields_only() -> str:
    """Match a line whose members are all fields of a play event, each of its type or null."""
    return _object_of(_known_member())


def with_unknown_fields() -> str:
    """Match such lines with other members as well, whose values are neither objects nor arrays."""
    other = rf'"{other_name(FIELD_TYPES)}"{_GAP}:{_GAP}(?:{_STRING}|{_NUMBER}|true|false|null)'
    return _object_of(f"{_known_member()}|{other}")


def known_name() -> str:
    """Match the start of a member with a known name, in a line that matched."""
    return rf'"(?:{"|".join(FIELD_TYPES)})"{_GAP}:'


def string_token() -> str:
    """Match each string, name or value, of a line that matched."""
    return r'"(?:[^"\\]|\\.)*"'


def other_name(names: Collection[str]) -> str:
    """Match any text without escapes except `names`; this long because the engine has no look-ahead."""
    heads = sorted({name[0] for name in names if name})
    branches = [rf'[^"\\\x00-\x1f{"".join(heads)}]{_PLAIN}*']
    branches += [head + other_name({name[1:] for name in names if name.startswith(head)}) for head in heads]
    return f"(?:{'|'.join(branches if '' in names else [*branches, ''])})"


def _known_member() -> str:
    texts = [name for name in FIELD_TYPES if name not in INTEGER_FIELDS + _TIME_FIELDS]
    return "|".join(
        rf'"(?:{"|".join(fields)})"{_GAP}:{_GAP}{value}'
        for fields, value in (
            (texts, rf"(?:{_STRING}|null)"),
            (INTEGER_FIELDS, rf"(?:{_INTEGER}|null)"),
            (_TIME_FIELDS, _TIME),
        )
    )


def _object_of(member: str) -> str:
    return rf"^{_GAP}\{{{_GAP}(?:{member}){_GAP}(?:,{_GAP}(?:{member}){_GAP})*\}}{_GAP}$"
