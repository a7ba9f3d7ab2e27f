"""Questions on a real pseudo-terminal."""

import io
import os
import threading
import time

import pytest

from proxima.dialogue import Dialogue, NoAnswerError

pty = pytest.importorskip("pty")


@pytest.fixture
def terminal():
    user, program = pty.openpty()
    with os.fdopen(program, "r", encoding="utf-8") as stream:
        yield user, stream
    os.close(user)


def test_the_answer_is_what_is_typed_after_the_question(terminal):
    user, stream = terminal
    out = io.StringIO()

    def answer():
        while not out.getvalue():
            time.sleep(0.005)
        os.write(user, b"  Some \n")

    os.write(user, b"yes\n")
    thread = threading.Thread(target=answer)
    thread.start()
    assert Dialogue(stream, out, 20).ask("Install it? ") == "some"
    thread.join()
    assert out.getvalue() == "Install it? "


def test_the_time_is_for_all_questions_together(terminal):
    user, stream = terminal
    dialogue = Dialogue(stream, io.StringIO(), 0.2)
    threading.Timer(0.05, os.write, (user, b"x\n")).start()
    started = time.monotonic()
    assert dialogue.ask("? ") == "x"
    with pytest.raises(NoAnswerError, match=r"no answer in 0\.2 s"):
        dialogue.ask("? ")
    assert time.monotonic() - started < 5


def test_the_end_of_the_input_is_no_answer(terminal):
    user, stream = terminal
    threading.Timer(0.05, os.write, (user, b"\x04")).start()
    with pytest.raises(NoAnswerError, match="the input ended"):
        Dialogue(stream, io.StringIO(), 20).ask("? ")


def test_nobody_is_asked_where_there_is_no_terminal():
    out = io.StringIO()
    with pytest.raises(NoAnswerError, match="no terminal to ask on"):
        Dialogue(io.StringIO("yes\n"), out).ask("? ")
    assert out.getvalue() == ""
