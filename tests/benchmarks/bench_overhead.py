"""A run through the kernel against the same engine called directly, as its documentation shows.

Goal: at most 1.05 times the direct call at 20 qubits, translation included; and translation no slower than building the
engine's circuit by hand.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cirq
import numpy as np
import pytest
import qsimcirq
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from qiskit_aer.backends.aer_compiler import assemble_circuits
from timing import interleaved, ratio

import proxima
from proxima.contracts.backend import RunRequest
from proxima.contracts.operations import BY_NAME
from proxima.paths import Paths

N = 20
SHOTS = 1024
Gate = tuple[str, tuple[int, ...], tuple[float, ...]]


def _ghz() -> list[Gate]:
    return [("h", (0,), ()), *(("cx", (q, q + 1), ()) for q in range(N - 1))]


def _qft() -> list[Gate]:
    gates: list[Gate] = []
    for high in reversed(range(N)):
        gates.append(("h", (high,), ()))
        gates += [("cp", (low, high), (math.pi / 2 ** (high - low),)) for low in reversed(range(high))]
    return gates


def _random(depth: int = 20) -> list[Gate]:
    rng = np.random.default_rng(3)
    gates: list[Gate] = []
    for layer in range(depth):
        gates += [(str(rng.choice(["rx", "ry", "rz"])), (q,), (float(rng.uniform(0, 2 * math.pi)),)) for q in range(N)]
        gates += [("cx", (q, q + 1), ()) for q in range(layer % 2, N - 1, 2)]
    return gates


def _proxima(gates: list[Gate]) -> proxima.Circuit:
    builder = proxima.Circuit.builder(N, N)
    for name, qubits, params in gates:
        builder.append(BY_NAME[name].op, qubits, params)
    return builder.measure_all().build()


def _qiskit(gates: list[Gate]) -> QuantumCircuit:
    circuit = QuantumCircuit(N, N)
    for name, qubits, params in gates:
        getattr(circuit, name)(*params, *qubits)
    circuit.measure(range(N), range(N))
    return circuit


def _aer(gates: list[Gate]) -> object:
    """Qiskit's circuit, and what Aer makes of it before it can run it: our translation ends there too."""
    return assemble_circuits([_qiskit(gates)])


def _cirq(gates: list[Gate]) -> cirq.Circuit:
    q = cirq.LineQubit.range(N)
    made: dict[str, Callable[..., cirq.Operation]] = {
        "h": cirq.H,
        "cx": cirq.CNOT,
        "rx": lambda qubit, angle: cirq.rx(angle)(qubit),
        "ry": lambda qubit, angle: cirq.ry(angle)(qubit),
        "rz": lambda qubit, angle: cirq.rz(angle)(qubit),
        "cp": lambda a, b, angle: cirq.CZPowGate(exponent=angle / math.pi)(a, b),
    }
    circuit = cirq.Circuit(made[name](*(q[i] for i in qubits), *params) for name, qubits, params in gates)
    circuit.append(cirq.measure(*q, key="c"))
    return circuit


def _run_aer(gates: list[Gate]) -> object:
    simulator = AerSimulator(method="statevector", precision="single", max_parallel_threads=1, seed_simulator=1)
    return simulator.run(_qiskit(gates), shots=SHOTS).result().get_counts()


def _run_cirq(gates: list[Gate]) -> object:
    result = cirq.Simulator(seed=1).run(_cirq(gates), repetitions=SHOTS)
    return result.histogram(key="c", fold_func=lambda bits: "".join(map(str, bits)))


def _run_qsim(gates: list[Gate]) -> object:
    simulator = qsimcirq.QSimSimulator(qsimcirq.QSimOptions(cpu_threads=1, max_fused_gate_size=4), seed=1)
    result = simulator.run(_cirq(gates), repetitions=SHOTS)
    return result.histogram(key="c", fold_func=lambda bits: "".join(map(str, bits)))


FAMILIES = {"GHZ": _ghz(), "QFT": _qft(), "random depth 20": _random()}
ENGINES: dict[str, tuple[Callable[[list[Gate]], object], Callable[[list[Gate]], Any]]] = {
    "cirq": (_run_cirq, _cirq),
    "qiskit-aer": (_run_aer, _aer),
    "qsim": (_run_qsim, _cirq),
}


@pytest.fixture(scope="module")
def px(tmp_path_factory: pytest.TempPathFactory) -> Iterator[proxima.Kernel]:
    with proxima.open(paths=Paths.under(str(tmp_path_factory.mktemp("home")))) as kernel:
        yield kernel


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("engine", ENGINES)
def test_run_through_the_kernel(px: proxima.Kernel, engine: str, family: str) -> None:
    gates = FAMILIES[family]
    circuit = _proxima(gates)
    run_directly, build = ENGINES[engine]
    backend = px.get("backends", engine)
    # The method that the direct call uses: left to themselves the backends choose better ones for some of these.
    method = {"method": "statevector"}
    request = RunRequest(circuit=circuit, shots=SHOTS, options=method)
    run = {"backend": engine, "shots": SHOTS, "seed": 1, "threads": 1, "options": method}
    times = interleaved({"kernel": lambda: px.run(circuit, **run), "direct": lambda: run_directly(gates)}, rounds=7)
    by_hand = interleaved({"by hand": lambda: build(gates)}, rounds=9)["by hand"]
    stages = [backend.plan(request).timings for _ in range(9)]
    translate = statistics.median(timings["translate"] + timings.get("compile", 0.0) for timings in stages)
    print(
        f"\n{engine:<11} {family:<16} kernel/direct {ratio(times, 'kernel', 'direct'):.3f} (goal 1.05)   "
        f"translation/by hand {translate / statistics.median(by_hand):.3f} (goal 1.00)"
    )


def test_kernel_and_engine_agree(px: proxima.Kernel, tmp_path: Path) -> None:
    """The two sides of the comparison do the same work."""
    assert px.run(_proxima(_ghz()), backend="qsim", shots=SHOTS).counts.keys() == set(_run_qsim(_ghz()))  # type: ignore[union-attr, call-overload]
