import importlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from spam_pipeline.protocol.code_version.code_version import CodeVersion, changed, code_version
from spam_pipeline.protocol.definition.graph import StageGraph
from spam_pipeline.protocol.definition.stage import Stage
from spam_pipeline.protocol.foundation.errors import WrongDefinition

_NUMBERS = count()

FILES = {
    "__init__.py": "",
    "assets.py": '''
"""The stages."""

import math
from typing import TYPE_CHECKING

from PACKAGE import signals
from PACKAGE.contracts import Verdicts
from PACKAGE.rules import judge as decide
from spam_pipeline.partitions import event_days
from spam_pipeline.protocol.definition.stage import stage

if TYPE_CHECKING:
    from PACKAGE.unrelated import unused

OWNER = "team:one"


@stage(partitions=event_days, contract=Verdicts, owner=OWNER)
def plays(landed):
    return landed


@stage(partitions=event_days, contract=Verdicts, owner=OWNER, libraries=["polars"])
def verdicts(plays, partition):
    """What is said of each play."""
    return decide(plays, signals.LIMIT), math.floor(signals.gap(1.5))
''',
    "contracts.py": '''
import dataframely as dy
import polars as pl

from spam_pipeline.protocol.definition.contract import Contract


class Verdicts(Contract):
    """One row per play."""

    play = dy.Int64(primary_key=True)
    score = dy.Float64()

    @classmethod
    def fingerprint(cls):
        return {"plays": pl.len()}
''',
    "signals.py": """
LIMIT = 10
OTHER = 1


def gap(value):
    from PACKAGE.numbers import half

    return half(value)
""",
    "rules.py": '''
"""How plays are judged."""

import asyncio
import enum
from dataclasses import dataclass
from pathlib import Path

from PACKAGE.facade import third
from PACKAGE.wrapping import logged
from .numbers import scale

THRESHOLD = 1
FLAG = True
NAMES = ["a"]
NAMES += ["b"]
COUNTED: int = 4
SQL = Path(__file__).with_name("daily.sql")


class Kind(enum.Enum):
    HUMAN = 1
    BOT = 2


class Weighted:
    weight = 3


@dataclass
class Rule(Weighted):
    name: str
    limit: int = 5

    def applies(self, value: int) -> bool:
        """Whether it does."""
        return value > self.limit

    @staticmethod
    def twice(value):
        return value * 2


@logged
def judge(rows, limit: int = 10, *, strict: bool = False):
    # a comment
    found: list = [scale(row) for row in rows if row > THRESHOLD]
    text = f"{limit} of {THRESHOLD:>5}"
    if (many := len(found)) > 2:
        text += "many"

    def inner(value):
        return value + 7

    ordered = sorted(found, key=lambda row, step=2: row * step)
    match limit:
        case 10:
            kind = Kind.BOT
        case _:
            kind = Kind.HUMAN
    return ordered, text, many, kind, inner(1), Rule("x"), NAMES, FLAG, COUNTED, SQL, third(1), asyncio.run(_late()), strict


async def _late():
    return 11


def _unused():
    return 1
''',
    "numbers.py": "def half(value):\n    return value / 2\n\n\ndef scale(value):\n    return value * 100\n",
    "facade/__init__.py": "from .inner import third\n",
    "facade/inner.py": "def third(value):\n    return value / 3\n",
    "wrapping.py": "def logged(function):\n    print('defined')\n    return function\n",
    "unrelated.py": "def unused():\n    return 1\n",
    "daily.sql": "select 1",
    "other.sql": "select 2",
}


@dataclass(frozen=True)
class Edit:
    """Replacements by file, and the names that must be reported; a file with an empty text before is new, without one after removed."""

    sentence: str
    replacements: dict[str, tuple[str, str | None]]
    expected: tuple[str, ...] = ()


def edit(sentence: str, file: str, before: str, after: str | None, *expected: str) -> Edit:
    return Edit(sentence, {file: (before, after)}, expected)


