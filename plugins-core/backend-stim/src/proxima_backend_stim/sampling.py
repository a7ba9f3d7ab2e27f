"""Samples: many shots at once as Pauli frames around one reference shot, or one shot after another on a tableau."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext
from proxima_backend_stim import engine
from proxima_backend_stim.translate import Conditional, Program

Bits = npt.NDArray[np.uint8]

# A batch of shots is one call of stim, of about this many seconds; a constant, since batches show in what is drawn.
_BATCH_SECONDS = 0.2
_SECONDS_PER_STEP = 2e-10  # of one shot, noise included
_SECONDS_PER_BIT = 1e-8
_MASK_BYTES = 1 << 26
_SHOTS_AT_ONCE = 4096
_WORD = 256  # stim's frames go in words of so many shots


def by_frames(program: Program, shots: int, seed: int, context: RunContext) -> Iterator[Bits]:
    """Batches of shots, packed: uint8, shape (batch, ceil(num_clbits / 8)), bit j in byte j // 8 from the lowest on.

    Every step under a condition must be a Pauli operator.
    """
    stim = engine.load()
    seeds = np.random.SeedSequence(seed).generate_state(3, np.uint64).tolist()
    reference, held = _reference(program, seeds[0], context)
    size = _batch(program, shots, len(reference))
    sampler: Any = None
    if not program.conditionals:
        whole = stim.Circuit()
        for piece in program.pieces:
            whole += piece.circuit
        sampler = whole.compile_sampler(seed=seeds[1], reference_sample=reference)
    for begin in range(0, shots, size):
        context.check()
        count = min(size, shots - begin)
        if sampler is None:
            seed_of_batch = int(np.random.SeedSequence([seeds[2], begin]).generate_state(1, np.uint64)[0])
            packed = _flips(program, reference, held, count, seed_of_batch, context)
        else:
            packed = sampler.sample_bit_packed(count)
        yield _of_clbits(packed, program)
        context.progress((begin + count) / shots, "Pauli frames")


def by_shots(program: Program, shots: int, seed: int, context: RunContext) -> Iterator[Bits]:
    """As `by_frames`, one shot after another: any step may stand under a condition."""
    rng = np.random.default_rng(seed)
    for begin in range(0, shots, _SHOTS_AT_ONCE):
        out = np.zeros((min(_SHOTS_AT_ONCE, shots - begin), program.num_clbits), dtype=np.uint8)
        for bits in out:
            context.check()
            _shot(program, bits, int(rng.integers(2**63)), context)
        yield np.packbits(out, axis=1, bitorder="little")
        context.progress((begin + len(out)) / shots, "shots")


def _shot(program: Program, bits: Bits, seed: int, context: RunContext) -> None:
    """Simulates one shot and writes its classical bits."""
    simulator, known = engine.load().TableauSimulator(seed=seed), 0
    for piece in program.pieces:
        context.check()
        simulator.do(piece.circuit)
        if piece.clbits:
            record = simulator.current_measurement_record()
            for clbit, value in zip(piece.clbits, record[known:], strict=True):
                bits[clbit] = value
            known = len(record)
        step = piece.then
        if step is not None and step.condition.holds(bits.tolist()):
            simulator.do(step.circuit)
            if step.clbit >= 0:
                bits[step.clbit] = simulator.current_measurement_record()[-1]
                known += 1


def _reference(program: Program, seed: int, context: RunContext) -> tuple[npt.NDArray[np.bool_], list[bool]]:
    """One shot without noise: its record of measurements, and which of the conditions held."""
    simulator = engine.load().TableauSimulator(seed=seed)
    held = []
    for piece in program.pieces:
        context.check()
        simulator.do(piece.circuit.without_noise())
        if piece.then is not None:
            record = simulator.current_measurement_record()
            held.append(_holds(piece.then, [record[i] if i >= 0 else False for i in piece.then.records]))
            if held[-1]:
                simulator.do(piece.then.circuit)
    return np.array(simulator.current_measurement_record(), dtype=np.bool_), held


def _holds(step: Conditional, values: Sequence[Any]) -> Any:
    """Whether a condition holds, for one shot or for an array of them; it may read more bits than an integer has."""
    value = step.condition.value
    equal: Any = value >> len(values) == 0
    for i, bit in enumerate(values):
        equal = equal & (bit == bool(value >> i & 1))
    return equal != step.condition.negated


def _flips(
    program: Program,
    reference: npt.NDArray[np.bool_],
    held: Sequence[bool],
    count: int,
    seed: int,
    context: RunContext,
) -> Bits:
    """The records of a batch with conditions that stim has no words for.

    Where a shot's condition differs from the reference's, its frame takes the Pauli operators that either has alone.
    """
    simulator = engine.load().FlipSimulator(batch_size=count, num_qubits=program.num_qubits, seed=seed)
    conditions = iter(held)
    for piece in program.pieces:
        context.check()
        simulator.do(piece.circuit)
        step = piece.then
        if step is None:
            continue
        bits = [
            simulator.get_measurement_flips(record_index=i) ^ reference[i] if i >= 0 else np.zeros(count, np.bool_)
            for i in step.records
        ]
        differs = _holds(step, bits) != next(conditions)
        for letter, qubit in step.paulis or ():
            mask = np.zeros((program.num_qubits, count), np.bool_)
            mask[qubit] = differs
            simulator.broadcast_pauli_errors(pauli=letter, mask=mask)
    flips = simulator.get_measurement_flips() ^ reference[:, None]
    return np.packbits(flips.T, axis=1, bitorder="little")


def _batch(program: Program, shots: int, measurements: int) -> int:
    seconds = program.steps * _SECONDS_PER_STEP + measurements * _SECONDS_PER_BIT + _SECONDS_PER_STEP
    size = int(_BATCH_SECONDS / seconds)
    if program.conditionals:
        size = min(size, _MASK_BYTES // max(program.num_qubits, 1))
    return min(shots, max(_WORD, size // _WORD * _WORD))


def _of_clbits(packed: Bits, program: Program) -> Bits:
    """Classical bits from the record of measurements, both packed."""
    records, width = program.records, program.num_clbits
    if np.array_equal(records, np.arange(width)) and packed.shape[1] == (width + 7) // 8:
        return packed
    bits = np.unpackbits(packed, axis=1, bitorder="little")
    out = np.zeros((len(bits), width), np.uint8)
    out[:, records >= 0] = bits[:, records[records >= 0]]
    return np.packbits(out, axis=1, bitorder="little")


def counts_of(packed: Bits, width: int) -> dict[str, int]:
    """Counts by bit string, highest classical bit first and in ascending order, from packed shots."""
    if not width:
        return {"": len(packed)} if len(packed) else {}
    # The highest byte first, so that the order of the bytes is that of the bit strings.
    keys = np.ascontiguousarray(packed[:, ::-1])
    if keys.shape[1] <= 8:
        padded = np.zeros((len(keys), 8), np.uint8)
        padded[:, 8 - keys.shape[1] :] = keys
        values, numbers = np.unique(padded.view(">u8").ravel().astype(np.uint64), return_counts=True)
        found = values.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - keys.shape[1] :]
    else:
        views, numbers = np.unique(keys.view(f"V{keys.shape[1]}").ravel(), return_counts=True)
        found = views.view(np.uint8).reshape(-1, keys.shape[1])
    letters = np.unpackbits(found, axis=1)[:, -width:] + np.uint8(ord("0"))
    texts = np.ascontiguousarray(letters).view(f"S{width}").ravel().tolist()
    return {text.decode(): number for text, number in zip(texts, numbers.tolist(), strict=True)}
