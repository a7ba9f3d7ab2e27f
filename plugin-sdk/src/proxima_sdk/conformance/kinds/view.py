"""`ViewConformance`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from proxima.contracts.view import Action, Form, Group, Part, Plot
from proxima.errors import UsageError
from proxima_sdk.conformance.contribution import ContributionChecks, sample

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class ViewConformance(ContributionChecks):
    """Subclass it in a test module, name your view, run pytest.

    Attributes:
        view: A view's name among the installed plugins, or an instance, class or factory of one.
        values: To submit to its forms, by action; by default the form's own values, else the least that its schema
            accepts.
    """

    kind = "views"
    view: ClassVar[Any] = None
    values: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def _shown(self) -> Group:
        group: Group = self.crosses("show()", self.asked("show()", self.subject.show), Group)
        return group

    def _parts(self) -> Iterator[Part]:
        waiting: list[Part] = [self._shown()]
        while waiting:
            part = waiting.pop(0)
            yield part
            waiting += part.parts if isinstance(part, Group) else ()

    def _actions(self) -> dict[str, Mapping[str, Any]]:
        """Every action with values that may be submitted with it."""
        actions: dict[str, Mapping[str, Any]] = {}
        for part in self._parts():
            if isinstance(part, Action):
                actions[part.name] = self.values.get(part.name, {})
            elif isinstance(part, Form):
                least = sample({**part.schema, "type": "object"})
                actions[part.action] = self.values.get(part.action, {**least, **part.values})
        return actions

    def test_show(self) -> None:
        """A group of parts of the contract's types, with something in it."""
        if not self._shown().parts:
            self.fails("show()", expected="at least one part", got="an empty group")

    def test_texts_are_plain(self) -> None:
        """No control characters: the host shows them as they are not meant."""
        for part in self._parts():
            if found := _CONTROL.search(repr_of(part)):
                self.fails(
                    f"a {type(part).__name__} of show()",
                    expected="plain text",
                    got=f"the control character {found.group()!r}",
                    convention="a view is data; colours and cursor movements are the host's",
                )

    def test_plots(self) -> None:
        """Lines or bars, with one y for each x."""
        for part in self._parts():
            if not isinstance(part, Plot):
                continue
            if part.kind not in ("line", "bar"):
                self.fails("a plot of show()", expected="kind 'line' or 'bar'", got=repr(part.kind))
            for label, series in part.series.items():
                if len(series) != len(part.x):
                    self.fails(f"the series {label!r}", expected=f"{len(part.x)} values", got=len(series))

    def test_forms(self) -> None:
        """A JSON Schema of type ``object`` that accepts the values that are filled in."""
        import jsonschema

        for part in self._parts():
            if not isinstance(part, Form):
                continue
            try:
                jsonschema.Draft202012Validator.check_schema(dict(part.schema))
            except jsonschema.SchemaError as error:
                self.fails(f"the form {part.action!r}", expected="a JSON Schema", got=error.message)
            if part.schema.get("type") != "object":
                self.fails(f"the form {part.action!r}", expected='"type": "object"', got=part.schema.get("type"))
            fields = part.schema.get("properties", {})
            for name, value in part.values.items():
                if name not in fields:
                    self.fails(f"the form {part.action!r}", expected=f"a field {name!r}", got=sorted(fields))
                for fault in jsonschema.Draft202012Validator(fields[name]).iter_errors(value):
                    self.fails(f"the form {part.action!r}, {name}", expected="a right value", got=fault.message)

    def test_actions(self) -> None:
        """Each button and form does something that is then shown."""
        actions = self._actions()
        if not actions:
            pytest.skip(f"{self.about()[1]} has no button and no form")
        for action, values in actions.items():
            what = f"act({action!r}, {dict(values)})"
            group = self.asked(what, lambda action=action, values=values: self.subject.act(action, dict(values)))  # type: ignore[misc]
            self.crosses(what, group, Group)

    def test_unknown_action_is_refused(self) -> None:
        """`UsageError` that names it."""
        self.refused(
            "act() with an action that it does not have",
            lambda: self.subject.act("no-such-action", {}),
            (UsageError,),
            naming="no-such-action",
            cause="every name does what the last branch does",
        )


def repr_of(part: Part) -> str:
    """All text of a part, without that of the parts in it."""
    if isinstance(part, Group):
        return part.title
    return " ".join(_texts([getattr(part, name) for name in type(part).__dataclass_fields__]))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts([key, item])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
