"""The contract of the service that keeps results."""

from __future__ import annotations

import secrets
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import RunOptions
from proxima.contracts.result import RunResult

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: in order, without i, l, o and u


def new_run_id() -> str:
    """A new id of 16 letters and digits: milliseconds since the epoch (until the year 3084), then 35 random bits.

    Ids sort by time, and two processes do not draw the same one.
    """
    number = (time.time_ns() // 1_000_000) << 35 | secrets.randbits(35)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """All that is needed to read a run again, and to run it again.

    Attributes:
        id: As the run was called in events and in the audit log (`new_run_id`); where empty, the store makes one.
        created: Seconds since the epoch.
        source: Where the circuit came from: a path, ``<stdin>`` or empty.
        options: As asked; ``result`` holds the seed, precision and backend that were used.
        plugin, plugin_version: Of the backend.
        host: Machine, processor count, Python and Proxima versions.
    """

    id: str = ""
    created: float = 0.0
    source: str = ""
    circuit: Circuit
    options: RunOptions
    result: RunResult
    plugin: str = ""
    plugin_version: str = ""
    host: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """One line of a listing."""

    id: str
    created: float
    circuit: str
    num_qubits: int
    backend: str
    shots: int | None
    seconds: float


class ResultStore(Protocol):
    """Keeps run records on disk. A record is stored whole or not at all."""

    @abstractmethod
    def save(self, record: RunRecord) -> str:
        """Stores a record and returns its id.

        Raises:
            StorageError: The disk is full or read-only; nothing was stored.
        """

    @abstractmethod
    def list(self, *, limit: int = 50, backend: str | None = None) -> list[RecordSummary]:
        """The newest records first."""

    @abstractmethod
    def get(self, record_id: str) -> RunRecord:
        """The record of that id, of the one id that starts so, or the newest for ``last``.

        Raises:
            NotFoundError: None or several.
        """

    @abstractmethod
    def delete(self, record_id: str) -> None:
        """Removes a record and its arrays.

        Raises:
            NotFoundError: None or several.
        """
