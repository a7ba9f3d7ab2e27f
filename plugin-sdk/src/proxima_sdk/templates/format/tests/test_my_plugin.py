"""The conformance kit, and what a file looks like."""

import pytest

from my_plugin.format import JsonCircuit
from proxima.contracts.circuit import Circuit, Condition, Parameter
from proxima.contracts.operations import Op
from proxima.errors import CircuitSyntaxError
from proxima_sdk.conformance import FormatConformance

FEEDBACK = (
    Circuit.builder(2, 1, name="feedback")
    .ry(Parameter("theta", 2.0), 0)
    .measure(0, 0)
    .append(Op.X, (1,), condition=Condition((0,), 1))
    .build()
)


class TestConformance(FormatConformance):
    format = "my-plugin"


def test_a_file() -> None:
    assert JsonCircuit().dump(FEEDBACK).splitlines() == [
        '{"format": "my-plugin 1", "qubits": 2, "bits": 1, "name": "feedback", "operations": [',
        '{"op": "ry", "on": [0], "angles": [{"name": "theta", "times": 2.0}]},',
        '{"op": "measure", "on": [0], "to": 0},',
        '{"op": "x", "on": [1], "if": {"bits": [0], "value": 1, "not": false}}',
        "]}",
    ]


def test_conditions_and_open_angles_are_read_again() -> None:
    text = JsonCircuit().dump(FEEDBACK)
    again = JsonCircuit().load(text.encode(), source="feedback.qjson", directory=None)
    assert again.content_hash == FEEDBACK.content_hash


@pytest.mark.parametrize(("wrong", "told"), [("hop", "no operation called 'hop'"), ("rx", "rx takes 1 parameters")])
def test_mistakes_are_told_with_their_operation(wrong: str, told: str) -> None:
    text = JsonCircuit().dump(FEEDBACK).replace('"x"', f'"{wrong}"')
    with pytest.raises(CircuitSyntaxError, match=f"operation 3: .*{told}"):
        JsonCircuit().load(text.encode(), source="feedback.qjson", directory=None)
