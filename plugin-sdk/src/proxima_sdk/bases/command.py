"""`Command`."""

from __future__ import annotations

import argparse
from abc import abstractmethod
from typing import TYPE_CHECKING

from proxima.contracts import command as contract

if TYPE_CHECKING:
    from proxima.kernel import Kernel


class Command(contract.Command):
    """A subcommand ``proxima NAME ...``; it runs in-process, so only where the user trusts the plugin.

    Attributes:
        name: As the manifest has it.
        summary: One line for ``proxima --help``; the manifest's description repeats it.
    """

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds arguments and examples; here there are none."""
        parser.description = self.summary

    @abstractmethod
    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Does the work and returns the exit code: 0 done, 1 failed.

        Raises:
            ProximaError: Shown to the user as message and hint; its ``exit_code`` becomes the process's.
        """
