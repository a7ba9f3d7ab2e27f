"""Makes a version and tries it: of what the resolver answers, or ahead of that, of what it answered before."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

from proxima.errors import CancelledError, DeadlineExceededError, ProximaError
from proxima.store.errors import ProbeError
from proxima.store.job import Job
from proxima.store.preparing import Closure, Prepared, Workbench
from proxima.store.room import Room
from proxima.store.sources import Source

if TYPE_CHECKING:
    from proxima.store.probe import Prober


class Tried(NamedTuple):
    """A version that was made and tried.

    Attributes:
        closure: What it was to be made of.
        notes: What the trial could not try.
    """

    closure: Closure
    made: Prepared
    notes: tuple[str, ...]


class Making:
    """What one transaction makes; what of it was not put in place is gone when it ends.

    Args:
        workbench: Where it is made.
        prober: Makes what tries it, given a directory for its files.
        source: What it is made from.
        trusted: The user lets it run in-process.
        job: How long it may take.
        wanted: Called with a version before it is tried: whether it runs already, or why it may not be put in place.
    """

    def __init__(
        self,
        workbench: Workbench,
        prober: Callable[[str], Prober],
        source: Source,
        trusted: bool,
        job: Job,
        wanted: Callable[[Prepared], bool],
    ) -> None:
        self.trusted, self.job = trusted, job
        self._workbench, self._new_prober, self._source, self._wanted = workbench, prober, source, wanted
        self._room = Room(workbench.layout)
        self._last: Tried | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._discard()
        if "_prober" in self.__dict__:
            self._prober.close()
        self._room.close()

    @cached_property
    def _prober(self) -> Prober:
        return self._new_prober(self._room.path)

    def resolve(self, version: str | None) -> Closure:
        """What the source stands for; see `Workbench.resolve`."""
        return self._workbench.resolve(
            self._source,
            self.job,
            version=version,
            trusted=self.trusted,
            room=self._room.path,
            ahead=self._ahead,
        )

    def tried(self, closure: Closure) -> Tried:
        """The version that is made of these wheels, tried; made anew where another transaction came in between.

        Raises:
            ProbeError: It is not what its manifest says.
            WheelError, FetchError, StorageError: As `Workbench.fetch` and `Workbench.lay_out` say.
        """
        last = self._last
        if last is None or not last.closure.is_like(closure) or not self._workbench.stands(last.made):
            self._discard()
            last = self._last = self._make(closure)
            self._workbench.remember(closure, self._source)
        return last

    def _ahead(self, expected: Closure | None) -> None:
        # The index may have taken such a version back since: it is run in a lock or not at all.
        if expected is None or not self._workbench.has(expected) or not self._prober.always_locks:
            self._prober.load()
            return
        try:
            self.tried(expected)
            self._prober.close()  # takes a while, and the answer is still waited for
        except (CancelledError, DeadlineExceededError):
            raise
        except ProximaError:
            return  # what is wrong with this version is told if it is the answer

    def _make(self, closure: Closure) -> Tried:
        found, wheels = self._workbench.fetch(closure, self.job)
        for pin in found.pins:
            if pin.name == "numpy":
                self._prober.expect(pin.version)
        wanted = False

        def meanwhile(made: Prepared) -> None:
            nonlocal wanted
            wanted = self._wanted(made)
            if wanted:
                self._prober.load()

        place = (self._source, self.trusted, self._room.path, self.job)
        made = self._workbench.lay_out(found, wheels, *place, meanwhile)
        try:
            return Tried(closure, made, self._notes(made) if wanted else ())
        except BaseException:
            made.discard()
            raise

    def _notes(self, made: Prepared) -> tuple[str, ...]:
        """Tries it in a worker; gives what could not be tried."""
        self.job.step("probe")
        self.job.progress(None, f"trying {made.found.id} {made.found.version}")
        report = self._prober(made.site, made.manifest, made.found.target, made.found.trusted)
        if report.ok:
            return tuple(str(each) for each in report.problems)
        wrong = [each for each in report.problems if each.level == "error"]
        error = ProbeError(
            f"{made.found.id} {made.found.version} failed its trial: " + "; ".join(map(str, wrong)),
            hint=next((each.hint for each in wrong if each.hint), None),
            plugin=made.found.id,
        )
        if report.traceback:
            error.add_note(report.traceback)
        raise error

    def _discard(self) -> None:
        if self._last is not None:
            self._last.made.discard()
            self._last = None
