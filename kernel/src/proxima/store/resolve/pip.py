"""pip: its report of what it would install."""

from __future__ import annotations

import json
import re
import sys
from importlib.util import find_spec

from proxima.errors import ProximaError
from proxima.store.errors import StoreError
from proxima.store.pylock import Pinned, normal_version, normalised
from proxima.store.resolve import childless
from proxima.store.resolve.resolver import Request, Resolver, by_address, conflict, failed, not_found


class Pip(Resolver):
    """``pip install --dry-run --report``."""

    name = "pip"

    @staticmethod
    def find() -> tuple[str, ...]:
        """This interpreter's pip, which may start no program: ``--only-binary`` does not hold for addresses."""
        return (sys.executable, "-P", childless.__file__, "pip") if find_spec("pip") else ()

    def resolve(self, request: Request) -> list[Pinned]:
        """See `Resolver.resolve`."""
        out, _ = self.run(
            request,
            *("install", "--dry-run", "--ignore-installed", "--report", "report.json", "--only-binary", ":all:"),
            *("--disable-pip-version-check", "--requirement", "requirements.in", "--constraint", "constraints.txt"),
            *request.index.options(),
            inputs={"requirements.in": "\n".join(request.requirements), "constraints.txt": request.constraints()},
            keep="report.json",
        )
        try:
            return request.closure([_pinned(each) for each in json.loads(out)["install"]])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"pip answered something that makes no sense: {error}") from error

    def explain(self, said: str) -> ProximaError:
        """See `Resolver.explain`."""
        return explained("pip", said)


def explained(tool: str, said: str) -> ProximaError:
    """What pip's own words mean, whichever tool it ran in."""
    if childless.REFUSED in said:
        asked = re.findall(r"^(?:Collecting|Processing) (.+?) \(from (.+?)(?:->.*)?\)$", said, re.MULTILINE)
        return by_address(*asked[-1]) if asked else failed(tool, said)
    if missing := re.search(r"Could not find a version that satisfies the requirement (.*)", said):
        return not_found(missing.group(1).strip())
    if "ResolutionImpossible" in said or "conflicting dependencies" in said:
        block = re.search(r"The conflict is caused by:\n(.*?)(?:\n\s*\n|\nTo fix|\nAdditionally|\Z)", said, re.DOTALL)
        text = block.group(1) if block else "\n".join(re.findall(r"(?:ERROR|CRITICAL): (.*)", said)[:5])
        text = re.sub(r"The user requested \(constraint\) (\S+)", r"Proxima brings its own \1", text)
        return conflict("; ".join(line.strip() for line in text.splitlines() if line.strip()))
    return failed(tool, said)


def _pinned(item: dict[str, dict[str, object]]) -> Pinned:
    metadata, download = item["metadata"], item["download_info"]
    hashes = download["archive_info"].get("hashes", {})  # type: ignore[attr-defined]
    url = str(download["url"])
    if not url.partition("#")[0].endswith(".whl"):
        raise ValueError(f"{metadata['name']} is no wheel")
    name, version = normalised(str(metadata["name"])), normal_version(str(metadata["version"]))
    return Pinned(name, version, url, hashes.get("sha256", ""))
