"""From what the user named to a version that nobody uses yet: resolved, locked, fetched, unpacked and linked."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from proxima.errors import UsageError
from proxima.paths import Paths
from proxima.plugins.manifest import Manifest
from proxima.plugins.scan import FoundPlugin
from proxima.storage import storage_error
from proxima.store.addresses import file_address
from proxima.store.building import build_wheel
from proxima.store.errors import StoreError
from proxima.store.fetch import Fetcher
from proxima.store.job import Job
from proxima.store.layout import Layout
from proxima.store.provided import provided_versions, provided_wheels
from proxima.store.pylock import Pinned, digest, normalised, pylock_text
from proxima.store.resolve import resolver
from proxima.store.resolve.answers import Answers, question
from proxima.store.resolve.resolver import Index, Request
from proxima.store.sources import Source
from proxima.store.versions import is_kept

# What reads wheels is imported when the resolver is already at work.
if TYPE_CHECKING:
    from proxima.store.trees import Assembly


class Closure(NamedTuple):
    """A plugin's wheel and those it depends on, as they are to be.

    Attributes:
        own: The plugin's.
        pins: All of them, its own among them, by name.
        question: To which a resolver answered this, as `Answers` has it.
    """

    own: Pinned
    pins: tuple[Pinned, ...]
    question: str = ""

    def is_like(self, other: Closure) -> bool:
        """Whether a version made of these is one made of those; what an address tells in secret does not count."""
        return self.own.name == other.own.name and pylock_text(self.pins) == pylock_text(other.pins)

    def directory(self, trusted: bool) -> str:
        """The name of the directory of a version that is made of these; empty while a hash is not known."""
        if not all(pin.sha256 for pin in self.pins):
            return ""
        return f"{self.own.version}-{digest(self.pins)[:12]}" + ("-trusted" if trusted else "")


class Prepared(NamedTuple):
    """A version that is ready to be tried and put in place.

    Attributes:
        found: As discovery will find it.
        directory: The name that its directory will have.
        work: Where it lies now; empty where it is among the kept versions already.
        site: Its import root; what it depends on lies there too, or is linked beside it.
        source: What it is made from.
        assembly: Makes what is imported.
        changelog: The plugin's own account of its changes, where it has one.
    """

    found: FoundPlugin
    manifest: Manifest
    directory: str
    work: str
    site: str
    source: Source
    pins: tuple[Pinned, ...]
    assembly: Assembly
    changelog: str = ""

    def discard(self) -> None:
        """Removes it, where it was not put in place."""
        self.assembly.discard()
        if self.work:
            shutil.rmtree(self.work, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Workbench:
    """What versions are made with.

    Attributes:
        cache: Proxima's cache directory.
        index: Where wheels are looked for.
        driver: The resolver, by name; the first that is here where it is empty.
    """

    layout: Layout
    cache: str
    index: Index = field(default_factory=Index)
    driver: str = ""
    max_wheel_bytes: int = 4 << 30

    def resolve(
        self,
        source: Source,
        job: Job,
        *,
        version: str | None = None,
        trusted: bool = False,
        room: str | None = None,
        ahead: Callable[[Closure | None], object] = lambda expected: None,
    ) -> Closure:
        """What the source stands for, and what it depends on.

        Args:
            source: As the user named it.
            job: How long it may take.
            version: Only this one.
            trusted: Other than in a worker, the distributions of the environment come first.
            room: Where tools may leave files; the system's own directory for such by default.
            ahead: Called while the resolver is at work, with what was made of the last answer to the same question,
                which is probably the answer again; with ``None`` where there is none.

        Raises:
            ConflictError: No versions fit together.
            NotFoundError: There is no such distribution, or no such version.
            UsageError: What is to be the version is none, or a wheel is not called as wheels are.
            WheelError: The plugin's own wheel is refused.
        """
        job.step("resolve")
        job.progress(None, f"resolving {source}")
        own, found = "", None
        if source.kind == "index":
            wanted = replace(source, specifier=f"=={version}") if version else source
            requirement, name = str(wanted), normalised(source.text.partition("[")[0])
        else:
            found, own = self._own(source, job, room)
            found = replace(found, url=file_address(own))
            requirement, name = f"{found.name} @ {found.url}", found.name
        provided = provided_versions(self.layout.root, trusted=trusted)
        provided.pop(name, None)
        wheels = provided_wheels(provided, os.path.join(self.cache, "provided"))
        request, asked = Request([requirement], wheels, self.index, job, room), ""

        def meanwhile() -> None:
            nonlocal asked
            asked = question(request, _checked(own, source, version) if own else [requirement])
            last = self._answers.last(asked)
            if last is not None and found is not None:
                last = [*(pin for pin in last if pin.name != name), found]
            ahead(_closure(last, name, asked) if last and any(pin.name == name for pin in last) else None)

        return _closure(resolver(self.driver).resolve(replace(request, meanwhile=meanwhile)), name, asked)

    def remember(self, closure: Closure, source: Source) -> None:
        """Keeps an answer of which a version could be made; what was given as a file is no part of it."""
        if closure.question:
            own = closure.own if source.kind != "index" else None
            self._answers.keep(closure.question, [pin for pin in closure.pins if pin is not own])

    def locate(self, pins: Sequence[Pinned], distribution: str, job: Job) -> Closure:
        """A closure of wheels that are known; what is at its address no more is looked for on the index.

        Raises:
            NotFoundError: It is not there either.
            FetchError: What is there is another file.
        """
        job.step("resolve")
        lost = [pin for pin in pins if pin.path and not os.path.exists(pin.path) and not self._fetcher.has(pin)]
        if lost:
            wanted = [f"{pin.name}=={pin.version}" for pin in pins]
            found = {pin.name: pin for pin in resolver(self.driver).resolve(Request(wanted, {}, self.index, job))}
            pins = [replace(pin, url=found[pin.name].url) if pin in lost else pin for pin in pins]
        return _closure(pins, distribution)

    def has(self, closure: Closure) -> bool:
        """Whether none of its wheels has to be fetched."""
        return all(self._fetcher.has(pin) for pin in closure.pins)

    def fetch(self, closure: Closure, job: Job) -> tuple[Closure, dict[str, str]]:
        """The wheels, with their hashes where the index did not tell them, and the path of each by its hash."""
        job.step("fetch")
        fetched = self._fetcher.fetch(closure.pins, job)
        pins = [pin for pin, _ in fetched]
        return _closure(pins, closure.own.name, closure.question), {pin.sha256: path for pin, path in fetched}

    def changelog(self, closure: Closure, job: Job) -> str:
        """The plugin's own account of its changes; its wheel is fetched for that, and nothing of it is run."""
        from proxima.store.wheel import WheelFile

        with WheelFile.open(self._fetcher.fetch_one(closure.own, job)[1]) as wheel:
            return wheel.changelog

    def lay_out(
        self,
        closure: Closure,
        wheels: dict[str, str],
        source: Source,
        trusted: bool,
        room: str,
        job: Job,
        meanwhile: Callable[[Prepared], object] = lambda made: None,
    ) -> Prepared:
        """A version's directory, made under a name that nobody reads.

        Args:
            closure: With all hashes.
            wheels: The path of each wheel by its hash.
            source: For the record.
            trusted: The user lets it run in-process.
            room: The directory to make it in.
            job: How long it may take.
            meanwhile: Called while the import root is made.

        Raises:
            WheelError: A wheel is refused, or the plugin's own holds no plugin.
            StorageError: The disk is full or read-only.
        """
        from proxima.store.trees import check_hash
        from proxima.store.wheel import WheelFile

        own = wheels[closure.own.sha256]
        check_hash(closure.own, own)
        with WheelFile.open(own) as wheel:
            wheel.check()
            manifest = wheel.manifest
            if manifest is None:
                hint = "It is a library or a program; plugins have an entry point in the group proxima.plugins."
                raise StoreError(f"{wheel.name} {wheel.version} holds no plugin", hint=hint)
            ((_, target),), changelog = wheel.entry_points, wheel.changelog
        made = self._named(closure, manifest, target, changelog, source, trusted)
        job.step("unpack")
        if not self._is_kept(made):
            made = self._begun(made, closure, wheels, room, job)
        try:
            made.assembly.start()
            meanwhile(made)
            made.assembly.wait(job)
            return made
        except BaseException:
            made.discard()
            raise

    def _named(
        self, closure: Closure, manifest: Manifest, target: str, changelog: str, source: Source, trusted: bool
    ) -> Prepared:
        """The version, where it lies if it is kept already."""
        from proxima.store.trees import Assembly

        pin = closure.own
        found = FoundPlugin(manifest.id, target, pin.name, pin.version, "")
        found.origin, found.trusted = "store", trusted
        found.fits = " ".join(filter(None, (manifest.fits, _this_python(closure.pins))))
        found.kinds = " ".join(dict.fromkeys(each.kind for each in manifest.contributions))
        name = closure.directory(trusted)
        site = os.path.join(self.layout.version(manifest.id, name), "site")
        return Prepared(*(found, manifest, name, "", site, source, closure.pins), Assembly(), changelog)

    def _begun(self, made: Prepared, closure: Closure, wheels: dict[str, str], room: str, job: Job) -> Prepared:
        """The version's directory, where its import roots are to be made."""
        from proxima.store.trees import Assembly, can_be_apart, link_dependencies, shared_root, unpack_once

        work = os.path.join(room, made.directory)
        shutil.rmtree(work, ignore_errors=True)
        site = os.path.join(Paths.ensure(work), "site")
        pins = [pin for pin in closure.pins if pin != closure.own]
        own, *others = (unpack_once(self.layout, room, pin, wheels[pin.sha256], job) for pin in (closure.own, *pins))
        job.step("link")
        assembly = Assembly({site: [own, *others]})
        if others and can_be_apart(own, others):
            shared = shared_root(self.layout, room, pins, others)
            with suppress(OSError):  # without such a link all lies in one directory
                link_dependencies(work, shared.work)
                assembly = Assembly({site: [own], shared.work: others} if shared.new else {site: [own]}, shared, work)
        made = made._replace(work=work, site=site, assembly=assembly)
        _write_facts(made)
        return made

    def stands(self, made: Prepared) -> bool:
        """Whether a version can be put in place as it was made: no other transaction has made or removed the same."""
        return self._is_kept(made) != bool(made.work)

    def _is_kept(self, made: Prepared) -> bool:
        return is_kept(self.layout, made.found.id, made.directory)

    @property
    def _answers(self) -> Answers:
        return Answers(os.path.join(self.cache, "answers"))

    @property
    def _fetcher(self) -> Fetcher:
        indexes = (self.index.url, *self.index.extra_urls)
        return Fetcher(self.layout.downloads, indexes, self.max_wheel_bytes)

    def _own(self, source: Source, job: Job, room: str | None) -> tuple[Pinned, str]:
        """The plugin's wheel, and where it lies in the cache, whatever becomes of where it came from."""
        if source.kind != "project":
            return self._fetcher.fetch_one(source.pin, job)
        with tempfile.TemporaryDirectory(prefix="proxima-build-", dir=room) as directory:
            built = Source("wheel", build_wheel(source.text, directory, self.index, job))
            return self._fetcher.fetch_one(built.pin, job)


