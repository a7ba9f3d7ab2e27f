import http.server
import re
import threading
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxima.errors import ManifestError, SettingsError, StorageError
from proxima.paths import Paths
from proxima.settings import Settings, from_text, read_toml

SCHEMA = {  # as in a manifest
    "optimizer": {"type": "string", "enum": ["COBYLA", "SPSA", "4"], "default": "COBYLA"},
    "max_iterations": {"type": "integer", "minimum": 1, "maximum": 10000, "default": 1000},
    "threshold": {"type": "number", "default": 1e-6},
    "hosts": {"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer"}}}},
    "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
}
SECTION = "plugins.advanced-vqe"


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home" / "config").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    return tmp_path


def load(home, **options):
    options.setdefault("environ", {})
    return Settings.load(Paths.under(str(home / "home")), workspace=str(home / "work"), **options)


def write_user(home, text):
    path = home / "home" / "config" / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def write_workspace(home, text):
    path = home / "work" / "proxima.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_each_layer_goes_before_the_one_below(home):
    layers = {
        "environ": {"PROXIMA_SETTING__run__shots": "4"},
        "flags": {"run.shots": 5},
    }

    def shots(*names):
        settings = load(home, **{name: layers[name] for name in names})
        settings.declare("run", {"shots": {"type": "integer", "default": 1}})
        return settings.get("run.shots")

    assert shots() == 1
    write_user(home, "[run]\nshots = 2\n")
    assert shots() == 2
    write_workspace(home, "run.shots = 3")
    assert shots() == 3
    assert shots("environ") == 4
    assert shots("environ", "flags") == 5


def test_tables_merge_and_lists_replace(home):
    write_user(home, "[a]\nx = 1\ny = [1, 2]\n")
    write_workspace(home, "[a]\ny = [3]\nz = 4\n")
    settings = load(home)
    assert settings.get("a") == {"x": 1, "y": [3], "z": 4}


def test_parents_of_the_workspace_are_not_searched(home):
    (home / "proxima.toml").write_text("planted = true")
    with pytest.raises(SettingsError, match="unknown setting planted"):
        load(home).get("planted")


def test_an_unknown_setting_names_the_nearest(home):
    settings = load(home)
    settings.declare("run", {"shots": {"type": "integer", "default": 1}})
    with pytest.raises(SettingsError, match=r"unknown setting run\.shot") as caught:
        settings.get("run.shot")
    assert caught.value.hint == "did you mean run.shots?"
    with pytest.raises(SettingsError, match="names no setting"):
        settings.get("run..shots")


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a = 1\nb = \n", "2:5"),
        ("a = 1\nb = [1, 2", "2:10"),
        ("a = 1\n\n[a]\n", "3:3"),
        ("a = 'x\ny'", "1:7"),
        ("x = 1\nx = 2\n", "2:6"),
    ],
)
def test_a_broken_file_names_line_and_column(home, text, position):
    path = write_user(home, text)
    with pytest.raises(SettingsError, match=f"^{re.escape(path)}:{position}: "):
        load(home)


def test_a_file_that_is_not_utf8_names_line_and_column(home):
    path = write_user(home, "")
    with open(path, "wb") as file:
        file.write(b"a = 1\nbc = \xff\n")
    with pytest.raises(SettingsError, match=f"^{re.escape(path)}:2:6: this is not UTF-8"):
        load(home)


def test_a_byte_order_mark_is_ignored(home):
    write_user(home, "\ufeffa = 1\n")
    assert load(home).get("a") == 1


def test_deep_nesting_is_an_error_not_a_crash(home):
    write_user(home, "a = " + "[" * 100_000)
    with pytest.raises(SettingsError):
        load(home)


def test_a_file_that_cannot_be_read_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match=r"cannot read .*: Is a directory"):
        read_toml(str(tmp_path))


@given(st.text(max_size=30))
def test_text_is_read_as_toml_or_kept(text):
    value = from_text(text)
    if not isinstance(value, str):
        assert tomllib.loads(f"value = {text}")["value"] == value or value != value
    elif value != text:
        assert tomllib.loads(f"value = {text}") == {"value": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"4"', "4"),
        ("COBYLA", "COBYLA"),
        ("", ""),
        ("1\nb = 2", "1\nb = 2"),
    ],
)
def test_environment_text_is_a_toml_value_where_it_is_one(text, value):
    assert from_text(text) == value


@pytest.mark.parametrize(
    "variable",
    [
        "PROXIMA_SETTING__plugins__advanced_vqe__max_iterations",
        "PROXIMA_SETTING__PLUGINS__ADVANCED_VQE__MAX_ITERATIONS",
        "PROXIMA_SETTING__plugins__advanced-vqe__max_iterations",
    ],
)
def test_environment_names_find_hyphens_and_case(home, variable):
    settings = load(home, environ={variable: "7"})
    settings.declare(SECTION, SCHEMA)
    assert settings.section(SECTION)["max_iterations"] == 7


