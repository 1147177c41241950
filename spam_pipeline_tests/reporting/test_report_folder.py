"""The folder of reports: what lies in it, what is replaced, what a page says of its past, and what is not touched."""

from pathlib import Path

import polars as pl
import pytest
from upath import UPath

from spam_pipeline.pages.changes import bare_page, recipe_of
from spam_pipeline.pages.page_builder import index_page
from spam_pipeline.protocol import column_types
from spam_pipeline.protocol.operating import run_partition
from spam_pipeline.reporting.contracts import Reports
from spam_pipeline.reporting.errors import ForeignTarget
from spam_pipeline.reporting.page_contents.index import indexed_months
from spam_pipeline.reporting.page_contents.places import place_of
from spam_pipeline.reporting.report_folder import delivered
from spam_pipeline_tests.pages.parsed_page import ParsedPage
from spam_pipeline_tests.reporting.landed_pages import (
    a_page,
    converge_pages,
    land_pages,
    open_pages,
    publish_pages,
)

MONTH = "2026-01"
HOSTILE = ["../../x", "<script>alert(1)</script>", "x" * 300, "..", "a/b\\c:d", "CON", "\ud83c\udfb5 é", "--><b>"]


def files(home: Path) -> set[str]:
    folder = home / "reports"
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def page(home: Path, about: str = "", month: str = MONTH) -> str:
    return (home / "reports" / place_of(month, about)).read_text(encoding="utf-8")


def published(home: Path) -> str:
    return open_pages(home).reader.version("report_pages", "all").recipe


def written(home: Path) -> dict[str, tuple[int, int]]:
    """Which file lies at each place: a page that is replaced is another file."""
    seen = {name: (home / "reports" / name).stat() for name in files(home)}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in seen.items()}


def test_the_folder_has_an_index_a_page_for_each_month_and_one_for_each_incident(tmp_path: Path) -> None:
    assert publish_pages(tmp_path, MONTH, {"": 10, "incident-7": 3}) == []
    assert publish_pages(tmp_path, "2026-02", {"": 20}) == []
    incident = place_of(MONTH, "incident-7")
    assert files(tmp_path) == {"index.html", "2026-01.html", "2026-02.html", incident, "delivered.json"}
    assert bare_page(page(tmp_path, "incident-7")) == a_page("incident-7", 3)
    index = ParsedPage((tmp_path / "reports" / "index.html").read_text(encoding="utf-8"))
    assert index.addresses == ["2026-02.html", "2026-01.html", incident]
    assert delivered(str(tmp_path / "reports")) == published(tmp_path)
    assert "What changed" not in page(tmp_path), "there was nothing before"


def test_a_page_that_differs_says_what_has_changed_and_why_and_no_other_page_is_written(tmp_path: Path) -> None:
    publish_pages(tmp_path, MONTH, {"": 10, "kept": 1, "changed": 2})
    before = written(tmp_path)
    publish_pages(tmp_path, MONTH, {"": 10, "kept": 1, "changed": 3})
    now = written(tmp_path)
    replaced = {name for name in now if now[name] != before[name]}
    assert replaced == {place_of(MONTH, "changed"), "index.html", "delivered.json"}
    found = page(tmp_path, "changed")
    assert "What changed since the last version, and why" in found
    assert ["plays", "2", "3", "+1"] in ParsedPage(found).rows
    assert f"<li>The file {MONTH}/pages.json changed.</li>" in found
    assert (bare_page(found), recipe_of(found)) == (a_page("changed", 3), published(tmp_path))


def test_the_page_before_is_the_one_that_was_delivered_before(tmp_path: Path) -> None:
    for plays in (1, 2, 1):
        publish_pages(tmp_path, MONTH, {"": plays})
    assert ["plays", "2", "1", "-1"] in ParsedPage(page(tmp_path)).rows, "versions may be published again"
    (tmp_path / "reports").rename(tmp_path / "gone")
    publish_pages(tmp_path, MONTH, {"": 5})
    assert ["plays", "1", "5", "+4"] in ParsedPage(page(tmp_path)).rows, (
        "without files, it is what was published before"
    )


def test_the_page_of_an_incident_that_is_withdrawn_goes_with_its_folder(tmp_path: Path) -> None:
    publish_pages(tmp_path, MONTH, {"": 10, "incident-7": 3})
    publish_pages(tmp_path, MONTH, {"": 10})
    assert files(tmp_path) == {"index.html", "2026-01.html", "delivered.json"}
    assert not (tmp_path / "reports" / MONTH).exists()


def test_any_text_is_the_name_of_a_page_within_the_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert publish_pages(home, MONTH, {"": 1, **dict.fromkeys(HOSTILE, 1)}) == []
    assert {item.name for item in tmp_path.iterdir()} == {"home"}
    names = files(home) - {"index.html", "2026-01.html", "delivered.json"}
    assert len(names) == len(HOSTILE)
    assert all(name.startswith(f"{MONTH}/") and len(name) < 100 and name.isascii() for name in names)
    index = ParsedPage((home / "reports" / "index.html").read_text(encoding="utf-8"))
    assert set(index.addresses) == {"2026-01.html", *names}
    assert "script" not in index.tags + ParsedPage(page(home, HOSTILE[1])).tags


