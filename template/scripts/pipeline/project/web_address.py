"""The web page of a repository, from the address that git has of it."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

# user@host:path, git's short form of ssh; a drive letter is no host. An @ in the path may be the
# end of a password.
_SHORT = re.compile(r"(?:[^@/:\s]+@)?([A-Za-z0-9][A-Za-z0-9.-]+):(?!//)([^@]+)\Z")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\Z")
_AZURE = re.compile(r"v3/([^/]+)/([^/]+)/([^/]+)\Z")
_AZURE_SSH = ("ssh.dev.azure.com", "vs-ssh.visualstudio.com")
_WEB, _SSH = ("http", "https"), ("ssh", "git+ssh", "ssh+git", "git")


def web_url(remote: str) -> str:
    """Return the https URL of a remote, without user, password and `.git`.

    Empty for a folder and for anything else that no browser opens. An http remote stays http:
    a server without TLS is not found under https. A port is kept for these two only.
    """
    remote = remote.strip()
    if "://" in remote:
        try:
            parts = urlsplit(remote)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return ""
        scheme, path = parts.scheme, parts.path
        if scheme not in (*_WEB, *_SSH):
            return ""
    else:
        found = _SHORT.match(remote)
        scheme, host, port, path = (
            ("ssh", found[1], None, found[2]) if found else ("", "", None, "")
        )
    path = quote(path.strip("/").removesuffix(".git"), safe="/~%", errors="replace")
    azure = _AZURE.match(path) if host in _AZURE_SSH else None
    if azure:
        host, path = "dev.azure.com", f"{azure[1]}/{azure[2]}/_git/{azure[3]}"
    if not _HOST.match(host) or not path:
        return ""
    if scheme in _WEB:
        return f"{scheme}://{host}{f':{port}' if port else ''}/{path}"
    return f"https://{host}/{path}"
