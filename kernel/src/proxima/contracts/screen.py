"""The contract of a terminal screen."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from proxima.kernel import Kernel


class Screen(Protocol):
    """A Textual screen, its title in menus and the key that opens it; for first-party and trusted plugins only."""

    name: str
    title: str
    key: str

    @abstractmethod
    def create(self, kernel: Kernel) -> Any:
        """A new ``textual.screen.Screen``; Textual is imported here and not before."""
