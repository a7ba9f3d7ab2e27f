"""The provider: times of gates from the settings, along the critical path."""

from __future__ import annotations

from my_plugin.contract import Durations
from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.operations import CHANNELS, Op
from proxima_sdk import Service


class GateTimes(Service, Durations):
    """Operations on different qubits happen at once; noise takes no time, a barrier waits for all its qubits."""

    def seconds(self, circuit: Circuit) -> float:
        """See `Durations.seconds`."""
        times = {name: self._setting(name) for name in ("gate_1q", "gate_2q", "readout")}
        ready = [0.0] * (circuit.num_qubits + circuit.num_clbits)
        for instruction in circuit:
            wires = list(instruction.qubits)
            if instruction.clbit >= 0:
                wires.append(circuit.num_qubits + instruction.clbit)
            if instruction.condition is not None:
                wires += [circuit.num_qubits + bit for bit in instruction.condition.clbits]
            done = max((ready[wire] for wire in wires), default=0.0) + times.get(_kind(instruction), 0.0)
            for wire in wires:
                ready[wire] = done
        return max(ready, default=0.0)

    def _setting(self, name: str) -> float:
        return float(str(self.kernel.settings.get(f"plugins.my-plugin.{name}")))


def _kind(instruction: Instruction) -> str:
    if instruction.op in (Op.MEASURE, Op.RESET):
        return "readout"
    if instruction.op is Op.BARRIER or instruction.op in CHANNELS:
        return "nothing"
    return "gate_1q" if len(instruction.qubits) == 1 else "gate_2q"
