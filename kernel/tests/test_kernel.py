import json
import sys
import time
from typing import Protocol

import pytest

import proxima
from proxima.errors import NotFoundError, SettingsError, UnavailableError
from proxima.kernel import Kernel
from proxima.paths import Paths


class Pot(Protocol):
    def pour(self): ...


CONTRACT = f"{Pot.__module__}.{Pot.__qualname__}"

OFFERS = """
from proxima.contracts.service import Service
from proxima.hookspecs import hookimpl


class Porcelain:
    def pour(self):
        return "NAME"


class Plugin:
    @hookimpl
    def proxima_services(self, kernel):
        import sys
        contract = sys.modules["MODULE"].Pot
        return [Service(contract, Porcelain())]

    @hookimpl
    def proxima_kernel_closing(self):
        with open("LOG", "a") as log:
            log.write("NAME closes\\n")

    @hookimpl
    def proxima_run_finished(self, result):
        with open("LOG", "a") as log:
            log.write(f"NAME saw {result}\\n")


plugin = Plugin()
"""


def offer(workshop, name, code="", **fields):
    service = {"name": "pot", "class": f"{workshop.package(name)}.Porcelain", "contract": CONTRACT}
    log = str(workshop.root / "told")
    code = code + OFFERS.replace("MODULE", Pot.__module__).replace("LOG", log)
    workshop.lay_out(name, code, type="service", entry_points={"services": [service]}, **fields)


def told(workshop):
    path = workshop.root / "told"
    return path.read_text().splitlines() if path.exists() else []


def test_a_service_is_found_by_its_contract_and_its_plugin_activated(workshop):
    offer(workshop, "tea")
    with workshop.kernel() as kernel:
        assert workshop.imported() == []
        assert kernel.services.require(Pot).pour() == "tea"
        assert kernel.services.get(Pot) is kernel.services.get(Pot)
    assert workshop.imported() == ["tea"]


def test_nobody_offers_it(workshop):
    with workshop.kernel() as kernel:
        assert kernel.services.get(Pot) is None
        assert kernel.services.why_not(Pot) == "no plugin offers Pot"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"code": "raise RuntimeError('no water')\n"},
            "plugin tea is broken: importing it raised RuntimeError: no water",
        ),
        ({"kernel_api": "9"}, "plugin tea needs kernel API >=9, <=9; this is 1"),
    ],
)
def test_who_offers_it_cannot_be_used(workshop, options, reason):
    offer(workshop, "tea", **options)
    with workshop.kernel() as kernel:
        assert kernel.services.get(Pot) is None
        assert kernel.services.why_not(Pot) == reason
        with pytest.raises(NotFoundError, match=reason) as caught:
            kernel.services.require(Pot)
        assert caught.value.exit_code == 3


def test_another_plugin_serves_where_the_first_is_broken(workshop):
    offer(workshop, "aaa", "raise RuntimeError('no water')\n")
    offer(workshop, "tea")
    with workshop.kernel() as kernel:
        assert kernel.services.require(Pot).pour() == "tea"


def test_a_first_party_plugin_serves_before_others(workshop):
    offer(workshop, "aaa")
    offer(workshop, "results", distribution="proxima-results")
    with workshop.kernel() as kernel:
        assert kernel.services.require(Pot).pour() == "results"


def test_a_service_under_another_contract_than_declared_breaks_the_plugin(workshop):
    offer(workshop, "tea")
    path = workshop.site / "plug_tea" / "__init__.py"
    path.write_text(path.read_text().replace('sys.modules["' + Pot.__module__ + '"].Pot', "int"))
    with workshop.kernel() as kernel:
        assert kernel.services.get(Pot) is None
        assert "proxima_services gave no plug_tea.Porcelain named 'pot'" in kernel.services.why_not(Pot)


