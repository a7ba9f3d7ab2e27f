"""What a user names to install: a distribution of an index, a wheel, a project's directory, or an address."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from string import punctuation
from typing import Literal
from urllib.parse import quote, urlsplit, urlunsplit

from proxima.errors import UsageError
from proxima.store.addresses import check_address, file_address, path_of, shown
from proxima.store.pylock import Pinned

Kind = Literal["index", "wheel", "project", "url"]

_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(\[[A-Za-z0-9._, -]+\])?\s*((?:[=<>!~]=?=?[^;@]*)?)")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a plugin comes from.

    Attributes:
        text: A distribution's name (with extras), an absolute path, or an address.
        specifier: Which versions of a distribution, e.g. ``==1.2``.
    """

    kind: Kind
    text: str
    specifier: str = ""

    def __post_init__(self) -> None:
        """It may have been read from a file, and becomes part of what a resolver is asked.

        Raises:
            UsageError: The text is not of its kind.
        """
        match self.kind:
            case "index":
                _check_requirement(self.text, self.specifier)
            case "url":
                check_address(self.text)
            case "wheel" | "project":
                if not os.path.isabs(self.text):
                    raise UsageError(f"{self.text!r:.200} is not an absolute path")
            case _:
                raise UsageError(f"{self.kind!r:.80} is no kind of source")

    def __str__(self) -> str:
        return self.public.text + self.specifier

    @property
    def public(self) -> Source:
        """The same without user name and password, for others to read."""
        return replace(self, text=shown(self.text)) if self.kind == "url" else self

    @property
    def pin(self) -> Pinned:
        """The wheel that is given by its path or address.

        Raises:
            UsageError: That does not end in a wheel's name.
        """
        parts = urlsplit(file_address(self.text) if self.kind == "wheel" else self.text)
        path, query = quote(parts.path, punctuation), quote(parts.query, punctuation)  # what is ASCII stays as it is
        try:
            url = urlunsplit(parts._replace(path=path, query=query, fragment=""))
            return Pinned.at(url, parts.fragment.removeprefix("sha256="))
        except ValueError as error:
            hint = "A wheel is called NAME-VERSION-PYTHON-ABI-PLATFORM.whl; give it the name that it was built with."
            raise UsageError(f"{self} is not called as wheels are: {error}", hint=hint) from None


def parse_source(text: str) -> Source:
    """Reads ``NAME``, ``pypi:NAME``, a wheel's path, a directory with a pyproject.toml, or the address of a wheel.

    A bare word is a name, also where a directory is called so: what lies in the current directory must not change
    what is installed.

    Raises:
        UsageError: It is none of these.
    """
    if text.startswith("file://"):
        text = path_of(text)
    if "://" in text:
        return Source("url", text)
    name = _NAME.fullmatch(text.removeprefix("pypi:"))
    path = os.path.abspath(os.path.expanduser(text))
    if text.endswith(".whl") and os.path.isfile(path):
        return Source("wheel", path)
    if (os.sep in text or text in (".", "..")) and os.path.isfile(os.path.join(path, "pyproject.toml")):
        return Source("project", path)
    if name is None or text.endswith(".whl"):
        what = "there is no such wheel" if text.endswith(".whl") else "no name, wheel, address or directory to build"
        hint = "Name a distribution, a .whl file, an https address, or a directory that holds a pyproject.toml."
        raise UsageError(f"{text}: {what}", hint=hint)
    return Source("index", name.group(1) + (name.group(2) or ""), (name.group(3) or "").strip())


def _check_requirement(text: str, specifier: str) -> None:
    name = _NAME.fullmatch(text)
    if name is None or name.group(3) or not (text + specifier).isprintable():
        raise UsageError(f"{text + specifier!r:.200} is not a distribution's name and versions of it")
    if not specifier:
        return
    from packaging.specifiers import SpecifierSet

    try:
        SpecifierSet(specifier)
    except ValueError as error:
        raise UsageError(f"{text + specifier!r:.200}: {error}", hint="Versions are given as in >=1.0,<2.") from None
