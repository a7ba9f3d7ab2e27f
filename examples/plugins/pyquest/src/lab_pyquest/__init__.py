"""QuEST through pyquest: statevectors, with a numpy older than 2."""

from proxima_sdk import Plugin

plugin = Plugin(__package__)
