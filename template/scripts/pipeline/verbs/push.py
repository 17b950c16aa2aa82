"""`push`: a package to a folder, a NuGet feed, or Octopus's built-in feed, once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from ..core.errors import PipelineError, UsageError
from ..core.events import Reporter
from ..core.manifest import Manifest
from ..core.text import readable_size
from ..edge.http import Http, shown
from ..edge.machine import Machine
from ..feeds.builtin import BuiltInFeed
from ..feeds.feed import Candidate, Feed
from ..feeds.folder import FolderFeed
from ..feeds.nuget import Source, is_v3
from ..feeds.nuget_v2 import NugetV2
from ..feeds.nuget_v3 import NugetV3
from ..feeds.publish import Rules, publish
from ..octopus.build_facts import announce
from ..octopus.client import Access, connect
from ..package.contents import Package
from ..project.project import BUILT_IN_FEED, Project

# A name or an address, and a port; an address of IPv6 in brackets.
_HOST = re.compile(r"(?:[^\s/\\@?#:\[\]]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")


@dataclass(frozen=True)
class PushOptions:
    """What the command line and the environment say of a push.

    `feed` is empty for the project's own; a folder in it is relative to the current one.
    `trust_hosts` are the hosts that may have the feed's key besides the feed's own.
    `octopus` has empty texts where nothing says which server to use.
    """

    feed: str = ""
    skip_duplicate: bool = False
    nuget_key: str = field(default="", repr=False)
    nuget_user: str = ""
    trust_hosts: tuple[str, ...] = ()
    octopus: Access = field(default_factory=lambda: Access("", ""))


@dataclass(frozen=True)
class Pushed:
    """A package that is in a feed; `sent` is False when it was there before."""

    package_id: str
    version: str
    feed: str
    sent: bool


def push(
    project: Project, package: Path, options: PushOptions, machine: Machine, reporter: Reporter
) -> Pushed:
    """Publish a package, and its build information where an Octopus server is named.

    Raises Conflict where the feed has another package under the version, PipelineError where it
    refuses this one, or this one is damaged. Build information that cannot be sent is a warning:
    the package is there.
    """
    opened = Package.open(package)
    candidate = Candidate.of(opened)
    http = Http(machine.environ, tell=reporter.line)
    with reporter.stage("push") as stage:
        feed = _feed(project, options, http, reporter)
        done = publish(feed, candidate, stage, Rules(options.skip_duplicate))
        stage.text = f"{done.text}, {readable_size(candidate.size)}"
    if done.warning:
        reporter.warn(done.warning)
    if not options.octopus.missing:
        if opened.manifest is None:
            reporter.line(f"{package.name} was not built here: no build information", verbose=True)
        else:
            _inform(opened.manifest, options.octopus, http, machine, reporter)
    return Pushed(candidate.id, candidate.version, feed.name, done.sent)


def _feed(project: Project, options: PushOptions, http: Http, reporter: Reporter) -> Feed:
    name = options.feed or project.feed
    if name == BUILT_IN_FEED:
        if options.octopus.missing:
            raise PipelineError(
                "push",
                f"not set, and Octopus's built-in feed needs it: {options.octopus.missing}",
                "Set it, or name another feed with --feed or with feed in [tool.pipeline.push].",
            )
        octopus = connect(http, options.octopus)
        return BuiltInFeed(http, octopus.api, octopus.access.headers)
    if "://" not in name:
        # A folder of pyproject.toml is the repository's; one of the command line is the shell's.
        folder = Path(name).expanduser()
        return FolderFeed(folder.resolve() if options.feed else project.root / folder)
    if not _is_web_address(name):
        raise UsageError(
            "push",
            f"{shown(name)} is no feed",
            f"It is a folder, an http or https URL, or `{BUILT_IN_FEED}`.",
        )
    if options.nuget_key and _is_readable_on_the_way(name):
        reporter.warn(f"{urlsplit(name).hostname}: the API key travels unencrypted; use https")
    trusted = (*project.trust_hosts, *options.trust_hosts)
    strange = next((host for host in trusted if not _HOST.fullmatch(host)), None)
    if strange is not None:
        raise UsageError(
            "push",
            f"{strange!r} is no host that could be trusted",
            "Write --trust-host and trust-hosts as feed.example or feed.example:8443.",
        )
    source = Source(http, name, options.nuget_key, options.nuget_user, trusted)
    return NugetV3.open(source) if is_v3(name) else NugetV2(source)


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_readable_on_the_way(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        here = ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost"
    return urlsplit(url).scheme == "http" and not here


def _inform(
    manifest: Manifest, access: Access, http: Http, machine: Machine, reporter: Reporter
) -> None:
    try:
        text = announce(connect(http, access), manifest, machine)
    except PipelineError as error:
        reporter.warn(
            f"the package is in the feed, its build information is not in Octopus: {error}"
        )
    else:
        reporter.line(f"  build information: {text}")
