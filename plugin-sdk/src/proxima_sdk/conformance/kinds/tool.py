"""`ToolConformance`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from proxima.contracts.tool import ToolDefinition, ToolResult
from proxima.errors import UsageError
from proxima.permissions import Permission
from proxima_sdk.conformance.contribution import ContributionChecks, json_faults, sample


class ToolConformance(ContributionChecks):
    """Subclass it in a test module, name your tool, run pytest.

    Attributes:
        tool: A tool's name among the installed plugins, or an instance, class or factory of one.
        arguments: To call it with; by default the least that its schema accepts.
    """

    kind = "tools"
    tool: ClassVar[Any] = None
    arguments: ClassVar[Mapping[str, Any] | None] = None

    @property
    def _definition(self) -> ToolDefinition:
        return self.asked("definition()", self.subject.definition)  # type: ignore[no-any-return]

    @property
    def _arguments(self) -> dict[str, Any]:
        given = (
            self.arguments if self.arguments is not None else sample({**self._definition.parameters, "type": "object"})
        )
        return dict(given)

    def test_definition(self) -> None:
        """Name, description and schema, such as models and menus can take; the same each time."""
        found = self.crosses("definition()", self._definition, ToolDefinition)
        if found.name != self.subject.name or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", found.name):
            self.fails(
                "definition().name",
                expected=f"{self.subject.name!r}, of at most 64 letters, digits, _ and -",
                got=repr(found.name),
                convention="models are told the name, and their interfaces allow no other letters",
            )
        if len(found.description.split()) < 3:
            self.fails(
                "definition().description",
                expected="a sentence that says what the tool does and when to use it",
                got=repr(found.description),
                cause="the class has neither a description nor a docstring",
            )
        if self._definition != found:
            self.fails("definition(), twice", expected=found, got=self._definition)

    def test_parameters(self) -> None:
        """A JSON Schema of type ``object``, whose required names exist."""
        import jsonschema

        schema = dict(self._definition.parameters)
        if fault := json_faults(schema):
            self.fails("definition().parameters", expected="what JSON can hold", got=fault)
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            self.fails("definition().parameters", expected="a JSON Schema", got=error.message)
        if schema.get("type") != "object":
            self.fails("definition().parameters", expected='"type": "object"', got=repr(schema.get("type")))
        lost = sorted(set(schema.get("required", ())) - set(schema.get("properties", {})))
        if lost:
            self.fails("definition().parameters", expected=f"{lost[0]!r} among its properties", got=list(schema))
        validator = jsonschema.Draft202012Validator(schema)
        for wrong in validator.iter_errors(self._arguments):
            self.fails(
                "the arguments that it is tested with",
                expected="what its schema accepts",
                got=wrong.message,
                cause="give the test class its arguments",
            )

    def test_permissions(self) -> None:
        """In the grammar, and among those that the manifest declares."""
        for text in self._definition.permissions:
            try:
                Permission.parse(text)
            except UsageError as error:
                self.fails("definition().permissions", expected="permissions of the grammar", got=str(error))
            declared = self._declared_permissions()
            if declared is not None and text.partition(":")[0] not in {p.partition(":")[0] for p in declared}:
                self.fails(
                    "definition().permissions",
                    expected=f"permissions that plugin.yaml declares: {', '.join(declared) or 'none'}",
                    got=text,
                    convention="what is not declared is never granted",
                )

    def _declared_permissions(self) -> tuple[str, ...] | None:
        if self.declared is None:
            return None
        from proxima_sdk.testing import session

        manifest = session.kernel().registry.get(self.declared.plugin).manifest
        return manifest.permissions if manifest else None

    def test_call(self) -> None:
        """A `ToolResult` with text, which is not a failure."""
        result = self.asked("call()", lambda: self.subject.call(self._arguments))
        self.crosses("the result of call()", result, ToolResult)
        if result.failed:
            self.fails(
                f"call({self._arguments})",
                expected="a result that has not failed",
                got=result.text,
                cause="give the test class arguments that it can work with",
            )
        if not result.text.strip():
            self.fails(
                f"call({self._arguments})",
                expected="text that says what came out",
                got=repr(result.text),
                convention="a model reads the text; data is for programs",
            )

    def test_data_is_json(self) -> None:
        """What a program gets can be stored and shown."""
        result = self.asked("call()", lambda: self.subject.call(self._arguments))
        if fault := json_faults(result.data):
            self.fails(
                "the data of call()",
                expected="what JSON can hold",
                got=fault,
                cause="an array or an object is in it: use tolist(), or a mapping",
            )

    def test_arguments_are_left_as_they_were(self) -> None:
        """The mapping belongs to the caller."""
        self.unchanged("call()", self._arguments, lambda given: self.asked("call()", lambda: self.subject.call(given)))