@pytest.mark.parametrize("fault", ["raise RuntimeError('broken')", "raise SystemExit(7)"])
def test_all_activated_plugins_are_told_the_last_first_and_a_faulty_one_stops_nobody(workshop, caplog, fault):
    offer(workshop, "aaa")
    offer(workshop, "tea")
    offer(workshop, "unused")
    path = workshop.site / "plug_tea" / "__init__.py"
    for hook in ("def proxima_kernel_closing(self):", "def proxima_run_finished(self, result):"):
        path.write_text(path.read_text().replace(hook, f"{hook}\n        {fault}"))
    with workshop.kernel() as kernel:
        for contribution in kernel.contributions("services"):
            if contribution.plugin != "unused":
                kernel._activation.object_for(contribution)
        kernel.tell("proxima_run_finished", result="it")
        assert told(workshop) == ["aaa saw it"]
    assert told(workshop) == ["aaa saw it", "aaa closes"]
    assert caplog.text.count("plugin tea failed in") == 2
    assert "unused" not in workshop.imported()


def test_plugins_close_in_the_reverse_order_of_activation(workshop):
    for name in ("aaa", "tea"):
        offer(workshop, name)
    with workshop.kernel() as kernel:
        for contribution in kernel.contributions("services"):
            kernel._activation.object_for(contribution)
    assert told(workshop) == ["tea closes", "aaa closes"]


def test_a_session_that_used_nothing_makes_no_files_and_closes(workshop):
    with proxima.open(paths=Paths.under(str(workshop.home))) as kernel:
        kernel.tell("proxima_run_finished", result=None)
    kernel.close()
    assert not workshop.home.exists()


def test_proxima_plugins_is_read_from_the_environment_unless_names_are_given(workshop, monkeypatch):
    monkeypatch.setenv("PROXIMA_PLUGINS", "tea, milk")
    assert workshop.kernel().registry.only == ["tea", "milk"]
    assert workshop.kernel(only=["x"]).registry.only == ["x"]


def test_running_needs_a_plugin_that_runs(workshop):
    with workshop.kernel() as kernel, pytest.raises(UnavailableError, match="the service Execution is not available"):
        kernel.run("bell.qasm")


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf", "[]"])
def test_a_time_limit_that_is_no_number_of_seconds_is_refused(workshop, value):
    workshop.lay_out("tea")
    with workshop.kernel(flags={"plugins.import_seconds": value}) as kernel, pytest.raises(SettingsError):
        kernel.get("commands", "tea")


def test_a_plugins_settings_have_its_defaults_and_are_checked(workshop):
    workshop.lay_out("tea", config_schema={"sugar": {"type": "integer", "default": 2, "maximum": 3}})
    with workshop.kernel() as kernel:
        assert kernel.settings.section("plugins.tea") == {"sugar": 2}
        assert kernel.settings.get("plugins.import_seconds") == 60.0
    with workshop.kernel(flags={"plugins.tea.sugar": "9"}) as kernel, pytest.raises(SettingsError, match="sugar"):
        kernel.settings.section("plugins.tea")


def test_a_wrong_config_schema_of_one_plugin_harms_no_other(workshop):
    path = workshop.lay_out("tea") / "proxima-plugin.json"
    manifest = json.loads(path.read_text()) | {"config_schema": {"sugar": {"type": 7, "default": []}}}
    path.write_text(json.dumps(manifest))
    workshop.lay_out("milk")
    with workshop.kernel() as kernel:
        assert kernel.get("commands", "milk").name == "milk"


def test_a_thousand_plugins_are_judged_and_configured_in_little_time(workshop):
    manifest = (
        workshop.lay_out("dummy", config_schema={"x": {"type": "integer", "default": 1}}) / "proxima-plugin.json"
    ).read_text()
    for number in range(1000):
        package = workshop.site / f"plug_dummy{number}"
        info = workshop.site / f"dummy{number}-1.0.dist-info"
        package.mkdir()
        info.mkdir()
        (package / "proxima-plugin.json").write_text(manifest.replace('"dummy"', f'"dummy{number}"'))
        (info / "entry_points.txt").write_text(f"[proxima.plugins]\ndummy{number} = plug_dummy{number}:plugin\n")
    kernel = workshop.kernel()
    assert isinstance(kernel, Kernel)
    started = time.process_time()
    assert len(kernel.registry.records) == 1001
    judged = time.process_time() - started
    started = time.process_time()
    assert kernel.settings.get("plugins.dummy7.x") == 1
    configured = time.process_time() - started
    assert configured < 10 * judged
    assert not [name for name in sys.modules if name.startswith("plug_")]
