"""What every group of checks stands on: the backend under test, running circuits on it, and comparing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NoReturn, TypeAlias

import numpy as np
import pytest

from proxima.contracts.backend import Precision, RunContext, RunRequest, Want
from proxima.contracts.circuit import Circuit
from proxima.contracts.decomposition import decompose
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op
from proxima.contracts.result import RunResult
from proxima.errors import ProximaError, UnsupportedError
from proxima_sdk import reference
from proxima_sdk.conformance import CONFORMANCE_VERSION, diagnosis
from proxima_sdk.conformance.diagnosis import ORDER, Cause, report
from proxima_sdk.conformance.statistics import FALSE_ALARM, fit
from proxima_sdk.conformance.target import Capabilities, Target, resolve

# Rounding grows with the square root of the number of gates; the kit's circuits have at most about a hundred.
TOLERANCE: Mapping[str, float] = {"single": 1e-6, "double": 1e-10}
BasisChange: TypeAlias = tuple[tuple[Op, tuple[float, ...]], ...]
DTYPE: Mapping[str, Any] = {"single": np.complex64, "double": np.complex128}

_HALF_TURN = math.pi / 2
# Per basis, what to do to a qubit before measuring it; the first that the backend can run is used.
_BASES: Mapping[str, Sequence[BasisChange]] = {
    "Z": ((),),
    "X": (((Op.H, ()),), ((Op.RY, (-_HALF_TURN,)),)),
    "Y": (((Op.SDG, ()), (Op.H, ())), ((Op.S, ()), (Op.H, ())), ((Op.RX, (_HALF_TURN,)),)),
}


class BackendChecks:
    """The base of all groups of checks.

    Attributes:
        backend: A backend's name among the installed plugins, or an instance, class or factory of one.
        capabilities: Instead of those in the backend's manifest.
        engine_module: The module of its engine, or several.
        options: Passed with every request.
    """

    conformance_version: ClassVar[int] = CONFORMANCE_VERSION
    backend: ClassVar[Any] = None
    capabilities: ClassVar[Mapping[str, Any] | None] = None
    engine_module: ClassVar[str | Sequence[str]] = ()
    options: ClassVar[Mapping[str, Any]] = {}
    _target: ClassVar[Target]

    @classmethod
    def source(cls) -> Any:
        """A name, or what to take or make the backend from."""
        return cls.backend

    @classmethod
    def about(cls) -> tuple[str, str]:
        """Kind and name of what is checked."""
        return "backends", cls.backend if isinstance(cls.backend, str) else getattr(cls.backend, "name", "")

    @property
    def target(self) -> Target:
        """The backend, found once per class."""
        case = type(self)
        if "_target" not in case.__dict__:
            try:
                case._target = resolve(case.backend, case.capabilities)
            except ProximaError as error:
                pytest.fail(f"the backend under test is not found: {error} ({error.hint})", pytrace=False)
        return case._target

    @property
    def offered(self) -> Capabilities:
        """What the backend declares."""
        return self.target.capabilities

    @property
    def best_precision(self) -> Precision:
        """The highest precision it declares."""
        return "double" if "double" in self.offered.precisions else "single"

    def skip(self, reason: str) -> NoReturn:
        """Skips the check, saying why."""
        pytest.skip(f"{self.target.backend.name} {reason}")

    def require_want(self, *wants: Want) -> None:
        """Skips unless the backend declares these wants."""
        for want in wants:
            if want not in self.offered.wants:
                self.skip(f"does not declare the want {want!r} (capabilities.wants)")

    def require_precision(self, precision: str) -> None:
        """Skips unless the backend declares the precision."""
        if precision not in self.offered.precisions:
            self.skip(f"does not declare the precision {precision!r} (capabilities.precisions)")

    def require_operations(self, *ops: Op) -> None:
        """Skips unless the backend declares these operations."""
        for op in ops:
            if not self.offered.supports(op):
                self.skip(f"does not declare the operation {op.name.lower()!r} (capabilities)")

    def require_dynamic(self) -> None:
        """Skips unless the backend declares dynamic circuits."""
        if not self.offered.dynamic:
            self.skip("declares no conditions, resets and mid-circuit measurements (capabilities.dynamic)")

    def require_noise(self) -> None:
        """Skips unless the backend declares noise."""
        if not self.offered.noise:
            self.skip("declares no noise channels (capabilities.noise)")

    def require_seeds(self) -> None:
        """Skips unless the backend declares that the same seed gives the same counts."""
        if not self.offered.seeded:
            self.skip("takes no seeds: that the same one gives the same counts is not judged (capabilities.seeded)")

    def require_exact(self) -> None:
        """Skips where a device's own errors are in every result."""
        if self.offered.noisy_device:
            self.skip("is a noisy device: values and distributions are not judged (capabilities.noisy_device)")

    def require_available(self) -> None:
        """Skips where the backend says that it cannot run on this machine."""
        probe = self.target.backend.probe()
        if probe.state != "available":
            self.skip(f"cannot run here: {probe.state}: {probe.reason}")

    def at_most(self, num_qubits: int) -> int:
        """So many qubits, or as many as the backend takes."""
        return min(num_qubits, self.offered.max_qubits or num_qubits)

    def written(self, circuit: Circuit, *, restricted: bool = False) -> Circuit:
        """The circuit as Proxima gives it to the backend: in the operations that it declares.

        Those that it runs at some parameters only may stay in it where ``restricted`` says so.
        """
        known = self.offered.known | (self.offered.restricted if restricted else frozenset())
        try:
            return decompose(circuit, known)
        except UnsupportedError as error:
            return self.skip(f"need not run the check's circuit: {error} (capabilities.operations)")

    def context(self) -> RunContext:
        """One thread, no deadline."""
        return RunContext()

    def request(
        self,
        circuit: Circuit,
        *wants: Want,
        shots: int | None = None,
        seed: int = 11,
        precision: Precision | None = None,
        observables: Sequence[PauliSum] = (),
        options: Mapping[str, Any] | None = None,
        raw: bool = False,
    ) -> RunRequest:
        """A request; by default in the highest declared precision.

        Its circuit is `written` for the backend, and the check is skipped where that takes fewer qubits, unless it is
        to be given ``raw``.
        """
        most = self.offered.max_qubits
        if not raw and most is not None and circuit.num_qubits > most:
            self.skip(f"takes {most} qubits, and the check {circuit.num_qubits} (capabilities.max_qubits)")
        return RunRequest(
            circuit=circuit if raw else self.written(circuit),
            shots=shots,
            seed=seed,
            precision=precision or self.best_precision,
            wants=wants,
            observables=tuple(observables),
            options=self.options if options is None else options,
        )

    def execute(self, request: RunRequest, context: RunContext | None = None) -> RunResult:
        """Plans and runs a request that the backend's capabilities allow."""
        self.require_available()
        backend = self.target.backend
        result: RunResult | None = None
        refusal = ""
        try:
            result = backend.run(backend.plan(request), context or self.context())
        except UnsupportedError as error:
            refusal = str(error)
        if result is None:
            report(
                f"{backend.name} refuses what it declares: {request.circuit.count_ops()} with wants {request.wants}",
                expected="a result",
                got=f"UnsupportedError: {refusal}",
                causes=["capabilities in the manifest say more than the backend does"],
            )
        return result

    def counts(self, circuit: Circuit, *, shots: int = 4000, **more: Any) -> Mapping[str, int]:
        """Runs a circuit for its counts."""
        self.require_want("counts")
        result = self.execute(self.request(circuit, "counts", shots=shots, **more))
        if result.counts is None:
            report("counts were asked for", expected="counts", got="RunResult.counts is None")
        return result.counts

    def check_counts(
        self, circuit: Circuit, what: str, *, convention: str = ORDER, causes: Sequence[Cause] = (), shots: int = 4000
    ) -> None:
        """Holds a circuit's counts against its exact distribution; of a noisy device the most frequent alone."""
        counts = self.counts(circuit, shots=shots)
        widths = {len(key) for key in counts}
        if widths != {circuit.num_clbits}:
            report(
                f"{what}: bit strings have the wrong length",
                expected=f"{circuit.num_clbits} letters, one per classical bit",
                got=diagnosis.top(counts),
                convention=convention,
                causes=diagnosis.width_cause(max(widths, default=0), circuit),
            )
        distribution = reference.distribution(circuit)
        if self.offered.noisy_device:
            likely, probability = max(distribution.items(), key=lambda pair: pair[1])
            if probability < 1 - 1e-9:
                self.require_exact()
            if counts.get(likely, 0) < max(counts.values()):
                got = diagnosis.top(counts)
                report(f"{what}: the most frequent outcome", expected=repr(likely), got=got, convention=convention)
            return
        found = fit(counts, distribution)
        if not found.accepted:
            expected, got = diagnosis.describe_fit(found)
            report(
                f"{what}: counts do not follow the exact distribution",
                expected=expected,
                got=got,
                convention=convention,
                causes=[
                    text
                    for text, make in (*causes, *diagnosis.usual_causes(circuit))
                    if fit(counts, reference.distribution(make())).accepted
                ][:1],
                note=f"a right backend fails this with probability {FALSE_ALARM:.0e} over its seeds",
            )

    def check_state(
        self,
        circuit: Circuit,
        what: str,
        *,
        convention: str = ORDER,
        causes: Sequence[Cause] = (),
        precision: Precision | None = None,
    ) -> None:
        """Holds the state before measurement against the reference, by the sharpest result that the backend offers."""
        if "statevector" in self.offered.wants and reference.is_pure(circuit):
            self.check_array("statevector", circuit, what, convention=convention, causes=causes, precision=precision)
        elif "density_matrix" in self.offered.wants:
            self.check_array("density_matrix", circuit, what, convention=convention, causes=causes, precision=precision)
        else:
            for basis, changes in _BASES.items():
                usable = [c for c in changes if all(self.offered.runs(op) for op, _ in c)]
                if not usable:
                    continue
                change = usable[0]
                rotated = measured_in(circuit, change)
                changed: list[Cause] = [(text, partial(_measured, make, change)) for text, make in causes]
                self.check_counts(rotated, f"{what}, measured in {basis}", convention=convention, causes=changed)

    def check_array(
        self,
        want: Want,
        circuit: Circuit,
        what: str,
        *,
        convention: str = ORDER,
        causes: Sequence[Cause] = (),
        precision: Precision | None = None,
    ) -> None:
        """Holds a statevector, a density matrix or probabilities against the reference."""
        self.require_exact()
        chosen = precision or self.best_precision
        result = self.execute(self.request(circuit, want, precision=chosen))
        got = getattr(result, want)
        exact = getattr(reference, want)
        expected = exact(circuit)
        shape = None if got is None else np.shape(got)
        if shape != expected.shape:
            report(
                f"{what}: the {want} has the wrong shape",
                expected=f"shape {expected.shape} for {circuit.num_qubits} qubits",
                got=f"shape {shape}",
                convention="every qubit of the circuit is in the state, also one that no operation touches",
                causes=diagnosis.size_cause(shape[0], circuit) if shape else [],
            )
        tolerance = TOLERANCE[chosen]
        difference = diagnosis.distance(got, expected)
        if not difference <= tolerance:
            wanted, came = diagnosis.worst_element(got, expected)
            suspects = ((text, exact(make())) for text, make in (*causes, *diagnosis.usual_causes(circuit)))
            verb = "differ" if want == "probabilities" else "differs"
            report(
                f"{what}: the {want} {verb} from the reference by {difference:.2e} (tolerance {tolerance:.0e})",
                expected=wanted,
                got=came,
                convention=convention,
                causes=diagnosis.state_causes(got, expected, chosen, suspects),
            )

    def check_expectation(
        self, circuit: Circuit, observable: PauliSum, what: str, *, causes: Sequence[Cause] = ()
    ) -> None:
        """Holds an expectation value against the exact one: within rounding, or within six standard errors."""
        self.require_want("expectation")
        self.require_exact()
        got = self.execute(self.request(circuit, "expectation", shots=4000, observables=[observable])).expectations[0]
        mean, _ = reference.expectation(circuit, observable)
        margin = 6 * got.standard_error + 1e-5
        if not abs(got.value - mean) <= margin:
            suspects = ((text, reference.expectation(make(), observable)[0]) for text, make in causes)
            report(
                f"{what}: expectation value of {observable}",
                expected=f"{mean:.8g}",
                got=f"{got.value:.8g} with standard error {got.standard_error:.2g}",
                causes=[text for text, wrong in suspects if abs(got.value - wrong) < margin][:1],
            )
        if got.standard_error > 0.1:
            report(
                f"{what}: standard error of {observable} with 4000 shots",
                expected="below 0.1",
                got=got.standard_error,
            )


def _measured(make: Callable[[], Circuit], change: BasisChange) -> Circuit:
    return measured_in(make(), change)


def measured_in(circuit: Circuit, change: BasisChange) -> Circuit:
    """The circuit before its final measurements, with a basis change on every qubit, and every qubit measured."""
    before = circuit.without_final_measurements()
    n, m = circuit.num_qubits, circuit.num_clbits
    builder = Circuit.builder(n, m)
    for op, qubits, params, clbit, condition, matrices in before:
        builder.append(op, qubits, params, clbit=clbit, condition=condition, matrices=matrices)
    bits = builder.add_clbits("basis", n)
    for qubit in range(n):
        for op, angles in change:
            builder.append(op, (qubit,), angles)
        builder.measure(qubit, bits[qubit])
    return builder.build()
