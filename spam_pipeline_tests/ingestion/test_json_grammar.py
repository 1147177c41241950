import json

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from spam_pipeline.ingestion.json_grammar import flat_object, unknown_members
from spam_pipeline.ingestion.records import FIELD_TYPES

GAP = st.sampled_from(["", "", " ", "\t", " \r"])
MISLEADING = st.lists(
    st.sampled_from([":", ",", " ", "a", "{", '"', "\\", '":', "event_id", '"ip":', "\t"]), max_size=4
)
TEXT = MISLEADING.map("".join)
NAME = st.one_of(st.sampled_from([*FIELD_TYPES, "event_i", "ipx", "ip "]), TEXT.map(lambda text: text.replace('"', "")))
VALUE = st.one_of(
    TEXT.map(json.dumps), st.sampled_from(["null", "1", "true", "-1.5e3", '"2026-01-05T00:00:00Z"', '""'])
)
MEMBER = st.builds(
    lambda before, name, gap, value, after: f'{before}"{name}"{gap}:{before}{value}{after}', GAP, NAME, GAP, VALUE, GAP
)
LINE = st.lists(MEMBER, min_size=1, max_size=6).map(lambda members: f"{{{','.join(members)}}}")


@given(lines=st.lists(LINE, max_size=6))
@example(lines=['{"x":":y"}', '{":x":1}', '{"x" :"y"}', '{"x":"\\":"}', '{"ip":null,"x":1}', '{"ip":"1","ip":"2"}'])
@example(lines=['{"x,":1}', '{"x":"y :z"}', '{"":1,"x":""}'])
def test_members_with_unknown_names_are_counted_as_by_a_parser(lines: list[str]) -> None:
    matched = [line for line in lines if pl.Series([line]).str.contains(flat_object()).item()]
    parsed = [json.loads(line, object_pairs_hook=tuple) for line in matched]
    filled = [sum(dict(reversed(members)).get(name) is not None for name in FIELD_TYPES) for members in parsed]
    counted = unknown_members(pl.Series(matched, dtype=pl.String), pl.Series(filled, dtype=pl.Int64))
    assert counted.to_list() == [sum(name not in FIELD_TYPES for name, _ in members) for members in parsed]
