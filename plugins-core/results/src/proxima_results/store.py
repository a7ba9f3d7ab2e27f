"""`SqliteResultStore`: runs in one SQLite database, their arrays as ``.npy`` files beside it."""

from __future__ import annotations

import builtins
import hashlib
import os
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from proxima.contracts.circuit import Circuit
from proxima.contracts.records import RecordSummary, RunRecord, new_run_id
from proxima.contracts.result_json import ARRAYS
from proxima.errors import CircuitError, NotFoundError, StorageError
from proxima.paths import Paths
from proxima.storage import Database, is_corrupt, open_database, storage_error
from proxima_results.encoding import circuit_label, decode_record, encode_record

T = TypeVar("T")

_MIGRATIONS = (
    """
    CREATE TABLE circuits (digest BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        created REAL NOT NULL,
        source TEXT NOT NULL,
        circuit BLOB NOT NULL REFERENCES circuits (digest),
        label TEXT NOT NULL,
        num_qubits INTEGER NOT NULL,
        backend TEXT NOT NULL,
        plugin TEXT NOT NULL,
        plugin_version TEXT NOT NULL,
        shots INTEGER,
        seconds REAL NOT NULL,
        arrays TEXT NOT NULL,
        record TEXT NOT NULL
    );
    CREATE INDEX runs_by_time ON runs (created);
    CREATE INDEX runs_by_circuit ON runs (circuit);
    """,
)

_ORPHAN_SECONDS = 86_400.0
_MAPPED_BYTES = 1 << 20  # larger arrays are mapped, not read: a listing of one must not cost its size


