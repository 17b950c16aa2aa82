"""fleet.toml: which repositories there are, and where their host is.

An organisation's list is asked of `gh` or `glab`, which know how somebody is logged in.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pipeline.core.errors import PipelineError
from pipeline.core.text import few
from pipeline.edge.files import read_text
from pipeline.edge.shell import run, scrubbed
from pipeline.edge.urls import split_user
from pipeline.project.tables import Table

FILE = "fleet.toml"
RINGS = ("canary", "early", "all")
# Where `gh` and `glab` keep how somebody is logged in.
_LOGIN = ("XDG_CONFIG_HOME", "GH_CONFIG_DIR", "GLAB_CONFIG_DIR")
_TABLES = ("fleet", "host", "organisation", "repository")
# Branches that `fleet.update` pushes begin so; the release follows.
UPDATES = "fleet/update-"
_APIS = {"github": "https://api.github.com", "gitlab": "https://gitlab.com/api/v4", "none": ""}
_TOKENS = {"github": "GITHUB_TOKEN", "gitlab": "GITLAB_TOKEN", "none": ""}
_API_PATH = re.compile(r"/api/v[34]/?\Z")
# An address of git's: with a scheme, user@host:path, or a folder.
_ADDRESS = re.compile(r"(?:(?:https?|ssh|file)://|[\w.-]+@[\w.-]+:|[/~]|[A-Za-z]:[\\/]).")
# The host in one; the first group is there where it is the very one.
_PLACE = re.compile(r"(?:(https?://)|ssh://|(?=[\w.-]+@))(?:[^@/]+@)?([\w.-]+)")
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.][A-Za-z0-9_.-]*)*\Z")


@dataclass(frozen=True)
class Repository:
    """A repository of the fleet; `folder` is where in it the template was rendered, or empty.

    `is_listed` is false where only its organisation's list has it: then it may be of no template.
    """

    name: str
    url: str
    ring: str = "all"
    owner: str = ""
    folder: str = ""
    is_listed: bool = True

    @property
    def slug(self) -> str:
        """What its host calls it, like `example/orders`."""
        path = urlsplit(self.url).path if "://" in self.url else self.url.rpartition(":")[2]
        return path.strip("/").removesuffix(".git")


@dataclass(frozen=True)
class Host:
    """Where the repositories live. `kind` is github, gitlab or none, which has no API.

    `api` is the API's base URL, `token` the variable that holds the token for it and for git.
    """

    kind: str = "none"
    api: str = ""
    token: str = ""

    @property
    def web(self) -> str:
        """The start of the repositories' own addresses: `https://github.com/`."""
        if self.api == _APIS["github"]:
            return "https://github.com/"
        return f"{_API_PATH.sub('', self.api)}/" if self.api else ""

    def has(self, repository: Repository) -> bool:
        """Tell whether a repository is here; another host may have one of the same slug.

        By SSH a host may go by another name in its domain, or by one of the user's own.
        """
        here, found = urlsplit(self.web).hostname, _PLACE.match(repository.url)
        there = found[2].lower() if found else ""
        if not here or not there or (found and found[1]):
            return here == there != ""
        return "." not in there or there.split(".")[-2:] == here.split(".")[-2:]

    def secret(self, environ: Mapping[str, str]) -> str:
        """Return the token; empty where there is none."""
        return environ.get(self.token, "") if self.token else ""


@dataclass(frozen=True)
class Fleet:
    """What fleet.toml says.

    `template` is the template's address, `clones` the folder of the mirrors, `parallel` how many
    repositories are worked on at once. `updates` are globs of the branches that updates come on.
    """

    template: str
    repositories: tuple[Repository, ...]
    host: Host
    clones: Path
    days_until_silent: int = 14
    parallel: int = 8
    updates: tuple[str, ...] = (f"{UPDATES}*",)

    def only(self, names: tuple[str, ...]) -> Fleet:
        """Return the fleet with the repositories of these names only; all without any name."""
        known = {one.name: one for one in self.repositories}
        if unknown := [name for name in names if name not in known]:
            what = f"there is no repository {unknown[0]!r} in the fleet"
            near = difflib.get_close_matches(unknown[0], known, 3) or sorted(known)
            raise PipelineError(FILE, what, f"It has {few(near) or 'none'}.")
        chosen = tuple(known[name] for name in dict.fromkeys(names))
        return replace(self, repositories=chosen) if names else self


