"""The normal form of a source file: the part of each statement's syntax tree that counts, and the names it refers to.

Purely about one file at a time; following the references through a package is the work of `code_version`. A source is read
and never run, so the declarations of `@stage` and contracts are known by their words, which are listed here and nowhere else.
"""

import ast
import copy
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Final

from spam_pipeline.protocol.foundation.digest import digest

_STAGE_KEYWORDS_THAT_COUNT = {
    None, "contract", "side_parts", "private_parts", "delivery", "file_by_file", "small_files_together",
}  # fmt: skip
"""Of `@stage`, and of a decorator of one's own called `..._stage`, these decide the data; the rest says when and for whom it is
made. None is the one of `**arguments`."""

_JUDGING_MEMBERS = {
    "earlier_schemas", "findings", "fingerprint", "limits", "schema_version", "tolerated_rejected_share",
}  # fmt: skip
"""Members of a contract that describe and audit data, and do not make it."""

_JUDGING_KEYWORDS = {
    "check", "max", "max_exclusive", "max_length", "metadata", "min", "min_exclusive", "min_length", "nullable", "regex",
}  # fmt: skip
"""Keywords of dataframely's columns that audit data without changing its type; a test holds them against its signatures."""

_DESCRIBING_KEYWORDS = {"description"}
"""Those that do neither: a better description must not audit anything again."""

_CHANGING_METHODS = {
    "add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "reverse", "setdefault", "sort",
    "update",
}  # fmt: skip
_REMEMBERING_METHODS = {"pop", "popitem", "setdefault"}
"""Those that are called for their result too, so that they count anywhere in an expression."""

_RESOURCE_SUFFIXES = {".sql", ".proto", ".json", ".csv", ".j2", ".css"}
_LONGEST_PATH = 200  # a longer text is none, and asking the file system about it may fail
_IGNORED_FIELDS = {"returns", "ctx", "kind", "type_comment", "type_params"}
_IMPORTERS = {"importlib:import_module", "builtins:__import__"}
_HIDING = {*_IMPORTERS, "builtins:eval", "builtins:exec", "builtins:globals"}
_HIDING_NAMES = {name.partition(":")[2]: name for name in _HIDING if name.startswith("builtins:")}

_Import = ast.Import | ast.ImportFrom
_Names = Mapping[str, str | None]
"""References by name; None for a name that is bound in a scope of its own."""


@dataclass(frozen=True)
class Form:
    """The normal form of a top-level statement: the digest of its tree, where a number stands for each reference.

    A reference is `<module>:<name>.<attribute>...` as the module's own imports say; where it leads is not known here.
    `changes` are references that end behind the name of an object that the statement changes, with their lines. `imports` are
    the modules of others that the statement imports itself when it runs, whatever it uses of them.
    """

    tree: str
    references: tuple[str, ...]
    paths: tuple[str, ...]
    changes: tuple[tuple[str, int], ...]
    imports: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Module:
    """One source file: references of imported names, forms of defined names, and forms that define nothing."""

    name: str
    path: Path
    package: str
    imports: Mapping[str, str]
    definitions: Mapping[str, tuple[Form, ...]]
    effects: tuple[Form, ...]
    changes: tuple[tuple[str, int], ...]


def extended(reference: str, *attributes: str) -> str:
    """Refer to `attributes` of what `reference` names.

    >>> extended("p.signals:LIMIT", "real"), extended("p.signals:", "LIMIT", "real")
    ('p.signals:LIMIT.real', 'p.signals:LIMIT.real')
    """
    module, _, chain = reference.partition(":")
    return f"{module}:{'.'.join(filter(None, (chain, *attributes)))}"


def with_rules(name: str) -> str:
    """The name under which a contract stands as a whole; under its own there is only what makes data, its columns."""
    return f"{name} with its rules"


