"""The conformance kit, against a real server on this machine."""

import asyncio
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxima.contracts.llm import ChatChunk, ChatMessage, ToolCall
from proxima.contracts.tool import ToolDefinition
from proxima.errors import UnavailableError
from proxima_sdk.conformance import LLMProviderConformance
from proxima_sdk.testing import open_kernel

LOOPBACK = runpy.run_path(str(Path(__file__).with_name("loopback.py")))


@pytest.fixture(scope="module", autouse=True)
def provider() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, LOOPBACK["serving"]() as url:
        patch.setenv("LLM_KEY", LOOPBACK["KEY"])
        settings = {"plugins.my-plugin.url": url, "plugins.my-plugin.key_variable": "LLM_KEY"}
        with open_kernel("my-plugin", settings=settings) as kernel:
            TestConformance.llm_provider = kernel.get("llm_providers", "my-plugin")
            yield TestConformance.llm_provider


class TestConformance(LLMProviderConformance):
    llm_provider = "my-plugin"  # in whose place the fixture puts the one with the server's address


def chat(provider: Any, *messages: ChatMessage, tools: tuple[ToolDefinition, ...] = ()) -> list[ChatChunk]:
    async def collect() -> list[ChatChunk]:
        return [chunk async for chunk in provider.chat("parrot", messages, tools)]

    return asyncio.run(collect())


def test_a_reply_arrives_in_pieces(provider: Any) -> None:
    pieces = chat(provider, ChatMessage("user", "one two three"))
    assert [chunk.text for chunk in pieces] == ["one ", "two ", "three "]


def test_a_call_goes_out_and_its_answer_comes_back(provider: Any) -> None:
    asked = ChatMessage("user", "add")
    pieces = [p for p in chat(provider, asked, tools=(ToolDefinition("add", "Adds", {}),)) if p.tool_call_id]
    call = ToolCall(pieces[0].tool_call_id, pieces[0].tool_name, "".join(p.tool_arguments for p in pieces))
    assert call == ToolCall("call-1", "add", '{"a": 1, "b": 2}')
    answer = ChatMessage("tool", "three", tool_call_id=call.id)
    assert chat(provider, asked, ChatMessage("assistant", "", tool_calls=(call,)), answer)[0].text == "three "
    with pytest.raises(UnavailableError, match="400"):
        chat(provider, asked, answer)


def test_a_wrong_key_is_told(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_KEY", "another")
    with pytest.raises(UnavailableError, match="401"):
        provider.models()


def test_a_missing_key_is_told(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_KEY")
    with pytest.raises(UnavailableError, match="no key"):
        provider.models()


def test_nobody_there() -> None:
    settings = {"plugins.my-plugin.url": "http://127.0.0.1:1/v1"}
    with open_kernel("my-plugin", settings=settings) as kernel, pytest.raises(UnavailableError, match="be reached"):
        kernel.get("llm_providers", "my-plugin").models()
