"""What every resolver driver is asked, what it answers, and how its tool is run."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from proxima.errors import NotFoundError, ProximaError
from proxima.store.addresses import file_address, without_secrets
from proxima.store.errors import ConflictError, StoreError
from proxima.store.job import Job
from proxima.store.pylock import Pinned
from proxima.store.tool import run_tool

_SHOWN = 2000


class Index(NamedTuple):
    """Where wheels are looked for; what is empty is left to the tool's own configuration.

    Attributes:
        url: The index that takes the place of the tool's own.
        extra_urls: More of them.
        find_links: Absolute directories, or pages, of wheels.
    """

    url: str = ""
    extra_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()

    def options(self) -> list[str]:
        """The options that pip, pip-tools and uv share."""
        options = ["--index-url", self.url] if self.url else []
        for url in self.extra_urls:
            options += ["--extra-index-url", url]
        for place in self.find_links:
            options += ["--find-links", place]
        return options


@dataclass(frozen=True, slots=True)
class Request:
    """A question to a resolver.

    Attributes:
        requirements: As `packaging` writes them; a local wheel as ``NAME @ file:///...``.
        provided: Wheels that stand for what the plugin finds here, name to path: nothing else satisfies these names,
            and they are no part of the answer.
        room: Where the tool's directory is made; the system's own for such by default.
        meanwhile: Called once the tool runs, before it is waited for.
    """

    requirements: Sequence[str]
    provided: Mapping[str, str]
    index: Index = field(default_factory=Index)
    job: Job = field(default_factory=Job)
    room: str | None = None
    meanwhile: Callable[[], object] = lambda: None

    def constraints(self) -> str:
        """The provided wheels as a constraints file."""
        return "".join(f"{name} @ {file_address(path)}\n" for name, path in sorted(self.provided.items()))

    def closure(self, pins: Sequence[Pinned]) -> list[Pinned]:
        """The answer without what is provided, by name."""
        return sorted((pin for pin in pins if pin.name not in self.provided), key=lambda pin: pin.name)


class Resolver(ABC):
    """One tool that resolves; made by `resolver`.

    Args:
        command: How it is called.
    """

    name: ClassVar[str]

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    @staticmethod
    @abstractmethod
    def find() -> tuple[str, ...]:
        """How the tool is called here; empty where it is not installed."""

    @abstractmethod
    def resolve(self, request: Request) -> list[Pinned]:
        """The wheels of the whole closure for this interpreter, by name.

        Raises:
            ConflictError: No versions fit together; the message says who wants what.
            NotFoundError: No index has what is required.
            StoreError: The tool failed, an index above all.
            DeadlineExceededError, CancelledError: As asked.
        """

    def run(self, request: Request, *arguments: str, inputs: Mapping[str, str], keep: str = "") -> tuple[str, str]:
        """Runs the tool in an empty directory with some files in it.

        Args:
            request: Its job's deadline and cancel token hold.
            arguments: For the tool.
            inputs: Name to content of the files.
            keep: The name of the file that it writes, if its answer is not what it prints.

        Returns:
            The answer, and what the tool said beside it.
        """
        with tempfile.TemporaryDirectory(prefix="proxima-resolve-", dir=request.room) as directory:
            for name, text in inputs.items():
                with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                    file.write(text)
            command = [*self._command, *arguments]
            doing = "dependencies were resolved; an index may be slow"
            code, out, err = run_tool(command, directory, request.job, doing, request.meanwhile)
            if code != 0:
                raise self.explain(f"{err}\n{out}")
            if not keep:
                return out, err
            with open(os.path.join(directory, keep), encoding="utf-8") as file:
                return file.read(), err

    @abstractmethod
    def explain(self, said: str) -> ProximaError:
        """What the tool's words mean when it has failed."""


def conflict(text: str) -> ConflictError:
    """No versions fit together."""
    hint = (
        "Only what this plugin itself asks for and what Proxima brings are looked at here, never other plugins. "
        "Another version of it may do (--version); else its author has to widen the requirements named above."
    )
    return ConflictError(f"no versions fit together: {text}", hint=hint)


def not_found(text: str) -> NotFoundError:
    """No index has it, or not as a wheel for this machine."""
    hint = "Is the name right, and the index set (store.index_url)? Only wheels for this machine are taken."
    return NotFoundError(f"not found: {text}", hint=hint)


def by_address(what: str, who: str) -> StoreError:
    """A dependency is given by an address, and the tool would have to build it or to fetch it from version control."""
    hint = (
        "Only wheels of an index are taken, and nothing is built. Its author has to name that dependency without one."
    )
    return StoreError(without_secrets(f"{who} depends on {what}, which is given by an address"), hint=hint)


def failed(tool: str, said: str) -> StoreError:
    """The tool failed for another reason."""
    shown = without_secrets(said.strip()[-_SHOWN:]) or "it said nothing"
    return StoreError(f"{tool} could not find the plugin's dependencies: {shown}", hint="Is the index reachable?")
