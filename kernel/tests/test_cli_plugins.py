import json
import sys

import pytest

from proxima_sdk.manifest.compile import compiled_text
from proxima_sdk.manifest.model import check_manifest

ESCAPES = "\x1b[2J\x1b]0;owned\x07 100% %(prog)s %d \u202e \ud800 tea"


def evil(workshop, **fields):
    """A plugin whose every text tries to reach the terminal."""
    manifest = workshop.manifest("tea") | {"author": "A"} | fields
    raw = check_manifest(manifest, source="tea").compiled()
    raw |= {"description": ESCAPES, "display_name": ESCAPES, "author": ESCAPES, "website": ESCAPES}
    raw["permissions"] = [ESCAPES, "network:example.org"]
    raw["entry_points"]["commands"][0]["description"] = ESCAPES
    raw["entry_points"]["commands"].append({"name": ESCAPES, "class": "a.B"})
    raw["entry_points"]["tools"] = [{"name": ESCAPES, "class": ESCAPES, "description": ESCAPES}]
    header = json.dumps({key: raw.pop(key) for key in ("format", "fits", "kinds")})
    workshop.lay_out("tea", compiled=header[:-1] + ",\n" + json.dumps(raw, indent=1)[1:])


LISTINGS = [
    ["--help"],
    ["plugin", "list"],
    ["plugin", "list", "--long"],
    ["plugin", "list", "--json"],
    ["plugin", "info", "tea"],
    ["plugin", "info", "tea", "--json"],
    ["plugin", "disable", "tea"],
    ["tea", "--help"],
    ["doctor"],
    ["tee"],
]


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
def test_terminal_escapes_of_a_plugin_are_shown_and_not_performed(workshop, words):
    evil(workshop)
    done = workshop.proxima(*words, env={"COLUMNS": "2000"}, text=False)
    shown = (done.stdout + done.stderr).decode()
    assert "Traceback" not in shown
    assert all(line.isprintable() for line in shown.splitlines())
    if words == ["--help"] or "--long" in words or "info" in words:
        assert "100% %(prog)s %d" in shown


def test_escapes_in_the_header_of_a_manifest_and_in_file_names_are_not_performed(workshop):
    workshop.lay_out("tea", compiled='{"format": 1, "fits": "", "kinds": "\x1b[2J",\n}', version="1.0")
    info = workshop.site / "tea-1.0.dist-info"
    info.rename(workshop.site / "tea-1.0\x1b[2J\udcff.dist-info")
    for words in (["plugin", "list"], ["plugin", "list", "--long"], ["plugin", "info", "tea"]):
        done = workshop.proxima(*words)
        assert done.returncode == 0, done.stderr
        assert all(line.isprintable() for line in done.stdout.splitlines())


def test_escapes_in_what_a_plugin_raises_are_not_performed(workshop):
    workshop.lay_out("tea", "raise RuntimeError('\\x1b[2Jred')")
    done = workshop.proxima("tea")
    assert done.returncode == 3
    assert "\\x1b[2Jred" in done.stderr
    assert "\x1b" not in done.stderr + workshop.proxima("plugin", "info", "tea").stdout


def test_a_name_that_the_terminal_has_no_characters_for_is_escaped(workshop):
    workshop.lay_out("tea", description="Thé 茶")
    for words in (["plugin", "list", "--long"], ["plugin", "info", "tea"]):
        done = workshop.proxima(*words, env={"PYTHONIOENCODING": "ascii", "COLUMNS": "200"})
        assert done.returncode == 0, done.stderr
        assert "Th\\xe9" in done.stdout


def test_info_shows_all_that_is_known(workshop):
    workshop.lay_out("tea", author="Ann", permissions=["network:example.org"])
    out = workshop.main("plugin", "info", "tea")[1]
    fields = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert fields["author"] == "Ann"
    assert fields["contributes"] == "commands: tea  Greets from tea"
    assert fields["permission"].startswith("network:example.org: undecided")
    assert fields["location"] == str(workshop.site)
    data = workshop.json("plugin", "info", "tea")
    assert data["contributions"] == [
        {"kind": "commands", "name": "tea", "class": "plug_tea.Greet", "description": "Greets from tea"}
    ]
    assert data["first_party"] is False


def test_info_shows_a_permission_that_is_not_in_the_grammar(workshop):
    evil(workshop)
    permissions = workshop.json("plugin", "info", "tea")["permissions"]
    assert [each["state"] for each in permissions] == ["refused", "undecided"]


