import os
import sqlite3
import statistics
import threading
import time

import pytest

from proxima.errors import StorageError
from proxima.paths import Paths
from proxima.permissions import AuditLog, audit, open_permissions
from proxima.permissions.audit import MAX_TEXT, REMOVED, AuditRecord
from proxima.permissions.ration import BURST, COUNTED_SECONDS, MAX_KINDS, PER_SECOND, Ration


@pytest.fixture
def database(tmp_path):
    database = open_permissions(Paths.under(str(tmp_path)))
    yield database
    database.close()


@pytest.fixture
def log(database):
    return AuditLog(database)


def test_a_record_holds_everything(log):
    before = time.time()
    log.record(
        "plug", "network:a.example", "used", version="1.2", target="https://a.example", scope="always", run_id="r1"
    )
    (row,) = log.search()
    assert before <= row.time <= time.time()
    assert (row.plugin, row.version, row.permission, row.target) == (
        "plug",
        "1.2",
        "network:a.example",
        "https://a.example",
    )
    assert (row.outcome, row.scope, row.process_id, row.run_id) == ("used", "always", os.getpid(), "r1")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit",
        "UPDATE audit SET outcome = 'used'",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit",
        "REPLACE INTO audit SELECT id, 0, 'x', version, permission, target, 'used', scope, 1, run_id, 1 FROM audit",
    ],
)
def test_rows_are_never_changed_or_removed(database, log, statement):
    log.record("plug", "network", "blocked")
    before = log.search()
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), database.transaction():
        database.execute(statement)
    assert log.search() == before


def test_search_filters_and_gives_the_newest_first(log):
    for number in range(5):
        log.record("one", "network:a.example", "used", target=str(number))
    log.record("two", "network", "granted")
    middle = time.time()
    log.record("two", "networking.test", "blocked")
    log.record("two", "network", "revoked")

    assert [row.target for row in log.search(plugin="one", limit=2)] == ["4", "3"]
    assert len(log.search()) == 8
    assert [row.permission for row in log.search(outcome="blocked")] == ["networking.test"]
    assert [row.outcome for row in log.search(since=middle)] == ["revoked", "blocked"]
    assert log.search(plugin="one", outcome="granted") == []
    assert log.search(plugin="' OR 1=1 --") == []


def test_an_unknown_outcome_is_a_bug(log):
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        log.record("plug", "network", "maybe")


def test_targets_that_are_long_or_not_text_are_kept_as_far_as_they_go(log):
    log.record("plug", "file_read:all", "used", target="/begin/" + "x" * 100_000 + "/end")
    log.record("plug", "file_read:all", "used", target="/srv/\udcff\0")
    log.record("plug", "file_read:" + "/\udcff" * 4000, "used")
    longest, newest, older = log.search()
    assert newest.target == "/srv/\\udcff\0"
    assert older.target.startswith("/begin/xxx")
    assert older.target.endswith("xxx/end")
    assert len(older.target) == len(longest.permission) == MAX_TEXT
    assert log.search(permission="file_read:" + "/\udcff" * 4000) == [longest]


def test_a_full_disk_is_a_clear_error(database, log):
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="full"):
        [log.record("plug", "network", "granted", target="x" * 4000) for _ in range(100)]


