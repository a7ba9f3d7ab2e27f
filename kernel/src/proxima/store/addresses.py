"""Addresses that wheels come from: which are taken, and how they are shown."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit, urlunsplit

from proxima.errors import UsageError


def shown(url: str) -> str:
    """An address without user name and password, for messages."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def check_address(url: str) -> None:
    """Refuses an address that a user should not install from: anything but https, or http on this machine.

    Raises:
        UsageError: It is one.
    """
    import ipaddress

    parts = urlsplit(url)
    try:
        loopback = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        loopback = False
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise UsageError(f"{shown(url)}: plugins are fetched by https only", hint="Anybody on the way could change it.")
    if not re.search(r"/[\w.!+~-]+\.whl$", unquote(parts.path), re.ASCII):
        raise UsageError(f"{shown(url)} is not the address of a wheel", hint="It has to end in .whl.")


def without_secrets(text: str) -> str:
    """The text without user names and passwords in addresses."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1", text)
