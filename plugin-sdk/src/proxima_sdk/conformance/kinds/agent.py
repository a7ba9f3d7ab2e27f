"""`AgentConformance`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from proxima.contracts.agent import AgentMessage
from proxima.contracts.backend import CancelToken
from proxima.errors import CancelledError
from proxima_sdk.conformance.contribution import StreamChecks

_STOP_SECONDS = 5.0


class AgentConformance(StreamChecks):
    """Subclass it in a test module, name your agent, run pytest.

    Attributes:
        agent: An agent's name among the installed plugins, or an instance, class or factory of one.
        goal: What it is to do; something that it reaches with what is there.
        seconds: How long it may take; 60.
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
        since = time.monotonic()
        self._expect_stopped("pursue() with a token that is set", self._kinds(token), since)

    def test_cancel_while_it_works(self) -> None:
        """With a token that is set after the first message: `CancelledError` within seconds, and no reply."""
        token = CancelToken()
        since = [time.monotonic()]

        def told(message: AgentMessage) -> None:
            if not token.cancelled:
                token.cancel()
                since.append(time.monotonic())

        kinds = self._kinds(token, told)
        if kinds is not None and len(kinds) < 2:
            pytest.skip(f"{self.about()[1]} gives {len(kinds)} messages: there is nothing to stop")
        self._expect_stopped("pursue() with a token that is set after its first message", kinds, since[-1])

    def _kinds(
        self, token: CancelToken, told: Callable[[AgentMessage], object] = lambda message: None
    ) -> list[str] | None:
        """The kinds of its messages; ``None`` where it was stopped."""
        try:
            messages = asyncio.run(self._collect("pursue()", self._pursue(token), 10_000, told))
        except CancelledError:
            return None
        return [message.kind for message in messages]

    def _expect_stopped(self, what: str, kinds: list[str] | None, since: float) -> None:
        took = time.monotonic() - since
        if kinds is not None or took > _STOP_SECONDS:
            self.fails(
                what,
                expected=f"CancelledError within {_STOP_SECONDS:g} s",
                got=("the error" if kinds is None else f"{kinds}") + f" after {took:.1f} s",
                cause="cancel ignored: it does not look at cancel.cancelled before each step",
            )

    def test_a_caller_may_leave(self) -> None:
        """Closed after its first message, it ends without an error."""
        self.collected("pursue(), left after the first message", self._pursue, limit=1)
