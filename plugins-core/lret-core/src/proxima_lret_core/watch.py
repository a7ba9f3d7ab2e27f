"""What a native call asks while it runs: whether to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from proxima.contracts.backend import RunContext
from proxima.errors import ProximaError, ResourceError, RunError
from proxima_lret_core._native import Cancelled, OutOfMemory


class Watch:
    """Checks a run's context and tells its progress, many times a second.

    Args:
        fraction: How much of the noise has been applied, in [0, 1]; ``None`` where that is not known.
        describe: What is going on, given the number of columns and what is spent.
    """

    def __init__(
        self,
        context: RunContext,
        fraction: Callable[[], float | None] = lambda: None,
        describe: Callable[[int, float], str] = lambda rank, spent: f"rank {rank}, {spent:.2g} of the budget spent",
    ) -> None:
        self._context = context
        self._fraction = fraction
        self._describe = describe
        self._stopped_by: BaseException | None = None

    def __call__(self, rank: int, spent: float) -> bool:
        """Whether to go on; what says no is raised by `guard`."""
        try:
            self._context.check()
            self._context.progress(self._fraction(), self._describe(rank, spent) if rank else "density matrix")
        except BaseException as stop:  # noqa: BLE001 - it must not pass through native threads; guard raises it
            self._stopped_by = stop
            return False
        return True

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turns what a native call raises into `proxima.errors`."""
        try:
            yield
        except Cancelled:
            assert self._stopped_by is not None
            raise self._stopped_by from None
        except OutOfMemory as error:
            needed, tolerance = error.args
            hint = "give the run more memory"
            if 0 < tolerance < 1:
                hint += f"; or a tolerance of {min(1.0, 1.05 * tolerance):.2g} or more, to pass the point it stopped at"
            raise ResourceError(
                f"the low-rank factor needs at least {needed:,.0f} bytes, more than it was given", hint=hint
            ) from None
        except ProximaError:
            raise
        except MemoryError as error:
            raise RunError("the machine has no memory left", hint="give the run a smaller memory limit") from error
