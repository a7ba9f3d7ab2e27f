"""The backend passes the conformance kit."""

from proxima_sdk.conformance import BackendConformance


class TestQuestConformance(BackendConformance):
    backend = "quest"
    engine_module = ("qoqo", "qoqo_quest")
