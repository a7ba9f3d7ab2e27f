"""Checks of sampling: seeds, shots, counts, samples."""

from __future__ import annotations

import random as stdlib_random

import numpy as np
import pytest

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import GATES
from proxima.contracts.result import counts_from_samples
from proxima.errors import UsageError
from proxima_sdk.circuits import ghz, random
from proxima_sdk.conformance.base import BackendChecks
from proxima_sdk.conformance.diagnosis import SEED_IGNORED, report, top


class SamplingChecks(BackendChecks):
    """Counts and samples, against exact distributions and each other."""

    def _spread(self) -> Circuit:
        """Four qubits in uniform superposition: two seeds agree in all counts with a probability below 1e-20."""
        builder = Circuit.builder(4)
        for qubit in range(4):
            builder.h(qubit)
        return builder.measure_all().build()

    def test_same_seed_gives_same_counts(self) -> None:
        """Whatever the state of the global random number generators."""
        self.require_seeds()
        circuit = self._spread()
        runs = []
        for state in (1, 2):
            np.random.seed(state)
            stdlib_random.seed(state)
            runs.append(self.counts(circuit, seed=123))
        if runs[0] != runs[1]:
            report(
                "two runs with seed 123 give different counts",
                expected=top(runs[0]),
                got=top(runs[1]),
                convention="the same seed and versions give the same counts, whatever the global random state",
                causes=[f"{SEED_IGNORED}: samples are drawn from a global or unseeded generator"],
            )

    def test_different_seeds_give_different_counts(self) -> None:
        """Three seeds, among them neighbours and a large one."""
        circuit = self._spread()
        runs = {seed: self.counts(circuit, seed=seed) for seed in (0, 1, 2**62 + 1)}
        for a, b in ((0, 1), (0, 2**62 + 1), (1, 2**62 + 1)):
            if runs[a] == runs[b]:
                report(
                    f"seeds {a} and {b} give the same counts",
                    expected="different samples for different seeds (0 <= seed < 2^63)",
                    got=top(runs[a]),
                    causes=[f"{SEED_IGNORED}: it does not reach the engine, or is cut to too few bits"],
                )

    @pytest.mark.parametrize("shots", [1, 7, 1000])
    def test_shots_are_honoured(self, shots: int) -> None:
        """The counts sum to the number of shots asked for."""
        self.require_want("counts")
        result = self.execute(self.request(ghz(3), "counts", shots=shots))
        total = sum((result.counts or {}).values())
        if total != shots or result.shots != shots:
            report(
                f"{shots} shots were asked for",
                expected=f"counts that sum to {shots}, and RunResult.shots == {shots}",
                got=f"counts that sum to {total}, and RunResult.shots == {result.shots}",
                causes=["shots off by one" if abs(total - shots) == 1 else "shots are not passed on to the engine"],
            )

    def test_counts_follow_the_exact_distribution(self) -> None:
        """GHZ, and random circuits over the declared vocabulary."""
        usable = [op for op in GATES if self.offered.supports(op)]
        self.check_counts(ghz(4), "GHZ state of 4 qubits")
        for seed in (1, 2):
            circuit = random(4, 8, seed=seed, operations=usable)
            self.check_counts(circuit, f"random circuit, seed {seed}", shots=20_000)

    def test_samples(self) -> None:
        """Shape (shots, num_clbits), uint8, column j is bit j, and the same shots as the counts of that run."""
        self.require_want("samples")
        wants = ("samples", "counts") if "counts" in self.offered.wants else ("samples",)
        circuit = Circuit.builder(3, 4).h(0).cx(0, 1).x(2).measure(0, 3).measure(1, 1).measure(2, 0).build()
        result = self.execute(self.request(circuit, *wants, shots=500))
        samples = result.samples
        if samples is None or samples.shape != (500, 4) or samples.dtype != np.uint8:
            got = None if samples is None else f"{samples.dtype} of shape {samples.shape}"
            report("500 samples of 4 classical bits", expected="uint8 of shape (500, 4)", got=got)
        if result.counts is not None and dict(result.counts) != counts_from_samples(samples):
            report("counts and samples of one run", expected=top(counts_from_samples(samples)), got=top(result.counts))
        self.require_exact()
        right = (samples[:, 0] == 1).all() and (samples[:, 2] == 0).all() and (samples[:, 1] == samples[:, 3]).all()
        if not right:
            report(
                "columns of the samples",
                expected="column 0 all 1, column 2 (never written) all 0, columns 1 and 3 equal",
                got=f"first rows {samples[:4].tolist()}",
                convention="column j is classical bit j",
                causes=["columns in reverse order"] if (samples[:, 3] == 1).all() else [],
            )

    def test_counts_without_measurement_are_refused(self) -> None:
        """A circuit that measures nothing has no counts; `UsageError` says so."""
        self.require_available()
        self.require_want("counts")
        request = self.request(Circuit.builder(2).h(0).build(), "counts", shots=10)
        try:
            result = self.target.backend.run(self.target.backend.plan(request), self.context())
        except UsageError:
            return
        report("counts of a circuit without measurement", expected="UsageError", got=f"counts {result.counts}")