@pytest.mark.parametrize("cut_at", ["", "b"])
def test_a_delivery_that_is_cut_off_leaves_whole_pages_and_is_made_again(tmp_path: Path, cut_at: str) -> None:
    publish_pages(tmp_path, MONTH, {"": 1, "a": 1})
    first = published(tmp_path)
    place = tmp_path / "reports" / place_of(MONTH, cut_at)
    place.unlink(missing_ok=True)
    place.mkdir()
    (error,) = publish_pages(tmp_path, MONTH, {"": 2, "a": 2, "b": 2})
    assert "ForeignTarget" in error
    for name in files(tmp_path) - {"delivered.json", "index.html"}:
        text = (tmp_path / "reports" / name).read_text(encoding="utf-8")
        assert bare_page(text) in {a_page(about, plays) for about in ("", "a", "b") for plays in (1, 2)}
    assert delivered(str(tmp_path / "reports")) is None, "not even the edition before, whose pages may be replaced"
    place.rmdir()
    engine = open_pages(tmp_path)
    run_partition(engine, "report_pages", "all")
    assert delivered(str(tmp_path / "reports")) == published(tmp_path) != first
    assert [bare_page(page(tmp_path, about)) for about in ("", "a", "b")] == [
        a_page(about, 2) for about in ("", "a", "b")
    ]


def test_pages_that_are_lost_or_cut_are_delivered_again(tmp_path: Path) -> None:
    publish_pages(tmp_path, MONTH, {"": 1, "a": 1})
    lost, cut = tmp_path / "reports" / place_of(MONTH, "a"), tmp_path / "reports" / "2026-01.html"
    whole = cut.read_bytes()
    cut.write_bytes(whole[:-9])
    assert delivered(str(tmp_path / "reports")) is None
    cut.write_bytes(whole)
    assert delivered(str(tmp_path / "reports")) == published(tmp_path)
    lost.unlink()
    cut.write_text("", encoding="utf-8")
    assert delivered(str(tmp_path / "reports")) is None
    assert converge_pages(tmp_path) == []
    assert [bare_page(page(tmp_path, about)) for about in ("", "a")] == [a_page(about, 1) for about in ("", "a")]
    assert "What changed" not in page(tmp_path)


def test_files_of_others_are_never_replaced_or_removed(tmp_path: Path) -> None:
    publish_pages(tmp_path, MONTH, {"": 1, "a": 1})
    notes = {"2026-01/notes.html": "<p>mine", "notes.txt": "mine", "2026-02.html": "<p>also mine"}
    notes |= dict.fromkeys(["2026-01 as sent.html", "2026-01/a copy.html"], page(tmp_path))
    for name, text in notes.items():
        (tmp_path / "reports" / name).write_text(text, encoding="utf-8")
    assert publish_pages(tmp_path, MONTH, {"": 2}) == []
    (error,) = publish_pages(tmp_path, "2026-02", {"": 1})
    assert "2026-02.html is no page of a report" in error
    assert {name: (tmp_path / "reports" / name).read_text(encoding="utf-8") for name in notes} == notes


@pytest.mark.parametrize("is_file", [True, False])
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, *, is_file: bool) -> None:
    folder = tmp_path / "reports"
    file = folder if is_file else folder / "2026" / "thesis.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(ForeignTarget):
        delivered(str(folder))
    (error,) = publish_pages(tmp_path, MONTH, {"": 1})
    assert "ForeignTarget" in error
    assert file.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("state", ["[]", "\x00"])
def test_a_folder_that_forgot_what_it_holds_is_told_again(tmp_path: Path, state: str) -> None:
    publish_pages(tmp_path, MONTH, {"": 1})
    before = written(tmp_path)
    (tmp_path / "reports" / "delivered.json").write_text(state, encoding="utf-8")
    (tmp_path / "reports" / "notes.txt").write_text("mine", encoding="utf-8")
    assert delivered(str(tmp_path / "reports")) is None
    land_pages(tmp_path, MONTH, {"": 1})
    assert converge_pages(tmp_path) == []
    assert delivered(str(tmp_path / "reports")) == published(tmp_path)
    assert written(tmp_path)["2026-01.html"] == before["2026-01.html"]


def test_index_and_pages_lead_to_files_that_are_there(tmp_path: Path) -> None:
    publish_pages(tmp_path, MONTH, {"": 1, "a?b#c": 1})
    folder = tmp_path / "reports"
    for file in folder.rglob("*.html"):
        for address in ParsedPage(file.read_text(encoding="utf-8")).addresses:
            assert address.startswith("#") or (file.parent / address).resolve().is_file()


def test_before_anything_is_published_the_index_says_so() -> None:
    nothing = pl.DataFrame(schema=column_types(Reports))
    assert "No month is published yet." in index_page(indexed_months(nothing))


def test_a_folder_may_be_at_a_url(tmp_path: Path) -> None:
    url = f"memory://{tmp_path}/reports"
    folder, incident = UPath(url), place_of(MONTH, "incident-7")
    assert publish_pages(tmp_path, MONTH, {"": 10, "incident-7": 3}, url) == []
    there = {item.relative_to(folder).as_posix() for item in folder.rglob("*") if item.is_file()}
    assert there == {"index.html", "2026-01.html", incident, "delivered.json"}
    assert delivered(url) == published(tmp_path)
    assert publish_pages(tmp_path, MONTH, {"": 11}, url) == []
    assert not (folder / incident).exists()
    assert "What changed since the last version, and why" in (folder / "2026-01.html").read_text(encoding="utf-8")
    (folder / "2026-01.html").unlink()
    assert delivered(url) is None
    assert converge_pages(tmp_path, url) == []
    assert delivered(url) == published(tmp_path)


def test_a_folder_of_somebody_else_at_a_url_is_refused(tmp_path: Path) -> None:
    url = f"memory://{tmp_path}/reports"
    UPath(url).mkdir(parents=True)
    (UPath(url) / "budget.xlsx").write_bytes(b"not ours")
    assert "holds budget.xlsx and no report" in publish_pages(tmp_path, MONTH, {"": 10}, url)[0]
