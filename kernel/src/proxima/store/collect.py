"""Removes what no plugin needs: versions beyond those that are kept, and wheels that no version links to."""

from __future__ import annotations

import os

from proxima.store.disk import remove
from proxima.store.layout import Layout, names_in
from proxima.store.versions import versions_of


def keep_last(layout: Layout, plugin: str, keep: int) -> int:
    """Removes the oldest versions of a plugin, never the current one; gives how many.

    Args:
        layout: The store, which the caller holds.
        plugin: Its id.
        keep: How many to keep, the current one among them; all go where there is no pointer.
    """
    kept = versions_of(layout, plugin)
    if any(each.current for each in kept):
        kept.sort(key=lambda each: not each.current)
        doomed = kept[keep:]
    else:
        doomed = kept
    for each in doomed:
        remove(layout, layout.version(plugin, each.directory))
    if len(doomed) == len(kept) and os.path.isdir(layout.versions(plugin)):
        remove(layout, layout.versions(plugin))
    return len(doomed)


def unused_wheels(layout: Layout) -> list[str]:
    """Directories of unpacked wheels that no version has a link to: RECORD, which each wheel has, has one name only."""
    unused = []
    for name in names_in(layout.wheels):
        path = os.path.join(layout.wheels, name)
        info = next((each for each in names_in(path) if each.endswith(".dist-info")), "")
        record = os.path.join(path, info, "RECORD")
        if not info or not os.path.exists(record) or os.stat(record).st_nlink == 1:
            unused.append(path)
    return unused


def remove_unused(layout: Layout) -> int:
    """Removes unpacked wheels that no version needs; gives how many."""
    unused = unused_wheels(layout)
    for path in unused:
        remove(layout, path)
    return len(unused)