def read_module(name: str, path: Path, source: str, own_packages: frozenset[str] = frozenset()) -> Module:
    """Take a module apart. `own_packages` are top-level packages whose definitions count, besides the module's own.

    >>> module = read_module("p.a", Path("a.py"), "from p.b import scale as s; X = 1; f = lambda n: s(n) + X")
    >>> module.imports, list(module.definitions), module.definitions["f"][0].references
    ({'s': 'p.b:scale'}, ['X', 'f'], ('p.b:scale', 'p.a:X'))
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    place = _Place(name, package, own_packages | {name.partition(".")[0]})
    statements = [(item, _bindings([item], package)) for item in _top_level(ast.parse(source).body)]
    defined = {local for item, bound in statements if not isinstance(item, _Import) for local in bound}
    imported = [bound for item, bound in statements if isinstance(item, _Import) and not defined & bound.keys()]
    imports = {local: reference for bound in imported for local, reference in bound.items() if reference}
    names = {**_HIDING_NAMES, **imports, **{local: f"{name}:{local}" for local in defined}}
    definitions: dict[str, list[Form]] = defaultdict(list)
    effects: list[Form] = []
    changes: list[tuple[str, int]] = []
    for statement, bound in statements:
        if bound and bound.keys() <= imports.keys():
            continue
        whole = form = _form(statement, place, names)
        if is_contract := _is_contract(statement, names):
            whole = _form(_without_descriptions(statement), place, names)
            form = _form(_without_rules(statement), place, names)
        changes.extend(form.changes)
        for local in bound:
            definitions[local].append(form)
            if is_contract:
                definitions[with_rules(local)].append(whole)
        if not bound and not form.changes:  # a change of what is reached is an error, and of the rest it is nobody's
            effects.append(form)
    kept = {local: tuple(forms) for local, forms in definitions.items()}
    return Module(name, path, package, imports, kept, tuple(effects), tuple(changes))


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run on import; below `if TYPE_CHECKING` and `if __name__ == ...` none does."""
    for statement in body:
        tested = list(ast.walk(statement.test)) if isinstance(statement, ast.If) else []
        if {getattr(node, "attr", getattr(node, "id", "")) for node in tested} & {"TYPE_CHECKING", "__name__"}:
            yield from _top_level(statement.orelse if isinstance(statement, ast.If) else [])
        elif not isinstance(statement, ast.Assert) and not _does_nothing(statement):
            yield statement


def _does_nothing(node: ast.AST) -> bool:
    """Return True for `pass`, a docstring or the like, and an annotation of a variable without a value."""
    is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_constant or isinstance(node, ast.Pass) or (isinstance(node, ast.AnnAssign) and node.value is None)


def _is_contract(statement: ast.stmt, names: _Names) -> bool:
    """Return True for a class that derives from the protocol's `Contract`, by any path, or has members that audit."""
    if not isinstance(statement, ast.ClassDef):
        return False
    bases = [(_reference(base, names) or "").replace(":", ".") for base in statement.bases]
    derives = any(base.startswith("spam_pipeline.protocol.") and base.endswith(".Contract") for base in bases)
    return derives or any(_is_judging_member(item) for item in statement.body)


def _is_judging_member(node: ast.AST) -> bool:
    match node:
        case ast.FunctionDef(name=name, decorator_list=[ast.Name(id="classmethod"), *_]):
            return name in _JUDGING_MEMBERS
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name in _JUDGING_MEMBERS
    return False


def _without_rules(contract: ast.stmt) -> ast.stmt:
    """A contract's class with nothing but what makes data.

    >>> print(ast.unparse(_without_rules(ast.parse('''
    ... class Plays(Contract):
    ...     schema_version = 2
    ...     score = dy.Float64(primary_key=True, min=0.0)
    ...     @dy.rule()
    ...     def is_small(cls): ...
    ... ''').body[0])))
    class Plays(Contract):
        score = dy.Float64(primary_key=True)
    """
    stripped = _without_keywords(contract, _JUDGING_KEYWORDS | _DESCRIBING_KEYWORDS)
    for node in ast.walk(stripped):
        if isinstance(node, ast.ClassDef):
            node.body = [item for item in node.body if not _is_judging_member(item) and not _is_rule(item)]
    return stripped


def _without_descriptions(contract: ast.stmt) -> ast.stmt:
    """A contract's class without the descriptions of its columns."""
    stripped = copy.deepcopy(contract)
    if isinstance(stripped, ast.ClassDef):
        stripped.body = [
            _without_keywords(item, _DESCRIBING_KEYWORDS) if isinstance(item, ast.Assign | ast.AnnAssign) else item
            for item in stripped.body
        ]
    return stripped


def _without_keywords(statement: ast.stmt, keywords: set[str]) -> ast.stmt:
    """A statement whose calls have no keyword of these."""
    stripped = copy.deepcopy(statement)
    for node in ast.walk(stripped):
        if isinstance(node, ast.Call):
            node.keywords = [item for item in node.keywords if item.arg not in keywords]
    return stripped


