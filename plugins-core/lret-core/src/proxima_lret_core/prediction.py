"""What each method would cost, before the run and in the middle of it.

Seconds are those of one thread of one machine; only their ratios decide. The number of columns is a guess: those of so
many errors that more of them have a probability below the tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

from proxima.contracts.backend import Precision
from proxima_lret_core.program import Program

_COLUMN_PRODUCT = 1.6e-10  # seconds for an amplitude of a column times an entry of a gate
_COLUMN = 2e-9  # ... for an amplitude of an error column that is made
_SUPER_PRODUCT = 4.2e-11  # ... for a Pauli coefficient times an entry of a superoperator
_CONVERT = 1e-8  # ... for a Pauli coefficient of a density matrix made from columns
_TILE = 64  # bytes of real parts, and of imaginary parts: columns come in tiles
_TRUNCATE = 1e-9  # ... for the cube of the columns that a truncation finds
_LEAST_COLUMNS = 16


class Prediction:
    """Of one program in one precision.

    Args:
        shots: How many are wanted where nothing but samples is, else ``None``.
    """

    def __init__(self, program: Program, tolerance: float, precision: Precision, shots: int | None) -> None:
        self._program = program
        self._tolerance = tolerance
        self._wide = 1.0 if precision == "single" else 2.0
        self._number = 4.0 * self._wide  # bytes of a real number
        self._shots = shots
        self._size = 2.0**program.circuit.num_qubits

    @cached_property
    def branches(self) -> float:
        """At most, for measurements in the middle."""
        return 2.0 ** min(self._program.num_measured, self._program.circuit.num_clbits, 60)

    @cached_property
    def columns(self) -> float:
        """Of low-rank simulation at its end, in all branches; no more than 2^n in each."""
        channels = [channel for plan in self._program.plans for channel in plan.channels]
        bits = columns_bits(channels, self._tolerance)
        return float(self.branches * 2.0 ** min(bits, math.log2(self._size)))

    @cached_property
    def _truncations(self) -> float:
        """How often columns that come to more than 2^n in a branch are made fewer."""
        num_channels = sum(plan.num_channels for plan in self._program.plans)
        return num_channels / 2 if self.columns >= self.branches * self._size else 0.0

    @cached_property
    def trajectories(self) -> float:
        """Columns at the end of trajectories: histories that differ."""
        shots = float(self._shots or 0)
        if self._program.num_measured:
            return shots
        return 1 + shots * -math.expm1(-self._program.error)

    def seconds(self, method: str) -> float:
        """Of a whole run."""
        products = max(self._products, 1.0)
        if method == "density_matrix":
            entries = max(self._program.density_products, 4.0)
            return self._wide * self.branches * self._size**2 * entries * _SUPER_PRODUCT
        made, least = (self.columns, self.branches) if method == "low_rank" else (self.trajectories, 1.0)
        least *= _TILE / self._number
        # Columns come up on the way, most of them late.
        passed = least + max(0.0, made - least) / 3
        seconds = self._wide * self._size * (passed * products * _COLUMN_PRODUCT + made * _COLUMN)
        if method == "low_rank":
            seconds += self._truncations * self.branches * (1.6 * self._size) ** 3 * _TRUNCATE
        return seconds

    @property
    def bytes_of_column(self) -> float:
        """What an amplitude takes, times 2^n."""
        return 2 * self._size * self._number

    @property
    def tile(self) -> int:
        """Columns come in tiles of so many."""
        return int(_TILE / self._number)

    @property
    def density_bytes(self) -> float:
        """What density matrices take at most."""
        return self.branches * self._size**2 * self._number * (2 if self._program.num_measured else 1)

    def share_done(self, block: int, unit: int) -> float:
        """How much of the gates comes before a unit of a block."""
        before = sum(sum(plan.products) for each in self._program.blocks[:block] if (plan := each.plan) is not None)
        plan = self._program.blocks[block].plan
        before += sum(plan.products[:unit]) if plan is not None else 0.0
        return before / max(self._products, 1.0)

    @cached_property
    def _products(self) -> float:
        return sum(sum(plan.products) for plan in self._program.plans)

    @property
    def conversion_rounding(self) -> float:
        """What rounding adds at most where a density matrix is made of 2^n / 2 columns, in units of roundoff."""
        n = self._program.circuit.num_qubits
        return 0.5 * math.sqrt(self._size) * (self._size / self.tile + self.tile + 2 + 2 * n)

    def seconds_left(self, method: str, block: int, unit: int) -> float:
        """As `seconds`, from a unit on, by a method that takes over from low rank."""
        left = self.seconds(method) * (1 - self.share_done(block, unit))
        return left + (self._wide * self._size**2 * _CONVERT if method == "density_matrix" else 0.0)

    def worth(self, block: int, to: str) -> Sequence[float]:
        """At each unit of a block, the most columns with which low rank is worth going on with, rather than ``to``."""
        plan = self._program.blocks[block].plan
        assert plan is not None
        if to == "trajectories":
            return [float(max(self._shots or 0, _LEAST_COLUMNS))] * plan.num_units
        left = (1 - self.share_done(block, 0)) * self._products
        share = self._program.density_products / max(self._products, 1.0)
        out = []
        for products in plan.products:
            left -= products
            density = self._size**2 * (left * share * _SUPER_PRODUCT + _CONVERT)
            column = self._size * (1.5 * left * _COLUMN_PRODUCT + _COLUMN)
            out.append(max(_LEAST_COLUMNS, min(density / column, self._size / 2)))
        return out


def columns_bits(channels: Sequence[tuple[float, int]], tolerance: float) -> float:
    """log2 of how many sets of errors there are, the likeliest first, until the others are rarer than the tolerance.

    The number of errors is taken to follow Poisson's law; channels that keep no branch for certain count in full.

    Args:
        channels: Of each its error, and how many Kraus operators it has.
        tolerance: What may be left out.
    """
    columns, choices = 0.0, 0.0
    likely = [(error, operators) for error, operators in channels if error <= 0.25]
    certain = sum(math.log2(operators) for error, operators in channels if error > 0.25)
    weight = sum(error for error, _ in likely)
    if not weight:
        return certain
    sites = sum(error for error, _ in likely) ** 2 / sum(error**2 for error, _ in likely)
    ways = sum(error * (operators - 1) for error, operators in likely) / weight
    rare, left = math.exp(-weight), -math.expm1(-weight)
    for k in range(1, math.ceil(sites) + 1):
        if left <= tolerance:
            break
        choices += math.log2(max((sites - k + 1) / k * ways, 1.0))
        rare *= weight / k
        share = min(1.0, (left - tolerance) / rare) if rare > 0 else 1.0
        if choices > 60:
            return certain + choices
        columns = math.log2(2.0**columns + share * 2.0**choices)
        left -= rare
    return certain + columns
