"""`Row`: one attempt of the corpus, and by what it is to be stopped."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class By(NamedTuple):
    """How an attempt fails, at each tier.

    An outcome is the name of an error number or of an exception, and after a colon what its text must hold:
    ``EPERM``, ``ProtocolError: is not a shape``. A bar stands between outcomes that are as good as each other.
    """

    a: str
    b: str


def by(a: str, b: str | None = None) -> By:
    return By(a, a if b is None else b)


FILTER = by("EPERM")  # seccomp; whatever else could answer EPERM does not answer it to the control
ABSENT = by("ENOSYS")  # seccomp, where libc is to fall back to an older call
KILLED = by("CrashedError: it made a system call that no plugin may make")
HIDDEN = by("ENOENT", "EACCES")  # not there at tier A; at tier B Landlock refuses it
UNSEEN = by("ENOENT", "")  # not there at tier A; tier B tells that it is
CLOSED = by("EACCES")  # Landlock
READ_ONLY = by("EROFS", "EACCES")  # a read-only mount at tier A, Landlock at tier B
ASKED = by("PermissionDeniedError: its manifest does not declare it")  # the broker, by the plugin's grants
ASKED_FOR_A_FILE = by("PermissionDeniedError: or the place that it leads to")  # likewise, and no more is told
STOPPED = by("Stopped")


@dataclass(frozen=True, slots=True)
class Row:
    """One attempt.

    Attributes:
        id: Its number in the design where it has one there, and words.
        module: Where its function is.
        attempt: The function; that it returns means that it got through.
        by: What stops it. At tier B nothing may, which that tier does not promise.
        side: inside: tried in the worker, which tells. wire: said to the kernel, which is watched. kernel: judged
            outside the worker.
        control: The function that does the same where nothing holds it, for wire in `naive_readers`, for kernel beside
            the attempt; for inside it is the attempt itself.
        no_control: Why there is none.
        root_control: Only root can do it anyway, so that the control of an ordinary user cannot succeed.
        not_root: Why it is not tried as root.
        unpromised: No tier stops it; the test holds that this is still so.
        only_a: It needs a permission that only tier A grants.
        seconds: How long its call may take.
        spoils: It leaves its worker changed, so that the next row gets another.
    """

    id: str
    module: str
    attempt: str
    by: By
    side: str = "inside"
    control: str = ""
    no_control: str = ""
    root_control: bool = False
    not_root: str = ""
    only_a: bool = False
    unpromised: bool = False
    seconds: float = 20.0
    spoils: bool = False

    def promised(self, tier: str) -> bool:
        """Whether the tier says that it stops this."""
        return not self.unpromised and bool(self.by.a if tier == "A" else self.by.b)

    def stopped(self, tier: str, answer: Mapping[str, Any]) -> bool:
        """Whether it failed, and by what it is to be stopped rather than because the attempt is broken."""
        if "ok" in answer:
            return False
        if self.side == "wire" and (answer["plugin"] != "hostile" or answer["fds"] > 0):
            return False  # the wrong one was blamed, or the kernel kept descriptors
        return any(_is(outcome, answer) for outcome in (self.by.a if tier == "A" else self.by.b).split("|"))


def _is(outcome: str, answer: Mapping[str, Any]) -> bool:
    name, _, text = outcome.partition(": ")
    number = answer.get("errno")
    # By the number: one may have two names.
    met = answer.get("type") == name if number is None else getattr(errno, name, None) == number
    return met and text in answer.get("error", "")


def rows_of(module: str, letter: str) -> Callable[..., Row]:
    """A maker of rows from the names of a module's functions; `FILTER` stops them where nothing else is said."""

    def row(name: str, stops: By = FILTER, **more: Any) -> Row:
        return Row(f"{more.pop('number', letter)}-{name.replace('_', '-')}", module, name, stops, **more)

    return row
