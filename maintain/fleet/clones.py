"""Mirrors of the fleet's repositories: bare, kept in one folder, fetched several at once.

Nothing of a repository is ever checked out or run here. A mirror that has what its remote has
costs one question to the remote; which branches there are is kept in it, in a file of ours.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pipeline.core.errors import PipelineError
from pipeline.edge.files import write_whole
from pipeline.edge.locks import exclusive
from pipeline.edge.shell import run, scrubbed
from pipeline.edge.urls import without_user

from .config import Fleet, Host, Repository

T = TypeVar("T")

_PAUSES = (1.0, 5.0, 30.0)  # seconds before the second, third and fourth attempt
# How git logs in where there is nobody to ask: an agent, a helper, a proxy's settings.
_LOGIN = (
    "SSH_AUTH_SOCK", "SSH_AGENT_PID", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS", "SSH_ASKPASS",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_SSL_CAINFO", "XDG_CONFIG_HOME",
    "ALL_PROXY", "all_proxy",
)  # fmt: skip
# No hook of anybody's runs, and what git tidies up is done when it ends.
_SAFELY = (
    "-c", f"core.hooksPath={os.devnull}", "-c", "gc.autoDetach=false",
    "-c", "fetch.recurseSubmodules=false",
    # A remote that says nothing more must end: others wait for the place.
    "-c", "http.lowSpeedLimit=100", "-c", "http.lowSpeedTime=60",
)  # fmt: skip
_BUSY = re.compile(r"\b429\b|rate limit|too many requests|secondary rate", re.IGNORECASE)
_PASSING = re.compile(
    r"\b50[0234]\b|timed? ?out|could not resolve host|temporary failure|connection (?:reset|refused"
    r"|closed)|early EOF|hung up|unexpected disconnect|gnutls|RPC failed|broken pipe",
    re.IGNORECASE,
)
_MOVED = re.compile(r"returned error: 30\d")
_GONE = re.compile(r"not found|does not exist|not appear to be a git|no such", re.IGNORECASE)
_KEPT = "remote-refs"
_WANTED = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


@dataclass(frozen=True)
class Mirror:
    """A bare git repository at `path`; `heads` and `tags` have the object of each name.

    They are as at the last fetch. `branch` is the default one, empty where there is no commit yet.
    """

    repository: Repository
    path: Path
    branch: str
    heads: Mapping[str, str]
    tags: Mapping[str, str]

    @property
    def commit(self) -> str:
        """The default branch's newest commit; empty where there is none."""
        return self.heads.get(self.branch, "")


@dataclass
class Gate:
    """What all of a host's requests pass: shut for as long as the host is too busy."""

    sleep: Callable[[float], None] = time.sleep
    _shut: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Wait while it is shut."""
        with self._shut:
            return

    def shut_for(self, seconds: float) -> None:
        """Let nobody pass for some seconds, this thread included."""
        with self._shut:
            self.sleep(seconds)


def mirrors(
    fleet: Fleet, environ: Mapping[str, str], gate: Gate | None = None, *, offline: bool = False
) -> Iterator[tuple[Repository, Mirror | PipelineError]]:
    """Yield every repository with its mirror, or why there is none, as they are done.

    `offline` takes the mirrors as they are.
    """
    gate, env = gate or Gate(), git_environment(fleet.host, environ)

    def one(repository: Repository) -> Mirror | PipelineError:
        try:
            return mirror(fleet.clones, repository, env, gate, offline=offline)
        except PipelineError as error:
            return error

    yield from each(fleet, one)


def each(fleet: Fleet, work: Callable[[Repository], T]) -> Iterator[tuple[Repository, T]]:
    """Do something for every repository, several at once; yield each as it is done.

    Who fails for one repository has to return that, or the others go undone.
    """
    with ThreadPoolExecutor(fleet.parallel) as pool:
        waiting = {pool.submit(work, repository): repository for repository in fleet.repositories}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        finally:
            for future in waiting:
                future.cancel()


def mirror(
    folder: Path, repository: Repository, env: Mapping[str, str], gate: Gate, *, offline: bool
) -> Mirror:
    """Return a repository's mirror in `folder`, brought up to date first unless `offline`."""
    digest = hashlib.sha256(repository.url.encode()).hexdigest()[:12]
    path = folder / f"{re.sub(r'[^A-Za-z0-9_-]', '-', repository.name)}-{digest}.git"
    with exclusive(path.with_suffix(".lock"), lambda: None):
        kept = path / _KEPT
        old = kept.read_text(encoding="utf-8") if kept.is_file() else ""
        if offline:
            if not old:
                what = "there is no mirror of it yet"
                raise PipelineError(repository.name, what, "Run it once without --offline.")
            return _read(repository, path, old)
        words = (
            "ls-remote",
            "--symref",
            "--",
            repository.url,
            "HEAD",
            "refs/heads/*",
            "refs/tags/*",
        )
        new = "# What the remote has\n" + _remote(words, folder, repository, env, gate)
        if new != old:
            if not old:
                # What is there was not finished.
                shutil.rmtree(path, ignore_errors=True)
                git(("init", "--quiet", "--bare", str(path)), folder, env)
            fetch = ("fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--")
            _remote((*fetch, repository.url, *_WANTED), path, repository, env, gate)
            # Last: a mirror without it is begun anew.
            write_whole(kept, new.encode())
        return _read(repository, path, new)