HARMLESS = [
    edit("a comment", "rules.py", "# a comment", "# another comment, longer"),
    edit("a docstring of a module", "rules.py", "How plays are judged.", "How it is done."),
    edit("a docstring of a function", "assets.py", "What is said of each play.", "What we say."),
    edit("a docstring of a method", "rules.py", '        """Whether it does."""\n', ""),
    edit("a docstring of a contract", "contracts.py", "One row per play.", "A row a play."),
    edit("a docstring below a constant", "signals.py", "LIMIT = 10", 'LIMIT = 10\n"""The limit."""'),
    edit("an annotation of an argument", "rules.py", "limit: int = 10", "limit: float = 10"),
    edit("an annotation of a result", "signals.py", "def gap(value):", "def gap(value) -> float:"),
    edit("an annotation of a local variable", "rules.py", "found: list =", "found ="),
    edit("an annotation of a constant", "rules.py", "COUNTED: int = 4", "COUNTED = 4"),
    edit("formatting", "numbers.py", "return value * 100", "return (\n        value\n        * 100\n    )"),
    edit("another notation of the same number", "signals.py", "LIMIT = 10", "LIMIT = 0x0A"),
    edit("another notation of the same text", "rules.py", '"many"', "'ma' 'ny'"),
    edit("the order of imports", "rules.py", "import asyncio\nimport enum\n", "import enum\nimport asyncio\n"),
    edit("an unused import", "rules.py", "import asyncio\n", "import asyncio\nimport json\n"),
    edit("an unused import in a function", "signals.py", "    return half", "    import json\n    return half"),
    edit("an unused function", "rules.py", "def _unused():\n    return 1", "def _unused():\n    return 2"),
    edit("a new function", "signals.py", "OTHER = 1", "OTHER = 1\n\n\ndef more():\n    return OTHER"),
    edit("an unused constant", "signals.py", "OTHER = 1", "OTHER = 2"),
    edit(
        "the order of definitions",
        "numbers.py",
        FILES["numbers.py"],
        "def scale(value):\n    return value * 100\n\n\ndef half(value):\n    return value / 2\n",
    ),
    edit("the alias of an import", "assets.py", "decide", "settle"),
    Edit(
        "another alias where it is used",
        {
            "signals.py": (
                "from PACKAGE.numbers import half\n\n    return half(value)",
                "import PACKAGE.numbers as n\n\n    return n.half(value)",
            )
        },
    ),
    edit(
        "an import without its re-export", "rules.py", "from PACKAGE.facade import", "from PACKAGE.facade.inner import"
    ),
    edit("an absolute import for a relative one", "rules.py", "from .numbers", "from PACKAGE.numbers"),
    edit(
        "an import moved out of a function",
        "signals.py",
        "def gap(value):\n    from PACKAGE.numbers import half\n",
        "from PACKAGE.numbers import half\n\n\ndef gap(value):\n",
    ),
    edit("a function in an unrelated module", "unrelated.py", "return 1", "return 2"),
    Edit(
        "the name of an unrelated module",
        {
            "unrelated.py": (FILES["unrelated.py"], None),
            "elsewhere.py": ("", FILES["unrelated.py"]),
            "assets.py": ("PACKAGE.unrelated", "PACKAGE.elsewhere"),
        },
    ),
    edit("an unrelated SQL file", "other.sql", "select 2", "select 3"),
    edit("the partitions of a stage", "assets.py", "partitions=event_days", "partitions=signals.OTHER"),
    edit("the owner of a stage", "assets.py", '"team:one"', '"team:two"'),
    edit("the watermark of a stage", "assets.py", 'libraries=["polars"]', 'libraries=["polars"], settled_after_days=3'),
    edit(
        "the order of a stage's arguments",
        "assets.py",
        "contract=Verdicts, owner=OWNER, lib",
        "owner=OWNER, contract=Verdicts, lib",
    ),
    edit("a stage that a parameter is named after", "assets.py", "return landed", "return landed + 1"),
    edit(
        "the fingerprint of a contract", "contracts.py", '{"plays": pl.len()}', '{"rows": pl.len(), "two": pl.lit(2)}'
    ),
    edit("a check that runs on import", "signals.py", "OTHER = 1", "OTHER = 1\nassert LIMIT > 0"),
    edit("a main block", "signals.py", "OTHER = 1", 'OTHER = 1\nif __name__ == "__main__":\n    print(LIMIT)'),
]

JUDGE, RULE, KIND, GAP = "rules.judge", "rules.Rule", "rules.Kind", "signals.gap"

