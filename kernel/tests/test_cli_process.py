import json
import os
import signal
import subprocess
import sys
import time

import pytest

RUNS = """
from proxima.errors import *
from proxima.hookspecs import hookimpl
import os, sys, time


class Greet:
    name = "tea"
    summary = "Brews"

    def configure(self, parser):
        parser.add_argument("--size", type=int)

    def run(self, args, kernel):
        BODY


class Plugin:
    @hookimpl
    def proxima_commands(self):
        return [Greet()]


plugin = Plugin()
"""


def brew(workshop, body, **fields):
    workshop.lay_out("tea", RUNS.replace("BODY", body), **fields)


@pytest.mark.parametrize(
    ("body", "code", "err"),
    [
        ("return 0", 0, ""),
        ("return 1", 1, ""),
        ("raise RunError('it boiled over', hint='use less')", 1, "proxima: error: it boiled over\nhint: use less\n"),
        ("raise UsageError('no cup')", 2, "proxima: error: no cup\n"),
        ("raise ResourceError('16 TiB of tea')", 3, "proxima: error: 16 TiB of tea\n"),
        ("raise PermissionDeniedError('hot')", 4, "proxima: error: hot\n"),
        ("raise CancelledError('cancelled')", 130, "proxima: error: cancelled\n"),
        ("raise KeyboardInterrupt", 130, "proxima: interrupted\n"),
        ("raise StorageError('two\\nlines')", 1, "proxima: error: two\n  lines\n"),
    ],
)
def test_the_exit_code_says_how_it_went(workshop, body, code, err):
    brew(workshop, body)
    done = workshop.proxima("tea")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", err)


