"""qulacs: a fast simulator of statevectors in C++."""

from proxima_sdk import Plugin

plugin = Plugin(__package__)
