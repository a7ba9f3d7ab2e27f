"""What a plugin was granted when its worker was born, held against what the user says now, in whichever process."""

from __future__ import annotations

from proxima.permissions import Grants, Permission


class Holding:
    """The decisions about one plugin, as they were at the last look; a look costs one query.

    Args:
        grants: Where they are; other processes change them too.
        plugin: Its id.
    """

    def __init__(self, grants: Grants, plugin: str) -> None:
        self._grants = grants
        self._plugin = plugin
        self._granted, self._denied = self._decided()

    def taken_back(self) -> list[Permission]:
        """What was granted at the last look and is not now, and what was denied for good since.

        A question that the user answers with no takes nothing back: it holds for the session.

        Raises:
            StorageError: The decisions cannot be read.
        """
        granted, denied = self._decided()
        lost = [each for each in self._granted - granted if not self._grants.check(self._plugin, each).granted]
        denials = denied - self._denied
        self._granted, self._denied = granted, denied
        return sorted(denials.union(lost), key=str)

    def _decided(self) -> tuple[frozenset[Permission], frozenset[Permission]]:
        decisions = self._grants.decisions(self._plugin)
        granted = frozenset(each.permission for each in decisions if each.granted)
        return granted, frozenset(e.permission for e in decisions if not e.granted and e.scope == "always")