def _is_rule(node: ast.AST) -> bool:
    match node:
        case ast.FunctionDef(decorator_list=[ast.Call(func=ast.Attribute(attr="rule")), *_]):
            return True
    return False


def _bindings(nodes: Iterable[ast.AST], package: str) -> dict[str, str | None]:
    """The names that statements bind in their own scope, with a reference where an import does.

    >>> _bindings(ast.parse("from p import a; f = lambda n: n; x = [y for y in a if (z := y)]").body, "p")
    {'z': None, 'x': None, 'f': None, 'a': 'p:a'}
    """
    bound: dict[str, str | None] = {}
    elsewhere: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.setdefault(name, None)
                continue
            case ast.Lambda():
                continue
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                waiting.extend(inner.target for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
                continue
            case ast.Import() | ast.ImportFrom():
                bound.update(_imported(node, package))
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                elsewhere.update(names)
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name) | ast.MatchMapping(rest=str(name)):
                bound.setdefault(name, None)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                bound.setdefault(name, None)
        waiting.extend(ast.iter_child_nodes(node))
    return {name: reference for name, reference in bound.items() if name not in elsewhere}


def _imported(node: _Import, package: str) -> dict[str, str]:
    """The names that an import binds, with their references.

    >>> _imported(ast.parse("from ..rules import judge as decide").body[0], "p.a")
    {'decide': 'p.rules:judge'}
    """
    if isinstance(node, ast.Import):
        wholes = [(alias.asname, alias.name if alias.asname else alias.name.partition(".")[0]) for alias in node.names]
        return {local or module: f"{module}:" for local, module in wholes}
    above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
    module = ".".join(filter(None, (*above, node.module)))
    return {alias.asname or alias.name: f"{module}:{alias.name}" for alias in node.names}


