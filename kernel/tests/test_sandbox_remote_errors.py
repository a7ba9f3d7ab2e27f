"""Errors that another thread raises anew."""

from __future__ import annotations

import inspect

import pytest

from proxima import errors
from proxima.errors import CircuitSyntaxError, ProximaError
from proxima.sandbox import errors as sandbox_errors
from proxima.sandbox.errors import LimitError, LockError
from proxima.sandbox.remote_errors import again

KINDS = [
    kind
    for module in (errors, sandbox_errors)
    for kind in vars(module).values()
    if inspect.isclass(kind) and issubclass(kind, ProximaError) and kind.__module__ == module.__name__
]
FURTHER = {
    CircuitSyntaxError: {"path": "a.qasm", "line": 3, "column": 7, "token": "qreg"},
    LockError: {"reason": "EPERM"},
    LimitError: {"limit": "memory_bytes"},
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_can_be_raised_again(kind: type[ProximaError]) -> None:
    error = kind("what failed", hint="do this", **FURTHER.get(kind, {}))
    error.plugin = "tea"
    with pytest.raises(kind) as caught:
        raise again(error)
    assert caught.value is not error
    assert type(caught.value) is kind
    assert str(caught.value) == str(error)
    assert caught.value.args == error.args
    assert vars(caught.value) == vars(error)
