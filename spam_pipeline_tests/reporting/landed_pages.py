"""A pipeline of pages that land as JSON, so that any page can be published and delivered without a month of plays.

A landed file `<month>/<name>.json` has the figure `plays` of each page by what the page is about; "" is the month itself.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from spam_pipeline.partitions import statement_months
from spam_pipeline.protocol import WHOLE, LandedFile, Source, column_types, stage
from spam_pipeline.protocol.operating import (
    PRODUCTION,
    Claims,
    Engine,
    LandingZone,
    Ledger,
    StageGraph,
    Store,
    converge,
    open_engine,
)
from spam_pipeline.reporting.assets import report_pages
from spam_pipeline.reporting.contracts import Reports
from spam_pipeline_tests.pages import parsed_page

landed_pages = Source("landed_pages", statement_months, "Figures of pages.")


def a_page(about: str, plays: int) -> str:
    """A bare page with one figure."""
    return parsed_page.a_page(about, [("plays", f"{plays}")], "../index.html" if about else "index.html")


@stage(
    partitions=statement_months,
    contract=Reports,
    owner="team:reporting",
    libraries=["jinja2", "markupsafe", "polars"],
    file_by_file=True,
    context="reporting",
)
def reports(landed_pages: LandedFile) -> Iterator[tuple[str, pl.DataFrame]]:
    """The pages of a month, as they landed."""
    with landed_pages.open() as file:
        pages = json.loads(file.read())
    rows = [
        (landed_pages.path[:7], about, a_page(about, plays), [{"name": "plays", "value": f"{plays}"}], "")
        for about, plays in pages.items()
    ]
    yield WHOLE, pl.DataFrame(rows, schema=column_types(Reports), orient="row")


def open_pages(home: Path, folder: str = "") -> Engine:
    """A engine over a home; its reports lie in a folder, `reports` of the home unless another one is named."""
    home.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{home / 'ledger.db'}"
    return open_engine(
        graph=StageGraph(
            [reports, report_pages],
            [landed_pages],
            {"reports_folder": folder or str(home / "reports")},
            own_packages=["spam_pipeline"],
        ),
        ledger=Ledger(url),
        store=Store(str(home / "store"), home / "cache"),
        private_store=Store(str(home / "private"), home / "cache-private"),
        landing=LandingZone(str(home / "landing")),
        classify=lambda path: ("landed_pages", path[:7]),
        claims=Claims(url),
        environment=PRODUCTION,
    )


def land_pages(home: Path, month: str, pages: Mapping[str, int]) -> None:
    """Land the pages of a month as one file, in place of what it was before."""
    file = home / "landing" / month / "pages.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(".pages")
    unfinished.write_text(json.dumps(pages), encoding="utf-8")
    unfinished.replace(file)


def publish_pages(home: Path, month: str, pages: Mapping[str, int], folder: str = "") -> list[str]:
    """Land the pages of a month, converge, and return what failed."""
    land_pages(home, month, pages)
    return converge_pages(home, folder)


def converge_pages(home: Path, folder: str = "") -> list[str]:
    """Converge, and return what failed."""
    engine = open_pages(home, folder)
    engine.observe()
    failed = [item.error for item in converge(engine).failed]
    engine.ledger.close()
    return failed
