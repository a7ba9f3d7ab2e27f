"""Checks of dynamic circuits: conditions, reset, measurement in the middle."""

from __future__ import annotations

import pytest

from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op
from proxima_sdk.conformance.base import BackendChecks
from proxima_sdk.conformance.diagnosis import Cause


def _conditioned(condition: Condition | None) -> Circuit:
    """Three bits in superposition, read into bits 0, 1, 2; then x on qubit 3 under the condition, read into bit 3."""
    builder = Circuit.builder(4, 4)
    for qubit in range(3):
        builder.h(qubit).measure(qubit, qubit)
    return builder.append(Op.X, (3,), condition=condition).measure(3, 3).build()


_ONE = Condition((0,), 1)
_UNCONDITIONED: Cause = ("the condition is ignored", lambda: _averaged(None))


class DynamicChecks(BackendChecks):
    """Classical control, exactly as an ensemble over classical outcomes."""

    @pytest.mark.parametrize(
        "condition",
        [
            Condition((0,), 1),
            Condition((2,), 0),
            Condition((0, 1, 2), 3),
            Condition((2, 1, 0), 3),
            Condition((0, 2), 1),
            Condition((0, 1), 2, negated=True),
        ],
        ids=lambda c: f"bits{c.clbits}{'!=' if c.negated else '=='}{c.value}",
    )
    def test_condition(self, condition: Condition) -> None:
        """Equality over one or several bits, in any order, and its negation."""
        self.require_dynamic()
        causes: list[Cause] = [
            ("the condition's first bit is taken as the most significant", lambda: _conditioned(_reversed(condition))),
            ("the negation is lost", lambda: _conditioned(Condition(condition.clbits, condition.value))),
            ("the condition is ignored", lambda: _conditioned(None)),
            ("any set bit will do, whatever the value", lambda: _conditioned(Condition(condition.clbits, 0, True))),
        ]
        self.check_counts(
            _conditioned(condition),
            f"x where bits {condition.clbits} {'differ from' if condition.negated else 'equal'} {condition.value}",
            convention="the condition's first bit is the least significant bit of the number",
            causes=causes,
        )

    def test_condition_on_a_rotation(self) -> None:
        """A conditioned gate with an angle, on a qubit entangled with the measured one."""
        self.require_dynamic()
        circuit = (
            Circuit.builder(2, 2)
            .h(0)
            .cx(0, 1)
            .measure(0, 0)
            .ry(1.1, 1, condition=Condition((0,), 1))
            .measure(1, 1)
            .build()
        )
        self.check_counts(circuit, "ry(1.1) on one half of a Bell pair where the other half was read as 1")

    def test_reset(self) -> None:
        """Reset gives |0> whatever the state was, and leaves the partner of an entangled pair mixed."""
        self.require_operations(Op.RESET)
        made = Circuit.builder(2, 2).h(0).cx(0, 1).reset(0).h(1).measure(0, 0).measure(1, 1).build
        ignored: Cause = ("reset is left out", Circuit.builder(2, 2).h(0).cx(0, 1).h(1).measure_all().build)
        flipped: Cause = (
            "reset flips the qubit rather than setting it to |0>",
            Circuit.builder(2, 2).h(0).cx(0, 1).x(0).h(1).measure_all().build,
        )
        self.check_counts(made(), "reset of one half of a Bell pair", causes=[ignored, flipped])
        again = Circuit.builder(1, 1).x(0).reset(0).x(0).measure(0, 0).build()
        self.check_counts(again, "x after reset of |1>", shots=50)

    def test_measurement_in_the_middle(self) -> None:
        """It collapses: two Hadamards no longer cancel, and the record agrees with the qubit."""
        self.require_dynamic()
        circuit = Circuit.builder(1, 3).h(0).measure(0, 0).measure(0, 1).h(0).measure(0, 2).build()
        deferred: Cause = (
            "the measurement does not collapse the state",
            Circuit.builder(1, 3).h(0).h(0).measure(0, 2).build,
        )
        self.check_counts(circuit, "a qubit in superposition read twice, then after a Hadamard", causes=[deferred])

    def test_qubit_reused_after_measurement(self) -> None:
        """Each of three rounds gives a fresh random bit, from one qubit."""
        self.require_dynamic()
        builder = Circuit.builder(1, 3)
        for clbit in range(3):
            builder.h(0).measure(0, clbit).reset(0)
        self.check_counts(builder.build(), "three rounds of h, measure, reset on one qubit")

    def test_teleportation(self) -> None:
        """The state arrives: rotated back, the receiver always reads 0."""
        self.require_dynamic()
        circuit = (
            Circuit.builder(3, 3)
            .u(0.9, 0.4, 1.7, 0)
            .h(1)
            .cx(1, 2)
            .cx(0, 1)
            .h(0)
            .measure(0, 0)
            .measure(1, 1)
            .x(2, condition=Condition((1,), 1))
            .z(2, condition=Condition((0,), 1))
            .u(-0.9, -1.7, -0.4, 2)
            .measure(2, 2)
            .build()
        )
        self.check_counts(circuit, "teleportation of u(0.9, 0.4, 1.7)|0>, undone at the receiver")

    def test_density_matrix_of_a_dynamic_circuit(self) -> None:
        """It is averaged over the classical outcomes."""
        self.require_dynamic()
        self.require_want("density_matrix")
        self.check_state(_averaged(), "a conditioned Hadamard after a measurement, then reset")

    def test_probabilities_of_a_dynamic_circuit(self) -> None:
        """Likewise averaged: not those of one history."""
        self.require_dynamic()
        self.require_want("probabilities")
        what = "a conditioned Hadamard after a measurement, then reset"
        self.check_array("probabilities", _averaged(), what, causes=[_UNCONDITIONED])

    def test_expectation_of_a_dynamic_circuit(self) -> None:
        """Likewise averaged, exactly or within six standard errors."""
        self.require_dynamic()
        what = "a conditioned Hadamard after a measurement, then reset"
        self.check_expectation(_averaged(), PauliSum.parse("ZI + 0.5*XI - YZ"), what, causes=[_UNCONDITIONED])


def _averaged(condition: Condition | None = _ONE) -> Circuit:
    builder = Circuit.builder(2, 1).h(0).cx(0, 1).measure(0, 0).append(Op.H, (1,), condition=condition)
    return builder.reset(0).build()


def _reversed(condition: Condition) -> Condition:
    return Condition(condition.clbits[::-1], condition.value, condition.negated)
