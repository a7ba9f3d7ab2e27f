"""`Layout`: where everything of the store lies, under ``<data>/store``. Constructing one creates nothing."""

from __future__ import annotations

import os
from typing import NamedTuple

from proxima.paths import Paths
from proxima.storage import storage_error

TEMPORARY = ".new-"
"""Begins the name of a file that is being fetched."""


class Layout(NamedTuple):
    """The store's places.

    Attributes:
        root: The store itself.
        downloads: Wheels as they were fetched, in Proxima's cache: they can be fetched again.
    """

    root: str
    downloads: str

    @classmethod
    def of(cls, paths: Paths) -> Layout:
        """The store of a Proxima home."""
        return cls(os.path.join(paths.data, "store"), os.path.join(paths.cache, "wheels"))

    @property
    def current(self) -> str:
        """One pointer for each installed plugin: which of its versions runs."""
        return os.path.join(self.root, "current")

    @property
    def wheels(self) -> str:
        """Each wheel unpacked once, by its sha256; import roots hold hard links to its files."""
        return os.path.join(self.root, "wheels")

    @property
    def roots(self) -> str:
        """Import roots of what plugins depend on, one for each set of wheels; versions link to the one of theirs."""
        return os.path.join(self.root, "roots")

    @property
    def work(self) -> str:
        """What is being made or removed; whoever holds the store removes what a killed process left there."""
        return os.path.join(self.root, "work")

    @property
    def journal(self) -> str:
        """The transaction that is about to swap a pointer."""
        return os.path.join(self.root, "journal")

    @property
    def turn(self) -> str:
        """Who holds a lock on this file changes the store; nobody else does."""
        return os.path.join(self.root, "lock")

    @property
    def history(self) -> str:
        """What was done, one JSON object a line."""
        return os.path.join(self.root, "history.jsonl")

    def versions(self, plugin: str = "") -> str:
        """The kept versions of a plugin; without one, of all."""
        return os.path.join(self.root, "versions", plugin).rstrip(os.sep)

    def version(self, plugin: str, name: str) -> str:
        """One kept version."""
        return os.path.join(self.root, "versions", plugin, name)


def names_in(directory: str) -> list[str]:
    """What a directory of the store holds; nothing where it is not there yet.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise storage_error("read", directory, error) from error
