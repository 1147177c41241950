"""Names of the places that stages are delivered to; which of them are whose is shown in `execution/test_delivering`."""

import socket

import pytest

from spam_pipeline.protocol.planning.targets import place_of_target


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("s3://bucket/warehouse.duckdb", "s3://bucket/warehouse.duckdb"),
        ("redis://somebody:secret@counts.example:6379/3", "redis://counts.example:6379/3"),
        ("redis://:secret@counts.example", "redis://counts.example"),
    ],
)
def test_a_url_is_named_without_user_and_password(target: str, place: str) -> None:
    assert place_of_target(target) == place


def test_a_path_is_one_of_its_machine() -> None:
    assert place_of_target("/home/warehouse.duckdb") == f"{socket.gethostname()}:/home/warehouse.duckdb"