def _reference(node: ast.AST, names: _Names) -> str | None:
    """The reference of a name and its attributes; None for what is local, built in, or no such chain."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    found = names.get(node.id) if isinstance(node, ast.Name) else None
    return extended(found, *attributes) if found else None


class _Block(Enum):
    MODULE = "module"
    CLASS = "class"
    FUNCTION = "function"


@dataclass(frozen=True)
class _Scope:
    """The scope of a node: the reference of each name, and the kind of its block."""

    names: _Names
    block: _Block

    def function(self, bound: _Names) -> "_Scope":
        """The scope of a function, a lambda or a comprehension in here that binds these names."""
        return _Scope({**self.names, **bound}, _Block.FUNCTION)

    def counts(self, node: ast.AST) -> bool:
        """Return True if a statement counts: in functions imports show in references, and in classes annotations make fields."""
        match node:
            case ast.Import() | ast.ImportFrom():
                return self.block is not _Block.FUNCTION
            case ast.AnnAssign():
                return self.block is _Block.CLASS or node.value is not None
        return not _does_nothing(node)


@dataclass(frozen=True)
class _Place:
    """Where a statement stands: its module, the package that relative imports start from, and the packages whose code counts."""

    module: str
    package: str
    own_packages: frozenset[str]

    def is_inside(self, reference: str) -> bool:
        return re.split("[.:]", reference)[0] in {"", *self.own_packages}


def _form(statement: ast.stmt, place: _Place, names: _Names) -> Form:
    """The normal form of a statement at the top level of a module in which names lead where `names` says."""
    scope, walk = _Scope(names, _Block.MODULE), _Walk(place)
    for decorator in getattr(statement, "decorator_list", []):  # such as @registry.add
        walk.note_change(decorator.func if isinstance(decorator, ast.Call) else decorator, scope, "")
    tree = digest(json.dumps(walk.tree(statement, scope)))
    imported = (*_imported_anywhere(statement, place), *walk.imports)
    return Form(tree, tuple(walk.references), tuple(walk.paths), tuple(walk.changes), imported, tuple(walk.problems))


def _imported_anywhere(statement: ast.stmt, place: _Place) -> Iterator[str]:
    """The modules of others that a statement imports, inside of functions as well."""
    for node in ast.walk(statement):
        if isinstance(node, _Import):
            modules = {reference.partition(":")[0] for reference in _imported(node, place.package).values()}
            yield from sorted(module for module in modules if not place.is_inside(module))


class _Walk:
    """The walk over one statement: `tree` gives nested lists of what counts, and what is met on the way is collected.

    Independent of Python's minor version as far as the grammar is: fields that are empty or say nothing are left out.
    """

    def __init__(self, place: _Place) -> None:
        self._place = place
        self._module = place.module
        self._package = place.package
        self.references: dict[str, int] = {}
        self.paths: list[str] = []
        self.changes: list[tuple[str, int]] = []
        self.imports: list[str] = []
        self.problems: list[str] = []

    def tree(self, node: Any, scope: _Scope) -> Any:
        """The part that counts of a node, of a list of nodes, or of a field's plain value."""
        if isinstance(node, list):
            return [self.tree(item, scope) for item in node if scope.counts(item)]
        visit = _VISITORS.get(type(node), _Walk.other if isinstance(node, ast.AST) else None)
        return visit(self, node, scope) if visit else node

    def other(self, node: ast.AST, scope: _Scope) -> Any:
        named = [(name, value) for name, value in ast.iter_fields(node) if name not in _IGNORED_FIELDS]
        fields = [[name, self.tree(value, scope)] for name, value in named]
        return [type(node).__name__, *(field for field in fields if field[1] not in (None, []))]

    def constant(self, node: ast.Constant, _: _Scope) -> Any:
        if isinstance(node.value, str) and len(node.value) < _LONGEST_PATH:
            path = PurePath(node.value)
            if path.suffix in _RESOURCE_SUFFIXES and not path.is_absolute():
                self.paths.append(node.value)
        kept = node.value if isinstance(node.value, str | int | float | None) else repr(node.value)
        return ["Constant", type(node.value).__name__, kept]

    def name(self, node: ast.Name, scope: _Scope) -> Any:
        reference = _reference(node, scope.names) if isinstance(node.ctx, ast.Load) else None
        return self._numbered(reference, node.lineno) if reference else ["Name", node.id]

    def attribute(self, node: ast.Attribute, scope: _Scope) -> Any:
        if not isinstance(node.ctx, ast.Load):
            self.note_change(node, scope)
        if reference := _reference(node, scope.names):
            return self._numbered(reference, node.lineno)
        return ["Attribute", self.tree(node.value, scope), node.attr]

    def subscript(self, node: ast.Subscript, scope: _Scope) -> Any:
        if not isinstance(node.ctx, ast.Load):
            self.note_change(node, scope)
        return ["Subscript", self.tree(node.value, scope), self.tree(node.slice, scope)]

    def call(self, node: ast.Call, scope: _Scope) -> Any:
        imports = _reference(node.func, scope.names) in _IMPORTERS
        match node:
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if imports and not self._place.is_inside(name):
                self.imports.append(name)
                return ["Import", name, self.tree(node.keywords, scope)]
            case ast.Call(func=ast.Name(id="getattr"), args=[owner, ast.Constant(value=str(name))]):
                return self.tree(ast.copy_location(ast.Attribute(owner, name, ast.Load()), node), scope)
            case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[owner, *_]):
                self.note_change(owner, scope)
            case ast.Call(func=ast.Attribute(value=owner, attr=method)) if method in _REMEMBERING_METHODS:
                self.note_change(owner, scope)
        return ["Call", *(self.tree(part, scope) for part in (node.func, node.args, node.keywords))]

    def expression(self, node: ast.Expr, scope: _Scope) -> Any:
        runs_on_import = scope.block is _Block.MODULE
        for call in (part for part in ast.walk(node) if isinstance(part, ast.Call)):
            if isinstance(call.func, ast.Attribute) and (runs_on_import or call.func.attr in _CHANGING_METHODS):
                self.note_change(call.func, scope, "")
            callee = _reference(call.func, scope.names)
            if runs_on_import and callee and self._place.is_inside(callee):  # such as register(function)
                for argument in call.args:
                    self.note_change(argument, scope)
        return ["Expr", self.tree(node.value, scope)]

    def global_(self, node: ast.Global, scope: _Scope) -> Any:
        owned = [name for name in node.names if scope.names.get(name) == f"{self._module}:{name}"]
        self.changes.extend((f"{self._module}:{name}.=", node.lineno) for name in owned)
        self.problems.append(f"line {node.lineno} has a global statement; take the value as an argument and return it")
        return ["Global", node.names]

    def import_(self, node: _Import, _: _Scope) -> Any:
        references = _imported(node, self._package)
        if any(self._place.is_inside(reference) for reference in references.values()):
            self.problems.append(
                f"line {node.lineno} imports from its own package below another statement, or a name that is also "
                "defined; import it at the top of the module under a name of its own"
            )
        return ["Import", references]

    def annotated(self, node: ast.AnnAssign, scope: _Scope) -> Any:
        if scope.block is _Block.CLASS:
            return ["Field", *(self.tree(part, scope) for part in (node.target, node.annotation, node.value))]
        return ["Assign", ["targets", self.tree([node.target], scope)], ["value", self.tree(node.value, scope)]]

    def argument(self, node: ast.arg, _: _Scope) -> Any:
        return ["arg", node.arg]

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: _Scope) -> Any:
        decorators = [self._decorator(item, scope) for item in getattr(node, "decorator_list", [])]
        arguments = self.tree(node.args, scope)
        body = node.body if isinstance(node.body, list) else [node.body]
        inner = scope.function(_bindings([node.args, *body], self._package))
        return [type(node).__name__, getattr(node, "name", ""), decorators, arguments, self.tree(body, inner)]

    def class_(self, node: ast.ClassDef, scope: _Scope) -> Any:
        decorators = [self._decorator(item, scope) for item in node.decorator_list]
        bases, keywords = self.tree(node.bases, scope), self.tree(node.keywords, scope)
        body = self.tree(node.body, _Scope(scope.names, _Block.CLASS))
        return ["ClassDef", node.name, decorators, bases, keywords, body]

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, scope: _Scope) -> Any:
        inner = scope.function(_bindings([generator.target for generator in node.generators], self._package))
        iterated = self.tree(node.generators[0].iter, scope)  # runs outside of the scope that its own targets make
        loops = []
        for position, item in enumerate(node.generators):
            target = self.tree(item.target, inner)
            over = self.tree(item.iter, inner) if position else iterated
            loops.append([item.is_async, target, over, self.tree(item.ifs, inner)])
        made = [self.tree(getattr(node, name, None), inner) for name in ("elt", "key", "value")]
        return [type(node).__name__, made, loops]

    def note_change(self, node: ast.expr, scope: _Scope, behind: str = "=") -> None:
        """Note that the object which `node` names, or takes an item of, is changed."""
        owner, names = node, scope.names
        while not (reference := _reference(owner, names)) and isinstance(owner, ast.Attribute | ast.Subscript):
            owner = owner.value
        if reference and self._place.is_inside(reference):
            self.changes.append((extended(reference, behind if owner is node else "="), owner.lineno))

    def _decorator(self, node: ast.expr, scope: _Scope) -> Any:
        if not isinstance(node, ast.Call) or not re.search(
            r"[.:](\w+_)?stage$", _reference(node.func, scope.names) or ""
        ):
            return self.tree(node, scope)
        kept = {item.arg or "": item.value for item in node.keywords if item.arg in _STAGE_KEYWORDS_THAT_COUNT}
        return ["stage", [[name, self.tree(value, scope)] for name, value in sorted(kept.items())]]

    def _numbered(self, reference: str, line: int) -> Any:
        if reference in _HIDING:
            hiding = reference.partition(":")[2]
            self.problems.append(f"line {line} uses {hiding}, which hides what it takes; name it directly")
        return ["Reference", self.references.setdefault(reference, len(self.references))]


_VISITORS: Final[Mapping[type, Callable[[_Walk, Any, _Scope], Any]]] = {
    ast.Constant: _Walk.constant, ast.Name: _Walk.name, ast.Attribute: _Walk.attribute, ast.Subscript: _Walk.subscript,
    ast.Call: _Walk.call, ast.Expr: _Walk.expression, ast.Global: _Walk.global_, ast.AnnAssign: _Walk.annotated,
    ast.Import: _Walk.import_, ast.ImportFrom: _Walk.import_, ast.arg: _Walk.argument, ast.ClassDef: _Walk.class_,
    ast.FunctionDef: _Walk.function, ast.AsyncFunctionDef: _Walk.function, ast.Lambda: _Walk.function,
    ast.ListComp: _Walk.comprehension, ast.SetComp: _Walk.comprehension, ast.DictComp: _Walk.comprehension,
    ast.GeneratorExp: _Walk.comprehension,
}  # fmt: skip
"""Visitors by kind of node; a node of any other kind is its fields."""