def test_threads_and_processes_append_at_once(tmp_path, database):
    other = open_permissions(Paths.under(str(tmp_path)))
    logs = [AuditLog(database), AuditLog(database), AuditLog(other)]
    threads = [
        threading.Thread(target=lambda log: [log.record("p", "gpu", "used") for _ in range(100)], args=(log,))
        for log in logs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for log in logs:
        log.settle()
    assert sum(row.count for row in logs[0].search(limit=1000)) == 300
    other.close()


def test_a_record_costs_well_under_a_fifth_of_a_millisecond(log):
    times = []
    for _ in range(500):
        start = time.perf_counter()
        log.record("plug", "execute_circuits", "granted", target="bell", run_id="r1")
        times.append(time.perf_counter() - start)
    print(f"audit record: median {statistics.median(times) * 1e6:.0f} us")
    # The median, because the machine is shared.
    assert statistics.median(times) < 0.2e-3


def row(permission, target=None, *, plugin="plug", outcome="blocked"):
    return AuditRecord(0.0, plugin, "1", permission, target, outcome, None, 1, None)


def test_the_first_of_each_kind_then_a_few_a_second_then_a_count():
    ration = Ration()
    written = [each for number in range(1000) for each in ration.take(row("network:a.example", str(number)), 0.0)]
    assert [each.target for each in written] == [str(number) for number in range(BURST)]
    assert ration.take(row("network:b.example"), 0.0) == [row("network:b.example")]
    assert ration.take(row("network:b.example:80"), 0.0) == []
    assert ration.take(row("file_read:/srv/ann/.ssh/id"), 0.0) == [row("file_read:/srv/ann/.ssh/id")]
    assert ration.take(row("file_read:/srv/ann/.ssh/key"), 0.0) == []
    (other,) = ration.take(row("network:a.example", plugin="other"), 0.0)
    assert other.plugin == "other"
    (used,) = ration.take(row("network:a.example", outcome="used"), 0.0)
    assert used.outcome == "used"
    later = 1 / PER_SECOND
    assert [each.target for each in ration.take(row("network:a.example", "later"), later)] == ["later"]
    assert ration.take(row("network:a.example", "last"), later) == []
    left = {each.permission: (each.count, each.target) for each in ration.rest()}
    assert left == {"network:a.example": (1000 - BURST + 2, "last"), "file_read:/srv/ann/.ssh/key": (1, None)}
    assert ration.rest() == []


def test_a_count_is_written_once_it_has_waited():
    ration = Ration()
    for _ in range(BURST + 5):
        ration.take(row("llm", "parrot"), 0.0)
    assert ration.take(row("llm", "parrot"), COUNTED_SECONDS - 0.1) == [row("llm", "parrot")]
    counted, now = ration.take(row("llm", "parrot"), COUNTED_SECONDS)
    assert (counted.count, now.count) == (5, 1)


def test_a_plugin_that_makes_up_kinds_is_counted_all_the_same():
    ration = Ration()
    written = [each for number in range(10_000) for each in ration.take(row(f"file_read:/{number}"), 0.0)]
    assert len(written) == MAX_KINDS
    assert sum(each.count for each in ration.rest()) == 10_000 - MAX_KINDS


def test_a_count_that_cannot_be_written_is_not_lost(database, log):
    for _ in range(BURST + 10):
        log.record("plug", "gpu", "used")
    database.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageError):
        log.settle()
    database.execute("PRAGMA query_only = 0")
    assert sum(each.count for each in log.search()) == BURST + 10


def test_the_log_is_bounded_and_a_noisy_plugin_pays_for_it(log, database, monkeypatch):
    monkeypatch.setattr(audit, "MAX_ROWS", 2000)
    log.record("quiet", "network:a.example", "used")
    log.record("noisy", "network", "granted", scope="always")
    log.record("noisy", "subprocess", "denied", scope="always")
    log.record("noisy", "subprocess", "revoked", scope="always")
    with database.transaction():
        for number in range(6000):  # as several thousand seconds would leave them
            log._write([row("network:a.example", str(number), plugin="noisy")])
    rows = log.search(limit=10_000)
    assert len(rows) <= 2000 + 256 + 4
    assert [each.outcome for each in rows[::-1]][:4] == ["used", "granted", "denied", "revoked"]
    assert rows[0].target == "5999"
    (removed,) = [each for each in rows if each.permission == REMOVED]
    kept = [int(each.target) for each in rows if each.outcome == "blocked" and each != removed][::-1]
    assert kept == list(range(kept[0], 6000))
    assert (removed.plugin, removed.outcome, removed.count) == ("noisy", "blocked", kept[0])


@pytest.mark.parametrize("outcome", ["granted", "denied", "revoked"])
def test_decisions_cannot_be_removed_however_old(log, database, outcome):
    log.record("plug", "network", outcome, scope="always")
    with database.transaction():
        for _ in range(500):
            log._write([row("gpu")])
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), database.transaction():
        database.execute("DELETE FROM audit WHERE id = 1")
