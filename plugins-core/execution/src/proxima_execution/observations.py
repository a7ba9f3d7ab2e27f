"""`Observations`: what runs on this machine took against their estimates, and how that corrects the next estimate."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from proxima.errors import StorageError
from proxima.storage import Database, open_database
from proxima_execution.host import fingerprint

Floats = npt.NDArray[np.float64]

_KEPT = 64  # runs of one kind; older ones tell of a machine or an engine that may have changed
_NEAR = math.log(10) / 2  # runs half a decade away in time tell little of this one
_PRIOR = 1.0  # how many runs it takes to outweigh the calibration
_MIGRATIONS = (
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        host TEXT NOT NULL,
        backend TEXT NOT NULL,
        method TEXT NOT NULL,
        versions TEXT NOT NULL,
        cold INTEGER NOT NULL,
        work TEXT NOT NULL,
        seconds REAL NOT NULL,
        created REAL NOT NULL
    );
    CREATE INDEX runs_by_kind ON runs (host, backend, method, versions, cold, id);
    """,
)


class Kind(NamedTuple):
    """Runs that are held against each other.

    Attributes:
        method: As the backend's estimate called it.
        versions: Of the engine, as text.
        cold: Whether the run was the first on its backend in its process.
    """

    backend: str
    method: str
    versions: str
    cold: bool

    @classmethod
    def of(cls, backend: str, method: str, versions: Mapping[str, str], *, cold: bool) -> Kind:
        """With the versions as text."""
        return cls(backend, method, json.dumps(dict(sorted(versions.items()))), cold)


@dataclass(frozen=True, slots=True)
class Correction:
    """What past runs make of an estimate.

    Attributes:
        factor: What the estimated time is multiplied by.
        runs: How many past runs there are of this kind.
        typical: By what factor the estimates of those runs miss, each corrected by the others alone: the geometric
            mean; ``None`` where there are fewer than two.
    """

    factor: float = 1.0
    runs: int = 0
    typical: float | None = None


