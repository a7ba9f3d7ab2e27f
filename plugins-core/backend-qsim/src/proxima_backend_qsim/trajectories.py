"""Quantum trajectories that share what they have in common.

Every shot of a noisy or dynamic circuit follows a trajectory: at each site (a channel, a measurement, a reset) it takes
one way at random. Shots that have gone the same way so far have the same state, so they are evolved as one group,
which splits where they part: a noiseless circuit with one measurement in the middle costs two runs, whatever the number
of shots. Where a way has a probability that holds for any state, the choice is drawn in advance and the state is not
looked at, as in qsim's own trajectory simulator (arXiv:2111.02396); otherwise from the reduced density matrix.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import CHANNELS, Op
from proxima_backend_qsim.channels import Site, site
from proxima_backend_qsim.engine import Engine, State
from proxima_backend_qsim.gates import Gate

Indices = npt.NDArray[np.int64]

# Choices drawn in advance are held for this many shots times sites at once.
_CHOICES = 1_000_000


@dataclass(frozen=True, slots=True)
class Program:
    """A circuit prepared for trajectories.

    Attributes:
        gates: The gates of the commonest trajectory, in order.
        position: For row i, how many of ``gates`` come before it; one entry more than there are rows.
        sites: By row.
        stops: Rows of the sites where every trajectory has to stop, ascending.
    """

    gates: list[Gate]
    position: list[int]
    sites: dict[int, Site]
    stops: list[int]

    @classmethod
    def of(cls, circuit: Circuit, lowered: list[Gate | None]) -> Program:
        """Prepares a circuit without its final measurements.

        Raises:
            UnsupportedError: A channel on more than six qubits.
        """
        gates: list[Gate] = []
        position = [0]
        sites: dict[int, Site] = {}
        known: dict[object, Site] = {}
        for row, (gate, step) in enumerate(zip(lowered, circuit, strict=True)):
            if (gate is not None and step.condition) or step.op in CHANNELS or step.op in (Op.RESET, Op.MEASURE):
                key = (step.op, step.qubits, step.params, step.clbit, step.condition)
                here = site(step, gate) if step.matrices or key not in known else known[key]
                sites[row] = known[key] = here
                gate = None if here.stop else here.gates[0]
            if gate is not None:
                gates.append(gate)
            position.append(len(gates))
        return cls(gates, position, sites, [row for row, s in sites.items() if s.stop])

    def between(self, start: int, end: int) -> list[Gate]:
        """The gates of rows start to end - 1."""
        return self.gates[self.position[start] : self.position[end]]


@dataclass(slots=True)
class _Group:
    """Shots that share their past: the state is that before ``pending``, and ``row`` is where they go on."""

    shots: Indices
    row: int
    pending: list[Gate]
    state: State | None


def trajectories(
    program: Program, engine: Engine, bits: npt.NDArray[np.uint8], rng: np.random.Generator, context: RunContext
) -> Iterator[tuple[Indices, State]]:
    """Runs one trajectory per shot.

    Args:
        program: What to run.
        engine: On as many qubits as the program.
        bits: uint8, shape (shots, num_clbits); measurements in the circuit are written into it.
        rng: Draws the ways.
        context: Asked between two calls of the engine whether to go on.

    Yields:
        The shots of a group that went the same way to the end (int64 indices into ``bits``), and their final state:
        complex64, shape (2^n,), not normalised.

    Raises:
        CancelledError, DeadlineExceededError: Between two calls of the engine.
    """
    shots = len(bits)
    chunk = max(1, _CHOICES // max(1, len(program.sites)))
    for start in range(0, shots, chunk):
        part = np.arange(start, min(start + chunk, shots))
        choices = _Choices(program, part, rng)
        yield from _walk(program, engine, bits, choices, rng, context)
        context.progress(min(start + chunk, shots) / shots, "running trajectories")


class _Choices:
    """The ways drawn in advance that differ from the commonest: per shot, in the order of rows."""

    def __init__(self, program: Program, part: Indices, rng: np.random.Generator) -> None:
        self.part = part
        self.end = len(program.position) - 1
        rows = [row for row, s in program.sites.items() if not s.stop]
        bounds = [program.sites[row].bounds for row in rows]
        drawn = rng.random((len(part), len(rows)))
        shot, column = np.nonzero(drawn >= np.array([b[0] for b in bounds]))
        self._rows = np.append(np.array(rows, dtype=np.int64)[column], self.end)
        # Column c's bounds are shifted by 2c, so that one search serves all columns.
        edges = np.concatenate([np.zeros(0), *(b + 2 * c for c, b in enumerate(bounds))])
        first = np.cumsum([0, *map(len, bounds)])[column]
        self._ways = np.searchsorted(edges, drawn[shot, column] + 2 * column, side="right") - first
        self._next = np.searchsorted(shot, np.arange(len(part)))
        self._last = np.append(self._next[1:], len(shot))

    def rows(self, group: Indices) -> Indices:
        """The row of each shot's next choice; the number of rows where there is none."""
        at = self._next[group - self.part[0]]
        return np.where(at < self._last[group - self.part[0]], self._rows[at], self.end)

    def take(self, group: Indices) -> Indices:
        """The next choice of each shot, which is then done with."""
        shots = group - self.part[0]
        ways: Indices = self._ways[self._next[shots]]
        self._next[shots] += 1
        return ways


