"""What a request is held to and what it costs. Nothing here needs the engine.

The number of columns is a guess: those of so many errors that more of them have a probability below the tolerance, at
most 2^n, where columns begin to repeat each other.
"""

from __future__ import annotations

import math

import numpy as np

from proxima.contracts.backend import RunRequest, Want
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import Features
from proxima.contracts.operations import CHANNELS, GATES, Op
from proxima.errors import UnsupportedError, UsageError

METHOD = "low_rank"
MAX_QUBITS = 40
MAX_DENSE_QUBITS = 13
MAX_KRAUS_QUBITS = 4
_TRUNCATION = 6.0  # passes that a column of a truncation costs for each other column, measured on 6 to 8 qubits
LARGEST_DEFAULT = 5e-3  # of the tolerance, unless rounding alone may come to more

_ROUNDOFF = {"single": 2.0**-24, "double": 2.0**-53}
_MOST_BITS = 60.0  # log2 of the columns' numbers; no machine holds as many
_ERRORS = {Op.DEPOLARIZING: 3, Op.DEPOLARIZING2: 15, Op.PAULI_CHANNEL: 3, Op.GENERALIZED_AMPLITUDE_DAMPING: 3}


def check(request: RunRequest) -> None:
    """Refuses what the low-rank simulator cannot do.

    Raises:
        UnsupportedError: The circuit or a want is beyond it.
        UsageError: The request makes no sense.
    """
    circuit, wants = request.circuit, set(request.wants)
    if circuit.parameters:
        raise UsageError(
            f"the circuit has open parameters: {', '.join(circuit.parameters)}", hint="bind them to values first"
        )
    if unknown := sorted(set(request.options) - {"method", "tolerance"}):
        raise UsageError(
            f"lret-unified has no option {', '.join(unknown)}", hint="its options are tolerance and method"
        )
    asked = request.options.get("method", "automatic")
    if asked not in ("automatic", METHOD):
        raise UsageError(f"lret-unified has no method {asked!r}", hint=f"its only method is {METHOD}")
    tolerance_of(request)
    _check_circuit(circuit, wants)
    sampled = sorted({"counts", "samples"} & wants)
    if sampled and not (circuit.columns.ops == Op.MEASURE).any():
        raise UsageError(
            f"the circuit measures nothing, so there are no {' and '.join(sampled)}",
            hint="measure qubits into classical bits, or ask for probabilities",
        )
    if sampled and (request.shots is None or request.shots < 1):
        raise UsageError(f"{' and '.join(sampled)} need at least one shot, got {request.shots}")
    for observable in request.observables if "expectation" in wants else ():
        if observable.num_qubits != circuit.num_qubits:
            raise UsageError(
                f"the observable {observable} acts on {observable.num_qubits} qubits, the circuit has"
                f" {circuit.num_qubits}"
            )


def _check_circuit(circuit: Circuit, wants: set[Want]) -> None:
    n, c = circuit.num_qubits, circuit.columns
    if not 1 <= n <= MAX_QUBITS:
        raise UnsupportedError(f"lret-unified takes 1 to {MAX_QUBITS} qubits, not {n}")
    if (np.diff(c.qubit_offsets)[c.ops == Op.KRAUS] > MAX_KRAUS_QUBITS).any():
        raise UnsupportedError(f"lret-unified takes kraus channels on at most {MAX_KRAUS_QUBITS} qubits")
    if "statevector" in wants and (circuit.is_dynamic or circuit.has_noise):
        raise UnsupportedError(
            "a circuit with noise, reset, conditions or a measurement in the middle has no statevector",
            hint="ask for density_matrix, probabilities, expectation or counts",
        )
    if (dense := sorted({"statevector", "density_matrix"} & wants)) and n > MAX_DENSE_QUBITS:
        raise UnsupportedError(
            f"lret-unified gives the {' and '.join(dense)} of at most {MAX_DENSE_QUBITS} qubits, the circuit has {n}",
            hint="ask for probabilities, expectation or counts",
        )


def tolerance_of(request: RunRequest) -> float:
    """The trace distance that a run may come to: the option, or by default twice what rounding may come to.

    Truncations round as well; what they may take is part of the default, but does not raise it above 5e-3.

    Raises:
        UsageError: The option is no number above 0 and up to 1.
    """
    asked = request.options.get("tolerance")
    if asked is None:
        u, least = _ROUNDOFF[request.precision], 2 * _rounding(request.circuit)
        return min(1.0, max(least * u, min(LARGEST_DEFAULT, (least + _truncations(request.circuit)) * u)))
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not 0 < asked <= 1:
        raise UsageError(
            f"a tolerance of {asked!r} makes no sense", hint="a trace distance above 0 and up to 1, such as 5e-3"
        )
    return float(asked)


def _rounding(circuit: Circuit) -> float:
    """In units of roundoff, no less than the library's own bound, which counts fused gates (lowrank.md)."""
    c = circuit.columns
    d = np.exp2(np.diff(c.qubit_offsets) + 1.0)
    each = (d + 1) * np.sqrt(d)
    gates = np.isin(c.ops, list(GATES | {Op.UNITARY}))
    channels = np.isin(c.ops, list(CHANNELS | {Op.RESET}))
    return float(each[gates].sum() + (each[channels] + 2 + 10).sum())


