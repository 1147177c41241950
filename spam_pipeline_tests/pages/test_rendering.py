"""What holds for every page: its text is escaped, its browser loads nothing, and its templates count in code versions."""

import json
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from shutil import copytree

import pytest
from jinja2 import UndefinedError

import spam_pipeline
from spam_pipeline.pages.comparison_page import page_of
from spam_pipeline.pages.page_builder import Link, index_page
from spam_pipeline.pages.rendering import rendered
from spam_pipeline_tests.compared_versions import COMPARISON
from spam_pipeline_tests.pages.parsed_page import HOSTILE, ParsedPage, a_page

PACKAGE = Path(spam_pipeline.__file__).parent
OF_REPORTS = {"base.html.j2", "parts.html.j2", "drawing.svg.j2", "month.html.j2", "incident.html.j2", "style.css"}
OF_DELIVERED_PAGES = {"base.html.j2", "parts.html.j2", "index.html.j2", "changes.html.j2", "style.css"}
"""The templates of the pages that are data, and of what is filled in and added when they are delivered."""

EDITS = """
import json, pathlib, sys
from spam_pipeline.protocol.code_version.code_version import code_version
from spam_pipeline.reporting import report_folder, reports

def versions():
    return [code_version(function).digest for function in (reports.pages_of, report_folder.deliver)]

before, found = versions(), {}
folder = pathlib.Path(sys.argv[1])
for file in (*folder.glob("templates/*"), folder / "style.css"):
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "<!-- edited -->", encoding="utf-8")
    found[file.name] = [now != was for now, was in zip(versions(), before, strict=True)]
    file.write_text(text, encoding="utf-8")
print(json.dumps(found))
"""


def an_index(words: str) -> str:
    link = Link(words, words)
    contents = {"name": words, "report": link, "figures": [(words, words)], "incidents": [[link, words, 1000, 2]]}
    return index_page([contents])


@pytest.mark.parametrize("page", [a_page("x", []), an_index("x"), index_page([]), page_of([]), page_of([COMPARISON])])
def test_every_page_has_the_one_style_and_a_policy_that_lets_nothing_else_in(page: str) -> None:
    style = (PACKAGE / "pages" / "style.css").read_text(encoding="utf-8").removesuffix("\n")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    expected = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert ParsedPage(page).policy == expected
    assert page.count(f"<style>{style}</style>") == 1
    assert " style=" not in page


@pytest.mark.parametrize(
    "words", [HOSTILE, '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}{% raw %}", "</title></style>"]
)
def test_text_is_text_wherever_it_stands(words: str) -> None:
    read, harmless = ParsedPage(an_index(words)), ParsedPage(an_index("x"))
    assert read.tags == harmless.tags
    assert read.words.count(words) == harmless.words.count("x") == 5
    assert read.rows[1] == [words, words, "1,000", "2"]


def test_characters_that_no_page_can_show_are_replaced() -> None:
    assert "a\ufffdb\ufffdc\ufffdd" in ParsedPage(a_page("x", [("a\x00b\ud800c\ufffed", "1")])).words


def test_a_value_that_a_template_names_and_nobody_gives_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="months"):
        rendered("templates/index.html.j2")


def test_an_edited_template_makes_the_stages_stale_that_render_it_and_no_other(tmp_path: Path) -> None:
    copy = copytree(PACKAGE, tmp_path / "spam_pipeline")
    command = [sys.executable, "-c", EDITS, str(copy / "pages")]
    found = json.loads(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout)
    assert {name for name, (is_stale, _) in found.items() if is_stale} == OF_REPORTS
    assert {name for name, (_, is_stale) in found.items() if is_stale} == OF_DELIVERED_PAGES
    assert found["comparison.html.j2"] == [False, False]
