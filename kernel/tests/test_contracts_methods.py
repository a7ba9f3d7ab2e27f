"""What a request must be to make sense, whichever engine runs it."""

from __future__ import annotations

import pytest

from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.methods import method_asked
from proxima.contracts.observable import PauliSum
from proxima.errors import UsageError


def test_a_request_that_contradicts_itself_is_refused() -> None:
    bell = Circuit.builder(2).h(0).cx(0, 1).measure_all().build()

    def refusal(circuit: Circuit = bell, *wants: str, **more) -> str:
        with pytest.raises(UsageError) as caught:
            method_asked(RunRequest(circuit=circuit, wants=wants or ("counts",), **more), "mine", ("automatic", "fast"))
        return str(caught.value)

    assert refusal(options={"speed": 1}) == "mine has no option speed"
    assert refusal(options={"method": "slow"}) == "mine has no method 'slow'"
    assert refusal(shots=0) == "counts need at least one shot, got 0"
    assert refusal(Circuit.builder(1).h(0).build()).startswith("the circuit measures nothing")
    assert refusal(Circuit.builder(1, 1).ry(Parameter("t"), 0).measure(0, 0).build()).endswith("open parameters: t")
    assert "acts on 1 qubits" in refusal(bell, "expectation", observables=(PauliSum.parse("Z"),))
    assert method_asked(RunRequest(circuit=bell, options={"method": "fast"}), "mine", ("automatic", "fast")) == "fast"
