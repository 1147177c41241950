"""Incidents joined onto plays: an incident names entities and a time window.

Its effect on a verdict is in `classification`, its use as a label in `labelled_examples`.
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
"""The column of a play with the key of an incident's entity type."""

INCIDENT_COLUMNS = ("incident_id", "entity_type", "entity_key", "starts_at", "ends_at", "status", "attack_type")
"""The columns of an incident that are read."""


def precedence(status: str) -> pl.Expr:
    """Rank a status column, the most decided status first.

    >>> statuses = pl.DataFrame({"status": ["suspected", "cleared", "confirmed"]})
    >>> statuses.sort(precedence("status"))["status"].to_list()
    ['confirmed', 'cleared', 'suspected']
    """
    return pl.col(status).replace_strict([CONFIRMED, CLEARED, SUSPECTED], [0, 1, 2], return_dtype=pl.Int8)


def declared(plays: pl.DataFrame, incidents: pl.LazyFrame) -> pl.DataFrame:
    """Find the incident of each play: `incident_id`, `incident_status` and `incident_attack_type`, in the order of plays.

    A play belongs to an incident when it has one of the incident's entities and started within that entity's window: at or
    after `starts_at`, before `ends_at`. Of several incidents the first counts by status (confirmed, cleared, suspected), then
    `incident_id`, then attack type. All three are null where there is none.
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
