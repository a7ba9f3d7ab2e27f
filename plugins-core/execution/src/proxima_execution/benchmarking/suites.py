"""Suites of circuits to time backends on: families of circuits, a folder of circuit files, MQT Bench."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxima.contracts.circuit import Circuit
from proxima.contracts.noise import NoiseModel
from proxima.errors import ProximaError, UnavailableError, UsageError
from proxima.nearest import did_you_mean
from proxima_execution.families import FAMILIES, brickwork, ghz

if TYPE_CHECKING:
    from proxima.contracts.execution import Execution
    from proxima.kernel import Kernel

_SIZES = {"families": (4, 8, 12, 16, 20), "noise": (4, 6, 8, 10), "mqt": (4, 8, 12)}
_MOST = 1000  # qubits

_NOISES = ("depolarizing:0.001", "depolarizing:0.01", "amplitude_damping:0.02")

MQT = (
    "bv",
    "dj",
    "ghz",
    "grover",
    "qaoa",
    "qft",
    "qftentangled",
    "qnn",
    "qpeexact",
    "qwalk",
    "randomcircuit",
    "vqe_real_amp",
    "vqe_su2",
    "vqe_two_local",
    "wstate",
)
"""Benchmarks of MQT Bench that take any size and are the same circuit each time."""


@dataclass(frozen=True, slots=True)
class Case:
    """One circuit of a suite; ``family`` is what its sizes are plotted along."""

    name: str
    family: str
    circuit: Circuit


@dataclass(frozen=True, slots=True)
class Suite:
    """Circuits to time backends on.

    Attributes:
        skipped: What could not be read or made, with the reason.
    """

    name: str
    cases: tuple[Case, ...]
    skipped: dict[str, str] = field(default_factory=dict)


def make_suite(kernel: Kernel, execution: Execution, name: str, sizes: Sequence[int]) -> Suite:
    """The suite of that name.

    Args:
        kernel: Its manifests say which files are circuit files.
        execution: Reads circuit files.
        name: ``families``, one or several families separated by commas, ``noise``, ``mqt``, a folder or a file.
        sizes: Numbers of qubits; empty for the suite's own.

    Raises:
        UsageError: There is no such suite or folder, it holds nothing, or a size is out of range.
        UnavailableError: MQT Bench is not installed.
    """
    for size in sizes:
        if not 1 <= size <= _MOST:
            raise UsageError(f"a size is a number of qubits from 1 to {_MOST}, got {size}")
    families = [part.strip() for part in name.split(",")]
    if name == "families":
        return _families(name, list(FAMILIES), sizes)
    if all(family in FAMILIES for family in families):
        return _families(name, families, sizes)
    if name == "noise":
        return _noise(sizes)
    if name == "mqt":
        return _mqt(execution, sizes)
    if os.path.exists(name):
        if sizes:
            raise UsageError("sizes are for families of circuits; files have theirs")
        return _files(kernel, execution, name)
    known = ["families", "noise", "mqt", *FAMILIES]
    wrong = next((family for family in families if family not in FAMILIES), name)
    raise UsageError(
        f"there is no suite and no folder called {wrong!r}",
        hint=did_you_mean(wrong, known) or f"a suite is one of {', '.join(known)}, a folder or a circuit file",
    )


def _families(name: str, families: Sequence[str], sizes: Sequence[int]) -> Suite:
    return Suite(
        name,
        tuple(
            Case(f"{family}-{n}", family, FAMILIES[family](n).measure_all().build())
            for family in families
            for n in sizes or _SIZES["families"]
        ),
    )


def _noise(sizes: Sequence[int]) -> Suite:
    import numpy as np

    cases = []
    for n in sizes or _SIZES["noise"]:
        for family, builder in (("ghz", ghz(n)), ("brickwork", brickwork(n, 4, np.random.default_rng(n)))):
            circuit = builder.measure_all().build()
            for noise in _NOISES:
                noisy = NoiseModel.parse(noise).apply(circuit)
                cases.append(Case(f"{family}-{n} {noise}", f"{family} {noise}", noisy))
    return Suite("noise", tuple(cases))


def _files(kernel: Kernel, execution: Execution, path: str) -> Suite:
    paths = [path]
    if os.path.isdir(path):
        endings = {ending for c in kernel.contributions("formats") for ending in c.data.get("extensions", ()) if c.data}
        names = sorted(entry for entry in os.listdir(path) if os.path.splitext(entry)[1].lower() in endings)
        paths = [os.path.join(path, entry) for entry in names]
        if not paths:
            raise UsageError(
                f"{path} holds no circuit file", hint=f"circuit files end in {', '.join(sorted(endings)) or 'nothing'}"
            )
    return _collected(path, [(os.path.basename(each), _loader(execution, each)) for each in paths])


def _loader(execution: Execution, path: str) -> Callable[[], Circuit]:
    return lambda: execution.load(path)


def _mqt(execution: Execution, sizes: Sequence[int]) -> Suite:
    try:
        from mqt.bench import get_benchmark_indep
        from qiskit import qasm2
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"the suite mqt needs MQT Bench: {error.name} is not installed",
            hint='pip install "proxima-execution[mqt]"',
        ) from None

    def maker(benchmark: str, n: int) -> Callable[[], Circuit]:
        def make() -> Circuit:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what MQT Bench does inside
                text = qasm2.dumps(get_benchmark_indep(benchmark, circuit_size=n))
            return execution.load(f"{benchmark}.qasm", data=text.encode())

        return make

    return _collected("mqt", [(f"{b}-{n}", maker(b, n)) for b in MQT for n in sizes or _SIZES["mqt"]], sized=True)


def _collected(name: str, makers: Sequence[tuple[str, Callable[[], Circuit]]], *, sized: bool = False) -> Suite:
    """The suite of what can be made; what cannot is skipped, with the reason."""
    cases, skipped = [], {}
    for label, make in makers:
        try:
            circuit = make()
            if circuit.parameters:
                raise UsageError(f"it has open parameters: {', '.join(circuit.parameters)}")
        except (ProximaError, ValueError) as error:  # ValueError: a size that a benchmark does not come in
            skipped[label] = str(error)
            continue
        cases.append(Case(label, label.rpartition("-")[0] if sized else label, circuit))
    if not cases:
        told = "; ".join(f"{label}: {why}" for label, why in skipped.items())
        raise UsageError(f"{name} holds no circuit that can be run ({told})")
    return Suite(name, tuple(cases), skipped)
