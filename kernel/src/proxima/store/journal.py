"""The one moment that counts: a pointer is swapped, and what belongs to that is done, however often that is cut short.

A transaction works under names that nobody reads. Before it swaps a pointer it writes what it is about to do. Whoever
comes after a process that was killed finds that, looks at the pointer and knows: it was not swapped, and all is as
before; or it was, and what was left to do (grants, the audit log, the history) is done now.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from proxima.paths import Paths
from proxima.storage import storage_error, write_atomic
from proxima.store.layout import Layout, names_in


@dataclass(frozen=True, slots=True)
class Entry:
    """A swap.

    Attributes:
        action: ``install``, ``update``, ``rollback`` or ``uninstall``.
        before: The version's directory that the pointer led to, or empty.
        after: The one it is to lead to, or empty.
        grants: Permissions that the user granted with it.
        permissions: Those that the version declares.
        made: The directory ``after`` is new: where the swap was not done, it goes.
        why: In whose name, or what it was made from.
        process: Whose transaction it is.
        time: Seconds since the epoch.
    """

    action: str
    plugin: str
    distribution: str
    before: str
    after: str
    version: str
    version_before: str = ""
    grants: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    made: bool = False
    why: str = ""
    process: int = field(default_factory=os.getpid)
    time: float = field(default_factory=time.time)

    @property
    def name(self) -> str:
        """The transaction's own name."""
        return f"{self.time:.6f}-{self.process}"


def open_entry(layout: Layout, entry: Entry) -> None:
    """Writes what is about to be done.

    Raises:
        StorageError: The disk is full or read-only.
    """
    write_atomic(os.path.join(Paths.ensure(layout.journal), entry.name), json.dumps(asdict(entry)))


def close_entry(layout: Layout, entry: Entry) -> None:
    """Forgets it: all of it is done, or none.

    Raises:
        StorageError: It cannot be removed.
    """
    path = os.path.join(layout.journal, entry.name)
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage_error("remove", path, error) from error


def entries_left(layout: Layout) -> Iterator[Entry]:
    """What was left over by processes that were killed; a file that makes no sense was left by none, and goes."""
    for name in sorted(names_in(layout.journal)):
        path = os.path.join(layout.journal, name)
        try:
            with open(path, encoding="utf-8") as file:
                values = json.load(file)
            entry = Entry(**{**values, "grants": tuple(values["grants"]), "permissions": tuple(values["permissions"])})
        except (ValueError, TypeError, KeyError):
            os.unlink(path)
            continue
        yield entry


def remember(layout: Layout, entry: Entry, outcome: str = "done") -> None:
    """Adds a line to the history.

    Raises:
        StorageError: The disk is full or read-only.
    """
    values = asdict(entry)
    line = {"transaction": entry.name, "outcome": outcome, **{k: v for k, v in values.items() if k != "permissions"}}
    try:
        descriptor = os.open(layout.history, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, (json.dumps(line) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_error("write", layout.history, error) from error


def is_remembered(layout: Layout, entry: Entry) -> bool:
    """Whether the history has a line of this transaction."""
    return any(each.get("transaction") == entry.name for each in history(layout, last=50))


def history(layout: Layout, plugin: str | None = None, last: int = 0) -> list[dict[str, object]]:
    """What was done, oldest first.

    Args:
        layout: The store.
        plugin: Only to this one.
        last: Only so many of the newest; 0 for all.
    """
    try:
        with open(layout.history, encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise storage_error("read", layout.history, error) from error
    found = []
    for line in lines[-last:]:
        try:
            each = json.loads(line)
        except ValueError:
            continue  # a machine that lost power left half a line
        if isinstance(each, dict) and plugin in (None, each.get("plugin")):
            found.append(each)
    return found
