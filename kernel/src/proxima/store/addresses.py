"""Addresses that wheels come from: which are taken, and how they are shown."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from proxima.errors import UsageError


def file_address(path: str) -> str:
    """The ``file:`` address of an absolute path; `path_of` is the way back."""
    return "file://" + quote(path)


def path_of(url: str) -> str:
    """The path of a ``file:`` address; empty for any other."""
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else ""


def shown(url: str) -> str:
    """An address without user name and password, for messages."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def check_address(url: str) -> None:
    """Refuses an address that a user should not install from: anything but https, or http on this machine.

    Raises:
        UsageError: It is one, or none at all.
    """
    import ipaddress

    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        if not host or not url.isprintable() or parts.port == 0:
            raise ValueError("it names no host or port, or has characters that cannot be shown")
    except ValueError as error:
        raise UsageError(f"{without_secrets(url)!r:.200} is no address: {error}") from None
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise UsageError(f"{shown(url)}: plugins are fetched by https only", hint="Anybody on the way could change it.")
    if not re.search(r"/[\w.!+~-]+\.whl$", unquote(parts.path), re.ASCII):
        raise UsageError(f"{shown(url)} is not the address of a wheel", hint="It has to end in .whl.")
    if parts.fragment and not re.fullmatch(r"sha256=[0-9a-f]{64}", parts.fragment, re.ASCII):
        hint = "What follows # is sha256= and 64 hexadecimal digits in lower case, or nothing."
        raise UsageError(f"{shown(url)}: {parts.fragment!r:.80} cannot be checked", hint=hint)


def without_secrets(text: str) -> str:
    """The text without user names and passwords in addresses."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1", text)
