"""The AWS client that travels in the package: the installed boto3, cut down to what is called.

Every module stays, for imports between them are many; the data of other services, older API
versions, examples, resources and time zones go. About 1.3 MB compressed.
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from ..core.errors import PipelineError
from ..core.manifest import Dependency
from ..edge.cache import seal, sealed
from ..function.python.install import distribution_of, fits, records
from ..zip.reader import Archive, open_archive
from ..zip.writer import Member, compress, write_zip

CLIENT_FOLDER = "client/"
SERVICES = ("cloudwatch", "lambda", "s3", "sts")
DISTRIBUTIONS = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
_BOTOCORE_DATA = "botocore/data/"
_LEFT_OUT = (
    "boto3/data/",
    "boto3/examples/",
    "dateutil/zoneinfo/dateutil-zoneinfo.tar.gz",
    "urllib3/contrib/emscripten/",
)
# Scanners and the SBOM read what a distribution is and which wheel it came from.
_METADATA = ("METADATA", "WHEEL", "LICENSE", "LICENCE", "NOTICE", "COPYING")


def client_files(locked: Mapping[str, str] = MappingProxyType({})) -> list[tuple[str, bytes]]:
    """Return the files of the client by name, read from the interpreter that runs this.

    Raises PipelineError that names what is not installed in the version that is `locked`, or not
    as pip and uv install it: each file is compared with the hash that its distribution lists.
    """
    site = Path(sysconfig.get_path("purelib"))
    listed: dict[str, str] = {}
    versions: dict[str, str] = {}
    for name, wheels in records(site).items():
        for wheel, digest in wheels.items():
            owner = distribution_of(wheel)
            if owner in DISTRIBUTIONS and not name.startswith("../"):
                listed[name] = digest
                versions[owner] = wheel.rpartition("-")[2]
    for name in DISTRIBUTIONS:
        if name not in versions:
            raise _damaged(f"{name} is not installed, or has no list of its files")
        if locked.get(name, versions[name]) != versions[name]:
            raise _damaged(f"{name} {locked[name]} is locked, in .venv is {versions[name]}")
    names = [name for name in listed if _is_wanted(name)] + _data(listed)
    return [(name, _checked(name, site / name, listed[name])) for name in sorted(names)]


def client_zip(tools: Iterable[Dependency], cache: Path) -> Archive:
    """Return the client as a zip, deflated once for each set of versions in the folder `cache`."""
    versions = {tool.name: tool.version for tool in tools}
    name = hashlib.sha256(repr([*versions.items()]).encode()).hexdigest()[:16]
    target = cache / f"client-{name}.zip"
    kept = sealed(target)
    if kept is None:
        target.parent.mkdir(parents=True, exist_ok=True)
        members = [
            Member(CLIENT_FOLDER + name, 0o644, compress(data))
            for name, data in client_files(versions)
        ]
        seal(target, write_zip(target, members))
    return open_archive(kept.data if kept else target, where=str(target))


def _checked(name: str, path: Path, recorded: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _damaged(f"{name} cannot be read from .venv: {error.strerror}") from error
    if not fits(data, recorded):
        raise _damaged(f"{name} in .venv is not as it was installed")
    return data


def _damaged(what: str) -> PipelineError:
    then = "Delete .venv; the next `python3 tasks.py` installs the build's tools again."
    return PipelineError("AWS client", what, then)


def _is_wanted(name: str) -> bool:
    path = PurePosixPath(name)
    if name.startswith(_LEFT_OUT) or "__pycache__" in path.parts:
        return False
    if path.parts[0].endswith(".dist-info"):
        return path.name.upper().startswith(_METADATA)
    return path.suffix == ".py" or path.name == "cacert.pem"


def _data(names: Iterable[str]) -> list[str]:
    """Return the files of data for all services, and of the newest API of each of SERVICES."""
    inside = [name for name in names if name.startswith(_BOTOCORE_DATA)]
    taken = [name for name in inside if name.count("/") == _BOTOCORE_DATA.count("/")]
    for service in SERVICES:
        below = f"{_BOTOCORE_DATA}{service}/"
        newest = max(name[len(below) :].split("/")[0] for name in inside if name.startswith(below))
        folder = f"{below}{newest}/"
        taken += [name for name in inside if name.startswith(folder) and "/examples-" not in name]
    return taken
