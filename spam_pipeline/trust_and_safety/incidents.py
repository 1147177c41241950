"""Joining what experts declared onto plays: an incident names entities and a window, and plays belong to it or don't.

What a declaration does to a verdict is said in `classification`, what it teaches a model in `labelled_examples`.
"""

import polars as pl

SUSPECTED, CONFIRMED, CLEARED = "suspected", "confirmed", "cleared"
"""The statuses of an incident."""

ENTITY_COLUMNS = {
    "user": "user_key",
    "device": "device_key",
    "ip": "ip_key",
    "track": "track_key",
    "user_agent": "user_agent_key",
}
"""Which column of a play holds the key of an incident's entity type."""

INCIDENT_COLUMNS = ("incident_id", "entity_type", "entity_key", "starts_at", "ends_at", "status", "attack_type")
"""What is read of an incident."""


def precedence(status: str) -> pl.Expr:
    """The rank of a status column: what is more decided sorts first."""
    return pl.col(status).replace_strict([CONFIRMED, CLEARED, SUSPECTED], [0, 1, 2], return_dtype=pl.Int8)


def declared(plays: pl.DataFrame, incidents: pl.LazyFrame) -> pl.DataFrame:
    """For each play, in the same order, the incident it belongs to, null where there is none.

    Its `incident_id`, `incident_status` and `incident_attack_type`.

    A play belongs to an incident when any of the incident's entities is the play's and the play started within that
    entity's window: at or after `starts_at`, before `ends_at`. Of several incidents the most decided one counts:
    confirmed before cleared before suspected, then the smallest `incident_id`, then the first attack type by name.
    """
    known = incidents.select(*INCIDENT_COLUMNS).collect()
    numbered = plays.lazy().select(*ENTITY_COLUMNS.values(), "occurred_at").with_row_index("row")
    strongest = (
        pl.concat([_matches(numbered, known, entity_type) for entity_type in ENTITY_COLUMNS])
        .sort("row", precedence("status"), "incident_id", "attack_type")
        .unique("row", keep="first", maintain_order=True)
        .select("row", "incident_id", incident_status="status", incident_attack_type="attack_type")
    )
    rows = numbered.select("row").join(strongest, on="row", how="left", maintain_order="left")
    return rows.select("incident_id", "incident_status", "incident_attack_type").collect()


def _matches(plays: pl.LazyFrame, incidents: pl.DataFrame, entity_type: str) -> pl.LazyFrame:
    column = ENTITY_COLUMNS[entity_type]
    of_type = incidents.lazy().filter(pl.col("entity_type") == entity_type)
    return (
        plays.select("row", "occurred_at", column)
        .join(of_type, left_on=column, right_on="entity_key", how="inner")
        .filter(pl.col("occurred_at") >= pl.col("starts_at"), pl.col("occurred_at") < pl.col("ends_at"))
        .select("row", "incident_id", "status", "attack_type")
    )
