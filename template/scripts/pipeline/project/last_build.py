"""The pointer to the last build: which package the verbs take when none is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

from ..core.errors import PipelineError
from ..core.manifest import value_of
from ..core.names import package_version_problem

LATEST_NAME = "latest.json"


@dataclass(frozen=True)
class Latest:
    """The last build: its version, its package relative to the repository, and what it was made of.

    `inputs` is the digest of everything that went in; `verified` says whether the package was
    rebuilt from its commit with the same bytes, and `why_not` if it was not.
    `tested` is False for a package that was made without running the tests.
    """

    version: str
    package: str
    package_sha256: str
    inputs: str
    dirty: bool | None
    tested: bool
    verified: bool
    why_not: str = ""

    @classmethod
    def from_document(cls, document: object) -> Latest | None:
        """Return the value of a document read from disk, or None when it is not valid.

        A package outside the repository is not valid.
        """
        try:
            latest: Latest = value_of(cls, document)
        except TypeError:
            return None
        path = PurePath(latest.package)
        inside = not path.is_absolute() and ".." not in path.parts and "\0" not in latest.package
        return latest if inside and not package_version_problem(latest.version) else None

    def package_path(self, root: Path) -> Path:
        """Return the package's absolute path; it must be there."""
        path = root / self.package
        if not path.is_file():
            what = f"{self.package} is not there any more"
            raise PipelineError("package", what, "Run `python3 tasks.py build`.")
        return path
