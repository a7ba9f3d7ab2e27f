"""The low-rank simulator against the original LRET, one thread each, at equal true trace distance.

The original truncates by a threshold on eigenvalues and does not tell its error. So its state at some thresholds is
compared with the exact one, and `simulate` is given that true distance as its tolerance: its own true distance is then
smaller. Of the original's two ways to run, the one that was faster at first is timed.

The original is no part of this repository. PROXIMA_LRET_ORIGINAL names a checkout of kunal5556/LRET, and
EIGEN3_INCLUDE_DIR the headers of Eigen 3 (/usr/include/eigen3 unless it says otherwise). Goals: 30x at 8 to 10 qubits,
5x at 12.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from pathlib import Path

import lret_peers
import numpy as np
import pytest
from bench_lret import ROUNDS, _brick, _ghz, _noisy
from timing import seconds

from proxima.contracts.circuit import Circuit

lret = pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")

_SOURCES = ("simulator", "gates_and_noise", "utils", "resource_monitor", "structured_csv", "parallel_modes")
_NEWER = ("gate_fusion", "simd_kernels")  # not in every version
_MODES = ("optimized", "hybrid")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The original, built with the options of its own CMakeLists.txt for a release."""
    root = os.environ.get("PROXIMA_LRET_ORIGINAL")
    if not root:
        pytest.skip("the original is not here: set PROXIMA_LRET_ORIGINAL to a checkout of kunal5556/LRET")
    eigen = Path(os.environ.get("EIGEN3_INCLUDE_DIR", "/usr/include/eigen3"))
    if not (eigen / "Eigen" / "Dense").is_file():
        pytest.skip(f"Eigen 3 is not in {eigen}: set EIGEN3_INCLUDE_DIR")
    compiler = os.environ.get("CXX") or shutil.which("c++") or pytest.skip("there is no C++ compiler: set CXX")
    folder = Path(root)
    sources = [folder / "src" / f"{name}.cpp" for name in _SOURCES]
    sources += [path for name in _NEWER if (path := folder / "src" / f"{name}.cpp").is_file()]
    out = tmp_path_factory.mktemp("original") / "run"
    subprocess.run(
        [
            compiler, "-std=c++17", "-O3", "-march=native", "-w", "-fopenmp", "-DUSE_OPENMP",
            "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections",
            f"-I{folder / 'include'}", f"-I{eigen}", str(Path(__file__).with_name("lret_original.cpp")),
            *map(str, sources), "-o", str(out),
        ],
        check=True,
    )  # fmt: skip
    return out


@pytest.mark.parametrize(
    ("name", "circuit", "p", "thresholds"),
    [
        ("brick4  8, p .001", _brick(8), 0.001, (1e-4, 1e-5, 1e-6)),
        ("brick4  8, p .01 ", _brick(8), 0.01, (1e-3, 1e-4)),
        ("brick4 10, p .001", _brick(10), 0.001, (1e-4, 1e-5)),
        ("brick4 10, p .01 ", _brick(10), 0.01, (1e-3,)),
        ("GHZ    10, p .01 ", _ghz(10), 0.01, (1e-4, 1e-5, 1e-6)),
        ("brick4 12, p .001", _brick(12), 0.001, (1e-4,)),
        ("brick4 12, p .01 ", _brick(12), 0.01, (1e-3,)),
        ("GHZ    12, p .01 ", _ghz(12), 0.01, (1e-4, 1e-5)),
    ],
    ids=lambda value: "-".join(value.split()) if isinstance(value, str) else "",
)
@pytest.mark.timeout(3600)
def test_against_the_original(
    name: str, circuit: Circuit, p: float, thresholds: tuple[float, ...], original: Path, tmp_path: Path
) -> None:
    noisy = _noisy(circuit, p)
    exact = np.asarray(lret_peers.aer(circuit, p)())
    _write(noisy, tmp_path / "circuit")
    for threshold in thresholds:
        firsts = {mode: _run(original, mode, threshold, tmp_path) for mode in _MODES}
        mode = min(firsts, key=lambda mode: firsts[mode][0])
        columns = firsts[mode][1]
        tolerance = _distance(exact, columns @ columns.conj().T)
        state = lret.simulate(noisy, tolerance=tolerance)
        theirs, ours = [], []
        for _ in range(ROUNDS):
            theirs.append(_run(original, mode, threshold, tmp_path)[0])
            ours.append(seconds(lambda t=tolerance: lret.simulate(noisy, tolerance=t)))  # type: ignore[misc]
        ratios = sorted(a / b for a, b in zip(theirs, ours, strict=True))
        print(
            f"\n{name}  threshold {threshold:g}: {statistics.median(ratios):.1f}x, from {ratios[0]:.1f} to"
            f" {ratios[-1]:.1f}\n"
            f"  original, {mode}: {1e3 * statistics.median(theirs):.2f} ms, rank {columns.shape[1]},"
            f" true distance {tolerance:.2e}\n"
            f"  ours, {state.method}: {1e3 * statistics.median(ours):.2f} ms, bound {state.bound:.2e},"
            f" true distance {_distance(exact, state.density_matrix()):.2e}"
        )


def _write(noisy: Circuit, path: Path) -> None:
    """A line for each operation: its name, a parameter, two qubits; 0 where there is none."""
    lines = [str(noisy.num_qubits)]
    for op, qubits, params, *_ in noisy:
        lines.append(f"{op.name} {params[0] if params else 0!r} {qubits[0]} {qubits[-1]}")
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _run(original: Path, mode: str, threshold: float, folder: Path) -> tuple[float, np.ndarray]:
    """The seconds that the simulation took, and L, shape (2^n, rank)."""
    command = [original, folder / "circuit", mode, repr(threshold), folder / "columns"]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, env=one_thread)
    told = done.stdout.split()
    columns = np.fromfile(folder / "columns", dtype=np.complex128)
    return float(told[0]), columns.reshape(int(told[1]), -1).T


def _distance(exact: np.ndarray, state: np.ndarray) -> float:
    return 0.5 * float(np.abs(np.linalg.eigvalsh(exact - state)).sum())
