"""`Observations`: what runs on this machine took against their estimates, and how that corrects the next estimate."""

from __future__ import annotations

import atexit
import json
import logging
import math
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from proxima.errors import StorageError
from proxima.storage import Database, open_database
from proxima_execution.host import fingerprint

_Miss = tuple[float, float]  # logarithms of measured over predicted time, and of predicted time

_KEPT = 64  # runs of one kind; older ones tell of a machine or an engine that may have changed
_NEAR = math.log(10) / 2  # runs half a decade away in time tell little of this one
_PRIOR = 1.0  # how many runs it takes to outweigh the calibration
_WRITTEN_EVERY = 1.0  # seconds
_OF_KIND = "host = ? AND backend = ? AND method = ? AND versions = ? AND cold = ?"
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
        return cls(backend, method, _text(tuple(sorted(versions.items()))), cold)


@lru_cache(maxsize=256)
def _text(versions: tuple[tuple[str, str], ...]) -> str:
    return json.dumps(dict(versions))


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


class _Past:
    """The last runs of one kind, and how far each misses at the rates last asked about."""

    def __init__(self, runs: Iterable[tuple[Mapping[str, float], float]]) -> None:
        self.runs = deque(runs, _KEPT)
        self._rates: Mapping[str, float] | None = None
        self._misses: deque[_Miss | None] = deque(maxlen=_KEPT)

    def add(self, work: Mapping[str, float], seconds: float) -> None:
        self.runs.append((work, seconds))
        if self._rates is not None:
            self._misses.append(_miss(work, seconds, self._rates))

    def misses(self, rates: Mapping[str, float]) -> list[_Miss]:
        """Of each run that the rates say anything about."""
        if rates is not self._rates:
            self._rates = rates
            self._misses.clear()
            self._misses.extend(_miss(work, seconds, rates) for work, seconds in self.runs)
        return [miss for miss in self._misses if miss is not None]


def _miss(work: Mapping[str, float], seconds: float, rates: Mapping[str, float]) -> _Miss | None:
    predicted = sum(amount * rates.get(unit, math.inf) for unit, amount in work.items() if amount)
    return (math.log(seconds / predicted), math.log(predicted)) if 0 < predicted < math.inf else None


