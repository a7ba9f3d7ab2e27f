"""Backends for tests: `Exact` is a true simulator over the kernel's matrices, the others err in one way each."""

from __future__ import annotations

import sys
import time

import numpy as np

from proxima.contracts.backend import Estimate, Plan, Probe
from proxima.contracts.result import ErrorBound, Expectation, RunResult, counts_from_samples
from proxima.hookspecs import hookimpl
from proxima_sdk import reference


class Exact:
    name = "exact"

    def probe(self):
        return Probe("available", versions={"exact": "1.0"})

    def estimate(self, request, features):
        amplitudes = 4.0**features.num_qubits
        return Estimate(True, "", "density_matrix", int(16 * amplitudes), {"run": 1, "amplitude": amplitudes})

    def plan(self, request):
        return Plan(backend=self.name, request=request, method="density_matrix", native=0, timings={"translate": 1e-6})

    def bind(self, plan, request):
        return Plan(backend=self.name, request=request, method=plan.method, native=plan.native + 1)

    def run(self, plan, context):
        context.check()
        request = plan.request
        circuit, wants = request.circuit, request.wants
        start = time.perf_counter()
        found = {}
        if request.shots is not None:
            table = reference.distribution(circuit)
            outcomes = [[int(b) for b in reversed(bits)] for bits in table]
            rng = np.random.default_rng(request.seed)
            weights = np.array(list(table.values()))
            chosen = rng.choice(len(outcomes), size=request.shots, p=weights / weights.sum())
            samples = np.array(outcomes, dtype=np.uint8).reshape(len(outcomes), -1)[chosen]
            context.progress(0.5, "sampling")
            found["counts"] = counts_from_samples(samples) if "counts" in wants else None
            found["samples"] = samples if "samples" in wants else None
        if "statevector" in wants:
            found["statevector"] = reference.statevector(circuit)
        if "density_matrix" in wants:
            found["density_matrix"] = reference.density_matrix(circuit)
        if "probabilities" in wants:
            found["probabilities"] = reference.probabilities(circuit)
        if "expectation" in wants:
            pairs = [(o, reference.expectation(circuit, o)) for o in request.observables]
            found["expectations"] = tuple(Expectation(str(o), v, variance) for o, (v, variance) in pairs)
        return RunResult(
            backend=self.name,
            method=plan.method,
            precision="double",
            shots=request.shots,
            seed=request.seed,
            error_bound=ErrorBound("exact", 1e-15),
            timings={"execute": time.perf_counter() - start},
            versions={"exact": "1.0", "rebound": str(plan.native)},
            **found,
        )


class Unhurried(Exact):
    name = "unhurried"

    def probe(self):
        return Probe("available", "version 9 is not among the tested ones", "install version 8")

    def estimate(self, request, features):
        return Estimate(True, "", "density_matrix", 0, {"run": 40})


class Distant(Exact):
    """The quickest, but its engine takes long to import."""

    name = "distant"


class Flipped(Exact):
    """Prints the lowest classical bit first."""

    name = "flipped"

    def run(self, plan, context):
        result = super().run(plan, context)
        from dataclasses import replace

        counts = result.counts and {bits[::-1]: n for bits, n in result.counts.items()}
        state = result.statevector
        if state is not None:
            n = plan.request.circuit.num_qubits
            state = state.reshape([2] * n).transpose(range(n - 1, -1, -1)).ravel()
        return replace(result, counts=counts, statevector=state)


class Unflipped(Exact):
    """Knows few operations, and refuses others as an engine would."""

    name = "unflipped"

    def plan(self, request):
        if not {"h", "x", "cx", "measure", "barrier"} >= request.circuit.count_ops().keys():
            raise KeyError(f"unflipped was given {request.circuit.count_ops()}")
        return super().plan(request)


class Absent(Exact):
    name = "absent"

    def probe(self):
        return Probe("not_installed", "the engine is not installed", "pip install exact-engine")


class Raising(Exact):
    name = "raising"

    def probe(self):
        raise OSError("libexact.so: cannot open shared object file")


class Vast(Exact):
    """Needs 16 bytes for each amplitude."""

    name = "vast"

    def estimate(self, request, features):
        return Estimate(True, "", "statevector", 16 * 2**features.num_qubits, {"run": 1})


class Failing(Exact):
    """Raises what an engine's bug would."""

    name = "failing"

    def run(self, plan, context):
        raise ZeroDivisionError("division by zero in the engine")


class Endless(Exact):
    """Runs until it is stopped."""

    name = "endless"

    def run(self, plan, context):
        print("running", file=sys.stderr, flush=True)
        while True:
            context.check()
            time.sleep(0.01)


class Plugin:
    @hookimpl
    def proxima_backends(self):
        good = [Exact(), Unhurried(), Distant(), Unflipped()]
        return [*good, Flipped(), Absent(), Raising(), Vast(), Failing(), Endless()]


plugin = Plugin()
