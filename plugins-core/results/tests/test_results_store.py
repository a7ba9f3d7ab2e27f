from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.execution import RunOptions
from proxima.contracts.noise import NoiseModel, NoiseRule
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op
from proxima.contracts.records import RunRecord, new_run_id
from proxima.contracts.result import Candidate, CircuitInfo, ErrorBound, Expectation, RunResult, Selection
from proxima.errors import NotFoundError, StorageError, UsageError
from proxima_results.store import SqliteResultStore


@pytest.fixture
def store(tmp_path: Path):
    opened = SqliteResultStore(str(tmp_path / "data"), pytest.fail)
    yield opened
    opened.close()


def bell() -> Circuit:
    return Circuit.builder(2, name="bell").h(0).cx(0, 1).measure_all().build()


def record(backend: str = "exact", **fields) -> RunRecord:
    result = RunResult(
        backend=backend,
        method="statevector",
        precision="double",
        shots=10,
        seed=2**63 - 1,
        counts={"00": 4, "11": 6},
        error_bound=ErrorBound("sampling", 0.01),
        timings={"execute": 0.25, "total": 0.5},
        peak_rss_bytes=123,
        versions={"engine": "1.0"},
        notes=("A note.",),
        circuit=CircuitInfo("bell", 2, 2, 4, 3, bell().content_hash),
        selection=Selection("exact", "asked for", (Candidate("exact", True, "", 0.1, 64, "statevector"),)),
    )
    return RunRecord(circuit=bell(), options=RunOptions(), result=replace(result, **fields), source="bell.qasm")


def test_gives_back_all_that_was_stored(store):
    circuit = Circuit.builder(1).append(Op.RX, (0,), (Parameter("theta", 2.0),)).build()
    rule = NoiseRule(Op.DEPOLARIZING, (0.01,), frozenset({"rx", "h"}), frozenset({0}))
    given = replace(
        record(),
        circuit=circuit,
        options=RunOptions(
            backend="auto",
            shots=10,
            seed=5,
            precision="double",
            noise=NoiseModel((rule,)),
            wants=("counts", "expectation"),
            observables=(PauliSum.parse("0.5*Z - X"),),
            deadline=3.5,
            threads=2,
            optimize=True,
            parameters={"theta": 0.1},
            options={"method": "automatic", "nested": {"a": [1, 2.5, None]}},
        ),
        plugin="backend-exact",
        plugin_version="1.0",
        host={"python": "3.11"},
        created=1234.5,
    )
    given = replace(given, result=replace(given.result, expectations=(Expectation("0.5*Z - X", 0.25, 0.1, 0.01),)))
    record_id = store.save(given)
    found = store.get(record_id)
    assert found == replace(
        given, id=record_id, result=replace(given.result, id=record_id, timings=found.result.timings)
    )
    assert found.result.timings["total"] == 0.5
    assert found.circuit.parameters == ("theta",)


def test_a_record_from_before_an_option_was_there_is_read(store, tmp_path):
    record_id = store.save(record())
    store.close()
    with sqlite3.connect(tmp_path / "data" / "results.sqlite") as database:
        database.execute("""UPDATE runs SET record = replace(record, '"optimize":false,', '')""")
        ((text,),) = database.execute("SELECT record FROM runs").fetchall()
    database.close()
    assert "optimize" not in text
    assert store.get(record_id).options == RunOptions()


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_arrays_come_back_exactly(store, tmp_path, dtype):
    rng = np.random.default_rng(0)
    arrays = {
        "statevector": (rng.normal(size=2**17) + 1j * rng.normal(size=2**17)).astype(dtype),  # large: mapped
        "density_matrix": np.eye(4, dtype=dtype),
        "samples": np.zeros((0, 2), dtype=np.uint8),
        "probabilities": rng.random(4),
    }
    record_id = store.save(record(**arrays))
    found = store.get(record_id).result
    for name, array in arrays.items():
        back = getattr(found, name)
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)
    assert sorted(os.listdir(tmp_path / "data" / "results" / record_id)) == sorted(f"{n}.npy" for n in arrays)


def test_uses_the_id_of_the_run_or_makes_one(store):
    given = new_run_id()
    assert store.save(replace(record(), id=given)) == given
    assert store.get(given).result.id == given
    made = store.save(record())
    assert len(made) == 16
    assert made != given


def test_ids_sort_by_time_and_do_not_meet():
    first = new_run_id()
    time.sleep(0.002)
    assert first < new_run_id()
    assert len({new_run_id() for _ in range(5000)}) == 5000


