"""Measures cases one after the other in a process that can be ended, and keeps to the limits of time and memory."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from proxima.cli.output import format_bytes, format_seconds
from proxima.errors import RunError
from proxima_bench_lret.cases import MAX_COMPARED_QUBITS, Case, Row
from proxima_bench_lret.worker import EngineName, Measurement, Settings, serve
from proxima_lret_core.memory import available_bytes

_START_SECONDS = 120.0
_BESIDES_SECONDS = 5.0  # for making the circuit, repetitions and the distance
_GROWTH = 3.0  # by which each qubit makes Cirq's density matrix slower, at the least
_COPIES = 4  # of the density matrix that Cirq holds at once
_NAMES = {"cirq": "Cirq", "lret": "LRET"}


class Measuring:
    """The process, started when it is needed and ended where a case takes too long."""

    def __init__(self, settings: Settings, seconds: float) -> None:
        self._settings = settings
        self._seconds = seconds
        self._process: Any = None
        self._connection: Connection | None = None
        self._slow: dict[tuple[EngineName, int, float], tuple[int, float]] = {}

    def __enter__(self) -> Measuring:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def rows(self, cases: Sequence[Case], tell: Callable[[float, str], None]) -> Iterator[Row]:
        """A row for each case as soon as it is measured."""
        for number, case in enumerate(cases):
            row = Row(case)
            for part, engine in enumerate(("cirq", "lret")):
                words = f"{case.qubits} qubits, depth {case.depth}, noise {case.noise:g}: {_NAMES[engine]}"
                row = self._with(row, engine, lambda at=(number + part / 2), words=words: tell(at / len(cases), words))  # type: ignore[arg-type,misc]
            if case.qubits > MAX_COMPARED_QUBITS:
                note = f"the true distance is computed for at most {MAX_COMPARED_QUBITS} qubits"
                row = replace(row, notes=(*row.notes, note))
            yield row

    def _with(self, row: Row, engine: EngineName, tell: Callable[[], None]) -> Row:
        """The row with one engine's measurement, or with a note on why there is none."""
        case = row.case
        tell()
        why = self._too_much(case, engine)
        found = why or self._ask(case, engine, tell)
        if isinstance(found, str):
            return replace(row, notes=(*row.notes, f"{_NAMES[engine]}: {found}"))
        self._slow[engine, case.depth, case.noise] = (case.qubits, found.seconds)
        if found.distance is not None:
            row = replace(row, distance=found.distance, fidelity=found.fidelity)
        if engine == "cirq":
            return replace(row, cirq_seconds=found.seconds, cirq_bytes=found.peak_bytes)
        return replace(row, lret_seconds=found.seconds, lret_bytes=found.peak_bytes, rank=found.rank, bound=found.bound)

    def _too_much(self, case: Case, engine: EngineName) -> str:
        """Why a case is not tried, by what fewer qubits took and the memory there is."""
        qubits, seconds = self._slow.get((engine, case.depth, case.noise), (case.qubits, 0.0))
        if seconds > self._seconds:
            return f"left out: {qubits} qubits took longer than {format_seconds(self._seconds)}"
        if engine == "lret":
            return ""
        if seconds * _GROWTH ** (case.qubits - qubits) > self._seconds:
            return f"left out: it would take longer than {format_seconds(self._seconds)}"
        needed = _COPIES * (8 if self._settings.precision == "single" else 16) * 4**case.qubits
        if needed > available_bytes():
            return f"left out: it needs about {format_bytes(needed)} of memory"
        return ""

    def _ask(self, case: Case, engine: EngineName, tell: Callable[[], None]) -> Measurement | str:
        connection = self._started()
        connection.send((case, engine))
        try:
            found: Measurement | str = self._receive(connection, self._seconds + _BESIDES_SECONDS, tell)
        except TimeoutError:
            self._end()
            self._slow[engine, case.depth, case.noise] = (case.qubits, 2 * self._seconds)
            return f"ended: it took longer than {format_seconds(self._seconds)}"
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self._end()
            self._slow[engine, case.depth, case.noise] = (case.qubits, 2 * self._seconds)
            return f"its process ended with code {code}, perhaps for want of memory"
        return found

    def _started(self) -> Connection:
        if self._connection is not None:
            return self._connection
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._settings), daemon=True)
        with _not_interrupted():
            self._process.start()
        theirs.close()
        try:
            self._receive(self._connection, _START_SECONDS, lambda: None)
        except (TimeoutError, EOFError) as error:
            self._end()
            raise RunError("the process that measures did not start", hint="`proxima doctor` may say why") from error
        return self._connection

    def _receive(self, connection: Connection, limit: float, tell: Callable[[], None]) -> Any:
        until = time.monotonic() + limit
        while not connection.poll(min(0.2, max(until - time.monotonic(), 0.0))):
            tell()
            if time.monotonic() > until:
                raise TimeoutError
        return connection.recv()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None


@contextmanager
def _not_interrupted() -> Iterator[None]:
    """A process started inside ignores the terminal's Ctrl-C, which is meant for this one."""
    if threading.current_thread() is not threading.main_thread():  # which alone may say so
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
