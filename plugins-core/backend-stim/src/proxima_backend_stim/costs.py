"""What a request needs, whether stim can do it, and what it costs. Nothing here needs the engine."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.methods import method_asked
from proxima.contracts.operations import CHANNELS, Op
from proxima.errors import UnsupportedError
from proxima_backend_stim.kinds import kinds_of
from proxima_backend_stim.recognise import Kind

METHODS = ("automatic", "frames", "tableau")
SAMPLED = frozenset(("counts", "samples"))
MAX_STATE_QUBITS = 24
MAX_PURE_DENSITY_QUBITS = 12
MAX_MIXED_PROBABILITY_QUBITS = 16
MAX_MIXED_DENSITY_QUBITS = 9
_ELSEWHERE = "ask for counts or expectation, or use another backend"


@dataclass(frozen=True, slots=True)
class Task:
    """A request that stim can run.

    Attributes:
        body: The circuit before its final measurements.
        kinds, body_kinds: What each row of the circuit and of its body is.
        mixed: Whether the state is averaged over noise or outcomes.
        frames: Whether shots are drawn together; one after another otherwise.
    """

    circuit: Circuit
    body: Circuit
    kinds: list[Kind | None]
    body_kinds: list[Kind | None]
    mixed: bool
    frames: bool

    @property
    def method(self) -> str:
        """The method's name."""
        return "frames" if self.frames else "tableau"


def task_of(request: RunRequest) -> Task:
    """What there is to do.

    Raises:
        UnsupportedError: An operation is neither Clifford nor Pauli noise, or the state is too large to write out.
        UsageError: The request makes no sense.
    """
    circuit, wants = request.circuit, set(request.wants)
    if "gradient" in wants:
        raise UnsupportedError("stim gives no gradient", hint="a Clifford circuit has no angle to turn")
    asked = method_asked(request, "stim", METHODS)
    kinds = kinds_of(circuit)
    mixed = circuit.has_noise or circuit.is_dynamic
    _check_states(circuit.num_qubits, wants, mixed)
    body = circuit.without_final_measurements()
    # What is left out at the end are measurements, which are of no kind.
    body_kinds = kinds if len(body) == len(circuit) else kinds_of(body)
    return Task(circuit, body, kinds, body_kinds, mixed, _framed(circuit, asked, kinds))


def _check_states(n: int, wants: Set[str], mixed: bool) -> None:
    if mixed and "statevector" in wants:
        raise UnsupportedError(
            "a circuit with noise, reset, conditions or a measurement in the middle has no statevector",
            hint="ask for density_matrix, probabilities, expectation or counts",
        )
    limits = {
        "statevector": MAX_STATE_QUBITS,
        "probabilities": MAX_MIXED_PROBABILITY_QUBITS if mixed else MAX_STATE_QUBITS,
        "density_matrix": MAX_MIXED_DENSITY_QUBITS if mixed else MAX_PURE_DENSITY_QUBITS,
    }
    for want, most in limits.items():
        if want in wants and n > most:
            state = "a mixed state" if mixed else "a state"
            raise UnsupportedError(
                f"stim: the {want} of {state} is written out up to {most} qubits, the circuit has {n}", hint=_ELSEWHERE
            )


def _framed(circuit: Circuit, asked: str, kinds: Sequence[Kind | None]) -> bool:
    """Whether the shots can be drawn together, which they are unless asked otherwise."""
    c = circuit.columns
    for row in np.flatnonzero(c.conditions >= 0).tolist():
        kind = kinds[row]
        if c.ops[row] == Op.BARRIER or (kind is not None and not kind.is_channel and kind.paulis is not None):
            continue
        if asked == "frames":
            name = Op(int(c.ops[row])).name.lower()
            raise UnsupportedError(
                f"the method frames takes Pauli gates under conditions, operation {row} is {name}",
                hint="choose the method tableau, or leave it out",
            )
        return False
    return asked != "tableau"


def work(request: RunRequest, task: Task) -> dict[str, float]:
    """The cost in the units ``run operation collapse frame noise bit shot shot_operation row string amplitude``.

    A frame is one gate of one shot among many, noise one channel of one shot, a collapse n^2 for a measured qubit.
    """
    c, n, wants = task.circuit.columns, task.circuit.num_qubits, set(request.wants)
    rows, shots = float(len(c.ops)), float(request.shots or 0)
    measured = float((c.ops == Op.MEASURE).sum())
    collapses = (measured + float((c.ops == Op.RESET).sum())) * n * n
    out = {"run": 1.0, "operation": rows}
    if wants & SAMPLED:
        out["bit"] = shots * max(measured, 1.0)
        if task.frames:
            noise = float(np.isin(c.ops, sorted(CHANNELS)).sum())
            out |= {"collapse": collapses + rows * n, "frame": shots * (rows - noise), "noise": shots * noise}
        else:
            out |= {"shot": shots, "shot_operation": shots * rows, "collapse": shots * (collapses + rows * n)}
    strings = _strings(request, task)
    if strings:
        out |= {"row": float(len(task.body)), "string": len(task.body) * strings}
    if not task.mixed and wants & {"statevector", "probabilities", "density_matrix"}:
        out["amplitude"] = 4.0**n if "density_matrix" in wants else 2.0**n
    return out


def _strings(request: RunRequest, task: Task) -> float:
    """How many Pauli strings are followed backwards."""
    n, wants = task.circuit.num_qubits, set(request.wants)
    if not task.mixed:
        return 0.0
    total = 0.0
    if "expectation" in wants:
        total += sum(len(o.terms) * (1 + len(o.terms) / 2) for o in request.observables)
    if "probabilities" in wants:
        total += 2.0**n
    if "density_matrix" in wants:
        total += 4.0**n
    return total


def memory(request: RunRequest, task: Task) -> int:
    """Peak bytes on top of the engine."""
    n, wants, shots = task.circuit.num_qubits, set(request.wants), request.shots or 0
    total = 500 * len(task.circuit) + 2 * n * n
    if wants & SAMPLED:
        width = task.circuit.num_clbits
        # Packed, as keys to sort, and in the worst case each as a text of its own.
        total += shots * (width // 2 + 16 + ((width + 150) if "counts" in wants else 0))
        total += shots * width if "samples" in wants or not task.frames else 0
    total += int(_strings(request, task) * (2 * n + 48))
    if not task.mixed and wants & {"statevector", "probabilities", "density_matrix"}:
        total += 48 << n
    if "density_matrix" in wants:
        total += 48 << 2 * n
    return total