def test_lists_the_newest_first_by_backend_and_limit(store):
    ids = [store.save(replace(record("ab"[i % 2]), created=float(i + 1))) for i in range(6)]
    assert [r.id for r in store.list()] == ids[::-1]
    assert [r.id for r in store.list(backend="a", limit=2)] == [ids[4], ids[2]]
    line = store.list(limit=1)[0]
    assert (line.circuit, line.num_qubits, line.backend, line.shots, line.seconds) == ("bell", 2, "b", 10, 0.5)


def test_finds_a_record_by_the_start_of_its_id(store):
    first = store.save(replace(record(), id="aaab" + "0" * 12))
    store.save(replace(record(), id="aaac" + "0" * 12))
    assert store.get("aaab").id == first
    assert store.get("AAAB").id == first
    with pytest.raises(NotFoundError, match=r"several results .* aaab0+, aaac0+") as caught:
        store.get("aaa")
    assert caught.value.hint == "give more of it"
    for absent in ("zzz", "", "%", "a_ab"):
        with pytest.raises(NotFoundError):
            store.get(absent)


def test_last_is_the_newest_record(store):
    with pytest.raises(NotFoundError, match="there is no result yet"):
        store.get("last")
    store.save(replace(record(), created=2.0))
    newest = store.save(replace(record(), created=3.0))
    store.save(replace(record(), created=1.0))
    assert store.get("last").id == newest


def test_deletes_a_record_with_its_arrays_and_keeps_a_circuit_others_use(store, tmp_path):
    first, second = store.save(record(statevector=np.ones(4))), store.save(record())
    store.delete(first)
    assert not (tmp_path / "data" / "results" / first).exists()
    with pytest.raises(NotFoundError):
        store.get(first)
    assert store.get(second).circuit == bell()
    store.delete(second)
    with sqlite3.connect(store.path) as database:
        assert database.execute("SELECT count(*) FROM circuits").fetchone() == (0,)
    database.close()
    with pytest.raises(NotFoundError):
        store.delete(second)


def test_a_damaged_database_is_kept_aside_named_and_replaced(store, tmp_path):
    told: list[str] = []
    old = store.save(record(statevector=np.ones(4)))
    store.close()
    Path(store.path).write_bytes(b"this is no database" * 1000)
    again = SqliteResultStore(str(tmp_path / "data"), told.append)
    assert again.list() == []
    (message,) = told
    backup = message.partition("kept as ")[2].partition(" and")[0]
    assert Path(backup).read_bytes().startswith(b"this is no database")
    # The old arrays stay with the old database: to the new one they would be left-overs to be removed.
    assert Path(f"{backup}.arrays", old, "statevector.npy").exists()
    assert again.get(again.save(record())).result.counts == {"00": 4, "11": 6}
    again.close()


def test_damage_in_the_middle_is_found_while_working_and_mended(tmp_path):
    told: list[str] = []
    store = SqliteResultStore(str(tmp_path / "data"), told.append)
    for _ in range(200):
        store.save(record())
    store.close()
    with open(store.path, "r+b") as file:
        size = os.path.getsize(store.path)
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    assert store.save(record())
    assert len(store.list(limit=500)) == 1
    assert "was damaged" in told[0]
    store.close()


def test_a_database_that_another_process_replaced_is_opened_anew(store):
    store.save(record())
    os.rename(store.path, store.path + ".away")
    for suffix in ("-wal", "-shm"):
        if os.path.exists(store.path + suffix):
            os.rename(store.path + suffix, store.path + ".away" + suffix)
    store.save(record())
    assert len(store.list()) == 1


def test_another_programs_database_is_left_alone(store, tmp_path):
    Path(tmp_path / "data").mkdir()
    with sqlite3.connect(store.path) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    before = Path(store.path).read_bytes()
    with pytest.raises(StorageError, match="another program made it"):
        store.save(record())
    assert Path(store.path).read_bytes() == before


def test_a_damaged_or_missing_array_is_named(store, tmp_path):
    record_id = store.save(record(statevector=np.ones(4)))
    path = tmp_path / "data" / "results" / record_id / "statevector.npy"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(StorageError, match=r"statevector\.npy is damaged"):
        store.get(record_id)
    path.unlink()
    with pytest.raises(StorageError, match=r"cannot read .*statevector.npy"):
        store.get(record_id)
    assert len(store.list()) == 1


def test_a_damaged_row_is_named(store):
    record_id = store.save(record())
    with sqlite3.connect(store.path) as database:
        database.execute("UPDATE runs SET record = '{\"result\": {}}'")
    database.close()
    with pytest.raises(StorageError, match=f"the record {record_id} .* is damaged"):
        store.get(record_id)


