"""Files that are either old or new and never half written, and SQLite databases that survive bad days."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import stat
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from proxima.errors import StorageError
from proxima.paths import Paths

BUSY_SECONDS = 10.0
MIN_SIZE = 512  # SQLite's smallest page; it takes a shorter file for an empty one and would write over it

_NOT_WRITABLE = "Make it writable, or set PROXIMA_HOME to a directory that is."
_NO_SPACE = "Free some space on that disk and try again."
_HELD = "Another process holds it; wait for it to end and try again."
_DAMAGED = "It is moved aside and a new one started the next time it is opened."
_OS_HINTS = {
    errno.EACCES: _NOT_WRITABLE,
    errno.EPERM: _NOT_WRITABLE,
    errno.EROFS: _NOT_WRITABLE,
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EFBIG: "Raise the limit on file sizes (ulimit -f).",
}
_SQLITE_HINTS = {
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_CANTOPEN: _NOT_WRITABLE,
    sqlite3.SQLITE_PERM: _NOT_WRITABLE,
    sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    sqlite3.SQLITE_FULL: _NO_SPACE,
    sqlite3.SQLITE_IOERR: "Check the disk's free space and health.",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}


def storage_error(action: str, path: str, error: OSError) -> StorageError:
    """Say what could not be done to which file, why, and what would help."""
    hint = _OS_HINTS.get(error.errno or 0, "Check the path.")
    return StorageError(f"cannot {action} {path}: {error.strerror or error}", hint=hint)


def write_atomic(path: str, data: bytes | str) -> None:
    """Replace a file's content at once: readers, and a machine that loses power, see the old or the new.

    Text is written as UTF-8. A symbolic link stays and its target is replaced; an existing file keeps its mode,
    a new one gets 0600. The directory must exist.

    Raises:
        StorageError: the disk is full or read-only, ...; the old content is then untouched and nothing is left over.
    """
    import tempfile

    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".proxima-", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                with suppress(FileNotFoundError):
                    os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
        if os.name == "posix":
            sync_directory(directory)
    except OSError as error:
        raise storage_error("write", path, error) from error


def sync_directory(directory: str) -> None:
    """Has what was renamed or removed in a directory survive a machine that loses power."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and FUSE file systems have no fsync for directories; the rename itself was done.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise
    finally:
        os.close(descriptor)


class Database(sqlite3.Connection):
    """A SQLite connection that threads may share: all access goes through `transaction`.

    Statements outside `transaction` commit by themselves and are for the thread that opened the database.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self.path = path
        self._lock = threading.RLock()

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[Database]:
        """Run the block as one transaction, rolled back when it raises; inside another one, as a part of that.

        Raises:
            StorageError: the disk is full or read-only, another process holds the file, or it is damaged.
        """
        with self._lock:
            nested = self.in_transaction  # this thread's own: others wait for the lock
            if nested:
                yield self
                return
            try:
                self.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                try:
                    yield self
                    self.execute("COMMIT")
                except BaseException:
                    if self.in_transaction:
                        self.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                if is_corrupt(error):
                    _mark_damaged(self.path)
                raise _translated(self.path, error) from error


def open_database(
    path: str,
    migrations: Sequence[str],
    *,
    application: str,
    on_recovered: Callable[[str], None] | None = None,
) -> Database:
    """Open a database, make it or bring it up to date; WAL, `synchronous=NORMAL`, foreign keys on.

    Args:
        path: The file; missing directories are made.
        migrations: SQL scripts; the n-th takes the schema from version n to n+1. Never edit one that was released.
        application: Whose database this is; another application's is refused.
        on_recovered: Called with the path of the damaged file after it was moved aside and a new one was started;
            without it a warning is logged.

    Raises:
        StorageError: it cannot be opened or written, belongs to another application, or a newer version wrote it;
            the file is then left as it was.
    """
    backup = None
    with locked(Paths.ensure(os.path.dirname(os.path.abspath(path)))):
        try:
            if not _is_sound(path):
                backup = _move_aside(path)
            try:
                database = _open(path, migrations, application)
            except sqlite3.DatabaseError as error:
                if not is_corrupt(error):
                    raise
                backup = _move_aside(path)
                database = _open(path, migrations, application)
        except sqlite3.Error as error:
            raise _translated(path, error) from error
    if backup is not None and on_recovered is not None:
        on_recovered(backup)
    elif backup is not None:
        logging.getLogger(__name__).warning("%s was damaged; it is kept as %s and a new one was started", path, backup)
    return database


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is damaged or is no database."""
    return _primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextmanager
