"""The list of erased people: it names nobody, finds them by id and by pseudonym, and refuses entries that would keep nobody out."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from spam_pipeline.ingestion.erased_people import (
    ErasedPeople,
    Erasure,
    WrongErasureList,
    keys_of,
    made_with,
    marks_of,
    read_people,
    with_people,
)
from spam_pipeline.ingestion.pseudonyms import key_as_text
from spam_pipeline_tests.ingestion.landing import KEY

ASKED = datetime(2026, 2, 1, tzinfo=UTC)
ASKED_MS = int(ASKED.timestamp() * 1000)


def erasure(kind: str, identity: str, asked_at: datetime = ASKED, key: str = KEY) -> Erasure:
    mark = marks_of(keys_of(pl.Series([identity]), kind, key), kind, key).item()
    return Erasure(kind, mark, made_with(key), "Ada", "she asked for it", asked_at)


def people(*erasures: Erasure) -> ErasedPeople:
    return ErasedPeople.of(erasures, KEY)


def test_the_list_is_read_as_it_was_written_and_kept_when_it_grows() -> None:
    first, second = erasure("user", "user-1"), erasure("ip", "192.0.2.44", ASKED + timedelta(days=1))
    content = with_people(b"", [first])
    grown = with_people(content, [second._replace(reason='a "court", so they say')])
    assert grown.startswith(content)
    assert read_people(grown) == [first, second._replace(reason='a "court", so they say')]
    assert read_people(b"") == []


def test_an_entry_holds_neither_the_id_nor_its_pseudonym() -> None:
    key = keys_of(pl.Series(["user-1"]), "user", KEY).item()
    content = with_people(b"", [erasure("user", "user-1")]).decode()
    assert not any(word in content for word in ("user-1", f"{key:016x}", str(key)))


@pytest.mark.parametrize(
    "line",
    [
        "user,00ff,x,Ada,why",
        "user,00fg,x,Ada,why,2026-02-01T00:00:00+00:00",
        "user,00ff,x,Ada,why,2026-02-01T00:00:00",
        "payee,00ff,x,Ada,why,2026-02-01T00:00:00+00:00",
        'user,"00ff,x,Ada',
    ],
)
def test_a_list_that_cannot_be_read_is_an_error_and_is_not_quoted(line: str) -> None:
    with pytest.raises(WrongErasureList, match="line 2") as wrong:
        read_people(f"{','.join(Erasure._fields)}\n{line}\n".encode())
    assert "Ada" not in str(wrong.value)


def test_entries_of_another_identifier_key_are_refused_because_they_keep_nobody_out() -> None:
    with pytest.raises(WrongErasureList, match="1 entries of another identifier key"):
        people(erasure("user", "user-1"), erasure("user", "user-2", key="the key of last year"))


def test_people_are_found_by_id_and_by_pseudonym_of_their_kind_alone() -> None:
    erased = people(erasure("user", "user-1"))
    never = pl.Series([None, None, None], dtype=pl.Int64)
    ids = pl.Series(["user-1", "user-2", None])
    assert erased.of_ids(ids, "user", never).to_list() == [True, False, False]
    assert erased.of_ids(ids, "device", never).to_list() == [False, False, False]
    assert erased.of_keys(keys_of(ids, "user", KEY), "user", never).to_list() == [True, False, False]


def test_addresses_are_found_in_any_spelling() -> None:
    erased = people(erasure("ip", "2001:db8::1"))
    spelled = pl.Series(["2001:DB8:0:0::1", "2001:db8::2", "nonsense"])
    assert erased.of_ids(spelled, "ip", pl.Series([0, 0, 0])).to_list() == [True, False, False]


def test_what_somebody_does_after_their_last_erasure_is_not_erased() -> None:
    erased = people(erasure("user", "user-1", ASKED - timedelta(days=9)), erasure("user", "user-1"))
    times = pl.Series([ASKED_MS - 1, ASKED_MS, None])
    assert erased.of_ids(pl.Series(["user-1"] * 3), "user", times).to_list() == [True, False, True]


def test_texts_that_are_no_records_are_searched_word_by_word() -> None:
    key = key_as_text(keys_of(pl.Series(["device-7"]), "device", KEY).item())
    erased = people(erasure("device", "device-7"), erasure("ip", "192.0.2.44"))
    texts = ['{"device_id": "device-7', "x;device-7;y", f"farm,{key}", "-device-7", "device-77", "at 192.0.2.44", ""]
    assert erased.in_texts(texts) == [True, True, True, True, False, True, False]
    assert erased.in_texts([]) == []
