"""`CircuitBuilder`: the Pythonic way to write a circuit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from proxima.contracts.lazy_numpy import np, npt
from proxima.contracts.operations import BY_NAME, OPERATIONS, Op
from proxima.errors import CircuitError

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit, Condition, Parameter


class CircuitBuilder:
    """Collects operations and makes a `Circuit` of them.

    Every gate of the vocabulary is a method: parameters first, then qubits.

        >>> b = Circuit.builder(2, 2)
        >>> b.h(0).cx(0, 1).measure(0, 0).measure(1, 1)
        >>> bell = b.build()

    Angles may be `Parameter`; a gate takes ``condition=`` too. `build` checks everything.
    """

    def __init__(self, num_qubits: int = 0, num_clbits: int = 0, *, name: str = "") -> None:
        self.num_qubits = num_qubits
        self.num_clbits = num_clbits
        self.name = name
        self.qregs: list[tuple[str, int]] = []
        self.cregs: list[tuple[str, int]] = []
        self.parameters: dict[str, int] = {}
        self.conditions: dict[Condition, int] = {}
        self.payloads: list[tuple[npt.NDArray[np.complex128], ...]] = []
        self.ops: list[int] = []
        self.qubit_offsets: list[int] = [0]
        self.qubits: list[int] = []
        self.param_offsets: list[int] = [0]
        self.params: list[float] = []
        # Sparse: row (or position in params) -> value. Most rows have none of these.
        self.param_refs: dict[int, int] = {}
        self.clbits: dict[int, int] = {}
        self.condition_of: dict[int, int] = {}
        self.payload_of: dict[int, int] = {}

    def add_qubits(self, name: str, size: int) -> range:
        """Adds a quantum register and returns its qubits' indices."""
        self.qregs.append((name, size))
        start, self.num_qubits = self.num_qubits, self.num_qubits + size
        return range(start, self.num_qubits)

    def add_clbits(self, name: str, size: int) -> range:
        """Adds a classical register and returns its bits' indices."""
        self.cregs.append((name, size))
        start, self.num_clbits = self.num_clbits, self.num_clbits + size
        return range(start, self.num_clbits)

    def append(
        self,
        op: Op,
        qubits: Sequence[int],
        params: Sequence[float | Parameter] = (),
        *,
        clbit: int = -1,
        condition: Condition | None = None,
        matrices: Sequence[npt.NDArray[Any]] = (),
    ) -> Self:
        """Adds one operation.

        Raises:
            CircuitError: The operation takes another number of qubits or parameters. (Ranges are checked by `build`.)
        """
        spec = OPERATIONS[op]
        if spec.num_qubits not in (0, len(qubits)):
            raise CircuitError(f"{spec.name} takes {spec.num_qubits} qubits, got {len(qubits)}")
        if len(spec.params) != len(params):
            raise CircuitError(f"{spec.name} takes {len(spec.params)} parameters, got {len(params)}")
        row = len(self.ops)
        self.ops.append(op)
        self.qubits.extend(qubits)
        self.qubit_offsets.append(len(self.qubits))
        for param in params:
            if isinstance(param, (int, float)):
                self.params.append(float(param))
            else:
                self.param_refs[len(self.params)] = self.parameters.setdefault(param.name, len(self.parameters))
                self.params.append(param.coefficient)
        self.param_offsets.append(len(self.params))
        if clbit >= 0:
            self.clbits[row] = clbit
        if condition is not None:
            self.condition_of[row] = self.conditions.setdefault(condition, len(self.conditions))
        if matrices:
            self.payload_of[row] = len(self.payloads)
            self.payloads.append(tuple(np.array(m, dtype=np.complex128) for m in matrices))
        return self

    def measure(self, qubit: int, clbit: int) -> Self:
        """Measures a qubit into a classical bit."""
        return self.append(Op.MEASURE, (qubit,), clbit=clbit)

    def measure_all(self) -> Self:
        """Measures qubit i into classical bit i for every qubit, adding classical bits where there are too few."""
        if self.num_clbits < self.num_qubits:
            missing = self.num_qubits - self.num_clbits
            if self.cregs or not self.num_clbits:
                self.add_clbits("meas", missing)
            else:
                self.num_clbits += missing
        for qubit in range(self.num_qubits):
            self.measure(qubit, qubit)
        return self

    def reset(self, qubit: int) -> Self:
        """Puts a qubit into |0>."""
        return self.append(Op.RESET, (qubit,))

    def barrier(self, *qubits: int) -> Self:
        """A barrier over the given qubits, or over all."""
        return self.append(Op.BARRIER, qubits or range(self.num_qubits))

    def unitary(self, matrix: npt.NDArray[Any], *qubits: int) -> Self:
        """A unitary matrix of shape (2^k, 2^k); the first listed qubit is the least significant index bit."""
        return self.append(Op.UNITARY, qubits, matrices=(matrix,))

    def kraus(self, matrices: Sequence[npt.NDArray[Any]], *qubits: int) -> Self:
        """A channel by its Kraus operators, each of shape (2^k, 2^k)."""
        return self.append(Op.KRAUS, qubits, matrices=matrices)

    def __getattr__(self, name: str) -> Callable[..., CircuitBuilder]:
        spec = BY_NAME.get(name)
        if spec is None or not spec.num_qubits:
            raise AttributeError(f"there is no operation called {name!r}")
        split = len(spec.params)

        def add(*args: Any, condition: Condition | None = None) -> CircuitBuilder:
            if len(args) != split + spec.num_qubits:
                signature = ", ".join((*spec.params, *(f"qubit{i}" for i in range(spec.num_qubits))))
                raise CircuitError(f"{name}({signature}): got {len(args)} arguments")
            return self.append(spec.op, args[split:], args[:split], condition=condition)

        return add

    def build(self) -> Circuit:
        """The circuit.

        Raises:
            CircuitError: An index is out of range, a qubit occurs twice in one operation, a number is not finite, a
                matrix is not unitary or a channel not trace preserving.
        """
        from proxima.contracts.circuit import Circuit, Columns, Register

        rows = len(self.ops)
        columns = Columns(
            np.array(self.ops, dtype=np.uint8),
            np.array(self.qubit_offsets, dtype=np.int32),
            np.array(self.qubits, dtype=np.int32),
            np.array(self.param_offsets, dtype=np.int32),
            np.array(self.params, dtype=np.float64),
            _dense(self.param_refs, len(self.params)),
            _dense(self.clbits, rows),
            _dense(self.condition_of, rows),
            _dense(self.payload_of, rows),
        )
        return Circuit(
            self.num_qubits,
            self.num_clbits,
            columns,
            qregs=tuple(Register(*each) for each in _partition(self.qregs, self.num_qubits, "q")),
            cregs=tuple(Register(*each) for each in _partition(self.cregs, self.num_clbits, "c")),
            parameters=tuple(self.parameters),
            conditions=tuple(self.conditions),
            payloads=tuple(self.payloads),
            name=self.name,
        )


def _dense(sparse: dict[int, int], size: int) -> npt.NDArray[np.int32]:
    out = np.full(size, -1, dtype=np.int32)
    if sparse:
        out[np.fromiter(sparse.keys(), np.int64, len(sparse))] = np.fromiter(sparse.values(), np.int64, len(sparse))
    return out


def _partition(named: list[tuple[str, int]], total: int, default: str) -> list[tuple[str, int]]:
    """The named registers, behind a default one that holds the bits given to the constructor."""
    unnamed = total - sum(size for _, size in named)
    return [(default, unnamed), *named] if unnamed else named
