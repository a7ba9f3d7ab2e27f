"""A command's name of two words is a subcommand of a group, to which several plugins may add."""

import pytest

GROUPED = """
from proxima.hookspecs import hookimpl


class Greet:
    name = "NAMED"
    summary = "Greets from NAMED"

    def configure(self, parser):
        parser.add_argument("--loud", action="store_true")

    def run(self, args, kernel):
        print(f"{args.command} {args.subcommand} {args.loud}")
        return 0


class Plugin:
    @hookimpl
    def proxima_commands(self):
        return [Greet()]


plugin = Plugin()
"""


def add(workshop, plugin, command, **fields):
    target = f"{workshop.package(plugin)}.Greet"
    entry = {"name": command, "class": target, "description": f"Greets from {command}"}
    code = GROUPED.replace("NAMED", command)
    workshop.lay_out(plugin, code, entry_points={"commands": [entry]}, **fields)


def test_two_plugins_add_to_one_group_and_only_the_named_one_is_imported(workshop):
    add(workshop, "milk", "pour cold-milk")
    add(workshop, "tea", "pour tea")
    assert workshop.main("pour", "tea", "--loud") == (0, "pour tea True\n", "")
    assert workshop.imported() == ["tea"]


def test_the_help_of_a_group_lists_its_subcommands_and_imports_none(workshop):
    add(workshop, "milk", "pour cold-milk")
    add(workshop, "tea", "pour tea")
    done = workshop.proxima("pour", "--help")
    assert done.returncode == 0
    assert "Greets from pour cold-milk" in done.stdout
    assert "Greets from pour tea" in done.stdout
    assert "subcommands: cold-milk, tea" in workshop.main()[1]
    assert workshop.imported() == []


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["pour"], "the following arguments are required: SUBCOMMAND", "see `proxima pour --help`"),
        (["pour", "tae"], "invalid choice: 'tae'", "did you mean tea?"),
        (["pour", "tea", "--quiet"], "unrecognized arguments: --quiet", "see `proxima --help`"),
        (["pourr"], "invalid choice: 'pourr'", "did you mean pour?"),
    ],
)
def test_wrong_usage_of_a_group_is_named(workshop, words, message, hint):
    add(workshop, "tea", "pour tea")
    code, out, err = workshop.main(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert hint in err


def test_a_subcommand_whose_plugin_is_off_says_so(workshop):
    add(workshop, "tea", "pour tea")
    add(workshop, "milk", "pour milk")
    workshop.main("plugin", "disable", "tea")
    code, _, err = workshop.main("pour", "tea")
    assert code == 3
    assert "plugin tea is disabled" in err


@pytest.mark.parametrize("name", ["pour tea now", "pour  tea", "pour -x", " tea"])
def test_what_is_not_one_or_two_words_is_no_command(workshop, name):
    add(workshop, "tea", name)
    code, out, _ = workshop.main()
    assert code == 2
    assert "tea" not in out


def test_of_a_word_and_a_group_of_that_name_the_first_plugins_stands(workshop):
    add(workshop, "milk", "pour")
    add(workshop, "tea", "pour tea")
    names = sorted(c.name for c in workshop.kernel().contributions("commands"))
    assert names == ["pour", "pour tea"]
    assert "[--loud]" in workshop.proxima("pour", "--help").stdout
