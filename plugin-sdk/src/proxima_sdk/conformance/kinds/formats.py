"""`FormatConformance`."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import GATES, OPERATIONS, Op
from proxima.errors import CircuitError
from proxima_sdk import reference
from proxima_sdk.circuits import FAMILIES, ghz, qubits_reversed
from proxima_sdk.conformance.contribution import ContributionChecks
from proxima_sdk.conformance.diagnosis import BIG_ENDIAN, ORDER, distance, usual_causes
from proxima_sdk.conformance.kinds.circuits import holding, unwritten

_SOURCE = "the-file-under-test"
_TOLERANCE = 1e-9
_LOAD_SECONDS = 5.0
_HEADS = (b"", b"\0" * 4096, b"\x89PNG\r\n\x1a\n", b"\xff\xfe\xfd", b"(" * 4096, b"# a comment\n" * 300)


class FormatConformance(ContributionChecks):
    """Subclass it in a test module, name your format, run pytest.

    Attributes:
        format: A name among the installed plugins, or an instance, class or factory of a format.
        circuits: What it must write and read again, by default a small circuit of each family.
    """

    kind = "formats"
    format: ClassVar[Any] = None
    circuits: ClassVar[Sequence[Circuit]] = ()

    def _circuits(self) -> Sequence[Circuit]:
        return self.circuits or [family.make(3) for family in FAMILIES]

    def _load(self, data: bytes) -> Circuit:
        circuit: Circuit = self.subject.load(data, source=_SOURCE, directory=None)
        return circuit

    def _dump(self, circuit: Circuit) -> str:
        return self.asked(f"dump() of {circuit!r}", lambda: self.subject.dump(circuit))  # type: ignore[no-any-return]

    def _reread(self, circuit: Circuit, what: str) -> Circuit:
        text = self.crosses(f"dump() of {what}", self._dump(circuit), str)
        return self.asked(f"load() of what dump() wrote of {what}", lambda: self._load(text.encode()))

    def _same(self, circuit: Circuit, again: Circuit, what: str) -> None:
        """Holds the circuit that was read to giving what the written one gives."""
        sizes = [(c.num_qubits, c.num_clbits) for c in (circuit, again)]
        if sizes[0] != sizes[1]:
            self.fails(
                f"{what}, written and read again",
                expected="{} qubits and {} classical bits".format(*sizes[0]),
                got="{} and {}".format(*sizes[1]),
                cause="qubits or bits that no operation touches are not written",
            )
        if not reference.is_pure(circuit):
            return
        state, came = reference.statevector(circuit), reference.statevector(again)
        if (difference := distance(came, state)) > _TOLERANCE:
            suspects = ((text, reference.statevector(make())) for text, make in usual_causes(circuit))
            causes = [text for text, wrong in suspects if distance(came, wrong) < _TOLERANCE]
            self.fails(
                f"{what}, written and read again",
                expected="the same state",
                got=f"one that differs by {difference:.1e}",
                convention=ORDER,
                cause=causes[0] if causes else "angles are written with too few digits, or a gate under another's name",
            )
        if circuit.final_measurements != again.final_measurements:
            reversed_too = qubits_reversed(circuit).final_measurements == again.final_measurements
            self.fails(
                f"{what}, written and read again",
                expected=f"the measurements {circuit.final_measurements[:4]} (qubit, bit)",
                got=str(again.final_measurements[:4]),
                convention=ORDER,
                cause=BIG_ENDIAN if reversed_too else "",
            )

    def test_extensions(self) -> None:
        """Endings with their dot, as the manifest has them."""
        endings = self.subject.extensions
        if not endings or any(not e.startswith(".") or len(e) < 2 for e in endings):
            self.fails("extensions", expected='endings such as (".qasm",)', got=repr(endings))
        said = self.declared.data.get("extensions") if self.declared else None
        if said and list(said) != list(endings):
            self.fails("extensions", expected=f"{said}, as plugin.yaml says", got=list(endings))

    def test_round_trip(self) -> None:
        """What is written is read again as the same circuit; the same circuit gives the same text."""
        for circuit in self._circuits():
            what = circuit.name or repr(circuit)
            again = self._reread(circuit, what)
            self._same(circuit, again, what)
            if self._dump(circuit) != self._dump(circuit):
                self.fails(f"dump() of {what}, twice", expected="the same text", got="another")

    def test_every_gate(self) -> None:
        """Each gate survives, or is refused by an `UnsupportedError` that names it."""
        for op in sorted(GATES | {Op.RESET, Op.KRAUS}):
            name, circuit = OPERATIONS[op].name, holding(op)
            if fault := unwritten(self.subject.dump, op):
                self.fails(
                    f"dump() of a circuit with {name}",
                    expected=f"text, or UnsupportedError whose message names {name!r}",
                    got=fault,
                    cause="a table of gates is used without looking whether the gate is in it",
                )
            if fault is None:
                self._same(circuit, self._reread(circuit, name), f"a circuit with {name}")

    def test_recognises(self) -> None:
        """Yes or no for whatever a file begins with; no for what is plainly something else."""
        for head in _HEADS:
            said = self.asked(f"recognises({head[:12]!r}...)", lambda head=head: self.subject.recognises(head))  # type: ignore[misc]
            self.crosses("recognises()", said, bool)
            if said and head[:1] in (b"", b"\0", b"\x89", b"\xff"):
                self.fails(f"recognises({head[:12]!r})", expected="False", got="True", cause="it claims any file")
        if not self.subject.recognises(self._dump(ghz(3)).encode()[:4096]):
            self.fails("recognises() of what dump() wrote", expected="True", got="False")

    def test_what_is_no_circuit_is_refused(self) -> None:
        """Cut, changed and random files: a circuit, or a `CircuitError` that names the file, within seconds."""
        for data in self._damaged(self._dump(ghz(3)).encode()):
            start = time.monotonic()
            error: Exception | None = None
            try:
                self._load(data)
            except Exception as raised:  # noqa: BLE001 - whatever it raises is the finding
                error = raised
            took = time.monotonic() - start
            if isinstance(error, CircuitError) and _SOURCE not in str(error):
                self.fails(f"load({data[:40]!r})", expected=f"an error that names {_SOURCE!r}", got=str(error))
            if error is not None and not isinstance(error, CircuitError):
                self.fails(
                    f"load({data[:40]!r}) of {len(data)} bytes",
                    expected="a circuit, or CircuitSyntaxError with file, line, column and token",
                    got=f"{type(error).__name__}: {error}",
                    convention="a file comes from anybody; a traceback is for bugs, never for a user's mistake",
                    cause="bytes are decoded, split or indexed without looking",
                )
            if took > _LOAD_SECONDS:
                self.fails(f"load({data[:40]!r})", expected=f"an answer in {_LOAD_SECONDS:g} s", got=f"{took:.1f} s")

    def _damaged(self, data: bytes) -> Iterator[bytes]:
        rng = random.Random(5)
        yield from (b"", b"\xff\xfe", b"\0", b"{" * 500, data[: len(data) // 2], data + data)
        for _ in range(40):
            place = rng.randrange(len(data))
            yield data[:place] + rng.randbytes(rng.randrange(3)) + data[place + rng.randrange(3) :]
