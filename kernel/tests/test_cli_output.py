from __future__ import annotations

import io
import json
import math
import os
import pty
import select
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxima.cli.output import (
    ProgressLine,
    clean,
    format_bytes,
    format_seconds,
    histogram,
    paragraph,
    print_json,
    table,
    terminal_width,
    wrap,
)


class Ascii(io.StringIO):
    encoding = "ascii"


class Utf8(io.StringIO):
    encoding = "utf-8"


@given(st.text())
def test_cleaned_text_moves_no_cursor_and_keeps_printable_text(text):
    cleaned = clean(text)
    assert all(c.isprintable() or c.isspace() for c in cleaned)
    assert not any(c in cleaned for c in "\x1b\r\n\x07\x9b‮⁦\u2028")
    if text.isprintable():
        assert cleaned == text


def test_escape_sequences_are_shown_not_sent():
    assert clean("a\x1b]0;title\x07b") == "a\\x1b]0;title\\x07b"
    assert clean("right‮left") == "right\\u202eleft"
    assert clean("ψ") == "ψ"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ns"), (3e-9, "3 ns"), (1.5e-6, "1.5 us"), (0.00123, "1.23 ms"), (0.99996, "1 s"), (4.5, "4.5 s"),
        (101, "101 s"), (125.2, "2 min 5 s"), (7384, "2 h 3 min"), (float("inf"), "unknown"),
    ],
)  # fmt: skip
def test_seconds_have_three_digits_and_a_unit(seconds, text):
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (16 << 20, "16 MiB"),
        (16 << 40, "16 TiB"),
        (1536, "1.5 KiB"),
        (1023 << 10, "1023 KiB"),
    ],
)
def test_bytes_have_a_binary_unit(size, text):
    assert format_bytes(size) == text


def test_a_table_fits_and_numbers_stand_to_the_right():
    text = table(("name", "count"), [("a" * 50, 7), ("b", 12345)], width=24)
    assert text.splitlines() == [
        "name               count",
        "-----------------  -----",
        "aaaaaaaaaaaaaaa..      7",
        "b                  12345",
    ]


@given(st.lists(st.tuples(st.text(), st.integers(), st.text()), max_size=5), st.integers(30, 100))
def test_every_table_line_fits_its_width(rows, width):
    text = table(("a", "b", "c"), rows, width=width)
    assert len(text.split("\n")) == len(rows) + 2
    assert max(map(len, text.split("\n"))) <= width


def test_a_histogram_scales_to_the_largest_and_sums_the_rest():
    counts = {"00": 50, "11": 40, "01": 6, "10": 4}
    assert histogram(counts, width=30, rows=2, stream=Ascii()).splitlines() == [
        "00      50   50.0% ###########",
        "11      40   40.0% #########",
        "2 more  10   10.0%",
    ]
    blocks = histogram(counts, width=30, rows=4, stream=Utf8()).splitlines()
    assert blocks[0].endswith("█" * 15)
    assert blocks[3].endswith(" █▎")  # 4/50 of 15 columns: 10 eighths


@given(
    st.dictionaries(st.text("01", max_size=120), st.integers(1, 10**9), max_size=40),
    st.integers(40, 200),
    st.booleans(),
)
def test_every_histogram_line_fits_its_width(counts, width, ascii_only):
    text = histogram(counts, width=width, stream=Ascii() if ascii_only else Utf8())
    assert max(map(len, text.splitlines())) <= width
    if ascii_only:
        assert text.isascii()


def test_an_empty_histogram_and_one_without_bits_say_so():
    assert histogram({}) == "no counts"
    assert histogram({"": 5}, width=60, stream=Ascii()).startswith("(no bits)  5  100.0% #")


def test_json_is_ascii():
    stream = io.StringIO()
    print_json({"ψ": [1, None]}, stream)
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue()) == {"ψ": [1, None]}


def test_what_json_has_not_becomes_null():
    stream = io.StringIO()
    print_json({"x": float("nan"), "y": [(1.5, -math.inf)]}, stream)
    assert json.loads(stream.getvalue()) == {"x": None, "y": [[1.5, None]]}


def test_a_paragraph_has_one_line_at_the_margin():
    assert paragraph("no\nhint: run this\n\x1b[2J") == "no\n  hint: run this\n  \\x1b[2J"
    assert paragraph("") == ""


def test_wrapped_lines_fit_and_are_indented():
    lines = wrap("one two three four five", width=12).splitlines()
    assert lines == ["one two", "  three four", "  five"]


def test_the_width_is_the_terminals_or_what_the_user_says(monkeypatch):
    monkeypatch.setenv("COLUMNS", "132")
    assert terminal_width() == 132


def test_progress_is_silent_where_there_is_no_terminal():
    stream = io.StringIO()
    with ProgressLine(stream, after=0.0) as progress:
        progress(0.5, "sampling")
    assert stream.getvalue() == ""


def test_progress_is_drawn_on_a_terminal_cleaned_and_wiped():
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as stream:
        with ProgressLine(stream, after=0.0) as progress:
            progress(0.25, "sam\x1b[2Jpling")
        with ProgressLine(stream, after=60.0) as progress:
            progress(0.5, "too early to show")
        stream.flush()
        shown = ""
        while select.select([leader], [], [], 0.5)[0]:
            shown += os.read(leader, 4096).decode()
    os.close(leader)
    assert " 25%  sam\\x1b[2Jpling" in shown
    assert shown.endswith("\r\x1b[K")
    assert "too early" not in shown


def test_works_where_standard_output_has_no_encoding(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert histogram({"0": 1}, width=40).endswith("#")
