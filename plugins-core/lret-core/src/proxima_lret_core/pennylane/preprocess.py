"""What PennyLane does to a circuit before the device sees it."""

from __future__ import annotations

from typing import Any

import pennylane as qml
from pennylane.devices import ExecutionConfig
from pennylane.devices.capabilities import DeviceCapabilities, observable_stopping_condition_factory
from pennylane.devices.preprocess import (
    decompose,
    device_resolve_dynamic_wires,
    no_sampling,
    validate_adjoint_trainable_params,
    validate_device_wires,
    validate_measurements,
    validate_observables,
)
from pennylane.measurements import (
    ClassicalShadowMP,
    MeasurementProcess,
    SampleMeasurement,
    ShadowExpvalMP,
    StateMeasurement,
)
from pennylane.operation import Operator
from pennylane.tape import QuantumScript
from pennylane.transforms import broadcast_expand, defer_measurements, split_to_single_terms
from pennylane.transforms.core import CompilePipeline
from pennylane.wires import Wires

from proxima_lret_core.pennylane.tapes import DIFFERENTIABLE, accepts


def pipeline(
    capabilities: DeviceCapabilities, wires: Wires | None, name: str, config: ExecutionConfig
) -> CompilePipeline:
    """Defers measurements in the middle, decomposes what cannot be executed or differentiated, and checks the rest."""
    adjoint = config.gradient_method == "adjoint"

    def executes(operation: Operator) -> bool:
        if adjoint and any(qml.math.requires_grad(number) for number in operation.data):
            return operation.name in DIFFERENTIABLE
        return capabilities.supports_operation(operation) and accepts(operation)

    told = f"adjoint + {name}" if adjoint else name
    program = CompilePipeline()
    program.add_transform(defer_measurements, allow_postselect=False)
    program.add_transform(
        decompose,
        stopping_condition=executes,
        target_gates=capabilities.gate_set(differentiable=adjoint),
        device_wires=wires,
        skip_initial_state_prep=False,
        name=told,
    )
    program.add_transform(device_resolve_dynamic_wires, wires=wires, allow_resets=False)
    program.add_transform(_single_terms_of_shots)
    program.add_transform(broadcast_expand)
    program.add_transform(validate_device_wires, wires, name=name)
    program.add_transform(
        validate_measurements,
        analytic_measurements=lambda m: isinstance(m, StateMeasurement),
        sample_measurements=_takes_shots,
        name=name,
    )
    program.add_transform(
        validate_observables,
        stopping_condition=observable_stopping_condition_factory(capabilities.filter(finite_shots=False)),
        stopping_condition_shots=observable_stopping_condition_factory(capabilities.filter(finite_shots=True)),
        name=name,
    )
    if adjoint:
        program.add_transform(no_sampling, name=told)
        program.add_transform(validate_adjoint_trainable_params)
    return program


def _takes_shots(measurement: MeasurementProcess) -> bool:
    return isinstance(measurement, SampleMeasurement | ClassicalShadowMP | ShadowExpvalMP)


@qml.transform  # type: ignore[untyped-decorator]
def _single_terms_of_shots(tape: QuantumScript) -> Any:
    """Sums are measured term by term where there are shots."""
    return split_to_single_terms(tape) if tape.shots else ((tape,), lambda results: results[0])
