"""`Explanation`: every backend held against a request, with what its estimate is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from proxima.contracts.backend import RunRequest
from proxima_execution.judging import Offer, Price, Refusal
from proxima_execution.selection import selection_of


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would be run where, and why.

    Attributes:
        request: As it was prepared, before it is adapted to a backend.
        notes: On what was done to prepare it.
        offers: The backends that can run it; `auto` takes the first.
        refusals: Those that cannot.
    """

    request: RunRequest
    notes: tuple[str, ...]
    offers: tuple[Offer, ...]
    refusals: tuple[Refusal, ...]

    @property
    def chosen(self) -> str | None:
        """The backend that `auto` takes; ``None`` where none can."""
        return self.offers[0].candidate.backend if self.offers else None

    @property
    def reason(self) -> str:
        """Why that one, in one line."""
        if not self.offers:
            return "no installed backend can run this circuit"
        return selection_of(self.offers, self.refusals).reason

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data; times are in seconds, ``null`` where there is no estimate."""
        request = self.request
        return {
            "circuit": {
                "name": request.circuit.name,
                "num_qubits": request.circuit.num_qubits,
                "num_operations": len(request.circuit),
            },
            "request": {
                "wants": list(request.wants),
                "shots": request.shots,
                "precision": request.precision,
                "observables": [str(observable) for observable in request.observables],
                "options": dict(request.options),
            },
            "notes": list(self.notes),
            "chosen": self.chosen,
            "reason": self.reason,
            "candidates": [
                *(_offer(offer) for offer in self.offers),
                *(
                    {
                        "backend": refusal.candidate.backend,
                        "feasible": False,
                        "reason": refusal.candidate.reason,
                        "hint": refusal.error.hint or "",
                    }
                    for refusal in self.refusals
                ),
            ],
        }


def basis(price: Price) -> str:
    """What the estimated time rests on, in words."""
    told = "shipped rates" if price.rates.typical is None else f"calibrated, fits to {price.rates.typical:.2f}x"
    correction = price.correction
    if not correction.runs:
        return told
    runs = f"{correction.runs} past run{'s'[: correction.runs > 1]}"
    if correction.typical is not None:
        runs += f", which it misses by {correction.typical:.2f}x"
    if abs(math.log(correction.factor)) > 0.05:
        runs += f"; times {correction.factor:.2g}"
    return f"{told}; {runs}"


def _offer(offer: Offer) -> dict[str, Any]:
    price = offer.price
    seconds = {
        "run": price.run_seconds,
        "translation": price.translation_seconds,
        "import": price.import_seconds,
        "total": price.seconds,
    }
    return {
        "backend": offer.candidate.backend,
        "feasible": True,
        "method": price.estimate.method,
        "reason": offer.candidate.reason,
        "seconds": {k: v if v is not None and math.isfinite(v) else None for k, v in seconds.items()},
        "memory_bytes": price.estimate.memory_bytes,
        "rates": {
            "source": "manifest" if price.rates.typical is None else "calibration",
            "typical_error": price.rates.typical,
        },
        "past_runs": {
            "number": price.correction.runs,
            "factor": price.correction.factor,
            "typical_error": price.correction.typical,
            "cold": price.kind.cold,
        },
        "notes": list(offer.adapted.notes),
    }
