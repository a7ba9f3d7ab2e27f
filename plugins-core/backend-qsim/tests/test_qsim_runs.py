"""How runs behave: loading, cancelling, deadlines, threads, estimates."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import yaml

from proxima.contracts.backend import CancelToken, RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import features_of
from proxima.errors import CancelledError, DeadlineExceededError
from proxima_backend_qsim import engine, plugin
from proxima_backend_qsim.backend import QsimBackend
from proxima_backend_qsim.engine import Engine
from proxima_backend_qsim.gates import lower


def brickwork(n: int, layers: int) -> Circuit:
    rng = np.random.default_rng(1)
    b = Circuit.builder(n, n)
    for layer in range(layers):
        for q in range(n):
            b.u(*rng.uniform(-3, 3, 3), q)
        for q in range(layer % 2, n - 1, 2):
            b.cx(q, q + 1)
    return b.build()


def run_fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_plugin_offers_one_backend_called_qsim() -> None:
    assert [b.name for b in plugin.proxima_backends()] == ["qsim"]


def test_a_run_imports_neither_cirq_nor_the_package_qsimcirq() -> None:
    code = """
import sys
from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import features_of
from proxima_backend_qsim.backend import QsimBackend
backend, circuit = QsimBackend(), Circuit.builder(2, 2).h(0).cx(0, 1).measure_all().build()
request = RunRequest(circuit=circuit)
assert backend.probe().state == "available"
backend.estimate(request, features_of(circuit))
assert not [m for m in sys.modules if m.startswith("qsimcirq")]
assert sum(backend.run(backend.plan(request), RunContext()).counts.values()) == 1024
print("cirq" in sys.modules, "qsimcirq" in sys.modules)
"""
    assert run_fresh(code) == "False False"


def test_the_package_can_be_imported_after_its_extension() -> None:
    code = """
import warnings
warnings.simplefilter("ignore")
from proxima_backend_qsim.engine import load
ours = load()
import qsimcirq
print(ours is qsimcirq.qsim, ours is load())
"""
    assert run_fresh(code) == "True True"


def test_missing_engine_is_reported_with_the_command_that_installs_it() -> None:
    code = """
import importlib.util
from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit
from proxima.errors import BackendUnavailableError
from proxima_backend_qsim.backend import QsimBackend
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "qsimcirq" else find(name, package)
print(QsimBackend().probe().state)
try:
    QsimBackend().plan(RunRequest(circuit=Circuit.builder(1).h(0).build(), wants=("statevector",)))
except BackendUnavailableError as error:
    print(error.hint)
"""
    assert run_fresh(code).splitlines() == ["not_installed", "pip install proxima-backend-qsim"]


def test_broken_engine_is_reported_with_its_cause(tmp_path: Path) -> None:
    package = tmp_path / "qsimcirq"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('libgomp.so.1: cannot open shared object file')")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from proxima.errors import BackendUnavailableError
from proxima_backend_qsim.engine import load
try:
    load()
except BackendUnavailableError as error:
    print(error)
"""
    assert "libgomp.so.1: cannot open shared object file" in run_fresh(code)


def test_pieces_give_what_one_call_gives() -> None:
    circuit = brickwork(6, 8)
    backend = QsimBackend()
    native = backend.plan(RunRequest(circuit=circuit, wants=("statevector",))).native
    whole = native.engine.run(native.pieces, None, RunContext())
    cut = Engine(engine.load(), 6)
    cut.piece = 3
    pieces = cut.compile([g for g in lower(circuit) if g is not None])
    assert len(pieces) > 5
    np.testing.assert_allclose(cut.run(pieces, None, RunContext()), whole, atol=1e-6)


def long_plan(backend: QsimBackend):  # type: ignore[no-untyped-def]
    """Minutes of work."""
    return backend.plan(RunRequest(circuit=brickwork(23, 300), wants=("statevector",), shots=None))