def locked(directory: str) -> Iterator[None]:
    """Hold a directory against other processes that ask for it the same way; no lock file is left behind."""
    if os.name != "posix":  # Windows refuses to rename a file that another process holds open
        yield
        return
    import fcntl

    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems have no lock for a directory
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_sound(path: str) -> bool:
    """Whether a quick look finds no damage; a full one where `_mark_damaged` was called."""
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return True
    if os.path.getsize(path) < MIN_SIZE:
        return False
    marked, has_log = os.path.exists(_damage_mark(path)), os.path.exists(path + "-wal")
    if not marked and not has_log:
        return True
    from urllib.parse import quote

    # Read-only, because the last writer that closes folds the -wal, which is evidence, into the file; but a reader
    # without a -wal would make one.
    uri = f"file:{quote(os.path.abspath(path))}?mode={'ro' if has_log else 'rw'}"
    query = "PRAGMA integrity_check(1)" if marked else "SELECT max(NULL) FROM sqlite_schema"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
            sound = connection.execute(query).fetchone()[0] in ("ok", None)
    except sqlite3.DatabaseError as error:
        if not is_corrupt(error):
            raise
        return False
    if marked and sound:
        _remove_mark(path)
    return sound


def _move_aside(path: str) -> str:
    """Rename a damaged database, its `-wal` and `-shm`; returns `PATH.corrupt-YYYYMMDDTHHMMSSZ`."""
    first = backup = f"{path}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    number = 1
    while os.path.exists(backup):
        number += 1
        backup = f"{first}.{number}"
    try:
        for suffix in ("-wal", "-shm", ""):
            if os.path.exists(path + suffix):
                os.replace(path + suffix, backup + suffix)
    except OSError as error:
        raise storage_error("move aside", path, error) from error
    _remove_mark(path)
    return backup


def database_in_memory(migrations: Sequence[str], *, application: str) -> Database:
    """A database like those of `open_database` that no disk has to write; it is gone when it is closed."""
    return _brought_up_to_date(Database(":memory:"), migrations, application)


def _open(path: str, migrations: Sequence[str], application: str) -> Database:
    try:
        # Made here, so that a new database is readable by its owner only and a failure has the system's words.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
    except OSError as error:
        raise storage_error("open", path, error) from error
    return _brought_up_to_date(Database(path), migrations, application)


def _brought_up_to_date(database: Database, migrations: Sequence[str], application: str) -> Database:
    try:
        if _version(database, migrations, application) < len(migrations):
            _use_wal(database)
            with database.transaction():
                # Read again under the lock: another process may have migrated in between.
                for script in migrations[_version(database, migrations, application) :]:
                    for statement in _statements(script):
                        database.execute(statement)
                database.execute(f"PRAGMA user_version = {len(migrations)}")
                database.execute(f"PRAGMA application_id = {_application_id(application)}")
        (mode,) = database.execute("PRAGMA journal_mode").fetchone()
        # Without WAL (some network file systems) NORMAL could lose more than the last transaction.
        database.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'FULL'}")
        database.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        database.close()
        raise
    return database


def _version(database: Database, migrations: Sequence[str], application: str) -> int:
    """The schema's version, read from the file, once it is sure that the file is ours."""
    # One statement reads one state of the file, whatever another process commits meanwhile.
    version, owner, tables = database.execute(
        "SELECT (SELECT user_version FROM pragma_user_version), "
        "(SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)"
    ).fetchone()
    if owner != _application_id(application) and (owner or tables):
        raise StorageError(
            f"{database.path} is not the database of {application}: another program made it",
            hint="Move the file away; it was not touched.",
        )
    if version > len(migrations):
        raise StorageError(
            f"{database.path} was written by a newer version of {application} "
            f"(schema {version}; this one knows up to {len(migrations)})",
            hint="Upgrade Proxima, or move the file away; it was not touched.",
        )
    return int(version)


def _use_wal(database: Database) -> None:
    # SQLite answers "locked" at once, without waiting, when two processes switch a new file to WAL together.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _statements(script: str) -> Iterator[str]:
    # executescript would commit the transaction that the migration must run in.
    statement = ""
    for piece in script.split(";"):
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip("; \t\r\n"):
        yield statement


def _application_id(application: str) -> int:
    return (zlib.crc32(application.encode()) & 0x7FFFFFFF) or 1


def _damage_mark(path: str) -> str:
    return path + ".damaged"


def _mark_damaged(path: str) -> None:
    """Have the next `open_database` check the whole file, which is too slow to do at every start."""
    try:
        write_atomic(_damage_mark(path), "")
    except StorageError as error:
        logging.getLogger(__name__).warning("%s", error)


def _remove_mark(path: str) -> None:
    try:
        if os.path.exists(_damage_mark(path)):
            os.unlink(_damage_mark(path))
    except OSError as error:
        raise storage_error("remove", _damage_mark(path), error) from error


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _translated(path: str, error: sqlite3.Error) -> Exception:
    """A `StorageError` for what the disk or another process did; wrong SQL is a bug and stays what it is."""
    hint = _SQLITE_HINTS.get(_primary_code(error))
    return error if hint is None else StorageError(f"the database {path}: {error}", hint=hint)
