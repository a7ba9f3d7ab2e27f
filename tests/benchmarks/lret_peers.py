"""Other simulators of noisy circuits, each as a call that runs one circuit of rotations, h, cx and depolarizing noise.

One thread each. What a call starts from is already in the simulator's own form. Cirq, Aer and default.mixed hand over
the density matrix; QuEST one expectation value of it, since qoqo hands over amplitudes as Python numbers, which takes
longer than the simulation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import Op

Call = Callable[[], Any]


def aer(circuit: Circuit, p: float) -> Call:
    """Aer's density matrix in double precision; the noise is a model that it puts after the circuit's gates."""
    from qiskit import QuantumCircuit
    from qiskit_aer import AerSimulator
    from qiskit_aer.noise import NoiseModel, depolarizing_error

    made = QuantumCircuit(circuit.num_qubits)
    for op, qubits, params, *_ in circuit:
        getattr(made, op.name.lower())(*params, *qubits)
    made.save_density_matrix()
    one = depolarizing_error(4 * p / 3, 1)  # Aer's parameter counts the identity among the errors
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(one, ["rx", "ry", "rz", "h"])
    noise.add_all_qubit_quantum_error(one.tensor(one), ["cx"])
    simulator = AerSimulator(method="density_matrix", noise_model=noise, max_parallel_threads=1)
    return lambda: simulator.run(made).result().data(0)["density_matrix"]


def cirq(noisy: Circuit) -> Call:
    """Cirq's density matrix in single precision."""
    import cirq

    made, line = _cirq_circuit(noisy)
    simulator = cirq.DensityMatrixSimulator()
    return lambda: simulator.simulate(made, qubit_order=line).final_density_matrix


def default_mixed(noisy: Circuit) -> Call:
    """PennyLane's default.mixed in double precision."""
    import pennylane as qml

    gates = {Op.RX: qml.RX, Op.RY: qml.RY, Op.RZ: qml.RZ, Op.DEPOLARIZING: qml.DepolarizingChannel}
    others = {Op.CX: qml.CNOT, Op.H: qml.Hadamard}
    made = [gates[op](params[0], qubits) if params else others[op](qubits) for op, qubits, params, *_ in noisy]
    tape = qml.tape.QuantumScript(made, [qml.state()])
    device = qml.device("default.mixed", wires=noisy.num_qubits)
    return lambda: device.execute(tape)


def quest(noisy: Circuit) -> Call:
    """QuEST's density matrix in double precision, by way of qoqo."""
    import qoqo
    from qoqo import operations as o
    from qoqo_quest import Backend

    from proxima_backend_quest.program import Native, translate

    made = qoqo.Circuit()
    made += o.DefinitionFloat("out", 1, True)
    for step in translate(noisy, mixed=True):
        assert isinstance(step, Native)
        for operation in step.operations:
            made += operation
    made += o.PragmaGetPauliProduct({0: 3}, "out", qoqo.Circuit())
    backend = Backend(noisy.num_qubits)
    return lambda: backend.run_circuit(made)[1]["out"][0][0]


def qsim_samples(noisy: Circuit, shots: int) -> Call:
    """Samples of all qubits by qsim's trajectories in single precision."""
    import cirq
    import qsimcirq

    made, line = _cirq_circuit(noisy)
    made.append(cirq.measure(*line, key="all"))
    simulator = qsimcirq.QSimSimulator(qsim_options={"t": 1}, seed=1)
    return lambda: simulator.run(made, repetitions=shots)


def _cirq_circuit(noisy: Circuit) -> tuple[Any, Any]:
    import cirq

    line = cirq.LineQubit.range(noisy.num_qubits)
    made = cirq.Circuit()
    for op, qubits, params, *_ in noisy:
        on = [line[q] for q in qubits]
        if op == Op.DEPOLARIZING:
            made.append(cirq.depolarize(params[0])(*on))
        elif params:
            made.append(getattr(cirq, op.name.lower())(params[0])(*on))
        else:
            made.append({Op.CX: cirq.CNOT, Op.H: cirq.H}[op](*on))
    return made, line
