"""`BackendConformance`: every check of a backend."""

from __future__ import annotations

from proxima_sdk.conformance.checks.contract import ContractChecks
from proxima_sdk.conformance.checks.dynamic import DynamicChecks
from proxima_sdk.conformance.checks.gates import GateChecks
from proxima_sdk.conformance.checks.gradients import GradientChecks
from proxima_sdk.conformance.checks.noise import NoiseChecks
from proxima_sdk.conformance.checks.order import OrderChecks
from proxima_sdk.conformance.checks.running import RunningChecks
from proxima_sdk.conformance.checks.sampling import SamplingChecks
from proxima_sdk.conformance.checks.states import StateChecks
from proxima_sdk.conformance.checks.stopping import StoppingChecks


class BackendConformance(
    OrderChecks,
    GateChecks,
    StateChecks,
    GradientChecks,
    SamplingChecks,
    NoiseChecks,
    DynamicChecks,
    RunningChecks,
    StoppingChecks,
    ContractChecks,
):
    """Subclass it in a test module, name your backend, run pytest.

    What the manifest's capabilities leave out is skipped with the reason; what they declare must work.

    Attributes:
        backend: A backend's name among the installed plugins, or an instance, class or factory of one.
        capabilities: Instead of those in the backend's manifest.
        engine_module: The module of its engine (or several), hidden to check the engine-absent path.
        options: Passed with every request, e.g. ``{"method": "density_matrix"}``.
    """
