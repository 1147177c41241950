"""The normal form of source files: what of a statement's syntax tree counts, and which names it refers to.

Purely about one file at a time; following the references through a package is the work of `code_version`.
"""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, singledispatchmethod
from pathlib import Path, PurePath
from typing import Any

from spam_pipeline.protocol.digest import digest

_STAGE_KEYWORDS_THAT_COUNT = frozenset({"contract", "side_parts", "private_parts", "delivery", "file_by_file"})
_WHAT_JUDGES = frozenset(
    {"earlier_schemas", "findings", "fingerprint", "limits", "schema_version", "tolerated_rejected_share"}
)
"""What a contract says about data besides columns: it describes and judges data, and does not make it."""

_RESOURCE_SUFFIXES = frozenset({".sql", ".proto", ".json", ".csv", ".j2", ".css"})
_LONGEST_PATH = 200  # a longer text is none, and asking the file system about it may fail
_IGNORED_FIELDS = frozenset({"returns", "ctx", "kind", "type_comment", "type_params"})
_IMPORTERS = frozenset({"importlib:import_module", "builtins:__import__"})
_HIDING = _IMPORTERS | {"builtins:eval", "builtins:exec", "builtins:globals"}
_CHANGING_METHODS = frozenset(
    {
        "add",
        "append",
        "clear",
        "discard",
        "extend",
        "insert",
        "pop",
        "popitem",
        "remove",
        "reverse",
        "setdefault",
        "sort",
        "update",
    }
)

_CONTRACT = "spam_pipeline.protocol.contract:Contract"
_RULES = frozenset(
    {
        "check",
        "max",
        "max_exclusive",
        "max_length",
        "metadata",
        "min",
        "min_exclusive",
        "min_length",
        "nullable",
        "regex",
    }
)
"""Keywords of a contract's columns that judge data without changing its type."""

_Import = ast.Import | ast.ImportFrom


@dataclass(frozen=True)
class Form:
    """The normal form of a top-level statement: the digest of its tree, where a number stands for each reference.

    A reference is `<module>:<name>.<attribute>...` as the module's own imports say; where it leads is not known here.
    `changes` are references that end behind the name of an object that the statement changes, with their lines.
    """

    tree: str
    references: tuple[str, ...]
    paths: tuple[str, ...]
    changes: tuple[tuple[str, int], ...]
    problems: tuple[str, ...]
    is_contract: bool = False


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
    """A reference to `attributes` of what `reference` names."""
    module, _, chain = reference.partition(":")
    return f"{module}:{'.'.join(filter(None, (chain, *attributes)))}"


def with_rules(name: str) -> str:
    """Under which name a contract stands as a whole: under its own it has only what code can see of it, its columns."""
    return f"{name} with its rules"


