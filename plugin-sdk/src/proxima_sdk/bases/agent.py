"""`Agent`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator

from proxima.contracts import agent as contract
from proxima.contracts.agent import AgentMessage
from proxima.contracts.backend import CancelToken


class Agent(contract.Agent):
    """A goal in, a reply out, by way of tools.

    Attributes:
        name: As the manifest has it.
    """

    @abstractmethod
    def pursue(self, goal: str, *, cancel: CancelToken) -> AsyncIterator[AgentMessage]:
        """Works towards a goal, telling each step; the last message of kind ``text`` is the reply.

        Usually an ``async def`` with ``yield``. It looks at ``cancel.cancelled`` before each step.

        Raises:
            CancelledError: ``cancel`` was set.
        """
