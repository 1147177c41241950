"""The normal forms of source files, kept beside the bytecode that Python keeps of them, so that a process parses nothing twice.

They lie in `__pycache__`, or below `PYTHONPYCACHEPREFIX`: whoever can write there can replace the code that runs as well, so
that a kept form needs no more trust than the code it stands for. Where nothing can be written, files are parsed again.
"""

import hashlib
import sys
from contextlib import suppress
from functools import lru_cache
from importlib.util import cache_from_source
from pathlib import Path

from pydantic import TypeAdapter

from spam_pipeline.protocol.code_version import normal_form
from spam_pipeline.protocol.code_version.normal_form import Module, read_module
from spam_pipeline.protocol.foundation.digest import digest, digest_of_file

_MODULE = TypeAdapter(Module)

_RULES = digest_of_file(Path(normal_form.__file__))
"""The number of the scheme of normal forms: the digest of the code that makes them, which nobody can forget to raise.

Taken when this module is loaded, as that code is: a file that is edited later would seal forms by rules that did not make them.
"""


@lru_cache(maxsize=1024)
def kept_module(name: str, path: Path, source: str, own_packages: frozenset[str] = frozenset()) -> Module:
    """The module with this source, as `read_module` takes it apart.

    The kept file begins with a seal: a hash of everything that it was made from and of its text. An edited source, another
    Python, an edited rule of normal forms, a torn file or a changed bit breaks it, and then the source is parsed; that is
    also why several processes may write the same file at once.
    """
    place = Path(cache_from_source(path)).with_suffix(".forms")
    source_digest = digest((sys.version, _RULES, name, str(path), source, sorted(own_packages)))
    with suppress(OSError, ValueError):
        seal, _, text = place.read_text(encoding="utf-8").partition("\n")
        if seal == _seal(source_digest, text):
            return _MODULE.validate_json(text)
    module = read_module(name, path, source, own_packages)
    text = _MODULE.dump_json(module).decode()
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{_seal(source_digest, text)}\n{text}", encoding="utf-8")
    return module


def _seal(source_digest: str, text: str) -> str:
    return hashlib.sha256(f"{source_digest}\n{text}".encode()).hexdigest()
