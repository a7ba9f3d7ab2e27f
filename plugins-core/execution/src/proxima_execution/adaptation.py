"""A request as each backend takes it: optimised where that was asked for, and in the operations it knows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import features_of
from proxima.contracts.operations import BY_NAME, OPERATIONS, Op
from proxima.errors import UnsupportedError
from proxima_execution.preparation import SAMPLED


@dataclass(frozen=True, slots=True)
class Adapted:
    """One backend's request, and notes on what was done to the circuit for it."""

    request: RunRequest
    notes: tuple[str, ...] = ()


class Adaptations:
    """A request's adaptations, each made once for all backends that know the same operations.

    Args:
        request: As it was prepared.
        optimize: Whether to cancel gates and to fuse them, the latter where a backend takes matrices.
    """

    def __init__(self, request: RunRequest, *, optimize: bool = False) -> None:
        self.request = request
        self.optimize = optimize
        self._cancelled = request.circuit
        self._made: dict[frozenset[Op] | None, Adapted] = {}
        if optimize:
            from proxima_execution.optimization import cancel

            self._cancelled = cancel(request.circuit)

    @cached_property
    def likeness(self) -> tuple[object, ...]:
        """What requests have in common that the same backends can run, at about the same cost by the gate."""
        request, circuit, f = self.request, self.request.circuit, features_of(self.request.circuit)
        turns = circuit.columns.params * (4 / math.pi)
        counts = (f.gates_1q, f.gates_2q, f.gates_many, f.noise_sites, f.num_measurements)
        return (
            f.num_qubits,
            f.num_clbits,
            *(count.bit_length() for count in counts),
            round(f.noise_weight, 1),
            f.is_clifford,
            bool((abs(turns - turns.round()) < 1e-6).all()),  # at such angles rotations may be Clifford gates
            f.is_dynamic,
            f.bond_bits,
            frozenset(f.ops),
            hash(tuple(matrix.tobytes() for matrices in circuit.payloads for matrix in matrices)),
            (request.shots or 0).bit_length(),
            request.precision,
            request.wants,
            sum(len(observable.terms) for observable in request.observables),
            repr(request.options),
            self.optimize,
        )

    def for_backend(self, capabilities: Mapping[str, Any]) -> Adapted:
        """The request as a backend of these capabilities takes it.

        Raises:
            UnsupportedError: An operation can neither be run nor be written in those that can, which names it.
        """
        known = _known(capabilities)
        adapted = self._made.get(known)
        if adapted is None:
            adapted = self._made[known] = self._adapt(known)
        if notes := _reservations(capabilities, self.request):
            return replace(adapted, notes=(*adapted.notes, *notes))
        return adapted

    def _adapt(self, known: frozenset[Op] | None) -> Adapted:
        circuit, notes = self._cancelled, []
        if self.optimize:
            from proxima_execution.optimization import fuse

            if known is None or Op.UNITARY in known:
                circuit = fuse(circuit)
            notes.append(_optimized(self.request.circuit, circuit))
        if known is not None:
            from proxima.contracts.decomposition import decompose, undecomposable

            foreign = [op for op in features_of(circuit).ops if op not in known]
            missing = undecomposable(foreign, known)
            if missing:
                raise UnsupportedError(f"it does not know the operation{'s'[: len(missing) > 1]} {', '.join(missing)}")
            if foreign:
                circuit = decompose(circuit, known)
                names = ", ".join(sorted(OPERATIONS[op].name for op in foreign))
                notes.append(f"Operations that the backend does not know were written in those it knows: {names}.")
        request = self.request if circuit is self.request.circuit else replace(self.request, circuit=circuit)
        return Adapted(request, tuple(notes))


def _known(capabilities: Mapping[str, Any]) -> frozenset[Op] | None:
    """The operations that a manifest names, and ``measure``, which every backend takes; ``None`` for all."""
    names = capabilities.get("operations", "all")
    if names == "all":
        return None
    restricted = capabilities.get("restricted_operations", ())  # its estimate says at which parameters
    return _named(("measure", *names, *restricted))


def _reservations(capabilities: Mapping[str, Any], request: RunRequest) -> list[str]:
    """What a user should know of results of this backend."""
    notes = []
    if not capabilities.get("seeded", True) and not SAMPLED.isdisjoint(request.wants):
        notes.append("The backend takes no seed: the same run gives other counts the next time.")
    if capabilities.get("noisy_device", False):
        notes.append("The backend is a noisy device: its own errors are in the result.")
    return notes


@lru_cache(maxsize=64)
def _named(names: tuple[str, ...]) -> frozenset[Op]:
    return frozenset(BY_NAME[name].op for name in names if name in BY_NAME)


def _optimized(before: Circuit, after: Circuit) -> str:
    fused = sum(op == Op.UNITARY for op in after.columns.ops.tolist())
    fused -= sum(op == Op.UNITARY for op in before.columns.ops.tolist())
    if len(after) == len(before):
        return f"Optimised: none of the {len(before)} operations could be saved."
    return f"Optimised: {len(before)} operations became {len(after)}" + (
        f", {fused} of them fused into matrices." if fused > 0 else "."
    )
