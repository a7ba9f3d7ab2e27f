"""The backend passes the conformance kit."""

from proxima_sdk.conformance import BackendConformance


class TestQiskitAerConformance(BackendConformance):
    backend = "qiskit-aer"
    engine_module = "qiskit_aer"