class SqliteResultStore:
    """Keeps run records in ``results.sqlite`` and ``results/ID/NAME.npy`` under a directory.

    A record's files are complete before its row is written, so what a crash leaves behind is never seen; such files
    are removed once they are a day old. Several processes may use the same directory.

    Args:
        directory: Made when the first record is stored.
        warn: Told when the database was damaged and moved aside.
    """

    def __init__(self, directory: str, warn: Callable[[str], object]) -> None:
        self._warn = warn
        self.path = os.path.join(directory, "results.sqlite")
        self._arrays = os.path.join(directory, "results")
        self._database: Database | None = None
        self._inode: int | None = None
        self._lock = threading.RLock()
        self._swept = False

    def close(self) -> None:
        """Closes the database; the next use opens it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def save(self, record: RunRecord) -> str:
        """Stores a record and returns its id.

        Raises:
            StorageError: The disk is full or read-only; nothing was stored.
            UsageError: Its backend options are not plain data.
        """
        record_id = record.id or new_run_id()
        record = replace(record, id=record_id, result=replace(record.result, id=record_id))
        arrays = {name: a for name in ARRAYS if (a := getattr(record.result, name)) is not None}
        circuit = record.circuit.to_bytes()
        digest = hashlib.sha256(circuit).digest()
        row = (
            record_id,
            record.created or time.time(),
            record.source,
            digest,
            circuit_label(record.circuit, record.source),
            record.circuit.num_qubits,
            record.result.backend,
            record.plugin,
            record.plugin_version,
            record.result.shots,
            record.result.timings.get("total", 0.0),
            " ".join(arrays),
            encode_record(record),
        )
        if arrays:
            self._write_arrays(record_id, arrays)

        def insert(database: Database) -> None:
            database.execute("INSERT OR IGNORE INTO circuits VALUES (?, ?)", (digest, circuit))
            database.execute(f"INSERT INTO runs VALUES ({', '.join('?' * len(row))})", row)

        try:
            self._transact(insert)
        except BaseException:
            if arrays:
                shutil.rmtree(os.path.join(self._arrays, record_id), ignore_errors=True)
            raise
        return record_id

    def list(self, *, limit: int = 50, backend: str | None = None) -> builtins.list[RecordSummary]:
        """The newest records first."""
        where = "" if backend is None else "WHERE backend = ?"
        query = (
            "SELECT id, created, label, num_qubits, backend, shots, seconds FROM runs "
            f"{where} ORDER BY created DESC, id DESC LIMIT ?"
        )
        limit = min(limit, sys.maxsize)  # SQLite's largest integer
        values = (limit,) if backend is None else (backend, limit)
        rows = self._transact(lambda database: database.execute(query, values).fetchall(), write=False)
        return [RecordSummary(*row) for row in rows]

    def get(self, record_id: str) -> RunRecord:
        """The record of that id, or of the one id that starts so; large arrays are mapped from their files.

        Raises:
            NotFoundError: None or several.
            StorageError: A file of the record is missing or damaged.
        """
        query = """SELECT created, source, data, plugin, plugin_version, arrays, record
                   FROM runs JOIN circuits ON circuit = digest WHERE id = ?"""
        found = self._find(record_id)
        row = self._transact(lambda database: database.execute(query, (found,)).fetchone(), write=False)
        if row is None:
            raise self._not_found(record_id)
        created, source, circuit, plugin, version, arrays, text = row
        result, options, host = decode_record(text, where=f"the record {found} in {self.path}")
        try:
            read = Circuit.from_bytes(circuit)
        except CircuitError as error:
            raise StorageError(f"the circuit of the record {found} in {self.path} is damaged: {error}") from None
        loaded: dict[str, Any] = {name: self._read_array(found, name) for name in arrays.split()}
        return RunRecord(
            id=found,
            created=created,
            source=source,
            circuit=read,
            options=options,
            result=replace(result, **loaded),
            plugin=plugin,
            plugin_version=version,
            host=host,
        )

    def delete(self, record_id: str) -> None:
        """Removes a record and its arrays.

        Raises:
            NotFoundError: None or several.
        """
        found = self._find(record_id)

        def remove(database: Database) -> None:
            gone = database.execute("DELETE FROM runs WHERE id = ? RETURNING circuit", (found,)).fetchall()
            unused = "DELETE FROM circuits WHERE digest = ? AND NOT EXISTS (SELECT 1 FROM runs WHERE circuit = digest)"
            database.executemany(unused, gone)

        self._transact(remove)
        directory = os.path.join(self._arrays, found)
        try:
            if os.path.isdir(directory):
                shutil.rmtree(directory)
        except OSError as error:
            raise storage_error("remove", directory, error) from error

    def _find(self, prefix: str) -> str:
        prefix = prefix.strip().lower()
        if prefix == "last":  # no id begins with the letter l
            newest = "SELECT id FROM runs ORDER BY created DESC, id DESC LIMIT 1"
            row = self._transact(lambda database: database.execute(newest).fetchone(), write=False)
            if row is None:
                raise NotFoundError("there is no result yet", hint="run a circuit: `proxima run FILE`")
            return str(row[0])
        # A range rather than LIKE: it uses the primary key and needs no escaping.
        query = "SELECT id FROM runs WHERE id >= ? AND id < ? ORDER BY id LIMIT 6"
        values = (prefix, prefix + "~")
        rows = self._transact(lambda database: database.execute(query, values).fetchall(), write=False)
        ids = [row[0] for row in rows]
        if prefix in ids or (len(ids) == 1 and prefix):
            return prefix if prefix in ids else str(ids[0])
        if not ids or not prefix:
            raise self._not_found(prefix)
        shown = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
        raise NotFoundError(f"several results have an id that starts with {prefix!r}: {shown}", hint="give more of it")

    def _not_found(self, prefix: str) -> NotFoundError:
        return NotFoundError(f"no result has the id {prefix!r}", hint="`proxima results list` shows the ids")

    def _transact(self, work: Callable[[Database], T], *, write: bool = True) -> T:
        """Does something in a transaction; a damaged file is moved aside and the work done on a new one."""
        with self._lock:
            try:
                with self._opened().transaction(write=write) as database:
                    return work(database)
            except StorageError as error:
                if not isinstance(error.__cause__, sqlite3.Error) or not is_corrupt(error.__cause__):
                    raise
                self.close()
            with self._opened().transaction(write=write) as database:
                return work(database)

    def _opened(self) -> Database:
        if self._database is not None and self._inode != _inode(self.path):
            self.close()  # deleted, or moved aside by another process that found it damaged
        if self._database is None:
            self._database = open_database(
                self.path, _MIGRATIONS, application="proxima-results", on_recovered=self._recovered
            )
            self._inode = _inode(self.path)
        return self._database

    def _recovered(self, backup: str) -> None:
        """The arrays stay with the damaged database that knows them: to the new one they would be left-overs."""
        if os.path.isdir(self._arrays):
            os.replace(self._arrays, backup + ".arrays")
        self._warn(f"the results database {self.path} was damaged; it was kept as {backup} and a new one was started")

    def _write_arrays(self, record_id: str, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
        self._sweep()
        directory = os.path.join(self._arrays, record_id)
        try:
            Paths.ensure(directory)
            for name, array in arrays.items():
                temporary = os.path.join(directory, f".{name}.tmp")
                with open(temporary, "wb") as file:
                    np.save(file, array, allow_pickle=False)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, os.path.join(directory, f"{name}.npy"))
        except BaseException as error:
            shutil.rmtree(directory, ignore_errors=True)
            if isinstance(error, OSError) and not isinstance(error, StorageError):
                raise storage_error("write", directory, error) from error
            raise

    def _read_array(self, record_id: str, name: str) -> np.ndarray[Any, Any]:
        path = os.path.join(self._arrays, record_id, f"{name}.npy")
        try:
            large = os.path.getsize(path) > _MAPPED_BYTES
            array: np.ndarray[Any, Any] = np.load(path, mmap_mode="r" if large else None, allow_pickle=False)
        except OSError as error:
            raise storage_error("read", path, error) from error
        except (ValueError, EOFError) as error:
            raise StorageError(f"{path} is damaged: {error}") from None
        return array

    def _sweep(self) -> None:
        """Once per process, removes directories of arrays that a crash left without a row."""
        if self._swept or not os.path.isdir(self._arrays):
            return
        self._swept = True
        limit = time.time() - _ORPHAN_SECONDS
        for entry in os.scandir(self._arrays):
            old = entry.is_dir(follow_symlinks=False) and entry.stat().st_mtime < limit
            if old and not self._transact(partial(_is_stored, entry.name), write=False):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_stored(record_id: str, database: Database) -> bool:
    return database.execute("SELECT 1 FROM runs WHERE id = ?", (record_id,)).fetchone() is not None


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None
