"""The worked examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import spam_pipeline

MODULES = [
    module.name
    for module in pkgutil.walk_packages(spam_pipeline.__path__, "spam_pipeline.")
    if not module.ispkg and module.name != "spam_pipeline.definitions"
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) > 10
