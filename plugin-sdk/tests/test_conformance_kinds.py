"""Each kit passes a right contribution, and finds each fault of a wrong one and says what it is."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import pytest

import proxima_sdk.conformance
from proxima.contracts.algorithm import AlgorithmResult
from proxima.contracts.execution import Progress
from proxima.errors import CancelledError
from proxima.sandbox.inspection import CONTRACTS
from proxima_sdk import Algorithm
from proxima_sdk.conformance import KITS, AlgorithmConformance

pytest_plugins = ["pytester"]

_TESTS = Path(__file__).parent
# Imported here, so that pytester's inner runs, which forget what they import, need not import them each time.
_KITS = [getattr(proxima_sdk.conformance, name) for name in KITS.values()]
_CONTRACTS = [import_module(path.rpartition(".")[0]) for path in CONTRACTS.values()]

# By kind: the right one with the attributes of its test class, and for each wrong one the check that must fail, with
# a phrase of its explanation.
CASES: dict[str, tuple[str, str, dict[str, tuple[str, str]]]] = {
    "algorithms": (
        "Descent",
        "expected = -1.0; tolerance = 1e-3",
        {
            "DescentSharesDefaults": ("test_default_params", "its own mapping"),
            "DescentTakesAnything": ("test_unknown_parameter_is_refused", "UsageError whose message names"),
            "DescentDeaf": ("test_cancel", "cancel ignored"),
            "DescentLooksOnce": ("test_cancel_while_it_runs", "cancel ignored"),
            "DescentStopsEarly": ("test_execute", "stopped before it converged, or a sign or factor of the observable"),
            "DescentPercent": ("test_progress", "a percentage"),
            "DescentSeedless": ("test_seed", "seed ignored"),
            "DescentFillsIn": ("test_params_are_left_as_they_were", "filled in place"),
            "DescentObject": ("test_execute", "cannot be sent to another process"),
            "DescentOtherNames": ("test_contract", "cannot be called as execute(circuit, params, *, cancel, progress)"),
        },
    ),
    "visualizations": (
        "Bars",
        "",
        {
            "BarsUnescaped": ("test_names_are_text_and_not_markup", "not escaped"),
            "BarsSvgOnly": ("test_renders_each_format", "a whole png file"),
            "BarsAnyOption": ("test_unknown_option_is_refused", "self.settings"),
            "BarsUnlooking": ("test_a_subject_without_what_is_drawn", "may be None is used without looking"),
            "BarsText": ("test_renders_each_format", "a value of type bytes"),
            "BarsDotted": ("test_formats", "names such as"),
        },
    ),
    "codegens": (
        "Numpy",
        "statevector = run",
        {
            "NumpyNameAsCode": ("test_names_are_data", "use repr()"),
            "NumpyForgetsUnsupported": ("test_every_operation", "a table of gates is used without looking"),
            "NumpyNoise": ("test_generates", "a set or a time"),
            "NumpyReversed": ("test_code_prepares_the_state", "looks big-endian"),
            "NumpyBroken": ("test_generates", "Python that can be parsed"),
            "NumpyCapitals": ("test_says_what_it_writes", "small letters"),
        },
    ),
    "tools": (
        "Shout",
        "",
        {
            "ShoutNumpy": ("test_data_is_json", "tolist()"),
            "ShoutText": ("test_call", "a value of type ToolResult"),
            "ShoutSilent": ("test_call", "text that says what came out"),
            "ShoutFails": ("test_call", "has not failed"),
            "ShoutPops": ("test_arguments_are_left_as_they_were", "copy it first"),
            "ShoutWrongSchema": ("test_parameters", "a JSON Schema"),
            "ShoutLostField": ("test_parameters", "'text' among its properties"),
            "ShoutSpaced": ("test_definition", "interfaces allow no other letters"),
            "ShoutPermission": ("test_permissions", "permissions of the grammar"),
            "ShoutRaises": ("test_call", "reference_contributions.py:"),
        },
    ),
    "agents": (
        "Counter",
        "seconds = 1.0",
        {
            "CounterDeaf": ("test_cancel", "cancel ignored"),
            "CounterLooksOnce": ("test_cancel_while_it_works", "cancel ignored"),
            "CounterMute": ("test_pursue", "the reply"),
            "CounterReturns": ("test_pursue", "an async iterator"),
            "CounterKind": ("test_pursue", "a value of type AgentMessage"),
            "CounterResultFirst": ("test_tool_results_follow_their_calls", "tool_call before tool_result"),
            "CounterClings": ("test_a_caller_may_leave", "left too early"),
            "CounterSleeps": ("test_pursue", "an end within 1 s"),
        },
    ),
    "llm_providers": (
        "Echo",
        "",
        {
            "EchoAwayHintless": ("test_models", "an error with a hint"),
            "EchoRaises": ("test_models", "is not caught"),
            "EchoAnyModel": ("test_unknown_model_is_refused", "without looking"),
            "EchoBadJson": ("test_calls_of_tools", "one JSON object"),
            "EchoEmpty": ("test_chat", "without any"),
            "EchoTwice": ("test_models", "each name once"),
            "EchoStrings": ("test_chat", "a value of type ChatChunk"),
            "EchoNeedsTools": ("test_contract", "cannot be called as chat(model, messages, tools=())"),
        },
    ),
    "mcp_servers": (
        "Tiny",
        "seconds = 2.0",
        {
            "TinyChatty": ("test_answers_initialize", "belongs to the protocol"),
            "TinyStays": ("test_answers_initialize", "it runs on"),
            "TinyBoth": ("test_command_or_address", "one of the two"),
            "TinyOpen": ("test_command_or_address", "https"),
            "TinyNumber": ("test_environment", "text by name"),
        },
    ),
    "views": (
        "Look",
        "",
        {
            "LookEmpty": ("test_show", "at least one part"),
            "LookColoured": ("test_texts_are_plain", "'\\x1b'"),
            "LookShort": ("test_show", "can leave a worker"),
            "LookWrongForm": ("test_forms", "a right value"),
            "LookAnyAction": ("test_unknown_action_is_refused", "what the last branch does"),
            "LookCrashes": ("test_actions", "KeyError"),
            "LookDict": ("test_show", "a value of type Group"),
        },
    ),
    "commands": (
        "Greet",
        "lines = ('', '--json')",
        {
            "GreetPercent": ("test_help", "no error"),
            "GreetUnexplained": ("test_help", "a line about ['--loud']"),
            "GreetNone": ("test_lines", "without `return 0`"),
            "GreetNoJson": ("test_lines", "JSON and nothing else"),
            "GreetShouting": ("test_name", "small letters"),
            "GreetLines": ("test_summary", "one line"),
        },
    ),
    "themes": (
        "Paper",
        "",
        {
            "PaperGrey": ("test_text_is_readable", "a contrast of at least 4.5"),
            "PaperDark": ("test_dark_is_said_rightly", "light text on a dark ground"),
            "PaperNamed": ("test_colours", "#rrggbb"),
            "PaperBare": ("test_colours", "'primary'"),
        },
    ),
    "services": (
        "RightClock",
        "",
        {
            "ClockWithoutZone": ("test_contract", "cannot be called as now(zone)"),
            "ClockMissing": ("test_contract", "has no method now(zone)"),
            "ClockClosesOnce": ("test_close_twice", "AttributeError"),
        },
    ),
    "formats": (
        "Lines",
        "circuits = CIRCUITS",
        {
            "LinesRounded": ("test_round_trip", "too few digits"),
            "LinesCounted": ("test_round_trip", "the same text"),
            "LinesNegated": ("test_round_trip", "rotation sign reversed"),
            "LinesFlipped": ("test_round_trip", "looks big-endian"),
            "LinesTraceback": ("test_what_is_no_circuit_is_refused", "a traceback is for bugs"),
            "LinesNameless": ("test_what_is_no_circuit_is_refused", "an error that names"),
            "LinesKeyError": ("test_every_gate", "a table of gates"),
            "LinesEverything": ("test_recognises", "it claims any file"),
            "LinesDotless": ("test_extensions", "endings such as"),
        },
    ),
}

_HEAD = """
import sys

