"""The contract of a plugin that adds a command to the ``proxima`` command line."""

from __future__ import annotations

import argparse
from abc import abstractmethod
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxima.kernel import Kernel


class Command(Protocol):
    """A subcommand ``proxima NAME ...``, with a line for ``proxima --help`` that the manifest's description repeats.

    A name of two words, such as ``bench run``, is a subcommand of a group; several plugins may add to one group.
    """

    name: str
    summary: str

    @abstractmethod
    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds arguments, subcommands, a description and examples. Commands that print data take ``--json``."""

    @abstractmethod
    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Does the work and returns the exit code (0 done, 1 failed).

        Raises:
            ProximaError: Shown to the user as message and hint; its ``exit_code`` becomes the process's.
        """
