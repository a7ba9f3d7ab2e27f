"""`LLMProviderConformance`."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from proxima.contracts.llm import ChatChunk, ChatMessage
from proxima.contracts.tool import ToolDefinition
from proxima.errors import UnavailableError, UsageError
from proxima_sdk.conformance.contribution import StreamChecks

_TOOL = ToolDefinition(
    "add", "Adds two whole numbers.",
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]},
)  # fmt: skip


class LLMProviderConformance(StreamChecks):
    """Subclass it in a test module, name your provider, run pytest.

    Where the models cannot be reached, as the provider says by an `UnavailableError`, what needs them is skipped.

    Attributes:
        llm_provider: A name among the installed plugins, or an instance, class or factory of a provider.
        model: To chat with; by default the first that it offers.
        prompt: What to say to it.
        seconds: How long an answer may take; 60.
    """

    kind = "llm_providers"
    llm_provider: ClassVar[Any] = None
    model: ClassVar[str] = ""
    prompt: ClassVar[str] = "Answer with the single word: yes."

    @property
    def _model(self) -> str:
        models = self.asked("models()", self.subject.models)
        if not self.model and not models:
            pytest.skip(f"{self.about()[1]} offers no model here")
        return self.model or str(models[0])

    def _chat(self, model: str, *tools: ToolDefinition) -> Any:
        return self.subject.chat(model, (ChatMessage("user", self.prompt),), tools)

    def test_models(self) -> None:
        """Names, each once; or an `UnavailableError` that says what to do."""
        try:
            models = self.subject.models()
        except UnavailableError as error:
            if not error.hint:
                self.fails("models() where it is unavailable", expected="an error with a hint", got=str(error))
            return
        except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
            self.fails(
                "models()",
                expected="names, or UnavailableError with a hint",
                got=f"{type(error).__name__}: {error}",
                cause="what the network or a missing key raises is not caught",
            )
        if isinstance(models, str) or any(not isinstance(m, str) or not m for m in models):
            self.fails("models()", expected="a list of names", got=repr(models))
        if len(set(models)) != len(models):
            self.fails("models()", expected="each name once", got=repr(models))

    def test_chat(self) -> None:
        """Pieces of a reply, with text in them."""
        pieces = self.collected("chat()", lambda: self._chat(self._model))
        for piece in pieces:
            self.crosses("a piece of chat()", piece, ChatChunk)
        if not "".join(piece.text for piece in pieces).strip():
            self.fails("chat()", expected="text", got=f"{len(pieces)} pieces without any")

    def test_calls_of_tools(self) -> None:
        """Offered a tool, it replies with text, or calls it by its name with JSON."""
        calls: dict[str, list[ChatChunk]] = {}
        for piece in self.collected("chat() with a tool", lambda: self._chat(self._model, _TOOL)):
            if piece.tool_name or piece.tool_call_id or piece.tool_arguments:
                calls.setdefault(piece.tool_call_id, []).append(piece)
        for call_id, pieces in calls.items():
            name = "".join(dict.fromkeys(piece.tool_name for piece in pieces))
            if name != _TOOL.name or not call_id:
                self.fails(
                    "a call of a tool", expected=f"the name {_TOOL.name!r} and an id", got=f"{name!r}, {call_id!r}"
                )
            text = "".join(piece.tool_arguments for piece in pieces)
            try:
                right = isinstance(json.loads(text), dict)
            except ValueError:
                right = False
            if not right:
                self.fails("a call of a tool", expected="arguments as one JSON object", got=repr(text[:80]))

    def test_unknown_model_is_refused(self) -> None:
        """An error that names it."""
        self._model  # noqa: B018 - skips where it is unavailable
        name = "no-such-model"
        self.refused(
            "chat() with a model that it does not offer",
            lambda: self._pieces(name),
            (UnavailableError, UsageError),
            naming=name,
            cause="the model's name is passed on without looking",
        )

    def _pieces(self, model: str) -> list[Any]:
        import asyncio

        return asyncio.run(self._collect("chat()", self._chat(model), 10_000))

    def test_a_caller_may_leave(self) -> None:
        """Closed after its first piece, it ends without an error."""
        self.collected("chat(), left after the first piece", lambda: self._chat(self._model), limit=1)
