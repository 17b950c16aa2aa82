"""The state of the source: commit, branch, and what differs from the commit."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.manifest import Source
from ..edge.git import Git
from .buildserver import BuildServer


@dataclass(frozen=True)
class WorkTree:
    """Where the source stands."""

    source: Source
    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()

    @classmethod
    def read(cls, git: Git | None, server: BuildServer) -> WorkTree:
        """Ask git; without `.git` the build server is asked, and dirty is unknown."""
        if git is None:
            return cls(Source(server.commit, server.branch, None))
        status = git.status()
        dirty = bool(status.changed or status.untracked) or status.commit is None
        source = Source(status.commit, status.branch or server.branch, dirty)
        return cls(source, status.changed, status.untracked)

    def describe(self) -> str:
        """Return like `main@3f2c1ab, clean`."""
        commit = self.source.commit[:7] if self.source.commit else "no commit"
        place = f"{self.source.branch}@{commit}" if self.source.branch else commit
        if self.source.dirty is None:
            return f"{place}, no .git here"
        if not self.source.dirty:
            return f"{place}, clean"
        counts = [(len(self.changed), "changed"), (len(self.untracked), "untracked")]
        details = ", ".join(f"{count} {word}" for count, word in counts if count)
        return f"{place}, dirty ({details})" if details else f"{place}, nothing committed yet"
