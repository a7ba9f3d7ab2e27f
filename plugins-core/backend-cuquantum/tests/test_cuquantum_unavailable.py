"""The ways in which cuStateVec may not be there, with the real libraries where they are installed.

The environment of the tests has none of cuQuantum, so that it is not installed is tested as it is. Set
PROXIMA_CUQUANTUM_PYTHON to a Python that has ``proxima-backend-cuquantum[cu13]`` to test the other states on a machine
without a GPU: libraries that are missing are then those of a copy of its packages without cuBLAS.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from proxima_backend_cuquantum import gpus
from proxima_backend_cuquantum.backend import UNTRIED
from proxima_sdk.testing import session

OTHER = os.environ.get("PROXIMA_CUQUANTUM_PYTHON", "")
ASK = """
import json, sys
from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit
from proxima.errors import ProximaError
from proxima_backend_cuquantum.backend import CuQuantumBackend
backend = CuQuantumBackend()
probe = backend.probe()
loaded = sorted({"cuquantum", "cupy"} & set(sys.modules))
request = RunRequest(circuit=Circuit.builder(2).h(0).cx(0, 1).measure_all().build())
try:
    backend.plan(request)
    error = ["", "", ""]
except ProximaError as refused:
    error = [type(refused).__name__, str(refused), refused.hint]
print(json.dumps({"state": probe.state, "reason": probe.reason, "hint": probe.hint, "loaded": loaded, "plan": error,
                  "versions": dict(probe.versions)}))
