"""The conformance kit starts the server; here are its answers."""

import json

import pytest

from my_plugin.server import distance, reply
from proxima_sdk.conformance import MCPServerConformance


class TestConformance(MCPServerConformance):
    mcp_server = "my-plugin"


def asked(method: str, **params: object) -> dict[str, object]:
    answered = reply(json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}))
    assert answered is not None
    assert answered["id"] == 7
    return answered


def test_distance() -> None:
    assert distance({"0": 5, "1": 5}, {"0": 50, "1": 50}) == 0
    assert distance({"0": 3}, {"1": 8}) == 1
    assert distance({"0": 3, "1": 1}, {"0": 1, "1": 1}) == pytest.approx(0.25)


def test_the_tool_is_listed_and_called() -> None:
    assert [tool["name"] for tool in asked("tools/list")["result"]["tools"]] == ["distance"]  # type: ignore[index]
    called = asked("tools/call", name="distance", arguments={"a": {"0": 3}, "b": {"1": 8}})
    assert called["result"]["structuredContent"] == {"distance": 1.0}  # type: ignore[index]


@pytest.mark.parametrize("arguments", [None, {}, {"a": {"0": 1}}, {"a": {"0": -1}, "b": {"0": 1}}, {"a": 1, "b": {}}])
def test_wrong_arguments_are_told(arguments: object) -> None:
    assert asked("tools/call", name="distance", arguments=arguments)["result"]["isError"] is True  # type: ignore[index]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", -32700),
        ("[]", -32600),
        ('{"id": 1, "method": "steal"}', -32601),
        ('{"id":1,"method":"ping","params":[1]}', -32602),
    ],
)
def test_wrong_requests_are_refused(line: str, code: int) -> None:
    answered = reply(line)
    assert answered is not None
    assert answered["error"]["code"] == code


def test_a_notification_has_no_answer() -> None:
    assert reply('{"jsonrpc": "2.0", "method": "notifications/initialized"}') is None
