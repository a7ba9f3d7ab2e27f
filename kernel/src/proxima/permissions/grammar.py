"""The permission grammar: what a plugin may ask for, written as text and compared exactly.

execute_circuits   subprocess   database   gpu   llm   memory   git   ui
file_read[:workspace | :PATH | :all]     without a scope: workspace
file_write[:workspace | :PATH | :all]
network[:HOST[:PORT]]                    a name or IPv4 address; without a port: 443; without a host: any public
                                         host on port 443
secrets:NAME                             one secret, such as a service's key; NAME in capitals
TOOL.ACTION[:PATTERN]                    an agent's rule, such as `terminal.run:git *`
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from proxima.errors import UsageError
from proxima.nearest import did_you_mean
from proxima.paths import Paths, user_home

MAX_LENGTH = 4096

_PLAIN = {
    "execute_circuits": ("low", "Run quantum circuits"),
    "ui": ("low", "Show views in the user interface"),
    "gpu": ("low", "Compute on the graphics card"),
    "memory": ("medium", "Read and write what agents remember"),
    "llm": ("medium", "Ask a language model, which may cost money and sends it the text"),
    "database": ("medium", "Read and write Proxima's stored results"),
    "git": ("medium", "Run git in the workspace"),
    "subprocess": ("critical", "Run any program on this computer as you (dangerous)"),
}
_FILES = {"file_read": "Read", "file_write": "Create, change and delete"}
_SECRET = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)
_RULE = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SHELL_OPERATORS = frozenset(";&|<>$`()\\")
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")

KINDS = (*_PLAIN, *_FILES, "network", "secrets")


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission in canonical form; `parse` makes it, `str` writes it.

    Attributes:
        kind: The part before the first colon.
        value: The scope, path, host or pattern after it in canonical form, or empty.
    """

    kind: str
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> Permission:
        """Read a permission.

        A path may start with `~/`; symbolic links in it are followed now, so that what is granted is the place the
        user saw and not where a link points later. Parsing the canonical form gives the same permission again.

        Raises:
            UsageError: it is not in the grammar, or asks for a place that is never granted: the home directory or
                one above it, or Proxima's own directories.
        """
        if not text.isprintable() or len(text) > MAX_LENGTH:
            raise _refused(text[:100], "it has characters that cannot be shown, or is too long")
        kind, colon, value = text.partition(":")
        if colon and (not value or value != value.strip()):
            raise _refused(text, "nothing, or a space, stands at an end of what follows the colon")
        if kind in _FILES:
            return cls(kind, value if value in ("workspace", "all") else _path(text, value) if value else "workspace")
        if kind == "network":
            return cls(kind, _endpoint(text, value) if value else "")
        if kind == "secrets":
            if not _SECRET.fullmatch(value):
                raise _refused(text, "a secret has a name in capitals", "Write it as secrets:IBM_TOKEN.")
            return cls(kind, value)
        if kind in _PLAIN:
            if value:
                raise _refused(text, f"{kind} takes nothing after it")
            return cls(kind)
        if _RULE.fullmatch(kind):
            return cls(kind, re.sub(r"\*+", "*", value))
        near = did_you_mean(kind, KINDS)
        raise _refused(text, "there is no such permission", near or f"There are {', '.join(sorted(KINDS))}.")

    @classmethod
    def stored(cls, text: str) -> Permission:
        """The inverse of `str`, for text that `parse` made canonical before; follows no links and checks nothing."""
        kind, _, value = text.partition(":")
        return cls(kind, value)

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}" if self.value else self.kind

    def covers(self, other: Permission, *, workspace: str | None = None) -> bool:
        """Whether who has this permission may do what the other describes.

        Args:
            other: What is asked for.
            workspace: The workspace's directory, so that `workspace` and paths compare; without it they never do.
        """
        if self.kind != other.kind:
            return False
        if self.kind in _FILES:
            return _covers_files(self.within(workspace).value, other.within(workspace).value)
        if self.value == other.value:
            return True
        if self.kind == "network":
            return not self.value and _is_public_default(other.value)
        return _matches(self.value, other.value)

    def within(self, workspace: str | None) -> Permission:
        """This permission with `workspace` replaced by its directory; unchanged where that may not be granted."""
        if self.value != "workspace" or workspace is None:
            return self
        try:
            return Permission(self.kind, _path(str(self), workspace))
        except UsageError:  # a workspace that is the home directory does not open the home directory
            return self

    @property
    def risk(self) -> str:
        """`low`, `medium`, `high` or `critical`."""
        if self.kind in _PLAIN:
            return _PLAIN[self.kind][0]
        if self.kind in _FILES:
            level = {"workspace": 0, "all": 2}.get(self.value, 1) + (self.kind == "file_write")
            return ("low", "medium", "high", "critical")[level]
        if self.kind == "secrets":
            return "high"
        if self.kind == "network":
            return "medium" if self.value and _is_public_default(self.value) else "high"
        return "high" if self.value in ("", "*") else "medium"

    def describe(self) -> str:
        """What it allows, in words for someone who sees it for the first time."""
        if self.kind in _PLAIN:
            return _PLAIN[self.kind][1]
        if self.kind in _FILES:
            verb = _FILES[self.kind]
            if self.value == "all":
                return f"{verb} files anywhere on this computer (dangerous)"
            place = "the workspace, the directory you work in" if self.value == "workspace" else self.value
            return f"{verb} files in {place}"
        if self.kind == "network":
            if not self.value:
                return "Connect to any site on the internet: it can send anything anywhere"
            host, _, port = self.value.partition(":")
            private = "" if is_public_name(host) else ", which is this computer or its own network"
            return f"Connect to {host} on port {port or 443}{private}"
        if self.kind == "secrets":
            return f"Read your secret {self.value}"
        return f"Use {self.kind}" + (f" for: {self.value}" if self.value else " for anything")


