import json
import multiprocessing

import pytest

from proxima.errors import (
    NotFoundError,
    PluginBrokenError,
    PluginDisabledError,
    PluginIncompatibleError,
)
from proxima.paths import Paths
from proxima.plugins.registry import PluginRegistry, fingerprint
from proxima.plugins.state import PluginState


def registry(workshop, **options):
    state = PluginState(Paths.under(str(workshop.home)))
    return PluginRegistry(state, path=[str(workshop.site)], **options)


RAISES = "raise RuntimeError('no water')"
WANTS_LATER_KERNEL = {"kernel_api": "9"}


def stage(workshop, case):
    """Brings a plugin called tea into a state, and says which."""
    match case:
        case "enabled":
            workshop.lay_out("tea")
        case "disabled":
            workshop.lay_out("tea")
            workshop.main("plugin", "disable", "tea")
        case "disabled, later kernel":
            workshop.lay_out("tea", **WANTS_LATER_KERNEL)
            workshop.main("plugin", "disable", "tea")
            return "disabled"
        case "incompatible":
            workshop.lay_out("tea", **WANTS_LATER_KERNEL)
        case "incompatible, written for a later kernel":
            manifest = '{"format": 1, "fits": "kernel-api>=9", "kinds": "cakes",\n "entry_points": {"cakes": []}}'
            workshop.lay_out("tea", compiled=manifest)
            return "incompatible"
        case "incompatible, unknown need":
            manifest = '{"format": 1, "fits": "moon>=9", "kinds": "",\n "name": "tea"}'
            workshop.lay_out("tea", compiled=manifest)
            return "incompatible"
        case "broken, no manifest":
            (workshop.lay_out("tea") / "proxima-plugin.json").unlink()
            return "broken"
        case "broken, not JSON":
            workshop.lay_out("tea", compiled="tea")
            return "broken"
        case "broken, later layout":
            workshop.lay_out("tea", compiled='{"format": 2, "fits": "", "kinds": "",\n "name": "tea"}')
            return "broken"
        case "enabled, no header":
            package = workshop.lay_out("tea")
            manifest = json.loads((package / "proxima-plugin.json").read_text())
            workshop.lay_out("tea", compiled=json.dumps(manifest, indent=2))
            return "enabled"
        case "broken, quarantined":
            workshop.lay_out("tea", RAISES)
            assert workshop.main("tea")[0] == 3
            return "broken"
        case "enabled, quarantined before it changed":
            workshop.lay_out("tea", RAISES)
            workshop.main("tea")
            workshop.lay_out("tea")
            return "enabled"
        case "installed":
            workshop.lay_out("tea")
        case "installed, quarantined before it changed":
            stage(workshop, "enabled, quarantined before it changed")
            return "installed"
        case "uninstalled":
            workshop.lay_out("tea")
            workshop.main("plugin", "disable", "tea")
            (workshop.site / "tea-1.0.dist-info" / "entry_points.txt").unlink()
    return case


CASES = [
    "enabled",
    "enabled, no header",
    "enabled, quarantined before it changed",
    "disabled",
    "disabled, later kernel",
    "incompatible",
    "incompatible, written for a later kernel",
    "incompatible, unknown need",
    "broken, no manifest",
    "broken, not JSON",
    "broken, later layout",
    "broken, quarantined",
    "installed",
    "installed, quarantined before it changed",
    "uninstalled",
]


@pytest.mark.parametrize("case", CASES)
def test_the_quick_list_and_the_registry_agree_on_every_state(workshop, monkeypatch, case):
    expected = stage(workshop, case)
    ran = workshop.imported()
    if expected == "installed":
        monkeypatch.setenv("PROXIMA_PLUGINS", "milk")
    assert workshop.states() == {"tea": expected}
    listed = {each["name"]: each for each in workshop.json("plugin", "list")}
    assert listed["tea"]["state"] == expected
    assert workshop.json("plugin", "info", "tea")["state"] == expected
    monkeypatch.setenv("COLUMNS", "200")
    (row,) = [line for line in workshop.main("plugin", "list", "--long")[1].splitlines() if line.startswith("tea ")]
    assert f" {expected} " in row
    assert (listed["tea"]["reason"] == "") == (expected == "enabled")
    assert workshop.imported() == ran


