"""Networks of hosting companies: machines are rented there, and few people listen from there.

The owner of every network comes from the data file that the distribution geoip2fast ships (GeoLite2 data created by MaxMind,
available from https://www.maxmind.com); a fixed list of names and words classifies owners as hosting companies. What that
means for a play is not decided here: users of some VPNs appear at a hosting company too.
"""

import base64
import gzip
import hashlib
import io
import pickle
from contextlib import suppress
from functools import cache
from importlib.metadata import distribution
from importlib.util import cache_from_source
from itertools import chain
from pathlib import Path
from typing import NamedTuple, NoReturn

import polars as pl

from spam_pipeline.protocol import PipelineError

_DISTRIBUTION = "geoip2fast"
_DATA_FILE = "geoip2fast-asn-ipv6.dat.gz"
_NOBODY = ("<unknown>", "IANA.ORG")  # the second owns the private and reserved networks

# Each matches the start of a word of the owner's name. Generic names ("... Hosting") are matched by `_TRADES`.
_COMPANIES = (
    "24shells",
    "aeza",
    "alibaba",
    "amazon-",
    "amazon data services",
    "as-26496-go-daddy",
    "as-choopa",  # Vultr
    "as-colocrossing",
    r"aruba s\.p\.a",
    "beget",
    "contabo",
    "datacamp limited",
    "dedipath",
    "digitalocean",
    "enzuinc",
    "eonix",
    "g-core",
    "glesys",
    r"google\b",
    "hetzner",
    "hivelocity",
    "ionos",
    "iomart",
    "ipxo",
    "kamatera",
    "keyweb",
    "leaseweb",
    "linode",
    "liquid ?web",
    "m247",
    "melbikomas",
    "microsoft",  # Azure has no name of its own
    "netcup",
    "nforce",
    "nocix",
    r"online s\.a\.s",
    "oracle-bmc",
    "ovh",
    "packethub",
    "performive",
    "ponynet",
    "psychz",
    "quadranet",
    "rackspace",
    "reliablesite",
    "sakura internet",
    "scaleway",
    "selectel",
    "sharktech",
    "singlehop",
    "softlayer",
    "stark industries",
    "steadfast",
    "strato",
    "tencent",
    "timeweb",
    "tzulo",
    "unifiedlayer",
    "vultr",
    "worldstream",
    "zenlayer",
)
_TRADES = (
    "hosting",
    r"\bhost",
    r"host\b",
    r"\bserver",
    r"servers?\b",
    "cloud",
    "data[ -]?cent(?:er|re)",
    r"\bvps",
    r"vps\b",
    r"colo\b",
    r"\bcolocation",
    r"\bidc\b",  # Internet data centre, in the names of Asian networks
)
# Named like a hosting company, but carrying listeners: access providers, and the private relays of phones. Because of
# those relays, the delivery networks of Akamai and Fastly are not listed as hosting companies either.
_PEOPLE = ("afrihost", "cloudflare", "cloudwifi", "fiberhost", "google-fiber", "the cloud networks")

_NAMES_HOSTING = rf"(?i)\b(?:{'|'.join(_COMPANIES)})|{'|'.join(_TRADES)}"
_NAMES_PEOPLE = rf"(?i){'|'.join(_PEOPLE)}"

_SEAL_BYTES = hashlib.sha256().digest_size

_NOBODYS = 0  # the number of 0.0.0.0/24
_IPV4_ADDRESSES, _IPV4_NETWORKS = 2**32, 2**24


class ChangedOwners(PipelineError):
    """The data file is not the one of the installed release, so a recipe would record the wrong data."""


class HostingNetworks(NamedTuple):
    """Hosting status of networks as a step function: `answers` holds from a number in `starts` up to the next.

    The number of an IPv4 network is its upper 24 bits, that of an IPv6 network its upper 48. `starts` is ascending, of Int64;
    `answers` is Boolean, null where the owner of a network is unknown.
    """

    starts: pl.Series
    answers: pl.Series

    def among(self, networks: pl.Series) -> pl.Series:
        """Return true for networks (spelled as by `addresses.networks_of`) of hosting companies; null where unknown.

        The owner of a network's first address counts as the owner of the network.
        """
        numbers = _numbers(networks).fill_null(_NOBODYS)
        return self.answers.gather(self.starts.search_sorted(numbers, side="right") - 1).alias(networks.name)


@cache
def hosting_networks() -> HostingNetworks:
    """Load all networks of the installed release of geoip2fast, once per process.

    Raises `ChangedOwners` when the release's data file was replaced in place.
    """
    place, content = _data_file()
    return _kept(Path(cache_from_source(place)).with_suffix(".networks"), content)


def _kept(place: Path, content: bytes) -> HostingNetworks:
    """The networks of a data file, from a file beside the bytecode of its package, or computed and put there.

    Computing them takes half a second, and every process needs them. The kept file begins with a seal over everything that it was
    made from and over itself, so an edit here, other data or a torn file breaks it. Where nothing can be written, every process computes.
    """
    provenance = b"".join((pl.__version__.encode(), Path(__file__).read_bytes(), content))
    with suppress(OSError):
        kept = place.read_bytes()
        seal, table = kept[:_SEAL_BYTES], kept[_SEAL_BYTES:]
        if seal == _seal(provenance, table):
            return HostingNetworks(*pl.read_ipc(table))
    ranges, names = _read(content)
    known = _steps(ranges.with_columns(is_hosting=_are_hosting(names).gather(ranges["owner"])))
    table = pl.DataFrame(known._asdict()).write_ipc(None).getvalue()
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_seal(provenance, table) + table)
    return known