TELLING = [
    edit("the body of the function", "assets.py", "math.floor", "math.ceil", "assets.verdicts"),
    edit("a helper", "signals.py", "half(value)", "half(value) + 1", GAP),
    edit("a helper two modules away", "numbers.py", "value / 2", "value / 4", "numbers.half"),
    edit("a helper behind a re-export", "facade/inner.py", "value / 3", "value / 9", "facade.inner.third"),
    edit("a constant", "rules.py", "THRESHOLD = 1", "THRESHOLD = 2", "rules.THRESHOLD"),
    edit("a constant of a module that is imported whole", "signals.py", "LIMIT = 10", "LIMIT = 11", "signals.LIMIT"),
    edit("1 for 1.0", "rules.py", "THRESHOLD = 1", "THRESHOLD = 1.0", "rules.THRESHOLD"),
    edit("True for 1", "rules.py", "FLAG = True", "FLAG = 1", "rules.FLAG"),
    edit("text for bytes", "rules.py", "FLAG = True", 'FLAG = b"True"', "rules.FLAG"),
    edit("a constant with an annotation", "rules.py", "COUNTED: int = 4", "COUNTED: int = 5", "rules.COUNTED"),
    edit("an augmented assignment", "rules.py", 'NAMES += ["b"]', 'NAMES += ["c"]', "rules.NAMES"),
    edit("a default argument", "rules.py", "limit: int = 10", "limit: int = 11", JUDGE),
    edit("a default of a keyword argument", "rules.py", "strict: bool = False", "strict: bool = True", JUDGE),
    edit("an argument that becomes a keyword", "signals.py", "def gap(value)", "def gap(value, *, more=1)", GAP),
    edit("a decorator of a helper", "rules.py", "@logged\n", "", JUDGE, "wrapping.logged (removed)"),
    edit("the function behind a decorator", "wrapping.py", "'defined'", "'made'", "wrapping.logged"),
    edit("a comprehension", "rules.py", "if row > THRESHOLD", "if row >= THRESHOLD", JUDGE),
    edit("a text", "rules.py", '"many"', '"few"', JUDGE),
    edit("an f-string", "rules.py", "} of {", "} out of {", JUDGE),
    edit("the format in an f-string", "rules.py", ":>5}", ":>6}", JUDGE),
    edit("an assignment expression", "rules.py", "(many := len(found)) > 2", "(many := len(found) + 1) > 2", JUDGE),
    edit("a nested function", "rules.py", "value + 7", "value + 8", JUDGE),
    edit("the default of a lambda", "rules.py", "step=2", "step=3", JUDGE),
    edit("a match statement", "rules.py", "case 10:", "case 12:", JUDGE),
    edit("an async function", "rules.py", "return 11", "return 12", "rules._late"),
    edit("a class attribute of a base class", "rules.py", "weight = 3", "weight = 4", "rules.Weighted"),
    edit("a base class", "rules.py", "class Rule(Weighted)", "class Rule", RULE, "rules.Weighted (removed)"),
    edit("a method", "rules.py", "value > self.limit", "value >= self.limit", RULE),
    edit("a static method", "rules.py", "value * 2", "value * 3", RULE),
    edit("a static method that becomes a class method", "rules.py", "@staticmethod", "@classmethod", RULE),
    edit("the default of a field", "rules.py", "limit: int = 5", "limit: int = 6", RULE),
    edit("the order of fields", "rules.py", "name: str\n    limit: int = 5", "limit: int = 5\n    name: str = ''", RULE),
    edit("the type of a field", "rules.py", "name: str", "name: bytes", RULE),
    edit("the decorator of a class", "rules.py", "@dataclass\n", "@dataclass(frozen=True)\n", RULE),
    edit("a member of an enum", "rules.py", "BOT = 2", "BOT = 3", KIND),
    edit("a new member of an enum", "rules.py", "BOT = 2", "BOT = 2\n    TV = 3", KIND),
    edit("a column of a contract", "contracts.py", "score = dy.Float64()", "score = dy.Float32()", "contracts.Verdicts"),
    edit("a new column", "contracts.py", "score =", "more = dy.Int64()\n    score =", "contracts.Verdicts"),
    edit("a SQL file", "daily.sql", "select 1", "select 1, 2", "/daily.sql"),
    edit("another SQL file", "rules.py", "daily.sql", "other.sql", "rules.SQL", "/daily.sql (removed)", "/other.sql (added)"),
    edit("another library's function", "assets.py", "import math", "import numpy as math", "assets.verdicts"),
    edit("another source of a name", "assets.py", "import signals", "import othersignals as signals",
         "assets.verdicts", "othersignals.LIMIT (added)", "othersignals.gap (added)",
         "numbers.half (removed)", "signals.LIMIT (removed)", "signals.gap (removed)"),
    edit("that batches come file by file", "assets.py", "owner=OWNER, lib", "owner=OWNER, file_by_file=True, lib", "assets.verdicts"),
    edit("a side part", "assets.py", "owner=OWNER, lib", 'owner=OWNER, side_parts={"x": Verdicts}, lib', "assets.verdicts"),
    edit("another decorator of a stage", "assets.py", ")\ndef verdicts", ")\n@math.trunc\ndef verdicts", "assets.verdicts"),
    edit("what a module does on import besides defining names", "rules.py", "FLAG = True", "FLAG = True\nenum.x = 1", "rules (added)"),
    edit("a helper that is split", "numbers.py", "return value / 2", "return by(value, 2)\n\n\ndef by(a, b):\n    return a / b",
         "numbers.by (added)", "numbers.half"),
    edit("a name that shadows a built-in one", "rules.py", "FLAG = True", "FLAG = True\n\n\ndef sorted(rows, key):\n    return rows",
         JUDGE, "rules.sorted (added)"),
    edit("a condition on import", "rules.py", "FLAG = True", "if THRESHOLD:\n    FLAG = True\nelse:\n    FLAG = False", "rules.FLAG"),
]  # fmt: skip


