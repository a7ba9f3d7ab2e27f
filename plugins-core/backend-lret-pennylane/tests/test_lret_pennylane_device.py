"""The device against PennyLane's own density matrices (default.mixed)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")

import itertools

import pennylane as qml
from pennylane.operation import Operator

from proxima_lret_core.pennylane.device import LowRankMixed
from proxima_lret_core.pennylane.tapes import WITHOUT_EFFECT

LABELS = ["b", 7, "a", 0]
CLOSE = 1e-6  # the device's default tolerance; differences of probabilities are no larger


def noisy(rng: np.random.Generator, wires: Sequence[Any] = LABELS) -> list[Operator]:
    """Rotations, entanglement and noise, so that no wire is like another."""
    out: list[Operator] = []
    for layer in range(2):
        for wire in wires:
            out += [qml.RY(rng.uniform(0, 6), wire), qml.RZ(rng.uniform(0, 6), wire)]
            out += [qml.DepolarizingChannel(0.02 * (layer + 1), wire), qml.AmplitudeDamping(0.03, wire)]
        out += [qml.CNOT([a, b]) for a, b in itertools.pairwise(wires)]
    return out


def apply(operations: Sequence[Operator]) -> None:
    """Puts operations that were made elsewhere into a circuit."""
    for operation in operations:
        qml.apply(operation)


def both(function: Callable[[], Any], wires: Any = LABELS, shots: int | None = None, **options: Any) -> tuple[Any, Any]:
    """What the device and default.mixed give."""
    devices = LowRankMixed(wires, **options), qml.device("default.mixed", wires=wires)
    mine, theirs = (qml.set_shots(qml.QNode(function, device), shots)() for device in devices)
    return mine, theirs


def unitary(size: int, rng: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))[0]


def made(name: str, rng: np.random.Generator) -> Operator:
    """An operation of the capabilities' list on wires in unusual order."""
    special: dict[str, Callable[[], Operator]] = {
        "Identity": lambda: qml.Identity(7),
        "Barrier": lambda: qml.Barrier(["a", "b"]),
        "Snapshot": lambda: qml.Snapshot("here"),
        "GlobalPhase": lambda: qml.GlobalPhase(0.3, "a"),
        "WireCut": lambda: qml.WireCut("a"),
        "QubitUnitary": lambda: qml.QubitUnitary(unitary(8, rng), ["a", "b", 0]),
        "DiagonalQubitUnitary": lambda: qml.DiagonalQubitUnitary(np.exp(1j * rng.uniform(0, 6, 4)), ["a", "b"]),
        "BlockEncode": lambda: qml.BlockEncode(np.array([[0.1, 0.2], [0.3, 0.4]]), ["a", "b"]),
        "StatePrep": lambda: qml.StatePrep(unitary(4, rng)[0], ["a", "b"]),
        "QubitDensityMatrix": lambda: qml.QubitDensityMatrix(density(4, rng), ["a", "b"]),
        "QubitChannel": lambda: qml.QubitChannel(kraus(4, 3, rng), ["a", "b"]),
        "PauliError": lambda: qml.PauliError("XY", 0.2, ["a", "b"]),
        "ResetError": lambda: qml.ResetError(0.1, 0.2, "a"),
        "GeneralizedAmplitudeDamping": lambda: qml.GeneralizedAmplitudeDamping(0.3, 0.2, "a"),
        "ThermalRelaxationError": lambda: qml.ThermalRelaxationError(0.1, 2.0, 1.5, 0.4, "a"),
    }
    if name in special:
        return special[name]()
    kind = getattr(qml, name, None) or getattr(qml.ops, name)
    wires = ["a", "b", 0, 7][: kind.num_wires]
    high = 0.7 if issubclass(kind, qml.operation.Channel) else 6.0
    return kind(*rng.uniform(0.1, high, kind.num_params).tolist(), wires=wires)


