"""The documentation: its code runs, its tables are complete, its links lead somewhere, its words are those of the code."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import polars as pl
import pytest

from spam_pipeline.ingestion.contracts import Rejected
from spam_pipeline.ingestion.event_rules import CLIENTS, SOURCES_OF_PLAYS
from spam_pipeline.ingestion.records import FIELD_TYPES
from spam_pipeline.operations.pipeline import STAGES
from spam_pipeline.protocol import Severity
from spam_pipeline.protocol.ledger.rows import ticks
from spam_pipeline.protocol.operating import StageGraph, converge
from spam_pipeline.settings import DEVELOPMENT_KEY, FILE, PREFIX, Settings, settings_from_environment
from spam_pipeline.simulation import simulate
from spam_pipeline_tests.conftest import DAYS, KEY, START, CommandLine, Ended, open_home
from spam_pipeline_tests.shared_homes import copied
from spam_pipeline_tests.stories.conftest import land_gaps

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
}
"""Every page by its path."""
BELIEVED = datetime(2026, 2, 2, tzinfo=UTC)
"""When the documentation's home was published, so that its examples can look back at it."""

_COMMAND = re.compile(r"(?P<variables>(?:[A-Z_]+=\S+ )*)(?:\.venv/bin/)?spam-pipeline (?P<arguments>.+)")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.DOTALL | re.MULTILINE)


def tables(page: str) -> list[list[list[str]]]:
    """The cells of every table of a page, without the line under its head."""
    found = re.findall(r"(?:^\|.*\|\n)+", PAGES[page], re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if set(line) - set("|-")]
        for text in found
    ]


def commands(page: str) -> list[tuple[dict[str, str], list[str]]]:
    """The commands of this project in a page: the variables that stand before each, and its arguments."""
    lines = [part.strip() for block in blocks(page, "sh") for line in block.splitlines() for part in line.split("&&")]
    matched = [match for line in lines if (match := _COMMAND.fullmatch(line))]
    return [
        (dict(item.split("=", 1) for item in match["variables"].split()), shlex.split(match["arguments"]))
        for match in matched
    ]


@pytest.fixture
def documented_home(own_home: Path) -> Path:
    """The home that the documentation speaks of: its January was published on the second of February."""
    with sqlite3.connect(own_home / "ledger.db") as ledger:
        ledger.execute("update publications set published_at = ?", (ticks(BELIEVED),))
    ledger.close()
    return own_home


