"""What all stand-ins have: their name, their attributes, and the way to the worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from proxima.sandbox.host import Offer, Worker
from proxima.sandbox.interfaces import INTERFACES

if TYPE_CHECKING:
    from proxima.contracts.backend import CancelToken
    from proxima.contracts.execution import Progress

QUESTION_SECONDS = 30.0
"""How long a plugin may take to answer what is asked before, or told after, the work that the user wants."""

_QUESTIONS = frozenset({"probe", "estimate", "recognises", "default_params", "definition"})

GetWorker = Callable[[], Worker]
"""The plugin's worker; starts one where there is none."""


class Proxy:
    """A stand-in.

    Args:
        worker: Asked for each call, because a worker that ended is replaced.
        offer: What the worker said of the object.
    """

    def __init__(self, worker: GetWorker, offer: Offer) -> None:
        self._worker = worker
        self._kind = offer.kind
        self.name = offer.name
        for name, value in offer.attributes.items():
            setattr(self, name, value)

    def _ask(
        self, method: str, *, cancel: CancelToken | None = None, progress: Progress | None = None, **arguments: Any
    ) -> Any:
        worker = self._worker()
        return worker.call(
            "call",
            {"kind": self._kind, "name": self.name, "method": method, "arguments": arguments},
            returns=INTERFACES[self._kind].methods[method],
            cancel=cancel,
            progress=progress,
            wall=short(worker) if method in _QUESTIONS else None,
        )


def short(worker: Worker) -> float:
    """How long a worker may take for a question."""
    return min(worker.policy.limits.wall_seconds, QUESTION_SECONDS)