def density(size: int, rng: np.random.Generator) -> np.ndarray:
    vectors = unitary(size, rng)
    return (vectors * (np.arange(size) / np.arange(size).sum())) @ vectors.conj().T


def kraus(size: int, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    tall = np.linalg.qr(rng.normal(size=(count * size, size)) + 1j * rng.normal(size=(count * size, size)))[0]
    return list(tall.reshape(count, size, size))


@pytest.mark.parametrize("name", sorted(LowRankMixed.capabilities.operations))
def test_every_operation_of_the_capabilities(name: str) -> None:
    rng = np.random.default_rng(len(name))
    operation = made(name, rng)
    variants = [operation]
    if LowRankMixed.capabilities.operations[name].invertible:
        variants.append(qml.adjoint(operation, lazy=True))
    before = [] if name in ("StatePrep", "QubitDensityMatrix") else noisy(rng)
    after = noisy(rng)
    for variant in variants:

        def circuit(variant: Operator = variant) -> Any:
            apply([*before, variant, *after])
            return qml.state()

        if name in WITHOUT_EFFECT:  # default.mixed has no Barrier and no WireCut
            tape = qml.tape.QuantumScript([*before, variant], [qml.state()])
            found = LowRankMixed(LABELS, tolerance=1e-9).execute(tape)
            without = qml.tape.QuantumScript(before, [qml.state()])
            assert found == pytest.approx(LowRankMixed(LABELS, tolerance=1e-9).execute(without), abs=1e-12)
            continue
        mine, theirs = both(circuit, tolerance=1e-9)
        assert mine == pytest.approx(theirs, abs=1e-8)


MEASUREMENTS: dict[str, Callable[[], Any]] = {
    "pauli": lambda: qml.expval(qml.Z("a")),
    "tensor": lambda: qml.expval(qml.X("a") @ qml.Y(0) @ qml.Z("b")),
    "hamiltonian": lambda: qml.expval(qml.Hamiltonian([0.5, -1.5], [qml.X("a") @ qml.Z(7), qml.Y(0)])),
    "sum": lambda: qml.expval(qml.Hadamard("b") + 2 * qml.Z(7)),
    "identity": lambda: qml.expval(qml.Identity(7)),
    "hermitian": lambda: qml.expval(qml.Hermitian(np.array([[1, 2j], [-2j, 3]]), "b")),
    "hermitian of two": lambda: qml.expval(qml.Hermitian(density(4, np.random.default_rng(3)), [7, "b"])),
    "projector": lambda: qml.expval(qml.Projector([1, 0], ["b", 0])),
    "projector on a state": lambda: qml.expval(qml.Projector(np.array([1, 1j]) / np.sqrt(2), ["b"])),
    "sparse": lambda: qml.expval(sparse()),
    "variance": lambda: qml.var(qml.X("a") @ qml.Z(7)),
    "variance of a sum": lambda: qml.var(qml.X("a") + 0.5 * qml.Z("a") + qml.Y(0)),
    "variance of a matrix": lambda: qml.var(qml.Hermitian(density(4, np.random.default_rng(4)), [7, "b"])),
    "probabilities": lambda: qml.probs(wires=[0, "b"]),
    "probabilities of all": lambda: qml.probs(),
    "probabilities in a basis": lambda: qml.probs(op=qml.X("a") @ qml.Y(7)),
    "state": lambda: qml.state(),
    "density matrix": lambda: qml.density_matrix([0, "a"]),
    "purity": lambda: qml.purity(["b", 0]),
    "entropy": lambda: qml.vn_entropy(["b", 0], log_base=2),
    "mutual information": lambda: qml.mutual_info(["b"], [0, 7]),
}


def sparse() -> Operator:
    with qml.QueuingManager.stop_recording():
        matrix = qml.Hamiltonian([1.0, 2.0], [qml.Z(7), qml.X("b")]).sparse_matrix(wire_order=[7, "b"])
    return qml.SparseHamiltonian(matrix, wires=[7, "b"])


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_measurement(name: str) -> None:
    operations = noisy(np.random.default_rng(11), ["b", 7, "a"])  # wire 0 is left alone

    def circuit() -> Any:
        apply(operations)
        return MEASUREMENTS[name]()

    mine, theirs = both(circuit, tolerance=1e-10)
    assert np.shape(mine) == np.shape(theirs)
    assert mine == pytest.approx(theirs, abs=1e-7)  # the logarithms of an entropy magnify the tolerance


def test_several_measurements_at_once_and_wires_that_are_not_named() -> None:
    def circuit() -> Any:
        qml.RX(0.3, "x"), qml.CNOT(["x", 2]), qml.BitFlip(0.1, 2)
        return qml.expval(qml.Z(2)), qml.probs(wires=["x"]), qml.var(qml.Y("x")), qml.density_matrix([2])

    mine, theirs = both(circuit, wires=None)
    assert len(mine) == 4
    for a, b in zip(mine, theirs, strict=True):
        assert a == pytest.approx(b, abs=CLOSE)


SHOTS = 40_000
SAMPLED: dict[str, Callable[[], Any]] = {
    "expectation": lambda: qml.expval(qml.X("a") @ qml.Z(7)),
    "hamiltonian": lambda: qml.expval(qml.Hamiltonian([0.5, -1.5, 2.0], [qml.X("a"), qml.Y(0), qml.Z("a")])),
    "hermitian": lambda: qml.expval(qml.Hermitian(density(4, np.random.default_rng(3)), [7, "b"])),
    "projector": lambda: qml.expval(qml.Projector([1, 0], ["b", 0])),
    "variance": lambda: qml.var(qml.Y("a")),
    "probabilities": lambda: qml.probs(wires=[0, "b"]),
    "probabilities in a basis": lambda: qml.probs(op=qml.X("a") @ qml.Y(7)),
}


@pytest.mark.parametrize("name", SAMPLED)
def test_shots_agree_with_exact_values(name: str) -> None:
    operations = noisy(np.random.default_rng(11))

    def circuit() -> Any:
        apply(operations)
        return SAMPLED[name]()

    device = LowRankMixed(LABELS, seed=5)
    exact = qml.QNode(circuit, device)()
    found = qml.set_shots(qml.QNode(circuit, device), SHOTS)()
    assert np.shape(found) == np.shape(exact)
    assert found == pytest.approx(exact, abs=5 * 2.7 / np.sqrt(SHOTS))  # five standard errors, of at most 2.7


def test_samples_and_counts() -> None:
    def circuit() -> Any:
        qml.X("a"), qml.H("b"), qml.CNOT(["b", 0])
        return (
            qml.sample(wires=["a", "b", 0]),
            qml.counts(qml.Z("a")),
            qml.counts(wires=["b", 0]),
            qml.sample(qml.X("b")),
        )

    samples, counts, pairs, turned = qml.set_shots(qml.QNode(circuit, LowRankMixed(LABELS, seed=1)), 200)()
    assert samples.shape == (200, 3)
    assert (samples[:, 0] == 1).all()
    assert (samples[:, 1] == samples[:, 2]).all()
    assert counts == {-1.0: 200}
    assert set(pairs) == {"00", "11"}
    assert sum(pairs.values()) == 200
    assert set(np.unique(turned)) == {-1.0, 1.0}


def test_a_seed_gives_the_same_shots_again_and_partitions_are_parts() -> None:
    def circuit() -> Any:
        qml.H(0), qml.DepolarizingChannel(0.1, 0)
        return qml.sample(wires=0), qml.expval(qml.Z(0))

    def run(seed: int, shots: Any) -> Any:
        return qml.set_shots(qml.QNode(circuit, LowRankMixed(1, seed=seed)), shots)()

    assert (run(3, 100)[0] == run(3, 100)[0]).all()
    assert (run(3, 100)[0] != run(4, 100)[0]).any()
    parts = run(3, [60, 40])
    assert [part[0].shape for part in parts] == [(60, 1), (40, 1)]
    assert (np.concatenate([part[0] for part in parts]) == run(3, 100)[0]).all()


def test_measurements_that_agree_on_the_bases_share_their_run() -> None:
    device = LowRankMixed(3, seed=1)
    terms = [qml.X(0), qml.X(0) @ qml.Z(1), qml.Z(1) @ qml.Z(2), qml.Y(0), qml.Z(2)]
    tape = qml.tape.QuantumScript([qml.H(0)], [*map(qml.expval, terms), qml.probs(wires=[1, 2])], shots=100)
    from proxima_lret_core.pennylane import answers

    groups = answers._in_groups(tape.measurements)
    assert [members for _, members in groups] == [[0, 1, 2, 4, 5], [3]]
    assert device.execute(tape)[0] == 1.0  # <X> of |+>


def test_classical_shadows() -> None:
    def circuit() -> Any:
        qml.H(0), qml.CNOT([0, 1])
        return qml.classical_shadow(wires=[0, 1], seed=3), qml.shadow_expval(qml.X(0) @ qml.X(1), seed=3)

    (bits, recipes), value = qml.set_shots(qml.QNode(circuit, LowRankMixed(2, seed=1)), 4000)()
    assert bits.shape == recipes.shape == (4000, 2)
    assert value == pytest.approx(1.0, abs=0.3)


def test_measurements_in_the_middle_are_deferred() -> None:
    def circuit() -> Any:
        qml.RY(0.7, 0), qml.DepolarizingChannel(0.05, 0)
        first = qml.measure(0, reset=True)
        qml.cond(first, qml.RX)(1.1, 1)
        second = qml.measure(1)
        return qml.expval(qml.Z(1)), qml.probs(op=[first, second]), qml.expval(first * second)

    for mine, theirs in zip(*both(circuit, wires=6), strict=True):
        assert mine == pytest.approx(theirs, abs=CLOSE)


def test_broadcast_parameters() -> None:
    angles = np.linspace(0, 3, 5)

    def circuit() -> Any:
        qml.RX(angles, 0), qml.CNOT([0, 1]), qml.PhaseDamping(0.1, 1)
        return qml.expval(qml.Z(1)), qml.probs(wires=[0, 1])

    mine, theirs = both(circuit, wires=2)
    assert mine[1].shape == (5, 4)
    for a, b in zip(mine, theirs, strict=True):
        assert a == pytest.approx(b, abs=CLOSE)


def test_templates_and_wide_state_preparation_are_decomposed() -> None:
    rng = np.random.default_rng(2)
    psi = unitary(2**9, rng)[0]

    def circuit() -> Any:
        qml.StatePrep(psi, range(9)), qml.QFT(range(5))
        return qml.probs(wires=range(9))

    mine = qml.QNode(circuit, LowRankMixed(9))()
    theirs = qml.QNode(circuit, qml.device("default.qubit", wires=9))()
    assert mine == pytest.approx(theirs, abs=1e-9)


def test_the_bound_is_kept_to_and_told() -> None:
    operations = noisy(np.random.default_rng(3))

    def circuit() -> Any:
        apply(operations)
        return qml.state()

    exact = qml.QNode(circuit, qml.device("default.mixed", wires=LABELS))()
    device = qml.device("proxima.lret.mixed", wires=LABELS, tolerance=0.05, precision="single", threads=2)
    assert device.last_bound is None
    with device.tracker:
        rho = qml.QNode(circuit, device)()
    distance = 0.5 * np.abs(np.linalg.eigvalsh(rho - exact)).sum()
    assert 1e-3 < distance <= device.last_bound <= 0.05
    assert device.tracker.history["bounds"] == [device.last_bound]
    assert device.tracker.totals["executions"] == 1
    with pytest.raises(AttributeError):
        device.last_bound = 0.0
