"""Code versions: a digest of everything in a package that a function reaches, taken from the source alone.

Starting at a function, every name that its syntax tree loads is followed to its definition, through the modules of the same
top-level package. Comments, docstrings, annotations of functions and variables, formatting, the order of definitions and the
way a name is imported don't count; annotations in a class body do, they make fields. Renaming a local variable or moving
a definition to another module counts, although it changes no data. What cannot be read from the source is an error.

Known limits: a method is found through the names that make its object; a resource file through a string that is its path
seen from its module's folder; a module that nothing leads to is not searched for what it changes elsewhere; and a name
that a class body both binds and loads is taken for the module's, which at worst counts too much.
"""

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from spam_pipeline.protocol.code_version.form_cache import kept_module
from spam_pipeline.protocol.code_version.normal_form import Form, Module, extended, read_module, with_rules
from spam_pipeline.protocol.foundation.digest import digest, digest_of_file
from spam_pipeline.protocol.foundation.errors import WrongDefinition

# The protocol counts by name and not by body: what it does to data is covered by the number of its hash scheme, and a
# better error message in there must not make every version stale.
OPAQUE = ("spam_pipeline.protocol",)


@dataclass(frozen=True)
class CodeVersion:
    """The code that a function's result rests on.

    `digest` covers the number of the hash scheme and everything else here. `definitions` has the digest of each reached
    definition by qualified name; what a module does besides defining names stands under the module's name, a resource
    file under `<package>/<path>`. `libraries` has the installed version of each declared distribution.
    """

    digest: str
    definitions: Mapping[str, str]
    libraries: Mapping[str, str]


def code_version(
    function: Callable[..., Any],
    *,
    libraries: Iterable[str] = (),
    shown_by: Iterable[Callable[..., Any]] = (),
    opaque: tuple[str, ...] = OPAQUE,
) -> CodeVersion:
    """The code version of a function defined at the top level of a module, with the distributions it declares.

    `shown_by` are functions of the same package that convert what it reads.

    Modules named in `opaque` count by the qualified names used of them, not by their bodies. Nothing is imported or run.
    Raises `WrongDefinition` when something that is reached cannot be read from the source, or a library isn't installed.
    """
    sources = _Sources.around(function)
    reach = _Reach(sources, opaque)
    for reached in (function, *shown_by):
        reach.follow(reached.__module__, reached.__qualname__)
    definitions = dict(sorted(reach.digests.items()))
    versions = {name: _installed(name, tuple(sys.path)) for name in sorted(set(libraries))}
    return CodeVersion(digest(("code version", definitions, versions)), definitions, versions)


def rules_version(contract: type | Callable[..., Any], *, opaque: tuple[str, ...] = OPAQUE) -> str:
    """The digest of everything that a contract, or one function of it, audits data by, its bases included.

    Raises like `code_version`.
    """
    sources = _Sources.around(contract)
    reach = _Reach(sources, opaque, with_rules=True)
    reach.follow(sources.start, contract.__qualname__)
    return digest(("rules", dict(sorted(reach.digests.items()))))


def hold_sources(package: str) -> None:
    """Read the sources of a package's loaded modules now, so that code versions derived later are of the code that runs.

    Without this, an edit below a running process would give its old code the new version.
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == package and (file := getattr(module, "__file__", None)):
            with suppress(OSError, UnicodeDecodeError):  # such as of a module in an archive; reaching it is the error
                _source(name, Path(file))


def changed(old: CodeVersion, new: CodeVersion) -> list[str]:
    """The differences: `name`, `name (added)`, `name (removed)`, then `library old -> new`; none for equal digests."""
    found = []
    for name in sorted(old.definitions.keys() | new.definitions.keys()):
        before, after = old.definitions.get(name), new.definitions.get(name)
        if before != after:
            found.append(name if before and after else f"{name} ({'removed' if before else 'added'})")
    for name in sorted(old.libraries.keys() | new.libraries.keys()):
        was, now = old.libraries.get(name, "undeclared"), new.libraries.get(name, "undeclared")
        if was != now:
            found.append(f"{name} {was} -> {now}")
    return found


@lru_cache
def _installed(distribution: str, _path: tuple[str, ...]) -> str:
    """The version of a distribution on the path of imports; finding it reads a file of some hundred lines."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError as missing:
        raise WrongDefinition(
            f"the declared library {distribution} isn't installed: install it, or correct the distribution's name"
        ) from missing


@dataclass(frozen=True)
class _Found:
    """The end of a reference: outside, or at a definition; `rest` are the attributes behind its name."""

    dotted: str
    module: Module | None = None
    name: str = ""
    rest: str = ""


@dataclass(frozen=True)
class _Sources:
    """The source files of one top-level package, found from those of the module `start`."""

    start: str
    file: Path
    folder: Path

    @classmethod
    def around(cls, function: Callable[..., Any] | type) -> "_Sources":
        """The sources of the package that `function` is defined in."""
        name, qualified = function.__module__, getattr(function, "__qualname__", None) or repr(function)
        if not qualified.isidentifier():
            raise _wrong(
                f"{name}.{qualified}", "it is no function with a name at the top level of a module; define it so"
            )
        module = sys.modules.get(name)
        spec = importlib.util.find_spec(name) if module is None else None
        file = Path(getattr(module, "__file__", None) or (spec and spec.origin) or "no file")
        if file.suffix != ".py" or not file.is_file():
            raise _wrong(f"{name}.{qualified}", "its module has no source file; save it as one")
        return cls(name, file, file.parents[name.count(".") + (file.name == "__init__.py")])

    def module(self, name: str) -> Module | None:
        """The module called `name`; None when there is none. A folder without `__init__.py` is an empty one."""
        place = self.folder.joinpath(*name.split("."))
        elsewhere = (place / "__init__.py", place.with_name(f"{place.name}.py"))
        for path in (self.file,) if name == self.start else elsewhere:
            if path.is_file():
                return kept_module(name, path, _source(name, path))
        return read_module(name, place / "__init__.py", "") if place.is_dir() else None


