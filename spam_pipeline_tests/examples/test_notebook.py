"""The notebook: its cells run one after the other on a small home, and show something each."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from spam_pipeline.protocol.operating import converge
from spam_pipeline.settings import PREFIX
from spam_pipeline_tests.conftest import DAYS, KEY, open_home
from spam_pipeline_tests.stories.conftest import land_play

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.py"


def code_cells() -> list[str]:
    cells = re.split(r"^# %%", NOTEBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [cell for cell in cells if not cell.startswith(" [markdown]")]


def run(cell: str, names: dict[str, Any]) -> Any:
    """Run a cell as a notebook does, and return what it shows: the value of the expression that it ends with, if any."""
    *body, last = ast.parse(cell).body
    if not isinstance(last, ast.Expr):
        body, shown = [*body, last], None
    else:
        shown = compile(ast.Expression(last.value), str(NOTEBOOK), "eval")
    exec(compile(ast.Module(body, []), str(NOTEBOOK), "exec"), names)  # noqa: S102 - our own notebook
    return eval(shown, names) if shown else None  # noqa: S307 - the same


@pytest.fixture
def corrected_home(own_home: Path) -> Path:
    """A home of which the first day's plays have a second version, because one play came late."""
    land_play(own_home, DAYS[-1], "late", DAYS[0])
    pipeline = open_home(own_home)
    pipeline.engine.observe()
    assert converge(pipeline.engine, ["plays"]).converged
    pipeline.engine.ledger.close()
    return own_home


def test_its_cells_show_what_is_published(
    corrected_home: Path,
    no_settings: None,  # noqa: ARG001 - a fixture asks for another one by its name
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {"HOME": str(corrected_home), "IDENTIFIER_KEY": KEY}.items():
        monkeypatch.setenv(PREFIX + name, value)
    names: dict[str, Any] = {}
    _, countries, counted, history, _, ranking = [run(cell, names) for cell in code_cells()]
    plays = names["by_country"]["plays"].sum()
    assert names["days"] == list(DAYS)
    assert countries.height > 0
    assert counted["plays"] == plays
    assert sum(count for _, count in ranking.fetchall()) == counted["plays_without_spam"] <= plays
    assert history["rows"].to_list() == [history["rows"][0], history["rows"][0] + 1]
    assert history["verdict"].to_list() == ["passed", "passed"]
    assert "1 added" in capsys.readouterr().out
