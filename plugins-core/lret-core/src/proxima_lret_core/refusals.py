"""What is refused before anything runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from proxima.contracts.backend import Precision
from proxima.contracts.circuit import Circuit
from proxima.contracts.noise import NoiseModel
from proxima.contracts.operations import Op
from proxima.contracts.readout import ReadoutError
from proxima.errors import UnsupportedError, UsageError

MAX_QUBITS = 40
MAX_KRAUS_QUBITS = 4
ROUNDOFF = {"single": 2.0**-24, "double": 2.0**-53}


def refuse_senseless(tolerance: float, precision: str) -> None:
    """Raises `UsageError` for a tolerance out of range and an unknown precision."""
    if not 0.0 < tolerance <= 1.0:
        raise UsageError(f"a tolerance of {tolerance} makes no sense: a trace distance lies above 0 and up to 1")
    if precision not in ROUNDOFF:
        raise UsageError(f"there is no precision {precision!r}", hint="single or double")


def refuse_absent(circuit: Circuit, noise: NoiseModel | None, readout: Mapping[int, ReadoutError]) -> None:
    """Raises `UsageError` for noise that names a qubit that is not there."""
    named = {*readout, *(q for rule in (noise.rules if noise else ()) for q in rule.qubits or ())}
    beyond = sorted(q for q in named if not 0 <= q < circuit.num_qubits)
    if beyond:
        raise UsageError(
            f"the noise names qubit {beyond[0]}; the circuit has {circuit.num_qubits}", hint="qubits count from 0"
        )


def refuse_unsupported(circuit: Circuit) -> None:
    """Raises `UnsupportedError` for more qubits, or wider channels, than the simulators take."""
    if not 1 <= circuit.num_qubits <= MAX_QUBITS:
        raise UnsupportedError(f"the low-rank simulator takes 1 to {MAX_QUBITS} qubits, not {circuit.num_qubits}")
    c = circuit.columns
    if circuit.payloads and (np.diff(c.qubit_offsets)[c.ops == Op.KRAUS] > MAX_KRAUS_QUBITS).any():
        raise UnsupportedError(f"a channel by its Kraus operators acts on at most {MAX_KRAUS_QUBITS} qubits here")


def refuse_rounding(rounding: float, tolerance: float, precision: Precision) -> None:
    """Raises `UnsupportedError` where rounding alone may exceed the tolerance."""
    if rounding >= tolerance:
        raise UnsupportedError(
            f"rounding in {precision} precision may reach a trace distance of {rounding:.2g} over this"
            f" circuit, above the tolerance of {tolerance:.2g}",
            hint="ask for double precision" if precision == "single" else "accept a larger tolerance",
        )
