"""Users' expressions: what they can say, and what they cannot get out of."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import proxima
from proxima.errors import DeadlineExceededError, ResourceError, RunError, UsageError
from proxima.sandbox import evaluate, restricted
from proxima.sandbox.evaluator import Evaluator, evaluator
from proxima.sandbox.expressions import MAX_DATA, run_in_child
from proxima.sandbox.restricted import NotAllowedError, answer, evaluate_restricted, plain_data

pytest.importorskip("RestrictedPython")


def run_here(request, seconds, memory_bytes):
    """Without a process: for what the language allows, which is the same everywhere."""
    return answer(request)


COUNTS = {"counts": {"00": 5, "11": 3}, "shots": 8, "backend": "qsim", "names": ["a", "b"], "empty": None}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('counts["00"] / shots > 0.4 and backend == "qsim"', True),
        ("max(counts.values())", 5),
        ("sum(counts.values()) == shots", True),
        ("[key for key, number in counts.items() if number > 3]", ["00"]),
        ("sorted(counts, key=lambda key: counts[key])", ["11", "00"]),
        ("{key: counts[key] / shots for key in counts}", {"00": 0.625, "11": 0.375}),
        ("counts.get('01', 0)", 0),
        ("backend.upper() + '!'", "QSIM!"),
        ("names[-1:] + ['c']", ["b", "c"]),
        ("any(name == 'b' for name in names)", True),
        ("round(-7 / 2, 1)", -3.5),
        ("(1, 'a', None, True, 2.5)", [1, "a", None, True, 2.5]),
        ("f'{shots:>4}' if empty is None else 0", "   8"),
        ("2 ** 100", 2**100),
        ("list(range(3))", [0, 1, 2]),
        ("  shots  ", 8),
        ("[both := 2, both]", [2, 2]),
    ],
)
def test_expressions_over_plain_data(expression, value):
    assert evaluate(expression, COUNTS, run=run_here) == value


def test_a_value_comes_from_a_process_of_its_own():
    assert evaluate("counts['00'] / shots > 0.4", COUNTS) is True


def test_numbers_come_back_as_they_are():
    value = evaluate("[a, b, c, -a]", {"a": float("inf"), "b": 0.1 + 0.2, "c": -(2**4000)})
    assert value == [float("inf"), 0.1 + 0.2, -(2**4000), -float("inf")]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1 +", "invalid syntax"),
        ("", "syntax"),
        ("x = 1", "syntax"),
        ("import os", "syntax"),
        ("shots; shots", "syntax"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("nothing", "NameError: name 'nothing' is not defined"),
        ("counts['01']", "KeyError: '01'"),
        ("(" * 300 + "1" + ")" * 300, "too many nested parentheses"),
        ("await shots", "not allowed|syntax|outside"),
        ("yield 1", "syntax|not allowed"),
    ],
)
def test_what_is_wrong_with_an_expression_is_said(expression, message):
    with pytest.raises(UsageError, match=message):
        evaluate(expression, COUNTS, run=run_here)


ESCAPES = [
    # What RestrictedPython refuses when it compiles.
    *("().__class__", "''.__class__.__mro__", "[].__class__.__base__.__subclasses__()", "counts.__class__"),
    *("__import__('os')", "__builtins__", "(lambda: 0).__globals__", "(lambda: 0).__code__", "_getattr_"),
    "_getattr_(1, 'real')",
    *("(x for x in [1]).gi_frame", "(x for x in [1]).gi_code", "(x for x in [1]).gi_yieldfrom"),
    *("f'{counts.__class__}'", "f'{().__class__.__base__}'", "(__x := 1)", "lambda __x: 1"),
    "[g.gi_frame.f_back for g in [(g.gi_frame for g in [1])]]",
    # CVE-2026-55830: a positional-only parameter that shadows a guard.
    *("(lambda _getattr_, /: ''.format)(getattr)", "(lambda _getattr_, /, x: x.mro)(lambda a, b: a, str)"),
    # CVE-2023-41039 and CVE-2026-76825: attributes through format strings.
    *("'{0.__class__}'.format(counts)", "'{0.__class__}'.format_map(counts)", "str.format('{0.__class__}', counts)"),
    *("''.format", "str.format_map", "backend.format", "'%s'.join", "backend.encode", "backend.translate"),
    # Names and attributes there are not.
    *("open('/etc/passwd')", "eval('1')", "exec('1')", "compile('1', '', 'eval')", "getattr(1, 'real')", "globals()"),
    *("type(1)", "type('X', (), {})", "object()", "vars()", "dir()", "input()", "print(1)", "breakpoint()", "super()"),
    *("id(1)", "hash(1)", "callable(1)", "isinstance(1, int)", "setattr(counts, 'x', 1)", "delattr(1, 'x')"),
    "string.Formatter",
    *("str.mro()", "int.from_bytes(b'a', 'big')", "dict.fromkeys('ab')", "(1).real", "(1.0).hex()"),
    *("names.append(1)", "names.sort()", "counts.pop('00')", "counts.update(x=1)", "counts.clear()", "names.__iadd__"),
    *("(x for x in [1]).send(None)", "(x for x in [1]).throw(ValueError)", "(x for x in [1]).close()"),
    # CVE-2024-47532: errors with the object they are about.
    *("ValueError()", "AttributeError('x', name='a', obj=1).obj", "Exception().with_traceback"),
    *("max(*names)", "dict(**counts)", "(lambda **k: k)(**counts)", "sum(*[[1]])"),
    *("str(open)", "sorted(names, key=eval)", "max(names, key=getattr)", "[].__getitem__(0)", "names['__class__']"),
    "(lambda f: f(f))(lambda f: f.__closure__)",
    "\N{FULLWIDTH LATIN SMALL LETTER O}pen('/etc/passwd')",
    "()._\uff3fclass__",
]


@pytest.mark.parametrize("expression", ESCAPES)
def test_known_ways_out_are_refused(expression):
    with pytest.raises(UsageError):
        evaluate(expression, COUNTS, run=run_here)


@pytest.mark.parametrize("expression", ["sorted", "lambda: 1", "{1, 2}", "1j", "b'a'", "...", "range(3)", "{1: 2}"])
def test_only_plain_data_comes_out(expression):
    with pytest.raises(UsageError, match=r"is not plain data|not text|Ellipsis|not allowed"):
        evaluate(expression, run=run_here)


def test_functions_and_methods_allowed_reach_no_attribute_that_is_not_on_the_list():
    for value in ("a", ["a"], ("a",), {"a": 1}):
        for name in dir(value):
            if name.startswith("_"):
                continue
            allowed = name in restricted.METHODS[type(value)]
            try:
                evaluate_restricted(f"str(value.{name})", {"value": value})
            except NotAllowedError:
                assert not allowed
            else:
                assert allowed


BOMBS = ["9**9**9", "9**9**6", "'a'*2**33", "[0]*10**10", "f'{1:>9999999999}'", "'%9999999999d' % 1"]
BOMBS += [
    "sum(range(10**14))",
    "sum(1 for a in range(10**5) for b in range(10**5))",
    "(lambda f: f(f))(lambda f: f(f))",
]
BOMBS += ["'a'.count('a' * 10**8) or max('a' * 10**9)", "int('9' * 10**7)", "str(7**10**6)"]


@pytest.mark.parametrize("expression", BOMBS)
def test_bombs_end_in_a_typed_error_and_in_time(expression):
    start = time.monotonic()
    with pytest.raises((UsageError, DeadlineExceededError, ResourceError)):
        evaluate(expression, deadline=0.5, memory_bytes=128 << 20)
    assert time.monotonic() - start < 10


def test_the_deadline_and_the_memory_are_those_that_were_given():
    with pytest.raises(DeadlineExceededError, match=r"longer than 0\.2 s"):
        evaluate("9**9**9", deadline=0.2)
    with pytest.raises(ResourceError, match="more memory"):
        evaluate("len('a' * 10**8)", memory_bytes=64 << 20)
    assert evaluate("len('a' * 10**8)", memory_bytes=512 << 20) == 10**8


@pytest.mark.parametrize(
    "variables",
    [
        {"a": object()}, {"a": 1j}, {"a": b"x"}, {"a": {1: 2}}, {"a": {1}}, {"a": len}, {"a": 2**5000}, {"a": "\ud800"},
        {"a": [[1, [{"b": object()}]]]}, {"a": "x" * MAX_DATA}, {"": 1}, {"a b": 1}, {"_a": 1}, {"__builtins__": 1},
        {"_getattr_": 1}, {"class": 1}, {"None": 1}, {1: 1}, {"a": type("Text", (str,), {})("x")},
        {"a": type("Whole", (int,), {})(1)}, {"a": type("Names", (dict,), {})()},
    ],
)  # fmt: skip
def test_only_plain_data_goes_in(variables):
    with pytest.raises(UsageError):
        evaluate("1", variables, run=run_here)


def test_data_nested_too_deep_neither_goes_in_nor_comes_out():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(UsageError, match="nested deeper"):
        evaluate("a", {"a": deep}, run=run_here)
    with pytest.raises(UsageError, match="nested deeper"):
        evaluate("[" * 40 + "]" * 40, run=run_here)
    while deep:  # a long chain is freed step by step
        deep = deep.pop()


def test_what_is_too_large_does_not_come_out():
    with pytest.raises(UsageError, match="larger than"):
        evaluate("'a' * 2000000")
    with pytest.raises(UsageError, match="characters"):
        evaluate("1" * 20_000)


@pytest.mark.parametrize("deadline", [0, -1, float("nan"), float("inf")])
def test_refuses_a_deadline_that_is_none(deadline):
    with pytest.raises(UsageError, match="deadline"):
        evaluate("1", deadline=deadline)


@pytest.mark.parametrize(
    "said",
    [
        *(b"", b"x", b"1", b"[]", b'["value"]', b'["value", 1, 2]', b"[" * 100_000, b"\xff"),
        b'["value", ' + b"9" * 5000 + b"]",
        b'["value", ' + b"[" * 40 + b"]" * 41,
    ],
)
def test_an_answer_of_a_process_that_was_taken_over_is_not_believed(said):
    with pytest.raises((RunError, UsageError)):
        evaluate("1", run=lambda *_: said)


needs_a_lock = pytest.mark.skipif(
    sys.platform != "linux" or evaluator() is None, reason="this host locks nothing: tier C"
)


@pytest.fixture
def own():
    made = Evaluator(evaluator()._tier)
    yield made
    made.close()


def pid_of(own):
    return own._worker.forked.process.pid


REQUEST = json.dumps({"expression": "a + 1", "variables": {"a": 1}}).encode()


@needs_a_lock
def test_one_locked_worker_evaluates_one_after_the_other(own):
    assert own.run(REQUEST, 5.0, 256 << 20) == b'["value", 2]'
    status = Path(f"/proc/{pid_of(own)}/status").read_text()
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status
    first = pid_of(own)
    assert own.run(REQUEST, 5.0, 256 << 20) == b'["value", 2]'
    assert pid_of(own) == first


@needs_a_lock
@pytest.mark.parametrize(
    ("expression", "kind"),
    [("9**9**9", DeadlineExceededError), ("len('a' * 10**9)", None)],
)
def test_what_breaks_a_limit_ends_the_worker_and_the_next_is_answered(own, expression, kind):
    own.run(REQUEST, 5.0, 128 << 20)
    first = pid_of(own)
    request = json.dumps({"expression": expression, "variables": {}}).encode()
    if kind is None:
        assert own.run(request, 0.5, 128 << 20) == b'["memory", ""]'
    else:
        with pytest.raises(kind, match=r"longer than 0\.5 s"):
            own.run(request, 0.5, 128 << 20)
    assert not Path(f"/proc/{first}").exists()
    assert own.run(REQUEST, 5.0, 128 << 20) == b'["value", 2]'
    assert pid_of(own) != first


@needs_a_lock
def test_a_worker_that_died_idle_is_replaced_and_one_that_dies_at_work_is_a_run_error(own):
    own.run(REQUEST, 5.0, 256 << 20)
    os.kill(pid_of(own), 9)
    own._worker.forked.process.wait(5)
    assert own.run(REQUEST, 5.0, 256 << 20) == b'["value", 2]'
    with pytest.raises(RunError, match="ended"):
        own.run(b"not json", 5.0, 256 << 20)
    assert own.run(REQUEST, 5.0, 256 << 20) == b'["value", 2]'


@needs_a_lock
def test_closing_leaves_no_process_and_no_file(own):
    own.run(REQUEST, 5.0, 256 << 20)
    pids = pid_of(own), own._zygote.pid
    own.close()
    own.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not Path(own._directory).exists()


def test_a_request_that_kills_the_process_is_a_run_error():
    with pytest.raises(RunError, match="ended with status"):
        run_in_child(b"not json", 1.0, 256 << 20)


# What an expression that has escaped from RestrictedPython finds in the process.
TAKEN_OVER = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
sys.argv[1] = json.dumps(json.loads(sys.argv[1]))
from proxima.sandbox import restricted
import ctypes, os, socket, signal
libc = ctypes.CDLL(None, use_errno=True)
attempts = {
    "open": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "open in another's place": lambda: (os.close(0), os.open("/etc/passwd", os.O_RDONLY)),
    "remove": lambda: os.unlink(sys.argv[5] + "-not"),
    "write": lambda: os.open(sys.argv[5], os.O_WRONLY | os.O_CREAT),
    "socket": lambda: socket.socket(),
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "kill": lambda: os.kill(os.getppid(), 0),
    "memfd": lambda: os.memfd_create("x"),
    "raise limit": lambda: __import__("resource").setrlimit(7, (100, 100)),
}

def escaped(request):
    done = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            done[name] = "done"
        except (OSError, ValueError) as error:
            done[name] = type(error).__name__
    return json.dumps(["value", done]).encode()

restricted.answer = escaped
if sys.argv[6] == "held":
    restricted._main(*sys.argv[1:5])
else:
    attempts.pop("exec")
    sys.stdout.write(escaped(b"").decode())
    sys.stdout.flush()
    os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp")
@pytest.mark.parametrize("held", ["held", "control"])
def test_the_process_opens_starts_and_reaches_nothing(tmp_path, held):
    import RestrictedPython

    paths = [str(Path(module.__file__).parent.parent) for module in (RestrictedPython, proxima)]
    (tmp_path / "made-not").touch()
    words = [json.dumps(paths), "5.0", str(256 << 20), "100000", str(tmp_path / "made"), held]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", TAKEN_OVER, *words], input=b"{}", capture_output=True, timeout=30, env=environment
    )
    (first, *_) = done.stdout.decode().partition("]")[0], None
    results = json.loads(first + "]")[1]
    assert results, done.stderr
    outcomes = set(results.values())
    assert ("done" not in outcomes) if held == "held" else outcomes == {"done"}
    assert (tmp_path / "made").exists() == (held == "control")


def test_plain_data_is_copied_to_the_exact_builtin_types():
    value = {"a": [1, (2.5, "x")], "b": None}
    copied = plain_data(value)
    assert copied == {"a": [1, [2.5, "x"]], "b": None}
    assert copied["a"] is not value["a"]
