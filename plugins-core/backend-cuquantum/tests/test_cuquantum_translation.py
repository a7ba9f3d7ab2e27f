"""What cuStateVec is handed, read as its documentation says, against the reference simulator; no device is touched."""

from __future__ import annotations

import numpy as np
import pytest

from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit, Condition, Parameter
from proxima.contracts.features import features_of
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import GATES, OPERATIONS, Op
from proxima.errors import ResourceError, UnsupportedError, UsageError
from proxima_backend_cuquantum import backend, costs, gpus, mps
from proxima_backend_cuquantum.gates import Gate, fused, fused_rows, gate_of
from proxima_backend_cuquantum.gradient import BatchedGate, gradients, side_by_side
from proxima_backend_cuquantum.pauli import density_of, terms_of, words
from proxima_backend_cuquantum.spread import in_wire_order
from proxima_sdk import reference
from proxima_sdk.circuits import brickwork, ghz, haar_unitary, random, random_kraus
from proxima_sdk.conformance.statistics import fit
from proxima_trajectories import channel_of, rows_of


def acted(gate: Gate, state: np.ndarray) -> np.ndarray:
    """custatevecApplyMatrix by its documentation, bit by bit: slow, and nothing of numpy's axes in it.

    Index bit 0 is the least significant; where every control bit is 1, the target bits, the first the least
    significant, number the row of the matrix.
    """
    out = state.copy()
    for index in range(len(state)):
        if not all(index >> bit & 1 for bit in gate.controls):
            continue
        row = sum((index >> bit & 1) << i for i, bit in enumerate(gate.targets))
        rest = index & ~sum(1 << bit for bit in gate.targets)
        out[index] = sum(
            gate.matrix[row, column] * state[rest | sum((column >> i & 1) << bit for i, bit in enumerate(gate.targets))]
            for column in range(len(gate.matrix))
        )
    return out


def evolved(gates: list[Gate], num_qubits: int) -> np.ndarray:
    state = reference.initial_state(num_qubits)
    for gate in gates:
        state = acted(gate, state)
    return state


def gates_of(circuit: Circuit) -> list[Gate]:
    return [gate_of(step) for step in circuit if step.op in GATES]


@pytest.mark.parametrize("op", sorted(GATES), ids=lambda op: op.name.lower())
def test_every_gate_on_every_order_of_qubits(op: Op) -> None:
    rng = np.random.default_rng(2)
    size = OPERATIONS[op].num_qubits or 2
    angles = [0.3 + 0.4 * i for i in range(len(OPERATIONS[op].params))]
    matrices = (haar_unitary(size, rng),) if op is Op.UNITARY else ()
    for qubits in [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)]:
        b = Circuit.builder(3)
        for qubit in range(3):
            b.ry(0.4 + qubit, qubit).rz(0.9 - qubit, qubit)
        circuit = b.append(op, qubits[:size], angles, matrices=matrices).build()
        gates = gates_of(circuit)
        assert evolved(gates, 3) == pytest.approx(reference.statevector(circuit), abs=1e-12)
    controlled = OPERATIONS[op].name.startswith("c")
    assert bool(gates[-1].controls) is controlled
    assert len(gates[-1].targets) + len(gates[-1].controls) == size


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_fused_gates_do_the_same_and_are_fewer(seed: int, most: int) -> None:
    circuit = random(5, 8, seed=seed, operations=[op for op in sorted(GATES) if op is not Op.UNITARY])
    gates = gates_of(circuit)
    fewer = fused(gates, most)
    assert evolved(fewer, 5) == pytest.approx(reference.statevector(circuit), abs=1e-12)
    larger = [gate for gate in gates if len(gate.targets) + len(gate.controls) > most]
    assert all(len(g.targets) <= most for g in fewer if not any(g is gate for gate in larger))
    assert len(fewer) < len(gates)


def test_a_layer_of_rotations_joins_the_gates_around_it() -> None:
    b = Circuit.builder(4)
    for qubit in range(4):
        b.h(qubit).rz(0.1, qubit).ry(0.2, qubit)
    circuit = b.cx(0, 1).cx(2, 3).cx(1, 2).build()
    assert len(fused(gates_of(circuit), 4)) == 1
    assert len(fused(gates_of(circuit), 2)) == 3


