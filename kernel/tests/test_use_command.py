"""`proxima use` drives what plugins contribute, and says what is wrong with what it is given."""

import json

import pytest

ALL = """
from proxima.contracts.agent import AgentMessage
from proxima.contracts.algorithm import AlgorithmResult
from proxima.contracts.llm import ChatChunk
from proxima.contracts.tool import ToolDefinition, ToolResult
from proxima.contracts.view import Action, Form, Group, Plot, Table, Text
from proxima.hookspecs import hookimpl


class Adder:
    name = "adder"

    def definition(self):
        number = {"type": "integer"}
        schema = {"type": "object", "properties": {"a": number, "b": number}, "required": ["a", "b"]}
        return ToolDefinition("adder", "Adds", schema)

    def call(self, arguments):
        total = arguments["a"] + arguments["b"]
        return ToolResult(f"\\x1b[31m{total}", {"total": total, "nan": float("nan")}, failed=total < 0)


class Halving:
    name = "halving"

    def default_params(self):
        return {"steps": 3}

    def execute(self, circuit, params, *, cancel, progress):
        history = tuple(0.5**step for step in range(1, params["steps"] + 1))
        return AlgorithmResult(history[-1], {"qubits": circuit.num_qubits}, history)


class Dots:
    name = "dots"
    formats = ("svg", "txt")

    def render(self, subject, picture_format, options):
        return f"{type(subject).__name__} {picture_format} {options}".encode()


class Words:
    name = "words"
    language = "text"
    library = "none"

    def generate(self, circuit):
        return "\\n".join(circuit.count_ops())


class Panel:
    name = "panel"
    title = "Panel"

    def show(self):
        plot = Plot((1.0, 2.0), {"y": (3.0, 4.0)}, x_label="n")
        form = Form({"type": "object", "properties": {"x": {}}}, "set")
        return Group((Text("a\\nb"), Table(("h",), ((1,),)), plot, form, Action("go", "Go \\x1b]0;on")), "Title")

    def act(self, action, values):
        return Group((Text(f"{action} {values}"),))


class Clerk:
    name = "clerk"

    async def pursue(self, goal, *, cancel):
        yield AgentMessage("tool_call", "looking")
        yield AgentMessage("error" if goal == "fail" else "text", f"done: {goal}")


class Parrot:
    name = "parrot"

    def models(self):
        return ["grey", "green"]

    async def chat(self, model, messages, tools=()):
        yield ChatChunk(text=f"{model} says ")
        yield ChatChunk(text=messages[0].text)


class Plugin:
    @hookimpl
    def proxima_tools(self): return [Adder()]
    @hookimpl
    def proxima_algorithms(self): return [Halving()]
    @hookimpl
    def proxima_visualizations(self): return [Dots()]
    @hookimpl
    def proxima_codegens(self): return [Words()]
    @hookimpl
    def proxima_views(self): return [Panel()]
    @hookimpl
    def proxima_agents(self): return [Clerk()]
    @hookimpl
    def proxima_llm_providers(self): return [Parrot()]


plugin = Plugin()
"""

CONTRIBUTES = {
    "tools": ("adder", "Adder"),
    "algorithms": ("halving", "Halving"),
    "visualizations": ("dots", "Dots"),
    "codegens": ("words", "Words"),
    "views": ("panel", "Panel"),
    "agents": ("clerk", "Clerk"),
    "llm_providers": ("parrot", "Parrot"),
}


@pytest.fixture
def shop(workshop, tmp_path, monkeypatch):
    entry_points = {kind: [{"name": name, "class": f"plug_all.{cls}"}] for kind, (name, cls) in CONTRIBUTES.items()}
    workshop.lay_out("all", ALL, type="tool", entry_points=entry_points)
    (tmp_path / "bell.qasm").write_text("OPENQASM 3.0;\nqubit[2] q;\nh q[0];\ncx q[0], q[1];\n")
    monkeypatch.chdir(tmp_path)
    return workshop


def use(shop, *words):
    code, out, err = shop.main("use", *words)
    assert code == 0, err
    return out


