"""What is wrong with a wheel or with the plugin in it: said once, and shown, refused or printed as JSON elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from proxima.errors import UsageError

Level = Literal["error", "warning", "note"]


class Problem(NamedTuple):
    """One finding.

    Attributes:
        code: A stable name for programs, e.g. ``record-hash``.
        message: What was expected and what was found.
        where: The entry of the archive, ``FILE:LINE`` or the field that it is about; empty for the whole.
        level: An ``error`` keeps the wheel out; a ``note`` tells what is left out of it.
        hint: What to do about it.
    """

    code: str
    message: str
    where: str = ""
    level: Level = "error"
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class WheelError(UsageError):
    """A wheel that is not taken in; the message names the file, the entry and what is wrong.

    Args:
        source: The file.
        problems: Each reason.
    """

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        shown = [str(problem) for problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            shown.append(f"and {len(problems) - _SHOWN} more")
        hint = next((problem.hint for problem in problems if problem.hint), None)
        super().__init__("\n".join(f"{source}: {line}" for line in shown), hint=hint)
        self.problems = tuple(problems)


_SHOWN = 5
