import base64
import gzip
import hashlib
import pickle
import sys
from datetime import date
from ipaddress import ip_network
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.ingestion import hosting
from spam_pipeline.ingestion.addresses import canonical_addresses, networks_of
from spam_pipeline.ingestion.hosting import ChangedOwners, HostingNetworks, hosting_networks

DATA_FILE = "geoip2fast/geoip2fast-asn-ipv6.dat.gz"


def answers(*addresses: str | None, known: HostingNetworks | None = None) -> list[bool | None]:
    canonical = canonical_addresses(pl.Series("ip", addresses, dtype=pl.String))
    return (known or hosting_networks()).among(networks_of(canonical)).to_list()


def release_of(site: Path, tables: object) -> Path:
    """A release of geoip2fast that ships nothing but `tables`, installed in `site`; gives back its data file."""
    content = gzip.compress(pickle.dumps((120, {}, 0, tables)))
    (site / DATA_FILE).parent.mkdir()
    (site / DATA_FILE).write_bytes(content)
    information = site / "geoip2fast-99.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: geoip2fast\nVersion: 99\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    (information / "RECORD").write_text(f"{DATA_FILE},sha256={digest},{len(content)}\n")
    return site / DATA_FILE


def tables_of(owners: dict[str, str]) -> list[object]:
    """The tables of a data file in which these prefixes have these owners, in two chunks."""
    prefixes = sorted((ip_network(prefix) for prefix in owners), key=lambda prefix: int(prefix.network_address))
    first = [int(prefix.network_address) for prefix in prefixes]
    length = [prefix.prefixlen for prefix in prefixes]
    names = ["<unknown>", *owners.values()]
    owner = [names.index(owners[str(prefix)]) for prefix in prefixes]
    chunks = [[numbers[:1], numbers[1:]] for numbers in (first, owner, length)]
    return [[], [], [], names, [], chunks[0], [], chunks[1], [], chunks[2]]


@pytest.mark.parametrize(
    ("owner", "addresses"),
    [
        ("Amazon", ("3.5.140.2", "54.239.28.85", "2600:1f18::1")),
        ("Google Cloud", ("34.80.1.1", "35.190.0.1")),
        ("Azure", ("20.36.0.1", "40.74.0.1", "2603:1030::1")),
        ("DigitalOcean", ("159.65.1.1", "167.99.3.4")),
        ("Hetzner", ("88.198.1.1", "95.216.2.3", "2a01:4f8::1")),
        ("OVH", ("51.75.1.1", "145.239.7.7", "2001:41d0:1::1")),
        ("Vultr", ("45.32.1.1", "108.61.10.10")),
        ("Linode", ("45.33.32.156", "139.162.1.1")),
        ("Scaleway", ("51.15.1.1", "163.172.1.1")),
        ("Contabo", ("62.171.128.1",)),
        ("Oracle Cloud", ("129.146.1.1",)),
        ("Alibaba", ("47.88.1.1",)),
        ("Tencent", ("43.128.1.1",)),
    ],
)
def test_networks_of_the_big_clouds_are_hosting(owner: str, addresses: tuple[str, ...]) -> None:
    assert answers(*addresses) == [True] * len(addresses), owner


@pytest.mark.parametrize(
    ("owner", "addresses"),
    [
        ("Comcast", ("73.1.2.3", "2603:2000::1")),
        ("Google Fiber", ("136.32.1.1",)),
        ("Deutsche Telekom", ("91.1.1.1", "2003:c0::1")),
        ("Orange", ("90.1.1.1",)),
        ("BT", ("86.128.1.1",)),
        ("SoftBank", ("126.1.1.1",)),
        ("Jio", ("49.32.1.1", "2409:4200::1")),
        ("Telefonica", ("177.24.1.1",)),
        ("Afrihost, an access provider by another name", ("169.0.1.1",)),
        ("Cloudflare, which relays for phones", ("104.28.1.1", "2606:4700::1111")),
    ],
)
def test_networks_of_access_providers_are_not(owner: str, addresses: tuple[str, ...]) -> None:
    assert answers(*addresses) == [False] * len(addresses), owner


def test_what_nobody_owns_or_nobody_sent_is_not_known() -> None:
    private = ("10.1.2.3", "192.168.1.1", "172.16.3.4", "127.0.0.1", "169.254.1.1", "100.64.1.1")
    reserved = ("0.0.0.1", "192.0.2.44", "224.0.0.1", "255.255.255.255")
    ipv6 = ("::1", "fe80::1", "fd00::1", "2001:db8::1", "0:0:58c6::1")
    assert set(answers(*private, *reserved, *ipv6, None)) == {None}


def test_an_address_in_ipv6_spelling_is_the_ipv4_address() -> None:
    assert answers("::ffff:88.198.1.1", "::ffff:73.1.2.3") == [True, False]


