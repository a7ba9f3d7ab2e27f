"""What a request is held to and what it costs. Nothing here needs the engine.

Each method's work is counted from what the circuit comes to (`counting`), and the cheapest is taken, as the engine does
with what it knows better. The number of columns is a guess.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from proxima.contracts.backend import RunRequest, Want
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import Features
from proxima.contracts.methods import check_answerable
from proxima.contracts.operations import CHANNELS, GATES, Op
from proxima.errors import UnsupportedError, UsageError
from proxima_lret_core.counting import Counts, columns_bits, counts_of
from proxima_lret_core.refusals import MAX_KRAUS_QUBITS, MAX_QUBITS, ROUNDOFF

METHODS = ("automatic", "low_rank", "density_matrix", "trajectories")
MAX_DENSE_QUBITS = 13
MAX_DENSITY_QUBITS = 20
LARGEST_DEFAULT = 5e-3  # of the tolerance, unless rounding alone may come to more

# By operation code: what rounds as a gate, and what as a channel.
_IS_GATE, _IS_CHANNEL = (np.isin(np.arange(256), list(ops)) for ops in (GATES | {Op.UNITARY}, CHANNELS | {Op.RESET}))
_MOST_BITS = 60.0  # log2 of the columns' numbers; no machine holds as many
_TILE = {"single": 16, "double": 8}
# Seconds per unit, of which only the ratios matter here: they choose the method.
_SHARES = {"product": 1.6e-10, "column": 2e-9, "super": 4.2e-11, "cube": 1e-9}


def check(request: RunRequest, name: str, methods: Sequence[str] = METHODS) -> None:
    """Refuses what no method can do, or the method asked for.

    Args:
        request: What is asked.
        name: The backend's.
        methods: Those that it offers, ``automatic`` first.

    Raises:
        UnsupportedError: The circuit or a want is beyond it.
        UsageError: The request makes no sense.
    """
    circuit, wants = request.circuit, set(request.wants)
    if "gradient" in wants:
        raise UnsupportedError(f"{name} gives no gradient", hint="ask for expectation values at shifted angles")
    if circuit.parameters:
        raise UsageError(
            f"the circuit has open parameters: {', '.join(circuit.parameters)}", hint="bind them to values first"
        )
    if unknown := sorted(set(request.options) - {"method", "tolerance"}):
        raise UsageError(f"{name} has no option {', '.join(unknown)}", hint="its options are tolerance and method")
    asked = request.options.get("method", "automatic")
    if asked not in methods:
        raise UsageError(f"{name} has no method {asked!r}", hint=f"its methods are {', '.join(methods)}")
    if asked == "trajectories" and (other := sorted(wants - {"counts", "samples"})):
        raise UsageError(f"trajectories give counts and samples, no {' and '.join(other)}", hint="take another method")
    _asked_tolerance(request)
    _check_circuit(circuit, wants, name)
    check_answerable(request)


def _check_circuit(circuit: Circuit, wants: set[Want], name: str) -> None:
    n, c = circuit.num_qubits, circuit.columns
    if not 1 <= n <= MAX_QUBITS:
        raise UnsupportedError(f"{name} takes 1 to {MAX_QUBITS} qubits, not {n}")
    if (np.diff(c.qubit_offsets)[c.ops == Op.KRAUS] > MAX_KRAUS_QUBITS).any():
        raise UnsupportedError(f"{name} takes kraus channels on at most {MAX_KRAUS_QUBITS} qubits")
    if "statevector" in wants and (circuit.is_dynamic or circuit.has_noise):
        raise UnsupportedError(
            "a circuit with noise, reset, conditions or a measurement in the middle has no statevector",
            hint="ask for density_matrix, probabilities, expectation or counts",
        )
    if (dense := sorted({"statevector", "density_matrix"} & wants)) and n > MAX_DENSE_QUBITS:
        raise UnsupportedError(
            f"{name} gives the {' and '.join(dense)} of at most {MAX_DENSE_QUBITS} qubits, the circuit has {n}",
            hint="ask for probabilities, expectation or counts",
        )


def choice(request: RunRequest, methods: Sequence[str] = METHODS) -> tuple[str, float]:
    """The method and the tolerance that a run is given.

    Without the option ``tolerance``, a run may come to about twice what rounding may: for columns at most 5e-3, unless
    rounding alone may come to more, and for a density matrix whatever it may be.
    """
    method, asked = str(request.options.get("method", "automatic")), _asked_tolerance(request)
    if len(methods) == 2:  # nothing to choose from
        method = methods[1]
    if asked is not None:
        return method, asked
    columns, density = _default_of_columns(request), min(1.0, 2 * _density_rounding(request))
    if method == "density_matrix":
        return method, density
    if method == "automatic" and _is_open(request, "density_matrix"):
        if density <= max(columns, LARGEST_DEFAULT):
            return method, max(columns, density)
        if expected(request, columns, methods)[0] == "density_matrix":
            return "density_matrix", density
    return method, columns


def _asked_tolerance(request: RunRequest) -> float | None:
    asked = request.options.get("tolerance")
    if asked is None:
        return None
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not 0 < asked <= 1:
        raise UsageError(
            f"a tolerance of {asked!r} makes no sense", hint="a trace distance above 0 and up to 1, such as 5e-3"
        )
    return float(asked)


def _default_of_columns(request: RunRequest) -> float:
    """Twice what rounding may come to; truncations are part of it, but do not raise it above 5e-3."""
    circuit = request.circuit
    known = circuit.__dict__.get("_lret_rounding")
    if known is None:
        known = circuit.__dict__["_lret_rounding"] = (2 * _rounding(circuit), _truncations(circuit))
    u, (least, truncations) = ROUNDOFF[request.precision], known
    return float(min(1.0, max(least * u, min(LARGEST_DEFAULT, (least + truncations) * u))))


def _rounding(circuit: Circuit) -> float:
    """In units of roundoff, no less than the library's own bound, which counts fused gates (lowrank.md)."""
    c = circuit.columns
    d = np.exp2(np.diff(c.qubit_offsets) + 1.0)
    each = (d + 1) * np.sqrt(d)
    gates, channels = _IS_GATE[c.ops], _IS_CHANNEL[c.ops]
    return float(each[gates].sum() + (each[channels] + 2 + 10).sum())


