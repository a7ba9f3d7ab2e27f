"""`LowRankSimulator`: Cirq's simulator interfaces over the low-rank engine."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import cirq
import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import Precision, RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.observable import PauliSum
from proxima.errors import UsageError
from proxima_lret_core.cirq.conditions import Record
from proxima_lret_core.cirq.engine import Engine, Samples, SamplingEngine, State
from proxima_lret_core.cirq.initial import prepared
from proxima_lret_core.cirq.translation import Measuring, Translation, translate
from proxima_lret_core.cirq.trial_result import LowRankFinalState, LowRankTrialResult
from proxima_lret_core.cirq.unread import measured_part
from proxima_lret_core.simulation import run as low_rank

_PRECISIONS: Mapping[Any, Precision] = {np.complex64: "single", np.complex128: "double"}


class LowRankSimulator(
    cirq.SimulatesSamples,
    cirq.SimulatesFinalState[LowRankTrialResult],
    cirq.SimulatesExpectationValues,
    metaclass=abc.ABCMeta,
):
    """Cirq's sampler and simulator of noisy circuits, with a certified bound on the error.

    It stands where `cirq.DensityMatrixSimulator` does: noise is exact up to the tolerance, not sampled. A measured
    circuit is simulated as Cirq's own simulators do it: `simulate` draws an outcome and gives the state after it.
    """

    def __init__(
        self,
        *,
        dtype: type[np.complexfloating] = np.complex64,
        noise: cirq.NOISE_MODEL_LIKE = None,
        seed: cirq.RANDOM_STATE_OR_SEED_LIKE = None,
        tolerance: float = 5e-3,
        engine: Engine = low_rank,
        sampling: SamplingEngine | None = None,
        memory: int | None = None,
        context: RunContext | None = None,
    ) -> None:
        """A simulator.

        Args:
            dtype: complex64 or complex128: of the results and of the computation.
            noise: Applied to every circuit.
            seed: Makes samples and outcomes reproducible.
            tolerance: The largest trace distance to the exact state that is accepted, 0 < tolerance <= 1.
            engine: What runs the circuits.
            sampling: What runs those that are only sampled; by default ``engine``.
            memory: Bytes it may take; by default three quarters of what the machine has free.
            context: Threads, deadline, cancellation, progress.

        Raises:
            ValueError: Another dtype, or a noise or a seed that Cirq does not take.
        """
        if dtype not in _PRECISIONS:
            raise UsageError(f"dtype must be complex64 or complex128, was {dtype}")
        self._dtype = dtype
        self._noise = cirq.NoiseModel.from_noise_model_like(noise)
        self._prng = cirq.value.parse_random_state(seed)
        self._tolerance = tolerance
        self._engine = engine
        self._sampling = sampling
        self._memory = memory
        self._context = context

    @property
    def noise(self) -> cirq.NoiseModel:
        """The noise applied to every circuit."""
        return self._noise

    def _translate(
        self,
        program: cirq.AbstractCircuit,
        resolver: cirq.ParamResolverOrSimilarType,
        qubit_order: cirq.QubitOrderOrList = cirq.QubitOrder.DEFAULT,
        measuring: Measuring = "records",
    ) -> Translation:
        resolved = cirq.resolve_parameters(program, cirq.ParamResolver(resolver))
        if names := sorted(cirq.parameter_names(resolved)):
            raise UsageError(f"the circuit has symbols without a value: {', '.join(names)}", hint="give a resolver")
        return translate(resolved, qubit_order=qubit_order, noise=self._noise, measuring=measuring)

    def _state(self, circuit: Circuit) -> State:
        return self._engine(circuit, **self._options())

    def _options(self) -> dict[str, Any]:
        return {
            "tolerance": self._tolerance,
            "precision": _PRECISIONS[self._dtype],
            "memory": self._memory,
            "context": self._context,
        }

    def _seed(self) -> int:
        return int(self._prng.randint(2**31))

    def _run(
        self, circuit: cirq.AbstractCircuit, param_resolver: cirq.ParamResolver, repetitions: int
    ) -> dict[str, npt.NDArray[Any]]:
        translation = self._translate(circuit, param_resolver)
        part = measured_part(translation.circuit)
        state: Samples = (
            self._sampling(part, shots=repetitions, **self._options()) if self._sampling else self._state(part)
        )
        return self._told(state.samples(repetitions, self._seed()), translation.records)

    def _told(
        self, bits: npt.NDArray[np.uint8], records: Mapping[str, Sequence[Record]]
    ) -> dict[str, npt.NDArray[np.uint8]]:
        """By key the measured bits, uint8, shape (repetitions, measurements under the key, qubits)."""
        return {key: np.stack([self._told_of(bits, each) for each in under], axis=1) for key, under in records.items()}

    def _told_of(self, bits: npt.NDArray[np.uint8], record: Record) -> npt.NDArray[np.uint8]:
        out = held = bits[:, record.clbits]
        for positions, matrix in record.confusion:
            out = out.copy()
            weights = [1 << (len(positions) - 1 - i) for i in range(len(positions))]
            cumulative = np.cumsum(matrix, axis=1)[held[:, positions] @ weights]
            drawn = (self._prng.random_sample(len(held))[:, None] * cumulative[:, -1:] >= cumulative).sum(axis=1)
            for position, weight in zip(positions, weights, strict=True):
                out[:, position] = (drawn // weight) & 1
        return out ^ np.array(record.inverted, dtype=np.uint8)

    def simulate_sweep_iter(
        self,
        program: cirq.AbstractCircuit,
        params: cirq.Sweepable,
        qubit_order: cirq.QubitOrderOrList = cirq.QubitOrder.DEFAULT,
        initial_state: Any = None,
    ) -> Iterator[LowRankTrialResult]:
        """The final state for each set of parameters; where there are measurements, after an outcome drawn for them.

        Args:
            program: The circuit.
            params: Values for its symbols.
            qubit_order: Of the state's index, the first qubit most significant.
            initial_state: A basis state's number, a state vector or a product state; by default all zeros.

        Yields:
            Results with ``measurements``, ``final_density_matrix``, ``density_matrix_of`` and ``error_bound``.

        Raises:
            UnsupportedError: An operation or the initial state cannot be simulated.
        """
        for resolver in cirq.to_resolvers(params):
            translation = self._translate(program, resolver, qubit_order)
            state = self._state(prepared(translation.circuit, initial_state))
            final = LowRankFinalState(state, translation.qubits, {}, state.bound, self._dtype)
            measurements: dict[str, npt.NDArray[np.uint8]] = {}
            if translation.records:
                bits = state.samples(1, self._seed())
                measurements = {key: told[0, -1] for key, told in self._told(bits, translation.records).items()}
                final = _given(final, bits[0].tolist())
            yield LowRankTrialResult(resolver, measurements, final)

    def simulate_expectation_values_sweep_iter(
        self,
        program: cirq.AbstractCircuit,
        observables: cirq.PauliSumLike | list[cirq.PauliSumLike],
        params: cirq.Sweepable,
        qubit_order: cirq.QubitOrderOrList = cirq.QubitOrder.DEFAULT,
        initial_state: Any = None,
        permit_terminal_measurements: bool = False,
    ) -> Iterator[list[float]]:
        """Expectation values for each set of parameters; averages over the outcomes where there are measurements.

        Args:
            program: The circuit.
            observables: One or several Pauli sums.
            params: Values for the symbols.
            qubit_order: As for `simulate`.
            initial_state: Likewise.
            permit_terminal_measurements: Whether the circuit may end with measurements.

        Yields:
            One number for each observable, complex where a coefficient is. A Pauli string of coefficient c adds at
            most twice |c| times the bound on the state's error.

        Raises:
            ValueError: It ends with measurements, and that is not permitted.
            UsageError: An observable acts on a qubit that the circuit has not.
        """
        if not permit_terminal_measurements and program.are_any_measurements_terminal():
            raise UsageError(
                "the circuit ends with measurements, which may skew expectation values",
                hint="permit_terminal_measurements=True takes the average over their outcomes",
            )
        listed = observables if isinstance(observables, list) else [observables]
        sums = [cirq.PauliSum.wrap(each) for each in listed]
        for resolver in cirq.to_resolvers(params):
            translation = self._translate(program, resolver, qubit_order, "dephasing")
            places = {qubit: i for i, qubit in enumerate(translation.qubits)}
            state = self._state(prepared(translation.circuit, initial_state))
            yield [_expectation(state, each, places) for each in sums]


def _expectation(state: State, observable: cirq.PauliSum, places: Mapping[cirq.Qid, int]) -> float:
    """The expectation value of a Pauli sum on qubits that have these places."""
    total: Any = 0.0  # complex where a coefficient is, which Cirq's annotation leaves out
    for string in observable:
        letters = ["I"] * len(places)
        for qubit, pauli in string.items():
            if qubit not in places:
                raise UsageError(f"the observable acts on {qubit!r}, which the circuit has not")
            letters[-1 - places[qubit]] = str(pauli)
        coefficient = complex(string.coefficient)
        value = state.expectation(PauliSum(((1.0, "".join(letters)),))).value  # the highest qubit's letter comes first
        total += (coefficient.real if coefficient.imag == 0 else coefficient) * value
    return total  # type: ignore[no-any-return]


def _given(final: LowRankFinalState, bits: list[int]) -> LowRankFinalState:
    """The state after measurements with these outcomes.

    A projection that leaves the weight q of a state within the trace distance b of the exact one leaves, normalised, a
    state within 2 b / q.
    """
    state: Any = final.state
    measured = dict(state.circuit.final_measurements)
    ends = set(measured.values())
    middle = tuple(0 if i in ends else bit for i, bit in enumerate(bits))
    weight = 1.0
    if len(state.branches) > 1:
        traces = {key: factor.trace() for key, factor in state.branches.items()}
        weight = traces[middle] / sum(traces.values())
        state = replace(state, branches={middle: state.branches[middle]})
    outcomes = {qubit: bits[clbit] for qubit, clbit in measured.items()}
    if outcomes:
        chances = state.probabilities()
        index = np.arange(len(chances))
        weight *= float(chances[np.all([(index >> q & 1) == bit for q, bit in outcomes.items()], axis=0)].sum())
    return replace(final, state=state, outcomes=outcomes, error_bound=min(1.0, 2.0 * final.error_bound / weight))
