"""The plugins that this project publishes: they run in-process, and their declared permissions come granted."""

from __future__ import annotations

IDS = frozenset(
    {
        "backend-cirq",
        "backend-cuquantum",
        "backend-lret-cirq",
        "backend-lret-pennylane",
        "backend-lret-unified",
        "backend-pennylane",
        "backend-qiskit-aer",
        "backend-qsim",
        "backend-quest",
        "backend-stim",
        "bench-lret",
        "execution",
        "executor-dask",
        "format-openqasm",
        "results",
        "use",
    }
)


def is_first_party(plugin_id: str, distribution: str) -> bool:
    """Whether the id is ours and comes from the distribution that we publish under that name."""
    return plugin_id in IDS and distribution == f"proxima-{plugin_id}"