def test_the_quick_list_sees_only_the_first_line_of_a_manifest(workshop):
    package = workshop.lay_out("tea")
    path = package / "proxima-plugin.json"
    path.write_text(path.read_text()[:-100])
    assert workshop.states() == {"tea": "enabled"}
    assert registry(workshop).get("tea").state == "broken"
    assert "proxima-plugin.json: not JSON" in registry(workshop).get("tea").reason


def test_safe_mode_leaves_third_party_plugins_out(workshop):
    workshop.lay_out("tea")
    workshop.lay_out("results", distribution="proxima-results")
    workshop.lay_out("milk", distribution="proxima-milk")
    states = {record.id: record.state for record in registry(workshop, safe_mode=True).records.values()}
    assert states == {"tea": "installed", "results": "enabled", "milk": "installed"}
    out = workshop.main("--safe-mode", "plugin", "list")[1]
    assert [line.split()[2] for line in out.splitlines() if line.startswith("tea ")] == ["installed"]
    code, _, err = workshop.main("--safe-mode", "tea")
    assert (code, err) == (3, "proxima: error: plugin tea is installed: left out by --safe-mode\n")
    assert workshop.imported() == []


def test_proxima_plugins_names_the_plugins_to_start_with(workshop, monkeypatch):
    workshop.lay_out("tea")
    workshop.lay_out("milk")
    for value, states in (
        ("tea", {"tea": "enabled", "milk": "installed"}),
        (" tea , milk", {"tea": "enabled", "milk": "enabled"}),
        ("", {"tea": "installed", "milk": "installed"}),
    ):
        monkeypatch.setenv("PROXIMA_PLUGINS", value)
        assert workshop.states() == states
        listed = {each["name"]: each["state"] for each in workshop.json("plugin", "list") if each["name"] in states}
        assert listed == states
    monkeypatch.setenv("PROXIMA_PLUGINS", "tea")
    assert workshop.main("milk")[0] == 3
    assert workshop.imported() == []


@pytest.mark.parametrize(
    ("case", "error", "message"),
    [
        ("disabled", PluginDisabledError, "plugin tea is disabled"),
        ("incompatible", PluginIncompatibleError, "plugin tea needs kernel API >=9, <=9; this is 1"),
        ("broken, not JSON", PluginBrokenError, "plugin tea is broken: .*not JSON"),
        ("broken, quarantined", PluginBrokenError, "plugin tea is broken: importing it raised RuntimeError: no water"),
        ("uninstalled", PluginDisabledError, "plugin tea is uninstalled: not on the path"),
    ],
)
def test_a_plugin_that_cannot_be_activated_says_why(workshop, case, error, message):
    stage(workshop, case)
    with pytest.raises(error, match=message) as caught:
        workshop.kernel()._activation.activate("tea")
    assert caught.value.plugin == "tea"
    assert caught.value.exit_code == 3


def test_what_was_turned_off_and_uninstalled_is_remembered_until_it_is_enabled(workshop):
    stage(workshop, "uninstalled")
    assert workshop.states() == {"tea": "uninstalled"}
    assert workshop.main("plugin", "enable", "tea")[1] == "tea: uninstalled (not on the path)\n"
    assert workshop.states() == {}


def test_disabling_is_remembered_and_takes_the_contributions_away(workshop):
    workshop.lay_out("tea")
    first = registry(workshop)
    assert [c.name for c in first.contributions["commands"]] == ["tea"]
    first.set_enabled("tea", False)
    assert first.contributions == {}
    second = registry(workshop)
    assert second.get("tea").state == "disabled"
    second.set_enabled("tea", True)
    assert [c.name for c in registry(workshop).contributions["commands"]] == ["tea"]


def test_says_the_nearest_name(workshop):
    workshop.lay_out("teapot")
    with pytest.raises(NotFoundError, match="no plugin called 'teapt'") as caught:
        registry(workshop).get("teapt")
    assert caught.value.hint == "did you mean teapot?"
    with pytest.raises(NotFoundError, match="there is no command called 'teapt'") as caught:
        registry(workshop).find("commands", "teapt")
    assert caught.value.hint == "did you mean teapot?"
    with pytest.raises(NotFoundError) as caught:
        registry(workshop).find("mcp_servers", "x")
    assert caught.value.hint == "no plugin with mcp servers is installed"


