"""`Screen`."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from proxima.contracts import screen as contract

if TYPE_CHECKING:
    from proxima.kernel import Kernel


class Screen(contract.Screen):
    """A Textual screen; it runs in-process, so only where the user trusts the plugin.

    Attributes:
        name: As the manifest has it.
        title: Its name in menus.
        key: The key that opens it, as Textual names it.
    """

    @abstractmethod
    def create(self, kernel: Kernel) -> Any:
        """A new ``textual.screen.Screen``; Textual is imported here and not before."""
