"""`Script`: writes a program for a worker, and knows afterwards what each of its answers means."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from proxima.sandbox.errors import LockError
from proxima.sandbox.linux.program import CALL, MOST_WANTED, Program, run
from proxima.sandbox.linux.syscalls import AT_FDCWD, numbers

_LAST_DESCRIPTOR = 0xFFFFFFFF
_CLONE_THREAD = 0x00010000
_NO_MAGIC_LINKS, _NO_SYMLINKS = 2, 4
_ARGUMENTS = 6
_MOST_ERRORS = 4095


class Pointer(NamedTuple):
    """Where something lies in a program's data."""

    offset: int


class _Call(NamedTuple):
    step: str
    name: str
    about: str
    otherwise: Callable[[], LockError] | None


class Script:
    """A program in the making.

    Args:
        plugin: Whose worker runs it, where that is known.
        descriptors: Which ones its process has open.
    """

    def __init__(self, plugin: str | None, descriptors: Iterable[int]) -> None:
        self.plugin = plugin
        self._open = set(descriptors)
        self._step = ""
        self._calls: list[_Call] = []
        self._packed = bytearray()
        self._data = bytearray()
        self._pointers: list[int] = []

    @property
    def descriptors(self) -> frozenset[int]:
        """Those that are open where it ends."""
        return frozenset(self._open)

    @property
    def program(self) -> Program:
        """What was written so far."""
        return Program(bytes(self._packed), bytes(self._data), self._pointers)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Names what is written meanwhile; what goes wrong in writing it is that step's failure, too.

        Raises:
            LockError: an `OSError` or `ValueError` was raised.
        """
        self._step = name
        try:
            yield
        except (OSError, ValueError) as error:
            number = getattr(error, "errno", None)
            raise LockError(name, str(error), hint=hint(name, number), plugin=self.plugin) from error

    def data(self, content: bytes, pointers: Mapping[int, Pointer] | None = None) -> Pointer:
        """Lays bytes down for a call to read or write.

        Args:
            content: The bytes; what is a text ends in a null byte by itself.
            pointers: Where in them there are to be addresses of other data.
        """
        place = len(self._data)
        self._data += content + bytes(8 - len(content) % 8)
        for offset, target in (pointers or {}).items():
            self._data[place + offset : place + offset + 8] = target.offset.to_bytes(8, "little")
            self._pointers.append(place + offset)
        return Pointer(place)

    def call(
        self,
        name: str,
        *arguments: int | bytes | Pointer | None,
        wanted: Sequence[int] = (),
        about: str = "",
        otherwise: Callable[[], LockError] | None = None,
    ) -> None:
        """Writes a system call.

        Args:
            name: As in the kernel's table.
            arguments: Numbers, bytes to point to, or None for a null pointer.
            wanted: The answers that are right, with errors as negative numbers; by default all that are no errors.
            about: What it is about, such as a path, for the message of its failure.
            otherwise: Makes that failure.
        """
        words, in_data = [0] * _ARGUMENTS, 0
        for place, argument in enumerate(arguments):
            if isinstance(argument, bytes):
                argument = self.data(argument)
            if isinstance(argument, Pointer):
                in_data |= 1 << place
                words[place] = argument.offset
            else:
                words[place] = _signed(argument or 0)
        answers = (*wanted, *[0] * (MOST_WANTED - len(wanted)))
        self._packed += CALL.pack(numbers(os.uname().machine)[name], in_data, len(wanted), *answers, *words)
        self._calls.append(_Call(self._step, name, about, otherwise))

    def opens(self, name: str, *arguments: int | bytes | Pointer | None, about: str = "") -> int:
        """Writes a call that answers with a new descriptor, and gives its number."""
        descriptor = next(number for number in range(len(self._open) + 1) if number not in self._open)
        self.call(name, *arguments, wanted=(descriptor,), about=about)
        self._open.add(descriptor)
        return descriptor

    def open_without_links(self, path: str) -> int:
        """Opens what only names a file, refused where any part of the path is a symbolic link.

        Who may rename things in a directory could otherwise put a link where a policy named a place.
        """
        how = b"".join(
            each.to_bytes(8, "little") for each in (os.O_PATH | os.O_CLOEXEC, 0, _NO_MAGIC_LINKS | _NO_SYMLINKS)
        )
        return self.opens("openat2", AT_FDCWD, os.fsencode(path), how, len(how), about=path)

    def close(self, descriptor: int) -> None:
        """Closes a descriptor."""
        self.call("close", descriptor)
        self._open.remove(descriptor)

    def move(self, descriptor: int, number: int) -> int:
        """Gives a descriptor another number, which it returns."""
        if descriptor != number:
            self.call("dup3", descriptor, number, os.O_CLOEXEC, wanted=(number,))
            self._open.add(number)
            self.close(descriptor)
        return number

    def close_all_but(self, keep: Iterable[int]) -> None:
        """Closes every other descriptor, whatever it is."""
        first = 0
        for descriptor in sorted(keep):
            if descriptor > first:
                self.call("close_range", first, descriptor - 1, 0)
            first = descriptor + 1
        self.call("close_range", first, _LAST_DESCRIPTOR, 0)
        self._open.intersection_update(keep)

    def require_one_thread(self) -> None:
        """Ends the program where the process has another thread."""
        self.call("unshare", _CLONE_THREAD, wanted=(0,))  # unshares nothing, and fails where there is one

    def check(self, made: int, answer: int) -> None:
        """Looks at how far the program came.

        Args:
            made: How many of its calls were answered as wanted.
            answer: The answer to the next.

        Raises:
            LockError: that is not all of them; the step of the next.
        """
        if made < 0 or made > len(self._calls):
            raise LockError("handshake", f"it made {made} of {len(self._calls)} system calls", plugin=self.plugin)
        if made < len(self._calls):
            raise self._failure(self._calls[made], answer)

    def run(self) -> None:
        """Has this very process make the calls.

        Raises:
            LockError: one was not answered as wanted.
        """
        _, made, answer = run(self.program)
        self.check(made, answer)

    def _failure(self, call: _Call, answer: int) -> LockError:
        if call.otherwise is not None:
            return call.otherwise()
        about = f": {call.about}" if call.about else ""
        if -_MOST_ERRORS <= answer < 0:
            said = f"{call.name}: {os.strerror(-answer)}{about}"
        else:
            said = f"{call.name} answered {answer}{about}"
        return LockError(call.step, said, hint=hint(call.step, -answer), plugin=self.plugin)


def _signed(argument: int) -> int:
    """As 32 bits with a sign; the kernel takes what is longer for a word, and what is unsigned for its lower half."""
    return argument - (1 << 32) if argument >= 1 << 31 else int(argument)


def hint(step: str, number: int | None) -> str | None:
    """What to do about a step that failed with an error."""
    if step == "single thread" or (step == "namespaces" and number == errno.EINVAL):
        return "A thread was started before the lock, or the kernel lacks a kind of namespace."
    if step == "namespaces":
        return "This host does not allow namespaces any more; `proxima doctor` says why."
    if step == "identity":
        return "Run Proxima as an ordinary user, or let root keep CAP_SETUID, CAP_SETGID and CAP_CHOWN."
    if step in ("landlock", "seccomp", "view"):
        return "`proxima doctor` says what this host can enforce."
    return None
