import multiprocessing
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import pytest

from proxima.errors import StorageError
from proxima.storage import Database, is_corrupt, open_database, write_atomic

ONE = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO notes (text) VALUES ('a;b');"
TWO = """
CREATE TABLE log (x);  -- a comment; with a semicolon
CREATE TRIGGER logged AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (1); INSERT INTO log VALUES (2); END
"""


def open_notes(path, migrations=(ONE,), **options):
    return open_database(str(path), migrations, application="notes", **options)


def texts(database):
    return [row[0] for row in database.execute("SELECT text FROM notes ORDER BY id")]


def run_python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )


# Files


def test_write_atomic_replaces_content_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "settings.toml"
    write_atomic(str(path), "old")
    write_atomic(str(path), "neü")
    assert path.read_text(encoding="utf-8") == "neü"
    write_atomic(str(path), b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert os.listdir(tmp_path) == ["settings.toml"]


def test_write_atomic_keeps_the_mode_and_makes_new_files_private(tmp_path):
    path = tmp_path / "file"
    write_atomic(str(path), "x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    write_atomic(str(path), "y")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_write_atomic_follows_a_symbolic_link(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    write_atomic(str(link), "new")
    assert link.is_symlink()
    assert real.read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on file sizes")
def test_write_atomic_on_a_full_disk_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    code = """
        import resource, sys
        from proxima.errors import StorageError
        from proxima.storage import write_atomic
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_atomic(sys.argv[1], b"x" * 100_000)
        except StorageError as error:
            print(error, error.hint)
    """
    output = run_python(code, path).stdout
    assert f"cannot write {path}: File too large" in output
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_write_atomic_names_a_path_that_cannot_be_written(tmp_path):
    with pytest.raises(StorageError, match=r"cannot write .*missing/file: No such file"):
        write_atomic(str(tmp_path / "missing" / "file"), "x")
    (tmp_path / "directory").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*directory: Is a directory"):
        write_atomic(str(tmp_path / "directory"), "x")
    assert os.listdir(tmp_path) == ["directory"]


@pytest.mark.skipif(os.name != "posix", reason="users and modes")
def test_a_read_only_home_is_a_clear_error():
    home = tempfile.mkdtemp()
    try:
        os.chmod(home, 0o555)
        code = """
            import fcntl, os, sys, tempfile  # what is imported later may not be readable for the other user
            from proxima.errors import StorageError
            from proxima.storage import open_database, write_atomic
            if os.getuid() == 0:  # root may write anywhere
                os.setgid(65534)
                os.setuid(65534)
            for act in (
                lambda: write_atomic(sys.argv[1] + "/f", "x"),
                lambda: open_database(sys.argv[1] + "/a.sqlite", ["CREATE TABLE t (x)"], application="t"),
                lambda: open_database(sys.argv[1] + "/d/a.sqlite", ["CREATE TABLE t (x)"], application="t"),
            ):
                try:
                    act()
                except StorageError as error:
                    print(error, "|", error.hint)
        """
        result = run_python(code, home)
        lines = result.stdout.splitlines()
        assert [line.split(": ")[0] for line in lines] == [
            f"cannot write {home}/f",
            f"cannot open {home}/a.sqlite",
            f"cannot create the directory {home}/d",
        ], result.stderr
        assert all("Permission denied" in line and "PROXIMA_HOME" in line for line in lines)
    finally:
        shutil.rmtree(home)


# Databases


def test_a_new_database_is_private_and_set_up(tmp_path):
    path = tmp_path / "new" / "notes.sqlite"
    database = open_notes(path, (ONE, TWO))
    for pragma, value in (("journal_mode", "wal"), ("synchronous", 1), ("foreign_keys", 1), ("user_version", 2)):
        assert database.execute(f"PRAGMA {pragma}").fetchone() == (value,)
    assert database.execute("PRAGMA busy_timeout").fetchone()[0] >= 5000
    assert texts(database) == ["a;b"]
    database.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_migrations_bring_an_old_database_up_to_date(tmp_path):
    path = tmp_path / "notes.sqlite"
    open_notes(path).close()
    database = open_notes(path, (ONE, TWO))
    database.execute("INSERT INTO notes (text) VALUES ('c')")
    assert texts(database) == ["a;b", "c"]
    assert database.execute("SELECT count(*) FROM log").fetchone() == (2,)
    database.close()


def test_a_migration_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "notes.sqlite"
    open_notes(path).close()
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        open_notes(path, (ONE, "CREATE TABLE more (x); INSERT INTO nowhere VALUES (1);"))
    database = open_notes(path)
    tables = {row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    database.close()
    assert tables == {"notes"}


def _open_at_once(path, barrier, results):
    barrier.wait()
    try:
        database = open_notes(path, (ONE, TWO))
        results.put(len(texts(database)))
        database.close()
    except (StorageError, sqlite3.Error) as error:
        results.put(repr(error))


def test_processes_that_create_a_database_at_once_migrate_it_once(tmp_path):
    context = multiprocessing.get_context("spawn" if os.name == "nt" else "fork")
    for attempt in range(5):
        barrier, results = context.Barrier(4), context.Queue()
        arguments = (tmp_path / f"{attempt}.sqlite", barrier, results)
        processes = [context.Process(target=_open_at_once, args=arguments) for _ in range(4)]
        for process in processes:
            process.start()
        assert [results.get(timeout=30) for _ in processes] == [1, 1, 1, 1]
        for process in processes:
            process.join()


def test_a_newer_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "notes.sqlite"
    open_notes(path, (ONE, TWO)).close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"newer version of notes \(schema 2; this one knows up to 1\)"):
        open_notes(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["notes.sqlite"]


def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "places.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE bookmarks (url)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="not the database of notes"):
        open_notes(path)
    assert path.read_bytes() == before


def _text_file(path):
    path.write_text("this was never a database\n" * 100)


def _short_file(path):
    path.write_bytes(b"x")


def _broken_header(path):
    with open(path, "r+b") as file:
        file.write(b"\xff" * 100)


def _broken_schema(path):
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 300)


def _truncated(path):
    with open(path, "r+b") as file:
        file.truncate(5000)


@pytest.mark.parametrize("damage", [_text_file, _short_file, _broken_header, _broken_schema, _truncated])
def test_a_damaged_database_is_moved_aside_and_a_new_one_started(damage, tmp_path):
    path = tmp_path / "notes.sqlite"
    open_notes(path, (ONE, TWO)).close()
    damage(path)
    damaged = path.read_bytes()
    told = []
    database = open_notes(path, on_recovered=told.append)
    assert texts(database) == ["a;b"]
    database.close()
    (backup,) = told
    assert Path(backup).read_bytes() == damaged
    name = os.path.basename(backup)
    assert name.startswith("notes.sqlite.corrupt-")
    assert len(name) == len("notes.sqlite.corrupt-20261122T093000Z")
    assert sorted(os.listdir(tmp_path)) == sorted(["notes.sqlite", name])


def test_the_write_ahead_log_moves_with_its_database(tmp_path):
    source, path = tmp_path / "source.sqlite", tmp_path / "notes.sqlite"
    live = open_notes(source)
    live.execute("INSERT INTO notes (text) VALUES ('only in the log')")
    for suffix in ("", "-wal", "-shm"):
        shutil.copy(f"{source}{suffix}", f"{path}{suffix}")
    live.close()
    with open(f"{path}-wal", "r+b") as file:  # SQLite ignores a log it cannot read, so the file below shows
        file.write(b"\x00" * 32)
    path.write_bytes(b"garbage" * 1000)
    log = Path(f"{path}-wal").read_bytes()
    told = []
    open_notes(path, on_recovered=told.append).close()
    assert Path(f"{told[0]}-wal").read_bytes() == log


def test_without_a_callback_the_recovery_is_logged(tmp_path, caplog):
    path = tmp_path / "notes.sqlite"
    _text_file(path)
    open_notes(path).close()
    assert "was damaged; it is kept as" in caplog.text


def _damage_a_table(path):
    database = open_notes(path)
    with database.transaction():
        database.executemany("INSERT INTO notes (text) VALUES (?)", [("x" * 500,)] * 500)
    (page_size,) = database.execute("PRAGMA page_size").fetchone()
    database.close()
    with open(path, "r+b") as file:  # past the schema's page, which alone is read when opening
        file.seek(page_size * 3)
        file.write(b"\xff" * page_size * 8)


def test_damage_found_later_is_recovered_at_the_next_opening(tmp_path):
    path = tmp_path / "notes.sqlite"
    _damage_a_table(path)
    told = []
    database = open_notes(path, on_recovered=told.append)
    assert told == []
    with pytest.raises(StorageError, match="malformed") as caught, database.transaction(write=False):
        texts(database)
    assert "moved aside" in caught.value.hint
    database.close()
    database = open_notes(path, on_recovered=told.append)
    assert texts(database) == ["a;b"]
    database.close()
    assert len(told) == 1
    assert not os.path.exists(f"{path}.damaged")


def test_a_sound_database_that_was_marked_is_left_alone(tmp_path):
    path = tmp_path / "notes.sqlite"
    open_notes(path).close()
    (tmp_path / "notes.sqlite.damaged").touch()
    open_notes(path, on_recovered=lambda backup: pytest.fail(backup)).close()
    assert os.listdir(tmp_path) == ["notes.sqlite"]


def test_files_damaged_in_one_second_are_all_kept(tmp_path):
    path = tmp_path / "notes.sqlite"
    backups = []
    for _ in range(3):
        _text_file(path)
        open_notes(path, on_recovered=backups.append).close()
    assert len({*backups}) == 3
    assert all(os.path.exists(each) for each in backups)


def test_processes_that_find_damage_at_once_lose_no_new_data(tmp_path):
    context = multiprocessing.get_context("spawn" if os.name == "nt" else "fork")
    path = tmp_path / "notes.sqlite"
    _text_file(path)
    barrier, results = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_open_at_once, args=(path, barrier, results)) for _ in range(4)]
    for process in processes:
        process.start()
    assert [results.get(timeout=30) for _ in processes] == [1, 1, 1, 1]
    for process in processes:
        process.join()
    assert len([name for name in os.listdir(tmp_path) if ".corrupt-" in name]) == 1