def test_fusing_keeps_to_what_stands_between() -> None:
    b = Circuit.builder(2, 1).h(0).t(0).measure(0, 0).x(1, condition=Condition((0,), 1)).h(1).s(1).reset(0).h(0)
    rows = fused_rows(rows_of(b.build(), gate_of))
    kinds = ["gate" if row.operation else "parts" for row in rows]
    assert kinds == ["gate", "parts", "gate", "gate", "parts", "gate"]
    assert [row.condition is not None for row in rows] == [False, False, True, False, False, False]


def test_the_ways_of_a_channel_are_matrices_on_its_qubits() -> None:
    b = Circuit.builder(3).amplitude_damping(0.3, 2).depolarizing2(0.1, 2, 0)
    b.append(Op.KRAUS, (1, 2), matrices=random_kraus(2, 3, np.random.default_rng(1)))
    for step in b.build():
        channel = channel_of(step, lambda matrix, qubits: Gate(matrix, tuple(qubits)))
        rng = np.random.default_rng(3)
        state = rng.normal(size=8) + 1j * rng.normal(size=8)
        state /= np.linalg.norm(state)
        chances = [1.0] * len(channel.operations) if channel.chances is None else channel.chances.tolist()
        total = np.zeros((8, 8), dtype=complex)
        for chance, gate in zip(chances, channel.operations, strict=True):
            moved = state if gate is None else acted(gate, state)
            total += chance * np.outer(moved, moved.conj())
        start = np.outer(state, state.conj())
        ensemble = reference.advance({(): start}, step)
        assert total == pytest.approx(ensemble[()], abs=1e-12)


def pauli_value(state: np.ndarray, operators: list[int], bits: list[int]) -> float:
    """custatevecComputeExpectationsOnPauliBasis by its documentation: operator i acts on index bit ``bits[i]``."""
    moved = state
    for code, bit in zip(operators, bits, strict=True):
        moved = acted(Gate(reference.PAULIS["IXYZ"[code]], (bit,)), moved)
    return float(np.vdot(state, moved).real)


def test_observables_are_strings_on_index_bits() -> None:
    circuit = random(4, 6, seed=8)
    state = reference.statevector(circuit)
    observable = PauliSum.parse("0.5 * ZIXI - 1.5 * IIII + 0.25 * YZIX - IXII")
    constant, coefficients, operators, bits = terms_of(observable)
    assert constant == -1.5
    assert bits == [[1, 3], [0, 2, 3], [2]]
    value = constant + sum(c * pauli_value(state, o, b) for c, o, b in zip(coefficients, operators, bits, strict=True))
    assert value == pytest.approx(reference.expectation(circuit, observable)[0], abs=1e-12)


@pytest.mark.parametrize("qubits", [(0,), (2,), (0, 2), (2, 0), (3, 1)])
def test_a_reduced_density_matrix_from_pauli_strings(qubits: tuple[int, ...]) -> None:
    state = reference.statevector(random(4, 6, seed=9))
    # As `DeviceState.reduced` asks: a word's last letter is the first listed qubit.
    asked = [["IXYZ".index(letter) for letter in reversed(word)] for word in words(len(qubits))]
    values = [pauli_value(state, operators, list(qubits)) for operators in asked]
    axes = [3 - qubit for qubit in reversed(qubits)]
    rows = np.moveaxis(state.reshape((2,) * 4), axes, range(len(axes))).reshape(2 ** len(axes), -1)
    assert density_of(values, len(qubits)) == pytest.approx(rows @ rows.conj().T, abs=1e-12)


