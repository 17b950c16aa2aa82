"""A package as it lies on a worker, checked before AWS is asked."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import NotTheSame, PipelineError
from ..core.lambda_limits import DIRECT_UPLOAD_LIMIT
from ..core.manifest import MANIFEST_NAME, Manifest, ZipFacts
from ..core.names import DEPLOY_HOOKS, FUNCTION_ZIP
from .smoke import SMOKE_FOLDER


@dataclass(frozen=True)
class Unpacked:
    """An unpacked package: its folder, its manifest, and a hash of all that a deploy runs of it."""

    folder: Path
    manifest: Manifest
    sha256: str

    @classmethod
    def read(cls, folder: Path) -> Unpacked:
        """Read the manifest. Raises PipelineError where it is missing or not valid."""
        path, hooks = folder / MANIFEST_NAME, folder / DEPLOY_HOOKS
        data = _read(path)
        manifest = Manifest.from_json(data, where=str(path))
        # The manifest has the hash of the function zip.
        others = [hooks] if hooks.is_file() else []
        others += sorted((folder / SMOKE_FOLDER).glob("*.json"))
        digest = hashlib.sha256(data + b"".join(map(_read, others)))
        return cls(folder, manifest, digest.hexdigest())

    @property
    def hooks(self) -> Path:
        """Where the team's hooks are, if there are any."""
        return self.folder / DEPLOY_HOOKS

    def declared(self, environment: str) -> str:
        """Return an environment's name as it is declared."""
        names = self.manifest.environments
        return next((name for name in names if name.lower() == environment.lower()), environment)

    def code(self, where: str) -> bytes:
        """Return the function zip.

        Raises NotTheSame for other bytes than were built, PipelineError for what Lambda or the
        handler could not be started with.
        """
        path, function = self.folder / FUNCTION_ZIP, self.manifest.function
        data = _read(path)
        listed = self.manifest.function_zip
        wrong = listed.mismatch(ZipFacts.of(data, listed.unzipped_size, listed.files))
        if wrong:
            then = (
                "Nothing was changed. The package was damaged or edited: push and deploy it again."
            )
            raise NotTheSame(str(path), wrong, then)
        if len(data) > DIRECT_UPLOAD_LIMIT and not function.bucket:
            raise PipelineError(
                str(path),
                f"it has {len(data):,} bytes, Lambda takes {DIRECT_UPLOAD_LIMIT:,} directly",
                "Nothing was changed. Name a bucket in [tool.pipeline.function] and build again.",
            )
        file = function.handler_file
        if file and file not in _names_in(data, where):
            raise PipelineError(
                where,
                f"the handler {function.handler} is missing: there is no {file} in {FUNCTION_ZIP}",
                "Nothing was changed. Build the package again, and push that one.",
            )
        return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        then = (
            "Deploy a whole package: one that `python3 tasks.py build` made, "
            "unpacked by Octopus or by us."
        )
        raise PipelineError(str(path), f"it cannot be read: {error.strerror}", then) from error


def _names_in(code: bytes, where: str) -> set[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            return set(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        what = f"{FUNCTION_ZIP} cannot be read: {error}"
        raise PipelineError(where, what, "Nothing was changed. Build the package again.") from error
