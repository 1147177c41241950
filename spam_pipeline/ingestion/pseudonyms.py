"""Pseudonyms: 64-bit keyed hashes in the place of people, devices, addresses, tracks and user agents.

A hash with a mere seed is reversed by guessing: there are only four billion IPv4 addresses. So the 128-bit xxh3 of a value,
which never leaves memory, is encrypted with AES under a key derived from the pipeline's secret and the kind of identifier:
without the secret nobody can compute, check or invert a pseudonym, and equal values of different kinds do not join. Callers
bring identifiers in canonical spelling. cryptography is imported where it is used, because most commands hash nothing.
"""

import hashlib

import numpy as np
import polars as pl
import polars_hash as plh

KEY_PREFIX = "key:"
"""What people write before a pseudonym, in hexadecimal, where they could write the id that it stands for."""

_AES_KEY_BYTES = 16
_SEEDS = (1, 2)


def keyed_hash(values: pl.Series, kind: str, identifier_key: str) -> pl.Series:
    """Hash `values` (String) to pseudonyms (UInt64) of a `kind`, under the secret `identifier_key`.

    Null stays null. The kinds are `user`, `device`, `ip`, `network`, `track` and `user_agent`; addresses are expected in
    canonical spelling.
    """
    text = plh.col("value")
    hashes = pl.DataFrame({"value": values}).select(
        text.nchash.xxh3_64(seed=seed).fill_null(0).alias(str(seed)) for seed in _SEEDS
    )
    encrypted = _encrypt(hashes.to_numpy().astype("<u8", order="C").tobytes(), kind, identifier_key)
    pseudonyms = pl.Series(values.name, np.frombuffer(encrypted, dtype="<u8")[:: len(_SEEDS)], dtype=pl.UInt64)
    if not values.null_count():
        return pseudonyms
    there = pl.when(pl.col("value").is_not_null()).then("key").alias(values.name)
    return pl.DataFrame({"value": values, "key": pseudonyms}).select(there).to_series()


def key_as_text(key: int) -> str:
    """Write a pseudonym the way people name an entity by it.

    >>> key_as_text(255)
    'key:00000000000000ff'
    """
    return f"{KEY_PREFIX}{key:016x}"


def key_in_text(text: pl.Expr) -> pl.Expr:
    """Read the pseudonym (UInt64) that a text such as `key:00000000000000ff` names; null for any other text."""
    digits = text.str.extract(rf"^{KEY_PREFIX}([0-9a-fA-F]{{16}})$")
    return digits.str.decode("hex").bin.reinterpret(dtype=pl.UInt64, endianness="big")


def _encrypt(blocks: bytes, kind: str, identifier_key: str) -> bytes:
    """Encrypt each 16-byte block on its own with AES-128, so that equal blocks stay equal: a keyed permutation, no message."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - see the module's docstring

    key = hashlib.sha256(f"{kind}\0{identifier_key}".encode()).digest()[:_AES_KEY_BYTES]
    cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - every block is a value of its own that must join
    return cipher.encryptor().update(blocks)