def _walk(
    program: Program,
    engine: Engine,
    bits: npt.NDArray[np.uint8],
    choices: _Choices,
    rng: np.random.Generator,
    context: RunContext,
) -> Iterator[tuple[Indices, State]]:
    stack = [_Group(choices.part, 0, [], None)]
    while stack:
        context.check()
        group = stack.pop()
        rows = choices.rows(group.shots)
        row = int(rows.min())
        stop = bisect_left(program.stops, group.row)
        if stop < len(program.stops):
            row = min(row, program.stops[stop])
        pending = group.pending + program.between(group.row, row)
        if row == choices.end:
            yield group.shots, engine.apply(pending, group.state, context)
            continue
        here = program.sites[row]
        if here.condition is not None and not here.condition.holds(bits[group.shots[0]].tolist()):
            stack.append(_Group(group.shots, row + 1, pending, group.state))
            continue
        ways = _ways(here, group.shots, rows == row, choices, rng)
        looked = ways == len(here.gates)
        state = group.state
        scale: list[float] | None = None
        if looked.any():
            state, pending = engine.apply(pending, state, context), []
            chances, norm = _chances(here, state)
            ways[looked] = _look(here, chances, int(looked.sum()), rng)
            scale = [1 / np.sqrt(max(chance * norm, 1e-30)) for chance in chances]
        present = np.flatnonzero(np.bincount(ways)).tolist()
        if len(present) > 1 and pending:
            state, pending = engine.apply(pending, state, context), []
        if here.clbit >= 0:
            bits[group.shots, here.clbit] = here.outcomes[ways]
        children = [_Group(group.shots[ways == w], row + 1, pending + _step(here, w, scale), state) for w in present]
        # The smallest group goes first, so that no more than log2(shots) states wait at any time.
        stack.extend(sorted(children, key=lambda child: -len(child.shots)))


def _ways(
    here: Site, shots: Indices, chosen: npt.NDArray[np.bool_], choices: _Choices, rng: np.random.Generator
) -> Indices:
    """The way each shot takes; the number of ways where the state must be looked at."""
    if here.stop:
        return np.searchsorted(here.bounds, rng.random(len(shots)), side="right")
    ways = np.zeros(len(shots), dtype=np.int64)
    ways[chosen] = choices.take(shots[chosen])
    return ways


def _step(here: Site, way: int, scale: list[float] | None) -> list[Gate]:
    gate = here.gates[way]
    if gate is None:
        return []
    if scale is None or here.unitary[way]:
        return [gate]
    name, qubits, numbers = gate
    return [(name, qubits, [scale[way] * x for x in numbers])]


def _chances(here: Site, state: State) -> tuple[list[float], float]:
    """Each way's probability in a state, and the state's squared norm."""
    reduced = reduced_density_matrix(state, here.qubits)
    norm = float(np.trace(reduced).real)
    return [max(float(np.trace(effect @ reduced).real) / norm, 0.0) for effect in here.effects], norm


def _look(here: Site, chances: list[float], shots: int, rng: np.random.Generator) -> Indices:
    """Draws ways for shots that the bounds have left undecided."""
    left = np.maximum(np.array(chances) - np.diff(here.bounds, prepend=0.0), 0.0)
    if not left.any():
        left = np.array(chances)
    edges = np.cumsum(left)
    drawn = np.searchsorted(edges, rng.random(shots) * edges[-1], side="right")
    ways: Indices = np.minimum(drawn, len(left) - 1)
    return ways


def reduced_density_matrix(state: State, qubits: Iterable[int]) -> npt.NDArray[np.complex128]:
    """The density matrix of a few qubits, not normalised; the first listed one is the least significant index bit."""
    num_qubits = len(state).bit_length() - 1
    axes = [num_qubits - 1 - q for q in qubits][::-1]
    tensor = np.moveaxis(state.reshape((2,) * num_qubits), axes, range(len(axes)))
    rows = tensor.reshape(2 ** len(axes), -1)
    # Summed in blocks: single precision loses nothing to the length.
    width = min(rows.shape[1], 1024)
    blocks = rows.reshape(len(rows), -1, width)
    reduced: npt.NDArray[np.complex128]
    reduced = np.einsum("abi,cbi->bac", blocks, blocks.conj()).sum(axis=0, dtype=np.complex128)
    return reduced