def _seal(provenance: bytes, table: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(provenance).digest() + table).digest()


def _are_hosting(owners: pl.Series) -> pl.Series:
    """Classify owners by name; null for the names that stand for nobody."""
    name = pl.col("value")
    by_name = name.str.contains(_NAMES_HOSTING) & ~name.str.contains(_NAMES_PEOPLE)
    known = pl.when(~name.is_in(_NOBODY)).then(by_name)
    return pl.DataFrame({"value": owners}).select(known).to_series()


def _steps(ranges: pl.DataFrame) -> HostingNetworks:
    """Convert disjoint ranges of `first`, `size` and `is_hosting` to steps; nobody owns the gaps."""
    begins = ranges.select("first", "is_hosting", is_end=pl.lit(0))
    ends = ranges.select(pl.col("first") + pl.col("size"), pl.lit(None, pl.Boolean).alias("is_hosting"), is_end=1)
    nobody = pl.DataFrame({"first": _NOBODYS, "is_hosting": None, "is_end": 1}, schema=begins.schema)
    every = pl.concat([nobody, begins, ends.cast(begins.schema)]).sort("first", "is_end")
    steps = every.unique("first", keep="first", maintain_order=True)
    steps = steps.filter(pl.col("is_hosting").ne_missing(pl.col("is_hosting").shift()) | (pl.col("first") == _NOBODYS))
    return HostingNetworks(steps["first"], steps["is_hosting"])


def _numbers(networks: pl.Series) -> pl.Series:
    """Return the number of each network; null stays null."""
    text = pl.col("value")
    octets = text.str.split_exact(".", 3)
    ipv4 = _joined([octets.struct[index].str.to_integer(strict=False) for index in range(3)], 2**8)
    groups = text.str.split_exact("::", 1).struct[0].str.split_exact(":", 2)
    parts = [groups.struct[index].str.to_integer(base=16, strict=False).fill_null(0) for index in range(3)]
    # Smaller numbers are unassigned in IPv6 and would be mistaken for IPv4.
    ipv6 = pl.max_horizontal(_joined(parts, 2**16), pl.lit(_IPV4_NETWORKS))
    number = pl.when(text.str.contains(":", literal=True)).then(ipv6).otherwise(ipv4)
    return pl.DataFrame({"value": networks}).select(number).to_series()


def _joined(parts: list[pl.Expr], base: int) -> pl.Expr:
    high, middle, low = parts
    return (high * base + middle) * base + low


class _PlainUnpickler(pickle.Unpickler):
    """Unpickle lists, numbers and text, and refuse everything that could run code."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"{_DATA_FILE} asks for {module_name}.{global_name}: expected plain data")


def _read(content: bytes) -> tuple[pl.DataFrame, pl.Series]:
    """Read the ranges of the data file as `first` number, `size` and `owner`, and the owners' names."""
    _, _, _, tables = _PlainUnpickler(io.BytesIO(gzip.decompress(content))).load()
    _, _, _, names, _, first, _, owner, _, length = tables  # each but the names is cut into chunks
    prefixes = pl.DataFrame(
        {"first": _whole(first), "length": _whole(length), "owner": _whole(owner)},
        schema={"first": pl.UInt128, "length": pl.Int64, "owner": pl.Int64},
    )
    return _ranges(prefixes), pl.Series(names, dtype=pl.String)


def _whole(chunks: list[list[int]]) -> list[int]:
    return list(chain.from_iterable(chunks))


def _ranges(prefixes: pl.DataFrame) -> pl.DataFrame:
    """Convert prefixes (`first` address, `length`, `owner`) to ranges of networks.

    A prefix that holds no network's first address is dropped; one longer than a network's counts as the network.
    """
    is_ipv4 = pl.col("first") < _IPV4_ADDRESSES
    addresses = pl.when(is_ipv4).then(pl.lit(2**8, pl.UInt128)).otherwise(pl.lit(2**80, pl.UInt128))
    network_bits = pl.when(is_ipv4).then(24).otherwise(48)
    starting = prefixes.filter(pl.col("first") % addresses == 0)
    return starting.select(
        (pl.col("first") // addresses).cast(pl.Int64),
        (2 ** (network_bits - pl.col("length")).clip(lower_bound=0)).cast(pl.Int64).alias("size"),
        "owner",
    )


def _data_file() -> tuple[Path, bytes]:
    """Find and read the data file of the installed release.

    Its package isn't imported: that would change the environment of every process started later, and its reader runs
    a command and keeps its tables in globals. Its command line can replace the file in place, which is an error here.
    """
    (entry,) = (file for file in distribution(_DISTRIBUTION).files or () if file.name == _DATA_FILE)
    content, recorded = entry.read_binary(), entry.hash
    if recorded is None or recorded.value != _as_recorded(hashlib.new(recorded.mode, content).digest()):
        raise ChangedOwners(
            f"{entry.locate()} is not the file of the installed release of {_DISTRIBUTION}: install the release that you want anew"
        )
    return Path(str(entry.locate())), content


def _as_recorded(digest: bytes) -> str:
    """Spell a digest as in the records of installed distributions: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
