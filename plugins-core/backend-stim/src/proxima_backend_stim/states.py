"""States written out: a stabilizer state's amplitudes, and density matrices by their Pauli expectation values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext
from proxima.contracts.circuit import Circuit
from proxima_backend_stim import engine
from proxima_backend_stim.propagation import expectations, hadamard
from proxima_backend_stim.recognise import Kind
from proxima_backend_stim.translate import Program

if TYPE_CHECKING:
    import stim

_CODES = {"I": 0, "X": 1, "Z": 2, "Y": 3}


def tableau(program: Program, context: RunContext) -> stim.TableauSimulator:
    """The stabilizer state of a program without noise, measurement, reset and conditions."""
    simulator = engine.load().TableauSimulator(seed=0)
    simulator.set_num_qubits(program.num_qubits)
    for piece in program.pieces:
        context.check()
        simulator.do(piece.circuit)
    return simulator


def statevector(simulator: stim.TableauSimulator, num_qubits: int, context: RunContext) -> npt.NDArray[np.complex128]:
    """The amplitudes, shape (2^n,), exact to rounding; the phase is that of some basis state of weight.

    One basis state with a component, then half of 1 + g for each stabilizer g that flips bits, over the whole group
    they generate. Source: Dehaene and De Moor, Phys. Rev. A 68, 042318 (2003).
    """
    basis = simulator.copy().measure_many(*range(num_qubits)) if num_qubits else []
    indices = np.array([sum(1 << q for q, one in enumerate(basis) if one)], dtype=np.int64)
    powers = np.zeros(1, dtype=np.int8)  # of i
    for x, z, negative in _flipping(simulator.canonical_stabilizers()):
        context.check()
        # i^|x&z| X^x Z^z on each basis state
        turn = (x & z).bit_count() + 2 * negative
        flipped = (powers + turn + 2 * (np.bitwise_count(indices & z) & 1)) % 4
        indices, powers = np.concatenate([indices, indices ^ x]), np.concatenate([powers, flipped.astype(np.int8)])
    out = np.zeros(2**num_qubits, dtype=np.complex128)
    out[indices] = np.array([1, 1j, -1, -1j])[powers] / np.sqrt(len(indices))
    return out


def _flipping(stabilizers: Sequence[stim.PauliString]) -> Iterator[tuple[int, int, bool]]:
    """Stabilizers that flip bits, no flip a combination of others: masks of X and Z, and whether the sign is minus."""
    reduced: list[tuple[int, stim.PauliString]] = []
    for stabilizer in stabilizers:
        for pivot, other in reduced:
            if stabilizer[pivot] in (1, 2):
                stabilizer = stabilizer * other
        x_bits, z_bits = stabilizer.to_numpy()
        flipped = np.flatnonzero(x_bits)
        if len(flipped):
            reduced.append((int(flipped[0]), stabilizer))
            x, z = (sum(1 << q for q in np.flatnonzero(bits).tolist()) for bits in (x_bits, z_bits))
            yield x, z, stabilizer.sign == -1


def probabilities(circuit: Circuit, kinds: Sequence[Kind | None], context: RunContext) -> npt.NDArray[np.float64]:
    """Probabilities of the basis states of a mixed state, shape (2^n,), by the strings of I and Z."""
    n = circuit.num_qubits
    z = np.arange(2**n)
    codes = np.array([(z >> q & 1) << 1 for q in range(n)], dtype=np.uint8).reshape(n, -1)
    found = hadamard(expectations(circuit, kinds, codes, context)).real / 2**n
    return np.asarray(np.maximum(found, 0.0), dtype=np.float64)


def density_matrix(circuit: Circuit, kinds: Sequence[Kind | None], context: RunContext) -> npt.NDArray[np.complex128]:
    """The density matrix of a mixed state, shape (2^n, 2^n), by all its 4^n Pauli strings."""
    n = circuit.num_qubits
    size = 2**n
    z, x = (axis.ravel() for axis in np.indices((size, size)))
    codes = np.array([(x >> q & 1) + 2 * (z >> q & 1) for q in range(n)], dtype=np.uint8).reshape(n, -1)
    values = expectations(circuit, kinds, codes, context)
    # A string is i^|x&z| X^x Z^z, whose entry at (j ^ x, j) is i^|x&z| (-1)^(z.j).
    phases = np.array([1, 1j, -1, -1j])[np.bitwise_count(x & z) % 4]
    entries = hadamard((values * phases).reshape(size, size)) / size
    j, x = np.indices((size, size))
    out = np.zeros((size, size), dtype=np.complex128)
    out[j ^ x, j] = entries
    return out


def codes_of(strings: Sequence[str], num_qubits: int) -> npt.NDArray[np.uint8]:
    """Pauli strings, the highest qubit leftmost, as codes: shape (n, t)."""
    out = np.array([[_CODES[letter] for letter in reversed(string)] for string in strings], dtype=np.uint8)
    return np.ascontiguousarray(out.reshape(len(strings), num_qubits).T)
