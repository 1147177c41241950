"""A grammar of plain event lines, as regular expressions: flat JSON objects whose known fields have the right types.

A line that matches is safe for a fast, lenient parser, because it leaves nothing to be lenient about. Lines that do not match
may still be valid: nested values, rare escapes and very large numbers are left to a slower parser. The members of a line that
matches can be counted.
"""

from collections.abc import Collection

import polars as pl

from spam_pipeline.ingestion.records import FIELD_TYPES

_GAP = r"[ \t\r]*"
_PLAIN = r'[^"\\\x00-\x1f]'
_UNICODE_ESCAPE = r"u(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2})"  # no surrogates
_STRING = rf'"(?:{_PLAIN}|\\(?:["\\/bfnrt]|{_UNICODE_ESCAPE}))*"'
_INTEGER = r"-?(?:0|[1-9][0-9]{0,17})"
_NUMBER = rf"{_INTEGER}(?:\.[0-9]{{1,17}})?(?:[eE][+-]?[0-9]{{1,2}})?"
_TIME = rf'(?:"[0-9]{{4}}-[0-9A-Za-z:.+-]*"|{_INTEGER}|null)'

_WHOLE_STRING = r'"(?:[^"\\]|\\.)*"'
_KNOWN_NAME = f'"(?:{"|".join(FIELD_TYPES)})"'

_ODD = (
    pl.col("text").str.contains("\\", literal=True),  # may stand before a quote within a string
    pl.col("text").str.contains(r'[{,: \t\r]":'),  # may be a string that begins with a colon
    pl.col("text").str.contains(r"[ \t\r]:"),  # may stand behind the name of a member
)
"""What makes it unsure that a quote before a colon ends a name, and the only such. Three passes: one of all three takes twice as long."""

INTEGER_FIELDS = ("schema_version", "ms_played")
_TIME_FIELDS = ("occurred_at",)


def known_fields_only() -> str:
    """Match a line whose members are all fields of a play event, each of its type or null."""
    return _object_of(_known_member())


def flat_object() -> str:
    """Match such lines with other members as well, whose values are neither objects nor arrays."""
    other = rf'"{other_name(FIELD_TYPES)}"{_GAP}:{_GAP}(?:{_STRING}|{_NUMBER}|true|false|null)'
    return _object_of(f"{_known_member()}|{other}")


def unknown_members(lines: pl.Series, filled: pl.Series) -> pl.Series:
    """Count the members with unknown names in lines that matched, where so many known fields are `filled`.

    A quote before a colon ends a name unless the line is odd, and a line with as many names as filled fields has no others. Only
    the rest is searched for known names, which takes three times as long, or for strings, which takes eight times as long.
    """
    text = pl.col("text")
    quick = text.str.count_matches('":', literal=True).cast(pl.Int64)
    counted = (
        pl.DataFrame({"text": lines, "filled": filled})
        .with_row_index("row")
        .with_columns(members=quick, is_odd=pl.any_horizontal(_ODD))
    )
    rest = counted.filter(~pl.col("is_odd") & (pl.col("members") != pl.col("filled")))
    odd = counted.filter("is_odd")
    unknown = pl.zeros(lines.len(), dtype=pl.Int64, eager=True)
    if rest.height:
        unknown = unknown.scatter(rest["row"], rest.select(pl.col("members") - _matches(f"{_KNOWN_NAME}:")).to_series())
    if odd.height:
        commas = _matches(f"{_WHOLE_STRING}|,") - _matches(_WHOLE_STRING)
        unknown = unknown.scatter(odd["row"], odd.select(commas + 1 - _matches(f"{_KNOWN_NAME}{_GAP}:")).to_series())
    return unknown


def _matches(pattern: str) -> pl.Expr:
    return pl.col("text").str.count_matches(pattern).cast(pl.Int64)


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