def forget(one: Mirror) -> None:
    """Have a mirror made anew at the next fetch: objects in it are missing or damaged."""
    (one.path / _KEPT).unlink(missing_ok=True)


def git(words: tuple[str, ...], cwd: Path, env: Mapping[str, str]) -> str:
    """Return what git says; PipelineError with its own words where it fails."""
    return run(["git", *_SAFELY, *words], cwd=cwd, env=env, where="git").stdout


def git_environment(host: Host, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of git's processes: asks nobody, and logs in to the host.

    The token is in git's own settings by variables, for the host's addresses only: no command line
    and no file has it.
    """
    env = scrubbed(environ, {name: environ[name] for name in _LOGIN if name in environ})
    env |= {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_OPTIONAL_LOCKS": "0",
        # A host that says nothing for a minute does not stop the rest.
        "GIT_HTTP_LOW_SPEED_LIMIT": "1",
        "GIT_HTTP_LOW_SPEED_TIME": "60",
        "LC_ALL": "C.UTF-8",
    }
    if "GIT_SSH" not in env:
        env.setdefault(
            "GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15"
        )
    if (token := host.secret(environ)) and host.web:
        user = "oauth2" if host.kind == "gitlab" else "x-access-token"
        words = base64.b64encode(f"{user}:{token}".encode()).decode()
        env |= {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": f"http.{host.web}.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {words}",
            # Git would send the header to where it is led, after its first request there.
            "GIT_CONFIG_KEY_1": "http.followRedirects",
            "GIT_CONFIG_VALUE_1": "false",
        }
    return env


def _remote(
    words: tuple[str, ...], cwd: Path, repository: Repository, env: Mapping[str, str], gate: Gate
) -> str:
    """Return what git says that asks the remote; what passes by itself is tried again."""
    cwd.mkdir(parents=True, exist_ok=True)
    where, url = repository.name, without_user(repository.url)
    for pause in (*_PAUSES, None):
        gate.wait()
        try:
            return git(words, cwd, env)
        except PipelineError as error:
            said = error.then or error.what
            if pause is not None and _BUSY.search(said):
                gate.shut_for(2 * pause)
            elif pause is not None and _PASSING.search(said):
                gate.sleep(pause)
            else:
                then = "Is its address right, and may you read it?" if _GONE.search(said) else ""
                if _MOVED.search(said):
                    then = "It has moved: write where it is now into fleet.toml."
                fatal = re.search(r"^(?:fatal|ERROR): (.+)", said, re.MULTILINE)
                said = fatal[1] if fatal else said.strip().partition("\n")[0]
                raise PipelineError(where, f"{url} cannot be read: {said}", then) from error
    raise AssertionError  # the last round returns or raises


def _read(repository: Repository, path: Path, kept: str) -> Mirror:
    """Return the mirror that an answer of `ls-remote` is about."""
    branch = re.search(r"^ref: refs/heads/(.+)\tHEAD$", kept, re.MULTILINE)
    refs = dict(line.split("\t", 1)[::-1] for line in kept.split("\n") if "\t" in line)
    heads, tags = (
        {
            name.removeprefix(start): commit
            for name, commit in refs.items()
            if name.startswith(start)
        }
        for start in ("refs/heads/", "refs/tags/")
    )
    return Mirror(repository, path, branch[1] if branch else "", heads, tags)