def test_cancel_stops_a_long_run_within_a_second() -> None:
    backend = QsimBackend()
    plan, token, told = long_plan(backend), CancelToken(), []
    cancelled_at: list[float] = []

    def cancel() -> None:
        cancelled_at.append(time.monotonic())
        token.cancel()

    timer = threading.Timer(0.5, cancel)
    timer.start()
    with pytest.raises(CancelledError):
        backend.run(plan, RunContext(cancel=token, progress=lambda fraction, message: told.append(fraction)))
    assert time.monotonic() - cancelled_at[0] < 1.0
    assert told
    assert told == sorted(told)


def test_deadline_stops_a_long_run_within_a_second() -> None:
    backend = QsimBackend()
    plan, deadline = long_plan(backend), time.monotonic() + 0.5
    with pytest.raises(DeadlineExceededError):
        backend.run(plan, RunContext(deadline=deadline))
    assert time.monotonic() - deadline < 1.0


def test_deadline_stops_trajectories() -> None:
    b = Circuit.builder(14, 14)
    for step in brickwork(14, 30):
        b.append(step.op, step.qubits, step.params)
        b.depolarizing(0.2, step.qubits[0])
    backend = QsimBackend()
    plan = backend.plan(RunRequest(circuit=b.measure_all().build(), shots=100_000, options={"method": "trajectories"}))
    deadline = time.monotonic() + 0.3
    with pytest.raises(DeadlineExceededError):
        backend.run(plan, RunContext(deadline=deadline))
    assert time.monotonic() - deadline < 1.0


def test_runs_in_two_threads_do_not_disturb_each_other() -> None:
    backend = QsimBackend()
    requests = [RunRequest(circuit=brickwork(n, 6), wants=("statevector",)) for n in (3, 9, 12, 14)]

    def go(request: RunRequest) -> bytes:
        state = backend.run(backend.plan(request), RunContext()).statevector
        assert state is not None
        return state.tobytes()

    alone = [go(r) for r in requests]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(go, requests * 5)) == alone * 5


def test_two_threads_of_the_engine_give_the_same_state() -> None:
    backend = QsimBackend()
    plan = backend.plan(RunRequest(circuit=brickwork(15, 4), wants=("statevector",)))
    one, two = (backend.run(plan, RunContext(threads=t)).statevector for t in (1, 2))
    assert one is not None
    assert two is not None
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_trajectories_do_not_run_once_per_shot() -> None:
    """A million shots of a circuit with two branches take two runs."""
    circuit = Circuit.builder(10, 11).h(0).measure(0, 10).h(0).measure_all().build()
    backend = QsimBackend()
    begin = time.monotonic()
    result = backend.run(backend.plan(RunRequest(circuit=circuit, shots=1_000_000)), RunContext())
    assert result.counts is not None
    assert sum(result.counts.values()) == 1_000_000
    assert time.monotonic() - begin < 5.0


def manifest() -> dict[str, object]:
    text = (Path(__file__).parent.parent / "plugin.yaml").read_text()
    loaded: dict[str, object] = yaml.safe_load(text)
    return loaded


def test_estimate_uses_the_units_of_the_manifest_and_grows_with_the_circuit() -> None:
    capabilities = manifest()["entry_points"]["backends"][0]["capabilities"]  # type: ignore[index]
    backend = QsimBackend()
    seconds = []
    for n in (4, 12, 18, 24):
        circuit = brickwork(n, 10)
        estimate = backend.estimate(RunRequest(circuit=circuit, wants=("probabilities",)), features_of(circuit))
        assert estimate.feasible
        assert estimate.memory_bytes >= 8 * 2**n
        seconds.append(estimate.seconds(capabilities["rates"]))
    assert seconds == sorted(seconds)
    assert math.isfinite(seconds[-1])


def test_estimate_says_why_not() -> None:
    circuit = Circuit.builder(1).h(0).build()
    estimate = QsimBackend().estimate(RunRequest(circuit=circuit, precision="double"), features_of(circuit))
    assert not estimate.feasible
    assert "single precision" in estimate.reason
