"""MY_DESCRIPTION"""

from proxima_sdk import Plugin

plugin = Plugin(__package__)
