"""`Service`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxima.kernel import Kernel


class Service:
    """What others ask the kernel for by contract; it runs in-process, so only where the user trusts the plugin.

    A subclass also fulfils the contract that the manifest names::

        class SqliteStore(Service, ResultStore):
            ...

    Attributes:
        kernel: The kernel that it serves.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def close(self) -> None:
        """Gives back what it holds; called when a kernel closes, while another of this process may go on using it."""
