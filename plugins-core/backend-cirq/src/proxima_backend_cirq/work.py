"""What a run costs, by method: counted from the circuit, without Cirq.

Amounts are in a few units whose rates (seconds per unit) are measured per machine; `DEFAULT_RATES` hold where nobody
has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Literal

import numpy as np

from proxima.contracts.backend import Estimate, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import CHANNELS, OPERATIONS, Op
from proxima_backend_cirq.order import by_moment

Method = Literal["statevector", "density_matrix", "clifford"]
METHODS: tuple[Method, ...] = ("statevector", "density_matrix", "clifford")

# Outcomes of mid-circuit measurements are enumerated for an exact answer up to this many measurements.
MAX_ENUMERATED = 12

DEFAULT_RATES: Mapping[str, float] = {
    "run": 5.4e-4,
    "operation": 3.9e-5,
    "amplitude": 8.4e-10,
    "sample": 4.9e-8,
    "tableau": 4.3e-7,
}

# Cost of one application, per amplitude of the entangled component it acts on, relative to a controlled not.
_COST = np.full(256, 1.0)
for _ops, _cost in (
    ((Op.ID, Op.BARRIER, Op.MEASURE, Op.SWAP), 0.0),
    ((Op.Z, Op.S, Op.SDG, Op.T, Op.TDG, Op.P, Op.RZ, Op.CZ, Op.CP, Op.CRZ, Op.CCZ), 0.5),
    ((Op.RZZ,), 1.5),
    ((Op.Y, Op.CY, Op.ISWAP), 2.2),
    ((Op.CH, Op.CSX, Op.CRX, Op.CRY, Op.CU), 3.5),
    ((Op.H, Op.SX, Op.SXDG, Op.RX, Op.RY, Op.R, Op.U), 4.5),
    ((Op.RXX, Op.RYY, Op.RZX, Op.ECR), 7.5),
    ((Op.RESET, *CHANNELS), 3.0),
    ((Op.AMPLITUDE_DAMPING, Op.GENERALIZED_AMPLITUDE_DAMPING, Op.PHASE_DAMPING), 13.0),
):
    _COST[list(_ops)] = _cost

_CLIFFORD = np.zeros(256, dtype=np.bool_)
_CLIFFORD[[op for op, spec in OPERATIONS.items() if spec.clifford]] = True
# Exponents stop here: far beyond any memory, and still a float.
_LARGEST = 250

# Joining two components touches fresh memory, which costs about this many passes over the joined one.
_JOIN = 10.0


@dataclass(frozen=True, slots=True)
class Profile:
    """A circuit, measured.

    Attributes:
        largest: Qubits in the largest component that its gates entangle.
        pure: Cost of one pass over the statevector, in amplitudes.
        mixed: Cost of one pass over the density matrix, in elements.
        points: Mid-circuit measurements and resets that may branch; ``read`` those that a condition may read.
        events: Expected number of noise events in one shot.
    """

    num_qubits: int
    num_clbits: int
    gates: int
    channels: int
    largest: int
    pure: float
    mixed: float
    clifford: bool
    noisy: bool
    points: int
    read: int
    events: float
    measured: int


def profile(circuit: Circuit) -> Profile:
    """Measures a circuit; about a microsecond per operation until its qubits are all entangled, less after."""
    c = circuit.columns
    sizes = np.diff(c.qubit_offsets)
    measured = len(circuit.final_measurements)
    pure, mixed = _COST[c.ops], 2 * _COST[c.ops] + 3.0 * (_COST[c.ops] > 0)
    for row in np.flatnonzero((c.ops == Op.UNITARY) & (sizes > 1)).tolist():
        pure[row] = 4.0 * 2.0 ** sizes[row]
        mixed[row] = 2 * pure[row] + 3
    noise = np.isin(c.ops, _CHANNELS)
    mixed[noise] = np.where(sizes[noise] == 1, 28.0, np.where(c.ops[noise] == Op.DEPOLARIZING2, 60.0, 150.0))
    component, joins = _component_sizes(circuit)
    exponent = np.minimum(component, _LARGEST)
    # Seen from a density matrix a controlled phase costs half as much per element.
    pure[joins] += _JOIN
    mixed[joins] += 2 * _JOIN
    mixed *= 0.5
    points = int((c.ops == Op.MEASURE).sum()) - measured + int((c.ops == Op.RESET).sum())
    # The row's first parameter; the padding stands in for rows without one.
    first = np.append(c.params, 0.0)[c.param_offsets[:-1]]
    events = np.where(c.ops == Op.PAULI_CHANNEL, 1.5, 1.0) * np.where(np.diff(c.param_offsets) > 0, first, 0.3)
    return Profile(
        num_qubits=circuit.num_qubits,
        num_clbits=circuit.num_clbits,
        gates=int(((_COST[c.ops] > 0) & ~noise).sum()),
        channels=int(noise.sum()),
        largest=int(component.max(initial=min(1, circuit.num_qubits))),
        pure=float((pure * 2.0**exponent).sum()),
        mixed=float((mixed * 4.0**exponent).sum()),
        clifford=bool(_CLIFFORD[c.ops].all()),
        noisy=bool(noise.any()),
        points=points,
        read=min(points, int((c.conditions >= 0).sum())),
        events=float(events[noise].sum()),
        measured=measured,
    )


def estimate(request: RunRequest, method: Method, p: Profile) -> Estimate:
    """What one method would cost."""
    wants = set(request.wants)
    reason = _obstacle(wants, method, p, request.shots)
    if reason:
        return Estimate(False, reason, method)
    item = 8 if request.precision == "single" else 16
    shots = request.shots or 0
    passes = 1.0
    if p.noisy or p.points:
        passes = _passes(request, method, p)
    states = wants & {"statevector", "probabilities", "density_matrix", "expectation"}
    largest, all_qubits = min(p.largest, _LARGEST), min(p.num_qubits, _LARGEST)
    whole = all_qubits if states else largest
    # In a trajectory most channels do nothing; on a density matrix an operation acts twice.
    operations = 1.5 * (p.gates + p.channels) if method == "density_matrix" else p.gates + 0.4 * p.channels
    work = {"run": 1.0, "operation": operations * passes + p.num_qubits, "sample": float(shots * p.measured)}
    branches = 1 + min(p.points + p.events, math.log2(max(shots, 2))) if method != "density_matrix" or p.read else 1
    if method == "clifford":
        memory = int(branches * 3 * p.num_qubits**2 + shots * 3 * p.num_qubits)
        work["operation"] *= 0.4
        work["tableau"] = operations * passes * p.num_qubits
        work["sample"] *= p.num_qubits / 80
        return Estimate(True, "clifford: the circuit is Clifford", method, memory, work)
    if method == "statevector":
        memory = int(item * 2**largest * (2 + branches)) + 2 * item * 2**whole * bool(states)
        work["amplitude"] = p.pure * passes + 4.0 * 2**largest * bool(shots)
    else:
        memory = int(item * 4**largest * (4 + branches)) + item * 4**whole * bool(states)
        work["amplitude"] = p.mixed * passes
    if "probabilities" in wants:
        memory += 16 * 2**all_qubits
    if "density_matrix" in wants:
        memory += item * 4**all_qubits * (2 if p.points or method == "statevector" else 1)
        work["amplitude"] += 4.0 * 4**all_qubits
    if "expectation" in wants:
        terms = sum(len(o.terms) for o in request.observables)
        exponent = 2 if method == "density_matrix" else 1
        memory += 3 * item * 2 ** (exponent * all_qubits)
        work["amplitude"] += 5.0 * terms * exponent * 2 ** (exponent * all_qubits) * (passes if p.noisy else 1)
    memory += shots * (p.num_clbits + 32)
    return Estimate(True, _REASONS[method], method, memory, work)


def choose(request: RunRequest, p: Profile) -> Estimate:
    """The method the request names, or the cheapest one that can answer it."""
    named = request.options.get("method", "automatic")
    offers = [estimate(request, m, p) for m in METHODS if named in (m, "automatic")]
    feasible = [offer for offer in offers if offer.feasible]
    if feasible:
        return min(feasible, key=lambda offer: offer.seconds(DEFAULT_RATES))
    return offers[0]


def samples_moments(request: RunRequest, method: str, noisy: bool, points: int) -> bool:
    """Whether expectation values come from sampled trajectories rather than from an exact state."""
    return "expectation" in request.wants and method != "density_matrix" and (noisy or points > MAX_ENUMERATED)


_REASONS = {
    "statevector": "statevector",
    "density_matrix": "density_matrix: exact with noise or measurements on the way",
}
_CHANNELS = np.array(sorted(CHANNELS), dtype=np.uint8)


def _obstacle(wants: Set[str], method: Method, p: Profile, shots: int | None) -> str:
    """Why a method cannot answer; empty if it can."""
    mixed = p.noisy or p.points > 0
    if "gradient" in wants:
        return "cirq gives no gradient; ask for expectation values at shifted angles"
    if "statevector" in wants and mixed:
        return "a circuit with noise, reset or measurements on the way has no statevector; ask for density_matrix"
    if method == "clifford":
        if not p.clifford:
            return "clifford: the circuit has an operation that is not Clifford"
        if wants & {"statevector", "density_matrix", "probabilities"}:
            return "clifford: it gives counts, samples and expectation values alone"
    if method == "density_matrix":
        if "statevector" in wants:
            return "density_matrix: it gives no statevector; use the method statevector"
        return ""
    if wants & {"density_matrix", "probabilities"} and (p.noisy or p.points > MAX_ENUMERATED):
        return f"{method}: it samples this circuit, and probabilities take the method density_matrix"
    if "expectation" in wants and not shots and (p.noisy or p.points > MAX_ENUMERATED):
        return f"{method}: expectation values of this circuit are sampled, which needs a number of shots"
    return ""


def _passes(request: RunRequest, method: Method, p: Profile) -> float:
    """How many simulations of the whole circuit the branches amount to."""
    wants, shots = set(request.wants), request.shots or 1
    sampled = samples_moments(request, method, p.noisy, p.points)
    exact = bool(wants & {"density_matrix", "probabilities"}) or ("expectation" in wants and not sampled)
    passes = 0.0
    points = p.points
    if method == "density_matrix":
        points = p.read if exact else p.points
    if exact:
        passes += 2.0 ** min(p.read if method == "density_matrix" else p.points, 40) if points else 1.0
    if sampled or wants & {"counts", "samples"}:
        if not (method == "density_matrix" and not p.points):
            events = 0.0 if method == "density_matrix" else p.events
            alive = 1 + shots * (1 - (1 - math.exp(-events)) / events) if events > 1e-9 else 1.0
            passes += min(float(shots), alive * _mean_branches(p.points, shots))
        elif not exact:
            passes += 1.0
    return max(passes, 1.0)


def _mean_branches(points: int, shots: int) -> float:
    """Mean number of distinct branches along a circuit with so many even-odds measurements."""
    doubling = min(points, int(math.log2(max(shots, 1))))
    return (2.0 ** (doubling + 1) - 1 + (points - doubling) * shots) / (points + 1)


def _component_sizes(circuit: Circuit) -> tuple[np.ndarray, list[int]]:
    """For every operation the number of qubits entangled with its own when it is applied, at most.

    Also the rows of the operations that join components.
    """
    n, c = circuit.num_qubits, circuit.columns
    out = np.ones(len(circuit), dtype=np.float64)
    joins: list[int] = []
    parent, weight = list(range(n)), [1] * n

    def root(q: int) -> int:
        while parent[q] != q:
            parent[q] = parent[parent[q]]
            q = parent[q]
        return q

    offsets, qubits, ops = c.qubit_offsets.tolist(), c.qubits.tolist(), c.ops.tolist()
    skip = {int(Op.BARRIER), int(Op.SWAP)}
    rows = range(len(ops)) if circuit.is_dynamic or circuit.has_noise else by_moment(circuit)
    for place, row in enumerate(rows):
        if ops[row] in skip:
            continue
        first, *others = qubits[offsets[row] : offsets[row + 1]]
        top = root(first)
        alone = weight[top]
        for other in others:
            low = root(other)
            if low != top:
                parent[low] = top
                weight[top] += weight[low]
        if weight[top] > alone:
            joins.append(row)
        out[row] = weight[top]
        if weight[top] == n:
            out[rows[place:]] = n
            break
    return out, joins