class Observations:
    """Past runs in a small database; the last ones of each kind.

    A time is compared with what the rates in force now make of its work, so that a new calibration counts at once and
    is not corrected for what an old one got wrong.

    Args:
        path: Of the database; it is made when the first run is added.
        warn: Told once why runs are not remembered.
    """

    def __init__(self, path: str, warn: Callable[[str], object]) -> None:
        self.path = path
        self._warn = warn
        self._database: Database | None = None
        self._failed = False
        self._host = json.dumps(fingerprint())
        self._runs: dict[Kind, list[tuple[Mapping[str, float], float]]] = {}
        self._logs: dict[tuple[Kind, str], tuple[Floats, Floats]] = {}
        self._lock = threading.RLock()

    def add(self, kind: Kind, work: Mapping[str, float], seconds: float) -> None:
        """Remembers a run: the work of its estimate and the seconds it took, the import of its engine aside."""
        if not work or not 0 < seconds < math.inf:
            return
        with self._lock:
            runs = self._of(kind)
            runs.append((dict(work), seconds))
            del runs[:-_KEPT]
            self._logs = {key: value for key, value in self._logs.items() if key[0] != kind}
            database = self._open(make=True)
            if database is None:
                return
            try:
                with database.transaction():
                    database.execute(
                        "INSERT INTO runs (host, backend, method, versions, cold, work, seconds, created) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        (self._host, *kind, json.dumps(dict(work)), seconds, time.time()),
                    )
                    if len(runs) == _KEPT:
                        database.execute(
                            "DELETE FROM runs WHERE host = ? AND backend = ? AND method = ? AND versions = ? AND "
                            "cold = ? AND id <= (SELECT id FROM runs WHERE host = ? AND backend = ? AND method = ? "
                            "AND versions = ? AND cold = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                            (self._host, *kind, self._host, *kind, _KEPT),
                        )
            except StorageError as error:
                self._tell(error)

    def correction(self, kind: Kind, rates: Mapping[str, float], predicted: float, *, fit: bool = False) -> Correction:
        """What past runs of this kind make of an estimate.

        The factor is the weighted median of measured over predicted time. Runs near in predicted time weigh most, and
        the calibration itself counts as one run that was predicted exactly: so neither a single run nor one that
        something else held up moves an estimate far.

        Args:
            kind: Of the run to come.
            rates: Seconds per unit of work in force.
            predicted: The estimated time by these rates.
            fit: Whether to say how well past estimates fit, which takes longer.
        """
        with self._lock:
            misses, sizes = self._compared(kind, rates)
        if not len(misses) or not 0 < predicted < math.inf:
            return Correction(runs=len(misses))
        factor = math.exp(_median(misses, sizes, math.log(predicted)))
        return Correction(factor, len(misses), _typical(misses, sizes) if fit else None)

    def fit_of(self, backend: str, versions: Mapping[str, str], rates: Mapping[str, float]) -> tuple[int, float | None]:
        """How many past runs of a backend there are, and by what factor their corrected estimates miss."""
        number, total = 0, 0.0
        text = Kind.of(backend, "", versions, cold=False).versions
        with self._lock:
            kinds = [kind for kind in self._kinds() if (kind.backend, kind.versions) == (backend, text)]
            for kind in kinds:
                misses, sizes = self._compared(kind, rates)
                typical = _typical(misses, sizes)
                if typical is not None:
                    number += len(misses)
                    total += len(misses) * math.log(typical)
        return number, math.exp(total / number) if number else None

    def _compared(self, kind: Kind, rates: Mapping[str, float]) -> tuple[Floats, Floats]:
        """Logarithms of measured over predicted, and of predicted time, of each past run."""
        key = (kind, json.dumps(dict(sorted(rates.items()))))
        found = self._logs.get(key)
        if found is None:
            times = []
            for work, seconds in self._of(kind):
                predicted = sum(amount * rates.get(unit, math.inf) for unit, amount in work.items() if amount)
                if 0 < predicted < math.inf:
                    times.append((math.log(seconds / predicted), math.log(predicted)))
            table = np.array(times, dtype=np.float64).reshape(-1, 2)
            found = self._logs[key] = (table[:, 0].copy(), table[:, 1].copy())
        return found

    def _of(self, kind: Kind) -> list[tuple[Mapping[str, float], float]]:
        runs = self._runs.get(kind)
        if runs is None:
            runs = self._runs[kind] = []
            rows = self._read(
                "SELECT work, seconds FROM runs WHERE host = ? AND backend = ? AND method = ? AND versions = ? AND "
                "cold = ? ORDER BY id DESC LIMIT ?",
                (self._host, *kind, _KEPT),
            )
            runs.extend((json.loads(work), seconds) for work, seconds in reversed(rows))
        return runs

    def _kinds(self) -> list[Kind]:
        rows = self._read("SELECT DISTINCT backend, method, versions, cold FROM runs WHERE host = ?", (self._host,))
        return [Kind(backend, method, versions, bool(cold)) for backend, method, versions, cold in rows]

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        database = self._open(make=False)
        if database is None:
            return []
        try:
            with database.transaction(write=False):
                return database.execute(query, values).fetchall()
        except StorageError as error:
            self._tell(error)
        except sqlite3.Error as error:
            self._tell(StorageError(f"{self.path}: {error}"))
        return []

    def _open(self, *, make: bool) -> Database | None:
        if self._database is None and not self._failed and (make or os.path.exists(self.path)):
            try:
                self._database = open_database(self.path, _MIGRATIONS, application="proxima observations")
            except StorageError as error:
                self._tell(error)
        return self._database

    def close(self) -> None:
        """Closes the database; the next use opens it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database = None

    def _tell(self, error: StorageError) -> None:
        if not self._failed:
            self._failed = True
            self._warn(f"what runs took is not remembered: {error}")
        self.close()


def _median(misses: Floats, sizes: Floats, size: float) -> float:
    """The weighted median of the misses and of one that is nought."""
    weights = np.exp(-0.5 * ((sizes - size) / _NEAR) ** 2)
    order = np.argsort(misses)
    values = misses[order]
    at = int(np.searchsorted(values, 0.0))
    values = np.insert(values, at, 0.0)
    sums = np.cumsum(np.insert(weights[order], at, _PRIOR))
    return float(values[int(np.searchsorted(sums, sums[-1] / 2))])


def _typical(misses: Floats, sizes: Floats) -> float | None:
    """By what factor estimates miss that are corrected by all runs but the one they are of: the geometric mean."""
    if len(misses) < 2:
        return None
    left = [
        abs(misses[i] - _median(np.delete(misses, i), np.delete(sizes, i), float(sizes[i]))) for i in range(len(misses))
    ]
    return math.exp(float(np.mean(left)))