_loaded: dict[str, tuple[object, Path, str]] = {}
"""Sources of loaded modules as they were when they were first read."""


def _source(name: str, path: Path) -> str:
    """The source of a module as it runs: a file that was edited after its module was loaded counts once it is loaded again."""
    module = sys.modules.get(name)
    if module is None:
        return path.read_text(encoding="utf-8")
    known = _loaded.get(name)
    if known is None or known[0] is not module.__spec__ or known[1] != path:
        known = _loaded[name] = (module.__spec__, path, path.read_text(encoding="utf-8"))
    return known[2]


class _Reach:
    """Everything that is reached from a definition, with its digests; contracts as a whole if their rules count."""

    def __init__(self, sources: _Sources, opaque: tuple[str, ...], *, with_rules: bool = False) -> None:
        self.digests: dict[str, str] = {}
        self._with_rules = with_rules
        self._sources = sources
        self._opaque = opaque
        self._modules: dict[str, Module | None] = {}
        self._waiting: list[_Found] = []

    def follow(self, module: str, name: str) -> None:
        """Reach the definition of `name` in `module` and all that it rests on."""
        touched: dict[str, Module] = {}
        self._waiting.append(self._locate(f"{module}.{name}", f"{module}:{name}"))
        while self._waiting:
            found = self._waiting.pop()
            if found.module is None or found.dotted in self.digests:
                continue
            self._digest(found.dotted, found.module, self._forms(found.module, found.name))
            if found.module.effects and found.module.name not in self.digests:
                self._digest(found.module.name, found.module, found.module.effects)
            touched[found.module.name] = found.module
        for seen in touched.values():
            self._check_changes(seen)

    def _forms(self, module: Module, name: str) -> tuple[Form, ...]:
        whole = module.definitions.get(with_rules(name)) if self._with_rules else None
        return whole or module.definitions[name]

    def _digest(self, key: str, module: Module, forms: tuple[Form, ...]) -> None:
        for problem in (problem for form in forms for problem in form.problems):
            raise _wrong(key, problem)
        parts = []
        for form in forms:
            found = [self._locate(key, reference) for reference in form.references]
            self._waiting += [
                _Found(f"{item.module.name}.{item.name}", item.module, item.name) for item in found if item.module
            ]
            parts.append((form.tree, [item.dotted for item in found]))
            for path in form.paths:
                if (module.path.parent / path).is_file():
                    self.digests[f"{module.package}/{path}"] = digest_of_file(module.path.parent / path)
        self.digests[key] = digest(parts)

    def _locate(self, user: str, reference: str) -> _Found:
        """Follow a reference of `user` to its definition, past all re-exports."""
        passed: set[str] = set()
        while not self._is_outside(reference):
            module_name, _, chain = reference.partition(":")
            name, _, rest = chain.partition(".")
            inner, module = f"{module_name}.{name}", self._module(module_name)
            if module is None:
                raise _wrong(user, f"there is no source of the module {module_name}; correct the import")
            if not name:
                raise _wrong(
                    user, f"it uses the module {module_name} as a value; name what it takes from it: <module>.<name>"
                )
            if "*" in module.imports:
                raise _wrong(user, f"{module_name} has a star import, which hides what it defines; import by name")
            if name in module.definitions:
                return _Found(f"{module_name}.{chain}", module, name, rest)
            if name in module.imports and reference not in passed:
                passed.add(reference)
                reference = extended(module.imports[name], rest)
            elif self._module(inner):
                reference = f"{inner}:{rest}"
            else:
                raise _wrong(user, f"the source of {module_name} does not define {name}; define it there")
        return _Found(reference.replace(":", ".").strip("."))

    def _module(self, name: str) -> Module | None:
        if name not in self._modules:
            self._modules[name] = self._sources.module(name)
        return self._modules[name]

    def _is_outside(self, reference: str) -> bool:
        module = reference.partition(":")[0]
        if module == self._sources.start:
            return False
        dotted = f"{reference.replace(':', '.')}."
        is_opaque = any(dotted.startswith(f"{name}.") for name in self._opaque)
        return is_opaque or module.partition(".")[0] != self._sources.start.partition(".")[0]

    def _check_changes(self, module: Module) -> None:
        for reference, line in module.changes:
            found = self._locate(module.name, reference)
            changed_name = f"{found.module.name}.{found.name}" if found.module else ""
            if found.rest and changed_name in self.digests:
                place = f"{module.path.name} line {line} changes it after its definition"
                raise _wrong(changed_name, f"{place}; build it in one expression, or return a changed copy")


def _wrong(name: str, problem: str) -> WrongDefinition:
    return WrongDefinition(f"{name} has no code version: {problem}")
