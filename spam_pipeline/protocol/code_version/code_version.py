"""Code versions: a digest of everything in a package that a function reaches, taken from the source alone.

Starting at a function, every name that its syntax tree loads is followed to its definition, through the modules of the same
top-level package, and of the own packages that are named. Comments, docstrings, annotations of functions and variables, formatting, the order of definitions and the
way a name is imported don't count; annotations in a class body do, they make fields. Renaming a local variable or moving
a definition to another module counts, although it changes no data. Code of others counts by the releases of the libraries
that are declared. What cannot be read from the source, and code of others that is not declared, is an error.

Known limits: a method is found through the names that make its object; a resource file through a string that is its path
seen from its module's folder; a module that nothing leads to is not searched for what it changes elsewhere; and a name
that a class body both binds and loads is taken for the module's, which at worst counts too much.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spam_pipeline.protocol.code_version.form_cache import kept_module
from spam_pipeline.protocol.code_version.libraries import installed_release, is_declared, line_of_import, way_out
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
    libraries: Iterable[str] | None = None,
    shown_by: Iterable[Callable[..., Any]] = (),
    own_packages: Iterable[str] = (),
    opaque: tuple[str, ...] = OPAQUE,
) -> CodeVersion:
    """The code version of a function defined at the top level of a module, with the distributions it declares.

    Without `libraries` it declares nothing and may use everything, as a function that is no stage does.

    `shown_by` are functions of the same package that convert what it reads. `own_packages` are other top-level packages whose
    definitions count as those of its own package do.

    Modules named in `opaque` count by the qualified names used of them, not by their bodies. Nothing is imported or run.
    Raises `WrongDefinition` when something that is reached cannot be read from the source, when it reaches a library that is
    not declared, or a declared one isn't installed.
    """
    versions = {name: installed_release(name) for name in sorted(set(libraries or ()))}
    declared = None if libraries is None else _Declared(function.__qualname__, tuple(versions))
    reach = _Reach(_Sources.around(function, own_packages), opaque, declared)
    for reached in (function, *shown_by):
        reach.follow(reached.__module__, reached.__qualname__)
    definitions = dict(sorted(reach.digests.items()))
    return CodeVersion(digest(("code version", definitions, versions)), definitions, versions)


def rules_version(
    contract: type | Callable[..., Any], *, own_packages: Iterable[str] = (), opaque: tuple[str, ...] = OPAQUE
) -> str:
    """The digest of everything that a contract, or one function of it, audits data by, its bases included.

    Raises like `code_version`, except that rules declare no libraries: they make no data.
    """
    sources = _Sources.around(contract, own_packages)
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


@dataclass(frozen=True)
class _Declared:
    """The distributions that a stage declares, and the name of its function."""

    stage: str
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """The end of a reference: outside, or at a definition; `rest` are the attributes behind its name."""

    dotted: str
    module: Module | None = None
    name: str = ""
    rest: str = ""


@dataclass(frozen=True)
class _Sources:
    """The source files of one's own top-level packages, the first found from those of the module `start`.

    `folders` has the folder that each package lies in.
    """

    start: str
    file: Path
    folders: Mapping[str, Path]

    @classmethod
    def around(cls, function: Callable[..., Any] | type, own_packages: Iterable[str] = ()) -> "_Sources":
        """The sources of the package that `function` is defined in, and of `own_packages`."""
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
        folder = file.parents[name.count(".") + (file.name == "__init__.py")]
        others = {package: _folder_of(package) for package in own_packages}
        return cls(name, file, {**others, name.partition(".")[0]: folder})

    def contain(self, module: str) -> bool:
        """Return True if a module lies in a package of one's own, whether there is such a module or not."""
        return module == self.start or module.partition(".")[0] in self.folders

    def module(self, name: str) -> Module | None:
        """The module called `name`; None when there is none. A folder without `__init__.py` is an empty one."""
        place = self.folders[name.partition(".")[0]].joinpath(*name.split("."))
        elsewhere = (place / "__init__.py", place.with_name(f"{place.name}.py"))
        for path in (self.file,) if name == self.start else elsewhere:
            if path.is_file():
                return kept_module(name, path, _source(name, path), frozenset(self.folders))
        return read_module(name, place / "__init__.py", "") if place.is_dir() else None


def _folder_of(package: str) -> Path:
    """The folder that a top-level package of one's own lies in; nothing is imported."""
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    found = [*((spec and spec.submodule_search_locations) or ()), *([spec.origin] if spec and spec.origin else [])]
    if not found:
        raise WrongDefinition(
            f"the own package {package} cannot be found: expected the name of a top-level package on the path of imports"
        )
    return Path(found[0]).parent


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

    def __init__(
        self,
        sources: _Sources,
        opaque: tuple[str, ...],
        declared: _Declared | None = None,
        *,
        with_rules: bool = False,
    ) -> None:
        self.digests: dict[str, str] = {}
        self._declared = declared
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
            found = [self._locate(key, reference, module) for reference in form.references]
            for imported in form.imports:
                self._require_declared(key, imported, module)
            self._waiting += [
                _Found(f"{item.module.name}.{item.name}", item.module, item.name) for item in found if item.module
            ]
            parts.append((form.tree, [item.dotted for item in found]))
            for path in form.paths:
                if (module.path.parent / path).is_file():
                    self.digests[f"{module.package}/{path}"] = digest_of_file(module.path.parent / path)
        self.digests[key] = digest(parts)

    def _locate(self, user: str, reference: str, importer: Module | None = None) -> _Found:
        """Follow a reference of `user`, which stands in the module `importer`, to its definition, past all re-exports."""
        passed: set[str] = set()
        while not self._is_outside(reference):
            module_name, _, chain = reference.partition(":")
            name, _, rest = chain.partition(".")
            inner, module = f"{module_name}.{name}", self._module(module_name)
            if module is None:
                raise _wrong(user, f"there is no source of the module {module_name}; correct the import")
            importer = module
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
        if importer:
            self._require_declared(user, reference, importer)
        return _Found(reference.replace(":", ".").strip("."))

    def _require_declared(self, user: str, reference: str, importer: Module) -> None:
        """Raise `WrongDefinition` when `importer` takes from a module of others that no declared library installs."""
        name = reference.partition(":")[0].partition(".")[0]
        if self._declared is None or self._is_opaque(reference) or is_declared(name, self._declared.libraries):
            return
        line = line_of_import(name, _source(importer.name, importer.path))
        solution = way_out(name, self._declared.stage)
        raise _wrong(user, f"it uses {name}, imported at {importer.path}:{line}, which is not declared; {solution}")

    def _module(self, name: str) -> Module | None:
        if name not in self._modules:
            self._modules[name] = self._sources.module(name)
        return self._modules[name]

    def _is_outside(self, reference: str) -> bool:
        module = reference.partition(":")[0]
        return not self._sources.contain(module) or (module != self._sources.start and self._is_opaque(reference))

    def _is_opaque(self, reference: str) -> bool:
        dotted = f"{reference.replace(':', '.')}."
        return any(dotted.startswith(f"{name}.") for name in self._opaque)

    def _check_changes(self, module: Module) -> None:
        for reference, line in module.changes:
            found = self._locate(module.name, reference, module)
            changed_name = f"{found.module.name}.{found.name}" if found.module else ""
            if found.rest and changed_name in self.digests:
                place = f"{module.path.name} line {line} changes it after its definition"
                raise _wrong(changed_name, f"{place}; build it in one expression, or return a changed copy")


def _wrong(name: str, problem: str) -> WrongDefinition:
    return WrongDefinition(f"{name} has no code version: {problem}")
