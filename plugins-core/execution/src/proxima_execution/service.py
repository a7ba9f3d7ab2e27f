"""`LocalExecution`: runs circuits in this process, on the backend that suits each."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

from proxima import __version__
from proxima.contracts.backend import CancelToken, Plan, Probe, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import ComparedRun, Comparison, Progress, RunOptions
from proxima.contracts.records import ResultStore, RunRecord
from proxima.contracts.result import CircuitInfo, RunResult, Selection
from proxima.errors import (
    PermissionDeniedError,
    RunError,
    StorageError,
    UnavailableError,
    UsageError,
)
from proxima.plugins.manifest import Contribution
from proxima_execution.adaptation import Adaptations
from proxima_execution.calibration import Calibration
from proxima_execution.comparison import judge_agreement
from proxima_execution.executors import LOCAL, open_executor
from proxima_execution.host import describe_host, peak_rss_bytes, processor_count
from proxima_execution.judging import Judge, Offer
from proxima_execution.loading import load_circuit
from proxima_execution.observations import Observations
from proxima_execution.parts import parts_of, together
from proxima_execution.points import Point, Runs, points_of
from proxima_execution.preparation import derived_seed, prepare
from proxima_execution.recording import recorded
from proxima_execution.selection import Selector
from proxima_execution.surroundings import OneRun, blamed

if TYPE_CHECKING:
    from proxima.kernel import Kernel
    from proxima_execution.explanation import Explanation


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a run leaves for the next one of the same circuit."""

    chosen: Offer
    selection: Selection
    plan: Plan


