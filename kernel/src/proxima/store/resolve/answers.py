"""What was answered to the same question before; it is made and tried while the index is asked again.

It is a guess and no more: what the resolver answers now is what counts. So a file that is lost or damaged is no loss.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress

from proxima.errors import StorageError
from proxima.paths import Paths
from proxima.store.layout import names_in
from proxima.store.pylock import Pinned, pylock_text, read_pylock
from proxima.store.resolve.resolver import Request

_MOST = 256  # files of a kilobyte or two


class Answers:
    """The last answers, one file each.

    Args:
        directory: Need not exist.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def last(self, question: str) -> list[Pinned] | None:
        """The wheels that were the last answer; ``None`` where it was not asked before."""
        with suppress(StorageError):
            return read_pylock(os.path.join(self._directory, question))
        return None

    def keep(self, question: str, pins: Iterable[Pinned]) -> None:
        """Has an answer for the next time; nothing is kept where the disk is full or read-only."""
        with suppress(OSError):  # StorageError is one
            path = os.path.join(Paths.ensure(self._directory), question)
            with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
                file.write(pylock_text(pins))
            os.replace(file.name, path)
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        paths = [os.path.join(self._directory, name) for name in names_in(self._directory)]
        if len(paths) > _MOST:
            for path in sorted(paths, key=os.path.getmtime)[:-_MOST]:
                os.unlink(path)


def question(request: Request, requirements: Sequence[str]) -> str:
    """The name of a question, the same for the same one.

    Args:
        request: Its index and what is provided, with versions, count.
        requirements: Instead of its own, which name a file.
    """
    asked = (sorted(requirements), request.index, sorted(request.provided.values()), sys.version, sys.platform)
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:32]
