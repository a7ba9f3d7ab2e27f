"""The manifest's model: what an author may write in ``plugin.yaml``, and the source of the published JSON Schema."""

from __future__ import annotations

import json
import keyword
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator

from proxima.errors import ManifestError, UsageError
from proxima.plugins.compatibility import KERNEL_API
from proxima.plugins.manifest import FORMAT, KINDS

PluginType = Literal[
    "backend",
    "algorithm",
    "visualization",
    "tool",
    "agent",
    "ui",
    "format",
    "codegen",
    "view",
    "screen",
    "theme",
    "command",
    "service",
    "llm_provider",
    "mcp_server",
]


def _version(text: str) -> str:
    from packaging.version import InvalidVersion, Version

    try:
        Version(text)
    except InvalidVersion:
        raise ValueError(f"expected a version such as 1.2.0, got {text!r}") from None
    return text


def _specifier(text: str) -> str:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifiers = list(SpecifierSet(text))
    except InvalidSpecifier:
        raise ValueError(f'expected a version range such as ">=1.0,<2", got {text!r}') from None
    for specifier in specifiers:
        if specifier.operator == "===":
            raise ValueError(f"=== compares text, not versions; write == in {text!r}")
        if re.fullmatch(r"[0-9]+(\.[0-9]+)*(\.\*)?", specifier.version) is None:
            raise ValueError(f"expected numbers only, such as 1.4, got {specifier.version!r} in {text!r}")
    return text


def _comparisons(subject: str, text: str) -> list[str]:
    """A version range as plain comparisons: ``~=1.4.2`` is ``>=1.4.2`` and ``==1.4.*``."""
    from packaging.specifiers import SpecifierSet

    needs = []
    for specifier in sorted(SpecifierSet(text), key=str):
        if specifier.operator == "~=":
            needs += [f"{subject}>={specifier.version}", f"{subject}=={specifier.version.rpartition('.')[0]}.*"]
        else:
            needs.append(f"{subject}{specifier.operator}{specifier.version}")
    return needs


