from typing import Protocol

import pytest

from proxima.errors import NotFoundError, UnavailableError
from proxima.services import Services


class Memory(Protocol):
    def recall(self) -> str: ...


class Recalls:
    def __init__(self, text="remembered"):
        self.text = text

    def recall(self):
        return self.text


def test_a_service_is_made_once_and_only_when_asked_for():
    made = []
    services = Services()
    services.offer(Memory, "memory", lambda: made.append(1) or Recalls())
    assert made == []
    assert services.require(Memory).recall() == "remembered"
    assert services.get(Memory) is services.get(Memory)
    assert made == [1]


def test_none_with_a_reason_where_nobody_offers():
    services = Services()
    assert services.get(Memory) is None
    assert services.why_not(Memory) == "no plugin offers Memory"
    with pytest.raises(NotFoundError, match="Memory is not available: no plugin offers Memory") as caught:
        services.require(Memory)
    assert "proxima plugin list" in caught.value.hint


def test_resolve_activates_the_plugin_that_offers():
    def resolve(contract):
        services.offer(contract, "memory", Recalls)

    services = Services(resolve)
    assert services.require(Memory).recall() == "remembered"


def test_resolve_gives_the_reason():
    services = Services(lambda contract: "the plugin memory is disabled")
    assert services.get(Memory) is None
    assert services.why_not(Memory) == "the plugin memory is disabled"


def test_the_first_provider_that_starts_serves():
    def broken():
        raise UnavailableError("the database is locked")

    services = Services()
    services.offer(Memory, "one", broken)
    services.offer(Memory, "two", lambda: Recalls("two"))
    services.offer(Memory, "three", lambda: Recalls("three"))
    assert services.require(Memory).recall() == "two"


def test_a_provider_that_cannot_start_is_the_reason_and_is_tried_again():
    attempts = []

    def factory():
        attempts.append(1)
        if len(attempts) == 1:
            raise UnavailableError("the database is locked")
        return Recalls()

    services = Services()
    services.offer(Memory, "memory", factory)
    assert services.get(Memory) is None
    assert services.why_not(Memory) == "memory offers it but could not start it: the database is locked"
    assert services.require(Memory).recall() == "remembered"


def test_a_bug_in_a_provider_is_logged_with_its_traceback(caplog):
    services = Services()
    services.offer(Memory, "memory", lambda: 1 / 0)
    assert services.get(Memory) is None
    assert "ZeroDivisionError" in caplog.text