def test_nothing_is_asked_of_no_networks() -> None:
    assert answers() == []


def test_a_network_belongs_to_whom_its_first_address_belongs_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = {
        "8.0.0.0/23": "A HOSTING",
        "8.0.2.0/25": "Some Telecom",
        "8.0.2.128/25": "B Hosting",
        "8.0.4.0/24": "IANA.ORG",
        "2a02::/47": "A HOSTING",
        "2a02:0:2::/64": "Some Telecom",
        "2a02:0:3:8000::/49": "B Hosting",
    }
    release_of(tmp_path, tables_of(owners))
    monkeypatch.syspath_prepend(tmp_path)
    known = hosting_networks.__wrapped__()
    ipv4 = ("7.255.255.255", "8.0.0.0", "8.0.1.255", "8.0.2.1", "8.0.2.200", "8.0.3.0", "8.0.4.9", "255.1.1.1")
    assert answers(*ipv4, known=known) == [None, True, True, False, False, None, None, None]
    ipv6 = ("2a01:ffff:ffff::1", "2a02::1", "2a02:0:1:ffff::1", "2a02:0:2:ffff::1", "2a02:0:3:ffff::1", "ffff::1")
    assert answers(*ipv6, known=known) == [None, True, True, False, None, None]


@pytest.mark.parametrize(
    ("name", "is_hosting"),
    [
        ("DIGITALOCEAN-ASN", True),
        ("Web Hosting Oranisation", True),
        ("MOJOHOST", True),
        ("Hetzner Online GmbH", True),
        ("CNSERVERS", True),
        ("UpCloud Ltd", True),
        ("4D Data Centres Limited", True),
        ("OOO VPS", True),
        ("AMAZON-02", True),
        ("AMAZONIA TELECOMUNICACOES LTDA", False),
        ("GOOGLE-FIBER", False),
        ("Cloudflare, Inc.", False),
        ("Afrihost", False),
        ("NetCologne Gesellschaft fur Telekommunikation mbH", False),
        ("Colombia Movil", False),
        ("ASN-ROVHIL", False),
    ],
)
def test_an_owner_is_known_for_what_it_does_by_whole_words_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, is_hosting: bool
) -> None:
    release_of(tmp_path, tables_of({"8.0.0.0/8": "IANA.ORG", "9.0.0.0/8": name}))
    monkeypatch.syspath_prepend(tmp_path)
    assert answers("9.1.1.1", known=hosting_networks.__wrapped__()) == [is_hosting]


def test_owners_that_were_replaced_in_place_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = release_of(tmp_path, tables_of({"8.0.0.0/8": "IANA.ORG", "9.0.0.0/8": "Some Telecom"}))
    file.write_bytes(gzip.compress(b"of another day"))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ChangedOwners, match="install the release"):
        hosting_networks.__wrapped__()


def test_a_data_file_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release_of(tmp_path, [date])
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match=r"datetime\.date: expected plain data"):
        hosting_networks.__wrapped__()


def test_networks_are_kept_for_later_processes_until_what_made_them_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = release_of(tmp_path, tables_of({"8.0.0.0/8": "IANA.ORG", "9.0.0.0/8": "A HOSTING"}))
    monkeypatch.syspath_prepend(tmp_path)
    computed = hosting_networks.__wrapped__()
    (kept,) = (file.parent / "__pycache__").iterdir()
    written = kept.read_bytes()
    monkeypatch.setattr(hosting, "_steps", None)  # nothing is computed
    assert all(map(pl.Series.equals, hosting_networks.__wrapped__(), computed))
    monkeypatch.undo()
    monkeypatch.syspath_prepend(tmp_path)
    for spoiled in (b"", written[:-1], written[:-1] + bytes([written[-1] ^ 1])):
        kept.write_bytes(spoiled)
        assert all(map(pl.Series.equals, hosting_networks.__wrapped__(), computed))
        assert kept.read_bytes() == written


def test_networks_are_known_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = release_of(tmp_path, tables_of({"8.0.0.0/8": "IANA.ORG", "9.0.0.0/8": "A HOSTING"}))
    (file.parent / "__pycache__").write_text("a file in the place of the folder")
    monkeypatch.syspath_prepend(tmp_path)
    assert answers("9.1.1.1", known=hosting_networks.__wrapped__()) == [True]


def test_networks_are_kept_below_the_prefix_of_bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release_of(tmp_path, tables_of({"8.0.0.0/8": "IANA.ORG", "9.0.0.0/8": "A HOSTING"}))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "prefix"))
    hosting_networks.__wrapped__()
    assert len(list((tmp_path / "prefix").rglob("*.networks"))) == 1