def _requirement(text: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(text)
    except InvalidRequirement:
        raise ValueError(f'expected a requirement such as "numpy>=1.21", got {text!r}') from None
    return text


def _class_path(text: str) -> str:
    parts = text.split(".")
    if len(parts) < 2 or not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
        raise ValueError(f'expected "package.module.Class", got {text!r}')
    return text


def _permission(text: str) -> str:
    from proxima.permissions.grammar import Permission

    try:
        return str(Permission.parse(text))
    except UsageError as error:
        raise ValueError(str(error)) from None


def _kernel_api(text: str) -> str:
    match = re.fullmatch(_KERNEL_API, text)
    if match is None or not int(match[1]) <= int(match[2] or match[1]):
        raise ValueError(f'expected a number such as "1" or a range such as "1-2", got {text!r}')
    return text


_KERNEL_API = r"^([1-9][0-9]{0,5})(?:-([1-9][0-9]{0,5}))?$"


Version = Annotated[str, AfterValidator(_version)]
Specifier = Annotated[str, AfterValidator(_specifier)]
Requirement = Annotated[str, AfterValidator(_requirement)]
ClassPath = Annotated[
    str, AfterValidator(_class_path), WithJsonSchema({"type": "string", "pattern": r"^[^\W\d]\w*(\.[^\W\d]\w*)+$"})
]
PermissionText = Annotated[str, AfterValidator(_permission)]
KernelApi = Annotated[str, AfterValidator(_kernel_api), WithJsonSchema({"type": "string", "pattern": _KERNEL_API})]
PluginName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class ContributionModel(BaseModel):
    """One contribution; what else its kind takes, such as a backend's capabilities, stands beside these."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    name: Annotated[str, Field(min_length=1, max_length=64, description="how users name it; unique within its kind")]
    target: Annotated[ClassPath, Field(alias="class", description="package.module.Class of the object")]
    description: Annotated[str, Field(description="one line, for lists")] = ""


class CapabilitiesModel(BaseModel):
    """What a backend can do, as data: selection reads it without importing the plugin."""

    model_config = ConfigDict(extra="forbid")

    methods: Annotated[list[str], Field(min_length=1, description="ways to compute, named as in `--method`")]
    wants: Annotated[
        list[Literal["counts", "samples", "probabilities", "statevector", "density_matrix", "expectation", "gradient"]],
        Field(min_length=1, description="what it can return"),
    ]
    precisions: Annotated[
        list[Literal["single", "double"]],
        Field(min_length=1, description="in which it computes"),
    ]
    noise: Annotated[bool, Field(description="whether it runs noise channels")]
    dynamic: Annotated[bool, Field(description="conditions, reset and measurement in the middle of a circuit")]
    operations: Annotated[
        Literal["all"] | list[str],
        Field(description="what it runs whatever the parameters; measure need not be named; all: every operation"),
    ] = "all"
    restricted_operations: Annotated[
        list[str],
        Field(description="what else it runs, at some parameters or matrices only; its estimate says whether it can"),
    ] = Field(default_factory=list)
    seeded: Annotated[bool, Field(description="the same seed gives the same counts; false: it takes no seeds")] = True
    noisy_device: Annotated[
        bool, Field(description="a machine whose own errors are in every result, as in one that is no simulator")
    ] = False
    max_qubits: Annotated[
        int | None, Field(ge=1, description="the engine's own limit; none where memory is the only one")
    ] = None
    import_seconds: Annotated[float, Field(ge=0, description="what importing the engine costs a fresh process")] = 0.0
    rates: Annotated[
        dict[str, Annotated[float, Field(ge=0)]],
        Field(description="default seconds per unit of the work that the backend's estimates are given in"),
    ] = Field(default_factory=dict)
    translation_seconds: Annotated[
        float | None, Field(ge=0, description="of these, what translating one operation costs; shown, not added")
    ] = None


class BackendModel(ContributionModel):
    """A backend."""

    capabilities: Annotated[
        CapabilitiesModel | None, Field(description="what it can do; without them it is asked about every circuit")
    ] = None


class ServiceModel(ContributionModel):
    """A service, found by the contract it fulfils."""

    contract: Annotated[ClassPath, Field(description="package.module.Class of the contract")]


class FormatModel(ContributionModel):
    """A circuit file format."""

    extensions: Annotated[
        list[Annotated[str, Field(pattern=r"^\.[A-Za-z0-9]+$")]], Field(description='file endings, such as ".qasm"')
    ] = Field(default_factory=list)


class EntryPointsModel(_Strict):
    """What the plugin contributes, by kind."""

    backends: list[BackendModel] = Field(default_factory=list, description="simulators and devices")
    formats: list[FormatModel] = Field(default_factory=list, description="circuit files")
    algorithms: list[ContributionModel] = Field(default_factory=list, description="what runs circuits many times")
    visualizations: list[ContributionModel] = Field(
        default_factory=list, description="pictures of results and circuits"
    )
    codegens: list[ContributionModel] = Field(default_factory=list, description="writers of circuits as source code")
    tools: list[ContributionModel] = Field(default_factory=list, description="functions that a user or an agent calls")
    agents: list[ContributionModel] = Field(default_factory=list, description="who reaches a goal by calling tools")
    llm_providers: list[ContributionModel] = Field(default_factory=list, description="language models")
    mcp_servers: list[ContributionModel] = Field(default_factory=list, description="Model Context Protocol servers")
    commands: list[ContributionModel] = Field(default_factory=list, description="subcommands of `proxima`")
    screens: list[ContributionModel] = Field(default_factory=list, description="terminal screens")
    views: list[ContributionModel] = Field(default_factory=list, description="views as data, drawn by the host")
    themes: list[ContributionModel] = Field(default_factory=list, description="colours")
    services: list[ServiceModel] = Field(default_factory=list, description="what other plugins ask the kernel for")

    @model_validator(mode="after")
    def _names_are_unique(self) -> EntryPointsModel:
        for kind in KINDS:
            names = [entry.name for entry in getattr(self, kind)]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{kind}: the name {twice[0]!r} occurs twice")
        return self


class DependenciesModel(_Strict):
    """What the plugin needs: Python requirements, and system parts that are checked but never installed."""

    python: Annotated[
        list[Requirement],
        Field(description='such as "numpy>=2", the same as in pyproject.toml; `proxima-kernel` only there'),
    ] = Field(default_factory=list)
    system: Annotated[
        list[str], Field(description="programs on PATH and shared libraries; the user is told which are missing")
    ] = Field(default_factory=list)


class PriceModel(_Strict):
    """A paid plugin's price."""

    amount: Annotated[float, Field(gt=0, description="in units of the currency")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="its ISO 4217 code")] = "USD"


class MarketplaceModel(_Strict):
    """For a marketplace to present the plugin by; nothing in this version reads it."""

    price: Annotated[Literal["free"] | PriceModel, Field(description="`free`, or an amount")] = "free"
    featured: Annotated[bool, Field(description="whether it asks to be shown first")] = False
    mature_rating: Annotated[bool, Field(description="whether it is for adults only")] = False
    support_url: Annotated[str, Field(description="where users ask for help")] = ""
    documentation_url: Annotated[str, Field(description="where its pages are")] = ""


class LimitsModel(_Strict):
    """What the plugin may use up in its worker: never more than the host's maximum, which is what holds without one."""

    memory_bytes: Annotated[int | None, Field(ge=1, description="address space")] = None
    cpu_seconds: Annotated[int | None, Field(ge=1, description="processor time of all threads together")] = None
    wall_seconds: Annotated[float | None, Field(gt=0, description="time of one call")] = None
    open_files: Annotated[int | None, Field(ge=1, description="files, pipes and connections open at once")] = None
    file_bytes: Annotated[int | None, Field(ge=1, description="size of one file")] = None
    scratch_bytes: Annotated[int | None, Field(ge=1, description="size of the private directory")] = None
    processes: Annotated[int | None, Field(ge=0, description="processes beside its own; threads are none")] = None


