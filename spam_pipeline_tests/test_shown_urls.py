"""How URLs are shown: with all that is no secret, as far as it is clear what that is."""

import pytest

from spam_pipeline.shown_urls import bare_uri, masked_url


@pytest.mark.parametrize(
    ("url", "masked", "bare"),
    [
        ("https://ada@host/team", "https://ada@host/team", "https://host/team"),
        ("https://ada:pass/word@host:3000", "https://ada:********@host:3000", "https://host:3000"),
        ("s3://bucket/store?secret=word", "s3://bucket/store?********", "s3://bucket/store"),
        (
            "simplecache::ftp://ada:pass#word@host/a",
            "simplecache::ftp://ada:********@host/a",
            "simplecache::ftp://host/a",
        ),
        (
            "sqlite:////home/ada@office/ledger.db",
            "sqlite:////home/ada@office/ledger.db",
            "sqlite:////home/ada@office/ledger.db",
        ),
        ("redis://host:6379/0?password=pass@word", "redis://********", "redis://********"),
        ("redis://:pass@word@host", "redis://********", "redis://********"),
        ("postgresql://team/ada:pass@host/x", "postgresql://********", "postgresql://********"),
    ],
)
def test_a_url_is_shown_without_its_secrets_and_masked_whole_where_it_can_be_read_in_several_ways(
    url: str, masked: str, bare: str
) -> None:
    assert (masked_url(url), bare_uri(url)) == (masked, bare)


def test_a_path_is_no_url() -> None:
    assert masked_url("/srv/ada:x@office") == "/srv/ada:x@office"
