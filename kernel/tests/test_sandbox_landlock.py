"""Landlock's rights, and the list of what a worker is shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("Landlock is Linux's", allow_module_level=True)

from proxima.sandbox.linux import landlock
from proxima.sandbox.linux.view import places
from proxima.sandbox.policy import SandboxPolicy, runtime_paths

NEEDED = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")

RESTRICT_AND_TRY = """
import json, os, sys
from proxima.sandbox.linux import landlock
from proxima.sandbox.linux.script import Script
version, rules, attempts = int(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
script = Script(None, (0, 1, 2))
script.close_all_but((0, 1, 2))
script.call("prctl", 38, 1, 0, 0, 0)
landlock.restrict(script, rules, version=version)
script.run()
answers = []
for kind, path in attempts:
    try:
        os.close(os.open(path, {"r": os.O_RDONLY, "w": os.O_WRONLY, "c": os.O_CREAT | os.O_WRONLY}[kind], 0o600))
        answers.append(0)
    except OSError as error:
        answers.append(error.errno)
print(json.dumps(answers))
"""


def restricted(version: int, rules: dict[str, int], attempts: list[tuple[str, str]]) -> list[int]:
    import json

    done = subprocess.run(
        [sys.executable, "-c", RESTRICT_AND_TRY, str(version), json.dumps(rules), json.dumps(attempts)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    answers: list[int] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize(("version", "bits"), [(1, 13), (2, 14), (3, 15), (5, 16), (7, 16), (9, 17), (99, 17)])
def test_handles_every_right_that_a_version_has(version: int, bits: int) -> None:
    assert landlock.handled_rights(version) == 2**bits - 1


@NEEDED
@pytest.mark.parametrize("version", range(1, landlock.abi() + 1))
def test_only_what_a_rule_names_can_be_opened(version: int, tmp_path: Path) -> None:
    for name in ("read", "write", "hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    rules = {str(tmp_path / "read"): landlock.READ, str(tmp_path / "write"): landlock.WRITE}
    attempts = [
        ("r", f"{tmp_path}/read/file"),
        ("w", f"{tmp_path}/read/file"),
        ("c", f"{tmp_path}/read/new"),
        ("w", f"{tmp_path}/write/file"),
        ("c", f"{tmp_path}/write/new"),
        ("r", f"{tmp_path}/write/file"),
        ("r", f"{tmp_path}/write"),
        ("r", f"{tmp_path}/hidden/file"),
        ("r", f"{tmp_path}/read/../hidden/file"),
        ("r", f"{tmp_path}"),
    ]
    assert restricted(version, rules, attempts) == [0, 13, 13, 0, 0, 13, 13, 13, 13, 13]


@NEEDED
def test_a_rule_for_a_file_grants_that_file_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("x")
    rules = {str(tmp_path / "one"): landlock.WRITE}
    attempts = [("w", f"{tmp_path}/one"), ("r", f"{tmp_path}/two")]
    assert restricted(landlock.abi(), rules, attempts) == [0, 13]


def policy(**fields: object) -> SandboxPolicy:
    return SandboxPolicy(**{"plugin": "x", "tier": "A", "scratch": "/tmp/scratch/x", **fields})  # type: ignore[arg-type]


def test_view_shows_no_home_no_processes_and_no_ancestor_of_what_is_hidden() -> None:
    shown, _ = places(policy(read=runtime_paths()))
    hidden = [str(Path.home()), "/etc/passwd", "/etc/shadow", "/proc/1", "/run", "/var/lib", "/dev/shm", "/dev/tty"]
    for path in shown:
        assert not any(secret == path or secret.startswith(path + "/") for secret in hidden), path


def test_view_grants_execution_only_with_subprocess() -> None:
    assert not any(place.rights & landlock.EXECUTE for place in places(policy())[0].values())
    shown, _ = places(policy(subprocess=True))
    assert shown[os.path.realpath("/usr/bin")].rights & landlock.EXECUTE
    assert not shown["/tmp/scratch/x"].rights & landlock.EXECUTE


def test_view_never_grants_making_links_devices_or_sockets() -> None:
    made = (1 << 6) | (1 << 9) | (1 << 10) | (1 << 11) | (1 << 12)
    shown, _ = places(policy(write=("/tmp/scratch/w",), subprocess=True, gpu=True))
    assert not any(place.rights & made for place in shown.values())


def test_view_lets_what_may_be_written_be_read_only_where_that_is_granted_too() -> None:
    shown, _ = places(policy(write=("/tmp/w", "/tmp/both", "/tmp/r/w"), read=("/tmp/both", "/tmp/r")))
    assert not shown["/tmp/w"].rights & landlock.READ
    for path in ("/tmp/both", "/tmp/r/w", "/tmp/scratch/x"):
        assert shown[path].rights & landlock.READ == landlock.READ


def test_view_lays_a_readable_directory_over_a_writable_one() -> None:
    shown, _ = places(policy(write=("/tmp/w",), read=("/tmp/w/.venv", "/tmp/r", "/tmp/r/below")))
    assert shown["/tmp/w"].writable
    assert not shown["/tmp/w/.venv"].writable
    assert "/tmp/r/below" not in shown
    assert list(shown).index("/tmp/w") < list(shown).index("/tmp/w/.venv")
