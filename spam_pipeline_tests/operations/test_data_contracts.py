"""Contracts in the Open Data Contract Standard: valid by its own schema, complete, and saying what is checked."""

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from spam_pipeline.operations.data_contracts import data_contracts
from spam_pipeline.operations.pipeline import STAGES

DOCUMENTS = {name: yaml.safe_load(document.to_yaml()) for name, document in data_contracts(STAGES)}


def columns(name: str, part: str | None = None) -> dict[str, Any]:
    (found,) = [item for item in DOCUMENTS[name]["schema"] if item["name"] == (f"{name}/{part}" if part else name)]
    return {column["name"]: column for column in found["properties"]}


@pytest.fixture(scope="module")
def validator() -> jsonschema.protocols.Validator:
    schema = json.loads((files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


def test_every_stage_of_frames_has_a_document_that_the_standard_accepts(
    validator: jsonschema.protocols.Validator,
) -> None:
    assert {stage.name for stage in STAGES} - DOCUMENTS.keys() == {"spam_model"}
    assert {name: [error.message for error in validator.iter_errors(one)] for name, one in DOCUMENTS.items()} == {
        name: [] for name in DOCUMENTS
    }


def test_the_schema_of_the_standard_refuses_what_is_no_contract(validator: jsonschema.protocols.Validator) -> None:
    assert not validator.is_valid({**DOCUMENTS["plays"], "kind": "Promise"})


def test_a_document_says_whose_it_is_and_which_schema_it_is_about() -> None:
    document = DOCUMENTS["classified_plays"]
    assert (document["id"], document["domain"], document["version"]) == (
        "spam-pipeline:trust_and_safety.classified_plays",
        "trust_and_safety",
        "2.0.0",
    )
    assert document["team"]["name"] == "trust-and-safety"


def test_a_column_has_its_meaning_unit_key_and_bounds() -> None:
    percent = columns("plays_by_spam_probability")["spam_percent"]
    assert (percent["logicalType"], percent["required"], percent["primaryKeyPosition"]) == ("integer", True, 3)
    assert percent["logicalTypeOptions"] == {"minimum": 0, "maximum": 100}
    assert percent["customProperties"] == [{"property": "unit", "value": "whole percent"}]
    assert percent["description"] == "Spam probability of the plays, rounded down."
    assert "required" not in columns("plays")["user_key"] or not columns("plays")["user_key"]["required"]


def test_what_is_inside_of_a_list_is_there() -> None:
    reasons = columns("classified_plays")["reasons"]
    assert (reasons["logicalType"], reasons["items"]["logicalType"]) == ("array", "object")
    assert [item["name"] for item in reasons["items"]["properties"]] == ["signal", "value", "usual"]


def test_rules_about_values_and_versions_are_there_in_words() -> None:
    assert columns("royalty_statements")["rule"]["quality"] == [
        {"type": "text", "description": "one of agreed, pro_rata, user_centric"}
    ]
    (statements,) = DOCUMENTS["royalty_statements"]["schema"]
    assert statements["quality"] == [{"type": "text", "description": "unbalanced_pools: at most 0"}]


def test_side_parts_are_there() -> None:
    assert "reason" in columns("received_plays", "rejected")
