"""An agent that follows rules: it reads what is asked, and calls its tool until it knows the answer."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from proxima.contracts.agent import AgentMessage
from proxima.contracts.backend import CancelToken
from proxima.errors import CancelledError
from proxima_sdk import Agent

if TYPE_CHECKING:
    from proxima.kernel import Kernel

TOOL = "my-plugin-memory"
ABILITY = 'I say how many qubits fit into an amount of memory: ask "How many qubits fit into 8 GiB?"'
UNITS = {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?b)\b", re.IGNORECASE)


class Planner(Agent):
    """Understands an amount of memory, and the words ``noise`` or ``mixed`` for a density matrix."""

    name = "my-plugin"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def pursue(self, goal: str, *, cancel: CancelToken) -> AsyncIterator[AgentMessage]:
        """Adds qubit after qubit until the state no longer fits."""
        if cancel.cancelled:
            raise CancelledError("the agent was stopped")
        amount = AMOUNT.search(goal)
        if amount is None:
            yield AgentMessage("text", ABILITY)
            return
        available = float(amount[1]) * UNITS[amount[2].lower()]
        mixed = bool(re.search(r"\b(noise|noisy|mixed)\b", goal, re.IGNORECASE))
        tool = self._kernel.get("tools", TOOL)
        fitting = 0
        while fitting < 1000:
            if cancel.cancelled:
                raise CancelledError("the agent was stopped")
            arguments = {"qubits": fitting + 1, "mixed": mixed}
            yield AgentMessage("tool_call", TOOL, arguments)
            result = tool.call(arguments)
            yield AgentMessage("tool_result", result.text, result.data)
            if result.data["bytes"] > available:
                break
            fitting += 1
        state = "density matrix" if mixed else "statevector"
        yield AgentMessage("text", f"The {state} of {fitting} qubits fits into {amount[0]}.")
