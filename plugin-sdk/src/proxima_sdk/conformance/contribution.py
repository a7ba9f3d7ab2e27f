"""What the kits of all kinds but backends stand on: the contribution under test, and the checks that hold for each."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NoReturn, TypeVar

import pytest

from proxima.errors import BackendUnavailableError, ProximaError, UnavailableError, UsageError
from proxima.plugins.manifest import Contribution
from proxima.sandbox.codec import Encoded, decode
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.inspection import CONTRACTS, inspect_contributions
from proxima_sdk.conformance import CONFORMANCE_VERSION
from proxima_sdk.conformance.diagnosis import report

T = TypeVar("T")


class ContributionChecks:
    """The base of the kits."""

    conformance_version: ClassVar[int] = CONFORMANCE_VERSION
    kind: ClassVar[str]
    _found: ClassVar[tuple[Any, Contribution | None]]

    @classmethod
    def about(cls) -> tuple[str, str]:
        """Kind and name of what is checked."""
        source = cls.source()
        return cls.kind, source if isinstance(source, str) else getattr(source, "name", "")

    @classmethod
    def source(cls) -> Any:
        """A name, or what to take or make the contribution from."""
        return getattr(cls, cls.kind.removesuffix("s"))

    def _find(self) -> tuple[Any, Contribution | None]:
        """The object, and what the manifest says of it; found once per class."""
        case = type(self)
        if "_found" not in case.__dict__:
            source = case.source()
            if not isinstance(source, str):
                makes = isinstance(source, type | partial) or inspect.isroutine(source)
                case._found = source() if makes else source, None
            else:
                from proxima_sdk.testing import session

                kernel = session.kernel()
                try:
                    case._found = kernel.get(case.kind, source), kernel.registry.find(case.kind, source)
                except ProximaError as error:
                    pytest.fail(f"what is to be tested is not found: {error} ({error.hint})", pytrace=False)
        return case._found

    @property
    def subject(self) -> Any:
        """What is checked."""
        return self._find()[0]

    @property
    def declared(self) -> Contribution | None:
        """What the manifest says of it, where it was found by name."""
        return self._find()[1]

    def fails(self, what: str, *, expected: object, got: object, convention: str = "", cause: str = "") -> NoReturn:
        """Fails the check with a message that explains itself."""
        named = f"{self.kind.removesuffix('s').replace('_', ' ')} {self.about()[1]!r}: {what}"
        report(named, expected=expected, got=got, convention=convention, causes=[cause] if cause else [])

    def asked(self, what: str, call: Callable[[], T]) -> T:
        """What a call gives; whatever it raises fails the check, but that it is not available here skips it."""
        try:
            return call()
        except UnavailableError as error:
            if type(error) in (UnavailableError, BackendUnavailableError):
                pytest.skip(f"{self.about()[1]} cannot do it here: {error}")
            raised: Exception = error
        except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
            raised = error
        return self.fails(what, expected="no error", got=f"{type(raised).__name__}: {raised}", cause=_where(raised))

    def refused(
        self, what: str, call: Callable[[], object], kinds: tuple[type[ProximaError], ...], *, naming: str, cause: str
    ) -> None:
        """Holds a call to being refused by one of these errors, whose message names what is wrong."""
        wanted = f"{' or '.join(kind.__name__ for kind in kinds)} whose message names {naming!r}"
        try:
            got: object = f"{call()!r:.100}"
        except kinds as error:
            if naming in str(error):
                return
            got = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001
            got = f"{type(error).__name__}: {error}"
        self.fails(what, expected=wanted, got=got, cause=cause)

    def crosses(self, what: str, value: T, expected: Any) -> T:
        """Holds a value to its contract's types: it is encoded and decoded as on its way out of a worker."""
        if fault := _border_fault(value, expected):
            name = getattr(expected, "__name__", str(expected))
            self.fails(
                what,
                expected=f"a value of type {name} that can leave a worker",
                got=fault,
                convention="what a plugin gives is made of the contract's types, text, numbers, arrays and mappings",
            )
        return value

    def meets(self, subject: object, contract: str) -> None:
        """Holds an object to a contract, which is given by its path."""
        cls = type(subject)
        name = self.about()[1]
        entry = {"kind": self.kind, "name": name, "class": f"{cls.__module__}.{cls.__qualname__}", "contract": contract}
        for _, _, fault in inspect_contributions([entry], {(self.kind, name): subject}):
            self.fails(
                f"the contract {contract}",
                expected="its attributes and methods, with its parameters",
                got=fault,
                convention="the host calls by the contract, by position or by name",
                cause="a name is misspelt, or the class is not derived from its base in proxima_sdk",
            )

    def unchanged(self, what: str, given: T, call: Callable[[T], object]) -> None:
        """Holds a call to leaving its argument as it was."""
        before = copy.deepcopy(given)
        call(given)
        if given != before:
            self.fails(
                f"{what} changes what it is given",
                expected=before,
                got=given,
                convention="arguments belong to the caller",
                cause="a mapping is filled in place; copy it first",
            )

    def test_is_what_the_manifest_says(self) -> None:
        """Its name, and a description for users to choose by."""
        declared = self.declared
        if declared is None:
            pytest.skip(f"{self.about()[1] or self.source()!r} was given as an object, without its manifest")
        if not declared.description.strip():
            self.fails(
                "its entry in plugin.yaml",
                expected="a description",
                got=repr(declared.description),
                convention="lists and menus show it before any code is imported",
            )

    def test_contract(self) -> None:
        """Attributes, methods and parameters as the contract has them."""
        self.meets(self.subject, CONTRACTS.get(self.kind, ""))