def test_a_directory_in_its_place_is_a_clear_error(tmp_path):
    with pytest.raises(StorageError, match=f"cannot open {tmp_path}: Is a directory"):
        open_notes(tmp_path)


def test_a_transaction_is_all_or_nothing(tmp_path):
    database = open_notes(tmp_path / "notes.sqlite")
    two = "INSERT INTO notes (text) VALUES ('half')", "INSERT INTO notes (id) VALUES (1)"
    with pytest.raises(sqlite3.IntegrityError), database.transaction():
        [database.execute(statement) for statement in two]
    assert texts(database) == ["a;b"]
    with database.transaction(), database.transaction():
        database.execute("INSERT INTO notes (text) VALUES ('whole')")
    assert texts(database) == ["a;b", "whole"]
    database.close()


def test_threads_share_a_connection_through_transactions(tmp_path):
    database = open_notes(tmp_path / "notes.sqlite")

    def write():
        for _ in range(50):
            with database.transaction():
                (count,) = database.execute("SELECT count(*) FROM notes").fetchone()
                database.execute("INSERT INTO notes (text) VALUES (?)", (str(count),))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts(database)[1:] == [str(n) for n in range(1, 201)]
    database.close()


def test_a_full_disk_in_a_transaction_is_a_clear_error(tmp_path):
    database = open_notes(tmp_path / "notes.sqlite")
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="full") as caught, database.transaction():
        database.execute("INSERT INTO notes (text) VALUES (?)", ("x" * 100_000,))
    assert "Free some space" in caught.value.hint
    assert texts(database) == ["a;b"]
    database.close()


def test_another_process_that_holds_the_file_is_a_clear_error(tmp_path):
    path = tmp_path / "notes.sqlite"
    database, other = open_notes(path), open_notes(path)
    database.execute("PRAGMA busy_timeout = 10")
    with (
        other.transaction(),
        pytest.raises(StorageError, match="database is locked"),
        database.transaction(),
    ):
        raise AssertionError
    database.close()
    other.close()


def test_wrong_sql_stays_a_bug(tmp_path):
    database = open_notes(tmp_path / "notes.sqlite")
    with pytest.raises(sqlite3.OperationalError, match="syntax error") as caught, database.transaction():
        database.execute("SELEKT 1")
    assert not is_corrupt(caught.value)
    assert isinstance(database, Database)
    database.close()
