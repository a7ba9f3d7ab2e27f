"""The backend passes the conformance kit."""

import pytest

from proxima_sdk.conformance import BackendConformance

pytest.importorskip("qoqo_quest", reason="qoqo-quest has no wheel for this platform and Python")


class TestQuestConformance(BackendConformance):
    backend = "quest"
    engine_module = ("qoqo", "qoqo_quest")
