"""Checks of noise: each channel's convention, Kraus operators, noise models, sampling under noise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from proxima.contracts.circuit import Circuit, Condition, Instruction
from proxima.contracts.matrices import unitary
from proxima.contracts.noise import NoiseModel, NoiseRule
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS, Op
from proxima_sdk.circuits import from_instructions, random_kraus, rewritten
from proxima_sdk.conformance.base import BackendChecks
from proxima_sdk.conformance.checks.gates import scrambled
from proxima_sdk.conformance.diagnosis import ORDER, Cause

_CHANNELS = sorted(CHANNELS - {Op.KRAUS})

_PARAMS: dict[Op, tuple[float, ...]] = {
    Op.PAULI_CHANNEL: (0.25, 0.1, 0.05),
    Op.GENERALIZED_AMPLITUDE_DAMPING: (0.8, 0.5),
    Op.PHASE_DAMPING: (0.6,),
    Op.AMPLITUDE_DAMPING: (0.4,),
}

# Other conventions in use for the same name: what they do to the parameters, and how to say so.
_OTHER_CONVENTIONS: dict[Op, list[tuple[str, Op, tuple[float, ...]]]] = {
    Op.DEPOLARIZING: [
        ("p is taken as the weight of the maximally mixed state: I keeps 1 - 3p/4", Op.DEPOLARIZING, (0.225,)),
        ("p is scaled by 4/3: I keeps 1 - 4p/3 rather than 1 - p", Op.DEPOLARIZING, (0.4,)),
        ("p is given to each of X, Y, Z rather than p/3", Op.DEPOLARIZING, (0.9,)),
    ],
    Op.DEPOLARIZING2: [
        ("p is taken as the weight of the maximally mixed state: II keeps 1 - 15p/16", Op.DEPOLARIZING2, (0.28125,)),
        ("p is scaled by 16/15: II keeps 1 - 16p/15 rather than 1 - p", Op.DEPOLARIZING2, (0.32,)),
    ],
    Op.BIT_FLIP: [("p is the probability of no flip", Op.BIT_FLIP, (0.7,))],
    Op.PHASE_FLIP: [("p is the probability of no flip", Op.PHASE_FLIP, (0.7,))],
    Op.BIT_PHASE_FLIP: [("p is the probability of no flip", Op.BIT_PHASE_FLIP, (0.7,))],
    Op.PAULI_CHANNEL: [
        ("the probabilities are read as Z, Y, X", Op.PAULI_CHANNEL, (0.05, 0.1, 0.25)),
        ("the first probability is read as that of I", Op.PAULI_CHANNEL, (0.1, 0.05, 0.6)),
    ],
    Op.AMPLITUDE_DAMPING: [
        ("|0> is excited to |1> rather than |1> decaying to |0>", Op.GENERALIZED_AMPLITUDE_DAMPING, (0.0, 0.4)),
        ("gamma is squared", Op.AMPLITUDE_DAMPING, (0.16,)),
    ],
    Op.GENERALIZED_AMPLITUDE_DAMPING: [
        ("p is taken as the weight of damping towards |1>", Op.GENERALIZED_AMPLITUDE_DAMPING, (0.2, 0.5)),
        ("p and gamma are exchanged", Op.GENERALIZED_AMPLITUDE_DAMPING, (0.5, 0.8)),
    ],
    Op.PHASE_DAMPING: [
        ("lambda is taken as the probability of Z", Op.PHASE_FLIP, (0.6,)),
        ("off-diagonal elements shrink by 1 - lambda rather than its square root", Op.PHASE_DAMPING, (0.84,)),
    ],
}


class NoiseChecks(BackendChecks):
    """Channels against exact density matrices, or against exact distributions in three bases."""

    def _check_channel(self, tested: Instruction, others: Sequence[tuple[str, Instruction]]) -> None:
        usable = [op for op in GATES if self.offered.runs(op)]
        before = scrambled(3, 8, usable)

        def made(*middle: Instruction) -> Circuit:
            return from_instructions(3, 0, [*before, *middle])

        top = 2
        causes: list[Cause] = [
            *((text, lambda other=other: made(other)) for text, other in others),
            ("the channel is left out", lambda: made()),
            ("the channel is applied twice", lambda: made(tested, tested)),
            (
                "the channel acts on the mirrored qubit (big-endian)",
                lambda: made(tested._replace(qubits=tuple(top - q for q in tested.qubits))),
            ),
            (
                "the channel's qubits are exchanged",
                lambda: made(tested._replace(qubits=tested.qubits[::-1])),
            ),
        ]
        spec = OPERATIONS[tested.op]
        angles = ", ".join(f"{name}={value:g}" for name, value in zip(spec.params, tested.params, strict=True))
        self.check_state(
            made(tested),
            f"{spec.name}({angles}) on qubits {list(tested.qubits)} of 3",
            convention=f"{spec.name}: {spec.definition}; {ORDER}",
            causes=causes,
        )

    @pytest.mark.parametrize("op", _CHANNELS, ids=lambda op: op.name.lower())
    def test_channel(self, op: Op) -> None:
        """Each channel's convention."""
        self.require_operations(op)
        qubits = (0,) if OPERATIONS[op].num_qubits == 1 else (2, 0)
        others = [(text, Instruction(other, qubits, params)) for text, other, params in _OTHER_CONVENTIONS[op]]
        self._check_channel(Instruction(op, qubits, _PARAMS.get(op, (0.3,))), others)

    @pytest.mark.parametrize("op", _CHANNELS, ids=lambda op: op.name.lower())
    def test_channel_of_zero_strength(self, op: Op) -> None:
        """A channel whose strength is 0 changes nothing."""
        self.require_operations(op)
        params = (0.5, 0.0) if op is Op.GENERALIZED_AMPLITUDE_DAMPING else (0.0,) * len(OPERATIONS[op].params)
        qubits = (0,) if OPERATIONS[op].num_qubits == 1 else (2, 0)
        self._check_channel(Instruction(op, qubits, params), [])

    @pytest.mark.parametrize("qubits", [(1,), (0, 2), (2, 0)], ids=str)
    def test_kraus(self, qubits: tuple[int, ...]) -> None:
        """Kraus operators of the user's own, in both qubit orders."""
        self.require_operations(Op.KRAUS)
        matrices = random_kraus(len(qubits), 3, np.random.default_rng(6))
        adjoint = tuple(np.ascontiguousarray(k.T) for k in matrices)
        transposed: list[tuple[str, Instruction]] = []
        if np.allclose(sum(k.conj().T @ k for k in adjoint), np.eye(len(adjoint[0])), atol=1e-9):
            transposed = [("the operators are transposed", Instruction(Op.KRAUS, qubits, matrices=adjoint))]
        self._check_channel(Instruction(Op.KRAUS, qubits, matrices=matrices), transposed)

    def test_noise_model(self) -> None:
        """A model whose channels act on two qubits at once, some for particular qubits, in the gates' qubit order."""
        self.require_noise()
        circuit, model = self._joint()
        noisy = model.apply(circuit)
        causes: list[Cause] = [
            (f"the channels after cx{list(place)} are left out", partial(model.apply, _without(circuit, place)))
            for place in ((0, 1), (2, 1))
        ]
        self.check_state(noisy, "three qubits under a noise model", causes=[*causes, _left_out(noisy)])

    def test_counts_under_joint_noise(self) -> None:
        """Sampling follows channels that act on two qubits at once."""
        self.require_noise()
        self.require_want("counts")
        circuit, model = self._joint()
        builder = circuit.empty_builder()
        for instruction in model.apply(circuit):
            builder.append(instruction.op, instruction.qubits, instruction.params, matrices=instruction.matrices)
        noisy = builder.h(1).measure_all().build()
        self.check_counts(noisy, "three qubits under a noise model", causes=[_left_out(noisy)], shots=8000)

    def test_noise_under_a_condition(self) -> None:
        """A channel under a condition acts where it holds, and only there."""
        self.require_noise()
        self.require_dynamic()
        self.require_want("counts")
        circuit = Circuit.builder(2, 2).h(0).measure(0, 0).x(1, condition=Condition((0,), 1)).measure(1, 1).build()
        noisy = NoiseModel((NoiseRule(Op.BIT_FLIP, (0.25,), gates=frozenset({"x"})),)).apply(circuit)
        always = partial(rewritten, noisy, lambda i: i._replace(condition=None) if i.op is Op.BIT_FLIP else i)
        causes: list[Cause] = [("the condition of channels is ignored", always), _left_out(noisy)]
        self.check_counts(noisy, "a bit flip with a conditional x", causes=causes)

    def _joint(self) -> tuple[Circuit, NoiseModel]:
        kraus = tuple(tuple(map(tuple, k.tolist())) for k in random_kraus(2, 3, np.random.default_rng(2)))
        cx = frozenset({"cx"})
        rules = (
            NoiseRule(Op.DEPOLARIZING2, (0.2,), cx, except_for=frozenset({(2, 1)})),
            NoiseRule(Op.KRAUS, gates=cx, kraus=kraus, gate_qubits=frozenset({(2, 1)})),
        )
        return Circuit.builder(3).h(0).cx(0, 1).h(2).cx(2, 1).cx(0, 1).build(), NoiseModel(rules)

    def test_counts_under_noise(self) -> None:
        """Sampling follows the noise: every shot is its own history, and amplitudes do not leak between shots."""
        self.require_noise()
        self.require_want("counts")
        circuit = self._noisy()
        self.check_counts(circuit, "two entangled qubits under noise", causes=[_left_out(circuit)], shots=8000)

    def test_expectation_under_noise(self) -> None:
        """Exactly, or within six standard errors."""
        self.require_noise()
        circuit, observable = self._noisy(), PauliSum.parse("0.5*ZX - XZ + ZI")
        self.check_expectation(circuit, observable, "under noise", causes=[_left_out(circuit)])

    def test_probabilities_under_noise(self) -> None:
        """Of the noisy state, not of one history and not of the circuit without noise."""
        self.require_noise()
        self.require_want("probabilities")
        circuit = self._noisy()
        self.check_array("probabilities", circuit, "two entangled qubits under noise", causes=[_left_out(circuit)])

    def _noisy(self) -> Circuit:
        channels = [op for op in (Op.AMPLITUDE_DAMPING, Op.DEPOLARIZING, Op.BIT_FLIP) if self.offered.runs(op)]
        builder = Circuit.builder(2).h(0).cx(0, 1)
        for qubit, op in zip((1, 0, 0), channels, strict=False):
            builder.append(op, (qubit,), (0.25,))
        return builder.h(0).measure_all().build()


def _left_out(circuit: Circuit) -> Cause:
    return "noise is left out", lambda: _without_noise(circuit)


def _without(circuit: Circuit, place: tuple[int, ...]) -> Circuit:
    """The circuit with the cx on these qubits as a matrix, which no rule of the model names."""
    return rewritten(
        circuit,
        lambda i: Instruction(Op.UNITARY, i.qubits, matrices=(unitary(Op.CX),)) if i.qubits == place else i,
    )


def _without_noise(circuit: Circuit) -> Circuit:
    kept = [i for i in circuit if i.op not in CHANNELS]
    return from_instructions(circuit.num_qubits, circuit.num_clbits, kept)
