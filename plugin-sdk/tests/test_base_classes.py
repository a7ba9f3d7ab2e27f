"""What the base classes do for their subclasses."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import proxima_sdk
from proxima.contracts.algorithm import AlgorithmResult
from proxima.contracts.view import Group
from proxima.errors import UsageError
from proxima_sdk import BASES, Algorithm, Backend, Theme, Tool, View, Visualization


class Engine(Backend):
    name = "engine"

    def estimate(self, request: Any, features: Any) -> Any: ...

    def plan(self, request: Any) -> Any: ...

    def run(self, plan: Any, context: Any) -> Any: ...


class Vqe(Algorithm):
    name = "vqe"
    defaults = {"steps": 10, "rate": 0.5, "verbose": False, "start": None}  # noqa: RUF012

    def execute(self, circuit: Any, params: Any, *, cancel: Any, progress: Any) -> AlgorithmResult: ...


class Bars(Visualization):
    name = "bars"
    formats = ("svg",)
    defaults = {"width": 20}  # noqa: RUF012

    def render(self, subject: Any, picture_format: str, options: Any) -> bytes: ...


def test_probe_gives_versions_of_what_is_there() -> None:
    class Here(Engine):
        engine = {"numpy": "numpy"}  # noqa: RUF012

    assert Here().probe().versions == {"numpy": np.__version__}
    assert Here().probe().state == "available"


def test_probe_imports_nothing_and_says_what_to_install() -> None:
    class Away(Engine):
        engine = {"numpy": "numpy", "no-such-engine": "no_such_engine"}  # noqa: RUF012

    found = Away().probe()
    assert (found.state, found.hint) == ("not_installed", "pip install no-such-engine")
    assert "no-such-engine is not installed" in found.reason


def test_probe_asks_a_module_whose_metadata_are_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("lent_engine")
    module.__version__ = "3.1"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lent_engine", module)

    class Lent(Engine):
        engine = {"lent-engine": "lent_engine"}  # noqa: RUF012

    assert Lent().probe().versions == {"lent-engine": "3.1"}


def test_parameters_fill_in_defaults() -> None:
    given = {"steps": 3, "rate": 1, "start": (0.1, 0.2)}
    assert Vqe().parameters(given) == {"steps": 3, "rate": 1, "verbose": False, "start": (0.1, 0.2)}
    assert given == {"steps": 3, "rate": 1, "start": (0.1, 0.2)}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"step": 3}, "algorithm vqe has no parameter called 'step'"),
        ({"steps": "3"}, "parameter steps: expected int, got '3'"),
        ({"steps": True}, "parameter steps: expected int, got True"),
        ({"steps": 1.5}, "parameter steps: expected int, got 1.5"),
        ({"rate": "fast"}, "parameter rate: expected float"),
        ({"verbose": 1}, "parameter verbose: expected bool"),
    ],
)
def test_a_wrong_parameter_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        Vqe().parameters(given)
    if "step" in given:
        assert caught.value.hint == "did you mean steps?"


def test_settings_of_a_picture() -> None:
    assert Bars().settings("svg", {}) == {"width": 20}
    with pytest.raises(UsageError, match="offers no format 'png'"):
        Bars().settings("png", {})
    with pytest.raises(UsageError, match="has no option called 'height'"):
        Bars().settings("svg", {"height": 1})


def test_a_tool_is_described_by_its_docstring_or_its_description() -> None:
    class Shout(Tool):
        """Says it in capitals."""

        name = "shout"

        def call(self, arguments: Any) -> Any: ...

    class Whisper(Shout):
        name = "whisper"
        description = "Says it quietly."

    assert Shout().definition().description == "Says it in capitals."
    assert Whisper().definition().description == "Says it quietly."
    assert Shout().definition().parameters["type"] == "object"


def test_a_view_without_actions_refuses_them() -> None:
    class Look(View):
        name = "look"
        title = "Look"

        def show(self) -> Group:
            return Group(())

    with pytest.raises(UsageError, match="the view look has no action 'press'"):
        Look().act("press", {})


def test_a_theme_that_says_too_little_is_told_when_it_is_read() -> None:
    class Bare(Theme):
        name = "bare"

    with pytest.raises(AttributeError):
        _ = Bare().colours


@pytest.mark.parametrize("name", [BASES[kind] for kind in BASES if kind not in ("themes", "mcp_servers", "services")])
def test_a_class_that_leaves_a_method_out_cannot_be_made(name: str) -> None:
    base = getattr(proxima_sdk, name)
    with pytest.raises(TypeError, match="abstract"):
        type("Unfinished", (base,), {"name": "unfinished"})()