class Package:
    """A package of its own name in a folder on the path of imports."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        self.name = f"sample_{next(_NUMBERS)}"
        self.folder = folder / self.name
        for file, text in files.items():
            self.write(file, text)

    def write(self, file: str, text: str) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("PACKAGE", self.name), encoding="utf-8")

    def apply(self, changes: Edit) -> None:
        """Edit the files; like a deployment, it ends the life of what was loaded from them."""
        for name in [name for name in sys.modules if name.partition(".")[0] == self.name]:
            del sys.modules[name]
        for file, (before, after) in changes.replacements.items():
            path = self.folder / file
            old = path.read_text(encoding="utf-8") if path.exists() else ""
            before_here = before.replace("PACKAGE", self.name)
            assert before_here in old, f"{changes.sentence}: nothing to replace"
            if after is None:
                path.unlink()
            else:
                self.write(file, old.replace(before_here, after) if before else after)

    def function(self, module: str = "assets", name: str = "verdicts") -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(importlib.import_module(f"{self.name}.{module}"), name)
        return found.function if isinstance(found, Stage) else found

    def names(self, short: tuple[str, ...]) -> list[str]:
        return sorted(f"{self.name}{name}" if name.startswith("/") else f"{self.name}.{name}" for name in short)


MakePackage = Callable[[dict[str, str]], Package]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePackage]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield lambda files: Package(tmp_path, files)
    for name in set(sys.modules) - before:
        if name.startswith("sample_"):
            del sys.modules[name]


@pytest.fixture
def package(make: MakePackage) -> Package:
    return make({**FILES, "othersignals.py": "LIMIT = 10\n\n\ndef gap(value):\n    return value / 2\n"})


@pytest.mark.parametrize("edited", HARMLESS, ids=lambda edited: edited.sentence)
def test_an_edit_that_cannot_change_data_keeps_the_code_version(package: Package, edited: Edit) -> None:
    function = package.function()
    before = code_version(function)
    package.apply(edited)
    after = code_version(function)
    assert changed(before, after) == []
    assert before == after


@pytest.mark.parametrize("edited", TELLING, ids=lambda edited: edited.sentence)
def test_an_edit_that_can_change_data_changes_the_code_version_and_is_named(package: Package, edited: Edit) -> None:
    function = package.function()
    before = code_version(function)
    package.apply(edited)
    after = code_version(function)
    assert changed(before, after) == package.names(edited.expected)
    assert before.digest != after.digest


@pytest.mark.parametrize("edited", TELLING, ids=lambda edited: edited.sentence)
def test_a_revert_gives_the_old_code_version_back(package: Package, edited: Edit) -> None:
    function = package.function()
    before = code_version(function)
    originals = {file: (package.folder / file).read_text(encoding="utf-8") for file in edited.replacements}
    package.apply(edited)
    code_version(function)
    for file, text in originals.items():
        package.write(file, text)
    assert code_version(function) == before


def test_what_is_reached_has_its_qualified_name(package: Package) -> None:
    expected = (
        "assets.verdicts", "contracts.Verdicts", "facade.inner.third", "numbers.half", "numbers.scale",
        "rules.COUNTED", "rules.FLAG", "rules.Kind", "rules.NAMES", "rules.Rule", "rules.SQL", "rules.THRESHOLD",
        "rules.Weighted", "rules._late", "rules.judge", "signals.LIMIT", "signals.gap", "wrapping.logged", "/daily.sql",
    )  # fmt: skip
    assert list(code_version(package.function()).definitions) == package.names(expected)


def test_nothing_is_imported_or_run_to_read_a_definition(make: MakePackage) -> None:
    package = make({"__init__.py": "", "a.py": "def f():\n    from PACKAGE.b import g\n    return g()\n"})
    function = package.function("a", "f")
    package.write("b.py", "raise SystemExit\n\n\ndef g():\n    return 1\n")
    assert list(code_version(function).definitions) == package.names(("a.f", "b", "b.g"))


def test_opaque_modules_count_by_the_name_that_is_used(package: Package) -> None:
    function, opaque = package.function(), (f"{package.name}.numbers",)
    before = code_version(function, opaque=opaque)
    package.apply(edit("", "numbers.py", "value / 2", "value / 4"))
    assert code_version(function, opaque=opaque) == before
    package.apply(edit("", "signals.py", "import half\n", "import scale as half\n"))
    assert changed(before, code_version(function, opaque=opaque)) == package.names((GAP,))


def test_a_released_library_changes_the_code_version_of_who_declares_it(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, undeclared = package.function(), code_version(package.function())
    versions = []
    for release in ("1.0", "1.1"):
        folder = tmp_path / f"path-{release}"
        info = folder / f"samplelib-{release}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: samplelib\nVersion: {release}\n", encoding="utf-8"
        )
        monkeypatch.syspath_prepend(str(folder))
        versions.append(code_version(function, libraries=["samplelib"]))
    old, new = versions
    assert old.libraries == {"samplelib": "1.0"}
    assert old.digest != new.digest
    assert changed(old, new) == ["samplelib 1.0 -> 1.1"]
    assert changed(undeclared, old) == ["samplelib undeclared -> 1.0"]
    assert code_version(function) == undeclared


def test_a_file_that_was_edited_after_its_module_was_loaded_counts_once_it_is_loaded_again(package: Package) -> None:
    function = package.function()
    before = code_version(function)
    (package.folder / "signals.py").write_text("LIMIT = 11\n\n\ndef gap(value):\n    return value\n", encoding="utf-8")
    assert code_version(function) == before, "what runs is what was loaded"
    importlib.reload(sys.modules[f"{package.name}.signals"])
    assert code_version(function).digest != before.digest


ENGINE = {
    "__init__.py": "",
    "engine/__init__.py": "from PACKAGE.engine.high.running import run\nfrom PACKAGE.engine.low.adding import add\n",
    "engine/low/adding.py": "def add(value):\n    return value + 1\n",
    "engine/high/running.py": "from PACKAGE.engine.low.adding import add\n\n\ndef run():\n    return add(2)\n",
    "a.py": "from PACKAGE.engine import add\n\n\ndef f():\n    return add(1)\n",
}
"""A package with two wings behind one door, and a function that uses the lower one."""


def test_an_edit_in_a_wing_that_is_not_reached_keeps_the_code_version(make: MakePackage) -> None:
    package = make(ENGINE)
    function = package.function("a", "f")
    before = code_version(function)
    assert list(before.definitions) == package.names(("a.f", "engine.low.adding.add"))
    package.apply(edit("the other wing", "engine/high/running.py", "add(2)", "add(3)"))
    assert code_version(function) == before
    package.apply(edit("the wing that is reached", "engine/low/adding.py", "value + 1", "value + 2"))
    assert changed(before, code_version(function)) == package.names(("engine.low.adding.add",))


def test_files_move_behind_an_opaque_door_for_nothing(make: MakePackage) -> None:
    package = make(ENGINE)
    function, opaque = package.function("a", "f"), (f"{package.name}.engine",)
    before = code_version(function, opaque=opaque)
    assert list(before.definitions) == package.names(("a.f",))
    package.apply(edit("a move", "engine/low/adding.py", ENGINE["engine/low/adding.py"], None))
    package.write("engine/lower/adding.py", ENGINE["engine/low/adding.py"])
    package.apply(edit("", "engine/__init__.py", "PACKAGE.engine.low", "PACKAGE.engine.lower"))
    assert code_version(function, opaque=opaque) == before


def test_a_graph_holds_the_sources_that_run_although_it_derives_code_versions_later(make: MakePackage) -> None:
    package = make({"__init__.py": "", "a.py": TOY, "b.py": "LIMIT = 10\n"})
    stage = importlib.import_module(f"{package.name}.a").toys
    own = ["spam_pipeline_tests"]
    held = StageGraph([stage], [], {"landed": 1}, own)
    package.write("b.py", "LIMIT = 11\n")
    assert changed(held.code_versions["toys"], StageGraph([stage], [], {"landed": 1}, own).code_versions["toys"]) == []
    importlib.reload(sys.modules[f"{package.name}.b"])
    later = StageGraph([stage], [], {"landed": 1}, own)
    assert changed(held.code_versions["toys"], later.code_versions["toys"]) == package.names(("b.LIMIT",))


TOY = '''
from PACKAGE.b import LIMIT
from spam_pipeline.partitions import event_days
from spam_pipeline.protocol.definition.stage import stage
from spam_pipeline_tests.protocol.toy_pipeline import Numbers


@stage(partitions=event_days, contract=Numbers, owner="team:toys", libraries=["polars"])
def toys(landed):
    """A stage with a limit."""
    return landed.limit(LIMIT)
'''


def test_changed_lists_what_differs_in_order() -> None:
    old = CodeVersion("1", {"p.gone": "a", "p.kept": "a", "p.other": "a"}, {"numpy": "1", "polars": "2.0"})
    new = CodeVersion("2", {"p.kept": "a", "p.new": "a", "p.other": "b"}, {"polars": "2.1", "skops": "3"})
    assert changed(old, new) == [
        "p.gone (removed)",
        "p.new (added)",
        "p.other",
        "numpy 1 -> undeclared",
        "polars 2.0 -> 2.1",
        "skops undeclared -> 3",
    ]


def test_a_name_is_looked_up_in_its_own_scope(make: MakePackage) -> None:
    source = """
