"""From a circuit and the user's options to the request that backends are asked."""

from __future__ import annotations

import hashlib
import secrets
from copy import copy
from dataclasses import replace

import numpy as np

from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit, Register
from proxima.contracts.execution import RunOptions
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op
from proxima.errors import UsageError
from proxima_execution.recording import prepare_readout

SAMPLED = frozenset({"counts", "samples"})


def prepare(circuit: Circuit, options: RunOptions) -> tuple[RunRequest, tuple[str, ...]]:
    """The request, and notes on what was added to the circuit.

    Open parameters are bound, unless a gradient is wanted; then, where counts or samples are wanted of a circuit that
    measures nothing, every qubit is measured, then the noise model is applied. For readout errors in the middle a qubit
    may be added (`recording`).

    Raises:
        UsageError: A parameter has no value, an observable has another number of qubits than the circuit, nothing is
            wanted, or a gradient of a circuit without open parameters.
    """
    options.check()
    if not circuit.num_qubits:
        raise UsageError("the circuit has no qubits, so there is nothing to run")
    if not options.wants:
        raise UsageError("nothing is wanted of the run", hint="ask for counts, or a statevector, ...")
    for want, words in (("expectation", "an expectation value"), ("gradient", "a gradient")):
        if want in options.wants and not options.observables:
            raise UsageError(f"{words} is wanted, but of no observable", hint=f"name one: {want}:ZZI")
    for observable in options.observables:
        if observable.num_qubits != circuit.num_qubits:
            raise UsageError(
                f"the observable {observable} spans {observable.num_qubits} qubits, the circuit has "
                f"{circuit.num_qubits}",
                hint="write one letter for each qubit, the highest qubit leftmost",
            )
    told = circuit.metadata.get("notes", ())
    notes = tuple(map(str, told)) if isinstance(told, list | tuple) else ()  # a format plugin's, which may be anything
    unbound = [name for name in circuit.parameters if name not in options.parameters]
    if unbound:
        raise UsageError(
            f"the circuit's parameters have no value for {', '.join(unbound)}",
            hint=f"give one: --param {unbound[0]}=0.5, or parameters={{{unbound[0]!r}: 0.5}} from Python",
        )
    bound = circuit.bind(options.parameters)
    differentiated = "gradient" in options.wants
    if differentiated and not circuit.parameters:
        raise UsageError(
            "a gradient is wanted, but the circuit has no open parameters",
            hint="leave angles open: `Parameter` in Python, `input float theta;` in OpenQASM 3",
        )
    if not differentiated:
        circuit = bound
    sampled = not SAMPLED.isdisjoint(options.wants)
    if sampled and not (circuit.columns.ops == Op.MEASURE).any():
        circuit = measure_every_qubit(circuit)
        notes += ("The circuit measures nothing, so every qubit was measured at its end.",)
    num_qubits = circuit.num_qubits
    if options.noise is not None:
        circuit = prepare_readout(options.noise.apply(circuit), options.noise, sampled)
    added = "I" * (circuit.num_qubits - num_qubits)
    observables = tuple(PauliSum(tuple((c, added + p) for c, p in o.terms)) for o in options.observables)
    return (
        RunRequest(
            circuit=_without_source(circuit),
            shots=options.shots if sampled else None,
            seed=secrets.randbits(63) if options.seed is None else options.seed,
            precision=options.precision or ("single" if SAMPLED.issuperset(options.wants) else "double"),
            wants=options.wants,
            observables=observables,
            parameters={name: float(options.parameters[name]) for name in circuit.parameters},
            options=options.options,
        ),
        notes,
    )


def derived_seed(text: str) -> int:
    """A seed that follows from a text, as if drawn at random for each."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _without_source(circuit: Circuit) -> Circuit:
    """The circuit without the path of its file, which no backend needs to know."""
    if "source" not in circuit.metadata:
        return circuit
    made = copy(circuit)  # nothing that is checked changes, so nothing is checked again
    object.__setattr__(made, "metadata", {k: v for k, v in circuit.metadata.items() if k != "source"})
    return made


def measure_every_qubit(circuit: Circuit) -> Circuit:
    """The circuit with qubit i measured into classical bit i at its end; classical bits are added where too few."""
    n, c = circuit.num_qubits, circuit.columns
    fill = np.full(n, -1, dtype=np.int32)
    where = np.arange(n, dtype=np.int32)
    columns = c._replace(
        ops=np.concatenate([c.ops, np.full(n, Op.MEASURE, dtype=np.uint8)]),
        qubit_offsets=np.concatenate([c.qubit_offsets, c.qubit_offsets[-1] + 1 + where]),
        qubits=np.concatenate([c.qubits, where]),
        param_offsets=np.concatenate([c.param_offsets, np.full(n, c.param_offsets[-1], dtype=np.int32)]),
        clbits=np.concatenate([c.clbits, where]),
        conditions=np.concatenate([c.conditions, fill]),
        payloads=np.concatenate([c.payloads, fill]),
    )
    missing = max(n - circuit.num_clbits, 0)
    cregs = circuit.cregs
    if missing:
        name = "meas"
        while any(r.name == name for r in (*circuit.cregs, *circuit.qregs)):
            name += "_"
        cregs = (*cregs, Register(name, missing))
    return replace(circuit, columns=columns, num_clbits=circuit.num_clbits + missing, cregs=cregs)
