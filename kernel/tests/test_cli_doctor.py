BACKEND = """
from proxima.contracts.backend import Probe
from proxima.hookspecs import hookimpl


class Kettle:
    name = "kettle"

    def probe(self):
        PROBE


class Plugin:
    @hookimpl
    def proxima_backends(self):
        return [Kettle()]


plugin = Plugin()
"""


def backend(workshop, probe, name="tea"):
    kettle = {"name": "kettle", "class": f"{workshop.package(name)}.Kettle"}
    workshop.lay_out(name, BACKEND.replace("PROBE", probe), type="backend", entry_points={"backends": [kettle]})


def findings(workshop):
    import json

    code, out, _ = workshop.main("doctor", "--json")
    found = {each["check"]: each for each in json.loads(out)}
    assert code == (1 if any(each["status"] == "error" for each in found.values()) else 0)
    return found


def test_a_healthy_machine(workshop):
    backend(workshop, "return Probe('available', versions={'steam': '1.2'})")
    found = findings(workshop)
    assert found["kernel"]["status"] == "ok"
    assert {found[name]["status"] for name in ("config", "data", "state", "cache", "settings", "permissions")} == {"ok"}
    assert found["kettle"]["detail"] == "backend available (steam 1.2)"
    assert found["isolation"]["status"] == "warning"  # the workshop trusts its plugins
    assert found["isolation"]["detail"].startswith("tea: not isolated")


def test_a_backend_that_is_not_available_says_what_to_do(workshop):
    backend(workshop, "return Probe('not_installed', 'no steam', 'pip install steam')")
    found = findings(workshop)["kettle"]
    assert (found["status"], found["detail"]) == ("warning", "backend not_installed: no steam")
    assert found["hint"] == "pip install steam"


def test_a_backend_whose_probe_raises_is_a_finding(workshop):
    backend(workshop, "return 1 / 0")
    assert findings(workshop)["kettle"]["detail"] == "ZeroDivisionError: division by zero"


def test_broken_and_incompatible_plugins_are_findings(workshop):
    workshop.lay_out("tea", compiled="not a manifest")
    workshop.lay_out("milk", kernel_api="9")
    workshop.lay_out("sugar", "raise RuntimeError('wet')")
    workshop.main("sugar")
    found = findings(workshop)
    assert found["tea"]["detail"].startswith("broken: ")
    assert found["milk"]["detail"] == "incompatible: needs kernel API >=9, <=9; this is 1"
    assert found["sugar"]["detail"] == "broken: importing it raised RuntimeError: wet"
    assert "proxima plugin info sugar" in found["sugar"]["hint"]
    assert workshop.main("doctor")[0] == 1


def test_distributions_that_claim_one_name_are_a_finding(workshop):
    workshop.lay_out("tea")
    workshop.lay_out("tea", distribution="zzz")
    workshop.lay_out("execution", distribution="thief")  # the real one is installed beside the tests
    found = findings(workshop)
    both = f"two distributions claim this name: tea 1.0 in {workshop.site} and zzz 1.0 in {workshop.site}"
    assert (found["tea"]["status"], found["tea"]["detail"]) == ("error", f"broken: {both}")
    assert "pip uninstall NAME" in found["tea"]["hint"]
    assert found["execution"]["status"] == "error"
    assert "thief 1.0 in" in found["execution"]["detail"]
    assert "pip uninstall NAME" in found["execution"]["hint"]


def test_settings_that_are_no_toml_and_a_directory_that_cannot_be_made_are_findings(workshop):
    (workshop.home / "config").mkdir(parents=True)
    (workshop.home / "config" / "settings.toml").write_text("= 5")
    (workshop.home / "cache").write_text("a file")
    found = findings(workshop)
    assert found["settings"]["status"] == "error"
    assert "settings.toml:1:1" in found["settings"]["detail"]
    assert found["cache"]["status"] == "error"
