"""A right contribution of each kind, and wrong ones that differ in one fault each."""

# ruff: noqa: RUF012 - class attributes are how contributions say what they are

from __future__ import annotations

import asyncio
import html
import json
import sys
import time
from typing import Any, Protocol

import numpy as np

from proxima.contracts.agent import AgentMessage
from proxima.contracts.algorithm import AlgorithmResult
from proxima.contracts.circuit import Circuit
from proxima.contracts.llm import ChatChunk
from proxima.contracts.operations import OPERATIONS, Op
from proxima.contracts.result import RunResult
from proxima.contracts.service import Service as Offered
from proxima.contracts.tool import ToolResult
from proxima.contracts.view import Action, Form, Group, Plot, Table, Text
from proxima.errors import (
    CancelledError,
    CircuitSyntaxError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from proxima_sdk import (
    Agent,
    Algorithm,
    CodeGenerator,
    Command,
    Format,
    LLMProvider,
    MCPServer,
    Service,
    Theme,
    Tool,
    View,
    Visualization,
    reference,
)

# Algorithms


class Descent(Algorithm):
    name = "descent"
    defaults = {"steps": 40, "rate": 0.4, "seed": 0}

    def energy(self, circuit, theta):
        state = reference.statevector(circuit.bind({"theta": theta}))
        return 1 - 2 * abs(state[0]) ** 2  # <-Z> of qubit 0, least at theta = 0

    def execute(self, circuit, params, *, cancel, progress):
        chosen = self.parameters(params)
        theta = float(np.random.default_rng(chosen["seed"]).uniform(0.5, 1.0))
        history = []
        for step in range(chosen["steps"]):
            if cancel.cancelled:
                raise CancelledError("descent was cancelled")
            progress(step / chosen["steps"], f"step {step}")
            slope = self.energy(circuit, theta + np.pi / 2) - self.energy(circuit, theta - np.pi / 2)
            theta -= chosen["rate"] * slope
            history.append(float(self.energy(circuit, theta)))
        return AlgorithmResult(history[-1], {"theta": theta}, tuple(history))


class DescentSharesDefaults(Descent):
    def default_params(self):
        return self.defaults

    defaults = dict(Descent.defaults)


class DescentTakesAnything(Descent):
    def parameters(self, given):
        return {**self.defaults, **given}


class DescentDeaf(Descent):
    def execute(self, circuit, params, *, cancel, progress):
        from proxima.contracts.backend import CancelToken

        return super().execute(circuit, params, cancel=CancelToken(), progress=progress)


class DescentLooksOnce(Descent):
    def execute(self, circuit, params, *, cancel, progress):
        from proxima.contracts.backend import CancelToken

        if cancel.cancelled:
            raise CancelledError("descent was cancelled")
        return super().execute(circuit, params, cancel=CancelToken(), progress=progress)


class DescentStopsEarly(Descent):
    def parameters(self, given):
        return {**super().parameters(given), "steps": 1}


class DescentPercent(Descent):
    def execute(self, circuit, params, *, cancel, progress):
        return super().execute(circuit, params, cancel=cancel, progress=lambda f, m: progress(100 * f, m))


class DescentSeedless(Descent):
    calls = 0

    def execute(self, circuit, params, *, cancel, progress):
        DescentSeedless.calls += 1
        given = {**params, "seed": DescentSeedless.calls, "steps": 2}
        return super().execute(circuit, given, cancel=cancel, progress=progress)


class DescentFillsIn(Descent):
    def execute(self, circuit, params, *, cancel, progress):
        params["steps"] = 3
        return super().execute(circuit, params, cancel=cancel, progress=progress)


class DescentObject(Descent):
    def execute(self, circuit, params, *, cancel, progress):
        done = super().execute(circuit, params, cancel=cancel, progress=progress)
        return AlgorithmResult(done.value, {"theta": object()}, done.history)


class DescentOtherNames(Descent):
    def execute(self, circuit, parameters, *, cancel, progress):
        return super().execute(circuit, parameters, cancel=cancel, progress=progress)


# Visualizations


class Bars(Visualization):
    name = "bars"
    formats = ("svg", "txt")
    defaults = {"width": 20}

    def escape(self, text):
        return html.escape(text)

    def render(self, subject, picture_format, options):
        width = self.settings(picture_format, options)["width"]
        if isinstance(subject, Circuit):
            lines = [subject.name or "circuit", f"{subject.num_qubits} qubits"]
        elif subject.counts is None:
            raise UsageError("the result has no counts to draw")
        else:
            total = sum(subject.counts.values())
            lines = [f"{key} {'#' * round(width * n / total)}" for key, n in subject.counts.items()]
        if picture_format == "txt":
            return "\n".join(lines).encode()
        texts = "".join(f'<text y="{20 * i}">{self.escape(line)}</text>' for i, line in enumerate(lines))
        return f'<svg xmlns="http://www.w3.org/2000/svg">{texts}</svg>'.encode()


class BarsUnescaped(Bars):
    def escape(self, text):
        return text


class BarsSvgOnly(Bars):
    def render(self, subject, picture_format, options):
        return super().render(subject, "svg", options)

    formats = ("svg", "png")


class BarsAnyOption(Bars):
    def settings(self, picture_format, options):
        return {**self.defaults, **options}


class BarsUnlooking(Bars):
    def render(self, subject, picture_format, options):
        if isinstance(subject, RunResult):
            sum(subject.counts.values())
        return super().render(subject, picture_format, options)


class BarsText(Bars):
    def render(self, subject, picture_format, options):
        return super().render(subject, picture_format, options).decode()


class BarsDotted(Bars):
    formats = (".svg",)


# Code generators


class Numpy(CodeGenerator):
    """Python that applies each gate's matrix to a vector."""

    name = "numpy"
    language = "python"
    library = "numpy"

    def title(self, circuit):
        return f"NAME = {circuit.name!r}"

    def generate(self, circuit):
        lines = ["import numpy as np", self.title(circuit), f"n = {circuit.num_qubits}"]
        lines += ["state = np.zeros(2**n, dtype=complex)", "state[0] = 1"]
        for instruction in circuit:
            if instruction.op in (Op.MEASURE, Op.BARRIER):
                continue
            lines += self.step(instruction)
        return "\n".join(lines) + "\n"

    def step(self, instruction):
        name = OPERATIONS[instruction.op].name
        if not reference.is_pure(_alone(instruction)) or instruction.op is Op.RESET:
            raise UnsupportedError(f"numpy code cannot hold {name}")
        matrix = reference.gate_matrix(instruction).tolist()
        qubits = list(instruction.qubits)
        return [
            f"gate, qubits = np.array({matrix!r}), {qubits!r}",
            "axes = [n - 1 - q for q in reversed(qubits)]",
            "k = len(qubits)",
            "gate, state = gate.reshape([2] * 2 * k), state.reshape([2] * n)",
            "state = np.tensordot(gate, state, (range(k, 2 * k), axes))",
            "state = np.moveaxis(state, range(k), axes).reshape(-1)",
        ]


def _alone(instruction):
    size = max(instruction.qubits) + 1
    builder = Circuit.builder(size, size)
    op, qubits, params, clbit, condition, matrices = instruction
    return builder.append(op, qubits, params, clbit=clbit, condition=condition, matrices=matrices).build()


class NumpyNameAsCode(Numpy):
    def title(self, circuit):
        return f'NAME = """{circuit.name}"""'


class NumpyForgetsUnsupported(Numpy):
    def step(self, instruction):
        try:
            return super().step(instruction)
        except UnsupportedError:
            raise KeyError(instruction.op) from None


class NumpyNoise(Numpy):
    calls = 0

    def title(self, circuit):
        NumpyNoise.calls += 1
        return f"NAME = {NumpyNoise.calls}"


class NumpyReversed(Numpy):
    def step(self, instruction):
        top = 2
        return super().step(instruction._replace(qubits=tuple(top - q for q in instruction.qubits)))


class NumpyBroken(Numpy):
    def title(self, circuit):
        return "NAME ="


class NumpyCapitals(Numpy):
    library = "NumPy"


# Tools


class Shout(Tool):
    """Says a text in capital letters."""

    name = "shout"
    parameters = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

    def call(self, arguments):
        text = arguments["text"].upper()
        return ToolResult(text, {"letters": len(text)})


class ShoutNumpy(Shout):
    def call(self, arguments):
        return ToolResult("done", {"letters": np.arange(3)})


class ShoutText(Shout):
    def call(self, arguments):
        return arguments["text"].upper()


class ShoutSilent(Shout):
    def call(self, arguments):
        return ToolResult("")


class ShoutFails(Shout):
    def call(self, arguments):
        return ToolResult("no", failed=True)


class ShoutPops(Shout):
    def call(self, arguments):
        return ToolResult(arguments.pop("text"))


class ShoutWrongSchema(Shout):
    parameters = {"type": "object", "properties": {"text": {"type": "words"}}}


class ShoutLostField(Shout):
    parameters = {"type": "object", "properties": {}, "required": ["text"]}


class ShoutSpaced(Shout):
    name = "shout it"


class ShoutPermission(Shout):
    permissions = ("everything",)


class ShoutRaises(Shout):
    def call(self, arguments):
        raise ZeroDivisionError("no")


# Agents


class Counter(Agent):
    name = "counter"

    async def pursue(self, goal, *, cancel):
        for step in range(3):
            if cancel.cancelled:
                raise CancelledError("the counter was cancelled")
            yield AgentMessage("tool_call", f"count {step}")
            await asyncio.sleep(0)
            yield AgentMessage("tool_result", str(step))
        yield AgentMessage("text", "three")


class CounterDeaf(Counter):
    async def pursue(self, goal, *, cancel):
        yield AgentMessage("text", "three")


class CounterLooksOnce(Counter):
    async def pursue(self, goal, *, cancel):
        if cancel.cancelled:
            raise CancelledError("the counter was cancelled")
        for kind in ("tool_call", "tool_result", "text"):
            yield AgentMessage(kind, "three")


class CounterMute(Counter):
    async def pursue(self, goal, *, cancel):
        if cancel.cancelled:
            raise CancelledError("no")
        yield AgentMessage("tool_call", "count")


class CounterReturns(Counter):
    async def pursue(self, goal, *, cancel):
        return [AgentMessage("text", "three")]


class CounterKind(Counter):
    async def pursue(self, goal, *, cancel):
        yield AgentMessage("speech", "three")


class CounterResultFirst(Counter):
    async def pursue(self, goal, *, cancel):
        yield AgentMessage("tool_result", "3")
        yield AgentMessage("text", "three")


class CounterClings(Counter):
    async def pursue(self, goal, *, cancel):
        try:
            yield AgentMessage("text", "one")
            yield AgentMessage("text", "two")
        finally:
            raise RuntimeError("left too early")


class CounterSleeps(Counter):
    async def pursue(self, goal, *, cancel):
        yield AgentMessage("text", "one")
        await asyncio.sleep(60)


# Language models


class Echo(LLMProvider):
    name = "echo"

    def models(self):
        return ("echo-1",)

    async def chat(self, model, messages, tools=()):
        if model not in self.models():
            raise NotFoundError(f"echo has no model {model!r}")
        if tools:
            yield ChatChunk(tool_name=tools[0].name, tool_call_id="1")
            yield ChatChunk(tool_call_id="1", tool_arguments='{"a": 1, ')
            yield ChatChunk(tool_call_id="1", tool_arguments='"b": 2}')
        else:
            for word in messages[-1].text.split():
                yield ChatChunk(text=word + " ")


class EchoAway(Echo):
    def models(self):
        raise UnavailableError("echo cannot be reached", hint="start it")


class EchoAwayHintless(Echo):
    def models(self):
        raise UnavailableError("echo cannot be reached")


class EchoRaises(Echo):
    def models(self):
        raise ConnectionError("refused")


class EchoAnyModel(Echo):
    async def chat(self, model, messages, tools=()):
        async for piece in super().chat("echo-1", messages, tools):
            yield piece


class EchoBadJson(Echo):
    async def chat(self, model, messages, tools=()):
        async for piece in super().chat(model, messages, tools):
            yield ChatChunk(piece.text, piece.tool_name, piece.tool_call_id, piece.tool_arguments.replace("}", ""))


class EchoEmpty(Echo):
    async def chat(self, model, messages, tools=()):
        if model not in self.models():
            raise NotFoundError(f"echo has no model {model!r}")
        yield ChatChunk()


class EchoTwice(Echo):
    def models(self):
        return ("echo-1", "echo-1")


class EchoStrings(Echo):
    async def chat(self, model, messages, tools=()):
        if model not in self.models():
            raise NotFoundError(f"echo has no model {model!r}")
        yield "text"


class EchoNeedsTools(Echo):
    async def chat(self, model, messages, tools):
        async for piece in super().chat(model, messages, tools):
            yield piece


# MCP servers

_SERVER = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "tiny", "version": "1"}}
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
"""


class Tiny(MCPServer):
    name = "tiny"
    command = (sys.executable, "-c", _SERVER)


class TinyChatty(Tiny):
    command = (sys.executable, "-c", "print('starting');" + _SERVER)


class TinyStays(Tiny):
    command = (sys.executable, "-c", "import time; time.sleep(30)")


class TinyBoth(Tiny):
    url = "https://example.org/mcp"


class TinyOpen(MCPServer):
    name = "tiny"
    url = "http://example.org/mcp"


class TinyNumber(Tiny):
    environment = {"PORT": 8080}


# Views


class Look(View):
    name = "look"
    title = "Look"
    schema = {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}, "required": ["size"]}

    def show(self):
        return Group(
            (
                Text("What there is"),
                Table(("name", "size"), (("a", 1), ("b", 2))),
                Plot((0.0, 1.0), {"y": (1.0, 2.0)}),
                Form(self.schema, "resize", {"size": 3}),
                Action("again", "Look again"),
            ),
            "Look",
        )

    def act(self, action, values):
        if action == "resize":
            return Group((Text(f"{values['size']}"),))
        return self.show() if action == "again" else super().act(action, values)


class LookEmpty(Look):
    def show(self):
        return Group(())


class LookColoured(Look):
    def show(self):
        return Group((*super().show().parts, Text("\x1b[31mred")))


class LookShort(Look):
    def show(self):
        return Group((Plot((0.0, 1.0), {"y": (1.0,)}),))


class LookWrongForm(Look):
    def show(self):
        return Group((Form(self.schema, "resize", {"size": 0}),))


class LookAnyAction(Look):
    def act(self, action, values):
        return self.show()


class LookCrashes(Look):
    def act(self, action, values):
        return Group((Text(values["width"]),)) if action in ("resize", "again") else super().act(action, values)


class LookDict(Look):
    def show(self):
        return {"parts": []}


# Commands


class Greet(Command):
    name = "greet"
    summary = "Greet somebody"

    def configure(self, parser):
        super().configure(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args, kernel):
        print(json.dumps({"hello": True}) if args.json else "hello")
        return 0


class GreetPercent(Greet):
    def configure(self, parser):
        parser.add_argument("--loud", help="100 % loud %(x)s")


class GreetUnexplained(Greet):
    def configure(self, parser):
        super().configure(parser)
        parser.add_argument("--loud", action="store_true")


class GreetNone(Greet):
    def run(self, args, kernel):
        print("{}")


class GreetNoJson(Greet):
    def run(self, args, kernel):
        print("hello")
        return 0


class GreetShouting(Greet):
    name = "Greet It"


class GreetLines(Greet):
    summary = "Greet\nsomebody"


# Themes


class Paper(Theme):
    name = "paper"
    dark = False
    colours = {"background": "#ffffff", "foreground": "#202020", "primary": "#1f4e79"}


class PaperGrey(Paper):
    colours = {**Paper.colours, "foreground": "#bbbbbb"}


class PaperDark(Paper):
    dark = True


class PaperNamed(Paper):
    colours = {**Paper.colours, "primary": "navy"}


class PaperBare(Paper):
    colours = {"background": "#ffffff", "foreground": "#202020"}


# Services


class Clock(Protocol):
    def now(self, zone: str) -> float:
        """Seconds."""


class RightClock(Service):
    def now(self, zone):
        return time.time()


class ClockWithoutZone(Service):
    def now(self):
        return 0.0


class ClockMissing(Service):
    pass


class ClockClosesOnce(RightClock):
    def close(self):
        del self.kernel


def offered(provider: type[Any]) -> Offered:
    return Offered(Clock, provider(None))


# Formats


class Lines(Format):
    """One operation a line: ``name qubits ; params ; clbit``."""

    name = "lines"
    extensions = (".lines",)
    gates = frozenset({"h", "x", "cx", "cz", "rx", "ry", "rz", "cp", "swap", "measure", "rzz", "u"})

    def recognises(self, head):
        return head.startswith(b"lines ")

    def dump(self, circuit):
        lines = [f"lines {circuit.num_qubits} {circuit.num_clbits}"]
        for op, qubits, params, clbit, condition, _ in circuit:
            name = OPERATIONS[op].name
            if name not in self.gates or condition is not None:
                raise UnsupportedError(f"lines cannot hold {name}")
            lines.append(f"{name};{' '.join(map(str, qubits))};{' '.join(map(self.number, params))};{clbit}")
        return "\n".join(lines) + "\n"

    def number(self, value):
        return repr(float(value))

    def load(self, data, *, source, directory):
        line = ""
        try:
            text = data.decode()
            first, *rest = text.splitlines()
            word, qubits, clbits = first.split(" ")
            if word != "lines" or int(qubits) > 64 or int(clbits) > 64:
                raise ValueError("no header")
            builder = Circuit.builder(int(qubits), int(clbits))
            for line in rest:
                name, on, params, clbit = line.split(";")
                if name not in self.gates:
                    raise ValueError(f"unknown {name}")
                self.add(
                    builder, Op[name.upper()], [int(q) for q in on.split()], [float(p) for p in params.split()], clbit
                )
            return builder.build()
        except (ValueError, KeyError, OverflowError) as error:
            raise CircuitSyntaxError(str(error), path=source, line=1, column=1, token=line) from None

    def add(self, builder, op, qubits, params, clbit):
        builder.append(op, qubits, params, clbit=int(clbit))


class LinesRounded(Lines):
    def number(self, value):
        return f"{value:.3f}"


class LinesCounted(Lines):
    gates = Lines.gates | {"id"}
    calls = 0

    def dump(self, circuit):
        LinesCounted.calls += 1
        return super().dump(circuit).replace("\n", "\n" + "id;0;;-1\n" * LinesCounted.calls, 1)


class LinesNegated(Lines):
    def add(self, builder, op, qubits, params, clbit):
        super().add(builder, op, qubits, [-p for p in params], clbit)


class LinesFlipped(Lines):
    def add(self, builder, op, qubits, params, clbit):
        super().add(builder, op, [2 - q for q in qubits], params, clbit)


class LinesTraceback(Lines):
    def load(self, data, *, source, directory):
        return Lines.load(self, data.decode().encode(), source=source, directory=directory)


class LinesNameless(Lines):
    def load(self, data, *, source, directory):
        return super().load(data, source="file", directory=directory)


class LinesKeyError(Lines):
    def dump(self, circuit):
        try:
            return super().dump(circuit)
        except UnsupportedError:
            raise KeyError("gate") from None


class LinesEverything(Lines):
    def recognises(self, head):
        return True


class LinesDotless(Lines):
    extensions = ("lines",)
