"""Checks of bit order: endianness, idle qubits, where measurements write."""

from __future__ import annotations

import pytest

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import Op
from proxima_sdk.conformance.base import BackendChecks
from proxima_sdk.conformance.diagnosis import Cause


class OrderChecks(BackendChecks):
    """Which bit is which."""

    def test_endianness_of_states(self) -> None:
        """X on qubit 0 of three gives the basis state 1, not 4."""
        for qubit in range(3):
            self.check_state(Circuit.builder(3).x(qubit).build(), f"x on qubit {qubit} of 3")

    def test_endianness_of_counts(self) -> None:
        """X on qubit 0, qubit i measured into bit i: '001'."""
        for qubit in range(3):
            circuit = Circuit.builder(3).x(qubit).measure_all().build()
            self.check_counts(circuit, f"x on qubit {qubit} of 3, every qubit measured", shots=50)

    def test_endianness_on_many_qubits(self) -> None:
        """An unsymmetrical pattern on ten qubits, where byte and bit order differ."""
        builder = Circuit.builder(self.at_most(10))
        busy = [qubit for qubit in (0, 1, 3, 4, 8) if qubit < builder.num_qubits]
        for qubit in busy:
            builder.x(qubit)
        self.check_counts(builder.measure_all().build(), f"x on qubits {busy} of {builder.num_qubits}", shots=50)

    @pytest.mark.parametrize("busy", [(1, 3), (0,), (3,), (0, 3), ()], ids=str)
    def test_idle_qubits_are_kept(self, busy: tuple[int, ...]) -> None:
        """Qubits that no operation touches stay in the state, as |0>."""
        builder = Circuit.builder(4)
        for qubit in busy:
            builder.h(qubit).t(qubit) if self.offered.runs(Op.T) else builder.x(qubit)
        self.check_state(builder.build(), f"operations on qubits {list(busy)} of 4 alone")

    def test_idle_qubits_are_counted(self) -> None:
        """Qubits that are only measured give 0."""
        circuit = Circuit.builder(4).x(1).x(3).measure_all().build()
        self.check_counts(circuit, "x on qubits 1 and 3 of 4, every qubit measured", shots=50)

    def test_circuit_that_only_measures(self) -> None:
        """No gate at all: all zeros."""
        self.check_counts(Circuit.builder(3).measure_all().build(), "3 qubits measured at once", shots=50)

    def test_permuted_classical_bits(self) -> None:
        """Qubits 0, 1, 2, 3 into bits 2, 0, 3, 1."""
        builder = Circuit.builder(4, 4).x(0).x(1)
        for qubit, clbit in enumerate((2, 0, 3, 1)):
            builder.measure(qubit, clbit)
        self.check_counts(builder.build(), "x on qubits 0 and 1; qubits 0..3 measured into bits 2, 0, 3, 1", shots=50)

    def test_measured_subset(self) -> None:
        """Two of four entangled qubits, into two of five classical bits."""
        circuit = Circuit.builder(4, 5).h(3).cx(3, 1).x(1).measure(1, 4).measure(3, 0).build()
        identity: Cause = (
            "qubit i is written into bit i, whatever bit the measurement names",
            lambda: Circuit.builder(4, 5).h(3).cx(3, 1).x(1).measure(1, 1).measure(3, 3).build(),
        )
        self.check_counts(circuit, "qubits 1 and 3 of 4 measured into bits 4 and 0 of 5", causes=[identity])

    def test_unwritten_classical_bits_stay_zero(self) -> None:
        """Also where there are more than 64 of them."""
        for width in (3, 70):
            circuit = Circuit.builder(2, width).x(0).x(1).measure(1, width - 2).build()
            self.check_counts(circuit, f"qubit 1 of 2 measured into bit {width - 2} of {width}", shots=50)

    def test_qubit_measured_into_two_bits(self) -> None:
        """A qubit measured twice gives the same value twice."""
        circuit = Circuit.builder(1, 2).h(0).measure(0, 0).measure(0, 1).build()
        if circuit.is_dynamic:
            self.require_dynamic()
        self.check_counts(circuit, "one qubit in superposition measured into bits 0 and 1")

    def test_bit_written_twice_keeps_the_last_value(self) -> None:
        """Qubit 0 (in |1>) and then qubit 1 (in |0>) into the same bit."""
        circuit = Circuit.builder(2, 1).x(0).measure(0, 0).measure(1, 0).build()
        if circuit.is_dynamic:
            self.require_dynamic()
        first: Cause = ("the bit keeps the first value", lambda: Circuit.builder(2, 1).x(0).measure(0, 0).build())
        self.check_counts(circuit, "qubits 0 and 1 measured into bit 0, one after the other", causes=[first])