def _refused(text: str, why: str, hint: str | None = None) -> UsageError:
    return UsageError(f"permission {text!r}: {why}", hint=hint)


def _path(text: str, value: str) -> str:
    if value == "~" or value.startswith("~/"):
        value = user_home() + value[1:]
    if not os.path.isabs(value):
        raise _refused(text, "the path must be absolute", "Write workspace, all, /a/path or ~/a/path.")
    if ".." in value.replace(os.sep, "/").split("/"):
        raise _refused(text, "a path with .. is never granted", "Write the directory itself.")
    if os.sep == "/":
        value = "/" + value.lstrip("/")  # two leading slashes would stay
    written, real = _normal(value), _normal(os.path.realpath(value))
    if not real.isprintable():
        raise _refused(text, "it leads to a name with characters that cannot be shown")
    home, paths = user_home(), Paths.default()
    for protected in (home, paths.config, paths.data, paths.state, paths.cache):
        for form in (_normal(protected), _normal(os.path.realpath(protected))):
            if _is_beneath(form, written) or _is_beneath(form, real):
                what = "the home directory" if protected == home else "Proxima's own directories"
                why = f"{real} is or contains {what}, which is never granted"
                raise _refused(text, why, "Name a directory further down.")
            if protected != home and _is_beneath(real, form):
                raise _refused(text, f"{real} is in Proxima's own directories, which are never granted")
    return real


def _normal(path: str) -> str:
    return os.path.normcase(os.path.normpath(path))


def _is_beneath(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)


def _covers_files(granted: str, asked: str) -> bool:
    if granted == "all" or granted == asked:
        return True
    return granted != "workspace" and asked not in ("workspace", "all") and _is_beneath(asked, granted)


def _endpoint(text: str, value: str) -> str:
    name, colon, port = value.partition(":")
    if "/" in value:
        raise _refused(text, "that is more than a host", "Write the host alone: network:example.org.")
    host, port = _host(text, name), port if colon else "443"
    if not re.fullmatch(r"[1-9][0-9]{0,4}", port, re.ASCII) or int(port) > 65535:
        raise _refused(text, f"{port!r} is not a port", "A port is a number from 1 to 65535.")
    return host if port == "443" else f"{host}:{port}"


def _host(text: str, name: str) -> str:
    host = name.lower() if name.isascii() else ""
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        hint = "Write it in ASCII without wildcards or a trailing dot: example.org."
        raise _refused(text, f"{name!r} is not a host name", hint)
    # Resolvers read 127.1, 0x7f.1 and 2130706433 as addresses too; one spelling is enough.
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1], re.ASCII):
        import ipaddress

        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise _refused(text, f"{name!r} is neither a host name nor an IPv4 address") from None
    return host


def is_public_name(host: str) -> bool:
    """Whether a host, as a permission has it, is one on the internet and not this computer or its own network."""
    if host.rpartition(".")[2].isdigit():
        import ipaddress

        return ipaddress.IPv4Address(host).is_global
    return "." in host and not host.endswith(_PRIVATE_SUFFIXES)


def _is_public_default(value: str) -> bool:
    return not value or (":" not in value and is_public_name(value))


def _matches(pattern: str, asked: str) -> bool:
    """Whether a rule's pattern, in which `*` is any text, covers a use or a narrower pattern."""
    if not pattern:
        return True
    # `git *` must not let through `git status; rm -r .`: what has shell operators is asked for word by word.
    if not asked or _SHELL_OPERATORS.intersection(asked):
        return False
    from fnmatch import fnmatchcase

    return fnmatchcase(asked, re.sub(r"[?[]", r"[\g<0>]", pattern))
