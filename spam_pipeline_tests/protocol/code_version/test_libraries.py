"""Code of others is declared, and code of one's own is digested, also where it lies in a second package."""

import importlib
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from spam_pipeline.protocol.code_version.code_version import changed, code_version
from spam_pipeline.protocol.definition.graph import StageGraph
from spam_pipeline.protocol.definition.stage import Stage
from spam_pipeline.protocol.foundation.errors import WrongDefinition

_NUMBERS = count()

STAGES = """
import polars as pl

from PACKAGE.math import scaled
from spam_pipeline.partitions import event_days
from spam_pipeline.protocol import stage
from PACKAGE.contracts import Toys


@stage(partitions=event_days, contract=Toys, owner="team:toys", libraries=["polars"])
def toys(landed: int) -> pl.LazyFrame:
    return pl.LazyFrame({"number": [scaled(landed)]})
"""
CONTRACTS = """
import dataframely as dy
import numpy as np

from spam_pipeline.protocol import Contract


class Toys(Contract):
    number = dy.Int64()

    @classmethod
    def findings(cls, frame):
        return [] if np.isfinite(frame.height) else ["too many"]
"""
PLAIN = "def scaled(value):\n    return value * 2\n"

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a package with these modules and a name of its own; return that."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def write(**modules: str) -> str:
        name = f"declared_{next(_NUMBERS)}"
        made.append(name)
        (tmp_path / name).mkdir()
        for module, source in {"__init__": "", **modules}.items():
            (tmp_path / name / f"{module}.py").write_text(source.replace("PACKAGE", name), encoding="utf-8")
        importlib.invalidate_caches()
        return name

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] in made]:
        del sys.modules[name]


def stage_in(package: str) -> Stage[[int], object]:
    found: Stage[[int], object] = importlib.import_module(f"{package}.stages").toys
    return found


def graph_of(package: str, *own_packages: str) -> StageGraph:
    return StageGraph([stage_in(package)], [], {"landed": 1}, own_packages)


REACHED = {
    "by a function that the stage calls": ("import numpy as np\n\n\ndef scaled(value):\n    return np.abs(value)\n", 1),
    "by a name": (
        "from math import pi\nfrom numpy import abs as positive\n\n\ndef scaled(v):\n    return positive(v)\n",
        2,
    ),
    "by a submodule": ("import numpy.linalg\n\n\ndef scaled(value):\n    return numpy.linalg.norm(value)\n", 1),
    "by a constant": ("import numpy as np\n\nZERO = np.int64(0)\n\n\ndef scaled(value):\n    return value + ZERO\n", 1),
    "by a base class": ("import numpy as np\n\n\nclass scaled(np.ndarray):\n    pass\n", 1),
    "by a decorator": ("import numpy as np\n\n\n@np.vectorize\ndef scaled(value):\n    return value\n", 1),
    "in a function": ("def scaled(value):\n    import numpy as np\n\n    return np.abs(value)\n", 2),
    "in a function that uses nothing of it": ("def scaled(value):\n    import numpy\n\n    return value\n", 2),
    "by its name as a text": (
        "from importlib import import_module\n\n\ndef scaled(value):\n    return import_module('numpy').abs(value)\n",
        5,
    ),
    "where it is installed": (
        "try:\n    import numpy as np\nexcept ImportError:\n    np = None\n\n\ndef scaled(value):\n    return np.abs(value)\n",
        2,
    ),
    "on import, for its effect": (
        "import numpy as np\n\nnp.seterr(all='raise')\n\n\ndef scaled(value):\n    return value\n",
        1,
    ),
}


@np.errstate()  # what one of the sources sets for everybody does not outlive it
@pytest.mark.parametrize(("source", "line"), REACHED.values(), ids=REACHED)
def test_a_stage_that_reaches_an_undeclared_library_has_no_code_version(
    write: Write, tmp_path: Path, source: str, line: int
) -> None:
    package = write(stages=STAGES, contracts=CONTRACTS, math=source)
    graph = graph_of(package)
    with pytest.raises(WrongDefinition) as error:
        graph.code_versions["toys"]
    place = tmp_path / package / "math.py"
    assert f"it uses numpy, imported at {place}:{line}, which is not declared" in str(error.value)
    assert 'add "numpy" to the libraries of toys' in str(error.value)
    declared = code_version(stage_in(package).function, libraries=["numpy", "polars"])
    assert set(declared.libraries) == {"numpy", "polars"}


NOT_REACHED = {
    "the standard library": "import math\n\n\ndef scaled(value):\n    return math.floor(value)\n",
    "an import that nothing uses": f"import numpy as np\n\n\n{PLAIN}",
    "what another function uses": f"import numpy as np\n\n\ndef other():\n    return np.abs(1)\n\n\n{PLAIN}",
    "an annotation": "import numpy as np\n\n\ndef scaled(value: np.int64) -> np.int64:\n    return value\n",
    "an import for annotations": f"from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import numpy\n\n\n{PLAIN}",
}


