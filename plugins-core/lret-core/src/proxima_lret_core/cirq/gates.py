"""Cirq's gates and channels by the names of the vocabulary, in both directions.

Global phases are dropped: no answer depends on them, and neither does one where the gate is classically controlled.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import cirq

from proxima.contracts.circuit import Parameter
from proxima.contracts.operations import Op
from proxima.errors import UnsupportedError

Params: TypeAlias = tuple[float | Parameter, ...]

# Powers of a gate that have a name, by exponent from 0 up to the period; and the rotation that any other power is.
_POWERS: dict[type[cirq.EigenGate], tuple[dict[float, Op], Op | None]] = {
    cirq.XPowGate: ({1.0: Op.X, 0.5: Op.SX, 1.5: Op.SXDG}, Op.RX),
    cirq.YPowGate: ({1.0: Op.Y}, Op.RY),
    cirq.ZPowGate: ({1.0: Op.Z, 0.5: Op.S, 1.5: Op.SDG, 0.25: Op.T, 1.75: Op.TDG}, Op.P),
    cirq.HPowGate: ({1.0: Op.H}, None),
    cirq.CXPowGate: ({1.0: Op.CX, 0.5: Op.CSX}, None),
    cirq.CZPowGate: ({1.0: Op.CZ}, Op.CP),
    cirq.SwapPowGate: ({1.0: Op.SWAP}, None),
    cirq.ISwapPowGate: ({1.0: Op.ISWAP}, None),
    cirq.XXPowGate: ({}, Op.RXX),
    cirq.YYPowGate: ({}, Op.RYY),
    cirq.ZZPowGate: ({}, Op.RZZ),
    cirq.CCXPowGate: ({1.0: Op.CCX}, None),
    cirq.CCZPowGate: ({1.0: Op.CCZ}, None),
}
_PERIODS: dict[type[cirq.EigenGate], float] = {cirq.ISwapPowGate: 4.0}  # of the others 2
_NAMED_ROTATIONS: dict[type[cirq.Gate], Op] = {cirq.Rx: Op.RX, cirq.Ry: Op.RY, cirq.Rz: Op.RZ}
_CONTROLLED: dict[Op, Op] = {Op.X: Op.CX, Op.Y: Op.CY, Op.Z: Op.CZ, Op.H: Op.CH, Op.SWAP: Op.CSWAP}
_CONTROLLED_ROTATIONS: dict[type[cirq.Gate], Op] = {cirq.Rx: Op.CRX, cirq.Ry: Op.CRY, cirq.Rz: Op.CRZ}


def known(gate: cirq.Gate) -> tuple[Op, Params] | None:
    """The operation of the vocabulary that a gate or a channel is, on the gate's qubits; ``None`` where none is.

    Raises:
        UnsupportedError: Its angle depends on symbols in a way that an open parameter cannot.
    """
    kind = type(gate)
    if op := _NAMED_ROTATIONS.get(kind):
        return op, (_angle(gate.exponent, gate),)  # type: ignore[attr-defined]
    for base in kind.__mro__:
        if base in _POWERS:
            return _power(gate, *_POWERS[base], _PERIODS.get(base, 2.0))  # type: ignore[arg-type]
    if kind in _OTHERS:
        return _OTHERS[kind](gate)
    return None


def _power(
    gate: cirq.EigenGate, named: dict[float, Op], rotation: Op | None, period: float
) -> tuple[Op, Params] | None:
    exponent = gate.exponent
    if isinstance(exponent, numbers.Real) and (op := named.get(float(exponent) % period)) is not None:
        return op, ()
    return None if rotation is None else (rotation, (_angle(exponent, gate),))


def _angle(exponent: Any, gate: cirq.Gate) -> float | Parameter:
    """An exponent in half turns, as an angle; it is a number or a multiple of one symbol."""
    if isinstance(exponent, numbers.Real):
        return math.pi * float(exponent)
    symbols = list(exponent.free_symbols)
    if len(symbols) == 1:
        coefficient = exponent.coeff(symbols[0])
        if coefficient.is_number and exponent - coefficient * symbols[0] == 0:
            return Parameter(str(symbols[0]), math.pi * float(coefficient))
    names = ", ".join(sorted(map(str, symbols)))
    raise UnsupportedError(
        f"{gate}: its angle is no multiple of one symbol but depends on {names} in another way",
        hint="give the symbols values first: cirq.resolve_parameters",
    )


def _phased_x(gate: cirq.PhasedXPowGate) -> tuple[Op, Params]:
    return Op.R, (_angle(gate.exponent, gate), _angle(gate.phase_exponent, gate))


def _controlled(gate: cirq.ControlledGate) -> tuple[Op, Params] | None:
    if gate.num_controls() != 1 or gate.control_values != cirq.ProductOfSums(((1,),)) or gate.control_qid_shape != (2,):
        return None
    inner = gate.sub_gate
    if op := _CONTROLLED_ROTATIONS.get(type(inner)):
        return op, (_angle(inner.exponent, gate),)  # type: ignore[attr-defined]
    # Under control a phase counts, so only what has none is taken.
    found = known(inner) if getattr(inner, "global_shift", 1) == 0 else None
    return (_CONTROLLED[found[0]], ()) if found and found[0] in _CONTROLLED else None


def _depolarizing(gate: cirq.DepolarizingChannel) -> tuple[Op, Params] | None:
    op = {1: Op.DEPOLARIZING, 2: Op.DEPOLARIZING2}.get(gate.n_qubits)
    return None if op is None else (op, (gate.p,))


def _pauli_channel(gate: cirq.AsymmetricDepolarizingChannel) -> tuple[Op, Params] | None:
    return (Op.PAULI_CHANNEL, (gate.p_x, gate.p_y, gate.p_z)) if cirq.num_qubits(gate) == 1 else None


_OTHERS: dict[type[cirq.Gate], Callable[[Any], tuple[Op, Params] | None]] = {
    cirq.CSwapGate: lambda gate: (Op.CSWAP, ()),
    cirq.PhasedXPowGate: _phased_x,
    cirq.ControlledGate: _controlled,
    cirq.DepolarizingChannel: _depolarizing,
    cirq.AsymmetricDepolarizingChannel: _pauli_channel,
    cirq.BitFlipChannel: lambda gate: (Op.BIT_FLIP, (gate.p,)),
    cirq.PhaseFlipChannel: lambda gate: (Op.PHASE_FLIP, (gate.p,)),
    cirq.AmplitudeDampingChannel: lambda gate: (Op.AMPLITUDE_DAMPING, (gate.gamma,)),
    cirq.GeneralizedAmplitudeDampingChannel: lambda gate: (Op.GENERALIZED_AMPLITUDE_DAMPING, (gate.p, gate.gamma)),
    cirq.PhaseDampingChannel: lambda gate: (Op.PHASE_DAMPING, (gate.gamma,)),
}

_FIXED: dict[Op, cirq.Gate] = {
    **{op: power(exponent=e) for power, (named, _) in _POWERS.items() for e, op in named.items()},
    **{controlled: cirq.ControlledGate(gate) for controlled, gate in ((Op.CY, cirq.Y), (Op.CH, cirq.H))},
    Op.ID: cirq.I,
    Op.CSWAP: cirq.CSWAP,
}
_ROTATIONS: dict[Op, Callable[..., cirq.Gate]] = {
    **{op: lambda e, power=power: power(exponent=e) for power, (_, op) in _POWERS.items() if op is not None},
    **{op: lambda e, kind=kind: kind(rads=e * math.pi) for kind, op in _NAMED_ROTATIONS.items()},
    **{
        op: lambda e, kind=kind: cirq.ControlledGate(kind(rads=e * math.pi))
        for kind, op in _CONTROLLED_ROTATIONS.items()
    },
    Op.R: lambda e, phase: cirq.PhasedXPowGate(exponent=e, phase_exponent=phase),
}
_CHANNELS: dict[Op, Callable[..., cirq.Gate]] = {
    Op.DEPOLARIZING: cirq.depolarize,
    Op.DEPOLARIZING2: lambda p: cirq.depolarize(p, n_qubits=2),
    Op.BIT_FLIP: cirq.BitFlipChannel,
    Op.PHASE_FLIP: cirq.PhaseFlipChannel,
    Op.BIT_PHASE_FLIP: lambda p: cirq.asymmetric_depolarize(p_y=p),
    Op.PAULI_CHANNEL: cirq.asymmetric_depolarize,
    Op.AMPLITUDE_DAMPING: cirq.amplitude_damp,
    Op.GENERALIZED_AMPLITUDE_DAMPING: cirq.generalized_amplitude_damp,
    Op.PHASE_DAMPING: cirq.phase_damp,
    Op.RESET: lambda: cirq.ResetChannel(),
}


def named(op: Op, params: Sequence[float | Parameter]) -> cirq.Gate | None:
    """Cirq's own gate or channel for an operation; ``None`` where Cirq has none of one piece."""
    if op in _FIXED:
        return _FIXED[op]
    if op in _CHANNELS:
        return _CHANNELS[op](*params)
    if op in _ROTATIONS:
        return _ROTATIONS[op](*map(_exponent, params))
    return None


def _exponent(param: float | Parameter) -> Any:
    """An angle in units of pi."""
    if isinstance(param, Parameter):
        import sympy  # type: ignore[import-untyped]  # Cirq's own dependency

        return sympy.Symbol(param.name) * (param.coefficient / math.pi)
    return param / math.pi
