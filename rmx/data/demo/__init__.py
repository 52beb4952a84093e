"""The `demo` preference data, made without a download from texts that ship with Python."""

from rmx.data.demo.annotators import bayes_accuracy
from rmx.data.demo.source import DemoSource

__all__ = ["DemoSource", "bayes_accuracy"]