def outer(shadowed):
    local = [comprehended for comprehended in shadowed]
    with open("x") as opened:
        pass
    try:
        pass
    except OSError as caught:
        raise caught
    def nested(inner):
        nonlocal local
        local = inner
        return local, shadowed
    class Made:
        used = in_class
    match local:
        case [captured, *starred] | {"a": captured, **starred}:
            return captured, starred, opened
    return comprehended, nested, (lambda taken: taken + free), Made


""" + "".join(
        f"def {name}():\n    return 1\n\n\n"
        for name in (
            "shadowed", "local", "comprehended", "opened", "caught", "inner", "captured", "starred", "taken", "free",
            "in_class",
        )
    )  # fmt: skip
    package = make({"__init__.py": "", "a.py": source})
    reached = ("a.outer", "a.comprehended", "a.free", "a.in_class")
    assert list(code_version(package.function("a", "outer")).definitions) == package.names(reached)


def test_the_digests_of_a_known_source_stay_what_they_are(make: MakePackage) -> None:
    package = make({})
    package.name, package.folder = "sample_golden", package.folder.with_name("sample_golden")
    package.write("__init__.py", "")
    package.write(
        "a.py",
        'import math as m\nX = 1, 2.5, "x", b"y", None\n\n\ndef f(n, /, *, k=True):\n    return m.floor(n), X, k\n',
    )
    assert code_version(package.function("a", "f")) == CodeVersion(
        "0e37b5b8cc40190bdc0567c033aae145c069d1ddf9229dfeb52ed81c1efbe978",
        {
            "sample_golden.a.X": "21bbe279ba8163c70edcc392815dca4b392dea7a62ed411a74018d86fac951cb",
            "sample_golden.a.f": "3a683cc78ead9387402ebced4e497f8af5b8a468afc4a3cf1543424a59b32d0d",
        },
        {},
    )


def test_circles_of_functions_and_of_imports_end(make: MakePackage) -> None:
    package = make(
        {
            "__init__.py": "from . import b",
            "a.py": "from PACKAGE import b\n\n\ndef f(n):\n    return b.g(n)\n",
            "b.py": "import PACKAGE.a\n\n\ndef g(n):\n    return n and PACKAGE.a.f(n - 1)\n",
        }
    )
    assert list(code_version(package.function("a", "f")).definitions) == package.names(("a.f", "b.g"))


def a_function_of_this_module() -> str:
    return _a_helper_of_this_module()


def _a_helper_of_this_module() -> str:
    return changed.__name__


def test_a_function_at_the_top_level_of_a_test_module_has_a_code_version() -> None:
    here = __name__
    assert list(code_version(a_function_of_this_module).definitions) == [
        f"{here}._a_helper_of_this_module",
        f"{here}.a_function_of_this_module",
    ]


WRONG = {
    "a star import": ("from PACKAGE.b import *\n\n\ndef f():\n    return g()\n", "has a star import"),
    "a name that does not exist": ("def f():\n    from PACKAGE.b import no\n    return no\n", "does not define no"),
    "a module that does not exist": (
        "def f():\n    from PACKAGE.no import g\n    return g\n",
        "no source of the module",
    ),
    "importlib": (
        "import importlib\n\n\ndef f():\n    return importlib.import_module('PACKAGE.b').g()\n",
        "line 5 uses import_module",
    ),
    "importlib with a variable": (
        "from importlib import import_module as i\n\n\ndef f(name='json'):\n    return i(name)\n",
        "line 5 uses import_module",
    ),
    "__import__": ("def f():\n    return __import__('PACKAGE.b')\n", "line 2 uses __import__"),
    "eval": ("def f():\n    return eval('g()')\n", "line 2 uses eval"),
    "globals": ("def f():\n    return globals()['g']()\n", "line 2 uses globals"),
    "getattr with a variable": (
        "from PACKAGE import b\n\n\ndef f(name='g'):\n    return getattr(b, name)\n",
        "uses the module PACKAGE.b as a value",
    ),
    "a module as a value": (
        "import PACKAGE.b as b\n\n\ndef f():\n    return vars(b)\n",
        "the module PACKAGE.b as a value",
    ),
    "a global statement": ("X = 1\n\n\ndef f():\n    global X\n    X = 2\n", "line 5 has a global statement"),
    "a global statement elsewhere": (
        "X = 1\n\n\ndef f():\n    return X\n\n\ndef h():\n    global X\n    X = 2\n",
        "PACKAGE.a.X has no code version: a.py line 9 changes it",
    ),
    "an item that is set": (
        "X = {}\nX['a'] = 1\n\n\ndef f():\n    return X\n",
        "a.py line 2 changes it after its definition",
    ),
    "an item of an item": ("X = {1: {}}\nX[1]['a'] = 1\n\n\ndef f():\n    return X\n", "line 2 changes it"),
    "an item that is deleted": ("X = {1: 1}\ndel X[1]\n\n\ndef f():\n    return X\n", "line 2 changes it"),
    "an update": ("X = {}\nX.update(a=1)\n\n\ndef f():\n    return X\n", "line 2 changes it"),
    "an update of an item": ("X = {1: {}}\nX[1].update(a=1)\n\n\ndef f():\n    return X\n", "line 2 changes it"),
    "setattr": ("class X:\n    pass\n\n\nsetattr(X, 'a', 1)\n\n\ndef f():\n    return X\n", "line 5 changes it"),
    "an attribute that is set": ("class X:\n    pass\n\n\nX.a = 1\n\n\ndef f():\n    return X\n", "line 5 changes it"),
    "a loop that fills": ("X = {}\nfor n in 'ab':\n    X[n] = n\n\n\ndef f():\n    return X\n", "line 3 changes it"),
    "a call that may fill": (
        "from PACKAGE.b import g\nX = []\ng(X)\n\n\ndef f():\n    return X\n",
        "line 3 changes it",
    ),
    "a registry": (
        "X = {}\n\n\ndef f():\n    return X\n\n\ndef add(g):\n    X[g.__name__] = g\n    return g\n",
        "line 9 changes it",
    ),
    "a registry that appends": (
        "X = []\n\n\ndef f():\n    return X\n\n\ndef add(g):\n    X.append(g)\n",
        "line 9 changes it",
    ),
    "a memory of earlier calls": ("X = {}\n\n\ndef f(n=1):\n    return X.setdefault(n, n)\n", "line 5 changes it"),
    "a decorator that registers": (
        "import functools\n\n\n@functools.singledispatch\ndef f(n=1): ...\n\n\n\n@f.register\ndef _(n: int): ...\n",
        "line 9 changes it",
    ),
    "another module's constant": (
        "from PACKAGE.b import X\nX['a'] = 1\n\n\ndef f():\n    return X\n",
        "a.py line 2 changes it",
    ),
    "an import under a condition": (
        "if len('x'):\n    from PACKAGE.b import g\n\n\ndef f():\n    return g()\n",
        "line 2 imports from its own package below",
    ),
    "an import that is defined again": (
        "from PACKAGE.b import g\ng = [g]\n\n\ndef f():\n    return g\n",
        "line 1 imports from its own package below another statement, or a name that is also defined",
    ),
}


@pytest.mark.parametrize(("source", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_read_from_the_source_is_an_error(make: MakePackage, source: str, message: str) -> None:
    package = make({"__init__.py": "", "a.py": "def f():\n    pass\n", "b.py": "X = {}\n\n\ndef g():\n    return 1\n"})
    function = package.function("a", "f")
    package.write("a.py", source)
    with pytest.raises(WrongDefinition) as raised:
        code_version(function)
    assert message.replace("PACKAGE", package.name) in str(raised.value)
    assert str(raised.value).startswith(f"{package.name}.")


def test_errors_of_code_that_is_not_reached_are_nobodys(make: MakePackage) -> None:
    unreached = "def bad():\n    return eval('1')\n\n\nX = {}\nX['a'] = 1\n"
    package = make({"__init__.py": "", "a.py": f"def f():\n    return 1\n\n\n{unreached}"})
    assert package.names(("a.f",))[0] in code_version(package.function("a", "f")).definitions


def test_reading_by_a_literal_name_is_no_error(make: MakePackage) -> None:
    source = "import importlib\nfrom PACKAGE import b\n\n\ndef f():\n    return getattr(b, 'g')(), importlib.import_module('json')\n"
    package = make({"__init__.py": "", "a.py": source, "b.py": "def g():\n    return 1\n"})
    assert list(code_version(package.function("a", "f")).definitions) == package.names(("a.f", "b.g"))


def test_a_function_without_a_name_of_its_own_is_an_error() -> None:
    def nested() -> None:
        """Say nothing."""

    way_out = "it is no function with a name at the top level of a module; define it so"
    for function in (nested, lambda: None, Package.names):
        with pytest.raises(WrongDefinition, match=way_out):
            code_version(function)


def test_a_function_without_a_source_file_is_an_error() -> None:
    space: dict[str, Any] = {"__name__": "sample_typed_in"}
    exec("def typed_in():\n    return 1\n", space)  # noqa: S102 - what an interactive session does
    sys.modules["sample_typed_in"] = type(sys)("sample_typed_in")
    try:
        with pytest.raises(WrongDefinition, match="its module has no source file; save it as one"):
            code_version(space["typed_in"])
    finally:
        del sys.modules["sample_typed_in"]


def test_a_declared_library_that_is_not_installed_is_an_error(package: Package) -> None:
    with pytest.raises(WrongDefinition, match="the declared library no-such-library isn't installed"):
        code_version(package.function(), libraries=["no-such-library"])


def test_twenty_stages_take_less_than_a_second_of_the_processor(make: MakePackage) -> None:
    modules = {
        f"m{i}.py": "".join(f"def f{j}(x):\n    return [{j} * y for y in x if y > {i}]\n\n\n" for j in range(20))
        + "def last(x):\n    return " + " + ".join(f"f{j}(x)" for j in range(20)) + "\n"
        for i in range(20)
    }  # fmt: skip
    package = make({"__init__.py": "", **modules})
    functions = [package.function(f"m{i}", "last") for i in range(20)]
    started = time.process_time()
    assert len({code_version(function).digest for function in functions}) == 20
    assert time.process_time() - started < 1