class ManifestModel(_Strict):
    """``plugin.yaml``."""

    name: Annotated[PluginName, Field(description="its id: lower-case words joined by hyphens")]
    version: Annotated[Version, Field(description="as PEP 440 has it, the same as in pyproject.toml")]
    display_name: Annotated[str, Field(description="what users read; the id where it is empty")] = ""
    description: Annotated[str, Field(min_length=1, max_length=500, description="what it is, in a sentence")]
    author: Annotated[str, Field(description="whom users see behind it")] = ""
    email: Annotated[str, Field(description="the author's")] = ""
    website: Annotated[str, Field(description="the project's, shown by `plugin info`")] = ""
    license: Annotated[str, Field(min_length=1, description="an SPDX expression, e.g. MIT")]
    kernel_api: Annotated[KernelApi, Field(description='the kernel API it is made for, "1" or a range "1-2"')] = str(
        KERNEL_API
    )
    proxima_version: Annotated[
        Specifier, Field(description='which versions of Proxima, such as ">=0.1"; rarely needed beside `kernel_api`')
    ] = ""
    python_version: Annotated[
        Specifier, Field(description='which versions of Python, such as ">=3.11": what `requires-python` says')
    ] = ""
    type: Annotated[PluginType, Field(description="what it mainly is; what it contributes stands in `entry_points`")]
    category: Annotated[str, Field(description="a word to sort by, such as simulator")] = ""
    tags: Annotated[list[str], Field(description="words to be found by")] = Field(default_factory=list)
    entry_points: Annotated[EntryPointsModel, Field(description="what it contributes")] = Field(
        default_factory=EntryPointsModel
    )
    dependencies: Annotated[DependenciesModel, Field(description="what it needs")] = Field(
        default_factory=DependenciesModel
    )
    permissions: Annotated[
        list[PermissionText],
        Field(description="all that it may ever be granted"),
    ] = Field(default_factory=list)
    isolation: Annotated[
        Literal["in-process", "worker"] | None,
        Field(
            description="`worker`: never in Proxima's own process, unless the user says so; `in-process` grants nothing"
        ),
    ] = None
    limits: Annotated[LimitsModel | None, Field(description="what it may use up in its worker")] = None
    config_schema: Annotated[
        dict[str, dict[str, Any]],
        Field(description="its settings: each name with a JSON Schema, its `default` and `description` included"),
    ] = Field(default_factory=dict)
    marketplace: Annotated[MarketplaceModel, Field(description="for a marketplace")] = Field(
        default_factory=MarketplaceModel
    )

    @model_validator(mode="after")
    def _config_schema_is_json_schema(self) -> ManifestModel:
        import jsonschema
        import referencing
        import referencing.exceptions

        for name, schema in self.config_schema.items():
            try:
                jsonschema.Draft202012Validator.check_schema(schema)
                if "default" in schema:  # an empty registry, so that no $ref is fetched
                    jsonschema.Draft202012Validator(schema, registry=referencing.Registry()).validate(schema["default"])
            except (jsonschema.SchemaError, jsonschema.ValidationError) as error:
                raise ValueError(f"config_schema.{name}: {error.message}") from None
            except referencing.exceptions.Unresolvable as error:
                raise ValueError(f"config_schema.{name}: cannot resolve {error.ref!r}") from None
        return self

    def compiled(self) -> dict[str, Any]:
        """The manifest as it is written to ``proxima-plugin.json``, every field present."""
        data = self.model_dump(mode="json", by_alias=True)
        data["display_name"] = self.display_name or self.name
        data["entry_points"] = {kind: entries for kind, entries in data["entry_points"].items() if entries}
        return {"format": FORMAT, "fits": self._fits(), "kinds": " ".join(data["entry_points"]), **data}

    def _fits(self) -> str:
        low, _, high = self.kernel_api.partition("-")
        needs = [f"kernel-api>={low}", f"kernel-api<={high or low}"]
        needs += _comparisons("python", self.python_version) + _comparisons("proxima", self.proxima_version)
        return " ".join(needs)


def check_manifest(data: Any, *, source: str) -> ManifestModel:
    """The model of a manifest.

    Raises:
        ManifestError: Each wrong field, up to 20, on a line of its own: its path, what was expected, what was found.
    """
    if not isinstance(data, dict):
        raise ManifestError(f"{source}: expected a mapping of fields, got {type(data).__name__}")
    try:
        model = ManifestModel.model_validate(data)
        json.dumps(data, allow_nan=False)
    except ValidationError as error:
        lines = [f"{source}: {_path(e['loc'])}: {_expected(e)}" for e in error.errors()[:20]]
        raise ManifestError("\n".join(lines)) from None
    except (TypeError, ValueError) as error:  # a date, bytes, infinity
        raise ManifestError(f"{source}: JSON cannot hold it: {error}") from None
    return model


def json_schema() -> dict[str, Any]:
    """The JSON Schema of ``plugin.yaml``."""
    schema = ManifestModel.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Proxima plugin manifest"}


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".") or "the manifest"


def _expected(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return "missing; this field is required"
    if error["type"] == "extra_forbidden":
        return "there is no such field"
    if error["type"] == "value_error":
        return message
    message = message.replace("Input should be", "expected").replace(
        "String should match pattern", "expected text like"
    )
    return f"{message}, got {error['input']!r:.80}"