class Observations:
    """Past runs in a small database; the last ones of each kind.

    A time is compared with what the rates in force now make of its work, so that a new calibration counts at once and
    is not corrected for what an old one got wrong.

    Runs are written some at a time: those of the second after a write wait for the next run, or for `close`, which the
    interpreter's exit calls too. A process that is killed loses those that wait.

    Args:
        path: Of the database; it is made when the first run is added.

    Attributes:
        problem: Why runs are not remembered beyond this process, where that is so; no run fails for it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.problem = ""
        self._database: Database | None = None
        self._host = json.dumps(fingerprint())
        self._past: dict[Kind, _Past] = {}
        self._waiting: list[tuple[Kind, str, float, float]] = []
        self._written = -math.inf
        self._lock = threading.RLock()

    def add(self, kind: Kind, work: Mapping[str, float], seconds: float) -> None:
        """Remembers a run: the work of its estimate and the seconds it took, the import of its engine aside."""
        if not work or not 0 < seconds < math.inf:
            return
        with self._lock:
            self._of(kind).add(dict(work), seconds)
            if not self._waiting:
                atexit.register(self.close)
            self._waiting.append((kind, json.dumps(dict(work)), seconds, time.time()))
            if time.monotonic() - self._written > _WRITTEN_EVERY:
                self._write()

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        atexit.unregister(self.close)
        if not waiting or (database := self._open(make=True)) is None:
            return
        try:
            with database.transaction():
                database.executemany(
                    "INSERT INTO runs (host, backend, method, versions, cold, work, seconds, created) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    [(self._host, *kind, work, seconds, when) for kind, work, seconds, when in waiting],
                )
                for kind in {kind for kind, *_ in waiting}:
                    if len(self._past[kind].runs) == _KEPT:
                        database.execute(
                            f"DELETE FROM runs WHERE {_OF_KIND} AND id <= "
                            f"(SELECT id FROM runs WHERE {_OF_KIND} ORDER BY id DESC LIMIT 1 OFFSET ?)",
                            (self._host, *kind, self._host, *kind, _KEPT),
                        )
        except (StorageError, sqlite3.Error) as error:
            self._give_up(error)
        self._written = time.monotonic()

    def correction(self, kind: Kind, rates: Mapping[str, float], predicted: float, *, fit: bool = False) -> Correction:
        """What past runs make of an estimate of ``predicted`` seconds; ``rates`` are seconds per unit of work.

        Args:
            kind: Of the run.
            rates: Must not be changed afterwards.
            predicted: Seconds, by the rates.
            fit: Whether to say how well the past estimates fit, which takes longer.
        """
        with self._lock:
            misses = self._of(kind).misses(rates)
            if not misses or not 0 < predicted < math.inf:
                return Correction(runs=len(misses))
            factor = math.exp(_median(misses, math.log(predicted)))
            return Correction(factor, len(misses), _typical(misses) if fit else None)

    def fit_of(self, backend: str, versions: Mapping[str, str], rates: Mapping[str, float]) -> tuple[int, float | None]:
        """How many past runs of a backend there are, and by what factor their corrected estimates miss."""
        number, total = 0, 0.0
        text = Kind.of(backend, "", versions, cold=False).versions
        with self._lock:
            self._write()
            kinds = [kind for kind in self._kinds() if (kind.backend, kind.versions) == (backend, text)]
            for kind in kinds:
                misses = self._of(kind).misses(rates)
                typical = _typical(misses)
                if typical is not None:
                    number += len(misses)
                    total += len(misses) * math.log(typical)
        return number, math.exp(total / number) if number else None

    def _of(self, kind: Kind) -> _Past:
        past = self._past.get(kind)
        if past is None:
            rows = self._read(
                f"SELECT work, seconds FROM runs WHERE {_OF_KIND} ORDER BY id DESC LIMIT ?",
                (self._host, *kind, _KEPT),
            )
            past = self._past[kind] = _Past((json.loads(work), seconds) for work, seconds in reversed(rows))
        return past

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
        except (StorageError, sqlite3.Error) as error:
            self._give_up(error)
        return []

    def _open(self, *, make: bool) -> Database | None:
        if self._database is None and not self.problem and (make or os.path.exists(self.path)):
            try:
                self._database = open_database(self.path, _MIGRATIONS, application="proxima observations")
            except StorageError as error:
                self._give_up(error)
        return self._database

    def close(self) -> None:
        """Writes what waits and closes the database; the next use opens it again."""
        with self._lock:
            self._write()
            self._disconnect()

    def _disconnect(self) -> None:
        if self._database is not None:
            self._database.close()
        self._database = None

    def _give_up(self, error: Exception) -> None:
        self.problem = f"What runs take is not remembered: {error}"
        logging.getLogger(__name__).info("%s", self.problem)
        self._disconnect()


def _median(misses: Iterable[_Miss], size: float) -> float:
    """The weighted median of the misses and of one that is nought."""
    weighted = [(miss, math.exp(-0.5 * ((near - size) / _NEAR) ** 2)) for miss, near in misses]
    weighted.append((0.0, _PRIOR))
    weighted.sort()
    half = sum(weight for _, weight in weighted) / 2
    for miss, weight in weighted:
        half -= weight
        if half <= 0:
            return miss
    return weighted[-1][0]


def _typical(known: Sequence[_Miss]) -> float | None:
    """By what factor estimates miss that are corrected by all runs but the one they are of: the geometric mean."""
    if len(known) < 2:
        return None
    left = [abs(miss - _median([*known[:i], *known[i + 1 :]], size)) for i, (miss, size) in enumerate(known)]
    return math.exp(sum(left) / len(left))
