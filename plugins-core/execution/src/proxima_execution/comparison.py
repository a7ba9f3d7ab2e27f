"""Whether several backends say the same of one circuit, and how sure that is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.execution import ComparedRun, Comparison
from proxima.contracts.result import RunResult

FALSE_ALARM = 1e-6
_TOLERANCE = {"single": 1e-5, "double": 1e-9}
_STATES = ("statevector", "density_matrix", "probabilities")


def distance_from_pool(counts: Mapping[str, int], pool: Mapping[str, int]) -> float:
    """Total variation distance between the relative frequencies of one run and of all runs together."""
    mine, total = sum(counts.values()), sum(pool.values())
    return 0.5 * sum(abs(counts.get(bits, 0) / mine - n / total) for bits, n in pool.items())


def noise_threshold(shots: int, pool: Mapping[str, int], false_alarm: float = FALSE_ALARM) -> float:
    """The distance from the pool that sampling noise alone exceeds with at most the given probability.

    If the backends sample one distribution, whatever it is, then given the pooled counts c_x of N shots a backend's own
    m shots are a random subset of them: the number that shows outcome x is hypergeometric. So, with u = N - m,

    - the distance's mean is at most (1/2) (u/N) sum_x sqrt(c_x (N - c_x) / (m u (N - 1))), by Jensen's inequality;
    - exchanging one shot inside the subset for one outside changes the distance by at most 1/m, so it exceeds its mean
      by t with probability at most exp(-2 t^2 m^2 (N - 1/2) / (m u) (1 - 1 / (2 max(m, u)))) (El-Yaniv and Pechyony,
      "Transductive Rademacher complexity and its applications", 2009, lemma 2).

    The bound holds for any number of shots and outcomes and needs no estimate of the distribution.
    """
    total = sum(pool.values())
    others = total - shots
    if others <= 0 or shots <= 0:
        return 1.0
    spread = sum(math.sqrt(c * (total - c)) for c in pool.values())
    mean = 0.5 * (others / total) * spread / math.sqrt(shots * others * (total - 1)) if total > 1 else 1.0
    steepness = 2 * shots * (total - 0.5) / others * (1 - 1 / (2 * max(shots, others)))
    return min(mean + math.sqrt(math.log(1 / false_alarm) / steepness), 1.0)


def judge_agreement(runs: Sequence[ComparedRun]) -> Comparison:
    """The comparison with each run's distance and threshold, and the verdict.

    Counts are compared by total variation distance from all runs' pooled counts. States are compared with those of the
    first run of the highest precision: statevectors after their global phases are aligned, by the largest difference
    of an element, within 1e-9 (1e-5 where either is in single precision); expectation values and derivatives within
    the same, plus six of their standard errors.
    """
    done = [(run.backend, run.result) for run in runs if run.result is not None]
    if len(done) < 2:
        told = "none of the backends" if not done else f"only {done[0][0]}"
        return Comparison(tuple(runs), "incomplete", f"{told} ran the circuit, so there is nothing to compare")
    faults: list[str] = []
    agreed: list[str] = []
    judged = _judge_counts(runs, faults, agreed)
    reference_name, reference = next((pair for pair in done if pair[1].precision == "double"), done[0])
    for name, result in done:
        if result is not reference:
            _judge_states(name, result, reference_name, reference, faults, agreed)
    if faults:
        return Comparison(judged, "disagree", "; ".join(faults))
    return Comparison(judged, "agree", "; ".join(agreed) or "the backends agree")


def _judge_counts(runs: Sequence[ComparedRun], faults: list[str], agreed: list[str]) -> tuple[ComparedRun, ...]:
    counted = {run.backend: run.result.counts for run in runs if run.result is not None and run.result.counts}
    if len(counted) < 2:
        return tuple(runs)
    pool: Counter[str] = Counter()
    for counts in counted.values():
        pool.update(counts)
    judged: list[ComparedRun] = []
    blind = True
    for run in runs:
        if run.backend not in counted:
            judged.append(run)
            continue
        shots = sum(counted[run.backend].values())
        distance, threshold = distance_from_pool(counted[run.backend], pool), noise_threshold(shots, pool)
        judged.append(replace(run, distance=distance, threshold=threshold))
        # A run that shares no outcome with the others is 1 - m/N away from the pool, and none is further.
        blind = blind and threshold >= 1 - shots / pool.total()
        if distance > threshold:
            faults.append(
                f"the counts of {run.backend} are {distance:.3f} from the pooled ones, more than sampling "
                f"explains ({threshold:.3f})"
            )
    if blind:
        agreed.append(
            f"the counts tell nothing: {pool.total()} shots over {len(pool)} outcomes are too few to show a difference"
        )
    else:
        agreed.append("every backend's counts are as near to the pooled ones as sampling allows")
    return tuple(judged)


def _judge_states(
    name: str, result: RunResult, other_name: str, other: RunResult, faults: list[str], agreed: list[str]
) -> None:
    tolerance = max(_TOLERANCE[result.precision], _TOLERANCE[other.precision])
    for kind in _STATES:
        mine, theirs = getattr(result, kind), getattr(other, kind)
        if mine is None or theirs is None:
            continue
        words = kind.replace("_", " ")
        if mine.shape != theirs.shape:
            faults.append(f"the {words} of {name} has shape {mine.shape}, that of {other_name} {theirs.shape}")
            continue
        difference, fidelity = _difference(kind, mine, theirs)
        told = f"the {words} of {name} differs from that of {other_name} by at most {difference:.1e}{fidelity}"
        if difference > tolerance:
            faults.append(f"{told}, more than {tolerance:.0e}")
        else:
            agreed.append(told)
    for mine_e, theirs_e in zip(result.expectations, other.expectations, strict=False):
        allowed = tolerance + 6 * math.hypot(mine_e.standard_error, theirs_e.standard_error)
        scale = max(1.0, abs(theirs_e.value))
        gap = abs(mine_e.value - theirs_e.value)
        told = f"<{mine_e.observable}> of {name} and {other_name} differ by {gap:.1e}"
        (faults if gap > allowed * scale else agreed).append(told)
    for mine_g, theirs_g in zip(result.gradients, other.gradients, strict=False):
        gaps = np.abs(mine_g.values - theirs_g.values)
        errors = [np.zeros_like(gaps) if g.standard_errors is None else g.standard_errors for g in (mine_g, theirs_g)]
        limits = (tolerance + 6 * np.hypot(*errors)) * np.maximum(1.0, np.abs(theirs_g.values))
        told = (
            f"the gradients of <{mine_g.observable}> of {name} and {other_name} differ by {gaps.max(initial=0.0):.1e}"
        )
        (faults if (gaps > limits).any() else agreed).append(told)


def _difference(kind: str, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> tuple[float, str]:
    """The largest difference of an element; for statevectors up to a global phase, and with the fidelity in words."""
    if kind != "statevector":
        return float(np.abs(a - b).max(initial=0.0)), ""
    x, y = a.astype(np.complex128), b.astype(np.complex128)
    overlap = np.vdot(x, y)
    norms = float(np.linalg.norm(x) * np.linalg.norm(y))
    phase = overlap / abs(overlap) if abs(overlap) > 0 else 1.0
    fidelity = float(abs(overlap)) ** 2 / norms**2 if norms else 0.0
    return float(np.abs(x * phase - y).max(initial=0.0)), f" (fidelity {min(fidelity, 1.0):.9f})"
