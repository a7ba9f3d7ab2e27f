"""`CodeGeneratorConformance`."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS, Op
from proxima_sdk import reference
from proxima_sdk.circuits import FAMILIES
from proxima_sdk.conformance.contribution import ContributionChecks
from proxima_sdk.conformance.diagnosis import ORDER, distance, usual_causes, worst_element
from proxima_sdk.conformance.kinds.circuits import holding, unwritten

_HOSTILE = 'x"""\nraise SystemExit("the name of a circuit was run")\n#'
_TOLERANCE = 1e-6


class CodeGeneratorConformance(ContributionChecks):
    """Subclass it in a test module, name your code generator, run pytest.

    Override `statevector` to have the code run and held against the exact state.

    Attributes:
        codegen: A name among the installed plugins, or an instance, class or factory of a code generator.
        circuits: What it must write, by default a small circuit of each family of `proxima_sdk.circuits`.
    """

    kind = "codegens"
    codegen: ClassVar[Any] = None
    circuits: ClassVar[Sequence[Circuit]] = ()

    def statevector(self, code: str, circuit: Circuit) -> npt.NDArray[Any] | None:
        """The state that the code prepares, shape (2^n,), qubit 0 least significant; ``None`` where it is not run."""
        return None

    def _circuits(self) -> Sequence[Circuit]:
        return self.circuits or [family.make(3) for family in FAMILIES]

    def _generate(self, circuit: Circuit) -> str:
        return self.asked(f"generate() of {circuit!r}", lambda: self.subject.generate(circuit))  # type: ignore[no-any-return]

    def _check_syntax(self, code: str, what: str) -> None:
        if self.subject.language != "python":
            return
        try:
            ast.parse(code)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 1
            shown = (code.splitlines() or [""])[line - 1 : line]
            self.fails(what, expected="Python that can be parsed", got=f"{error}: {shown}")

    def test_says_what_it_writes(self) -> None:
        """Language and library in small letters."""
        for name in ("language", "library"):
            value = getattr(self.subject, name)
            if not value or value != value.lower():
                self.fails(name, expected="a name in small letters, e.g. 'python'", got=repr(value))

    def test_generates(self) -> None:
        """Text that ends with a line, the same each time."""
        for circuit in self._circuits():
            code = self._generate(circuit)
            what = f"generate() of {circuit!r}"
            self.crosses(what, code, str)
            if not code.endswith("\n"):
                self.fails(what, expected="a last line with its end", got=repr(code[-40:]))
            self._check_syntax(code, what)
            if self._generate(circuit) != code:
                self.fails(f"{what}, twice", expected="the same code", got="another", cause="a set or a time is in it")

    def test_every_operation(self) -> None:
        """Each gate and channel is written, or refused by an `UnsupportedError` that names it."""
        for op in sorted(GATES | CHANNELS | {Op.RESET, Op.KRAUS}):
            name = OPERATIONS[op].name
            if fault := unwritten(self.subject.generate, op):
                self.fails(
                    f"generate() of a circuit with {name}",
                    expected=f"code, or UnsupportedError whose message names {name!r}",
                    got=fault,
                    cause="a table of gates is used without looking whether the gate is in it",
                )
            if fault is None:
                self._check_syntax(self._generate(holding(op)), f"generate() of {name}")

    def test_names_are_data(self) -> None:
        """A circuit's name with code in it adds no statement."""
        if self.subject.language != "python":
            pytest.skip(f"{self.about()[1]} writes {self.subject.language}, which the kit does not read")
        circuit = self._circuits()[0]
        plain, marked = (self._generate(replace(circuit, name=name)) for name in ("plain", _HOSTILE))
        self._check_syntax(marked, "generate() of a circuit with quotes and lines in its name")
        shapes = [[type(node).__name__ for node in ast.walk(ast.parse(code))] for code in (plain, marked)]
        if shapes[0] != shapes[1]:
            self.fails(
                f"generate() of a circuit called {_HOSTILE!r}",
                expected="the statements of one with a plain name",
                got=f"{len(shapes[1])} nodes in place of {len(shapes[0])}",
                convention="a circuit comes from anybody, and its code is run",
                cause="the name is put into the code as it is; use repr()",
            )

    def test_code_prepares_the_state(self) -> None:
        """Where `statevector` runs the code: the exact state of the circuit without its measurements."""
        for circuit in self._circuits():
            code = self._generate(circuit.without_final_measurements())
            got = self.statevector(code, circuit)
            if got is None:
                pytest.skip(f"{type(self).__name__} overrides no statevector() that runs the code")
            expected = reference.statevector(circuit)
            difference = distance(np.asarray(got), expected)
            if difference > _TOLERANCE:
                causes = [
                    text
                    for text, make in usual_causes(circuit)
                    if distance(np.asarray(got), reference.statevector(make())) < _TOLERANCE
                ]
                pair = worst_element(np.asarray(got), expected) if np.shape(got) == expected.shape else None
                self.fails(
                    f"the code of {circuit!r}: its state differs from the exact one by {difference:.1e}",
                    expected=pair[0] if pair else f"shape {expected.shape}",
                    got=pair[1] if pair else f"shape {np.shape(got)}",
                    convention=ORDER,
                    cause=causes[0] if causes else "",
                )
