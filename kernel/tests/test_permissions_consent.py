import io
import os
import threading
import time

import pytest

from proxima.permissions import ConsentRequest, DenyAll, Permission, TerminalConsent
from proxima.permissions.consent import how_to_grant, shown

pty = pytest.importorskip("pty")

GRANT = "`proxima plugin permissions advanced-vqe grant network:github.com`"
REQUEST = ConsentRequest(
    "advanced-vqe",
    "1.2.0",
    Permission.parse("network:github.com"),
    target="https://github.com/x",
    reason="to fetch a molecule",
)


class Terminal:
    """A real pseudo-terminal: `type` is the user, `consent` asks on its other end."""

    def __init__(self, timeout=20.0):
        self.user, self.program = pty.openpty()
        self.stream_in = os.fdopen(self.program, "r", encoding="utf-8")
        self.out = io.StringIO()
        self.consent = TerminalConsent(self.stream_in, self.out, timeout)

    def ask(self, *lines, request=REQUEST):
        def answer():
            for count, line in enumerate(lines, 1):
                while self.out.getvalue().count("Allow") < count:
                    time.sleep(0.005)
                os.write(self.user, line.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            return self.consent.ask(request)
        finally:
            thread.join()

    def close(self):
        self.stream_in.close()
        os.close(self.user)


@pytest.fixture
def terminal():
    terminal = Terminal()
    yield terminal
    terminal.close()


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("o\n", "once"),
        ("once\n", "once"),
        ("S\n", "session"),
        (" always \n", "always"),
        ("d\n", "deny"),
        ("no\n", "deny"),
        ("\n", "deny"),
    ],
)
def test_the_user_answers(terminal, typed, answer):
    assert terminal.ask(typed) == answer


def test_the_question_says_what_why_and_how_risky(terminal):
    terminal.ask("d\n")
    text = terminal.out.getvalue()
    for part in (
        "advanced-vqe 1.2.0",
        "Connect to github.com on port 443 (network:github.com)",
        "https://github.com/x",
        "to fetch a molecule",
        "medium",
    ):
        assert part in text


def test_an_unclear_answer_is_asked_again_and_yes_is_unclear(terminal):
    assert terminal.ask("y\n", "o\n") == "once"


def test_three_unclear_answers_deny(terminal):
    assert terminal.ask("y\n", "yes\n", "what?\n") == "deny"
    assert GRANT in terminal.out.getvalue()


def test_the_end_of_input_denies(terminal):
    assert terminal.ask("\x04") == "deny"
    assert "the input ended" in terminal.out.getvalue()


def test_no_answer_in_time_denies_and_says_how_to_grant():
    terminal = Terminal(timeout=0.1)
    start = time.monotonic()
    assert terminal.consent.ask(REQUEST) == "deny"
    assert 0.1 <= time.monotonic() - start < 5
    assert "no answer in 0.1 s" in terminal.out.getvalue()
    assert GRANT in terminal.out.getvalue()
    terminal.close()


def test_half_a_line_is_no_answer():
    terminal = Terminal(timeout=0.3)
    assert terminal.ask("a") == "deny"
    terminal.close()


def test_what_was_typed_before_the_question_does_not_answer_it():
    terminal = Terminal(timeout=0.3)
    os.write(terminal.user, b"always\n")
    assert terminal.consent.ask(REQUEST) == "deny"
    terminal.close()


def test_without_a_terminal_it_denies_and_says_how_to_grant():
    out = io.StringIO()
    assert TerminalConsent(io.StringIO("always\n"), out).ask(REQUEST) == "deny"
    assert "no terminal to ask on" in out.getvalue()
    assert GRANT in out.getvalue()


def test_a_pipe_is_no_terminal():
    reader, writer = os.pipe()
    os.write(writer, b"always\n")
    os.close(writer)
    with os.fdopen(reader) as stream:
        assert TerminalConsent(stream, io.StringIO()).ask(REQUEST) == "deny"


def test_a_request_is_denied_after_five_minutes_by_default():
    assert TerminalConsent(io.StringIO(), io.StringIO())._timeout == 300


def test_a_plugin_cannot_draw_on_the_terminal(terminal):
    hostile = ConsentRequest(
        "evil", "1", Permission.parse("subprocess"), target="\x1b[2J\x1b]0;x\x07", reason="a\r\nAllow? \u202eyes" * 100
    )
    terminal.ask("d\n", request=hostile)
    text = terminal.out.getvalue()
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\u202e" not in text
    assert len(text) < 2500
    assert shown("\x1b[2J é") == "\\x1b[2J é"


def test_deny_all_denies():
    assert DenyAll().ask(REQUEST) == "deny"


def test_the_command_that_grants_can_be_typed_as_it_stands():
    path = Permission("file_read", "/srv/my data;rm")
    assert how_to_grant("tea", path) == (
        "to allow it: `proxima plugin permissions tea grant 'file_read:/srv/my data;rm'`."
    )
