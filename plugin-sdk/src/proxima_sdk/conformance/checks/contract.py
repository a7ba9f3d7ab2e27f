"""Checks of the contract's edges: probe, estimate, refusals, an engine that is absent."""

from __future__ import annotations

import math
import os
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest

from proxima.contracts.backend import WANTS, RunRequest, Want
from proxima.contracts.circuit import Instruction
from proxima.contracts.features import features_of
from proxima.contracts.operations import CHANNELS, GATES, Op
from proxima.errors import ProximaError, UnsupportedError
from proxima_sdk import reference
from proxima_sdk.circuits import FAMILIES, Family, brickwork, from_instructions, ghz
from proxima_sdk.conformance.base import BackendChecks
from proxima_sdk.conformance.checks.gates import scrambled
from proxima_sdk.conformance.diagnosis import report, top
from proxima_sdk.conformance.fresh_process import Mode, ask
from proxima_sdk.conformance.kinds.circuits import example
from proxima_sdk.conformance.statistics import fit

_STATES = ("available", "not_installed", "libraries_missing", "no_device", "error")


class ContractChecks(BackendChecks):
    """What a backend says of itself, and what it refuses."""

    def test_probe(self) -> None:
        """A known state, with versions where it is available and a reason and a hint where it is not."""
        probe = self.target.backend.probe()
        if probe.state not in _STATES:
            report("probe().state", expected=f"one of {_STATES}", got=repr(probe.state))
        if probe.state == "available" and not probe.versions:
            report("probe().versions of an available backend", expected="the engine's versions", got=probe)
        if probe.state != "available" and not (probe.reason and probe.hint):
            report("probe() of an unavailable backend", expected="a reason and a hint", got=probe)

    @pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
    def test_estimate(self, family: Family) -> None:
        """Feasible for small circuits, with finite work, and a default rate for every unit of it."""
        for num_qubits in sorted({max(self.at_most(n), 2) for n in (4, 8, 12)}):
            request = self.request(family.make(num_qubits), "counts", shots=100)
            circuit = request.circuit
            found = self.target.backend.estimate(request, features_of(circuit))
            if not found.feasible:
                report(f"estimate of {circuit!r}", expected="feasible", got=f"not: {found.reason}")
            amounts = list(found.work.values())
            if not amounts or any(not math.isfinite(a) or a < 0 for a in amounts) or found.memory_bytes < 0:
                report(f"estimate of {circuit!r}", expected="finite work and memory, not negative", got=found)
            if self.offered.rates and not math.isfinite(found.seconds(self.offered.rates)):
                report(
                    f"rates for the estimate of {circuit!r}",
                    expected=f"a default rate for each of {sorted(found.work)} (capabilities.rates)",
                    got=sorted(self.offered.rates),
                )

    def test_memory_is_refused_before_it_is_taken(self) -> None:
        """The state of 40 qubits: infeasible, or more bytes than this machine has; told at once, without taking any."""
        states: Sequence[Want] = ("statevector", "probabilities", "density_matrix")
        want: Want = next((w for w in states if w in self.offered.wants), "counts")
        circuit = self.written(brickwork(40, 20), restricted=True)
        request = self.request(circuit, want, shots=10, raw=True)
        features = features_of(circuit)
        tracemalloc.start()
        start = time.perf_counter()
        found = self.target.backend.estimate(request, features)
        took = time.perf_counter() - start
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if found.feasible and found.memory_bytes <= installed:
            report(
                f"estimate of the {want} of 40 entangled qubits",
                expected=f"infeasible with a reason, or more than this machine's {installed} bytes",
                got=found,
                causes=["memory_bytes leaves out the result's own array"],
            )
        if not found.feasible and not found.reason:
            report(f"estimate of the {want} of 40 entangled qubits", expected="a reason", got=found)
        if took > 1.0 or peak > 64 * 2**20:
            report("the estimate itself", expected="below 1 s and 64 MiB", got=f"{took:.2f} s, {peak} bytes")

    def test_undeclared_operations_are_refused_by_name(self) -> None:
        """`UnsupportedError` whose message names the operation; the estimate says infeasible.

        A gate that a list of operations leaves out, and that is run rightly all the same, does no harm.
        """
        missing = [op for op in sorted(GATES | CHANNELS | {Op.RESET}) if not self.offered.supports(op)]
        if not missing:
            self.skip("declares every operation: there is none to refuse")
        usable = [op for op in GATES if self.offered.runs(op)]
        for op in missing:
            instruction = example(op)
            size = len(instruction.qubits)
            if size > self.at_most(size):
                continue
            around = list(self.written(from_instructions(size, 0, scrambled(size, 5, usable))))
            measured = [Instruction(Op.MEASURE, (qubit,), clbit=qubit) for qubit in range(size)]
            circuit = from_instructions(size, size, [*around, instruction, *around, *measured])
            request = self.request(circuit, "counts", shots=4000, raw=True)
            self._expect_refusal(request, op.name.lower(), harmless=op in GATES)

    def test_undeclared_wants_are_refused_by_name(self) -> None:
        """Likewise for wants."""
        missing: Sequence[Want] = [want for want in WANTS if want not in self.offered.wants]
        if not missing:
            self.skip("declares every want: there is none to refuse")
        for want in missing:
            self._expect_refusal(self.request(ghz(2), want, shots=10), want)

    def test_undeclared_precision_is_refused(self) -> None:
        """Double asked and not offered is an error, never silently single; single may become double."""
        if "double" in self.offered.precisions:
            self.skip("declares double precision: nothing to refuse")
        self._expect_refusal(self.request(ghz(2), "counts", shots=10, precision="double"), "double")

    def test_single_precision_may_become_double(self) -> None:
        """A backend without single precision runs such a request in double, and says so."""
        if "single" in self.offered.precisions:
            self.skip("declares single precision: it is used exactly")
        result = self.execute(self.request(ghz(2), "counts", shots=10, precision="single"))
        if result.precision != "double":
            report("single asked, double alone declared", expected="precision 'double'", got=result.precision)

    def test_unknown_method_is_refused(self) -> None:
        """A method that does not exist is an error that names it."""
        self.require_available()
        name = "no_such_method"
        request = self.request(ghz(2), "counts", shots=10, options={"method": name})
        try:
            self.target.backend.plan(request)
        except ProximaError as error:
            if name not in str(error):
                report("an unknown method", expected=f"an error that names {name!r}", got=f"{error!r}")
            return
        report("an unknown method", expected=f"UsageError or UnsupportedError that names {name!r}", got="a plan")

    def test_every_declared_method_works(self) -> None:
        """GHZ by each declared method, and by no other; ``automatic`` may be any."""
        if not self.offered.methods:
            self.skip("declares no methods (capabilities.methods)")
        for method in self.offered.methods:
            options = {**self.options, "method": method}
            self.require_want("counts")
            result = self.execute(self.request(ghz(4), "counts", options=options, shots=1000))
            if method not in (result.method, "automatic"):
                report(
                    f"GHZ state of 4 qubits by the method {method!r}",
                    expected=f"RunResult.method == {method!r}",
                    got=repr(result.method),
                    convention="a method that is asked for is used, or refused; it is never exchanged for another",
                )
            counts = result.counts or {}
            right = not set(counts) - {"0000", "1111"} and 400 < counts.get("0000", 0) < 600
            if not right and not self.offered.noisy_device:
                report(f"GHZ state of 4 qubits by the method {method!r}", expected="half 0000, half 1111", got=counts)

    def _expect_refusal(self, request: RunRequest, name: str, *, harmless: bool = False) -> None:
        """Holds a request to being refused by name or, where that would be harmless, to being run rightly."""
        self.require_available()
        backend = self.target.backend
        what = f"{request.circuit!r} ({', '.join(request.circuit.count_ops())}) with wants {request.wants}"
        try:
            counts = backend.run(backend.plan(request), self.context()).counts
        except UnsupportedError as error:
            if name not in f"{error}".lower():
                report(f"refusing {what}", expected=f"a message that names {name!r}", got=f"{error}")
        else:
            noisy = self.offered.noisy_device
            if harmless and counts and (noisy or fit(counts, reference.distribution(request.circuit)).accepted):
                return
            report(
                f"{what}: {name!r} is not declared",
                expected="UnsupportedError",
                got=f"counts that are not right: {top(counts)}" if harmless and counts else "a result",
                causes=[] if harmless else ["the manifest declares less than the backend does"],
            )
        found = backend.estimate(request, features_of(request.circuit))
        if found.feasible or not found.reason:
            report(f"estimate of {what}", expected=f"infeasible, because of {name!r}", got=found)

    def _in_fresh_process(self, mode: Mode) -> dict[str, Any]:
        engine = (self.engine_module,) if isinstance(self.engine_module, str) else tuple(self.engine_module)
        if not engine:
            self.skip("has no engine_module: nothing to hide")
        if not self.target.reference:
            self.skip("cannot be made anew in a fresh process: it is in a worker, or made by a local function")
        answer = ask(self.target.reference, engine, mode, self.request(ghz(2)).circuit)
        if "crash" in answer:
            report(f"the backend in a fresh process, its engine {mode}", expected="answers", got=answer["crash"])
        return answer

    def test_probe_and_estimate_import_no_engine(self) -> None:
        """Neither they nor importing the plugin."""
        answer = self._in_fresh_process("present")
        if answer["engine_loaded"]:
            report(
                "the plugin imported, probed and asked for an estimate in a fresh process",
                expected="no engine in sys.modules",
                got=f"{answer['engine_loaded'][:5]} imported",
                causes=["a module-level import of the engine; use importlib.util.find_spec and importlib.metadata"],
            )

    def test_engine_absent(self) -> None:
        """Not installed: probe says so with a hint, estimate answers, plan raises `BackendUnavailableError`."""
        answer = self._in_fresh_process("absent")
        probe = answer["probe"]
        if probe.get("state") not in ("not_installed", "libraries_missing", "error") or not probe.get("hint"):
            report("probe() without the engine", expected="state not_installed with a hint", got=probe)
        self._expect_unavailable(answer, "absent")

    def test_engine_broken(self) -> None:
        """Installed, but its import fails: plan raises `BackendUnavailableError` with the cause."""
        answer = self._in_fresh_process("broken")
        if "error" in answer["probe"]:
            report("probe() with an engine whose import fails", expected="a Probe", got=answer["probe"])
        self._expect_unavailable(answer, "broken")

    def _expect_unavailable(self, answer: dict[str, Any], mode: Mode) -> None:
        if "error" in answer["estimate"]:
            report(f"estimate() with the engine {mode}", expected="an Estimate", got=answer["estimate"])
        plan = answer["plan"]
        if "BackendUnavailableError" not in plan.get("kinds", ()):
            report(
                f"plan() with the engine {mode}",
                expected="BackendUnavailableError",
                got=plan or "a plan",
                causes=["the engine's ImportError is not caught where it is imported"] if plan else [],
            )
        if not plan["hint"] and not plan["cause"]:
            report(f"plan() with the engine {mode}", expected="an error with a hint or a cause", got=plan)
