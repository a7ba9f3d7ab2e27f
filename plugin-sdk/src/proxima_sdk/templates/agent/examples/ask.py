"""Asks the agent, and prints each of its steps."""

import asyncio
from pathlib import Path

from proxima.contracts.agent import Agent
from proxima.contracts.backend import CancelToken
from proxima_sdk.testing import open_kernel


async def ask(agent: Agent, goal: str) -> None:
    async for message in agent.pursue(goal, cancel=CancelToken()):
        print(f"{message.kind:<12} {message.text}")


with open_kernel(Path(__file__).parents[1]) as kernel:
    asyncio.run(ask(kernel.get("agents", "my-plugin"), "How many qubits fit into 100 KB?"))
