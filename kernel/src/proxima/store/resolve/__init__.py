"""Finds the versions that a plugin and its dependencies can have together: one driver for each tool that can."""

from __future__ import annotations

from proxima.errors import SettingsError, UnavailableError
from proxima.store.resolve.pip import Pip
from proxima.store.resolve.piptools import PipTools
from proxima.store.resolve.resolver import Request as Request
from proxima.store.resolve.resolver import Resolver
from proxima.store.resolve.uv import Uv

DRIVERS: tuple[type[Resolver], ...] = (Uv, Pip, PipTools)
"""In the order in which they are tried."""


def resolver(name: str = "") -> Resolver:
    """The driver that is called so, or the first whose tool is installed.

    Raises:
        SettingsError: There is no such driver.
        UnavailableError: Its tool is not installed, or none is.
    """
    named = [driver for driver in DRIVERS if name in ("", driver.name)]
    if not named:
        known = ", ".join(driver.name for driver in DRIVERS)
        raise SettingsError(f"store.resolver: there is no resolver {name!r}", hint=f"The resolvers are {known}.")
    for driver in named:
        if command := driver.find():
            return driver(command)
    tools = " or ".join(driver.name for driver in named)
    hint = "Install one beside Proxima, for example: python -m pip install uv"
    raise UnavailableError(f"plugins are installed with the help of {tools}, which is not here", hint=hint)