class StreamChecks(ContributionChecks):
    """The base of the kits of what answers piece by piece.

    Attributes:
        seconds: How long an answer may take.
    """

    seconds: ClassVar[float] = 60.0

    def collected(self, what: str, stream: Callable[[], Any], *, limit: int = 10_000) -> list[Any]:
        """What an async iterator gives, up to a number of items."""
        return self.asked(what, lambda: asyncio.run(self._collect(what, stream(), limit)))

    async def _collect(
        self, what: str, stream: Any, limit: int, each: Callable[[Any], object] = lambda item: None
    ) -> list[Any]:
        if not isinstance(stream, AsyncIterator):
            got = f"a {type(stream).__name__}"
            if hasattr(stream, "close") and hasattr(stream, "send"):
                stream.close()
            self.fails(
                what,
                expected="an async iterator",
                got=got,
                cause="`async def` with `return`; write `yield` for each piece, and do not declare it a coroutine",
            )
        items: list[Any] = []
        try:
            async with asyncio.timeout(self.seconds):
                async for item in stream:
                    items.append(item)
                    each(item)
                    if len(items) >= limit:
                        break
        except TimeoutError:
            self.fails(what, expected=f"an end within {self.seconds:g} s", got=f"{len(items)} items so far")
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        return items


def _border_fault(value: object, expected: Any) -> str:
    try:
        encoded = Encoded(value)
        memory = bytearray(encoded.size)
        encoded.place(memory)
        decode(encoded.data, expected, memory)
    except (UsageError, ProtocolError) as error:
        return str(error)
    return ""


def json_faults(value: object) -> str:
    """Why JSON cannot hold a value; empty where it can."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return str(error)
    return ""


def sample(schema: Mapping[str, Any]) -> Any:
    """A value that a simple JSON Schema accepts: its default, example or first choice, else the least of its type."""
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, Sequence) and not isinstance(kind, str) else kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: sample(properties.get(name, {})) for name in schema.get("required", ())}
        case "array":
            return [sample(schema.get("items", {}))] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return False
        case "null":
            return None
    return "x" * schema.get("minLength", 1)


def _where(error: BaseException) -> str:
    """The line of the plugin's that raised."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return "" if last is None else f"raised at {last.tb_frame.f_code.co_filename}:{last.tb_lineno}"