class NumpyBatch:
    """custatevecApplyMatrixBatched by its documentation: statevector s takes matrix ``indices[s]``."""

    def __init__(self, num_qubits: int, count: int) -> None:
        self.states = [reference.initial_state(num_qubits) for _ in range(count)]

    def apply(self, gate: BatchedGate, check) -> None:
        for number, state in enumerate(self.states):
            matrix = gate.matrices[gate.indices[number] if gate.indices else 0]
            self.states[number] = acted(Gate(matrix, gate.targets, gate.controls), state)

    def expectations(self, observable: PauliSum, check) -> np.ndarray:
        constant, coefficients, operators, bits = terms_of(observable)
        return np.array(
            [
                constant
                + sum(c * pauli_value(state, o, b) for c, o, b in zip(coefficients, operators, bits, strict=True))
                for state in self.states
            ]
        )


@pytest.mark.parametrize("most", [0, 3])
@pytest.mark.parametrize("at_once", [1, 5, 100])
def test_a_gradient_in_batches(at_once: int, most: int) -> None:
    b = Circuit.builder(3).h(0).ry(0.4, 2).barrier(0, 1)
    b.u(Parameter("a"), Parameter("b", -0.5), 0.3, 1).crx(Parameter("a", 2.0), 2, 0).cx(1, 2).t(2).h(2)
    circuit = b.cu(0.1, Parameter("c"), 0.2, Parameter("b"), 0, 1).r(0.3, Parameter("d"), 0).rzz(0.4, 2, 1).build()
    values = {"a": 0.3, "b": -0.8, "c": 1.1, "d": 0.6}
    observables = [PauliSum.parse("ZIX + 0.5 * III"), PauliSum.parse("IYZ - 0.25 * XXI")]
    sizes: list[int] = []

    def make(count: int) -> NumpyBatch:
        sizes.append(count)
        return NumpyBatch(3, count)

    found = gradients(
        circuit,
        circuit.bind(values),
        observables,
        at_once=at_once,
        most=most,
        make=make,
        check=lambda: None,
        tell=lambda done: None,
    )
    for row, observable in zip(found, observables, strict=True):
        assert row == pytest.approx(reference.gradient(circuit, values, observable), abs=1e-10)
    assert sum(sizes) == 16  # two for each angle, four for that of crx and for the second of r
    assert max(sizes) == min(at_once, 16)


def test_circuits_side_by_side_are_each_as_by_itself() -> None:
    b = Circuit.builder(3).h(0).barrier(0, 1)
    open_circuit = b.u(Parameter("a"), Parameter("b", -0.5), 0.3, 1).crx(Parameter("a", 2.0), 2, 0).cx(1, 2).build()
    circuits = [open_circuit.bind({"a": 0.3 * i, "b": 1.0 - i}) for i in range(4)]
    for most in (0, 3):
        each = [fused(gates_of(circuit), most) if most else gates_of(circuit) for circuit in circuits]
        batch = NumpyBatch(3, 4)
        together = list(side_by_side(each))
        for gate in together:
            batch.apply(gate, lambda: None)
        for circuit, state in zip(circuits, batch.states, strict=True):
            assert state == pytest.approx(reference.statevector(circuit), abs=1e-12)
    assert [bool(gate.indices) for gate in side_by_side([gates_of(circuit) for circuit in circuits])] == [
        False, True, True, False,
    ]  # fmt: skip


def test_a_batch_is_as_large_as_its_memory_and_the_circuit_allow() -> None:
    def batch(circuit: Circuit, free: list[int], **more) -> int:
        request = RunRequest(circuit=circuit, precision="single", **more)
        return costs.batch_of(request, costs.choose(request, free), free)

    assert batch(ghz(20), []) == batch(ghz(20), [2 << 30]) == 2**30 // 2**23
    assert batch(ghz(20), [1 << 30]) == 1
    assert batch(Circuit.builder(2, 1).h(0).measure(0, 0).x(1).measure(0, 0).build(), []) == 1
    assert batch(Circuit.builder(2).bit_flip(0.1, 0).measure_all().build(), []) == 1


