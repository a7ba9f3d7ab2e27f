"""A manifest's limits are those that the sandbox knows."""

from __future__ import annotations

from dataclasses import fields

from proxima.sandbox.policy import Limits
from proxima_sdk.manifest.model import LimitsModel


def test_every_limit_of_the_sandbox_can_be_declared():
    assert set(LimitsModel.model_fields) == {field.name for field in fields(Limits)}