# Runs a program with these words and variables, and returns what it says.
Ask = Callable[[tuple[str, ...], Mapping[str, str]], str]


def read_fleet(path: Path, environ: Mapping[str, str], ask: Ask | None = None) -> Fleet:
    """Return what the file says, an organisation's repositories included.

    Every mistake names the table and the key. `ask` runs `gh` or `glab`, the real ones by default.
    """
    try:
        values = tomllib.loads(read_text(path, str(path)))
    except OSError as error:
        then = "docs/fleet.md says what is in it; name another one with --fleet."
        raise PipelineError(str(path), error.strerror or str(error), then) from error
    except tomllib.TOMLDecodeError as error:
        raise PipelineError(str(path), str(error), "Correct that line.") from error
    whole = Table(values, path.name, "")
    for name in values:
        if name not in _TABLES:
            known = ", ".join(f"[{one}]" for one in _TABLES)
            raise PipelineError(f"{path.name} {name}", "there is no such table", f"It has {known}.")
    top = _table(whole, "fleet", values.get("fleet", {}))
    template = _address(top, "template")
    host = _host(_table(whole, "host", values.get("host", {})))
    entries = values.get("repository", [])
    if not isinstance(entries, list):
        what = f"{entries!r} is not a list"
        raise PipelineError(f"{path.name} repository", what, "Write [[repository]].")
    own = tuple(
        _repository(_table(whole, f"repository {number}", entry))
        for number, entry in enumerate(entries, 1)
    )
    named = {same_address(one.url) for one in own}
    found: tuple[Repository, ...] = ()
    if "organisation" in values:
        table = _table(whole, "organisation", values["organisation"])
        found = tuple(_organisation(table, host, environ, ask or partial(_run, environ)))
    repositories = (*own, *(one for one in found if same_address(one.url) not in named))
    _refuse_twice(path.name, repositories)
    name = template.rstrip("/").removesuffix(".git").rpartition("/")[2]
    fleet = Fleet(
        template=template,
        repositories=repositories,
        host=host,
        clones=path.parent.resolve() / Path(top.text("clones", ".pipeline/fleet")).expanduser(),
        days_until_silent=top.count("days-until-silent", 14),
        parallel=top.count("parallel", 8),
        updates=top.texts("updates", (f"{UPDATES}*", f"renovate/*{name}*")),
    )
    top.refuse_unknown()
    return fleet


def _table(whole: Table, name: str, values: Any) -> Table:
    if not isinstance(values, Mapping):
        what = f"{values!r} is not a table"
        raise PipelineError(f"{whole.file} {name}", what, f"Write [{name}], or [[repository]].")
    return Table(values, whole.file, name)


def _host(table: Table) -> Host:
    kind = table.choice("kind", tuple(_APIS), "none")
    api = table.text("api", _APIS[kind]).rstrip("/")
    token = table.text("token", _TOKENS[kind])
    if kind != "none" and not api.startswith(("https://", "http://")):
        raise table.error("api", f"{api!r} is no address of an API", f'Like "{_APIS[kind]}".')
    if token and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", token):
        # Not shown: it may be the token itself, and those have small letters.
        raise table.error(
            "token", "that is no variable's name in capitals", 'Write token = "FLEET_TOKEN".'
        )
    table.refuse_unknown()
    return Host(kind, api if kind != "none" else "", token)


def _repository(table: Table) -> Repository:
    url = _address(table, "url")
    made = Repository(
        name=_name(table, "name", url.rstrip("/").removesuffix(".git").rpartition("/")[2]),
        url=url,
        ring=table.choice("ring", RINGS, "all"),
        owner=table.text("owner", ""),
        folder=table.text("folder", "").strip("/"),
    )
    table.refuse_unknown()
    return made


