"""`LocalExecution`: runs circuits in this process, on the backend that suits each."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from proxima.contracts.backend import CancelToken, Plan, Probe, RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import ComparedRun, Comparison, Progress, RunOptions
from proxima.contracts.records import ResultStore, RunRecord, new_run_id
from proxima.contracts.result import CircuitInfo, RunResult, Selection
from proxima.errors import (
    CancelledError,
    PermissionDeniedError,
    ProximaError,
    ResourceError,
    RunError,
    StorageError,
    UnavailableError,
    UsageError,
)
from proxima.events import ProgressUpdate, RunCompleted, RunStarted, StageChanged
from proxima.plugins.manifest import Contribution
from proxima_execution.adaptation import Adaptations
from proxima_execution.calibration import Calibration
from proxima_execution.comparison import judge_agreement
from proxima_execution.explanation import Explanation
from proxima_execution.host import describe_host, peak_rss_bytes, processor_count
from proxima_execution.judging import Judge, Offer
from proxima_execution.loading import load_circuit
from proxima_execution.observations import Observations
from proxima_execution.preparation import derived_seed, prepare
from proxima_execution.recording import recorded
from proxima_execution.selection import Selector

if TYPE_CHECKING:
    from proxima.kernel import Kernel

PLUGIN = "execution"


class LocalExecution:
    """Runs circuits in the calling thread; may be used from several threads.

    Args:
        kernel: Whose backends, formats, permissions, events and result store are used.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.calibration = Calibration(os.path.join(kernel.paths.state, "calibration.json"), kernel.warn)
        self.observations = Observations(os.path.join(kernel.paths.state, "observations.sqlite"), kernel.warn)
        self._judge = Judge(kernel, self.calibration, self.observations)
        self._selector = Selector(kernel, self._judge)
        self._host = describe_host()

    def load(self, source: str, *, data: bytes | None = None) -> Circuit:
        """Reads a circuit file with the format plugin that recognises it; ``-`` reads standard input.

        Raises:
            UsageError: There is no such file, or no format recognises it.
            CircuitSyntaxError: It is damaged.
        """
        most = self._kernel.settings.get("plugins.execution.max_circuit_bytes")
        assert isinstance(most, int)  # the manifest's config_schema says so
        return load_circuit(self._kernel, source, data, most)

    def run(
        self,
        circuit: Circuit,
        options: RunOptions,
        *,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        """Selects a backend, runs the circuit and stores the result.

        A result that cannot be stored is returned all the same, with an empty ``id`` and a note that says why.

        Raises:
            UsageError: The options do not fit the circuit.
            UnavailableError: No installed backend can run it; the message says why for each.
            PermissionDeniedError: The chosen backend's plugin may not run circuits.
            RunError, CancelledError: The run failed or was stopped; nothing was stored.
        """
        start = time.perf_counter()
        run = _Run(self, circuit, options, cancel, progress)
        with run.announced(options.backend):
            request, notes = prepare(circuit, options)
            chosen, selection = self._permitted(run, options.backend, request)
            selected = time.perf_counter() - start
            plan = self._plan(run, chosen)
            return self._finish(run, chosen, selection, plan, (*notes, *chosen.adapted.notes), start, selected)

    def run_sweep(
        self,
        circuit: Circuit,
        bindings: Sequence[Mapping[str, float]],
        options: RunOptions,
        *,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> list[RunResult]:
        """Runs a circuit once for each set of parameter values, on one backend, re-using its compiled circuit.

        Each point's seed follows from the sweep's seed and the point's own values, so that neither the order nor the
        other points change a result.
        """
        results: list[RunResult] = []
        plan: Plan | None = None
        chosen: Offer | None = None
        selection = Selection("", "")
        base = prepare(circuit, replace(options, parameters=bindings[0]))[0].seed if bindings else 0
        seen: dict[str, int] = {}
        for number, binding in enumerate(bindings):
            start = time.perf_counter()
            key = repr(sorted((name, float(value)) for name, value in binding.items()))
            seen[key] = seen.get(key, 0) + 1  # a point that occurs twice is sampled twice
            point = replace(options, parameters=binding, seed=derived_seed(f"{base} {key} {seen[key]}"))
            run = _Run(self, circuit, point, cancel, progress)
            with run.announced(options.backend):
                run.report(number / len(bindings), f"point {number + 1} of {len(bindings)}")
                request, notes = prepare(circuit, point)
                if plan is None or chosen is None:
                    chosen, selection = self._permitted(run, options.backend, request)
                    selected = time.perf_counter() - start
                    plan, adapted = self._plan(run, chosen), chosen.adapted
                else:
                    selected = time.perf_counter() - start
                    capabilities = chosen.contribution.data.get("capabilities") or {}
                    adapted = Adaptations(request, optimize=options.optimize).for_backend(capabilities)
                    with _blamed(chosen.contribution):
                        # Which gates cancel depends on the angles, so an optimised plan has none to bind.
                        new = chosen.backend.plan if options.optimize else partial(chosen.backend.bind, plan)
                        plan = new(adapted.request)
                notes = (*notes, *adapted.notes)
                results.append(self._finish(run, chosen, selection, plan, notes, start, selected))
        return results

    def compare(
        self,
        circuit: Circuit,
        backends: Sequence[str],
        options: RunOptions,
        *,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> Comparison:
        """Runs the circuit on each of the backends (on every one that can, where none is named).

        Each backend gets a seed of its own, drawn from the given one: the test that compares their counts needs
        independent samples.

        Raises:
            NotFoundError: No backend has one of the names.
        """
        installed = [c.name for c in self._kernel.contributions("backends")]
        asked = [backends] if isinstance(backends, str) else backends  # a str is a sequence of str, too
        names = list(dict.fromkeys(asked or installed))
        self.check_names(names)
        base = prepare(circuit, options)[0].seed
        runs: list[ComparedRun] = []
        for number, name in enumerate(names):
            if progress is not None:
                progress(number / len(names), f"running on {name}")
            mine = replace(options, backend=name, seed=derived_seed(f"{base} {number}"))
            try:
                runs.append(ComparedRun(name, self.run(circuit, mine, cancel=cancel)))
            except (UnavailableError, RunError) as error:
                runs.append(ComparedRun(name, None, str(error)))
        return judge_agreement(runs)

    def check_names(self, names: Sequence[str]) -> None:
        """Raises `NotFoundError`, with the nearest names, where no installed backend has one of them."""
        installed = {c.name for c in self._kernel.contributions("backends")}
        for name in names:
            if name not in installed:
                self._kernel.get("backends", name)

    def explain(self, circuit: Circuit, options: RunOptions) -> Explanation:
        """What every backend says to running a circuit, and which `run` would take in a process like this one.

        Raises:
            UsageError: The options do not fit the circuit.
        """
        request, notes = prepare(circuit, options)
        asked = Adaptations(request, optimize=options.optimize)
        offers, refusals = self._selector.candidates(asked, fit=True)
        return Explanation(request, notes, tuple(offers), tuple(refusals))

    def probes(self) -> list[tuple[Contribution, Probe]]:
        """Every contributed backend with its state."""
        found: list[tuple[Contribution, Probe]] = []
        for contribution in self._kernel.contributions("backends"):
            try:
                probe = self._judge.probe(self._kernel.get("backends", contribution.name))
            except UnavailableError as error:
                probe = Probe("error", str(error), error.hint or "")
            found.append((contribution, probe))
        return found

    def _permitted(self, run: _Run, name: str, request: RunRequest) -> tuple[Offer, Selection]:
        """The choice among those that may run circuits; one that is denied it now is not chosen again."""
        asked = Adaptations(request, optimize=run.options.optimize)
        while True:
            run.enter("select")
            chosen, selection = self._selector.choose(name, asked)
            plugin = chosen.contribution.plugin
            try:
                self._kernel.permissions.use(plugin, "execute_circuits", target=run.circuit.name or None, run_id=run.id)
            except PermissionDeniedError:
                if name != "auto":
                    raise
                continue
            return chosen, selection

    def _plan(self, run: _Run, chosen: Offer) -> Plan:
        contribution = chosen.contribution
        run.context.check()
        run.enter("translate")
        if chosen.price.import_seconds >= 1.0:
            run.report(None, f"importing the engine of {contribution.name}")
        run.planned = time.perf_counter()
        with _blamed(contribution):
            plan = chosen.backend.plan(chosen.adapted.request)
        self._judge.mark_used(contribution.name)
        return plan

    def _finish(
        self,
        run: _Run,
        chosen: Offer,
        selection: Selection,
        plan: Plan,
        notes: tuple[str, ...],
        start: float,
        selected: float,
    ) -> RunResult:
        run.context.check()
        run.enter("execute")
        with _blamed(chosen.contribution):
            result = chosen.backend.run(plan, run.context)
        if run.planned is not None and run.context.threads == processor_count():  # what calibrations are made with
            took = time.perf_counter() - run.planned - plan.timings.get("import", 0.0)
            self.observations.add(chosen.price.kind, chosen.price.estimate.work, took)
        timings = {**plan.timings, **result.timings, "select": selected, "total": time.perf_counter() - start}
        circuit = run.circuit
        result = recorded(result, plan.request, run.options, circuit.num_qubits)
        result = replace(
            result,
            timings=timings,
            peak_rss_bytes=peak_rss_bytes(),
            notes=(*notes, *result.notes),
            circuit=CircuitInfo(
                circuit.name,
                circuit.num_qubits,
                circuit.num_clbits,
                len(circuit),
                circuit.depth,
                circuit.content_hash,
            ),
            selection=selection,
        )
        if run.options.store:
            result = self._store(run, chosen.contribution, result)
        self._kernel.tell("proxima_run_finished", result=result)
        return result

    def _store(self, run: _Run, contribution: Contribution, result: RunResult) -> RunResult:
        store = self._kernel.services.get(ResultStore)
        if store is None:
            why = self._kernel.services.why_not(ResultStore)
            return replace(result, notes=(*result.notes, f"The result was not stored: {why}."))
        record = RunRecord(
            id=run.id,
            created=time.time(),
            source=str(run.circuit.metadata.get("source", "")),
            circuit=run.circuit,
            options=run.options,
            result=result,
            plugin=contribution.plugin,
            plugin_version=self._kernel.registry.get(contribution.plugin).version,
            host=self._host,
        )
        try:
            return replace(result, id=store.save(record))
        except (StorageError, UsageError) as error:
            # The numbers may have taken hours: they are not thrown away because a disk is full.
            hint = f" ({error.hint})" if error.hint else ""
            return replace(result, notes=(*result.notes, f"The result was not stored: {error}{hint}."))


class _Run:
    """One run's identity and surroundings."""

    def __init__(
        self,
        execution: LocalExecution,
        circuit: Circuit,
        options: RunOptions,
        cancel: CancelToken | None,
        progress: Progress | None,
    ) -> None:
        self.id = new_run_id()
        self.circuit = circuit
        self.options = options
        self._publish = execution._kernel.events.publish
        self._progress = progress
        self.planned: float | None = None  # when translating began; not where an earlier plan is used again
        self.context = RunContext(
            threads=options.threads or processor_count(),
            deadline=None if options.deadline is None else time.monotonic() + options.deadline,
            cancel=cancel or CancelToken(),
            progress=self.report,
        )

    def report(self, fraction: float | None, message: str) -> None:
        """Tells the bus and whoever started the run how far it is."""
        self._publish(ProgressUpdate(source=PLUGIN, run_id=self.id, fraction=fraction, message=message))
        if self._progress is not None:
            self._progress(fraction, message)

    def enter(self, stage: str) -> None:
        """Tells the bus that the run entered a stage."""
        self._publish(StageChanged(source=PLUGIN, run_id=self.id, stage=stage))

    @contextmanager
    def announced(self, backend: str) -> Iterator[None]:
        """Tells the bus that the run began and how it ended."""
        self._publish(RunStarted(source=PLUGIN, run_id=self.id, circuit=self.circuit.name, backend=backend))
        status, detail = "failed", ""
        try:
            yield
            status = "completed"
        except (KeyboardInterrupt, CancelledError) as error:
            self.context.cancel.cancel()  # whatever the backend runs beside this thread stops too
            status, detail = "cancelled", str(error) or "interrupted"
            raise
        except BaseException as error:
            detail = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._publish(RunCompleted(source=PLUGIN, run_id=self.id, status=status, detail=detail))


@contextmanager
def _blamed(contribution: Contribution) -> Iterator[None]:
    """What a backend raises and is no `ProximaError` becomes one that names it."""
    try:
        yield
    except ProximaError:
        raise
    except MemoryError as error:
        raise ResourceError(
            f"{contribution.name} ran out of memory", hint="ask for fewer qubits or another method"
        ) from error
    except Exception as error:
        raise RunError(
            f"{contribution.name} failed: {type(error).__name__}: {error}", plugin=contribution.plugin
        ) from error
