"""The backend passes the conformance kit."""

from pathlib import Path

import yaml

from proxima_backend_qiskit_aer.backend import QiskitAerBackend
from proxima_sdk.conformance import BackendConformance

MANIFEST = yaml.safe_load((Path(__file__).parent.parent / "plugin.yaml").read_text(encoding="utf-8"))
CAPABILITIES = MANIFEST["entry_points"]["backends"][0]["capabilities"]


class TestQiskitAerConformance(BackendConformance):
    backend = QiskitAerBackend
    capabilities = CAPABILITIES
    engine_module = "qiskit_aer"