def test_a_bug_in_a_command_shows_its_traceback(workshop):
    brew(workshop, "1 / 0")
    done = workshop.proxima("tea")
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_permission_that_nobody_granted_is_denied_where_nobody_can_be_asked(workshop):
    brew(workshop, "kernel.permissions.use('tea', 'network:example.org')", permissions=["network:example.org"])
    done = workshop.proxima("tea")
    assert done.returncode == 4
    assert done.stderr.startswith("proxima: error: tea was denied network:example.org")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["plugni"], "invalid choice: 'plugni'", "did you mean plugin?"),
        (["te"], "invalid choice: 'te'", "did you mean tea?"),
        (["plugin", "lits"], "invalid choice: 'lits'", "did you mean list?"),
        (["zzzzzz"], "invalid choice: 'zzzzzz' (choose from", "see `proxima --help`"),
        (["plugin"], "the following arguments are required: ACTION", "see `proxima plugin --help`"),
        (["tea", "--size", "large"], "argument --size: invalid int value: 'large'", "see `proxima tea --help`"),
        (["tea", "more"], "unrecognized arguments: more", "see `proxima --help`"),
        (["--set"], "argument --set: expected one argument", "see `proxima --help`"),
        (["--set", "nothing", "tea"], "--set nothing: expected KEY=VALUE", ""),
        (["--safe", "tea"], "unrecognized arguments: --safe", "see `proxima --help`"),
        (["completion", "bsh"], "invalid choice: 'bsh'", "did you mean bash or zsh?"),
    ],
)
def test_wrong_usage_is_named_with_the_nearest_name(workshop, words, message, hint):
    brew(workshop, "return 0")
    code, out, err = workshop.main(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert hint in err


def test_an_unknown_plugin_is_unavailable_with_the_nearest_name(workshop):
    brew(workshop, "return 0")
    assert workshop.main("plugin", "info", "teaa") == (
        3,
        "",
        "proxima: error: there is no plugin called 'teaa'\nhint: did you mean tea?\n",
    )


def test_no_command_prints_the_help(workshop):
    code, out, _ = workshop.main()
    assert code == 2
    assert out.startswith("usage: proxima ")


def test_the_version_is_the_packages(workshop):
    import proxima

    for words in (["--version"], ["-V"]):
        assert workshop.main(*words) == (0, f"proxima {proxima.__version__}\n", "")
    assert workshop.proxima("-V", "doctor").stdout == f"proxima {proxima.__version__}\n"


@pytest.mark.parametrize("words", [["plugin", "list"], ["plugin", "info", "tea"], ["doctor"]], ids=" ".join)
def test_json_is_one_document(workshop, words):
    brew(workshop, "return 0")
    done = workshop.proxima(*words, "--json")
    assert json.loads(done.stdout)
    assert done.stderr == ""


def test_ctrl_c_in_a_command_ends_it_within_a_second(workshop):
    brew(workshop, "print('ready', flush=True); time.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-m", "proxima", "tea"],
        env=workshop.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 1
    assert (process.returncode, out, err) == (130, "", "proxima: interrupted\n")


@pytest.mark.parametrize("words", ["plugin list", "plugin list --json", "--help", "tea"])
def test_a_reader_that_goes_away_is_no_error(workshop, words):
    brew(workshop, "print('\\n'.join(map(str, range(200_000)))); return 0")
    command = f"{sys.executable} -m proxima {words} | head -1 > /dev/null; echo ${{PIPESTATUS[0]}}"
    done = workshop.shell(command)
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")
    closed = workshop.shell(f"({sys.executable} -m proxima {words}; echo $? >&2) | true")
    assert closed.stderr.strip() in ("0", "141")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("words", ["plugin list", "plugin list --json", "--version", "doctor"])
def test_output_that_cannot_be_written_is_said(workshop, words):
    done = workshop.shell(f"{sys.executable} -m proxima {words} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "proxima: error: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("words", ["plugin list", "plugin info tea", "doctor --json", "--version", "tea"])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_no_harm(workshop, words, closed):
    brew(workshop, "return 0")
    done = workshop.shell(f"{sys.executable} -m proxima {words} {closed}")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_user_without_a_home_directory_is_told_what_to_do(workshop, as_user):
    environ = workshop.environ()
    del environ["PROXIMA_HOME"]
    environ |= {"HOME": ""}
    command = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"] if os.getuid() == 0 else []
    if not command:
        pytest.skip("needs root to become a user that the system does not know")
    for words in (["plugin", "list"], ["doctor"]):
        done = subprocess.run(
            [*command, sys.executable, "-m", "proxima", *words], env=environ, capture_output=True, text=True
        )
        if "Permission denied" in done.stderr or "cannot open shared object file" in done.stderr:
            pytest.skip("the interpreter is not readable for other users here")
        assert done.returncode == 1
        assert done.stderr.startswith("proxima: error: this user has no home directory\nhint: Set HOME")
    done = subprocess.run([*command, sys.executable, "-m", "proxima", "--version"], env=environ)
    assert done.returncode == 0


def test_a_home_that_cannot_be_written_still_lists_and_says_what_it_cannot_do(workshop, as_user):
    brew(workshop, "return 0")
    workshop.home.mkdir()
    workshop.home.chmod(0o555)
    for directory in (workshop.root, *workshop.root.parents[:3]):
        if os.stat(directory).st_uid == os.getuid() and str(directory).startswith(("/tmp/pytest", "/var")):
            directory.chmod(0o755)
    command = as_user(sys.executable, "-m", "proxima")

    def run(*words):
        return subprocess.run([*command, *words], env=workshop.environ(), capture_output=True, text=True)

    if run("--version").returncode != 0:
        pytest.skip("the interpreter is not readable for other users here")
    assert "tea" in run("plugin", "list").stdout
    done = run("plugin", "disable", "tea")
    assert done.returncode == 1
    assert done.stderr.startswith("proxima: error: cannot ")
    assert "Traceback" not in done.stderr
    doctor = run("doctor")
    assert doctor.returncode == 1
    assert "error    state" in doctor.stdout


def test_a_working_directory_that_was_deleted_is_no_bug(workshop):
    brew(workshop, "kernel.settings; kernel.permissions; return 0")
    done = workshop.shell(f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -P -m proxima tea")
    assert done.returncode == 2
    assert done.stderr == "proxima: error: the current directory was deleted\nhint: change to one that exists\n"


def test_a_plugin_that_prints_what_it_likes_on_a_pipe_does_not_ask_for_a_terminal(workshop):
    brew(workshop, "print(sys.stdin.read()); return 0")
    done = workshop.proxima("tea", input="from a pipe")
    assert done.stdout == "from a pipe\n"