@lru_cache(maxsize=1024)
def read_module(name: str, path: Path, source: str) -> Module:
    """Take a module apart. The source is part of the cache's key, so that an edited file is read again."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    statements = [(item, _bindings([item], package)) for item in _top_level(ast.parse(source).body)]
    defined = {local for item, bound in statements if not isinstance(item, _Import) for local in bound}
    imported = [bound for item, bound in statements if isinstance(item, _Import) and not defined & bound.keys()]
    imports = {local: reference for bound in imported for local, reference in bound.items() if reference}
    definitions: dict[str, list[Form]] = defaultdict(list)
    effects: list[Form] = []
    changes: list[tuple[str, int]] = []
    for statement, bound in statements:
        if bound.keys() <= imports.keys() and bound:
            continue
        form = _NormalForm(name, package, imports, defined).of(statement)
        changes.extend(form.changes)
        for local in bound:
            definitions[local].append(form)
            if form.is_contract:
                whole = _NormalForm(name, package, imports, defined, with_rules=True).of(statement)
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
    """Whether a statement is `pass`, a docstring or the like, or an annotation of a variable without a value."""
    is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_constant or isinstance(node, ast.Pass) or (isinstance(node, ast.AnnAssign) and node.value is None)


def _says_how_to_judge(node: ast.AST) -> bool:
    """Whether a statement in a class body says how a contract describes and judges data."""
    match node:
        case ast.FunctionDef(name=name, decorator_list=[ast.Name(id="classmethod"), *_]):
            return name in _WHAT_JUDGES
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name in _WHAT_JUDGES
    return False


def _bindings(nodes: Iterable[ast.AST], package: str) -> dict[str, str | None]:
    """The names that statements bind in their own scope, with a reference where an import does."""
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
    """The names that an import binds, with their references."""
    if isinstance(node, ast.Import):
        return {alias.asname or alias.name.partition(".")[0]: _whole(alias) for alias in node.names}
    above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
    module = ".".join(filter(None, (*above, node.module)))
    return {alias.asname or alias.name: f"{module}:{alias.name}" for alias in node.names}


def _whole(alias: ast.alias) -> str:
    return f"{alias.name}:" if alias.asname else f"{alias.name.partition('.')[0]}:"


class _NormalForm:
    """Turns one top-level statement into what counts of it: nested lists, and the references.

    Independent of Python's minor version as far as the grammar is: fields that are empty or say nothing are left out.
    """

    def __init__(
        self,
        module: str,
        package: str,
        imports: Mapping[str, str],
        defined: Collection[str],
        *,
        with_rules: bool = False,
    ) -> None:
        self._with_rules = with_rules
        self._in_contract = False
        self._module = module
        self._package = package
        self._imports = imports
        self._defined = defined
        self._scopes: list[Mapping[str, str | None]] = []
        self._in_class_body = False
        self._references: dict[str, int] = {}
        self._paths: list[str] = []
        self._changes: list[tuple[str, int]] = []
        self._problems: list[str] = []

    def of(self, statement: ast.stmt) -> Form:
        """The normal form of a statement at the top level of the module."""
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in statement.decorator_list:  # such as @registry.add
                self._note_change(decorator.func if isinstance(decorator, ast.Call) else decorator, "")
        is_contract = isinstance(statement, ast.ClassDef) and (
            any(self._reference(item) == _CONTRACT for item in statement.bases)
            or any(_says_how_to_judge(item) for item in statement.body)
        )
        self._in_contract = is_contract and not self._with_rules
        tree = digest(json.dumps(self._plain(statement)))
        return Form(
            tree, tuple(self._references), tuple(self._paths), tuple(self._changes), tuple(self._problems), is_contract
        )

    @singledispatchmethod
    def _plain(self, node: Any) -> Any:
        return node

    @_plain.register(list)
    def _(self, node: list[Any]) -> Any:
        return [self._plain(item) for item in node if not self._is_dropped(item)]

    @_plain.register
    def _(self, node: ast.AST) -> Any:
        fields = [[name, self._plain(value)] for name, value in ast.iter_fields(node) if name not in _IGNORED_FIELDS]
        return [type(node).__name__, *(field for field in fields if field[1] not in (None, []))]

    @_plain.register
    def _(self, node: ast.Constant) -> Any:
        if isinstance(node.value, str) and len(node.value) < _LONGEST_PATH:
            path = PurePath(node.value)
            if path.suffix in _RESOURCE_SUFFIXES and not path.is_absolute():
                self._paths.append(node.value)
        kept = node.value if isinstance(node.value, str | int | float | None) else repr(node.value)
        return ["Constant", type(node.value).__name__, kept]

    @_plain.register
    def _(self, node: ast.Name) -> Any:
        reference = self._reference(node) if isinstance(node.ctx, ast.Load) else None
        return self._numbered(reference, node.lineno) if reference else ["Name", node.id]

    @_plain.register
    def _(self, node: ast.Attribute) -> Any:
        reference = self._reference(node)
        if not isinstance(node.ctx, ast.Load):
            self._note_change(node)
        if reference:
            return self._numbered(reference, node.lineno)
        return ["Attribute", self._plain(node.value), node.attr]

    @_plain.register
    def _(self, node: ast.Subscript) -> Any:
        if not isinstance(node.ctx, ast.Load):
            self._note_change(node)
        return ["Subscript", self._plain(node.value), self._plain(node.slice)]

    @_plain.register
    def _(self, node: ast.Call) -> Any:
        imports = self._reference(node.func) in _IMPORTERS
        match node:
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if imports and not self._is_inside(name):
                return ["Import", name, self._plain(node.keywords)]
            case ast.Call(func=ast.Name(id="getattr"), args=[owner, ast.Constant(value=str(name))]):
                return self._plain(ast.copy_location(ast.Attribute(owner, name, ast.Load()), node))
            case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[owner, *_]):
                self._note_change(owner)
            case ast.Call(func=ast.Attribute(value=owner, attr="pop" | "popitem" | "setdefault")):
                self._note_change(owner)
        keywords = [item for item in node.keywords if not (self._in_contract and item.arg in _RULES)]
        return ["Call", self._plain(node.func), self._plain(node.args), self._plain(keywords)]

    @_plain.register
    def _(self, node: ast.Expr) -> Any:
        for call in (part for part in ast.walk(node) if isinstance(part, ast.Call)):
            runs_on_import = not self._scopes
            if isinstance(call.func, ast.Attribute) and (runs_on_import or call.func.attr in _CHANGING_METHODS):
                self._note_change(call.func, "")
            callee = self._reference(call.func)
            if runs_on_import and callee and self._is_inside(callee):  # such as register(function)
                for argument in call.args:
                    self._note_change(argument)
        return ["Expr", self._plain(node.value)]

    @_plain.register
    def _(self, node: ast.Global) -> Any:
        self._changes.extend((f"{self._module}:{name}.=", node.lineno) for name in node.names if name in self._defined)
        self._problems.append(f"line {node.lineno} has a global statement; take the value as an argument and return it")
        return ["Global", node.names]

    @_plain.register
    def _(self, node: ast.Import | ast.ImportFrom) -> Any:
        references = _imported(node, self._package)
        if any(self._is_inside(reference) for reference in references.values()):
            self._problems.append(
                f"line {node.lineno} imports from its own package below another statement, or a name that is also "
                "defined; import it at the top of the module under a name of its own"
            )
        return ["Import", references]

    @_plain.register
    def _(self, node: ast.AnnAssign) -> Any:
        if self._in_class_body or node.value is None:
            return ["Field", self._plain(node.target), self._plain(node.annotation), self._plain(node.value)]
        return self._plain(ast.Assign(targets=[node.target], value=node.value))

    @_plain.register
    def _(self, node: ast.arg) -> Any:
        return ["arg", node.arg]

    @_plain.register
    def _(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Any:
        decorators = [self._decorator(item) for item in getattr(node, "decorator_list", [])]
        arguments = self._plain(node.args)
        body = node.body if isinstance(node.body, list) else [node.body]
        with self._inside(_bindings([node.args, *body], self._package)):
            return [type(node).__name__, getattr(node, "name", ""), decorators, arguments, self._plain(body)]

    @_plain.register
    def _(self, node: ast.ClassDef) -> Any:
        decorators = [self._decorator(item) for item in node.decorator_list]
        bases, keywords = self._plain(node.bases), self._plain(node.keywords)
        with self._inside({}, is_class_body=True):
            return ["ClassDef", node.name, decorators, bases, keywords, self._plain(node.body)]

    @_plain.register
    def _(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> Any:
        first = self._plain(node.generators[0].iter)  # runs outside of the scope that its own targets make
        targets = _bindings([generator.target for generator in node.generators], self._package)
        with self._inside(targets, is_class_body=self._in_class_body):
            loops = [
                [
                    item.is_async,
                    self._plain(item.target),
                    self._plain(item.iter) if position else first,
                    self._plain(item.ifs),
                ]
                for position, item in enumerate(node.generators)
            ]
            made = [self._plain(getattr(node, name, None)) for name in ("elt", "key", "value")]
            return [type(node).__name__, made, loops]

    @contextmanager
    def _inside(self, scope: Mapping[str, str | None], *, is_class_body: bool = False) -> Iterator[None]:
        before, self._in_class_body = self._in_class_body, is_class_body
        self._scopes.append(scope)
        yield
        self._scopes.pop()
        self._in_class_body = before

    def _decorator(self, node: ast.expr) -> Any:
        """A decorator; of `@stage`, only what decides the data, because the rest says when and for whom it is made."""
        if not isinstance(node, ast.Call) or not f".{self._reference(node.func)}".endswith((".stage", ":stage")):
            return self._plain(node)
        kept = {item.arg or "": item.value for item in node.keywords if item.arg in {None, *_STAGE_KEYWORDS_THAT_COUNT}}
        return ["stage", [[name, self._plain(value)] for name, value in sorted(kept.items())]]

    def _is_dropped(self, node: Any) -> bool:
        if self._in_contract and self._in_class_body and _says_how_to_judge(node):
            return True
        match node:
            case ast.Import() | ast.ImportFrom():
                return bool(self._scopes) and not self._in_class_body
            case ast.AnnAssign() if self._in_class_body:
                return False
            case ast.FunctionDef(decorator_list=[ast.Call(func=ast.Attribute(attr="rule")), *_]) if self._in_contract:
                return self._in_class_body  # a rule judges data, it does not make it
        return isinstance(node, ast.stmt) and _does_nothing(node)

    def _reference(self, node: ast.AST) -> str | None:
        """Where a name and its attributes lead; None for what is local, built in, or no such chain."""
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.insert(0, node.attr)
            node = node.value
        found = self._bound_to(node.id) if isinstance(node, ast.Name) else None
        return extended(found, *attributes) if found else None

    def _bound_to(self, name: str) -> str | None:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        if name in self._defined:
            return f"{self._module}:{name}"
        hiding = f"builtins:{name}"
        return self._imports.get(name) or (hiding if hiding in _HIDING else None)

    def _numbered(self, reference: str, line: int) -> Any:
        if reference in _HIDING:
            self._problems.append(
                f"line {line} uses {reference.partition(':')[2]}, which hides what it takes; name it directly"
            )
        return ["Reference", self._references.setdefault(reference, len(self._references))]

    def _note_change(self, node: ast.expr, behind: str = "=") -> None:
        """Note that the object which `node` names, or takes an item of, is changed."""
        owner = node
        while (reference := self._reference(owner)) is None and isinstance(owner, ast.Attribute | ast.Subscript):
            owner = owner.value
        if reference and self._is_inside(reference):
            self._changes.append((extended(reference, behind if owner is node else "="), owner.lineno))

    def _is_inside(self, reference: str) -> bool:
        return re.split("[.:]", reference)[0] in ("", self._module.partition(".")[0])