sys.path.insert(0, {tests!r})

import reference_contributions as parts
from proxima_sdk.circuits import ghz, qaoa, qft
from proxima_sdk.conformance import {kit}

CIRCUITS = (ghz(3), qft(3), qaoa(3))


def run(self, code, circuit):
    names = {{}}
    exec(code, names)
    return names["state"]
"""

_CLASS = """

class Test{name}({kit}):
    {attribute} = {source}
    {more}
"""


def _source(kind: str, name: str) -> str:
    return f"parts.offered(parts.{name})" if kind == "services" else f"parts.{name}"


@pytest.mark.parametrize("kind", CASES)
def test_kit(kind: str, pytester: pytest.Pytester) -> None:
    right, more, wrong = CASES[kind]
    kit, attribute = KITS[kind], kind.removesuffix("s")
    code = _HEAD.format(tests=str(_TESTS), kit=kit)
    for name in (right, *wrong):
        source = _source(kind, name)
        code += _CLASS.format(name=name, kit=kit, attribute=attribute, source=source, more=more or "pass")
    pytester.makepyfile(test_kit=code)
    run = pytester.runpytest_inprocess(
        "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestUnraisableExceptionWarning"
    )
    passed, _, failed = run.reprec.listoutcomes()
    explained = {tuple(report.nodeid.split("::")[1:]): report.longreprtext for report in failed}
    assert {check: text for (case, check), text in explained.items() if case == f"Test{right}"} == {}
    assert len([report for report in passed if f"::Test{right}::" in report.nodeid]) >= 3
    for name, (check, phrase) in wrong.items():
        text = explained.get((f"Test{name}", check))
        assert text is not None, (
            f"{name}: {check} found nothing; failed were {[c for n, c in explained if n == f'Test{name}']}"
        )
        assert phrase in text
        assert "expected:" in text


def test_a_late_cancel_is_told_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(Algorithm):
        name = "late"

        def execute(self, circuit: object, params: object, **more: object) -> NoReturn:
            time.sleep(0.1)
            raise CancelledError("late")

    class Case(AlgorithmConformance):
        algorithm = Late

    monkeypatch.setattr("proxima_sdk.conformance.kinds.algorithm._STOP_SECONDS", 0.05)
    with pytest.raises(pytest.fail.Exception, match=r"got: +the error after 0\.[1-9] s"):
        Case().test_cancel()


def test_an_algorithm_that_ends_at_once_is_not_blamed() -> None:
    class AtOnce(Algorithm):
        name = "at-once"

        def execute(self, circuit: object, params: object, *, progress: Progress, **more: object) -> AlgorithmResult:
            progress(0.5, "half")
            return AlgorithmResult(1.0)

    class Case(AlgorithmConformance):
        algorithm = AtOnce

    with pytest.raises(pytest.skip.Exception, match="ends before it can be stopped"):
        Case().test_cancel_while_it_runs()


def test_a_provider_that_cannot_be_reached_is_skipped_with_the_reason(pytester: pytest.Pytester) -> None:
    kit = KITS["llm_providers"]
    code = _HEAD.format(tests=str(_TESTS), kit=kit)
    code += _CLASS.format(name="Away", kit=kit, attribute="llm_provider", source="parts.EchoAway", more="pass")
    pytester.makepyfile(test_kit=code)
    run = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider")
    passed, skipped, failed = run.reprec.listoutcomes()
    assert failed == []
    assert "test_models" in {report.nodeid.rpartition("::")[2] for report in passed}
    assert any("echo cannot be reached" in report.longrepr[2] for report in skipped)


def test_every_kind_has_a_kit() -> None:
    from proxima.plugins.manifest import KINDS

    assert set(KITS) == set(KINDS)
    for kind, kit in zip(KITS, _KITS, strict=True):
        assert hasattr(kit, kind.removesuffix("s"))
        assert kit.conformance_version == proxima_sdk.conformance.CONFORMANCE_VERSION
