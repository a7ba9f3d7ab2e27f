"""The conformance kits, and answers that can be reckoned: 16 bytes times 2^n, or 4^n."""

import asyncio

import pytest

from proxima.contracts.agent import AgentMessage
from proxima.contracts.backend import CancelToken
from proxima.kernel import Kernel
from proxima_sdk.conformance import AgentConformance, ToolConformance


class TestAgent(AgentConformance):
    agent = "my-plugin"
    goal = "How many qubits fit into 1 KiB?"


class TestTool(ToolConformance):
    tool = "my-plugin-memory"
    arguments = {"qubits": 30}


def pursued(kernel: Kernel, goal: str) -> list[AgentMessage]:
    async def collect() -> list[AgentMessage]:
        return [message async for message in kernel.get("agents", "my-plugin").pursue(goal, cancel=CancelToken())]

    return asyncio.run(collect())


@pytest.mark.parametrize(
    ("goal", "qubits"),
    [
        ("How many qubits fit into 8 GiB?", 29),
        ("16 bytes are one amplitude: what of 1 KiB?", 6),
        ("And with noise in 8 GiB?", 14),
    ],
)
def test_answers(proxima_kernel: Kernel, goal: str, qubits: int) -> None:
    *steps, reply = pursued(proxima_kernel, goal)
    assert f" {qubits} qubits" in reply.text
    assert [step.kind for step in steps] == ["tool_call", "tool_result"] * (qubits + 1)


def test_what_it_does_not_understand_is_said(proxima_kernel: Kernel) -> None:
    (reply,) = pursued(proxima_kernel, "Write me a poem")
    assert "How many qubits" in reply.text
