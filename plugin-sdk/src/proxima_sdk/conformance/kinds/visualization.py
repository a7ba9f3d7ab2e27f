"""`VisualizationConformance`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from xml.etree import ElementTree as ET

import pytest

from proxima.contracts.circuit import Circuit
from proxima.contracts.result import RunResult
from proxima.errors import UsageError
from proxima_sdk import reference
from proxima_sdk.circuits import ghz
from proxima_sdk.conformance.contribution import ContributionChecks

_NAME = '<script>alert("&")</script>'


def _is_svg(data: bytes) -> bool:
    return ET.fromstring(data).tag.rpartition("}")[2] == "svg"


_CHECKS: Mapping[str, Callable[[bytes], object]] = {
    "png": lambda data: data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82"),
    "svg": _is_svg,
    "pdf": lambda data: data.startswith(b"%PDF-"),
    "gif": lambda data: data.startswith(b"GIF8"),
    "jpeg": lambda data: data.startswith(b"\xff\xd8\xff"),
    "html": lambda data: b"<" in data and data.decode("utf-8"),
    "txt": lambda data: data.decode("utf-8"),
    "json": lambda data: json.loads(data) is not None,
}
"""How a file of a format is told; of another format it is only known that it is not empty."""


def usual_subjects() -> tuple[RunResult | Circuit, ...]:
    """A result of a GHZ state on three qubits with all that a run can give, and its circuit."""
    circuit = ghz(3)
    state = reference.statevector(circuit)
    result = RunResult(
        backend="reference",
        method="statevector",
        precision="double",
        shots=1000,
        seed=0,
        counts={"000": 510, "111": 490},
        statevector=state,
        probabilities=reference.probabilities(circuit),
        density_matrix=reference.density_matrix(circuit),
        timings={"execute": 0.25, "total": 0.5},
    )
    return result, circuit


class VisualizationConformance(ContributionChecks):
    """Subclass it in a test module, name your visualization, run pytest.

    Attributes:
        visualization: A name among the installed plugins, or an instance, class or factory of a visualization.
        subjects: What it is to draw, each; by default a result and a circuit, of which it must draw one.
        options: To draw with.
    """

    kind = "visualizations"
    visualization: ClassVar[Any] = None
    subjects: ClassVar[Sequence[RunResult | Circuit]] = ()
    options: ClassVar[Mapping[str, Any]] = {}

    def _render(self, subject: RunResult | Circuit, picture: str, **more: Any) -> bytes:
        data: bytes = self.subject.render(subject, picture, {**self.options, **more})
        return data

    def _drawn(self) -> list[tuple[RunResult | Circuit, str, bytes]]:
        """Every subject that it draws, in every format."""
        drawn = []
        for subject in self.subjects or usual_subjects():
            for picture in self.subject.formats:
                try:
                    drawn.append((subject, picture, self._render(subject, picture)))
                except UsageError as error:
                    if self.subjects:
                        self.fails(f"render() of {subject!r:.60} as {picture}", expected="a picture", got=f"{error}")
        return drawn

    def test_formats(self) -> None:
        """At least one, in small letters, without a dot."""
        formats = self.subject.formats
        if not formats or any(not f or f != f.lower().strip(".") for f in formats):
            self.fails("formats", expected='names such as ("svg", "png")', got=repr(formats))

    def test_renders_each_format(self) -> None:
        """A file of the format that was asked for."""
        drawn = self.asked("render()", self._drawn)
        if not drawn:
            self.fails(
                "render() of a result with counts and states, and of a circuit",
                expected="a picture of one of them",
                got="UsageError for both",
                cause="what it draws is something else: give the test class its subjects",
            )
        for subject, picture, data in drawn:
            what = f"render() of {type(subject).__name__} as {picture}"
            self.crosses(what, data, bytes)
            try:
                right = bool(_CHECKS.get(picture, len)(data))
            except (ValueError, ET.ParseError):
                right = False
            if not right:
                self.fails(
                    what,
                    expected=f"a whole {picture} file",
                    got=f"{len(data)} bytes that begin with {data[:16]!r}",
                    cause="the format is ignored, the figure is drawn in a default format, or text is not escaped",
                )

    def test_unknown_format_is_refused(self) -> None:
        """`UsageError` that names it."""
        for subject, _, _ in self.asked("render()", self._drawn)[:1]:
            self.refused(
                "render() in a format that it does not offer",
                lambda subject=subject: self._render(subject, "no-such-format"),  # type: ignore[misc]
                (UsageError,),
                naming="no-such-format",
                cause="the format is not looked at; begin with self.settings(picture_format, options)",
            )

    def test_unknown_option_is_refused(self) -> None:
        """`UsageError` that names it."""
        for subject, picture, _ in self.asked("render()", self._drawn)[:1]:
            self.refused(
                "render() with an option that it does not have",
                lambda subject=subject, picture=picture: self._render(subject, picture, no_such_option=1),  # type: ignore[misc]
                (UsageError,),
                naming="no_such_option",
                cause="options are read with get(); begin with self.settings(picture_format, options)",
            )

    def test_options_are_left_as_they_were(self) -> None:
        """The mapping belongs to the caller."""
        for subject, picture, _ in self.asked("render()", self._drawn)[:1]:
            self.unchanged(
                "render()",
                dict(self.options),
                lambda options, s=subject, p=picture: self.subject.render(s, p, options),  # type: ignore[misc]
            )

    def test_names_are_text_and_not_markup(self) -> None:
        """A circuit's name with tags in it draws a file that is still whole, with no tag more."""
        marked = False
        for subject, picture, _ in self.asked("render()", self._drawn):
            if not isinstance(subject, Circuit) or picture not in ("svg", "html"):
                continue
            marked = True
            data = self.asked("render()", lambda s=subject, p=picture: self._render(replace(s, name=_NAME), p))  # type: ignore[misc]
            if _NAME.encode() in data or b"<script>alert" in data:
                self.fails(
                    f"render() of a circuit called {_NAME} as {picture}",
                    expected="the name as text",
                    got="the name as markup",
                    convention="a circuit comes from anybody, and a picture is opened in a browser",
                    cause="text is not escaped: html.escape, or an XML library",
                )
        if not marked:
            pytest.skip(f"{self.about()[1]} draws no circuit as svg or html")

    def test_a_subject_without_what_is_drawn(self) -> None:
        """A result that holds nothing: `UsageError`, or a picture; never another error."""
        bare = RunResult(backend="reference", method="", precision="double", shots=None, seed=0)
        for picture in self.subject.formats:
            error: Exception | None = None
            try:
                self._render(bare, picture)
            except Exception as raised:  # noqa: BLE001 - whatever it raises is the finding
                error = raised
            if error is not None and not isinstance(error, UsageError):
                self.fails(
                    f"render() of a result without counts and states as {picture}",
                    expected="UsageError that says what is missing, or a picture",
                    got=f"{type(error).__name__}: {error}",
                    cause="a part of the result that may be None is used without looking",
                )
