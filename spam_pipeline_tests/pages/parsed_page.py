"""A page as a browser would read it, and a page to read."""

from collections.abc import Sequence
from html.parser import HTMLParser

from spam_pipeline.pages.page_builder import Link, incident_page
from spam_pipeline.pages.plotter import Curves

HOSTILE = "<script>alert('& \"')</script>"
_VOID = {"meta", "br"}


class ParsedPage(HTMLParser):
    """The tags, addresses, words and table rows of a page; every tag is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.policy = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        given = dict(attrs)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data


def a_page(name: str, figures: Sequence[tuple[str, str]], index: str = "index.html") -> str:
    """A bare page with headline numbers and a link, and nothing else."""
    tables = ("evidence", "decisions", "days", "hours", "worth", "countries", "tracks", "listeners", "withheld")
    numbers = dict.fromkeys(("plays", "plays_in_reports", "most_rows", "listener_count", "peers"), 0)
    charts = {"plays_by_day": Curves([]), "plays_by_hour": Curves([])}
    named = {"month": "2026-01", "incident_id": name, "report": Link("All", index), "waits": False}
    words = dict.fromkeys(("plays_by_day_described", "plays_by_hour_described"), "")
    return incident_page({**named, **dict.fromkeys(tables, ()), **numbers, **charts, **words, "figures": figures})
