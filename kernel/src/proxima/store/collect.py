"""Removes what no plugin needs: versions beyond those that are kept, and what none of the kept ones links to."""

from __future__ import annotations

import os
from contextlib import suppress

from proxima.plugins.scan import DEPENDENCIES
from proxima.store.disk import remove
from proxima.store.layout import Layout, names_in
from proxima.store.pointer import directory_of, read_pointer
from proxima.store.versions import versions_of


def keep_last(layout: Layout, plugin: str, keep: int) -> int:
    """Removes the oldest versions of a plugin, damaged ones before them and never the current one; gives how many.

    Args:
        layout: The store, which the caller holds.
        plugin: Its id.
        keep: How many to keep, the current one among them. All go where there is no pointer, and none where it leads
            to none of them: one of them may still be what the user wants to go back to.
    """
    there, pointer = names_in(layout.versions(plugin)), read_pointer(layout.root, plugin)
    if pointer is None:
        remove(layout, layout.versions(plugin))
        return len(there)
    current = directory_of(pointer)
    if current not in there:
        return 0
    sound = [each.directory for each in versions_of(layout, plugin)]
    doomed = list(dict.fromkeys((current, *sound, *there)))[keep:]
    for name in doomed:
        remove(layout, layout.version(plugin, name))
    return len(doomed)


def unused_roots(layout: Layout) -> list[str]:
    """Import roots that no version links to, and none that another transaction is making."""
    used = set()
    for base in (layout.versions(), layout.work):
        paths = (os.path.join(base, name) for name in names_in(base))
        for path in (os.path.join(each, name) for each in paths if os.path.isdir(each) for name in names_in(each)):
            with suppress(OSError):  # it is not a version, or one that has all in one directory
                used.add(os.path.basename(os.readlink(os.path.join(path, DEPENDENCIES))))
    return [os.path.join(layout.roots, name) for name in names_in(layout.roots) if name not in used]


def unused_wheels(layout: Layout) -> list[str]:
    """Directories of unpacked wheels of which nothing is linked: RECORD, which each wheel has, has one name only."""
    unused = []
    for name in names_in(layout.wheels):
        path = os.path.join(layout.wheels, name)
        info = next((each for each in names_in(path) if each.endswith(".dist-info")), "")
        record = os.path.join(path, info, "RECORD")
        if not info or not os.path.exists(record) or os.stat(record).st_nlink == 1:
            unused.append(path)
    return unused


def remove_unused(layout: Layout) -> None:
    """Removes import roots and then unpacked wheels that no version needs."""
    for unused in (unused_roots, unused_wheels):
        for path in unused(layout):
            remove(layout, path)
