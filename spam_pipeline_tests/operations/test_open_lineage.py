"""OpenLineage events of a small pipeline: what the standard requires, the versions that were read, and the same run each time."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openlineage.client.serde import Serde

from spam_pipeline.operations.open_lineage import events_after
from spam_pipeline.protocol.operating import Engine, converge
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine

FACETS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["_producer", "_schemaURL"],
        "properties": {
            "_producer": {"type": "string", "format": "uri"},
            "_schemaURL": {"type": "string", "format": "uri"},
        },
    },
}
DATASETS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["namespace", "name"],
        "additionalProperties": False,
        "properties": {
            "namespace": {"type": "string", "minLength": 1},
            "name": {"type": "string", "minLength": 1},
            **dict.fromkeys(("facets", "inputFacets", "outputFacets"), FACETS),
        },
    },
}
RUN_EVENT = {
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL", "run", "job"],
    "additionalProperties": False,
    "properties": {
        "eventTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"},
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "producer": {"type": "string", "format": "uri"},
        "schemaURL": {"type": "string", "pattern": r"OpenLineage\.json#/\$defs/RunEvent$"},
        "run": {
            "type": "object",
            "required": ["runId"],
            "additionalProperties": False,
            "properties": {"runId": {"type": "string", "pattern": "^[0-9a-f-]{36}$"}, "facets": FACETS},
        },
        "job": {
            "type": "object",
            "required": ["namespace", "name"],
            "additionalProperties": False,
            "properties": {"namespace": {"type": "string"}, "name": {"type": "string"}, "facets": FACETS},
        },
        "inputs": DATASETS,
        "outputs": DATASETS,
    },
}
"""What the specification 2-0-2 requires of a run event; the client's classes, which are generated from it, check the rest."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("lineage") / "home"
    for day in ("2026-01-01", "2026-01-02"):
        land(home, day, "a", f"{day} 1", f"{day} 2")
    return home


@pytest.fixture(scope="module")
def engine(home: Path) -> Engine:
    engine = toy_engine(home)
    engine.observe()
    converge(engine)
    return engine


def events(engine: Engine, after: int = 0) -> list[dict[str, Any]]:
    return [json.loads(Serde.to_json(event)) for _, event in events_after(engine, after)]


def last_of(engine: Engine, stage: str) -> dict[str, Any]:
    return [event for event in events(engine) if event["job"]["name"] == f"protocol.{stage}"][-1]


def inputs(event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in event["inputs"]}


def versions_read(event: dict[str, Any], name: str) -> list[dict[str, str]]:
    return list(inputs(event)[name]["inputFacets"]["spam_pipeline_versions"]["versions"])


def test_every_publication_is_a_valid_event(engine: Engine) -> None:
    published = engine.ledger.publications_after(0, engine.environment)
    found = events(engine)
    assert len(found) == len(published) > 0
    for event in found:
        jsonschema.validate(event, RUN_EVENT, format_checker=jsonschema.FormatChecker())


def test_an_event_without_a_job_would_be_found(engine: Engine) -> None:
    event = events(engine)[0]
    del event["job"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(event, RUN_EVENT)


def test_inputs_are_the_versions_that_were_read_with_their_code(engine: Engine) -> None:
    event = last_of(engine, "two_day_total")
    read = {partition: engine.reader.version("numbers", partition) for partition in ("2026-01-01", "2026-01-02")}
    assert [
        (item["partition"], item["version"], item["codeVersion"]) for item in versions_read(event, "protocol.numbers")
    ] == [(partition, version.content, version.code_version) for partition, version in read.items()]


def test_the_version_of_an_input_is_the_one_that_its_own_event_has(engine: Engine) -> None:
    (made,) = last_of(engine, "numbers")["outputs"]
    read = inputs(last_of(engine, "share"))["protocol.numbers"]
    assert read["facets"]["version"]["datasetVersion"] == made["facets"]["version"]["datasetVersion"]


def test_a_landed_file_is_an_input_without_code(engine: Engine) -> None:
    event = last_of(engine, "received_numbers")
    (file,) = versions_read(event, "landing.landed_numbers")
    assert "codeVersion" not in file
    assert file["content"] == inputs(event)["landing.landed_numbers"]["facets"]["version"]["datasetVersion"]


def test_the_output_is_the_version_with_its_columns(engine: Engine) -> None:
    (output,) = last_of(engine, "numbers")["outputs"]
    version = engine.reader.version("numbers", "2026-01-02")
    assert output["facets"]["version"]["datasetVersion"] == version.content
    assert [item["name"] for item in output["facets"]["schema"]["fields"]] == ["day", "number"]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 2


def test_what_is_sent_again_is_the_same_run_and_what_was_sent_can_be_left_out(engine: Engine) -> None:
    first, again = events(engine), events(engine)
    assert [event["run"]["runId"] for event in first] == [event["run"]["runId"] for event in again]
    assert len({event["run"]["runId"] for event in first}) == len(first)
    (last, _) = list(events_after(engine))[-1]
    assert events(engine, last) == []


def test_another_environment_has_a_namespace_of_its_own(engine: Engine, home: Path) -> None:
    branch = toy_engine(home, environment="branch", factor=2)
    converge(branch)
    assert {event["job"]["namespace"] for event in events(branch)} == {"spam-pipeline/branch"}
    assert {event["job"]["namespace"] for event in events(engine)} == {"spam-pipeline"}
