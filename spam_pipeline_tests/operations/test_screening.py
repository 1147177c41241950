"""Screening: what lands of erased people is rewritten before anything is recorded of it, and every record stays accounted for."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from spam_pipeline.ingestion.erased_people import PEOPLE_PATH, WrongErasureList, with_people
from spam_pipeline.ingestion.erased_records import account_path, read_account
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.screening import NotRewritten, Screening
from spam_pipeline.protocol.operating import Claims, LandingZone, converge
from spam_pipeline_tests.conftest import KEY, open_home
from spam_pipeline_tests.ingestion.landing import EVENT
from spam_pipeline_tests.ingestion.test_erased_people import erasure

DAY = "2026-01-05"
FILE, MANIFEST, ACCOUNT = f"plays/{DAY}/13/a.jsonl", f"plays/{DAY}/13/manifest.json", account_path(DAY)
NOW = datetime.now(UTC)


def events(*users: str) -> bytes:
    rows = ({**EVENT, "user_id": user, "event_id": f"{number} {user}"} for number, user in enumerate(users))
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


SENT = events("user-1", "user-2", "user-1", "user-3")
LEFT = b"".join(line for line in SENT.splitlines(keepends=True) if b"user-1" not in line)
REST = b"".join(line for line in LEFT.splitlines(keepends=True) if b"user-3" not in line)


class Landing(LandingZone):
    """A landing zone in which the process dies at its n-th replacement of a file, and which counts them."""

    def __init__(self, root: Path, dies_at: int = 0) -> None:
        super().__init__(str(root))
        self.root, self.dies_at, self.replaced = root, dies_at, list[str]()

    @override
    def replace(self, path: str, content: Any) -> None:
        if len(self.replaced) + 1 == self.dies_at:
            raise KeyboardInterrupt
        super().replace(path, content)
        self.replaced.append(path)

    def put(self, path: str, content: bytes) -> None:
        super().replace(path, io.BytesIO(content))

    def content(self, path: str) -> bytes:
        return (self.root / path).read_bytes()


def screening(landing: LandingZone, tmp_path: Path) -> Screening:
    return Screening(landing, Claims(f"sqlite:///{tmp_path}/ledger.db"), KEY)


def listed(*users: str, asked_at: datetime = NOW) -> bytes:
    return with_people(b"", [erasure("user", user, asked_at, KEY) for user in users])


def screened(landing: Landing, tmp_path: Path, *paths: str) -> set[str]:
    screen = screening(landing, tmp_path)
    return set(screen.screen(paths or [state.path for state in landing.files()], screen.people()).rewritten)


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    zone = Landing(tmp_path / "landing")
    zone.put(FILE, SENT)
    zone.put(f"plays/{DAY}/14/b.jsonl", events("user-9"))
    zone.put(MANIFEST, json.dumps({"files": 1, "records": 4, "bytes": len(SENT)}).encode())
    zone.put(PEOPLE_PATH, listed("user-1"))
    return zone


def accounted(landing: Landing) -> dict[str, tuple[int, int]]:
    account = read_account(landing.content(ACCOUNT))
    return {path: (states[-1].records, states[-1].bytes) for path, states in account.items()}


def test_a_file_is_rewritten_and_its_manifest_and_the_account_say_so(landing: Landing, tmp_path: Path) -> None:
    assert screened(landing, tmp_path) == {FILE, MANIFEST}
    assert landing.content(FILE) == LEFT
    assert accounted(landing) == {FILE: (2, len(SENT) - len(LEFT))}
    manifest = json.loads(landing.content(MANIFEST))
    assert (manifest["records"], manifest["bytes"]) == (2, len(LEFT))
    landing.replaced.clear()
    assert screened(landing, tmp_path) == set()
    assert landing.replaced == [], "and nothing is written again"


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_whatever_it_was_killed_at_doing_it_again_ends_the_same(landing: Landing, tmp_path: Path, dies_at: int) -> None:
    screened(landing, tmp_path)
    landing.put(PEOPLE_PATH, listed("user-1", "user-3"))  # a second erasure, so that there is something to add to
    twin = Landing(landing.root, dies_at)
    with pytest.raises(KeyboardInterrupt):
        screened(twin, tmp_path)
    assert landing.content(FILE) in {LEFT, REST}, "it is there as a whole"
    screened(landing, tmp_path)
    assert landing.content(FILE) == REST
    assert accounted(landing) == {FILE: (3, len(SENT) - len(landing.content(FILE)))}
    assert json.loads(landing.content(MANIFEST))["records"] == 1


def test_what_is_sent_anew_is_counted_anew(landing: Landing, tmp_path: Path) -> None:
    screened(landing, tmp_path)
    landing.put(FILE, SENT)
    assert screened(landing, tmp_path, FILE) == {FILE}
    assert accounted(landing)[FILE][0] == 2
    landing.put(FILE, events("user-5"))
    landing.put(MANIFEST, b'{"records": 1}')
    assert screened(landing, tmp_path, FILE, MANIFEST) == set()
    assert accounted(landing)[FILE] == (0, 0)


def test_a_file_that_is_replaced_meanwhile_is_left_to_the_next_look(landing: Landing, tmp_path: Path) -> None:
    class Sender(Landing):
        @override
        def replace(self, path: str, content: Any) -> None:
            super().replace(path, content)
            if path == ACCOUNT and len(self.replaced) == 1:
                self.put(FILE, SENT + SENT)

    assert FILE in screened(Sender(landing.root), tmp_path), "so that nobody records it as it is"
    assert landing.content(FILE) == SENT + SENT


def test_a_landing_zone_that_cannot_be_written_to_is_an_error_that_names_nobody(
    landing: Landing, tmp_path: Path
) -> None:
    class ReadOnly(Landing):
        @override
        def replace(self, path: str, content: Any) -> None:
            raise PermissionError(13, "Permission denied")

    with pytest.raises(NotRewritten, match="Permission denied") as problem:
        screened(ReadOnly(landing.root), tmp_path)
    assert "user-1" not in str(problem.value)


def observed(pipeline: Pipeline) -> dict[str, str | None]:
    return {item.path: item.digest for item in pipeline.engine.observe()}


def test_whoever_observes_screens_and_records_no_file_that_holds_erased_people(
    landing: Landing, tmp_path: Path
) -> None:
    pipeline = open_home(tmp_path)
    seen = observed(pipeline)
    assert seen[FILE] == landing.digest(FILE)
    assert landing.content(FILE) == LEFT
    assert {MANIFEST, ACCOUNT} <= seen.keys()
    assert observed(pipeline) == {}

    landing.put("plays/2026-01-06/00/late.jsonl", SENT)  # somebody restores a backup
    seen = observed(pipeline)
    assert seen["plays/2026-01-06/00/late.jsonl"] == landing.digest(FILE)
    done = converge(pipeline.engine, ["received_files", "erased_records"])
    assert (done.failed, done.held) == ((), ())
    days = ["2026-01-05", "2026-01-06"]
    files = pipeline.read("received_files", days).collect()
    erased = pipeline.read("erased_records", days).collect()
    assert files["accepted"].sum() + files["rejected"].sum() + erased["erased"].sum() == 9
    pipeline.engine.ledger.close()


def test_what_somebody_does_after_the_erasure_is_theirs_again(landing: Landing, tmp_path: Path) -> None:
    landing.put(PEOPLE_PATH, listed("user-1", asked_at=datetime(2026, 1, 5, tzinfo=UTC) - timedelta(days=1)))
    assert screened(landing, tmp_path) == set()
    assert landing.content(FILE) == SENT


def test_nothing_is_observed_while_the_list_cannot_be_read(landing: Landing, tmp_path: Path) -> None:
    landing.put(PEOPLE_PATH, listed("user-1").replace(b"user,", b"usr,"))
    pipeline = open_home(tmp_path)
    with pytest.raises(WrongErasureList):
        pipeline.engine.observe()
    assert pipeline.engine.ledger.is_empty()
    pipeline.engine.ledger.close()