def _truncations(circuit: Circuit) -> float:
    """What truncations to 2^n columns, one for each channel, may round by, in units of roundoff (lowrank.md)."""
    columns = 2.0**circuit.num_qubits
    channels = int(_IS_CHANNEL[circuit.columns.ops].sum())
    return 2048 + 2 * channels * (columns / 2 + 35) * math.sqrt(columns)


def _density_rounding(request: RunRequest) -> float:
    """As a trace distance: a matrix on k qubits rounds by at most 2^(3k + 1) times half the root of 2^n, about."""
    counts = counts_of(request.circuit)
    # What stands alone: at each qubit's beginning and end, or anywhere between measurements and conditions.
    singles = len(request.circuit) if request.circuit.is_dynamic else 2 * request.circuit.num_qubits
    size = (
        singles * 13.0 + 4.0 * counts.measured + sum(number * 2.0 ** (3 * k + 1) for k, number in counts.gates.items())
    )
    size += sum(2.0 ** (3 * counts.widest + 1) for error, ways in counts.channels if ways > 3)
    return 0.5 * math.sqrt(2.0**request.circuit.num_qubits) * ROUNDOFF[request.precision] * size


def _is_open(request: RunRequest, method: str) -> bool:
    n, counts = request.circuit.num_qubits, counts_of(request.circuit)
    if method == "trajectories":
        return set(request.wants) <= {"counts", "samples"}
    if method == "density_matrix":
        held = 2.0 * n + min(counts.measured, request.circuit.num_clbits)
        return n <= MAX_DENSITY_QUBITS and counts.widest <= MAX_KRAUS_QUBITS and held <= _MOST_BITS
    return n + _bits(counts, _asked_tolerance(request) or _default_of_columns(request), n)[1] <= _MOST_BITS


def _bits(counts: Counts, tolerance: float, n: int) -> tuple[float, float]:
    """log2 of the number of columns, without and with the limit of 2^n for each branch of the classical bits."""
    free = columns_bits(counts.channels, tolerance)
    return counts.measured + free, counts.measured + min(free, float(n))


