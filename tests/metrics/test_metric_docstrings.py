"""The examples in the docstrings are the golden numbers of each public metric."""

import doctest
import importlib
import pkgutil

import pytest

import rmx.metrics

MODULES = [f"rmx.metrics.{module.name}" for module in pkgutil.iter_modules(rmx.metrics.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_print_what_they_say(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_metric_class_has_an_example():
    finder = doctest.DocTestFinder(recurse=False)
    metrics = [
        value
        for name in rmx.metrics.__all__
        if hasattr(value := getattr(rmx.metrics, name), "update") and hasattr(value, "compute")
    ]
    assert len(metrics) >= 8
    assert [m.__name__ for m in metrics if not any(t.examples for t in finder.find(m))] == []
