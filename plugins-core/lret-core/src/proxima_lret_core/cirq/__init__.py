"""The low-rank simulator for those who write Cirq; needs `cirq-core`, which is imported with this package.

`translate` makes a circuit of the contract from one of Cirq's, `LowRankSimulator` has Cirq's own interfaces.
"""

from proxima_lret_core.cirq.conditions import Record
from proxima_lret_core.cirq.engine import Engine, SamplingEngine, State
from proxima_lret_core.cirq.simulator import LowRankSimulator
from proxima_lret_core.cirq.translation import Translation, translate
from proxima_lret_core.cirq.trial_result import LowRankFinalState, LowRankTrialResult
from proxima_lret_core.cirq.writing import to_cirq

__all__ = [
    "Engine",
    "LowRankFinalState",
    "LowRankSimulator",
    "LowRankTrialResult",
    "Record",
    "SamplingEngine",
    "State",
    "Translation",
    "to_cirq",
    "translate",
]
