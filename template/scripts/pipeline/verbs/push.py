"""`push`: a package to a folder, a NuGet feed, or Octopus's built-in feed, once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ..core.errors import PipelineError, UsageError
from ..core.events import Reporter
from ..core.text import readable_size
from ..edge.http import Http
from ..edge.urls import origin, plain_http_host, without_user
from ..feeds.builtin import BuiltInFeed
from ..feeds.feed import Feed
from ..feeds.folder import FolderFeed
from ..feeds.nuget import Source, nuget_feed
from ..feeds.publish import publish
from ..octopus.build_information import send_build_information
from ..octopus.client import Access, Octopus, connect
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
    project: Project,
    package: Path,
    options: PushOptions,
    environ: Mapping[str, str],
    reporter: Reporter,
    octopus: Octopus | None = None,
) -> Pushed:
    """Publish a package, and its build information where an Octopus server is named.

    `octopus` is a connection that is there already, to the space that the options name.
    Raises Conflict where the feed has another package under the version, PipelineError where it
    refuses this one, or this one is damaged. Build information that cannot be sent is a warning:
    the package is there.
    """
    opened = Package.open(package)
    http = Http(environ, tell=reporter.line)

    @cache
    def space() -> Octopus:
        return octopus or connect(http, options.octopus, reporter.warn)

    with reporter.stage("push") as stage:
        feed = _feed(project, options, http, space, reporter)
        done = publish(feed, opened, stage, skip_duplicate=options.skip_duplicate)
        stage.text = f"{done.text}, {readable_size(opened.size)}"
    if done.warning:
        reporter.warn(done.warning)
    if options.octopus.missing:
        reporter.line("no Octopus is named: no build information", verbose=True)
    elif opened.manifest is None:
        reporter.line(f"{package.name} was not built here: no build information", verbose=True)
    else:
        try:
            text = send_build_information(space(), opened.manifest, project.git, environ)
            reporter.line(f"  build information: {text}")
        except PipelineError as error:
            reporter.warn(
                f"the package is in the feed, its build information is not in Octopus: {error}"
            )
    return Pushed(opened.id, opened.version, feed.name, done.sent)


def _feed(
    project: Project,
    options: PushOptions,
    http: Http,
    connected: Callable[[], Octopus],
    reporter: Reporter,
) -> Feed:
    name = options.feed or project.feed
    if name == BUILT_IN_FEED:
        options.octopus.check("Or push to another feed: --feed, or feed in [tool.pipeline.push].")
        space = connected()
        return BuiltInFeed(http, space.api, space.access.headers)
    if "://" not in name:
        # A folder of pyproject.toml is the repository's; one of the command line is the shell's.
        folder = Path(name).expanduser()
        return FolderFeed(folder.resolve() if options.feed else project.root / folder)
    if origin(name) is None:
        raise UsageError(
            "push",
            f"{without_user(name)} is not a feed",
            f"It is a folder, an http or https URL, or `{BUILT_IN_FEED}`.",
        )
    if options.nuget_key and (host := plain_http_host(name)):
        reporter.warn(f"{host}: the API key travels unencrypted; use https")
    trusted = (*project.trust_hosts, *options.trust_hosts)
    for host in trusted:
        if not _HOST.fullmatch(host):
            raise UsageError(
                "push",
                f"{host!r} is not the name of a host to trust",
                "Write --trust-host and trust-hosts as feed.example or feed.example:8443.",
            )
    source = Source(http, name, options.nuget_key, options.nuget_user, trusted)
    return nuget_feed(source)