def test_a_wrong_value_names_its_environment_variable(home):
    settings = load(home, environ={"PROXIMA_SETTING__plugins__advanced_vqe__speed": "7"})
    settings.declare(SECTION, SCHEMA)
    with pytest.raises(SettingsError, match=r"^PROXIMA_SETTING__plugins__advanced_vqe__speed: .*: unknown setting"):
        settings.section(SECTION)


def test_environment_finds_a_property_without_default(home):
    settings = load(home, environ={"PROXIMA_SETTING__plugins__advanced_vqe__hosts": "[]"})
    settings.declare(SECTION, SCHEMA)
    assert settings.section(SECTION)["hosts"] == []


def test_text_stays_text_where_the_schema_wants_a_string(home):
    settings = load(home, environ={"PROXIMA_SETTING__plugins__advanced_vqe__optimizer": "4"})
    settings.declare(SECTION, SCHEMA)
    assert settings.get(f"{SECTION}.optimizer") == "4"
    flagged = load(home, flags={f"{SECTION}.optimizer": "4"})
    flagged.declare(SECTION, SCHEMA)
    assert flagged.section(SECTION)["optimizer"] == "4"


def test_a_section_has_its_defaults(home):
    settings = load(home)
    settings.declare(SECTION, SCHEMA)
    assert settings.section(SECTION) == {"optimizer": "COBYLA", "max_iterations": 1000, "threshold": 1e-6}


def test_defaults_alone_do_not_import_jsonschema(home):
    import subprocess
    import sys

    code = (
        "import sys; from proxima.settings import Settings\n"
        "s = Settings(['missing.toml'], {}, {}, {}); s.declare('a', {'b': {'type': 'integer', 'default': 1}})\n"
        "assert s.section('a') == {'b': 1}; print(*{m.split('.')[0] for m in sys.modules})"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"jsonschema", "tomllib", "pydantic", "numpy", "asyncio"} & set(output.split())


@pytest.mark.parametrize(
    ("line", "message", "expected"),
    [
        ("max_iterations = 0", "max_iterations: 0 is less than the minimum of 1", '"minimum": 1'),
        ('max_iterations = "many"', "max_iterations: 'many' is not of type 'integer'", '"type": "integer"'),
        ('optimizer = "ADM"', "optimizer: 'ADM' is not one of", '"enum": ["COBYLA"'),
        ("hosts = [{port = 1}, {port = 'x'}]", "hosts[1].port: 'x' is not of type 'integer'", "array"),
        ("limits = {a = 1, b = 'x'}", "limits.b: 'x' is not of type 'integer'", "object"),
        ("limits = 2026-11-22", "limits: datetime.date(2026, 11, 22) is not of type 'object'", "object"),
    ],
)
def test_a_value_the_schema_refuses_names_file_key_and_expectation(home, line, message, expected):
    path = write_user(home, f"[{SECTION}]\n{line}\n")
    settings = load(home)
    settings.declare(SECTION, SCHEMA)
    with pytest.raises(SettingsError, match="^" + re.escape(f"{path}: {SECTION}.{message}")) as caught:
        settings.section(SECTION)
    assert expected in caught.value.hint


def test_a_name_the_schema_does_not_have_is_an_error(home):
    path = write_workspace(home, f"[{SECTION}]\nmax_iteration = 1\n")
    settings = load(home)
    settings.declare(SECTION, SCHEMA)
    with pytest.raises(SettingsError, match=re.escape(f"{path}: {SECTION}.max_iteration: unknown setting")) as caught:
        settings.section(SECTION)
    assert caught.value.hint == "did you mean max_iterations?"


def test_a_value_in_place_of_a_section_is_an_error(home):
    write_user(home, f"{SECTION} = 3")
    settings = load(home)
    settings.declare(SECTION, SCHEMA)
    with pytest.raises(SettingsError, match="expected a table, found 3"):
        settings.section(SECTION)


@pytest.mark.parametrize(
    "fragment", [{"type": "intger"}, {"minimum": "x"}, {"$ref": "https://example.org/schema"}, {"$ref": "#/nowhere"}]
)
def test_a_broken_schema_is_the_manifests_fault_and_fetches_nothing(home, fragment):
    settings = load(home, flags={"plugins.p.x": 1})
    settings.declare("plugins.p", {"x": fragment})
    with pytest.raises(ManifestError, match=r"config_schema of plugins\.p\.x"):
        settings.section("plugins.p")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_schema_never_has_an_address_fetched(home):
    asked = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        settings = load(home, flags={"plugins.p.x": 1})
        settings.declare("plugins.p", {"x": {"$ref": f"http://127.0.0.1:{server.server_port}/schema"}})
        try:
            with pytest.raises(ManifestError):
                settings.get("plugins.p.x")
        finally:
            server.shutdown()
            thread.join()
    assert asked == []
