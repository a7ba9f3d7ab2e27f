"""The examples do what they say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_vqe_of_h2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vqe = load("vqe_h2")
    descents = vqe.main(["--plot", str(tmp_path / "h2.png")])
    exact = vqe.ground_energy()
    errors = [descent.energies[-1] - exact for descent in descents]
    assert exact == pytest.approx(-1.13727, abs=1e-5)  # full configuration interaction in this basis
    assert abs(errors[0]) < 1e-6 < vqe.CHEMICAL_ACCURACY
    assert errors == sorted(errors)
    assert errors[1] > vqe.CHEMICAL_ACCURACY, "noise of 1e-4 costs chemical accuracy"
    assert all(descent.energies[-1] < descent.energies[0] for descent in descents)
    assert (tmp_path / "h2.png").stat().st_size > 10_000
    assert "exact ground state: -1.137270 Ha" in capsys.readouterr().out


def test_the_hamiltonian_is_that_of_its_source() -> None:
    import pennylane as qml

    vqe = load("vqe_h2")
    molecule = qml.qchem.Molecule(["H", "H"], np.array([[0, 0, 0], [0, 0, 0.7414]]), unit="angstrom")
    made, wires = qml.qchem.molecular_hamiltonian(molecule)
    assert wires == 4
    difference = qml.matrix(vqe.hamiltonian(), wire_order=range(4)) - qml.matrix(made, wire_order=range(4))
    assert np.abs(difference).max() < 1e-8


def test_qaoa_of_the_petersen_graph(capsys: pytest.CaptureFixture[str]) -> None:
    qaoa = load("qaoa_maxcut")
    outcome = qaoa.main(["--noise", "0.001"])
    assert qaoa.largest_cut() == 12
    assert len(qaoa.EDGES) == 15
    assert outcome.expected[-1] > 10.8 > outcome.expected[0] > 7.5  # 7.5 is that of a partition at random
    assert outcome.best == qaoa.cut(outcome.partition) >= 11
    assert "of 12" in capsys.readouterr().out