@pytest.fixture
def in_documented_home(
    documented_home: Path,
    no_settings: None,  # noqa: ARG001 - a fixture asks for another one by its name
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    for name, value in {"HOME": str(documented_home), "IDENTIFIER_KEY": KEY}.items():
        monkeypatch.setenv(PREFIX + name, value)
    return documented_home


def run_python(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Run the Python of a page as one module, which lies where stages lie: in `assets.py` of a package."""
    file = folder / "documented" / "assets.py"
    file.parent.mkdir()
    file.write_text("\n\n".join(blocks(page, "python")), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("documented.assets", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "documented.assets", module)
    spec.loader.exec_module(module)
    return module


def run_commands(page: str, spam_pipeline: CommandLine, home: Path) -> None:
    """Run the commands of a page one after the other, in one home."""
    for variables, arguments in commands(page):
        if arguments != ["demo"]:
            said = {name.removeprefix(PREFIX): value for name, value in variables.items()}
            ended = spam_pipeline(*arguments, home=home, **said)
            assert ended.status == 0, f"{arguments}: {ended.err}"
            assert ended.out.strip()


def has_rows(value: Any) -> bool:
    return isinstance(value, pl.LazyFrame) and value.collect().height > 0


# What can be run


def test_pages_with_python_are_the_ones_that_are_run() -> None:
    assert {page for page in PAGES if blocks(page, "python")} == {
        "README.md",
        "docs/add-or-edit-a-stage.md",
        "docs/data-scientists.md",
        "docs/operations.md",
        "docs/refusals-and-decisions.md",
        "docs/reports.md",
        "docs/retention.md",
        "docs/royalties.md",
    }


@pytest.mark.usefixtures("in_documented_home")
def test_the_schedule_of_retention_prunes_every_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = run_python("docs/retention.md", tmp_path, monkeypatch)
    assert list(module.with_schedule.schedules) == [module.nightly]
    assert module.nightly.job_name == "prune"
    job = module.with_schedule.resolve_job_def("prune")
    assert module.dg.validate_run_config(job, {"dry_run": False, "grace": "1h"})


@pytest.mark.usefixtures("in_documented_home")
def test_the_python_of_the_readme_reads_what_is_and_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = run_python("README.md", tmp_path, monkeypatch)
    assert has_rows(module.plays)
    assert has_rows(module.then)


def test_the_stage_of_the_documentation_is_a_function_and_a_stage(
    in_documented_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = run_python("docs/add-or-edit-a-stage.md", tmp_path, monkeypatch)
    assert "country" in capsys.readouterr().out, "called as a function, it prints its result"
    pipeline = open_home(in_documented_home)
    pipeline.graph = StageGraph(
        (*STAGES, module.night_plays), pipeline.graph.sources.values(), pipeline.settings.configuration()
    )
    done = converge(pipeline.engine, ["night_plays"])
    by_day = pipeline.read("night_plays", DAYS).collect()
    of_day = module.night_plays(pipeline.read("classified_plays", DAYS[0])).collect()
    assert (done.computed, done.failed, done.held) == (len(DAYS), (), ())
    assert by_day.head(of_day.height).equals(of_day)


@pytest.mark.usefixtures("in_documented_home")
def test_the_condition_of_the_documentation_is_one_of_dagster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = run_python("docs/operations.md", tmp_path, monkeypatch)
    assert isinstance(module.condition, module.dg.AutomationCondition)
    assert module.daily_plays == module.dg.AssetKey(["music", "spam", "daily_plays"])


@pytest.mark.usefixtures("in_documented_home")
def test_the_schemas_of_the_documentation_can_be_read_both_ways_and_days_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = run_python("docs/refusals-and-decisions.md", tmp_path, monkeypatch)
    assert module.together["plays"] == module.pipeline.read("plays", module.days).collect().height
    listens = pl.LazyFrame({"country": ["SE"], "long_plays": [2], "short_plays": [3]})
    before, now = (
        get_args(annotated)[1].of(listens, module.Listens).collect()
        for annotated in (module.NotMigrated, module.Migrated)
    )
    assert before.rows(named=True) == [{"country": "SE", "plays": 5}]
    assert now.rows(named=True) == [{"country": "SE", "long_plays": 2}]
    assert get_args(module.ConfidentPlays)[1].expectations[0].at_most == 0.1


def test_the_python_about_reports_reads_the_past_and_what_a_widget_shows(
    in_documented_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = open_home(in_documented_home)
    pipeline.settings.warehouse.unlink()
    assert converge(pipeline.engine, ["warehouse"]).failed == ()
    module = run_python("docs/reports.md", tmp_path, monkeypatch)
    assert module.then[0][0] > 0
    job = module.definitions.resolve_implicit_global_asset_job_def()
    ran = job.execute_in_process(asset_selection=[module.busiest_country.key])
    (materialized,) = ran.asset_materializations_for_node("busiest_country")
    assert len(materialized.metadata["country"].value) == 2
    assert materialized.metadata["plays"].value > 0
    assert module.shown[module.track] >= 0


@pytest.mark.usefixtures("in_documented_home")
def test_the_notebook_of_the_documentation_trains_the_published_model_and_finds_nothing_to_compute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = run_python("docs/data-scientists.md", tmp_path, monkeypatch)
    assert module.challenger.quality == module.pipeline.read("spam_model").quality
    assert {finding.severity for finding in module.findings} <= {Severity.NOTE}
    assert set(module.by_attack["withheld"].is_between(0, 1)) == {True}
    published = module.pipeline.read("play_signals", module.day)
    assert module.signals.collect().equals(published.collect())
    assert (module.done.computed, module.done.held) == (0, ())


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page) and page != "docs/royalties.md"])
def test_the_commands_of_a_page_succeed(spam_pipeline: CommandLine, documented_home: Path, page: str) -> None:
    run_commands(page, spam_pipeline, documented_home)


def test_the_commands_and_the_python_about_royalties_succeed_once_the_month_is_over(
    spam_pipeline: CommandLine,
    in_documented_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    landed = in_documented_home / "landing" / "plays" / "2026-02-02" / "12" / "first.jsonl"
    landed.parent.mkdir(parents=True)
    play = {
        "event_id": "first",
        "occurred_at": "2026-02-02T12:00:00Z",
        "track_id": "t",
        "device_id": "d",
        "ms_played": 1,
    }
    landed.write_text(json.dumps(play), encoding="utf-8")
    land_gaps(in_documented_home, "2026-01-01", "2026-02-02")
    pipeline = open_home(in_documented_home)
    pipeline.engine.observe()
    assert converge(pipeline.engine).failed == ()
    run_commands("docs/royalties.md", spam_pipeline, in_documented_home)
    module = run_python("docs/royalties.md", tmp_path, monkeypatch)
    assert module.explained.explanation.is_issued
    assert pipeline.read("royalty_adjustments", "2026-01").collect().is_empty()


@pytest.mark.usefixtures("no_settings")
def test_the_file_of_settings_of_the_documentation_is_one(tmp_path: Path) -> None:
    [file] = blocks("docs/command-line.md", "toml")
    (tmp_path / FILE).write_text(file, encoding="utf-8")
    settings = settings_from_environment()
    assert (settings.executor, settings.store) == (("processes", 4), "/data/store")


def test_commands_are_found_behind_variables_and_folders() -> None:
    found = commands("docs/add-or-edit-a-stage.md") + commands("README.md")
    assert ({"SPAM_PIPELINE_ENVIRONMENT": "night"}, ["converge"]) in found
    assert ({}, ["demo"]) in found
    assert {arguments[0] for _, arguments in found} >= {"converge", "status", "versions", "query", "demo"}


# What can be edited


@pytest.fixture(scope="module")
def learned_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with enough labelled attacks that models can be told apart."""
    home = tmp_path_factory.mktemp("learned") / "home"
    simulate(home, days=7, plays_per_day=1200, seed=7412, start=START)
    pipeline = open_home(home)
    pipeline.engine.observe()
    assert converge(pipeline.engine, ["classified_plays"]).converged
    pipeline.engine.ledger.close()
    return home


RUN_COMMANDS = """
import json, sys
from spam_pipeline.command_line.cli import main
worst = 0
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["spam-pipeline", *arguments]
    try:
        main()
    except SystemExit as ended:
        worst = max(worst, ended.code or 0)
sys.exit(worst)
"""


@dataclass(frozen=True)
class Edited:
    """A copy of the package with an edit of the documentation, and the home that it works on."""

    project: Path
    home: Path

    def run(self, *commands: Sequence[str], environment: str = "ada") -> Ended:
        """Run commands one after the other in one process; the status is that of the worst."""
        variables = {"HOME": str(self.home), "IDENTIFIER_KEY": KEY, "ENVIRONMENT": environment}
        done = subprocess.run(
            [sys.executable, "-c", RUN_COMMANDS, json.dumps(commands)],
            env={
                **os.environ,
                "PYTHONPATH": str(self.project),
                **{PREFIX + name: said for name, said in variables.items()},
            },
            cwd=self.project,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def edited(learned_home: Path, tmp_path: Path) -> Callable[[int], Edited]:
    """The package after one of the edits of the page for data scientists, by its place on the page, and a home of one's own."""
    home = copied(learned_home, tmp_path / "home")

    def edit(place: int) -> Edited:
        project = tmp_path / f"edit {place}"
        shutil.copytree(ROOT / "spam_pipeline", project / "spam_pipeline", ignore=shutil.ignore_patterns("__pycache__"))
        apply(blocks("docs/data-scientists.md", "diff")[place], project)
        return Edited(project, home)

    return edit


def apply(diff: str, project: Path) -> None:
    """Make an edit: its first line names the file, and each run of removed lines occurs once in it."""
    head, *lines = diff.splitlines(keepends=True)
    file = project / head.removeprefix("--- ").strip()
    source = file.read_text(encoding="utf-8")
    for is_removed, group in groupby(lines, key=lambda line: line.startswith("-")):
        text = "".join(line[1:] for line in group)
        if is_removed:
            assert source.count(text) == 1, f"{file.name} has no such lines, or has them twice: {text}"
            removed = text
        else:
            source = source.replace(removed, text)
    file.write_text(source, encoding="utf-8")


def test_the_worse_signal_of_the_documentation_is_refused_and_the_better_model_promoted(
    edited: Callable[[int], Edited],
) -> None:
    worse, better = edited(0), edited(1)
    in_environment = [arguments for variables, arguments in commands("docs/data-scientists.md") if variables]
    plan, attempt, compare, again, compare_with_production, *_ = in_environment
    production = open_home(worse.home)
    champion = production.fingerprint("spam_model")

    refused = worse.run(plan, [*attempt, "classified_plays"], compare)
    assert "known_plays.CUT_OFF_TO_MS" in refused.out
    assert (refused.status, "held: spam_model all: its version was refused" in refused.out) == (3, True), refused.err
    assert "refuse: campaign" in refused.out

    accepted = better.run([*again, "classified_plays"], compare_with_production)
    assert accepted.status == 0, accepted.err
    assert "why: code: spam_pipeline.trust_and_safety.model.REGULARISATION" in accepted.out
    assert "held_out_campaigns_brier" in accepted.out
    assert production.fingerprint("spam_model") == champion, "nobody else sees it"

    assert better.run(["promote", "--by", "Ada", "--yes"]).status == 0
    assert production.fingerprint("spam_model") != champion
    assert "computed 0, " in better.run(["converge", "classified_plays"], environment="production").out


def test_the_other_model_of_the_documentation_learns_judges_and_is_read_back(edited: Callable[[int], Edited]) -> None:
    ended = edited(2).run(["converge", "classified_plays"])
    assert ended.status == 0, ended.err
    assert "spam_model: 1 partitions" in ended.err
    assert "classified_plays: 7 partitions" in ended.err


def test_the_boosted_trees_of_the_documentation_are_measured_and_refused_for_what_they_miss(
    edited: Callable[[int], Edited],
) -> None:
    ended = edited(3).run(["converge", "spam_model"], ["diff", "spam_model", "all", "production", "newest"])
    assert (ended.status, "held: spam_model all: its version was refused" in ended.out) == (3, True), ended.err
    assert "held_out_campaigns_brier" in ended.out
    assert "refuse: campaign" in ended.out


# What can be compared with the code


def test_the_readme_lists_every_setting_with_its_default() -> None:
    head, *listed = tables("README.md")[0]
    said = {name.strip("`").removeprefix(PREFIX).lower(): default for name, default, _ in listed}
    fields = Settings.model_fields
    assert head == ["Setting", "Default", "Meaning"]
    assert set(said) == set(fields)
    for name in ("home", "start_date", "environment"):
        assert said[name] == f"`{fields[name].get_default(call_default_factory=True)}`"
    for name in ("landing_url", "store_url", "ledger_url", "rejected_url", "widget_url"):
        assert fields[name].default == ""
        assert said[name].endswith(" under home")
    assert fields["identifier_key"].default.get_secret_value() == DEVELOPMENT_KEY
    assert said["identifier_key"] == "a public development key, with a warning"


def fields_of_the_event() -> list[list[str]]:
    [listed] = [table[1:] for table in tables("docs/landing-zone.md") if table[0] == ["field", "type", "rule"]]
    return listed


def test_the_landing_zone_lists_every_field_of_the_event_in_order() -> None:
    assert [field for field, *_ in fields_of_the_event()] == list(FIELD_TYPES)


@pytest.mark.parametrize(("field", "values"), [("client", CLIENTS), ("source", SOURCES_OF_PLAYS)])
def test_the_landing_zone_lists_the_values_that_a_field_knows(field: str, values: tuple[str, ...]) -> None:
    listed = next(kind for name, kind, _ in fields_of_the_event() if name == field)
    assert sorted(listed.split(", ")) == sorted({*values, "other"})


def test_the_landing_zone_lists_the_columns_of_every_table(converged_home: Path) -> None:
    listed = re.findall(r"^landing/(\S+\.csv) +(.+)$", PAGES["docs/landing-zone.md"], re.MULTILINE)
    written = sorted((converged_home / "landing").rglob("*.csv"))
    assert sorted(name for name, _ in listed) == sorted(
        path.relative_to(converged_home / "landing").as_posix() for path in written
    )
    for name, columns in listed:
        head = (converged_home / "landing" / name).read_text(encoding="utf-8").splitlines()[0]
        assert columns.split(", ") == head.split(","), name


def test_the_landing_zone_names_what_the_table_of_rejected_records_says() -> None:
    assert "(file, line, field, reason)" in PAGES["docs/landing-zone.md"].replace("\n", " ")
    assert list(Rejected.columns()) == ["file", "line", "field", "reason"]


def test_the_picture_of_the_readme_has_every_stage_but_those_beside_the_way() -> None:
    picture = blocks("README.md", "")[0]
    drawn = {stage.name for stage in STAGES if re.search(rf"\b{stage.name}\b", picture)}
    assert {stage.name for stage in STAGES} - drawn == {"rejected_reference"}


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_link_leads_to_a_file(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", PAGES[page]) if "://" not in link]
    named = re.findall(r"`((?:docs|spam_pipeline|spam_pipeline_tests)/[\w./-]*)`", PAGES[page])
    wrong = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    wrong += [name for name in named if not (ROOT / name).exists()]
    assert wrong == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, coming = set[str](), ["README.md"]
    while coming:
        page = coming.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)", PAGES[page])
        leads_to = {os.path.normpath(Path(page).parent / link) for link in links if "://" not in link}
        coming += (leads_to & set(PAGES)) - reached
    assert reached == set(PAGES)


def test_every_word_of_the_protocol_is_a_word_of_its_code() -> None:
    words = [word.strip("*") for word, _ in tables("docs/protocol.md")[0][1:]]
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "spam_pipeline" / "protocol").rglob("*.py"))
    assert len(words) == len(set(words)) == 24
    assert [word for word in words if not re.search(rf"\b{word}", code, re.IGNORECASE)] == []


def test_the_protocol_names_every_context() -> None:
    contexts = next(meaning for word, meaning in tables("docs/protocol.md")[0] if word == "**context**")
    assert set(re.findall(r"`(\w+)`", contexts)) == {stage.context for stage in STAGES}
