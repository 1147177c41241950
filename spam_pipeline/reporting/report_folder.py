"""The folder of reports, local or at a URL: `index.html`, a page for each month, and below its month a page for each incident.

Each page is replaced atomically, and only if its content differs; then it lists the changes since the version it was made
from, and their causes. The index also says how the pipeline stands, after each convergence. The state file is written last, so that an interrupted delivery is repeated. Files that this pipeline
did not write are never replaced or removed.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import polars as pl
from upath import UPath

from spam_pipeline.pages.changes import Changes, bare_page, delivered_page, recipe_of
from spam_pipeline.pages.page_builder import Figures, index_page
from spam_pipeline.pages.state import PipelineState, page_with_state
from spam_pipeline.protocol import Delivery, Pruned, Publications, Version
from spam_pipeline.reporting.errors import ForeignTarget
from spam_pipeline.reporting.page_contents.index import indexed_months
from spam_pipeline.reporting.page_contents.places import INDEX
from spam_pipeline.reporting.replaced_file import replaced
from spam_pipeline.reporting.targets import reaching

_STATE = "delivered.json"
_UNFINISHED = ""
"""The recipe in the state file while pages are replaced. Without it a delivery that was killed passed for the one before, and
after a revert its pages stayed for ever."""

_REPORTS = "reports"
_PLACE = re.compile(r"index\.html|\d{4}-\d{2}\.html|\d{4}-\d{2}/[A-Za-z0-9-]+-[0-9a-f]{16}\.html")


class _Page(NamedTuple):
    """A page of a version, before changes are added."""

    month: str
    place: str
    page: str
    figures: Figures


def delivered(target: str) -> str | None:
    """Return the recipe of the folder at `target`; None when there is no folder, or its delivery is incomplete.

    Raises `ForeignTarget` for somebody else's folder, or a file.
    """
    folder = _folder(target)
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise ForeignTarget(f"{folder} is a file: move it away, or name another folder")
    state = _state(folder)
    if state is None:
        _check_is_ours(folder)
        return None
    recipe, sizes = state
    there = _sizes(folder)
    is_whole = all(there.get(place) == size for place, size in sizes.items())
    return recipe if recipe != _UNFINISHED and is_whole else None


def deliver(target: str, version: Version, reader: Publications) -> None:
    """Write the pages that a version of `report_pages` names to the folder at `target`.

    Raises `ForeignTarget` where somebody else's file lies in the place of a page.
    """
    folder = _folder(target)
    edition = _Edition(version, reader)
    _write_state(folder, _UNFINISHED, {})
    for place, page in edition.pages.items():
        _put(folder / place, edition, page)
    _put_index(folder / INDEX, version.recipe, edition.rows)
    places = {INDEX, *edition.pages}
    _remove_all_but(places, folder)
    there = _sizes(folder)
    _write_state(folder, version.recipe, {place: there[place] for place in sorted(places)})


def put_state(target: str, state: PipelineState) -> None:
    """Write how the pipeline stands on the index of the folder at `target`; nothing where none is delivered.

    Raises `TargetUnreachable`.
    """
    with reaching(target):
        folder = _folder(target)
        page, delivered_before = _read(folder / INDEX), _state(folder)
        if page is None or delivered_before is None or delivered_before[0] == _UNFINISHED:
            return
        recipe, sizes = delivered_before
        stated = page_with_state(page, state)
        _write(folder / INDEX, stated)
        _write_state(folder, recipe, sizes | {INDEX: len(stated.encode())})


@dataclass
class _Edition:
    """A version of `report_pages` with its pages and root causes; look-ups are cached."""

    version: Version
    reader: Publications
    _others: dict[str, "_Edition | None"] = field(default_factory=dict)
    _months: dict[str, dict[str, _Page]] = field(default_factory=dict)
    _root_causes: dict[tuple[int, int], list[str]] = field(default_factory=dict)

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The rows of `reports` that the version names."""
        frame: pl.DataFrame = self.reader.load(_REPORTS, self.version.inputs).collect()
        return frame

    @cached_property
    def pages(self) -> dict[str, _Page]:
        """All pages, by their place."""
        return self._pages_of(self.rows)

    def before(self, page: str | None) -> "_Edition | None":
        """Return the edition that a delivered page was made from; if unknown, the one that readers saw before this."""
        recipe = (recipe_of(page) if page else None) or ""
        if recipe not in self._others:
            found = self.reader.version_of_recipe(recipe) or self.reader.seen_before(self.version)
            self._others[recipe] = _Edition(found, self.reader) if found else None
        return self._others[recipe]

    def page(self, month: str, place: str) -> _Page | None:
        """Return one page, reading only its month."""
        if month not in self._months:
            read = [item for item in self.version.inputs if item.partition == month]
            self._months = {month: self._pages_of(self.reader.load(_REPORTS, read).collect())}
        return self._months[month].get(place)

    def root_causes(self, month: str, before: "_Edition") -> list[str]:
        """Return the root causes of changes to a month's pages since an earlier edition."""
        old, new = (_version_read(edition.version, month) for edition in (before, self))
        if (old, new) not in self._root_causes:
            self._root_causes[old, new] = self.reader.root_causes(_REPORTS, old, new)
        return self._root_causes[old, new]

    def _pages_of(self, rows: pl.DataFrame) -> dict[str, _Page]:
        columns = ["month", "about", "page", "figures"]
        joined = rows.select(columns).join(self.reader.rows(self.version).collect(), on=columns[:2])
        return {
            place: _Page(month, place, page, [(figure["name"], figure["value"]) for figure in figures])
            for month, _, page, figures, place in joined.iter_rows()
        }