def test_a_first_party_plugin_has_a_name_that_others_claim_too(workshop):
    for name, distribution, description in (("aaa", "aaa", "not this one"), ("results", "proxima-results", "this one")):
        brew = {"name": "brew", "class": f"{workshop.package(name)}.Greet", "description": description}
        workshop.lay_out(name, distribution=distribution, entry_points={"commands": [brew]})
    assert registry(workshop).find("commands", "brew").plugin == "results"
    listed = workshop.proxima("--help").stdout
    assert "this one" in listed
    assert "not this one" not in listed


def test_the_fingerprint_tells_builds_apart(workshop):
    package = workshop.lay_out("tea")
    (found,) = [record.found for record in registry(workshop).records.values()]
    before = fingerprint(found)
    assert before == fingerprint(found)
    (package / "more.py").write_text("x = 1\n")
    assert fingerprint(found) != before


def _turn(home, number):
    state = PluginState(Paths.under(home))
    for turn in range(50):
        state.disable(f"plugin-{number}")
        state.disable("shared")
        if turn % 2:
            state.enable("shared")
            state.enable(f"plugin-{number}")
    state.disable(f"plugin-{number}")


def test_two_processes_that_turn_plugins_off_do_not_lose_each_others_answers(workshop):
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_turn, args=(str(workshop.home), number)) for number in (1, 2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert {"plugin-1", "plugin-2"} <= PluginState(Paths.under(str(workshop.home))).disabled()


def test_of_two_distributions_that_claim_one_name_neither_runs_until_one_is_removed(workshop):
    workshop.lay_out("tea")
    thief = workshop.lay_out("tea", distribution="thief", site=workshop.root / "later")
    path = [str(workshop.site), str(thief.parent)]
    contested = PluginRegistry(PluginState(Paths.under(str(workshop.home))), path=path)
    error = contested.get("tea").error()
    assert isinstance(error, PluginBrokenError)
    assert f"tea 1.0 in {workshop.site} and thief 1.0 in {thief.parent}" in str(error)
    assert "pip uninstall NAME" in error.hint
    assert contested.contributions == {}
    assert contested.set_enabled("tea", True).state == "broken"
    assert registry(workshop).get("tea").state == "enabled"


def test_a_contested_name_is_shown_and_its_command_is_refused(workshop):
    workshop.lay_out("tea")
    workshop.lay_out("tea", distribution="thief")
    said = f"two distributions claim this name: tea 1.0 in {workshop.site} and thief 1.0 in {workshop.site}"
    for words in (["plugin", "list"], ["--set", "a.b=1", "plugin", "list"]):
        lines = workshop.proxima(*words).stdout.splitlines()
        assert sum(line.split()[:3] == ["tea", "1.0", "broken"] for line in lines) == 1
        assert lines[-1] == f"tea: {said}"
    (row,) = [row for row in workshop.json("plugin", "list") if row["name"] == "tea"]
    assert row["reason"] == said
    for words in (["tea"], ["plugin", "permissions", "tea"]):
        code, _, err = workshop.main(*words)
        assert code == 3
        assert said in err
        assert "hint: uninstall the one that should not be there" in err
    assert workshop.imported() == []


def test_another_distribution_that_takes_a_name_over_is_asked_for_its_permissions_again(workshop):
    workshop.lay_out("tea", permissions=["gpu"])
    assert workshop.main("plugin", "permissions", "tea", "grant", "gpu")[0] == 0
    info = workshop.site / "tea-1.0.dist-info"
    info.rename(workshop.site / "thief-1.0.dist-info")
    (permission,) = workshop.json("plugin", "permissions", "tea")["permissions"]
    assert permission["state"] == "undecided"
    (workshop.site / "thief-1.0.dist-info").rename(info)
    (permission,) = workshop.json("plugin", "permissions", "tea")["permissions"]
    assert permission["state"] == "granted"
