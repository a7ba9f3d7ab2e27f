"""`Backend`."""

from __future__ import annotations

import importlib.util
import sys
from abc import abstractmethod
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

from proxima.contracts import backend as contract
from proxima.contracts.backend import Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.features import Features
from proxima.contracts.result import RunResult


class Backend(contract.Backend):
    """A simulator or device. It imports its engine in `plan`, never at module level, and holds no state but caches.

    Attributes:
        name: As the manifest has it.
        engine: The distributions that it computes with, each with the module to import: ``{"qulacs": "qulacs"}``.
    """

    engine: ClassVar[Mapping[str, str]] = {}

    def probe(self) -> Probe:
        """Whether every distribution of `engine` is here, with its version; imports none of them."""
        for distribution, module in self.engine.items():
            if module not in sys.modules and importlib.util.find_spec(module) is None:
                return Probe("not_installed", f"{distribution} is not installed", f"pip install {distribution}")
        return Probe("available", versions={name: _version(name, module) for name, module in self.engine.items()})

    @abstractmethod
    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """What the request would cost; ``features`` are those of the request's circuit. Imports no engine.

        What `plan` would refuse is ``Estimate(False, reason)``.
        """

    @abstractmethod
    def plan(self, request: RunRequest) -> Plan:
        """Translates the circuit.

        Raises:
            BackendUnavailableError: The engine is missing or cannot be loaded.
            UnsupportedError: The circuit or the request needs what the backend cannot do; the message names it.
            ResourceError: The state would be larger than this machine's memory.
        """

    @abstractmethod
    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs a plan and returns what its request wants; calls ``context.check()`` at least every half second.

        Arrays have qubit 0 as the least significant bit of the index: a statevector has shape (2^n,), a density matrix
        (2^n, 2^n), samples (shots, number of classical bits). Bit strings have the highest classical bit first.

        Raises:
            CancelledError, DeadlineExceededError: Raised by ``context.check()``.
            RunError: The engine failed.
        """


def _version(distribution: str, module: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # a worker has numpy from the host, without its metadata
        return str(getattr(sys.modules.get(module), "__version__", ""))