def test_a_state_is_spread_over_the_fewest_gpus_that_take_it() -> None:
    deep = brickwork(33, 60)  # 64 GiB, and as much again by half for the sampler

    def choice(circuit: Circuit, *free: int, **more) -> costs.Choice:
        return costs.choose(RunRequest(circuit=circuit, precision="single", **more), [each << 30 for each in free])

    assert choice(deep, 140).devices == 1
    assert choice(deep, 80, 80, 80, 80).devices == 2
    assert choice(deep, 80, 40, 40, 40).devices == 4
    assert choice(deep, 20, 20, 20).devices == 1  # and refused
    measured = Circuit.builder(33, 2).h(0).measure(0, 0).h(0).measure(0, 1).build()
    assert choice(measured, 80, 80).devices == 1
    shallow = brickwork(33, 4)
    assert choice(shallow, 20).method == "matrix_product_state"
    assert choice(shallow, 20, options={"method": "statevector"}).method == "statevector"
    assert choice(ghz(100)).method == "matrix_product_state"


@pytest.mark.parametrize("ordering", [(0, 1, 2, 3), (3, 1, 0, 2), (1, 2, 3, 0)])
def test_amplitudes_are_put_in_the_order_of_wires(ordering: tuple[int, ...]) -> None:
    given = np.arange(16) + 1j
    expected = np.zeros(16, dtype=complex)
    for index in range(16):  # index bit i is wire ordering[i]
        expected[sum((index >> i & 1) << wire for i, wire in enumerate(ordering))] = given[index]
    assert in_wire_order(given, ordering).tolist() == expected.tolist()


class NumpyProduct:
    """A `ProductState` by cuTensorNet's documentation of ``apply_tensor_operator``: axis i of the state is mode i."""

    def __init__(self, num_qubits: int, gates: list[Gate]) -> None:
        self.tensor = reference.initial_state(num_qubits).reshape((2,) * num_qubits)
        for gate in gates:
            modes, operand = mps.tensor_of(gate)
            inputs = [chr(97 + mode) for mode in range(num_qubits)]
            outputs = [chr(65 + mode) for mode in modes]  # operand: ABC...abc...
            left = [outputs[modes.index(mode)] if mode in modes else inputs[mode] for mode in range(num_qubits)]
            word = f"{''.join(outputs)}{''.join(inputs[mode] for mode in modes)},{''.join(inputs)}->{''.join(left)}"
            self.tensor = np.einsum(word, operand, self.tensor)

    def amplitudes(self) -> np.ndarray:
        return mps.vector_of(self.tensor)

    def expectation(self, observable: PauliSum) -> float:
        value = 0.0
        for letters, coefficient in mps.words_of(observable).items():  # letter i acts on mode i
            moved = self.tensor
            for mode, letter in enumerate(letters):
                moved = np.moveaxis(np.tensordot(reference.PAULIS[letter], moved, (1, mode)), 0, mode)
            value += coefficient * float(np.vdot(self.tensor, moved).real)
        return value

    def sample(self, shots: int, rng: np.random.Generator) -> np.ndarray:
        drawn = rng.choice(2**self.tensor.ndim, size=shots, p=np.abs(self.tensor.reshape(-1)) ** 2)
        words, numbers = np.unique(drawn, return_counts=True)  # mode 0 is the highest bit of the flat index
        return mps.samples_of({format(w, f"0{self.tensor.ndim}b"): n for w, n in zip(words, numbers, strict=True)}, rng)


def test_a_matrix_product_state_gets_gates_on_two_qubits_and_reads_the_same() -> None:
    b = Circuit.builder(4, 5).h(0).ry(0.4, 2).cx(0, 3).ccx(0, 2, 1).cswap(3, 1, 0).rzz(0.3, 2, 0).u(0.1, 0.2, 0.3, 3)
    circuit = b.x(1).measure(0, 4).measure(1, 0).measure(3, 2).build()
    gates = mps.gates_of(circuit.without_final_measurements())
    assert {len(gate.targets) for gate in gates} <= {1, 2}
    assert not any(gate.controls for gate in gates)
    state = NumpyProduct(4, gates)
    expected = reference.statevector(circuit.without_final_measurements())
    assert abs(np.vdot(state.amplitudes(), expected)) == pytest.approx(1.0)  # a gate may be rewritten up to a phase
    observables = (PauliSum.parse("ZIXY + 0.5 * IIII"), PauliSum.parse("IIIZ - 0.25 * XIYI"))
    wants = ("probabilities", "statevector", "expectation", "counts", "samples")
    request = RunRequest(circuit=circuit, shots=5000, seed=4, wants=wants, observables=observables)
    fields = mps.fields_of(request, state, RunContext())  # type: ignore[arg-type]
    assert fields["probabilities"] == pytest.approx(np.abs(expected) ** 2)
    for value, observable in zip(fields["expectations"], observables, strict=True):
        assert value.value == pytest.approx(reference.expectation(circuit.without_final_measurements(), observable)[0])
    assert fields["samples"].shape == (5000, 5)
    assert fit(fields["counts"], reference.distribution(circuit)).accepted