"""

needs_libraries = pytest.mark.skipif(
    not OTHER, reason="PROXIMA_CUQUANTUM_PYTHON names no Python with proxima-backend-cuquantum[cu13]"
)


def environment(*more: Path) -> dict[str, str]:
    """The process's, with this workspace's sources on the path."""
    root = Path(__file__).resolve().parents[3]
    plugins = (root / "plugins-core" / name / "src" for name in ("trajectories", "backend-cuquantum"))
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (root / "kernel" / "src", *plugins, *more)))}


def ask(python: str, path: list[Path] | None = None, isolated: bool = False) -> dict[str, Any]:
    """What the backend says of itself in a fresh process of another Python, with this workspace's sources."""
    command = [python, *(["-S"] if isolated else []), "-c", ASK]
    done = subprocess.run(command, env=environment(*(path or [])), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.skipif(find_spec("cuquantum") is not None, reason="cuQuantum is installed here")
def test_not_installed() -> None:
    answer = ask(sys.executable)
    assert (answer["state"], answer["reason"]) == ("not_installed", "cuquantum is not installed")
    assert answer["hint"] == 'pip install "proxima-backend-cuquantum[cu13]"'
    assert answer["plan"] == ["BackendUnavailableError", "cuquantum is not installed", answer["hint"]]


@needs_libraries
@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine may have a GPU")
def test_no_device() -> None:
    answer = ask(OTHER)
    assert answer["state"] == "no_device"
    assert answer["reason"].startswith("there is no nvidia-smi")
    assert answer["loaded"] == []
    name, message, hint = answer["plan"]
    assert name == "BackendUnavailableError"
    assert message.startswith("cuStateVec finds no device that it can use: cuStateVecError: NOT_INITIALIZED")
    assert "nvidia-smi" in hint
    assert answer["versions"]["cuquantum-python-cu13"].startswith("26.9.")


@needs_libraries
def test_libraries_missing(tmp_path: Path) -> None:
    where = subprocess.run([OTHER, "-c", "import numpy; print(numpy.__path__[0])"], capture_output=True, text=True)
    packages = Path(where.stdout.strip()).parent
    for part in packages.iterdir():
        if part.name != "nvidia" and not part.name.startswith("nvidia_cublas"):
            (tmp_path / part.name).symlink_to(part)
    answer = ask(OTHER, [tmp_path], isolated=True)  # without its own packages, so that cuBLAS is nowhere
    assert (answer["state"], answer["reason"]) == ("libraries_missing", "libcublas is not found")
    name, message, hint = answer["plan"]
    assert name == "BackendUnavailableError"
    assert message.startswith("cuquantum lacks a library: DynamicLibNotFoundError")
    assert hint == 'pip install "proxima-backend-cuquantum[cu13]"'


CALLS = """
import types
import cupy
import numpy as np
from cuquantum.bindings import custatevec
from proxima.contracts.observable import PauliSum
from proxima.errors import ResourceError, RunError
from proxima_backend_cuquantum import device, engine, spread
from proxima_backend_cuquantum.engine import Engine
from proxima_backend_cuquantum.gates import Gate
from proxima_backend_cuquantum.gradient import BatchedGate

device._local.handle = 0  # no handle can be had without a device, and every function says so once it is reached
state = object.__new__(device.DeviceState)
state._engine, state._double, state._type, state._launched = Engine(custatevec, cupy), True, 5, 0.0
state.num_qubits, state.dtype = 3, np.complex128
state.vector = types.SimpleNamespace(data=types.SimpleNamespace(ptr=0), nbytes=128)
batch = object.__new__(device.DeviceBatch)
batch._engine, batch._num_qubits, batch._count, batch._double, batch._launched = state._engine, 3, 2, True, 0.0
batch.vectors = types.SimpleNamespace(data=types.SimpleNamespace(ptr=0), nbytes=256)
wide = object.__new__(spread.SpreadState)
wide._ex, wide._handle, wide._devices, wide._engine, wide._launched = engine.load_ex(), 0, 2, state._engine, 0.0
wide._type, wide.num_qubits, wide.dtype = 5, 3, np.complex128
for call in (
    lambda: state._call("initialize_state_vector", 0),
    lambda: state.apply(Gate(np.eye(2, dtype=complex), (1,)), lambda: None),
    lambda: state.apply(Gate(np.eye(4, dtype=complex), (1, 0), (2,)), lambda: None),
    lambda: state.one(1),
    lambda: state.collapse(1, 0),
    lambda: state.flip(0),
    lambda: state.reduced((2, 0)),
    lambda: state.probabilities(),
    lambda: state.moments(PauliSum.parse("ZXI"), lambda: None),
    lambda: state.sample(10, np.random.default_rng(0), lambda: None),
    lambda: state.clear(),
    lambda: batch.apply(BatchedGate(np.eye(2, dtype=complex)[None], (1,), (0,)), lambda: None),
    lambda: batch.apply(BatchedGate(np.stack([np.eye(2, dtype=complex)] * 2), (1,), (), (0, 1)), lambda: None),
    lambda: wide.clear(),
    lambda: wide.apply(Gate(np.eye(4, dtype=complex), (1, 0), (2,)), lambda: None),
    lambda: wide.wait(),
    lambda: wide.one(1),
    lambda: wide.collapse(1, 0),
    lambda: wide.probabilities(),
    lambda: wide.moments(PauliSum.parse("ZXI"), lambda: None),
    lambda: wide.sample(10, np.random.default_rng(0), lambda: None),
    lambda: wide.amplitudes(),
    lambda: spread.SpreadState(state._engine, 10, 2, double=True),
):
    try:
        call()
    except (RunError, ResourceError) as error:
        print(error)
bits, drawn = np.zeros(4, dtype=np.int64), np.zeros(4)
for call in (
    lambda: custatevec.sampler_preprocess(0, 0, 0, 0),
    lambda: custatevec.sampler_sample(0, 0, bits.ctypes.data, [0, 1, 2], 3, drawn.ctypes.data, 4, 0),
):
    try:
        call()
    except custatevec.cuStateVecError as error:
        print(error)
"""


@needs_libraries
def test_every_call_reaches_the_library() -> None:
    """Arguments of the right number and type get as far as the C function, which then lacks a handle."""
    done = subprocess.run([OTHER, "-c", CALLS], env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 25
    assert sum("NOT_INITIALIZED" in line for line in lines) == 15, lines
    assert sum("INVALID_VALUE" in line for line in lines) == 9, lines  # the Ex functions' word for no statevector
    assert sum("cannot spread 10 qubits over 2 GPUs: CUDA_ERROR" in line for line in lines) == 1, lines


TENSORNET = """
import cupy
from cuquantum.bindings import custatevec
from proxima.errors import RunError
from proxima_backend_cuquantum import mps
from proxima_backend_cuquantum.engine import Engine
try:
    mps.ProductState(Engine(custatevec, cupy), 3, double=True)
except RunError as error:
    print(error)
"""


@needs_libraries
@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine may have a GPU")
def test_a_product_state_is_as_far_as_the_driver() -> None:
    done = subprocess.run([OTHER, "-c", TENSORNET], env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cuTensorNet failed: DynamicLibNotFoundError")
    assert "NVIDIA driver library" in done.stdout


def test_reads_what_nvidia_smi_prints() -> None:
    text = "NVIDIA H200, 143771, 143156\nNVIDIA GeForce RTX 4090, Ti, 24564, 23000\nNVIDIA A100, [N/A], [N/A]\n\n"
    found = gpus.nvidia_gpus(text)
    assert found == (
        gpus.GPU("NVIDIA H200", 143771 << 20, 143156 << 20),
        gpus.GPU("NVIDIA GeForce RTX 4090, Ti", 24564 << 20, 23000 << 20),
    )
    assert gpus.nvidia_gpus("No devices were found\n") == ()


def test_reads_what_rocm_smi_prints() -> None:
    text = (
        "===== ROCm System Management Interface =====\n"
        "GPU[0]\t\t: Card Series: \t\tAMD Instinct MI300X\n"
        "GPU[0]\t\t: Card Model: 0x74a1\n"
    )
    assert gpus.amd_names(text) == ("AMD Instinct MI300X",)
    assert gpus.amd_names("no supported GPUs\n") == ()


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine may have a GPU")
def test_a_machine_without_a_driver_says_so() -> None:
    found = gpus.find()
    assert found.gpus == ()
    assert found.reason.startswith("there is no nvidia-smi, so no NVIDIA driver")


def test_a_tool_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed: no driver' >&2\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert gpus.find().reason.startswith("nvidia-smi finds no GPU: NVIDIA-SMI has failed: no driver")


def test_the_backend_says_that_it_was_never_run_on_a_device() -> None:
    description = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
    assert "has never been run on a GPU" in " ".join(description.split())
    assert UNTRIED.startswith("no release of this backend has been run on a GPU")
    assert session.kernel().registry.find("backends", "cuquantum").data["capabilities"]["wants"]
