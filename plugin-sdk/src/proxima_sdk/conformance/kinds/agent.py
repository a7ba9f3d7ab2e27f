"""`AgentConformance`."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from proxima.contracts.agent import AgentMessage
from proxima.contracts.backend import CancelToken
from proxima.errors import CancelledError
from proxima_sdk.conformance.contribution import ContributionChecks

_STOP_SECONDS = 5.0


class AgentConformance(ContributionChecks):
    """Subclass it in a test module, name your agent, run pytest.

    Attributes:
        agent: An agent's name among the installed plugins, or an instance, class or factory of one.
        goal: What it is to do; something that it reaches with what is there.
    """

    kind = "agents"
    agent: ClassVar[Any] = None
    goal: ClassVar[str] = "Say in one sentence what you can do."

    def _pursue(self, cancel: CancelToken | None = None) -> Any:
        return self.subject.pursue(self.goal, cancel=cancel or CancelToken())

    def test_pursue(self) -> None:
        """Messages of the contract's kinds, and a reply at the end."""
        messages = self.collected("pursue()", self._pursue)
        for message in messages:
            self.crosses("a message of pursue()", message, AgentMessage)
        texts = [m.text for m in messages if m.kind == "text"]
        if not texts or not texts[-1].strip():
            self.fails(
                "pursue()",
                expected="a last message of kind 'text': the reply",
                got=[m.kind for m in messages][-5:],
                cause="the reply is returned, or told under another kind",
            )

    def test_tool_results_follow_their_calls(self) -> None:
        """No result of a tool without its call before."""
        open_calls = 0
        for message in self.collected("pursue()", self._pursue):
            open_calls += {"tool_call": 1, "tool_result": -1}.get(message.kind, 0)
            if open_calls < 0:
                self.fails("pursue()", expected="tool_call before tool_result", got=message)

    def test_cancel(self) -> None:
        """With a token that is set: `CancelledError` within seconds, and no reply."""
        token = CancelToken()
        token.cancel()
        start = time.monotonic()
        try:
            got: object = [m.kind for m in self._messages(token)]
        except CancelledError:
            got = None
        took = time.monotonic() - start
        if got is not None or took > _STOP_SECONDS:
            self.fails(
                "pursue() with a token that is set",
                expected=f"CancelledError within {_STOP_SECONDS:g} s",
                got=f"{got} after {took:.1f} s",
                cause="cancel ignored: it does not look at cancel.cancelled before each step",
            )

    def _messages(self, token: CancelToken) -> list[Any]:
        import asyncio

        return asyncio.run(self._collect("pursue()", self._pursue(token), 10_000))

    def test_a_caller_may_leave(self) -> None:
        """Closed after its first message, it ends without an error."""
        self.collected("pursue(), left after the first message", self._pursue, limit=1)
