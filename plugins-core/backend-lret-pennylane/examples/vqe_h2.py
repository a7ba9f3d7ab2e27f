"""VQE of the hydrogen molecule, without noise and with it: `python vqe_h2.py [--plot FILE.png]`.

The Hamiltonian is that of PennyLane's qchem for H2 in the STO-3G basis at a bond length of 0.7414 angstrom, by
Hartree-Fock and the Jordan-Wigner transformation; the first letter is wire 0. A test computes it anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pennylane as qml
from pennylane import numpy as pnp

HAMILTONIAN = {
    "IIII": -0.0988639781020717,
    "ZIII": 0.1711977493030587,
    "IZII": 0.1711977493030587,
    "IIZI": -0.2227859259568686,
    "IIIZ": -0.2227859259568686,
    "ZZII": 0.1686221919361810,
    "ZIZI": 0.1205448219439657,
    "ZIIZ": 0.1658670238529451,
    "IZZI": 0.1658670238529451,
    "IZIZ": 0.1205448219439657,
    "IIZZ": 0.1743484410601783,
    "YXXY": 0.0453222019089793,
    "YYXX": -0.0453222019089793,
    "XXYY": -0.0453222019089793,
    "XYYX": 0.0453222019089793,
}
WIRES = range(4)
NOISE = (0.0, 1e-4, 1e-3, 1e-2)
CHEMICAL_ACCURACY = 1.6e-3  # hartree


def hamiltonian() -> Any:
    """The Hamiltonian as PennyLane's observable."""
    words = [
        qml.pauli.string_to_pauli_word(word, wire_map=dict(zip(WIRES, WIRES, strict=True))) for word in HAMILTONIAN
    ]
    return qml.Hamiltonian(list(HAMILTONIAN.values()), words)


def ground_energy() -> float:
    """Its lowest eigenvalue, in hartree."""
    return float(np.linalg.eigvalsh(qml.matrix(hamiltonian(), wire_order=WIRES))[0])


def energy(noise: float) -> Any:
    """The energy as a function of three angles, with depolarizing noise on both wires of each CNOT."""
    device = qml.device("proxima.lret.mixed", wires=WIRES, tolerance=1e-5)

    @qml.qnode(device, diff_method="adjoint")  # type: ignore[untyped-decorator]
    def circuit(angles: Any) -> Any:
        qml.X(0)
        qml.X(1)
        qml.SingleExcitation(angles[0], [0, 2])
        qml.SingleExcitation(angles[1], [1, 3])
        qml.DoubleExcitation(angles[2], [0, 1, 2, 3])
        return qml.expval(hamiltonian())

    if not noise:
        return circuit
    decomposed = qml.decompose(circuit, gate_set={"X", "Hadamard", "S", "T", "RX", "RY", "RZ", "CNOT"})

    def depolarize(operation: Any, **_: Any) -> None:
        for wire in operation.wires:
            qml.DepolarizingChannel(noise, wire)

    return qml.add_noise(decomposed, qml.NoiseModel({qml.noise.op_eq("CNOT"): depolarize}))


@dataclass(frozen=True)
class Descent:
    """The energies on the way, the last one at the angles."""

    noise: float
    energies: list[float]
    angles: Any


def minimise(noise: float, steps: int = 25) -> Descent:
    """Gradient descent from the Hartree-Fock state."""
    circuit, optimiser = energy(noise), qml.GradientDescentOptimizer(0.4)
    angles, energies = pnp.zeros(3, requires_grad=True), list[float]()
    for _ in range(steps):
        angles, before = optimiser.step_and_cost(circuit, angles)
        energies.append(float(before))
    return Descent(noise, [*energies, float(circuit(angles))], angles)


def plot(descents: Sequence[Descent], file: str) -> None:
    """The distance to the exact energy after each step, a curve for each strength of noise."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes, exact = figure.add_subplot(), ground_energy()
    for descent in descents:
        error = np.maximum(np.array(descent.energies) - exact, 1e-9)
        axes.semilogy(error, marker=".", label=f"p = {descent.noise:g}")
    axes.axhline(CHEMICAL_ACCURACY, color="grey", linestyle="--", label="1.6 mHa")
    axes.set(xlabel="step of gradient descent", ylabel="energy above the ground state (Ha)", ylim=(1e-9, 2))
    axes.legend(title="depolarizing after each CNOT", fontsize="small")
    figure.savefig(file, dpi=120)


def main(arguments: Sequence[str] | None = None) -> list[Descent]:
    """Prints the energy that each strength of noise leaves."""
    parser = argparse.ArgumentParser(description="VQE of H2 on proxima.lret.mixed")
    parser.add_argument("--plot", metavar="FILE.png", help="draw the descents")
    options = parser.parse_args(arguments)
    exact = ground_energy()
    print(f"exact ground state: {exact:.6f} Ha")
    descents = [minimise(noise) for noise in NOISE]
    for descent in descents:
        error = 1e3 * (descent.energies[-1] - exact)
        print(f"p = {descent.noise:<6g} {descent.energies[-1]:.6f} Ha, {error:.3f} mHa above it")
    if options.plot:
        plot(descents, options.plot)
    return descents


if __name__ == "__main__":
    main()