def expected(
    request: RunRequest, tolerance: float, methods: Sequence[str] = METHODS
) -> tuple[str, dict[str, float], float]:
    """The method that is expected to cost least, or is asked for: with its work and its columns, 0 for none.

    Raises:
        UnsupportedError: No method that is open could hold the state.
    """
    asked = str(request.options.get("method", "automatic"))
    names = tuple(methods[1:]) if asked == "automatic" else (asked,)
    open_ = [name for name in names if _is_open(request, name)]
    if not open_:
        raise UnsupportedError(
            f"{' and '.join(names)} would need too many columns of 2^{request.circuit.num_qubits} amplitudes, or"
            " act on too many qubits at once",
            hint="give it a larger tolerance, or ask for counts, which trajectories give",
        )
    each = {name: _work_of(request, name, tolerance) for name in open_}
    costs = {name: _weighed(work, request.precision) for name, (work, _) in each.items()}
    best = min(open_, key=lambda name: costs[name])
    return best, *each[best]


def _weighed(work: Mapping[str, float], precision: str) -> float:
    return sum(_SHARES[unit] * amount for unit, amount in work.items())


def _work_of(request: RunRequest, method: str, tolerance: float) -> tuple[dict[str, float], float]:
    """What running the circuit takes by a method, and how many columns there are at its end."""
    counts, n = counts_of(request.circuit), request.circuit.num_qubits
    size, wide = 2.0**n, 2.0 if request.precision == "double" else 1.0
    branches = 2.0 ** min(counts.measured, request.circuit.num_clbits, _MOST_BITS)
    if method == "density_matrix":
        return {"super": wide * branches * size**2 * max(counts.products(4), 4.0)}, 0.0
    least, cubes = float(_TILE[request.precision]), 0.0
    if method == "low_rank":
        free, held = _bits(counts, tolerance, n)
        columns = 2.0 ** min(held, _MOST_BITS)
        least *= branches
        if free > held or free >= n + math.log2(branches):
            cubes = branches * len(counts.channels) / 2 * (1.6 * size) ** 3
    else:
        shots = float(request.shots or 0)
        columns = shots if counts.measured else 1 + shots * -math.expm1(-counts.error)
    # Columns come up on the way, most of them late.
    passed = least + max(0.0, columns - least) / 3
    work = {
        "product": wide * size * passed * max(counts.products(2), 1.0),
        "column": wide * size * columns,
        "cube": cubes,
    }
    return work, columns


def estimate(
    request: RunRequest, features: Features, methods: Sequence[str] = METHODS
) -> tuple[str, dict[str, float], int, float]:
    """The method that is expected, its work in all units, its peak bytes on top of the engine, and its columns.

    Of one request it is worked out once for all backends of the same methods, which share the engine.
    """
    known = request.circuit.__dict__.get("_lret_estimate")
    if known is None or known[0] is not request or known[1] != methods:
        made = _estimate(request, features, methods)
        known = request.circuit.__dict__["_lret_estimate"] = (request, methods, made)
    found: tuple[str, dict[str, float], int, float] = known[2]
    return found


def _estimate(
    request: RunRequest, features: Features, methods: Sequence[str]
) -> tuple[str, dict[str, float], int, float]:
    method, work, columns = expected(request, choice(request, methods)[1], methods)
    n, wants, size = request.circuit.num_qubits, set(request.wants), 2.0**request.circuit.num_qubits
    dense = bool(wants & {"statevector", "density_matrix"})
    out = {"run": 1.0, "gate": float(features.num_operations), **work, "read": size * (size if dense else 1.0)}
    terms = sum(len(o.terms) for o in request.observables if "expectation" in wants)
    if columns:
        out["product"] = out.get("product", 0.0) + columns * size * ((size if dense else 1.0) + terms)
    if wants & {"counts", "samples"}:
        out["draw"] = float((request.shots or 0) * max(features.num_measurements, 1))
    number = 4 if request.precision == "single" else 8
    counts = counts_of(request.circuit)
    if method == "density_matrix":
        held = 2.0 ** min(counts.measured, request.circuit.num_clbits) * size**2 * number
        held *= 2.0 if counts.measured else 1.0
    else:
        # The guess may be off: sixteen times as many columns, as far as a branch has states.
        most = min(16 * columns, 2.0**counts.measured * size) if method == "low_rank" else 2 * columns
        held = 2 * 2 * number * size * max(most, _TILE[request.precision])
    if wants & {"counts", "samples", "probabilities"}:
        held += 4 * 8 * size
    if dense:
        held += 5 * 16 * 4.0**n
    held += (request.shots or 0) * (2.0 * request.circuit.num_clbits + 64)
    return method, out, int(held), columns