def test_what_there_is(shop):
    listed = {(each["kind"], each["name"]) for each in shop.json("use") if each["plugin"] == "all"}
    kinds = ("tool", "algorithm", "visualization", "codegen", "view", "agent", "llm")
    assert listed == {(kind, name) for kind, (name, _) in zip(kinds, CONTRIBUTES.values(), strict=True)}
    assert [each["name"] for each in shop.json("use", "tool")] == ["adder"]
    assert use(shop, "tool").split()[-3:] == ["tool", "adder", "all"]


def test_a_tool(shop):
    assert use(shop, "tool", "adder", "a=1", "b=2") == "\\x1b[31m3\n"
    assert shop.json("use", "tool", "adder", "b=2", "--args", '{"a": 1, "b": 5}')["data"] == {"total": 3, "nan": "nan"}
    assert shop.main("use", "tool", "adder", "a=1", "b=-2")[0] == 1
    assert json.loads(use(shop, "tool", "adder", "--schema"))["parameters"]["required"] == ["a", "b"]


def test_an_algorithm(shop):
    assert shop.json("use", "algorithm", "halving", "bell.qasm", "-p", "steps=2") == {
        "value": 0.25, "details": {"qubits": 2}, "history": [0.5, 0.25],
    }  # fmt: skip
    words = " ".join(use(shop, "algorithm", "halving", "bell.qasm").split())
    assert words == "value 0.125 qubits 2 iterations 3, from 0.5 to 0.125"


def test_a_picture(shop, tmp_path):
    use(shop, "visualization", "dots", "bell.qasm", "-o", "bell.svg", "-p", "size=3")
    assert (tmp_path / "bell.svg").read_text() == "Circuit svg {'size': 3}"
    assert shop.json("use", "visualization", "dots", "bell.qasm", "-o", "bell.txt")["bytes"] == len("Circuit txt {}")


def test_source_code_a_view_an_agent_and_a_model(shop):
    assert use(shop, "codegen", "words", "bell.qasm") == "h\ncx\n"
    shown = use(shop, "view", "panel").splitlines()
    assert shown == [
        "Title", "-----", "a", "b", "h", "-", "1", "  n    y", "---  ---", "1.0  3.0", "2.0  4.0", "form set: x",
        "action go: Go \\x1b]0;on",
    ]  # fmt: skip
    assert shop.json("use", "view", "panel")["parts"][1] == {"is": "table", "headings": ["h"], "rows": [[1]]}
    assert use(shop, "view", "panel", "set", "x=1") == "set {'x': 1}\n"
    assert use(shop, "agent", "clerk", "tea") == "[tool_call] looking\ndone: tea\n"
    assert shop.main("use", "agent", "clerk", "fail")[0] == 1
    assert use(shop, "llm", "parrot") == "grey\ngreen\n"
    assert use(shop, "llm", "parrot", "hello", "--model", "green") == "green says hello\n"
    assert shop.json("use", "llm", "parrot", "hello") == {"model": "grey", "reply": "grey says hello"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tol"], "did you mean tool?"),
        (["tool", "ader"], "did you mean adder?"),
        (["tool", "adder", "a=1"], "arguments: 'b' is a required property"),
        (["tool", "adder", "a=x", "b=1"], "arguments.a: 'x' is not of type 'integer'"),
        (["tool", "adder", "a"], "a: expected KEY=VALUE"),
        (["tool", "adder", "--args", "["], "--args: not JSON"),
        (["tool", "adder", "--args", "[1]"], "expected a JSON object"),
        (["algorithm", "halving"], "missing: the file of a circuit"),
        (["algorithm", "halving", "bell.qasm", "-p", "step=1"], "did you mean steps?"),
        (["visualization", "dots", "bell.qasm"], "missing: where to"),
        (["visualization", "dots", "bell.qasm", "-o", "x.png"], "end the file's name in one of: .svg, .txt"),
        (["llm", "parrot", "hello", "--model", "gray"], "did you mean grey?"),
    ],
)
def test_what_is_wrong_is_said(shop, words, said):
    code, _, err = shop.main("use", *words)
    assert code in (2, 3, 1)
    assert said in err


def test_a_tool_whose_schema_is_none(workshop):
    code = ALL.replace('"type": "object"', '"type": "thing"')
    entry = {"name": "adder", "class": "plug_all.Adder"}
    workshop.lay_out("all", code, type="tool", entry_points={"tools": [entry]})
    assert "what tool adder says that it takes is not a JSON Schema" in workshop.main("use", "tool", "adder")[2]