def _truncations(circuit: Circuit) -> float:
    """What truncations to 2^n columns, one for each channel, may round by, in units of roundoff (lowrank.md)."""
    columns = 2.0**circuit.num_qubits
    channels = int(np.isin(circuit.columns.ops, list(CHANNELS | {Op.RESET})).sum())
    return 2048 + 2 * channels * (columns / 2 + 35) * math.sqrt(columns)


def rank_bits(circuit: Circuit, tolerance: float) -> tuple[float, float]:
    """log2 of the number of columns, without and with the limit of 2^n for each branch of the classical bits."""
    c, n = circuit.columns, circuit.num_qubits
    final = len(circuit.final_measurements)
    midway = int((c.ops == Op.MEASURE).sum()) - final
    branches = float(min(midway, circuit.num_clbits))
    sites, ways, weight = 0, 0, 0.0
    certain = float((c.ops == Op.RESET).sum())
    for row in np.flatnonzero(np.isin(c.ops, list(CHANNELS))).tolist():
        op = Op(int(c.ops[row]))
        if op == Op.KRAUS:
            width = int(c.qubit_offsets[row + 1] - c.qubit_offsets[row])
            certain += min(math.log2(len(circuit.payloads[int(c.payloads[row])])), 2.0 * width)
            continue
        params = c.params[c.param_offsets[row] : c.param_offsets[row + 1]]
        share = float(params.sum() if op == Op.PAULI_CHANNEL else params[-1])
        sites, ways, weight = sites + 1, ways + _ERRORS.get(op, 1), weight + share
    # What comes between two-qubit gates is merged, and what comes after the last on a qubit is kept for the answer.
    merged = min(sites, 2 * int((np.diff(c.qubit_offsets)[np.isin(c.ops, list(GATES))] > 1).sum()))
    left = max(merged - n, 0)
    if left:
        free = certain + _columns_of_errors(left, ways / sites, weight * left / merged, tolerance)
    else:
        free = certain
    return branches + free, branches + min(free, float(n))


def _columns_of_errors(sites: int, ways: float, weight: float, tolerance: float) -> float:
    """log2 of how many sets of errors there are, the likeliest first, until the others are rarer than the tolerance.

    The number of errors is taken to follow Poisson's law.
    """
    columns, choices, rare, left = 0.0, 0.0, math.exp(-weight), -math.expm1(-weight)
    for k in range(1, sites + 1):
        if left <= tolerance:
            break
        choices += math.log2((sites - k + 1) / k * ways)
        rare *= weight / k
        share = min(1.0, (left - tolerance) / rare) if rare > 0 else 1.0
        columns = float(np.logaddexp2(columns, choices + math.log2(share)))
        left -= rare
    return columns


def columns_bits(request: RunRequest) -> tuple[float, float]:
    """As `rank_bits`, for a request.

    Raises:
        UnsupportedError: No machine holds so many columns.
    """
    free, held = rank_bits(request.circuit, tolerance_of(request))
    if request.circuit.num_qubits + held > _MOST_BITS:
        raise UnsupportedError(
            f"about 2^{held:.0f} columns of 2^{request.circuit.num_qubits} amplitudes are too many for lret-unified",
            hint="give it a larger tolerance, or use a backend that draws trajectories",
        )
    return free, held


def work(request: RunRequest, features: Features) -> dict[str, float]:
    """The request's cost in the units ``run gate amplitude read draw``."""
    f, wants, size = features, set(request.wants), 2.0**request.circuit.num_qubits
    free, held = columns_bits(request)
    columns, wide = 2.0**held, 2.0 if request.precision == "double" else 1.0
    gates = f.gates_2q + 4.0 * f.gates_many + min(f.gates_1q, f.num_qubits) / 2
    # Columns are made on the way, so that gates act on half of them, about; on a tile of eight at least.
    passed = size * max(columns, 8.0) * gates * (0.5 if columns > 16 else 1.0)
    if free > held:
        truncations = min((free - held) / 2 + 1, float(f.num_operations))
        passed += _TRUNCATION * truncations * size * columns * columns
    dense = bool(wants & {"statevector", "density_matrix"})
    reads = size * (size if dense else 1.0)
    terms = sum(len(o.terms) for o in request.observables if "expectation" in wants)
    passed += columns * (reads + size * terms)
    out = {"run": 1.0, "gate": float(f.num_operations), "amplitude": wide * passed, "read": reads}
    if wants & {"counts", "samples"}:
        out["draw"] = float((request.shots or 0) * max(f.num_measurements, 1))
    return out


def memory(request: RunRequest) -> int:
    """Peak bytes on top of the engine: the columns while more are made, and the answers."""
    n, wants = request.circuit.num_qubits, set(request.wants)
    free, held = columns_bits(request)
    columns = max(2.0 ** min(free, held + 4), 16.0 if request.precision == "single" else 8.0)
    total: int = 2 * (8 if request.precision == "single" else 16) * 2**n * math.ceil(columns)
    if wants & {"counts", "samples", "probabilities"}:
        total += 4 * 8 * 2**n
    if wants & {"statevector", "density_matrix"}:
        total += 4 * 16 * 4**n
    return total + (request.shots or 0) * (2 * request.circuit.num_clbits + 48)