def _version_read(version: Version, month: str) -> int:
    """Return the version of `reports` that the pages of a month are from."""
    return next(item.record for item in version.inputs if item.partition == month)


def _put(place: UPath, edition: _Edition, page: _Page) -> None:
    """Replace a page by that of an edition, if it differs."""
    found = _ours(place)
    if found is None or bare_page(found) != page.page:
        _write(place, delivered_page(page.page, edition.version.recipe, _changes(edition, edition.before(found), page)))


def _changes(edition: _Edition, before: _Edition | None, page: _Page) -> Changes | None:
    """Find the changes of a page since an earlier edition; None where that has no such page, or the same."""
    try:
        old = before.page(page.month, page.place) if before else None
    except Pruned:  # of what that was made from nothing is left to compare with
        return None
    since = edition.reader.published_at(before.version) if before else None
    if before is None or old is None or since is None or old.page == page.page:
        return None
    return Changes(page.month, since, old.figures, page.figures, edition.root_causes(page.month, before))


def _put_index(place: UPath, recipe: str, rows: pl.DataFrame) -> None:
    found, bare = _ours(place), index_page(indexed_months(rows))
    if found is None or bare_page(found) != bare:
        _write(place, delivered_page(bare, recipe))


def _write(place: UPath, page: str) -> None:
    with replaced(place) as building:
        building.write_bytes(page.encode())


def _ours(place: UPath) -> str | None:
    """Read the page at a place; None where there is nothing, or an empty file.

    Raises `ForeignTarget` for anything that is not a page of ours.
    """
    if not place.exists() or (place.is_file() and place.stat().st_size == 0):
        return None
    page = _read(place)
    if page is None:
        raise ForeignTarget(f"{place} is no page of a report: move it away, or name another folder")
    return page


def _read(place: UPath) -> str | None:
    """Read a page of ours; None for anything else."""
    if not place.is_file():
        return None
    page = place.read_bytes().decode(errors="replace")
    return None if recipe_of(page) is None else page


def _folder(target: str) -> UPath:
    """The folder of a target, as it is now: others may have changed what a remote file system remembers."""
    folder = UPath(target).absolute()
    folder.fs.invalidate_cache()
    return folder


def _sizes(folder: UPath) -> dict[str, int]:
    """The size of each file in a folder and below it, by its place: one request where the folder is remote."""
    folder.fs.invalidate_cache()
    start = f"{folder.path.rstrip('/')}/"
    found = folder.fs.find(folder.path, detail=True)
    return {name.removeprefix(start): int(info["size"]) for name, info in found.items()}


def _remove_all_but(places: set[str], folder: UPath) -> None:
    """Remove pages that are no longer delivered, and folders left empty."""
    for place in _pages_in(folder):
        file = folder / place
        if place not in places and _read(file) is not None:
            file.unlink(missing_ok=True)
            if file.parent != folder:
                with suppress(OSError):  # it holds something else
                    file.parent.rmdir()


def _pages_in(folder: UPath) -> list[str]:
    """List the places of files named as pages are; a copy that somebody made of one is not."""
    return [place for place in _sizes(folder) if _PLACE.fullmatch(place)]


def _check_is_ours(folder: UPath) -> None:
    """Raise `ForeignTarget` if a folder without a state file holds files, and no page of ours among them."""
    visible = [item for item in folder.iterdir() if not item.name.startswith(".")]
    if visible and not any(_read(folder / place) is not None for place in _pages_in(folder)):
        raise ForeignTarget(f"{folder} holds {visible[0].name} and no report: name another folder")


def _state(folder: UPath) -> tuple[str, dict[str, int]] | None:
    """Read the recipe of a folder, and the sizes of its pages; None without a valid state file."""
    try:
        kept = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        return str(kept["recipe"]), {str(place): int(size) for place, size in kept["sizes"].items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write_state(folder: UPath, recipe: str, sizes: Mapping[str, int]) -> None:
    with replaced(folder / _STATE) as building:
        building.write_text(json.dumps({"recipe": recipe, "sizes": sizes}), encoding="utf-8")


def _delivered(target: str) -> str | None:
    with reaching(target):
        return delivered(target)


def _deliver(target: str, version: Version, reader: Publications) -> None:
    with reaching(target):
        deliver(target, version, reader)


report_delivery = Delivery(target="reports_folder", delivered=_delivered, deliver=_deliver)
"""The delivery of `report_pages` to the folder that the configuration entry `reports_folder` names."""
