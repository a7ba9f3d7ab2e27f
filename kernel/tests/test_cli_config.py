"""`proxima plugin config` shows where each setting comes from, and changes the user's file and nothing else in it."""

import os

import pytest

SCHEMA = {
    "cups": {"type": "integer", "minimum": 1, "maximum": 9, "default": 2},
    "kind": {"type": "string", "enum": ["green", "black"], "default": "green", "description": "Which leaves"},
    "sugar": {"type": "number", "exclusiveMinimum": 0},
    "name": {"type": "string", "pattern": "^[a-z]+$"},
}


@pytest.fixture
def tea(workshop):
    workshop.lay_out("tea", config_schema=SCHEMA)
    workshop.settings = workshop.home / "config" / "settings.toml"
    return workshop


def test_each_setting_says_where_its_value_comes_from(tea, monkeypatch):
    assert tea.main("plugin", "config", "tea", "cups", "3")[0] == 0
    monkeypatch.setenv("PROXIMA_SETTING__plugins__tea__kind", "black")
    rows = {row["setting"]: (row["value"], row["from"]) for row in tea.json("plugin", "config", "tea")}
    assert rows == {
        "cups": (3, str(tea.settings)),
        "kind": ("black", "PROXIMA_SETTING__plugins__tea__kind"),
        "sugar": (None, "not set"),
        "name": (None, "not set"),
    }
    cups = tea.json("plugin", "config", "tea", "cups")
    assert (cups["default"], cups["allowed"]) == (2, "integer >= 1 <= 9")


def test_comments_and_other_values_stay(tea):
    before = "# mine\n[isolation]\ntea = 'worker' # why\n\n[plugins.cake]\nslices = 3\n"
    tea.settings.parent.mkdir(parents=True)
    tea.settings.write_text(before)
    tea.main("plugin", "config", "tea", "name", "earl")
    after = tea.settings.read_text()
    assert after.startswith(before)
    assert 'name = "earl"' in after
    assert tea.main("plugin", "config", "tea", "name", "--unset")[0] == 0
    assert "earl" not in tea.settings.read_text()
    assert tea.settings.read_text().startswith(before)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cups", "0"], "0 is less than the minimum of 1"),
        (["cups", "many"], "'many' is not of type 'integer'"),
        (["kind", "grey"], "allowed: green, black"),
        (["name", "3"], "'3' does not match"),
        (["cup"], "did you mean cups?"),
        (["cups", "3", "--unset"], "--unset takes a setting and no value"),
        (["--unset"], "--unset takes a setting and no value"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(tea, words, said):
    code, _, err = tea.main("plugin", "config", "tea", *words)
    assert code == 2
    assert said in err
    assert not tea.settings.exists()


def test_a_file_that_cannot_be_changed_is_left_alone(tea):
    tea.settings.parent.mkdir(parents=True)
    tea.settings.write_text("[plugins\n")
    code, _, err = tea.main("plugin", "config", "tea", "cups", "3")
    assert code != 0
    assert "settings.toml:1:" in err
    tea.settings.write_text("plugins = 3\n")
    assert "expected a table" in tea.main("plugin", "config", "tea", "cups", "3")[2]
    assert tea.settings.read_text() == "plugins = 3\n"
    assert os.listdir(tea.settings.parent) == ["settings.toml"]


def test_a_plugin_without_settings(workshop):
    workshop.lay_out("plain")
    assert workshop.main("plugin", "config", "plain")[1] == "Plugin plain has no settings.\n"
    assert workshop.main("plugin", "config", "absent")[0] != 0
