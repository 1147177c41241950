"""The home page of reports after a convergence: what it says of the pipeline, and that it is in nobody's way."""

import logging
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from spam_pipeline.operations.home_page import update_home_page
from spam_pipeline.protocol.operating import Overview
from spam_pipeline.reporting.report_folder import delivered
from spam_pipeline_tests.conftest import open_home
from spam_pipeline_tests.pages.parsed_page import ParsedPage


def home_page(home: Path) -> str:
    return (home / "reports" / "index.html").read_text(encoding="utf-8")


def test_what_waits_stands_there_with_its_consequence_and_the_ways_to_its_evidence_and_to_decide(
    own_home: Path,
) -> None:
    pipeline = open_home(own_home, dagster_url="https://dagster.example")
    update_home_page(Overview.of(pipeline.engine), pipeline.settings)
    before = delivered(str(pipeline.settings.reports))
    assert "No partition waits for anybody." in home_page(own_home)

    recipe = pipeline.versions("daily_plays", "2026-01-02")[-1][0].recipe
    pipeline.decide("reject", recipe, by="Ada", reason="not <true>")
    update_home_page(Overview.of(pipeline.engine), pipeline.settings)
    page = home_page(own_home)
    assert "Not up to date, until the next convergence: 1 partition," in page
    assert "1 waiting for somebody" in page
    assert "daily_plays 2026-01-02</strong>, of team:reporting, since" in page
    assert "somebody rejected it. Until then reports, warehouse have nothing of it" in page
    assert "true" not in ParsedPage(page).words, "a reason may name somebody"
    assert f"spam-pipeline decide accept {recipe[:16]} --by WHO --reason TEXT" in ParsedPage(page).words
    links = [address for address in ParsedPage(page).addresses if address.startswith("https")]
    assert [link.split("?")[0] for link in links] == [
        "https://dagster.example/assets/daily_plays",
        "https://dagster.example/locations/spam_pipeline/jobs/decide/playground/setup",
    ]
    assert delivered(str(pipeline.settings.reports)) == before, "it is the same edition"


def test_where_no_report_is_delivered_or_nothing_can_be_written_the_data_is_published_all_the_same(
    own_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = open_home(own_home)
    index = own_home / "reports" / "index.html"
    index.unlink()
    update_home_page(Overview.of(pipeline.engine), pipeline.settings)
    assert not index.exists()
    (own_home / "reports").rename(own_home / "elsewhere")
    (own_home / "reports").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        update_home_page(Overview.of(pipeline.engine), pipeline.settings)
    assert (own_home / "reports").read_text() == "no folder"


def test_a_delivery_that_another_process_is_at_stays_unfinished(own_home: Path) -> None:
    pipeline, other = open_home(own_home), open_home(own_home)
    reports = own_home / "reports"
    with ThreadPoolExecutor() as threads:
        with other.engine.deliveries.alone_at(str(reports)):
            updating = threads.submit(update_home_page, Overview.of(pipeline.engine), pipeline.settings)
            assert not wait([updating], timeout=2).done
            (reports / "delivered.json").write_text('{"recipe": "", "sizes": {}}', encoding="utf-8")
            before = home_page(own_home)
        updating.result()
    assert delivered(str(reports)) is None
    assert home_page(own_home) == before