def _organisation(
    table: Table, host: Host, environ: Mapping[str, str], ask: Ask
) -> Iterator[Repository]:
    """Yield an organisation's repositories that are not archived and fit its globs."""
    name = _name(table, "name", "")
    globs = table.texts("match", ("*",))
    ring, owner = table.choice("ring", RINGS, "all"), table.text("owner", "")
    address = table.choice("address", ("https", "ssh"), "https")
    table.refuse_unknown()
    if host.kind == "none":
        then = 'Write kind = "github" or "gitlab" in [host].'
        raise table.error("name", "a host of kind none has no organisations", then)
    variables = {"GH_PROMPT_DISABLED": "1", "NO_PROMPT": "1"}
    if token := host.secret(environ):
        variables |= {"GH_TOKEN": token, "GH_ENTERPRISE_TOKEN": token, "GITLAB_TOKEN": token}
    server = urlsplit(host.web).netloc
    variables |= {"GH_HOST": server, "GITLAB_HOST": server}
    path = f"groups/{quote(name, safe='')}/projects?per_page=100&include_subgroups=true"
    words = ("glab", "api", "--paginate", f"{path}&archived=false")
    if host.kind == "github":
        words = ("gh", "api", "--paginate", f"orgs/{quote(name)}/repos?per_page=100")
    for one in _documents(ask(words, variables), words[0]):
        # Two of a group's subgroups may have a repository of the same name.
        whole = str(one.get("path_with_namespace") or one.get("full_name"))
        called = whole.removeprefix(f"{name}/")
        keys = ("clone_url", "http_url_to_repo", "ssh_url", "ssh_url_to_repo")
        found = [str(one[key]) for key in keys if one.get(key)]
        if found and not one.get("archived") and any(fnmatchcase(called, glob) for glob in globs):
            url = found[-1] if address == "ssh" else found[0]
            yield Repository(called, url, ring, owner, is_listed=False)


def _documents(text: str, where: str) -> Iterator[dict[str, Any]]:
    """Yield what all pages list: they are one list, or one after the other."""
    rest, decoder = text.strip(), json.JSONDecoder()
    try:
        while rest:
            page, end = decoder.raw_decode(rest)
            yield from (page if isinstance(page, list) else [page])
            rest = rest[end:].lstrip()
    except (ValueError, RecursionError) as error:
        raise PipelineError(where, f"what it says is not JSON: {rest[:80]}") from error


def _run(environ: Mapping[str, str], words: tuple[str, ...], variables: Mapping[str, str]) -> str:
    env = scrubbed(environ, {name: environ.get(name, "") for name in _LOGIN})
    env = {name: value for name, value in {**env, **variables}.items() if value}
    return run(words, cwd=Path.cwd(), env=env).stdout


def _address(table: Table, key: str) -> str:
    url = table.text(key, "")
    if not _ADDRESS.match(url):
        what = f"{url!r} is no address that everybody has" if url else "is missing"
        raise table.error(key, what, f'Like {key} = "https://github.com/example/orders.git".')
    if url.startswith("http") and split_user(url)[1]:
        then = "Take it out, change it, and name the token's variable in [host]."
        raise table.error(key, "it holds a user or a password", then)
    return str(Path(url).expanduser()) if url.startswith("~") else url


def _name(table: Table, key: str, default: str) -> str:
    name = table.text(key, default)
    if not _NAME.match(name):
        raise table.error(key, f"{name!r} is no name", "Letters, digits, and - . _ between them.")
    return name


def same_address(url: str) -> str:
    """Return what two spellings of an address have in common."""
    plain = re.sub(r"\A(?:\w+://)?(?:[^@/]+@)?", "", url).replace(":", "/", 1)
    return plain.rstrip("/").removesuffix(".git").lower()


def _refuse_twice(file: str, repositories: tuple[Repository, ...]) -> None:
    known: dict[str, Repository] = {}
    for one in repositories:
        other = known.setdefault(one.name.lower(), one)
        if other is not one:
            what = f"{one.url} and {other.url} have the same name"
            raise PipelineError(f"{file} {one.name}", what, "Give one of them another with `name`.")