def test_info_of_a_plugin_imports_nothing_though_a_command_has_its_name(workshop):
    workshop.lay_out("tea", "raise RuntimeError('imported')")
    for words in (["plugin", "info", "tea"], ["plugin", "disable", "tea"], ["plugin", "enable", "tea"]):
        assert workshop.main(*words)[0] == 0
    assert workshop.main("plugin", "tea")[0] == 2
    assert workshop.main("--set", "x.y=tea", "doctor")[0] in (0, 1)
    assert workshop.imported() == []


def test_enabled_and_disabled_are_remembered_by_the_next_process(workshop):
    workshop.lay_out("tea")
    assert workshop.proxima("plugin", "disable", "tea").stdout == "tea: disabled (turned off)\n"
    done = workshop.proxima("tea")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("proxima: error: plugin tea is disabled\nhint: turn it on with")
    assert workshop.states() == {"tea": "disabled"}
    assert workshop.json("plugin", "enable", "tea")["state"] == "enabled"
    assert workshop.proxima("tea").stdout == "hello\n"


def test_no_plugins_at_all_is_said(workshop, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(workshop.site)])
    assert "No plugins are installed" in workshop.main("plugin", "list")[1]


def test_with_a_thousand_plugins_none_is_imported_by_what_only_looks(workshop):
    template = (workshop.lay_out("tea-0") / "proxima-plugin.json").read_text()
    for number in range(1, 1000):
        package = workshop.site / f"plug_tea_{number}"
        info = workshop.site / f"tea_{number}-1.0.dist-info"
        package.mkdir()
        info.mkdir()
        (package / "__init__.py").write_text(workshop.code(f"tea-{number}"))
        text = template.replace("tea-0", f"tea-{number}").replace("plug_tea_0", package.name)
        (package / "proxima-plugin.json").write_text(text)
        (info / "entry_points.txt").write_text(f"[proxima.plugins]\ntea-{number} = {package.name}:plugin\n")
    check_manifest(json.loads(json.dumps(workshop.manifest("tea-999"))), source="as laid out")
    for words in (
        ["--version"],
        ["plugin", "list"],
        ["plugin", "list", "--json"],
        ["plugin", "info", "tea-7"],
        ["--help"],
    ):
        code = (
            "import sys, proxima.cli\n"
            f"try:\n    code = proxima.cli.main({words!r})\nexcept SystemExit as error:\n    code = error.code or 0\n"
            "ours = [m for m in sys.modules if m.startswith(('plug_', 'proxima_'))]\n"
            "print(code, ours, 'numpy' in sys.modules, file=sys.stderr)"
        )
        done = workshop.python("-c", code)
        assert done.stderr == "0 [] False\n", words
        if words[-1] == "list":
            assert sum(line.startswith("tea-") for line in done.stdout.splitlines()) == 1000
    assert workshop.imported() == []
    assert workshop.proxima("tea-7").stdout == "hello\n"
    assert workshop.imported() == ["tea-7"]


def test_the_first_line_that_the_compiler_writes_is_what_the_whole_manifest_says(workshop):
    from proxima.plugins.manifest import read_manifest
    from proxima.plugins.scan import read_header

    ranges = {"python_version": ">=3.9,!=3.10.*", "proxima_version": "~=0.1.0,<9", "kernel_api": "1-3"}
    path = str(workshop.lay_out("tea", **ranges) / "proxima-plugin.json")
    manifest = read_manifest(path)
    assert read_header(path) == (manifest.fits, "commands")
    assert compiled_text(check_manifest(workshop.manifest("tea", **ranges), source="x")).splitlines()[0].endswith(",")


def test_how_a_plugin_would_run_is_shown_and_where_it_cannot_why(workshop, monkeypatch):
    from proxima.sandbox.probe import probe

    monkeypatch.delenv("PROXIMA_SETTING__ISOLATION__DEFAULT")
    monkeypatch.setenv("PROXIMA_SETTING__ISOLATION__ALLOW_TIER_C", "true")
    monkeypatch.setenv("COLUMNS", "300")
    tier = probe().tier
    tool = {"name": "sugar", "class": "plug_sugar.Act", "description": "Sweetens"}
    workshop.lay_out("tea")
    workshop.lay_out("sugar", type="tool", entry_points={"tools": [tool]})
    rows = {row["name"]: (row["isolation"], row["tier"]) for row in workshop.json("plugin", "list")}
    why = "plugin tea contributes commands, which cannot run in a worker"
    assert rows["tea"] == (f"not at all: {why}", None)
    assert rows["sugar"] == (f"worker, tier {tier}", tier)
    assert rows["execution"] == ("in-process", None)
    lines = {line.split()[0]: line for line in workshop.main("plugin", "list", "--long")[1].splitlines()}
    assert lines["tea"].split("not at all")[1].strip() == why
    assert f"  worker, tier {tier}  " in lines["sugar"]