def _checked(path: str, source: Source, version: str | None) -> list[str]:
    """What a plugin's own wheel requires, which nothing keeps out."""
    from proxima.store.wheel import WheelFile

    with WheelFile.open(path) as wheel:
        wheel.check()
        if version not in (None, wheel.version):
            raise UsageError(f"{source} is version {wheel.version}, not {version}")
        return [str(each) for each in wheel.requires]


def _closure(pins: Sequence[Pinned], distribution: str, question: str = "") -> Closure:
    for pin in pins:
        if pin.name == distribution:
            return Closure(pin, tuple(sorted(pins, key=lambda pin: pin.name)), question)
    raise StoreError(f"{distribution} itself is not among the wheels that it is to be made of")


def _write_facts(prepared: Prepared) -> None:
    """``pylock.toml`` and ``install.json``: what the version is made of, and what it was made from."""
    found = prepared.found
    facts = {
        "plugin": found.id,
        "distribution": found.distribution,
        "version": found.version,
        "target": found.target,
        "fits": found.fits,
        "kinds": found.kinds,
        "trusted": found.trusted,
        "time": time.time(),
        "source": asdict(prepared.source),
        "permissions": list(prepared.manifest.permissions),
        "changelog": prepared.changelog,
    }
    texts = {"pylock.toml": pylock_text(prepared.pins), "install.json": json.dumps(facts, indent=1)}
    for name, text in texts.items():
        path = os.path.join(prepared.work, name)
        try:
            # An address keeps its password here and nowhere else.
            with open(path, "x", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(text)
        except OSError as error:
            raise storage_error("write", path, error) from error


def _this_python(pins: Sequence[Pinned]) -> str:
    """What the wheels need of Python beyond what they say: one that is compiled for one version runs in no other."""
    for pin in pins:
        abis = pin.file_name.removesuffix(".whl").rpartition("-")[0].rpartition("-")[2].split(".")
        if not {"none", "abi3"}.intersection(abis):
            return f"python=={sys.version_info[0]}.{sys.version_info[1]}.*"
    return ""