class LocalExecution:
    """Runs circuits in the calling thread; may be used from several threads.

    Args:
        kernel: Whose backends, formats, permissions, events and result store are used.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.calibration = Calibration(os.path.join(kernel.paths.state, "calibration.json"), kernel.warn)
        self.observations = Observations(os.path.join(kernel.paths.state, "observations.sqlite"))
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
        executor: str = LOCAL,
    ) -> RunResult:
        """Selects a backend, runs the circuit and stores the result.

        In parts, or on an executor other than ``local``, the parts are its tasks.

        A result that cannot be stored is returned all the same, with an empty ``id`` and a note that says why.

        Raises:
            UsageError: The options do not fit the circuit.
            UnavailableError: No installed backend can run it; the message says why for each.
            PermissionDeniedError: The chosen backend's plugin may not run circuits.
            RunError, CancelledError: The run failed or was stopped; nothing was stored.
        """
        if options.parts == 1 and executor == LOCAL:
            return self.run_compiled(circuit, options, None, cancel=cancel, progress=progress)[0]
        start = time.perf_counter()
        run = OneRun(self._kernel, circuit, options, cancel, progress)
        with run.announced(options.backend):
            request = prepare(circuit, options)[0]
            parts = parts_of(options, request.seed)
            chosen = self._chosen(request, options)
            points = [(0, part if chosen is None else replace(part, backend=chosen.chosen)) for part in parts]
            answers = self._map((circuit,), points, executor, 2, run.context.cancel, run.report)
            results = [result for _, result in sorted(answers, key=itemgetter(0))]
            result = together(results, [part.shots for part in parts], request.seed)
            timings = {**result.timings, "total": time.perf_counter() - start}
            result = replace(result, timings=timings, selection=chosen or result.selection)
            if options.store:
                result = self._store(run, result)
            self._kernel.tell("proxima_run_finished", result=result)
            return result

    def run_compiled(
        self,
        circuit: Circuit,
        options: RunOptions,
        earlier: Compiled | None,
        *,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> tuple[RunResult, Compiled]:
        """Runs in this process, on an earlier run's backend where one is given, whose compiled circuit is bound anew.

        The earlier run was of the same circuit with options that differ in parameters, seed and shots alone.
        """
        start = time.perf_counter()
        run = OneRun(self._kernel, circuit, options, cancel, progress)
        with run.announced(options.backend):
            if earlier is None:
                request, notes = prepare(circuit, options)
                chosen, selection = self._permitted(run, options.backend, request)
                selected = time.perf_counter() - start
                plan, notes = self._plan(run, chosen), (*notes, *chosen.adapted.notes)
            else:
                chosen, selection, selected = earlier.chosen, earlier.selection, 0.0
                plan, notes = _bound(circuit, options, earlier)
            run.context.check()
            run.enter("execute")
            with blamed(chosen.contribution):
                result = chosen.backend.run(plan, run.context)
            if run.planned is not None and run.context.threads == processor_count():  # what calibrations are made with
                took = time.perf_counter() - run.planned - plan.timings.get("import", 0.0)
                self.observations.add(chosen.price.kind, chosen.price.estimate.work, took)
            result = self._finish(run, plan, result, selection, notes, selected, time.perf_counter() - start)
        return result, Compiled(chosen, selection, plan)

    def run_batch(
        self, circuit: Circuit, options: Sequence[RunOptions], earlier: Compiled, *, cancel: CancelToken | None = None
    ) -> list[RunResult]:
        """As `run_compiled` for each of the options, all at once (`Backend.run_batch`)."""
        start = time.perf_counter()
        runs = [OneRun(self._kernel, circuit, each, cancel, None) for each in options]
        with ExitStack() as stack:
            for run in runs:
                stack.enter_context(run.announced(run.options.backend))
            bound = [_bound(circuit, each, earlier) for each in options]
            for run in runs:
                run.enter("execute")
            with blamed(earlier.chosen.contribution):
                results = earlier.chosen.backend.run_batch([plan for plan, _ in bound], runs[0].context)
                if len(results) != len(runs):
                    raise RunError(f"{earlier.chosen.backend.name} gave {len(results)} results of {len(runs)} runs")
            took = (time.perf_counter() - start) / len(runs)
            return [
                self._finish(run, plan, result, earlier.selection, notes, 0.0, took)
                for run, (plan, notes), result in zip(runs, bound, results, strict=True)
            ]

    def sweep(
        self,
        circuits: Sequence[Circuit],
        bindings: Sequence[Mapping[str, float]],
        options: RunOptions,
        *,
        executor: str = LOCAL,
        skip: Collection[int] = (),
        retries: int = 2,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> Generator[tuple[int, RunResult], None, None]:
        """Runs every circuit at every set of parameter values; see `Execution.sweep`."""
        if options.parts != 1:
            raise UsageError("the points of a sweep are not run in parts", hint="leave out parts")
        points = points_of(circuits, bindings, options)
        first: dict[int, RunRequest] = {}
        seen: set[tuple[int, frozenset[str]]] = set()
        for number, point in points:
            names = frozenset(point.parameters)
            if (number, names) not in seen:  # so that what is wrong is told before the first is run
                seen.add((number, names))
                first.setdefault(number, prepare(circuits[number], point)[0])
        selections = {number: self._chosen(request, options) for number, request in first.items()}
        numbers = [number for number in range(len(points)) if number not in skip]
        tasks: list[Point] = []
        for which, point in (points[number] for number in numbers):
            chosen = selections[which]
            tasks.append((which, point if chosen is None else replace(point, backend=chosen.chosen)))
        with closing(self._map(tuple(circuits), tasks, executor, retries, cancel, progress)) as answers:
            for task, result in answers:
                yield numbers[task], replace(result, selection=selections[tasks[task][0]] or result.selection)

    def _chosen(self, request: RunRequest, options: RunOptions) -> Selection | None:
        """The one backend that all tasks take; ``None`` where one is named, which need not be installed here."""
        if options.backend != "auto":
            return None
        return self._selector.choose("auto", Adaptations(request, optimize=options.optimize))[1]

    def _map(
        self,
        circuits: tuple[Circuit, ...],
        points: Sequence[Point],
        executor: str,
        retries: int,
        cancel: CancelToken | None,
        progress: Progress | None,
    ) -> Generator[tuple[int, RunResult], None, None]:
        with open_executor(self._kernel, executor) as opened:
            if opened.threads is not None:
                points = [(i, o if o.threads else replace(o, threads=opened.threads)) for i, o in points]
            work = Runs(circuits, __version__)
            yield from opened.map(work, points, retries=retries, cancel=cancel, progress=progress)

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
        from proxima_execution.explanation import Explanation

        request, notes = prepare(circuit, options)
        asked = Adaptations(request, optimize=options.optimize)
        offers, refusals = self._selector.candidates(asked, fit=True)
        if self.observations.problem:
            notes = (*notes, f"{self.observations.problem}.")
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

    def _permitted(self, run: OneRun, name: str, request: RunRequest) -> tuple[Offer, Selection]:
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

    def _plan(self, run: OneRun, chosen: Offer) -> Plan:
        contribution = chosen.contribution
        run.context.check()
        run.enter("translate")
        if chosen.price.import_seconds >= 1.0:
            run.report(None, f"importing the engine of {contribution.name}")
        run.planned = time.perf_counter()
        with blamed(contribution):
            plan = chosen.backend.plan(chosen.adapted.request)
        self._judge.mark_used(contribution.name)
        return plan

    def _finish(
        self,
        run: OneRun,
        plan: Plan,
        result: RunResult,
        selection: Selection,
        notes: tuple[str, ...],
        selected: float,
        total: float,
    ) -> RunResult:
        timings = {**plan.timings, **result.timings, "select": selected, "total": total}
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
            result = self._store(run, result)
        self._kernel.tell("proxima_run_finished", result=result)
        return result

    def _store(self, run: OneRun, result: RunResult) -> RunResult:
        store = self._kernel.services.get(ResultStore)
        if store is None:
            why = self._kernel.services.why_not(ResultStore)
            return replace(result, notes=(*result.notes, f"The result was not stored: {why}."))
        found = (c.plugin for c in self._kernel.contributions("backends") if c.name == result.backend)
        plugin = next(found, "")  # a worker may have a backend that is not installed here
        record = RunRecord(
            id=run.id,
            created=time.time(),
            source=str(run.circuit.metadata.get("source", "")),
            circuit=run.circuit,
            options=run.options,
            result=result,
            plugin=plugin,
            plugin_version=self._kernel.registry.get(plugin).version if plugin else "",
            host=self._host,
        )
        try:
            return replace(result, id=store.save(record))
        except (StorageError, UsageError) as error:
            # The numbers may have taken hours: they are not thrown away because a disk is full.
            hint = f" ({error.hint})" if error.hint else ""
            return replace(result, notes=(*result.notes, f"The result was not stored: {error}{hint}."))


def _bound(circuit: Circuit, options: RunOptions, earlier: Compiled) -> tuple[Plan, tuple[str, ...]]:
    """An earlier run's plan with other angles, and the notes."""
    request, notes = prepare(circuit, options)
    capabilities = earlier.chosen.contribution.data.get("capabilities") or {}
    adapted = Adaptations(request, optimize=options.optimize).for_backend(capabilities)
    with blamed(earlier.chosen.contribution):
        # Which gates cancel depends on the angles, so an optimised plan has none to bind.
        new = earlier.chosen.backend.plan if options.optimize else partial(earlier.chosen.backend.bind, earlier.plan)
        return new(adapted.request), (*notes, *adapted.notes)
