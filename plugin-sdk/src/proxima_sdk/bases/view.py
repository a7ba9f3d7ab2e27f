"""`View`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from proxima.contracts import view as contract
from proxima.contracts.view import Group
from proxima.errors import UsageError


class View(contract.View):
    """An interface as data, which the host draws.

    Attributes:
        name: As the manifest has it.
        title: Shown above it.
    """

    @abstractmethod
    def show(self) -> Group:
        """What is to be seen now."""

    def act(self, action: str, values: Mapping[str, Any]) -> Group:
        """Performs an action of one of its buttons or forms and returns what is to be seen then; here there is none.

        Raises:
            UsageError: There is no such action.
        """
        raise UsageError(f"the view {self.name} has no action {action!r}")
