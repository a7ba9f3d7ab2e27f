"""Choosing a backend: each installed one says whether it can, in what time and memory, and the quickest runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

from proxima.cli.output import format_seconds
from proxima.contracts.result import Selection
from proxima.errors import ResourceError, UnavailableError
from proxima_execution.adaptation import Adaptations
from proxima_execution.judging import Floor, Judge, Offer, Refusal

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_JUDGING = 1e-4  # seconds that judging one backend takes, about


class Selector:
    """Chooses among the installed backends.

    Importing an engine can take longer than a thousand small runs, so a fresh process prefers a slower engine with a
    cheap import. In a process that goes on that would be wrong for ever: so the time lost by avoiding an import is
    credited against it, and once the loss equals the cost the engine is imported. This is the ski-rental rule; it never
    costs more than twice what knowing the future would (Karlin, Manasse, Rudolph, Sleator 1988).
    """

    def __init__(self, kernel: Kernel, judge: Judge) -> None:
        self._kernel = kernel
        self._judge = judge
        self._credit: dict[str, float] = {}

    def choose(self, name: str, asked: Adaptations) -> tuple[Offer, Selection]:
        """The backend that runs the request: the named one if it can, or for ``auto`` the quickest.

        Raises:
            NotFoundError: No backend is called that; the hint has the nearest names.
            UnsupportedError, ResourceError, BackendUnavailableError, PluginError: The named one cannot.
            UnavailableError: None can; the message says why for each.
        """
        if name != "auto":
            return self._named(name, asked)
        offers, refusals, unasked = self._likely(asked)
        if not offers:
            raise _none_can(refusals)
        chosen = offers[0]
        for other in offers[1:]:
            if other.price.import_seconds and other.price.run_seconds < chosen.price.run_seconds:
                saved = chosen.price.run_seconds - other.price.run_seconds
                self._credit[other.candidate.backend] = self._credit.get(other.candidate.backend, 0.0) + saved
        return chosen, selection_of(offers, refusals, unasked)

    def _likely(self, asked: Adaptations) -> tuple[list[Offer], list[Refusal], dict[str, float]]:
        """Judges the backends with the cheapest runs first, until no other could save what judging it takes.

        Returns:
            The offers, the one to take first; the refusals; and the backends that were not asked, each with the seconds
            that a run takes there at least.
        """
        floors = [(self._charged(floor), floor) for floor in self._judge.floors(asked)]
        offers: list[tuple[tuple[float, str], Offer]] = []
        refusals: list[Refusal] = []
        unasked: dict[str, float] = {}
        for least, floor in sorted(floors, key=itemgetter(0)):
            contribution = floor.contribution
            if offers:
                (cost, _), best = min(offers, key=itemgetter(0))
                # The second holds for credit too, which grows by what an import that is avoided would have saved.
                if least >= cost - _JUDGING and floor.run_seconds >= best.price.run_seconds - _JUDGING:
                    unasked[contribution.name] = least
                    continue
            judgement = self._judge.barred(contribution) or self._judge.judge(contribution, asked)
            if isinstance(judgement, Refusal):
                refusals.append(judgement)
            else:
                offers.append((self._cost(judgement), judgement))
        return [offer for _, offer in sorted(offers, key=itemgetter(0))], refusals, unasked

    def candidates(self, asked: Adaptations, *, fit: bool = False) -> tuple[list[Offer], list[Refusal]]:
        """The backends that can run the request, the one to take first, and those that cannot; each is judged.

        Args:
            asked: What is to be run.
            fit: Whether to say how well the estimates of past runs fit, which takes longer.
        """
        judgements = [
            self._judge.barred(c) or self._judge.judge(c, asked, fit=fit)
            for c in self._kernel.contributions("backends")
        ]
        offers = sorted((j for j in judgements if isinstance(j, Offer)), key=self._cost)
        return offers, [j for j in judgements if isinstance(j, Refusal)]

    def _charged(self, floor: Floor) -> float:
        charge = max(floor.import_seconds - self._credit.get(floor.contribution.name, 0.0), 0.0)
        return floor.run_seconds + charge

    def _cost(self, offer: Offer) -> tuple[float, str]:
        name = offer.candidate.backend
        charge = max(offer.price.import_seconds - self._credit.get(name, 0.0), 0.0)
        return offer.price.run_seconds + charge, name

    def _named(self, name: str, asked: Adaptations) -> tuple[Offer, Selection]:
        contributions = self._kernel.contributions("backends")
        mine = next((c for c in contributions if c.name == name), None)
        if mine is None:
            self._kernel.get("backends", name)  # raises, with the nearest names or what is wrong with its plugin
            raise UnavailableError(f"the backend {name!r} is not among the installed ones")
        judgement = self._judge.judge(mine, asked)
        if isinstance(judgement, Refusal):
            others = [self._judge.judge(c, asked) for c in contributions if c is not mine]
            can = sorted(j.candidate.backend for j in others if isinstance(j, Offer))
            refusal = judgement.error
            advice = f"{' or '.join(can)} can run it" if can else "no other installed backend can run it either"
            refusal.hint = f"{refusal.hint}; {advice}" if refusal.hint else advice
            raise refusal
        return judgement, Selection(name, "asked for by name", (judgement.candidate,))


def selection_of(
    offers: Sequence[Offer], refusals: Sequence[Refusal], unasked: Mapping[str, float] = MappingProxyType({})
) -> Selection:
    """The choice as it is recorded.

    Args:
        offers: At least one; the first was chosen.
        refusals: Of those that cannot.
        unasked: Those that were not asked, with the seconds that a run takes there at least.
    """
    chosen = offers[0]
    candidates = (*(offer.candidate for offer in offers), *(refusal.candidate for refusal in refusals))
    reason = _reason(chosen, offers[1:], len(candidates), unasked)
    if unasked:
        slower = [f"{name} ({format_seconds(least)})" for name, least in unasked.items() if least < math.inf]
        if slower:
            reason += f"; not asked, by the time that any run takes there: {', '.join(slower)}"
        if unable := [name for name, least in unasked.items() if least == math.inf]:
            reason += f"; not asked, as they could not run such a circuit before: {', '.join(unable)}"
    return Selection(chosen.candidate.backend, reason, candidates)


def _reason(chosen: Offer, others: Sequence[Offer], asked: int, unasked: Mapping[str, float]) -> str:
    """Why this one, in one line."""
    name, ours = chosen.candidate.backend, chosen.price.seconds
    text = f"{name}: {format_seconds(ours)} estimated"
    if not others:
        if unasked:
            pays_off = chosen.price.import_seconds and ours > min(unasked.values())
            return f"{text}, and importing {name} now pays off" if pays_off else text
        return f"{text}, the only backend installed" if asked == 1 else f"{text}, the only backend that can run it"
    second = others[0]
    theirs = second.price.seconds
    factor = theirs / ours if ours > 0 and math.isfinite(theirs) else math.inf
    if factor < 1.0:
        text += f", and importing {name} now pays off"
    elif factor < 1.1:
        text += f", about as fast as {second.candidate.backend}"
    elif math.isfinite(factor):
        text += f", {factor:.1f}x faster than {second.candidate.backend}".replace(".0x", "x")
    else:
        text += f"; for {second.candidate.backend} there is no estimate"
    quicker = [o for o in others if o.price.run_seconds < chosen.price.run_seconds and o.price.import_seconds]
    if quicker:
        best = min(quicker, key=lambda o: o.price.run_seconds)
        text += (
            f" ({best.candidate.backend} would take {format_seconds(best.price.run_seconds)}, "
            f"but importing it {format_seconds(best.price.import_seconds)})"
        )
    return text


def _none_can(refusals: Iterable[Refusal]) -> UnavailableError:
    judged = list(refusals)
    if not judged:
        return UnavailableError("no backend is installed", hint="install one, e.g. `pip install proxima-quantum`")
    lines = [f"  {j.candidate.backend}: {j.candidate.reason}" for j in judged]
    kind = ResourceError if all(isinstance(j.error, ResourceError) for j in judged) else UnavailableError
    hints = sorted({j.error.hint for j in judged if j.error.hint})
    return kind("no installed backend can run this circuit:\n" + "\n".join(lines), hint="; ".join(hints) or None)
