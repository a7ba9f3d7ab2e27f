from __future__ import annotations

import io
import os
import sys

import pytest

from proxima.contracts.execution import RunOptions
from proxima.errors import CircuitSyntaxError, UsageError
from proxima_execution.loading import load_circuit
from proxima_execution.preparation import prepare


def test_reads_a_file_and_names_the_circuit_after_it(execution, bell_file):
    circuit = execution.load(str(bell_file))
    assert (circuit.name, circuit.num_qubits, len(circuit)) == ("bell", 2, 4)
    assert circuit.metadata["source"] == str(bell_file)


def test_reads_standard_input(execution, bell_file, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bell_file.read_bytes())))
    circuit = execution.load("-")
    assert circuit.name == "stdin"
    assert circuit.metadata["source"] == "<stdin>"


def test_a_missing_file_is_named_and_a_near_one_suggested(execution, bell_file):
    with pytest.raises(UsageError, match=r"there is no file .*bel\.qasm") as caught:
        execution.load(str(bell_file.with_name("bel.qasm")))
    assert caught.value.hint == "did you mean bell.qasm?"
    with pytest.raises(UsageError, match=r"there is no file nowhere/x\.qasm"):
        execution.load("nowhere/x.qasm")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "is a binary file"),
        (b"hello world", "no installed format recognises"),
    ],
)
def test_refuses_what_is_no_circuit(execution, home, content, message):
    path = home / "thing.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        execution.load(str(path))
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


def test_refuses_a_directory_and_a_file_it_may_not_read(execution, home):
    with pytest.raises(UsageError, match="is a directory"):
        execution.load(str(home))
    with pytest.raises(UsageError, match="cannot read"):
        execution.load("a\0b")


def test_refuses_a_file_that_is_too_large_without_reading_it(execution, home):
    path = home / "large.qasm"
    path.touch()
    os.truncate(path, 100 << 20)  # sparse: takes no space
    with pytest.raises(UsageError, match=r"too large: 100 MiB, and at most 64 MiB") as caught:
        execution.load(str(path))
    assert "plugins.execution.max_circuit_bytes" in caught.value.hint


def test_refuses_an_endless_file(kernel):
    with pytest.raises(UsageError, match="/dev/zero is too large"):
        load_circuit(kernel, "/dev/zero", None, 1000)


def test_damage_is_reported_with_file_line_and_column(execution, home):
    path = home / "cut.qasm"
    path.write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncx q[0], q[')
    with pytest.raises(CircuitSyntaxError) as caught:
        execution.load(str(path))
    assert str(caught.value).startswith(f"{path}:4:")


def test_chooses_the_format_by_content_then_by_extension(execution, home):
    path = home / "no_extension"
    path.write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\nh q[0];\n')
    assert execution.load(str(path)).num_qubits == 1
    assert execution.load("memory.qasm", data=path.read_bytes()).name == "memory"


def test_a_backend_is_not_told_where_the_circuit_s_file_is(kernel, tmp_path):
    path = tmp_path / "private.qasm"
    path.write_text("OPENQASM 2.0; qreg q[1]; creg c[1]; measure q -> c;")
    circuit = load_circuit(kernel, str(path), None, 1000)
    assert circuit.metadata["source"] == str(path)
    assert str(path) not in str(prepare(circuit, RunOptions())[0].circuit.metadata)
