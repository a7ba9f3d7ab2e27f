"""What a backend says of itself and of its results, and what it is told. Judged outside the worker."""

from __future__ import annotations

from typing import Any

from outside import Stopped, through, tried

_BACKEND = """
import time
from proxima.contracts.backend import Backend, Estimate, Plan, Probe
from proxima.contracts.result import RunResult
from proxima.hookspecs import hookimpl

class Evil(Backend):
    name = "evil"
    def probe(self): return PROBE
    def estimate(self, request, features): return ESTIMATE
    def plan(self, request): return Plan(backend="evil", request=request, method="m", native=None)
    def run(self, plan, context):
        request = plan.request
        return RunResult(backend="BACKEND", method="m", precision="double", shots=request.shots, seed=request.seed,
                         counts={"0": request.shots}, id="\\x1b[2J")

class Plugin:
    @hookimpl
    def proxima_backends(self): return [Evil()]
    EXTRA

plugin = Plugin()
"""
_PARTS = {"PROBE": 'Probe("available")', "ESTIMATE": "Estimate(True)", "BACKEND": "evil", "EXTRA": ""}


def _backend(arena: Any, name: str, *, permissions: tuple[str, ...] = (), **parts: str) -> Any:
    """The kernel's stand-in of a plugin with a hostile backend, which differs from a good one by these parts."""
    from proxima.permissions import Permission
    from proxima.sandbox.proxies import stand_in

    code = _BACKEND
    for word, text in (_PARTS | parts).items():
        code = code.replace(word, text)
    capabilities = {"wants": ["counts"], "precisions": ["double"], "methods": ["m"], "noise": False, "dynamic": False}
    entry = {"name": "evil", "class": f"{arena.shop.package(name)}.Evil", "description": "x"}
    entries = {"backends": [entry | {"capabilities": capabilities}]}
    package = arena.shop.lay_out(name, type="backend", entry_points=entries, permissions=list(permissions))
    (package / "__init__.py").write_text(code)
    arena.let_everybody_read(package)
    arena.look_again()
    arena.kernel.permissions.declare(name, "1.0", permissions)
    for text in permissions:
        arena.kernel.permissions.grants.grant(name, Permission.parse(text))
    return stand_in(lambda: arena.supervisor.worker(arena.kernel.registry.get(name)))


def _request() -> Any:
    from proxima.contracts.backend import RunRequest
    from proxima.contracts.circuit import Circuit

    return RunRequest(circuit=Circuit.builder(1, 1).h(0).measure(0, 0).build(), shots=10)


def result_in_anothers_name(arena: Any) -> str:
    """A result that says it is of another backend, and stored under an id that is for a terminal."""
    from proxima.contracts.backend import RunContext

    (backend,) = _backend(arena, "liar", BACKEND="qsim").proxima_backends()
    try:
        result = backend.run(backend.plan(_request()), RunContext())
    finally:
        arena.end("liar")
    tried(result.counts == {"0": 10}, f"it answered {result}")
    return through((result.backend, result.id) != ("evil", ""), f"it is of {result.backend!r} with id {result.id!r}")


def results_of_other_backends(arena: Any) -> str:
    """By the hook that is called after each run; whoever may read what is stored is told, others are not."""
    from proxima.contracts.result import RunResult
    from proxima.errors import ProximaError

    hook = "@hookimpl\n    def proxima_run_finished(self, result): raise ValueError(str(result.counts))"
    other = RunResult(backend="qsim", method="m", precision="double", shots=4, seed=1, counts={"0": 4})
    told = []
    for name, permissions in (("reader", ("database",)), ("listener", ())):
        try:
            _backend(arena, name, permissions=permissions, EXTRA=hook).proxima_run_finished(other)
        except ProximaError as error:  # what it raised has what it saw
            tried("{'0': 4}" in str(error), str(error))
            told.append(name)
        finally:
            arena.end(name)
    tried("reader" in told, "who may read results was not told either")
    return through("listener" in told, "it was told without permission")


def answer_that_never_comes(arena: Any) -> str:
    """To a question that is asked of every backend before any is chosen."""
    from proxima.sandbox.errors import LimitError
    from proxima.sandbox.proxies import proxy

    arena.limits = {"wall_seconds": 10.0}  # for a run; a question has less
    (backend,) = _backend(arena, "sleeper", PROBE="time.sleep(3600)").proxima_backends()
    seconds, proxy.QUESTION_SECONDS = proxy.QUESTION_SECONDS, 0.5
    try:
        backend.probe()
    except LimitError as error:
        return through("longer than 0.5 s" not in str(error), f"nobody is answered: {error}")
    finally:
        proxy.QUESTION_SECONDS = seconds
        arena.end("sleeper")
    raise RuntimeError("it answered")


def numbers_beyond_all_numbers(arena: Any) -> str:
    """The kernel reckons with estimates in floating point, which raises where an integer is beyond it."""
    from proxima.cli.output import format_bytes
    from proxima.contracts.features import features_of
    from proxima.sandbox.errors import ProtocolError

    request, refused = _request(), []
    for name, numbers in (("remembers", "memory_bytes=2**4000"), ("works", "work={'a': 2**4000}")):
        (backend,) = _backend(arena, name, ESTIMATE=f"Estimate(True, {numbers})").proxima_backends()
        try:
            estimate = backend.estimate(request, features_of(request.circuit))
            format_bytes(estimate.memory_bytes)  # as the selection does
            if estimate.work:
                return f"{numbers} came through"
        except OverflowError as error:
            return f"{numbers}: {error}"
        except ProtocolError as error:
            refused.append(str(error))
        finally:
            arena.end(name)
    raise Stopped(str(refused))


def theme_in_a_backends_place(arena: Any) -> str:
    """The worker says that its backend is data; the kernel would take that as the object."""
    from proxima.sandbox.errors import ProtocolError

    hook = """
    pass
import proxima.sandbox.serving as serving
from proxima.contracts.theme import Theme
collect = serving.Served._collect
def lie(self, *arguments):
    for each in collect(self, *arguments):
        yield each | {"theme": Theme("evil", False, {})}
serving.Served._collect = lie
"""
    try:
        (backend,) = _backend(arena, "disguised", EXTRA=hook).proxima_backends()
    except ProtocolError as error:
        raise Stopped(str(error)) from error
    finally:
        arena.end("disguised")
    return f"the kernel took a {type(backend).__name__}"
