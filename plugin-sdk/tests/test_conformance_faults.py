"""The kit passes a right backend, and finds each fault of a wrong one and says what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

# Imported here, so that pytester's inner runs, which forget what they import, need not load numpy twice.
import proxima_sdk.conformance.backend  # noqa: F401

pytest_plugins = ["pytester"]

_TESTS = Path(__file__).parent
_SLOW = "not (cancel or deadline or engine or import_no)"


@dataclass(frozen=True)
class Outcome:
    passed: set[str]
    skipped: dict[str, str]
    failed: dict[str, str]


def run_kit(pytester: pytest.Pytester, backend: str, select: str = "", capabilities: str = "CAPABILITIES") -> Outcome:
    """Runs the kit on a backend of reference_backend.py; checks by name, with the reason or explanation."""
    # A neutral name, because -k looks at it too.
    pytester.makepyfile(
        test_kit=f"""
        import sys

        sys.path.insert(0, {str(_TESTS)!r})

        import reference_backend
        from proxima_sdk.conformance import BackendConformance


        class TestFault(BackendConformance):
            backend = reference_backend.{backend}
            capabilities = reference_backend.{capabilities}
            engine_module = reference_backend.ENGINE
        """
    )
    run = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", *(("-k", select) if select else ()))
    passed, skipped, failed = run.reprec.listoutcomes()

    def name(report: pytest.TestReport) -> str:
        return report.nodeid.rpartition("::")[2]

    return Outcome(
        {name(report) for report in passed},
        {name(report): report.longrepr[2] for report in skipped},
        {name(report): report.longreprtext for report in failed},
    )


def expect(outcome: Outcome, explanations: dict[str, str]) -> None:
    for check, phrase in explanations.items():
        assert check in outcome.failed, f"{check} found nothing; failed were {sorted(outcome.failed)}"
        assert phrase in outcome.failed[check]


def test_passes_the_right_backend(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "ReferenceBackend")
    assert outcome.failed == {}
    assert len(outcome.passed) > 150
    assert {"test_cancel[gates]", "test_engine_absent", "test_engine_broken"} <= outcome.passed


def test_passes_a_limited_backend_and_says_what_it_skipped(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "LimitedBackend", _SLOW, "LIMITED")
    assert outcome.failed == {}
    assert {"test_gate[rx]", "test_gate_on_every_qubit_order[cx]"} <= outcome.passed
    assert "test_undeclared_operations_are_refused_by_name" in outcome.passed
    assert "limited does not declare the operation 'ccx'" in outcome.skipped["test_gate[ccx]"]
    assert "limited does not declare the want 'expectation'" in outcome.skipped["test_expectation_values"]


def test_finds_a_rotation_sign_without_states(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "LimitedReversedRotationSign", "test_gate", "LIMITED")
    assert set(outcome.failed) == {"test_gate[rx]"}
    expect(outcome, {"test_gate[rx]": "rotation sign reversed"})


def test_passes_a_small_backend_with_gates_of_its_own(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "NativeBackend", "not (cancel or deadline)", "NATIVE")
    assert outcome.failed == {}
    assert {
        "test_gate[rxx]",
        "test_endianness_on_many_qubits",
        "test_random_circuit[0-double]",
        "test_runs_in_threads_agree_with_runs_in_turn",
        "test_every_declared_method_works",
        "test_undeclared_operations_are_refused_by_name",
        "test_estimate[qft]",
        "test_noise_model",
        "test_teleportation",
        "test_gradient[double]",
        "test_engine_absent",
    } <= outcome.passed
    assert "native does not declare the operation 'h'" in outcome.skipped["test_gate[h]"]


def test_finds_a_sign_of_a_backend_with_gates_of_its_own(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "NativeReversedRotationSign", "test_gate and rx", "NATIVE")
    expect(outcome, {"test_gate[rx]": "rotation sign reversed"})


def test_skips_what_a_backend_is_too_small_for(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "TwoQubits", "idle or subset or undeclared or shots", "TWO_QUBITS")
    assert outcome.failed == {}
    assert "test_undeclared_operations_are_refused_by_name" in outcome.passed
    assert "takes 2 qubits, and the check 4" in outcome.skipped["test_measured_subset"]


def test_finds_what_is_left_out_where_it_is_not_known(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "CarelessBackend", "undeclared_operations", "LIMITED")
    expect(outcome, {"test_undeclared_operations_are_refused_by_name": "counts that are not right"})


def test_a_list_may_leave_out_what_is_run_rightly(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "ReferenceBackend", "undeclared_operations", "GATES_OF_ITS_OWN")
    assert outcome.passed == {"test_undeclared_operations_are_refused_by_name"}


def test_a_device_is_judged_by_what_it_can_be(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "Device", "not (cancel or deadline)", "DEVICE")
    assert outcome.failed == {}
    assert {
        "test_endianness_of_counts",
        "test_permuted_classical_bits",
        "test_shots_are_honoured[1000]",
        "test_result_describes_the_run",
        "test_undeclared_operations_are_refused_by_name",
        "test_estimate[qft]",
        "test_engine_absent",
    } <= outcome.passed
    assert "device takes no seeds" in outcome.skipped["test_same_seed_gives_same_counts"]
    assert "device is a noisy device" in outcome.skipped["test_gate[rx]"]
    assert "device is a noisy device" in outcome.skipped["test_expectation_values"]


def test_finds_flipped_endianness_of_a_device(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "DeviceFlippedEndianness", "endianness", "DEVICE")
    expect(outcome, {"test_endianness_of_counts": "the most frequent outcome\n  expected:     '001'"})


def test_checks_what_it_can_where_a_service_cannot_be_reached(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "Unreachable")
    assert outcome.failed == {}
    assert {"test_probe", "test_estimate[ghz]", "test_engine_absent"} <= outcome.passed
    assert "no_device: the service cannot be reached" in outcome.skipped["test_gate[rx]"]


def test_finds_flipped_endianness(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "FlippedEndianness", _SLOW)
    expect(
        outcome,
        {
            "test_endianness_of_states": "looks big-endian",
            "test_endianness_of_counts": "looks big-endian",
            "test_gate[rx]": "looks big-endian",
            "test_array[statevector-double]": "looks big-endian",
            "test_random_circuit[0-double]": "looks big-endian",
        },
    )


def test_finds_reversed_rotation_sign(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "ReversedRotationSign", _SLOW)
    expect(outcome, {"test_gate[rx]": "rotation sign reversed"})
    assert "exp(-i theta X / 2)" in outcome.failed["test_gate[rx]"]
    assert [check for check in outcome.failed if check.startswith(("test_gate", "test_endian", "test_channel"))] == [
        "test_gate[rx]"
    ]


def test_finds_dropped_idle_qubit(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "DroppedIdleQubit", _SLOW)
    expect(
        outcome,
        {
            "test_idle_qubits_are_kept[(1, 3)]": "idle qubit dropped",
            "test_idle_qubits_are_kept[(0,)]": "idle qubit dropped",
            "test_endianness_of_states": "idle qubit dropped",
        },
    )
    assert not [check for check in outcome.failed if check.startswith("test_gate")]


def test_finds_ignored_seed(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "IgnoredSeed", _SLOW)
    expect(
        outcome,
        {"test_same_seed_gives_same_counts": "seed ignored", "test_plan_can_be_run_again": "a plan run twice"},
    )
    assert not [check for check in outcome.failed if check.startswith(("test_gate", "test_array", "test_idle"))]


def test_finds_constant_seed(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "ConstantSeed", "seed or test_gate")
    assert set(outcome.failed) == {"test_different_seeds_give_different_counts"}
    expect(outcome, {"test_different_seeds_give_different_counts": "seed ignored"})


def test_finds_another_depolarizing_convention(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "OtherDepolarizing", "channel")
    assert set(outcome.failed) == {"test_channel[depolarizing]"}
    expect(outcome, {"test_channel[depolarizing]": "weight of the maximally mixed state"})


def test_finds_dropped_classical_bits(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "DroppedClassicalBits", "subset or unwritten or permuted")
    assert set(outcome.failed) == {"test_measured_subset", "test_unwritten_classical_bits_stay_zero"}
    expect(outcome, {"test_measured_subset": "unwritten classical bits dropped"})


def test_finds_single_precision_given_for_double(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "SingleForDouble", "test_array or random_circuit")
    phrase = "less than double precision"
    expect(outcome, {"test_array[statevector-double]": phrase, "test_random_circuit[1-double]": phrase})
    assert not [check for check in outcome.failed if "single" in check]


def test_finds_ignored_cancel(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "IgnoredCancel", "test_cancel and gates or test_deadline and gates")
    expect(outcome, {"test_cancel[gates]": "cancel ignored", "test_deadline[gates]": "cancel ignored"})


def test_finds_a_missing_shot(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "ShotsOffByOne", "shots_are")
    expect(outcome, {"test_shots_are_honoured[7]": "shots off by one"})


def test_finds_exchanged_control_and_target(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "ExchangedControlOfCrx", "test_gate")
    assert set(outcome.failed) == {"test_gate[crx]", "test_gate_on_every_qubit_order[crx]"}
    expect(outcome, {"test_gate[crx]": "control and target exchanged"})


def test_finds_ignored_conditions(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "IgnoredCondition", "condition or middle")
    expect(outcome, {"test_condition[bits(0,)==1]": "the condition is ignored"})
    assert "test_measurement_in_the_middle" in outcome.passed


def test_finds_channels_whose_condition_is_ignored(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "UnconditionalNoise", "condition or noise")
    assert set(outcome.failed) == {"test_noise_under_a_condition"}
    expect(outcome, {"test_noise_under_a_condition": "the condition of channels is ignored"})


def test_finds_one_history_given_for_the_average(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "OneHistory", "expectation or probabilities or density")
    expect(
        outcome,
        {
            "test_probabilities_under_noise": "noise is left out",
            "test_expectation_under_noise": "noise is left out",
            "test_probabilities_of_a_dynamic_circuit": "element [00] = 0.75",
            "test_expectation_of_a_dynamic_circuit": "expectation value of",
        },
    )
    assert len(outcome.failed) == 4


def test_finds_a_method_that_is_another(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "OtherMethod", "declared_method", "TWO_METHODS")
    expect(outcome, {"test_every_declared_method_works": "RunResult.method == 'trajectories'"})


def test_finds_an_estimate_that_takes_too_much(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "Greedy", "memory or estimate")
    expect(outcome, {"test_memory_is_refused_before_it_is_taken": "40 entangled qubits"})


def test_finds_stale_angles_after_bind(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "StaleBind", "bound or plan_can")
    assert set(outcome.failed) == {"test_bound_plans_equal_a_loop"}
    expect(outcome, {"test_bound_plans_equal_a_loop": "the angles of the first plan are still in it"})


def test_finds_a_batch_that_is_no_loop(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "BatchOfTheFirst", "batch or bound")
    names = [f"test_a_batch_equals_a_loop[{want}]" for want in ("counts", "statevector", "expectation")]
    assert sorted(outcome.failed) == sorted(names)
    expect(outcome, dict.fromkeys(names[1:], "the batch has another's angles"))


def test_finds_a_generator_that_a_batch_shares(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "BatchWithOneGenerator", "batch or bound")
    assert list(outcome.failed) == ["test_a_batch_equals_a_loop[counts]"]
    expect(outcome, {"test_a_batch_equals_a_loop[counts]": "is shared by the batch"})


def test_finds_an_uncaught_import_error(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "UncaughtImport", "engine or probe_and")
    expect(outcome, {"test_engine_absent": "is not caught", "test_engine_broken": "is not caught"})
    assert "test_probe_and_estimate_import_no_engine" in outcome.passed


def test_finds_an_engine_imported_by_probe(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "EagerProbe", "engine or probe_and")
    expect(outcome, {"test_probe_and_estimate_import_no_engine": "module-level import"})


def test_finds_capabilities_that_say_too_much(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "LimitedBackend", "test_gate", "CAPABILITIES")
    expect(outcome, {"test_gate[ccx]": "capabilities in the manifest say more than the backend does"})


def test_summary_counts_checks_and_gives_reasons_for_skipping(pytester: pytest.Pytester) -> None:
    # A neutral name, because -k looks at it too.
    pytester.makepyfile(
        test_kit=f"""
        import sys

        sys.path.insert(0, {str(_TESTS)!r})

        import reference_backend
        from proxima_sdk.conformance import BackendConformance


        class TestLimited(BackendConformance):
            backend = reference_backend.LimitedBackend()
            capabilities = reference_backend.LIMITED
        """
    )
    run = pytester.runpytest_inprocess("-q", "-k", "endianness or expectation_values or engine_absent")
    run.stdout.fnmatch_lines(
        [
            "*Proxima conformance kit, version 5*",
            "TestLimited: 3 passed, 2 skipped",
            "  skipped 1: limited does not declare the want 'expectation' (capabilities.wants)",
            "  skipped 1: limited has no engine_module: nothing to hide",
        ]
    )


def test_finds_a_forgotten_coefficient_of_a_gradient(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "ForgottenCoefficient", "test_gradient")
    expect(outcome, {"test_gradient[double]": "the chain rule"})
    assert "test_gradient_by_every_angle[rx]" in outcome.passed


def test_finds_gradients_in_another_order(pytester: pytest.Pytester) -> None:
    outcome = run_kit(pytester, "SortedParameters", "test_gradient")
    expect(outcome, {"test_gradient[double]": "sorted by name"})
