"""Recipes: everything that determines a result, and the digest that names the version it leads to. Known before computing.

A recipe's digest is made of one digest per input, so that partitions that read the same share it. The text that is hashed
is framed: each piece follows its length, so that no two recipes share a text.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from spam_pipeline.protocol.foundation.digest import SCHEME, digest


class InputRef(NamedTuple):
    """One thing that a version was computed from: a part of an upstream version, or a landed file.

    `record` is the ledger's id of that version, or of the observation of that file; it is not part of the recipe. Where only some
    columns are read and their contents are known, `columns` has them, and counts instead of `content`.
    """

    parameter: str
    upstream: str
    partition: str
    part: str
    content: str
    record: int
    is_file: bool = False
    columns: "ColumnsRead | None" = None

    @property
    def line(self) -> str:
        """The line of the recipe that the input is read by."""
        return read_line(self.partition, self.part, self.columns.content if self.columns else self.content)


class ColumnsRead(NamedTuple):
    """The columns that are read of a part, in the order in which the stage gets them, and the digest of their contents."""

    names: tuple[str, ...]
    content: str


@dataclass(frozen=True)
class Recipe:
    """Everything that determines one partition of one stage; `configuration` has the digest of each setting by name."""

    stage: str
    partition: str
    code_version: str
    configuration: Mapping[str, str]
    inputs: tuple[InputRef, ...]

    @cached_property
    def digest(self) -> str:
        """The name of the version that this recipe leads to."""
        groups = groupby(self.inputs, key=lambda item: (item.parameter, item.upstream))
        reads = [read_label(*group) + digest_of_read(item.line for item in items) for group, items in groups]
        return recipe_digest(recipe_head(self.stage, self.code_version, self.configuration), self.partition, reads)

    def contents(self) -> dict[tuple[str, str], str]:
        """The digest of the parts that are read of each version, by upstream stage and partition.

        It is the version's own `content` where all its parts are read, as they are of a stage without named parts.
        """
        parts: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        for item in self.inputs:
            if not item.is_file:
                parts[item.upstream, item.partition][item.part] = item.content
        return {version: digest(contents) for version, contents in parts.items()}


def read_line(partition: str, part: str, content: str) -> str:
    """The line of one part that an input read.

    >>> read_line("2026-01-05", "all", "9f2c")
    '10:2026-01-053:all4:9f2c'
    >>> read_line("ab", "c", "") == read_line("a", "bc", "")
    False
    """
    return f"{len(partition)}:{partition}{len(part)}:{part}{len(content)}:{content}"


def read_label(parameter: str, upstream: str) -> str:
    """The label in front of the digest of what an input read."""
    return f"{len(parameter)}:{parameter}{len(upstream)}:{upstream}"


def digest_of_read(lines: Iterable[str]) -> str:
    """The digest of what one input read: the lines of its parts in canonical order."""
    return _hashed("".join(lines))


def recipe_head(stage: str, code_version: str, configuration: Mapping[str, str]) -> str:
    """The text that the recipes of all partitions of a stage begin with."""
    settings = [text for name, value in sorted(configuration.items()) for text in (name, value)]
    texts = (str(SCHEME), stage, code_version, str(len(configuration)), *settings)
    return "".join(f"{len(text)}:{text}" for text in texts)


def recipe_digest(head: str, partition: str, reads: Iterable[str]) -> str:
    """The digest of a recipe: its stage's head, its partition, and label and digest of each input."""
    return _hashed(f"{head}{len(partition)}:{partition}{''.join(reads)}")


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
