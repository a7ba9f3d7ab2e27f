"""Backends pass the conformance kit from inside a worker, as they do in-process.

The kit's checks of an absent or broken engine stay with the plugins' own tests: they hide the engine from one process,
and here it lives in another.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima_sdk.conformance import BackendConformance

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")

KERNELS: dict[str, Kernel] = {}


def sandboxed(name: str) -> Any:
    """The stand-in of an installed backend that runs in a worker."""
    if name not in KERNELS:
        home = Path(tempfile.mkdtemp(prefix="proxima-conformance-"))
        flags = {f"isolation.backend-{name}": "worker"}
        KERNELS[name] = Kernel(paths=Paths.under(str(home)), flags=flags)
    return KERNELS[name].get("backends", name)


def capabilities(name: str) -> Any:
    kernel = Kernel()
    (found,) = [each for each in kernel.contributions("backends") if each.name == name]
    kernel.close()
    return found.data["capabilities"]


@pytest.fixture(scope="module", autouse=True)
def _close() -> Iterator[None]:
    yield
    for kernel in KERNELS.values():
        kernel.close()
    KERNELS.clear()


class TestSandboxedQsim(BackendConformance):
    backend = partial(sandboxed, "qsim")
    capabilities = capabilities("qsim")


class TestSandboxedAer(BackendConformance):
    backend = partial(sandboxed, "qiskit-aer")
    capabilities = capabilities("qiskit-aer")


class TestSandboxedPennyLane(BackendConformance):
    backend = partial(sandboxed, "pennylane")
    capabilities = capabilities("pennylane")


if find_spec("stim"):

    class TestSandboxedStim(BackendConformance):
        backend = partial(sandboxed, "stim")
        capabilities = capabilities("stim")


if find_spec("qoqo_quest"):

    class TestSandboxedQuest(BackendConformance):
        backend = partial(sandboxed, "quest")
        capabilities = capabilities("quest")


if find_spec("proxima_lret_core"):  # native, so it is there where there was a C++ compiler

    class TestSandboxedLret(BackendConformance):
        backend = partial(sandboxed, "lret-unified")
        capabilities = capabilities("lret-unified")

    class TestSandboxedLretCirq(BackendConformance):
        backend = partial(sandboxed, "lret-cirq")
        capabilities = capabilities("lret-cirq")

    class TestSandboxedLretPennyLane(BackendConformance):
        backend = partial(sandboxed, "lret-pennylane")
        capabilities = capabilities("lret-pennylane")


def test_the_backend_under_test_is_in_a_worker() -> None:
    backend = sandboxed("qsim")
    assert type(backend).__mro__[1].__name__ == "BackendProxy"
    assert f"{type(backend).__module__}.{type(backend).__qualname__}" == "proxima_backend_qsim.backend.QsimBackend"
    assert KERNELS["qsim"].registry.get("backend-qsim").isolation.startswith("worker, tier ")
    assert "qsimcirq" not in sys.modules
