"""Decorators of one's own for stages say nothing that decides the data: their own definition does not count in code versions."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "spam_pipeline"
DECIDE_THE_DATA = {"contract", "side_parts", "private_parts", "delivery", "file_by_file", "small_files_together"}


def decorators(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The assignments of names that end in `stage`, as `normal_form` tells decorators of stages by."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id.endswith("_stage")
        ):
            yield node.targets[0].id, node.value


def is_harmless(value: ast.expr) -> bool:
    """Whether a decorator is `partial(stage, ...)`, or one of another such, without a keyword that decides the data."""
    match value:
        case ast.Call(func=ast.Name(id="partial"), args=[ast.Name(id=inner)], keywords=keywords):
            return inner.endswith("stage") and not DECIDE_THE_DATA & {item.arg for item in keywords}
    return False


def test_no_decorator_of_a_stage_decides_its_data() -> None:
    found = {
        f"{path.stem}.{name}": is_harmless(value)
        for path in PACKAGE.rglob("assets.py")
        for name, value in decorators(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found
    assert all(found.values()), found


def test_one_that_does_is_found() -> None:
    for source in ("a_stage = partial(stage, side_parts={})", "a_stage = timed(stage)", "a_stage = wrapped"):
        ((_, value),) = decorators(ast.parse(source))
        assert not is_harmless(value)
