"""The stand-in's built-in feed and its build information."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from email.parser import BytesParser

from tests.standins.octopus_ask import Answer, Ask, Route, page
from tests.standins.octopus_state import Document, Refusal

_MODES = ("FailIfExists", "IgnoreIfExists", "OverwriteExisting")
_INFORMATION = (
    "BuildEnvironment", "BuildNumber", "BuildUrl", "Branch", "VcsType", "VcsRoot",
    "VcsCommitNumber", "Commits",
)  # fmt: skip


def _push(ask: Ask) -> Answer:
    """Take one file of any field name.

    201 for a new file, 200 for one that was there and ignored: go-octopusdeploy
    pkg/packages/package_service.go. Another one under the same version is refused with 409
    (OctopusDeploy/OctopusClients PR #329) in the words of api-client.ts
    src/features/packages/packageRepository.test.ts.
    """
    mode = ask.query.get("overwriteMode", "FailIfExists")
    if ask.query.get("replace") == "true":
        mode = "OverwriteExisting"
    if mode not in _MODES:
        raise Refusal(400, f"'{mode}' is not an overwrite mode.")
    content = _file(ask)
    package = _described(content)
    there = package["Id"] in ask.space.packages
    if there and mode == "FailIfExists":
        text = "A package with the same name and version already exists and overwriting is off."
        raise Refusal(409, text)
    if there and mode == "IgnoreIfExists":
        return 200, ask.space.packages[package["Id"]]
    ask.space.packages[package["Id"]] = package
    ask.space.files[package["Id"]] = content
    return 201, package


def _file(ask: Ask) -> bytes:
    if not ask.type.startswith("multipart/form-data"):
        raise Refusal(400, "The request must be multipart/form-data with one file.")
    message = BytesParser().parsebytes(f"Content-Type: {ask.type}\r\n\r\n".encode() + ask.content)
    parts = [part for part in message.walk() if part.get_filename()]
    if len(parts) != 1:
        raise Refusal(400, "Exactly one file is expected.")
    content = parts[0].get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def _described(content: bytes) -> Document:
    """Return the resource; fields as in go-octopusdeploy pkg/packages/package_upload.go."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (name,) = (n for n in archive.namelist() if "/" not in n and n.endswith(".nuspec"))
            nuspec = archive.read(name).decode("utf-8-sig")
    except (zipfile.BadZipFile, ValueError) as error:
        raise Refusal(400, "The package does not contain a manifest.") from error
    id_, version = (re.search(rf"<{tag}>\s*(.*?)\s*</{tag}>", nuspec) for tag in ("id", "version"))
    assert id_ is not None
    assert version is not None
    return {
        "Id": f"packages-{id_[1]}.{version[1]}",
        "PackageId": id_[1],
        "NuGetPackageId": id_[1],
        "Version": version[1],
        "FeedId": "feeds-builtin",
        "NuGetFeedId": "feeds-builtin",
        "FileExtension": ".nupkg",
        "PackageSizeBytes": len(content),
        "Hash": hashlib.sha1(content).hexdigest(),  # noqa: S324 - Octopus's choice
    }


# Octopus's REST reference, packages.md: a push and the list of packages have these, one package
# that is asked for by its id has not.
_NOT_IN_ONE = ("Hash", "PackageSizeBytes")


def _packages(ask: Ask) -> Answer:
    """go-octopusdeploy pkg/packages; api-client.ts src/features/packages/packageRepository.ts."""
    wanted = ask.query.get("nuGetPackageId", "").lower()
    found = [
        package
        for package in ask.space.packages.values()
        if not wanted or package["PackageId"].lower() == wanted
    ]
    return page(ask, found)


def _package(ask: Ask, id: str) -> Answer:  # noqa: A002 - the API's word
    if id not in ask.space.packages:
        raise Refusal(404, message=f"The resource '{id}' was not found.")
    found = ask.space.packages[id]
    return 200, {name: found[name] for name in found if name not in _NOT_IN_ONE}


def _download(ask: Ask, name: str) -> Answer:
    """Octopus's docs, REST API examples, "Download package from built-in feed".

    The package's own resource is asked for as `packages-NAME.VERSION`, its file without that.
    """
    _package(ask, f"packages-{name}")
    return 200, ask.space.files[f"packages-{name}"]


def _delete(ask: Ask, id: str) -> Answer:  # noqa: A002
    _package(ask, id)
    del ask.space.packages[id], ask.space.files[id]
    return 204, None


def _inform(ask: Ask) -> Answer:
    """api-client.ts src/features/buildInformation/buildInformationRepository.ts and its test.

    The mode is in the query (api-client.ts) or the body (go-octopusdeploy pkg/buildinformation).
    """
    body = ask.body
    body.only(
        "SpaceId",
        "spaceName",
        "PackageId",
        "Version",
        "OverwriteMode",
        "OctopusBuildInformation",
        "Replace",
    )
    body.need("PackageId", "Version", "OctopusBuildInformation")
    information = body("OctopusBuildInformation")
    known = {name.lower() for name in _INFORMATION}
    assert {name.lower() for name in information} <= known, information
    mode = ask.query.get("overwriteMode") or body("OverwriteMode", "FailIfExists")
    key = (body("PackageId"), body("Version"))
    kept = ask.space.build_information.values()
    there = [d for d in kept if (d["PackageId"], d["Version"]) == key]
    if there and mode == "FailIfExists":
        text = "Metadata for the specified Package ID and version already exists."
        raise Refusal(409, text)
    if there and mode == "IgnoreIfExists":
        return 200, there[0]
    for old in there:
        del ask.space.build_information[old["Id"]]
    document = {"PackageId": key[0], "Version": key[1], **information}
    return 200, ask.space.add("build_information", document)


def _informations(ask: Ask) -> Answer:
    """go-octopusdeploy pkg/buildinformation."""
    wanted = ask.query.get("packageId", "").lower()
    found = [
        document
        for document in reversed(ask.space.build_information.values())
        if not wanted or document["PackageId"].lower() == wanted
    ]
    return page(ask, found)


_ID = "/(packages-[^/]+)"
ROUTES = (
    Route("POST", "/packages/raw", _push, "overwriteMode replace"),
    Route("GET", "/packages", _packages, "nuGetPackageId filter latest skip take includeNotes"),
    Route("GET", f"/packages{_ID}", _package),
    Route("GET", "/packages/((?!packages-)[^/]+)/raw", _download),
    Route("DELETE", f"/packages{_ID}", _delete),
    Route("POST", "/build-information", _inform, "overwriteMode"),
    Route("GET", "/build-information", _informations, "packageId filter latest skip take"),
)
