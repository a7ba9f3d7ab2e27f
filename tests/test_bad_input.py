"""What a user gets wrong, and what goes wrong around them: the real command says what and where, and loses nothing."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Proxima = Callable[..., "subprocess.CompletedProcess[str]"]


HEADER = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\n'

FILES = {
    "empty": (b"", "circuit.qasm is empty"),
    "binary": (bytes(range(256)), "circuit.qasm is a binary file, not a circuit"),
    "too large": (b"// " + b"h" * (65 << 20), "circuit.qasm is too large: 65 MiB, and at most 64 MiB is read"),
    "cut short": (HEADER + "h q[", "circuit.qasm:4:5: the file ends too early"),
    "unknown gate": (HEADER + "foo q[0];", "circuit.qasm:4:1: unknown gate 'foo' (at 'foo')"),
    "index out of range": (HEADER + "h q[5];", "circuit.qasm:4:5: index out of range: 'q' has 2 bits"),
    "recursive gate": ("OPENQASM 2.0;\ngate a x { a x; }", "circuit.qasm:2:12: gate 'a' calls itself"),
    "recursive include": ('OPENQASM 2.0;\ninclude "circuit.qasm";', "recursive include: circuit.qasm -> circuit.qasm"),
    "division by zero": (HEADER + "rx(pi/0) q[0];", "circuit.qasm:4:6: division by zero"),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_file_is_refused_with_its_place(case: str, run_proxima: Proxima, tmp_path: Path) -> None:
    data, message = FILES[case]
    (tmp_path / "work" / "circuit.qasm").write_bytes(data if isinstance(data, bytes) else data.encode())
    done = run_proxima("run", "circuit.qasm")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(run_proxima("results", "list", "--json").stdout) == []


def test_missing_file_is_named_with_the_nearest_one(run_proxima: Proxima, tmp_path: Path) -> None:
    (tmp_path / "work" / "bell.qasm").write_text(HEADER)
    done = run_proxima("run", "bel.qasm")
    assert done.returncode == 2
    assert "there is no file bel.qasm" in done.stderr
    assert "did you mean bell.qasm?" in done.stderr


def test_unknown_backend_gets_the_nearest_names(run_proxima: Proxima) -> None:
    done = run_proxima("run", "-", "--backend", "qsmi", stdin=HEADER + "h q;")
    assert done.returncode == 3
    assert "there is no backend called 'qsmi'" in done.stderr
    assert "did you mean qsim?" in done.stderr


def _entangled(qubits: int, layers: int) -> str:
    """A circuit that no method but a full statevector can hold."""
    rng = random.Random(1)
    lines = ["OPENQASM 2.0;", 'include "qelib1.inc";', f"qreg q[{qubits}];"]
    for _ in range(layers):
        lines += [f"rx({rng.random()}) q[{i}];" for i in range(qubits)]
        lines += ["cx q[{}],q[{}];".format(*rng.sample(range(qubits), 2)) for _ in range(qubits)]
    return "\n".join(lines)


@pytest.mark.parametrize("backend", ["auto", "qsim", "cirq", "qiskit-aer"])
def test_statevector_of_40_qubits_is_refused_before_memory_is_taken(run_proxima: Proxima, backend: str) -> None:
    text = _entangled(40, 30)
    started = time.monotonic()
    done = run_proxima("run", "-", "--want", "statevector", "--backend", backend, "--precision", "single", stdin=text)
    assert time.monotonic() - started < 60
    assert done.returncode == 3
    assert "TiB" in done.stderr
    assert "40 qubits" in done.stderr


def test_named_backend_that_cannot_says_which_one_could(run_proxima: Proxima) -> None:
    done = run_proxima("run", "-", "--backend", "qsim", "--precision", "double", stdin=HEADER + "h q;")
    assert done.returncode == 3
    assert "qsim cannot run this: it computes in single precision only" in done.stderr
    assert re.search(r"hint: cirq( or [\w-]+)* or qiskit-aer( or [\w-]+)* can run it", done.stderr)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shots", "0"], "shots: expected a whole number from 1"),
        (["--shots", "many"], "argument --shots"),
        (["--seed", "-1"], "seed: expected a whole number from 0"),
        (["--want", "magic"], "unknown result 'magic'"),
        (["--want", "expectation:Z"], "the observable Z spans 1 qubits, the circuit has 2"),
        (["--noise", "depolarizing:2"], "'2' is not a number between 0 and 1"),
        (["--noise", "cosmic_rays:0.1"], "unknown noise 'cosmic_rays'"),
        (["--deadline", "0"], "deadline: expected a positive number of seconds"),
        (["--bogus"], "unrecognized arguments: --bogus"),
    ],
)
def test_wrong_option_is_named(run_proxima: Proxima, words: list[str], message: str) -> None:
    done = run_proxima("run", "-", *words, stdin=HEADER + "h q;")
    assert done.returncode == 2
    assert message in done.stderr


def test_damaged_results_database_is_kept_aside_and_a_new_one_begun(run_proxima: Proxima, tmp_path: Path) -> None:
    run_proxima("run", "-", stdin=HEADER + "h q;")
    (database,) = (tmp_path / "home").rglob("results.sqlite")
    for path in database.parent.glob("results.sqlite-*"):
        path.unlink()
    database.write_bytes(b"this is not a database" * 1000)
    done = run_proxima("run", "-", stdin=HEADER + "h q;")
    assert done.returncode == 0, done.stderr
    (kept,) = database.parent.glob("results.sqlite.corrupt-*")
    assert kept.name in done.stderr
    assert len(json.loads(run_proxima("results", "list", "--json").stdout)) == 1


def test_two_processes_at_once_both_store(run_proxima: Proxima, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "proxima", "run", "-", "--json"]
    env = os.environ | {"PROXIMA_HOME": str(tmp_path / "home")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    both = [subprocess.Popen(command, env=env, text=True, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    outputs = [process.communicate(HEADER + "h q;", timeout=60) for process in both]
    ids = {json.loads(out)["id"] for out, _ in outputs}
    assert {row["id"] for row in json.loads(run_proxima("results", "list", "--json").stdout)} == ids


@pytest.mark.parametrize("backend", ["qsim", "qiskit-aer", "cirq"])
def test_interrupt_ends_a_long_run_within_a_second_and_stores_nothing(
    run_proxima: Proxima, tmp_path: Path, backend: str
) -> None:
    circuit = tmp_path / "long.qasm"
    circuit.write_text(_entangled(24, 200))
    command = [sys.executable, "-m", "proxima", "run", str(circuit), "--backend", backend, "--threads", "1"]
    env = os.environ | {"PROXIMA_HOME": str(tmp_path / "home")}
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_for_work(process.pid, seconds=8.0)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    interrupted = time.monotonic()
    _, errors = process.communicate(timeout=30)
    # A second of the run's own, and as much again for the interpreter to end on a busy machine.
    assert time.monotonic() - interrupted < 2.0
    assert process.returncode == 130
    assert "interrupted" in errors
    assert json.loads(run_proxima("results", "list", "--json").stdout) == []


def _wait_for_work(pid: int, seconds: float) -> None:
    """Until the process has used so much processor time: its imports are behind it, and the engine is at work."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") > seconds:
            return
        time.sleep(0.1)
    raise AssertionError("the process did not get to work within a minute")
