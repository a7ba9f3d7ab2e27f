"""What surrounds one run: its identity, its events, how it is stopped, and who is to blame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from proxima.contracts.backend import CancelToken, RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import Progress, RunOptions
from proxima.contracts.records import new_run_id
from proxima.errors import CancelledError, ProximaError, ResourceError, RunError
from proxima.events import ProgressUpdate, RunCompleted, RunStarted, StageChanged
from proxima.plugins.manifest import Contribution
from proxima_execution.host import processor_count

if TYPE_CHECKING:
    from proxima.kernel import Kernel

PLUGIN = "execution"


class OneRun:
    """One run's identity and surroundings."""

    def __init__(
        self,
        kernel: Kernel,
        circuit: Circuit,
        options: RunOptions,
        cancel: CancelToken | None,
        progress: Progress | None,
    ) -> None:
        self.id = new_run_id()
        self.circuit = circuit
        self.options = options
        self._publish = kernel.events.publish
        self._progress = progress
        self.planned: float | None = None  # when translating began; not where an earlier plan is used again
        self.context = RunContext(
            threads=options.threads or processor_count(),
            deadline=None if options.deadline is None else time.monotonic() + options.deadline,
            cancel=cancel or CancelToken(),
            progress=self.report,
        )

    def report(self, fraction: float | None, message: str) -> None:
        """Tells the bus and whoever started the run how far it is."""
        self._publish(ProgressUpdate(source=PLUGIN, run_id=self.id, fraction=fraction, message=message))
        if self._progress is not None:
            self._progress(fraction, message)

    def enter(self, stage: str) -> None:
        """Tells the bus that the run entered a stage."""
        self._publish(StageChanged(source=PLUGIN, run_id=self.id, stage=stage))

    @contextmanager
    def announced(self, backend: str) -> Iterator[None]:
        """Tells the bus that the run began and how it ended."""
        self._publish(RunStarted(source=PLUGIN, run_id=self.id, circuit=self.circuit.name, backend=backend))
        status, detail = "failed", ""
        try:
            yield
            status = "completed"
        except (KeyboardInterrupt, CancelledError) as error:
            self.context.cancel.cancel()  # whatever the backend runs beside this thread stops too
            status, detail = "cancelled", str(error) or "interrupted"
            raise
        except BaseException as error:
            detail = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._publish(RunCompleted(source=PLUGIN, run_id=self.id, status=status, detail=detail))


@contextmanager
def blamed(contribution: Contribution) -> Iterator[None]:
    """What a backend raises and is no `ProximaError` becomes one that names it."""
    try:
        yield
    except ProximaError:
        raise
    except MemoryError as error:
        raise ResourceError(
            f"{contribution.name} ran out of memory", hint="ask for fewer qubits or another method"
        ) from error
    except Exception as error:
        raise RunError(
            f"{contribution.name} failed: {type(error).__name__}: {error}", plugin=contribution.plugin
        ) from error