def test_a_matrix_on_three_qubits_is_refused_for_a_product_state() -> None:
    matrix = haar_unitary(3, np.random.default_rng(1))
    with pytest.raises(UnsupportedError, match="matrices on one or two qubits"):
        mps.gates_of(Circuit.builder(3).append(Op.UNITARY, (0, 1, 2), matrices=(matrix,)).build())


def test_device_memory_is_reckoned_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def needed(circuit: Circuit, precision: str = "double", **more) -> int:
        request = RunRequest(circuit=circuit, precision=precision, **more)
        return costs.device_bytes(request, costs.choose(request))

    assert needed(ghz(28)) == 16 * 2**28 + 8 * 2**28 + costs.WORKSPACE  # the state, and the sampler's sums
    assert needed(ghz(28), "single") == 8 * 2**28 + 4 * 2**28 + costs.WORKSPACE
    assert needed(ghz(28), shots=None, wants=("statevector",)) == 16 * 2**28 + costs.WORKSPACE
    noisy = Circuit.builder(20).bit_flip(0.1, 0).measure_all().build()
    assert needed(noisy, shots=1023) == (2 + 30) * 16 * 2**20 + 8 * 2**20 + costs.WORKSPACE

    monkeypatch.setattr(backend, "_gpus", lambda: gpus.Found((gpus.GPU("some GPU", 8 << 30, 6 << 30),)))
    request = RunRequest(circuit=ghz(28), precision="double", options={"method": "statevector"})
    told = backend.CuQuantumBackend().estimate(request, features_of(request.circuit))
    assert not told.feasible
    assert told.reason.startswith("28 qubits need 6.25 GiB of the GPU's memory, and 6 GiB of some GPU are free")
    fits = RunRequest(circuit=ghz(27), precision="double")
    assert backend.CuQuantumBackend().estimate(fits, features_of(fits.circuit)).feasible


def test_says_what_it_does_not_do() -> None:
    def refusal(circuit: Circuit, *wants: str, shots: int | None = None, **more) -> str:
        with pytest.raises((UnsupportedError, UsageError, ResourceError)) as caught:
            costs.choose(RunRequest(circuit=circuit, wants=wants, shots=shots, **more))
        return str(caught.value)

    noisy = Circuit.builder(1).bit_flip(0.1, 0).build()
    resets = Circuit.builder(1).h(0)
    for _ in range(11):
        resets.reset(0)
    assert "does not give density_matrix" in refusal(ghz(2), "density_matrix")
    assert "do not give probabilities" in refusal(noisy, "probabilities")
    assert "has no statevector" in refusal(noisy, "statevector")
    assert "11 measurements or resets" in refusal(resets.build(), "probabilities")
    wide = Circuit.builder(41, 1).h(0).measure(0, 0).build()
    assert "41 qubits are too many" in refusal(wide, "counts", shots=1, options={"method": "statevector"})
    assert "of at most 30 qubits" in refusal(wide, "probabilities")
    product = {"method": "matrix_product_state"}
    assert "takes gates and final measurements alone" in refusal(noisy, "expectation", options=product)
    assert "may need 2^12" in refusal(brickwork(24, 40), "counts", shots=1, options=product)
    assert "takes 2 to 1000 qubits" in refusal(Circuit.builder(1).h(0).build(), "statevector", options=product)
    assert "no method 'tensor_network'" in refusal(ghz(2), "counts", shots=1, options={"method": "tensor_network"})
    assert "need at least one shot" in refusal(ghz(2), "counts", shots=0)