def test_left_overs_of_a_crash_are_removed_after_a_day(tmp_path):
    arrays = tmp_path / "data" / "results"
    for name, age in (("old", 100_000), ("young", 10)):
        (arrays / name).mkdir(parents=True)
        (arrays / name / ".statevector.tmp").write_bytes(b"half")
        os.utime(arrays / name, (time.time() - age,) * 2)
    store = SqliteResultStore(str(tmp_path / "data"), pytest.fail)
    kept = store.save(record(statevector=np.ones(4)))
    os.utime(arrays / kept, (time.time() - 100_000,) * 2)
    store.close()
    SqliteResultStore.save(
        again := SqliteResultStore(str(tmp_path / "data"), pytest.fail), record(samples=np.ones((1, 2), np.uint8))
    )
    again.close()
    names = os.listdir(arrays)
    assert "old" not in names
    assert {"young", kept} <= set(names)


def test_a_full_disk_stores_nothing_and_says_so(tmp_path):
    # A limit on file sizes is how a process meets "no space left" without a disk of its own.
    script = f"""
import resource, signal, sys
import numpy as np
sys.path[:0] = {[str(Path(__file__).parent)]!r}
from test_results_store import record, SqliteResultStore
from proxima.errors import StorageError
store = SqliteResultStore({str(tmp_path / "data")!r}, print)
store.save(record())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    store.save(record(statevector=np.ones(100_000)))
except StorageError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("StorageError cannot write ")
    assert os.listdir(tmp_path / "data" / "results") == []
    store = SqliteResultStore(str(tmp_path / "data"), pytest.fail)
    assert len(store.list()) == 1
    store.close()


def test_a_place_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    store = SqliteResultStore(str(tmp_path / "file" / "data"), pytest.fail)
    with pytest.raises(StorageError, match="file"):
        store.save(record())


def test_a_killed_process_leaves_a_whole_record_or_none(tmp_path):
    script = f"""
import sys
import numpy as np
sys.path[:0] = {[str(Path(__file__).parent)]!r}
from test_results_store import record, SqliteResultStore
store = SqliteResultStore({str(tmp_path / "data")!r}, print)
print("ready", flush=True)
while True:
    store.save(record(statevector=np.arange(50_000.0)))
"""
    for delay in (0.05, 0.12, 0.2):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    store = SqliteResultStore(str(tmp_path / "data"), pytest.fail)
    listed = store.list(limit=10_000)
    assert listed
    for line in listed:
        np.testing.assert_array_equal(store.get(line.id).result.statevector, np.arange(50_000.0))
    store.close()


def test_two_processes_and_several_threads_store_at_once(tmp_path):
    script = f"""
import sys, threading
sys.path[:0] = {[str(Path(__file__).parent)]!r}
from test_results_store import record, SqliteResultStore
store = SqliteResultStore({str(tmp_path / "data")!r}, print)
def work():
    for _ in range(20):
        store.save(record())
threads = [threading.Thread(target=work) for _ in range(3)]
[t.start() for t in threads]
[t.join() for t in threads]
"""
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [p.wait(timeout=60) for p in processes] == [0, 0]
    store = SqliteResultStore(str(tmp_path / "data"), pytest.fail)
    assert len(store.list(limit=1000)) == 120
    store.close()


def test_an_interrupt_while_storing_leaves_nothing(store, tmp_path):
    class Interrupting(np.ndarray):
        def __array_wrap__(self, *args: object) -> None:
            raise AssertionError

        @property
        def dtype(self):  # asked for by np.save once the file is open
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.save(record(probabilities=np.ones(4), statevector=np.ones(4).view(Interrupting)))
    assert os.listdir(tmp_path / "data" / "results") == []
    assert store.list() == []


def test_backend_options_that_are_no_data_are_refused(store):
    given = replace(record(), options=RunOptions(options={"callback": threading.Lock()}))
    with pytest.raises(UsageError, match="not plain data"):
        store.save(given)
    assert store.list() == []


@given(st.dictionaries(st.text(max_size=20), st.integers(1, 10**9), max_size=20), st.text(max_size=50))
@settings(max_examples=25, deadline=None)
def test_any_counts_and_notes_survive(tmp_path_factory, counts, note):
    store = SqliteResultStore(str(tmp_path_factory.mktemp("data")), pytest.fail)
    found = store.get(store.save(record(counts=counts, notes=(note,)))).result
    assert (found.counts, found.notes) == (counts, (note,))
    store.close()
