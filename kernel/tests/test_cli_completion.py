import shutil
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("proxima pl", {"plugin"}),
        (
            "proxima plugin ",
            {"list", "info", "enable", "disable", "permissions", "config", "bisect", "install", "uninstall", "update"}
            | {"rollback", "lock", "sync", "new", "dev", "docs", "build", "test", "validate", "-h", "--help"},
        ),
        ("proxima plugin li", {"list"}),
        ("proxima --saf", {"--safe-mode"}),
        ("proxima tea --lo", {"--loud"}),
        ("proxima plugin list --j", {"--json"}),
    ],
)
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_commands_and_options_also_of_plugins(workshop, line, expected):
    workshop.lay_out("tea")
    workshop.lay_out("milk", "raise RuntimeError('imported')")
    bin_ = workshop.root / "bin"
    bin_.mkdir()
    (bin_ / "proxima").write_text(f'#!/bin/sh\nexec {sys.executable} -m proxima "$@"\n')
    (bin_ / "proxima").chmod(0o755)
    words = line.split(" ")
    script = f"""
eval "$(proxima completion bash)"
COMP_LINE='{line}'; COMP_POINT={len(line)}; COMP_WORDS=({" ".join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}
COMP_TYPE=9; COMP_KEY=9
_python_argcomplete proxima
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environ = workshop.environ()
    environ["PATH"] = f"{bin_}:{environ['PATH']}"
    done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True)
    assert done.stderr == ""
    assert {each.strip() for each in done.stdout.split("\n") if each.strip()} == expected
    assert set(workshop.imported()) <= {"tea"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh", "powershell"])
def test_there_is_a_script_for_each_shell(workshop, shell):
    code, out, err = workshop.main("completion", shell)
    assert (code, err) == (0, "")
    assert "proxima" in out
