"""The AWS client that travels in the package: the installed boto3, cut down to what is called.

Every module stays, for imports between them are many; the data of other services, older API
versions, examples, resources and time zones go. About 1.3 MB compressed.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path, PurePosixPath

from ..errors import PipelineError

__all__ = ["DISTRIBUTIONS", "SERVICES", "client_files"]

SERVICES = ("cloudwatch", "lambda", "s3", "sts")
DISTRIBUTIONS = (
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "six",
    "urllib3",
)
_BOTOCORE_DATA = "botocore/data/"
_LEFT_OUT = (
    "boto3/data/",
    "boto3/examples/",
    "dateutil/zoneinfo/dateutil-zoneinfo.tar.gz",
    "urllib3/contrib/emscripten/",
)
_LICENCES = ("LICENSE", "LICENCE", "NOTICE", "COPYING")


def client_files(services: tuple[str, ...] = SERVICES) -> list[tuple[str, bytes]]:
    """Return the files of the client by name, read from the interpreter that runs this.

    Raises PipelineError that names what is not installed, or not as pip and uv install it.
    """
    installed: dict[str, Path] = {}
    for distribution in DISTRIBUTIONS:
        installed.update(_installed(distribution))
    names = [name for name in installed if _is_code_or_licence(name)]
    names += _data(list(installed), services)
    return [(name, installed[name].read_bytes()) for name in sorted(names)]


def _installed(distribution: str) -> dict[str, Path]:
    try:
        files = importlib.metadata.files(distribution)
    except importlib.metadata.PackageNotFoundError:
        files = None
    if not files:
        raise PipelineError(
            "AWS client",
            f"{distribution} is not installed, or has no list of its files",
            "Delete .venv; the next `python3 tasks.py` installs the build's tools again.",
        )
    return {file.as_posix(): Path(str(file.locate())) for file in files if ".." not in file.parts}


def _is_code_or_licence(name: str) -> bool:
    path = PurePosixPath(name)
    if name.startswith(_LEFT_OUT) or "__pycache__" in path.parts:
        return False
    if path.parts[0].endswith(".dist-info"):
        return path.name.upper().startswith(_LICENCES)
    return path.suffix == ".py" or path.name == "cacert.pem"


def _data(names: list[str], services: tuple[str, ...]) -> list[str]:
    taken = [
        name
        for name in names
        if name.startswith(_BOTOCORE_DATA) and name.count("/") == _BOTOCORE_DATA.count("/")
    ]
    for service in services:
        below = f"{_BOTOCORE_DATA}{service}/"
        versions = {name[len(below) :].split("/")[0] for name in names if name.startswith(below)}
        if not versions:
            raise PipelineError(
                "AWS client", f"botocore knows no service {service!r}", "Correct SERVICES."
            )
        folder = f"{below}{max(versions)}/"
        taken += [name for name in names if name.startswith(folder) and "/examples-" not in name]
    return taken