@pytest.mark.parametrize("source", NOT_REACHED.values(), ids=NOT_REACHED)
def test_what_a_stage_does_not_reach_need_not_be_declared(write: Write, source: str) -> None:
    graph = graph_of(write(stages=STAGES, contracts=CONTRACTS, math=source))
    assert list(graph.code_versions["toys"].libraries) == ["polars"]


def test_a_library_is_declared_by_the_name_of_its_distribution(write: Write) -> None:
    source = "from sklearn.utils import shuffle\n\n\ndef scaled(value):\n    return shuffle(value)\n"
    function = stage_in(write(stages=STAGES, contracts=CONTRACTS, math=source)).function
    with pytest.raises(WrongDefinition, match='add "scikit-learn" to the libraries of toys'):
        code_version(function, libraries=["polars"])
    assert "scikit-learn" in code_version(function, libraries=["polars", "scikit-learn"]).libraries


def test_what_came_with_a_declared_library_is_declared_as_well_once_it_is_imported(write: Write) -> None:
    source = "from markupsafe import escape\n\n\ndef scaled(value):\n    return escape(value)\n"
    function = stage_in(write(stages=STAGES, contracts=CONTRACTS, math=source)).function
    with pytest.raises(WrongDefinition, match="it uses markupsafe"):
        code_version(function, libraries=["jinja2", "polars"])


SHARED = "from PACKAGE.numbers import FACTOR\n\n\ndef scaled(value):\n    return value * FACTOR\n"


def test_a_package_beside_it_is_code_of_others_until_it_is_named(write: Write) -> None:
    shared = write(stages="", sums=SHARED, numbers="FACTOR = 2\n")
    math = f"from {shared}.sums import scaled\n"
    package = write(stages=STAGES, contracts=CONTRACTS, math=math)
    with pytest.raises(WrongDefinition, match=f"name it in own_packages .*SPAM_PIPELINE_OWN_PACKAGES: {shared}"):
        graph_of(package).code_versions["toys"]
    found = graph_of(package, shared).code_versions["toys"]
    assert {f"{shared}.sums.scaled", f"{shared}.numbers.FACTOR"} <= found.definitions.keys()


def test_an_edit_of_an_own_package_changes_the_code_version_and_is_named(write: Write, tmp_path: Path) -> None:
    shared = write(sums=SHARED, numbers="FACTOR = 2\n")
    package = write(stages=STAGES, contracts=CONTRACTS, math=f"from {shared}.sums import scaled\n")
    stage_in(package)
    before = graph_of(package, shared)
    file = tmp_path / shared / "numbers.py"
    file.write_text("FACTOR = 3\n", encoding="utf-8")
    assert graph_of(package, shared).code_versions["toys"] == before.code_versions["toys"], (
        "what runs was loaded before"
    )
    importlib.reload(sys.modules[f"{shared}.numbers"])
    after = graph_of(package, shared).code_versions["toys"]
    assert changed(before.code_versions["toys"], after) == [f"{shared}.numbers.FACTOR"]


def test_an_own_package_declares_its_libraries_with_the_stage_that_reaches_them(write: Write, tmp_path: Path) -> None:
    shared = write(sums="import numpy as np\n\n\ndef scaled(value):\n    return np.abs(value)\n")
    package = write(stages=STAGES, contracts=CONTRACTS, math=f"from {shared}.sums import scaled\n")
    with pytest.raises(WrongDefinition, match=f"it uses numpy, imported at {tmp_path / shared}/sums.py:1"):
        graph_of(package, shared).code_versions["toys"]


def test_what_one_own_package_changes_in_another_is_an_error(write: Write) -> None:
    shared = write(numbers="FACTORS = {}\n")
    math = f"from {shared} import numbers\n\nnumbers.FACTORS['a'] = 2\n\n\ndef scaled(v):\n    return v * numbers.FACTORS['a']\n"
    package = write(stages=STAGES, contracts=CONTRACTS, math=math)
    with pytest.raises(WrongDefinition, match=r"math\.py line 3 changes it after its definition"):
        graph_of(package, shared).code_versions["toys"]


def test_rules_of_a_contract_rest_on_own_packages_and_declare_no_library(write: Write, tmp_path: Path) -> None:
    shared = write(rules="def broken(frame):\n    return []\n")
    contracts = CONTRACTS.replace("import numpy as np", f"import numpy as np\nfrom {shared}.rules import broken")
    contracts = contracts.replace("return []", "return broken(frame)")
    package = write(stages=STAGES, contracts=contracts, math=PLAIN)
    stage_in(package)
    before = graph_of(package, shared).contract_digests["toys"]
    (tmp_path / shared / "rules.py").write_text("def broken(frame):\n    return [frame]\n", encoding="utf-8")
    importlib.reload(sys.modules[f"{shared}.rules"])
    assert graph_of(package, shared).contract_digests["toys"] != before


@pytest.mark.parametrize("name", ["no_such_package", "acme.shared", "acme-shared"])
def test_an_own_package_that_is_none_is_an_error(write: Write, name: str) -> None:
    package = write(stages=STAGES, contracts=CONTRACTS, math=PLAIN)
    with pytest.raises(WrongDefinition, match=f"the own package {name} cannot be found"):
        graph_of(package, name).code_versions["toys"]
