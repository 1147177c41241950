"""Libraries: the distributions that a stage declares, their installed releases, and the modules they install.

Asked of the metadata that installers leave; no library is imported. What a function reaches is the work of `code_version`.
"""

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterable
from functools import lru_cache

from spam_pipeline.protocol.foundation.errors import WrongDefinition

_ALWAYS_DECLARED = sys.stdlib_module_names | {"builtins", "dataframely"}
"""The standard library comes with Python. dataframely is the language of contracts: what it does to data is the protocol's doing,
which is covered by the number of its hash scheme."""


def installed_release(distribution: str) -> str:
    """The installed release of a distribution. Raises `WrongDefinition` when it isn't installed."""
    return _release(distribution, tuple(sys.path))


def is_declared(module: str, libraries: Iterable[str]) -> bool:
    """Return True if a top-level module belongs to the standard library or to one of these distributions.

    >>> is_declared("math", []), is_declared("polars", ["polars"]), is_declared("sklearn", ["scikit-learn"])
    (True, True, True)
    >>> is_declared("numpy", ["polars", "scikit-learn"])
    False
    """
    return (
        module in _ALWAYS_DECLARED
        or any(re.sub(r"[-.]", "_", name).lower() == module.lower() for name in libraries)
        or any(_installs(name, module, tuple(sys.path)) for name in libraries)
    )


def way_out(module: str, stage: str) -> str:
    """Say what to do about a top-level module that the function of a stage reaches and does not declare."""
    names = sorted(set(importlib.metadata.packages_distributions().get(module, ())))
    own = f"name it in own_packages of the StageGraph, or in SPAM_PIPELINE_OWN_PACKAGES: {module}"
    if not names:
        return f"no installed distribution has it; if it is a package of your own, {own}"
    declared = " or ".join(f'"{name}"' for name in names)
    return f"add {declared} to the libraries of {stage}; or, if it is a package of your own, {own}"


def line_of_import(module: str, source: str) -> int:
    r"""The first line of a source that imports a top-level module, or names it to `import_module`.

    >>> line_of_import("numpy", "import math\nfrom numpy.linalg import norm\n")
    2
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                named = [alias.name for alias in aliases]
            case ast.ImportFrom(module=str(name), level=0):
                named = [name]
            case ast.Call(args=[ast.Constant(value=str(name)), *_]):
                named = [name]
            case _:
                continue
        if module in {name.partition(".")[0] for name in named}:
            return int(node.lineno)
    raise AssertionError(f"nothing in the source imports {module}")


@lru_cache
def _release(distribution: str, _path: tuple[str, ...]) -> str:
    """The release on this path of imports; finding it reads a file of some hundred lines."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError as missing:
        raise WrongDefinition(
            f"the declared library {distribution} isn't installed: install it, or correct the distribution's name"
        ) from missing


@lru_cache
def _installs(distribution: str, module: str, _path: tuple[str, ...]) -> bool:
    """Return True if a distribution has a top-level module, by the list of its files."""
    found = importlib.metadata.distribution(distribution)
    listed = f"{found.read_text('top_level.txt') or ''}\n{found.read_text('RECORD') or ''}"
    return re.search(rf"^{re.escape(module)}(/|\.|$)", listed, re.MULTILINE) is not None
