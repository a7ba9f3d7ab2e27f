"""Running a circuit on two engines and testing whether they say the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import CancelToken, Precision, Want
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import Progress, RunOptions
from proxima.contracts.operations import Op
from proxima.contracts.result import RunResult
from proxima.errors import RunError, UnavailableError, UsageError
from proxima_execution.fidelity import nearness
from proxima_execution.homogeneity import two_sample_test
from proxima_execution.judging import Offer, Refusal
from proxima_execution.preparation import derived_seed, prepare

if TYPE_CHECKING:
    from proxima_execution.service import LocalExecution

By = Literal["auto", "state", "counts"]
Verdict = Literal["agree", "disagree", "incomplete"]

FALSE_ALARM = 1e-6
MAX_QUBITS: dict[Want, int] = {"statevector": 22, "density_matrix": 10}
"""Beyond that states are too large to be held against each other quickly; counts are compared."""

_PRECISIONS: tuple[Precision, ...] = ("double", "single")
_DISTANCE = {"single": 1e-4, "double": 1e-8}
"""The trace distance that rounding may come to, in ten thousand gates and more."""
_NORM = {"single": 1e-4, "double": 1e-9}
_SAME_METHOD = 3.0  # a pair that shares its method must be so many times cheaper to be preferred


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison.

    Attributes:
        name: ``state fidelity`` or ``counts``.
        statistic: The fidelity of the two states, or the G statistic of the two sets of counts.
        p_value: ``None`` for states, which are not drawn at random.
        distance: The trace distance of the states; ``None`` for counts.
        allowed: The largest trace distance, or the least p-value, that counts as agreement.
    """

    name: str
    statistic: float
    p_value: float | None
    distance: float | None
    allowed: float
    agrees: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of it.

    Attributes:
        backends: The two that ran, or were to run; fewer where there are not two.
        verdict: ``incomplete`` where nothing could be tested.
    """

    verdict: Verdict
    reason: str
    backends: tuple[str, ...] = ()
    tests: tuple[Finding, ...] = ()
    methods: tuple[str, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)


def verify(
    execution: LocalExecution,
    circuit: Circuit,
    options: RunOptions,
    *,
    backends: Sequence[str] = (),
    by: By = "auto",
    alpha: float = FALSE_ALARM,
    cancel: CancelToken | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Runs the circuit on two backends and tests whether they agree.

    States are compared where both give them and the circuit has one, counts where the circuit measures anything or no
    state is to be had. Each backend samples with a seed of its own.

    Args:
        execution: What runs the circuit.
        circuit: With or without measurements.
        options: Of the runs; their wants and backend are not looked at.
        backends: Two names; where empty, the two that share least: no engine, not the plugin, not the method.
        by: What to compare.
        alpha: The p-value below which counts disagree.
        cancel: Stops the runs.
        progress: Told how far they are.

    Raises:
        UsageError: Not two different backends are named, or an option is wrong.
        NotFoundError: No backend has one of the names.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha: expected a number between 0 and 1, got {alpha!r}")
    if backends and (len(backends) != 2 or len(set(backends)) != 2):
        raise UsageError(f"verify takes two different backends, got {', '.join(backends)}")
    execution.check_names(backends)
    tests: list[Finding] = []
    errors: dict[str, str] = {}
    pair: tuple[Offer, Offer] | None = None
    if by != "counts" and (want := state_of(circuit, options)) is not None:
        pair, errors = _pair(execution, circuit, replace(options, wants=(want,)), backends)
        if pair is not None:
            wanted = replace(options, wants=(want,), precision=pair[0].adapted.request.precision)
            results, errors = _run(execution, circuit, wanted, pair, cancel, progress)
            if len(results) == 2:
                tests.append(_compare_states(results[0], results[1], want))
    measures = bool((circuit.columns.ops == Op.MEASURE).any())
    if by == "counts" or (by == "auto" and (measures or not tests)):
        names = tuple(offer.candidate.backend for offer in pair) if tests and pair else tuple(backends)
        wanted = replace(options, wants=("counts",))
        counted, refused = _pair(execution, circuit, wanted, names)
        errors = errors if tests else refused
        if counted is not None:
            results, errors = _run(execution, circuit, wanted, counted, cancel, progress)
            pair = counted
            if len(results) == 2 and (test := _compare_counts(results[0], results[1], alpha)) is not None:
                tests.append(test)
    used = () if pair is None else tuple(offer.candidate.backend for offer in pair)
    methods = () if pair is None else tuple(offer.price.estimate.method for offer in pair)
    if not tests:
        return Verification("incomplete", _why(by, circuit, options, pair, errors), used, (), methods, errors)
    faults = [test.detail for test in tests if not test.agrees]
    verdict: Verdict = "disagree" if faults else "agree"
    return Verification(verdict, "; ".join(faults or [t.detail for t in tests]), used, tuple(tests), methods, errors)


def state_of(circuit: Circuit, options: RunOptions) -> Want | None:
    """Which state the circuit ends in before its final measurements; ``None`` where that depends on outcomes."""
    if circuit.is_dynamic:
        return None
    want: Want = "density_matrix" if circuit.has_noise or options.noise is not None else "statevector"
    return want if circuit.num_qubits <= MAX_QUBITS[want] else None


def _pair(
    execution: LocalExecution, circuit: Circuit, options: RunOptions, names: Sequence[str]
) -> tuple[tuple[Offer, Offer] | None, dict[str, str]]:
    """Two backends that can run the circuit so, in double precision where there are two; why others cannot."""
    precisions = (options.precision,) if options.precision or options.wants == ("counts",) else _PRECISIONS
    refusals: Sequence[Refusal] = ()
    for precision in precisions:
        explanation = execution.explain(circuit, replace(options, precision=precision))
        refusals = explanation.refusals
        offers = [offer for offer in explanation.offers if not names or offer.candidate.backend in names]
        if len(offers) >= 2:
            return min(combinations(offers, 2), key=_likeness), {}
    told = {refusal.candidate.backend: refusal.candidate.reason for refusal in refusals}
    return None, {name: why for name, why in told.items() if not names or name in names}


def _likeness(pair: tuple[Offer, Offer]) -> tuple[bool, bool, float]:
    """How much two backends share; the least is the best pair."""
    a, b = pair
    engines = [set(json.loads(offer.price.kind.versions)) - {"numpy"} for offer in pair]
    cost = a.price.seconds + b.price.seconds
    same_method = a.price.estimate.method == b.price.estimate.method
    same_plugin = a.contribution.plugin == b.contribution.plugin
    return bool(engines[0] & engines[1]), same_plugin, cost * (_SAME_METHOD if same_method else 1.0)


def _run(
    execution: LocalExecution,
    circuit: Circuit,
    options: RunOptions,
    pair: tuple[Offer, Offer],
    cancel: CancelToken | None,
    progress: Progress | None,
) -> tuple[list[RunResult], dict[str, str]]:
    base = prepare(circuit, options)[0].seed
    results: list[RunResult] = []
    errors: dict[str, str] = {}
    for number, offer in enumerate(pair):
        name = offer.candidate.backend
        if progress is not None:
            progress(number / 2, f"{options.wants[0].replace('_', ' ')} on {name}")
        mine = replace(options, backend=name, seed=derived_seed(f"{base} {number}"))
        try:
            results.append(execution.run(circuit, mine, cancel=cancel))
        except (UnavailableError, RunError) as error:
            errors[name] = str(error)
    return results, errors


def _compare_states(a: RunResult, b: RunResult, want: Want) -> Finding:
    x, y = getattr(a, want), getattr(b, want)
    precision = "single" if "single" in (a.precision, b.precision) else "double"
    bounds = [result.error_bound.value for result in (a, b) if result.error_bound.kind == "trace_distance"]
    allowed = min(sum(bounds) + _DISTANCE[precision], 1.0)
    words = "statevectors" if want == "statevector" else "density matrices"
    if x is None or y is None or x.shape != y.shape:
        shapes = " and ".join(str(None if each is None else each.shape) for each in (x, y))
        return Finding("state fidelity", 0.0, None, 1.0, allowed, False, f"the {words} have the shapes {shapes}")
    off = max(abs(_weight(state) - 1.0) for state in (x, y))
    if not off <= _NORM[precision]:
        told = f"the norm of one of the {words} is off by {off:.1e}"
        return Finding("state fidelity", 0.0, None, 1.0, allowed, False, told)
    fidelity, distance = nearness(x, y)
    agrees = distance <= allowed
    told = f"the {words} of {a.backend} and {b.backend} have the fidelity {fidelity:.12g} and the trace distance "
    told += f"{distance:.1e}" if agrees else f"{distance:.1e}, more than {allowed:.1e}"
    return Finding("state fidelity", fidelity, None, distance, allowed, agrees, told)


def _weight(state: npt.NDArray[Any]) -> float:
    return float((np.vdot(state, state) if state.ndim == 1 else np.trace(state)).real)


def _compare_counts(a: RunResult, b: RunResult, alpha: float) -> Finding | None:
    if a.counts is None or b.counts is None:
        return None
    test = two_sample_test(a.counts, b.counts)
    if test is None:
        return None
    agrees = test.p_value >= alpha
    if not test.degrees:
        told = f"{a.backend} and {b.backend} gave one outcome alone, the same"
        return Finding("counts", test.statistic, test.p_value, None, alpha, agrees, told)
    many = f", the worst of {test.tests} windows of bits" if test.tests > 1 else ""
    degrees = f"{test.degrees} degree{'s'[: test.degrees != 1]} of freedom"
    detail = (
        f"counts of {a.backend} and {b.backend}: G = {test.statistic:.3f} on {degrees}{many}, "
        f"p = {test.p_value:.3g}{'' if agrees else f', less than {alpha:.3g}'}"
    )
    return Finding("counts", test.statistic, test.p_value, None, alpha, agrees, detail)


def _why(
    by: By, circuit: Circuit, options: RunOptions, pair: tuple[Offer, Offer] | None, errors: dict[str, str]
) -> str:
    """Why nothing was tested."""
    told = "; ".join(f"{name}: {error}" for name, error in errors.items())
    if by == "state" and state_of(circuit, options) is None:
        return "the circuit's state depends on outcomes, or is too large to compare; compare counts"
    if pair is None:
        return "fewer than two backends can run the circuit" + (f" ({told})" if told else "")
    return told or "there are too few shots to compare"
