"""A reader of DDEX sales reports, written from the record definitions and not from the writer: dsr1, dsr3 and dsr8.ddex.net.

It takes nothing on trust: the order of records, the cells that each has and that must be filled, their types, what refers to
what, escaping, and the counts of the last record.
"""

import gzip
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

TEXT = r"[^\x00-\x1f]+"
NUMBER = r"[0-9]+"
DECIMAL = r"0|-?[0-9]*[1-9][0-9]*(\.[0-9]+)?|-?[0-9]+\.[0-9]*[1-9][0-9]*"
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
BOOLEAN = r"true|false"
DPID = r"PADPIDA[0-9]{10}[0-9A-Z]"
PARTS = {
    # Number of cells, and the pattern of those that are filled; the first are mandatory, the second may be empty.
    "HEAD": (
        16,
        {
            2: r"dsrf/1\.3/[0-9]+/1\.4",
            3: "BasicAudioProfile",
            4: r"1\.3",
            5: TEXT,
            6: rf"{DATE}T[0-9:]{{8}}Z",
            7: "1",
            8: "1",
            9: DATE,
            10: DATE,
            11: DPID,
            12: TEXT,
            13: r"[^\s_]+",
        },
        {},
    ),
    "SY01.02": (
        15,
        {
            2: TEXT,
            5: "SubscriptionModel|AdvertisementSupportedModel",
            6: "OnDemandStream",
            7: "[A-Z]{2}|Worldwide",
            8: r"[^\s_]+",
            9: NUMBER,
            11: "[A-Z]{3}",
            12: DECIMAL,
        },
        {10: NUMBER},
    ),
    "AS02.03": (
        24,
        {2: NUMBER, 3: TEXT, 4: TEXT, 6: TEXT, 11: "SoundRecording", 23: BOOLEAN},
        {5: "[A-Z]{2}[A-Z0-9]{3}[0-9]{7}", 8: TEXT, 10: r"PT[0-9]+(\.[0-9]+)?S", 24: DATE},
    ),
    "SU02.02": (11, {2: NUMBER, 3: TEXT, 4: TEXT, 6: TEXT, 7: BOOLEAN, 8: NUMBER}, {}),
    "FOOT": (6, dict.fromkeys(range(2, 7), NUMBER), {}),
}


@dataclass(frozen=True)
class Usage:
    """What one usage record says, with the summary and the resource that it refers to."""

    summary: list[str]
    resource: list[str]
    is_royalty_bearing: bool
    streams: int
    transaction: str


@dataclass
class Report:
    """A whole file; cell n of a record stands at position n - 1."""

    head: list[str]
    summaries: list[list[str]] = field(default_factory=list)
    resources: list[list[str]] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)

    def streams(self) -> Counter[tuple[str, str, str, str]]:
        """Streams by resource, territory, service and status, of which the last is how a transaction's id ends."""
        found: Counter[tuple[str, str, str, str]] = Counter()
        for item in self.usage:
            found[item.resource[3], item.summary[6], item.summary[7], item.transaction.rsplit(".", 1)[1]] += (
                item.streams
            )
        return found


def read_report(file: Path) -> Report:
    """Read a report. Raises `AssertionError` where it is not what the standard says."""
    raw = gzip.decompress(file.read_bytes()).decode("utf-8", errors="strict")
    *lines, rest = raw.split("\n")
    assert rest == "", "the last record ends its line too"
    records = [_record(line) for line in lines]
    kinds = [cells[0] for cells in records]
    assert kinds[0] == "HEAD"
    assert kinds[-1] == "FOOT"
    first_block = next((place for place, kind in enumerate(kinds) if kind == "AS02.03"), len(kinds) - 1)
    report = Report(records[0], summaries=records[1:first_block])
    assert report.summaries, "at least one summary"
    assert {cells[0] for cells in report.summaries} == {"SY01.02"}
    _read_blocks(report, records[first_block:-1])
    _check_references(report)
    counts = [str(len(lines)), str(len(lines)), str(len(report.summaries)), *[str(len(report.resources))] * 2]
    assert records[-1][1:] == counts
    return report


def _read_blocks(report: Report, records: list[list[str]]) -> None:
    by_id = {cells[1]: cells for cells in report.summaries}
    assert len(by_id) == len(report.summaries), "summaries are told apart"
    for cells in records:
        if cells[0] == "AS02.03":
            report.resources.append(cells)
            assert cells[1] == str(len(report.resources)), "blocks are numbered from 1 on and not interlaced"
            continue
        assert cells[0] == "SU02.02"
        resource = report.resources[-1]
        assert (cells[1], cells[5]) == (resource[1], resource[2]), "usage refers to the resource of its block"
        report.usage.append(Usage(by_id[cells[2]], resource, cells[6] == "true", int(cells[7]), cells[3]))


def _check_references(report: Report) -> None:
    transactions = [item.transaction for item in report.usage]
    assert len(set(transactions)) == len(transactions)
    assert {item.resource[1] for item in report.usage} == {cells[1] for cells in report.resources}
    for summary in report.summaries:
        assert int(summary[8]) == sum(item.streams for item in report.usage if item.summary is summary)


def _record(line: str) -> list[str]:
    cells = [_single(cell) for cell in _cells(line)]
    count, mandatory, optional = PARTS[cells[0]]
    assert len(cells) == count, f"{cells[0]} has {count} cells"
    for number, pattern in mandatory.items():
        assert re.fullmatch(pattern, cells[number - 1]), (cells[0], number, cells[number - 1])
    for number in set(range(2, count + 1)) - mandatory.keys():
        value = cells[number - 1]
        assert not value or (number in optional and re.fullmatch(optional[number], value)), (cells[0], number, value)
    return cells


def _cells(line: str) -> list[list[str]]:
    """Cells of a line, each as a list of values: an escaped delimiter is data."""
    if "\\" not in line:
        return [cell.split("|") for cell in line.split("\t")]
    cells, place = [[""]], 0
    while place < len(line):
        for written, meant in (("\\\\\\", "\\"), ("\\\\|", "|"), ("\\\t", "\t")):
            if line.startswith(written, place):
                cells[-1][-1] += meant
                place += len(written)
                break
        else:
            character = line[place]
            assert character != "\\", "a backslash escapes something"
            place += 1
            if character == "\t":
                cells.append([""])
            elif character == "|":
                cells[-1].append("")
            else:
                cells[-1][-1] += character
    return cells


def _single(values: list[str]) -> str:
    (value,) = values
    return value
