"""Say what is wrong with this repository's files, and bring back those that are the template's.

  --fix               Bring them back from the recorded release; edits are kept, and asked about
  --yes               With --fix: do not ask
  --against-template  Compare with the template itself, and not with scripts/MANIFEST
  --root FOLDER       The repository; the one this file is in by default
  -j, --json          One JSON document on standard output

It only reads, offline; `--fix` and `--against-template` fetch the template. It imports nothing of
the library, so `python3 scripts/doctor.py` works even where that does not parse.
Exit codes: 0 nothing found, 1 failed, 2 wrong usage, 3 not the same, 4 conflicts left.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

MANIFEST = "scripts/MANIFEST"
ALLOWED = "scripts/allowed-changes.toml"
ANSWERS = ".copier-answers.yml"
# The addresses of templates that `--against-template` trusts, with commas between.
ADDRESSES = "TEMPLATE_ADDRESSES"
FIX = "Bring it back: python3 tasks.py doctor --fix"
FOR_GOOD = "A repository's language is for good"
SERVERS = {
    ".github/workflows/build.yml": "github",
    ".gitlab-ci.yml": "gitlab",
    ".teamcity/settings.kts": "teamcity",
    "Jenkinsfile": "jenkins",
    "azure-pipelines.yml": "azure",
}
YOURS = re.compile(r"scripts/(hooks_\w+\.py|allowed-changes\.toml|MANIFEST)\Z")
_MADE = frozenset((".git", ".venv", ".pipeline", "build-output", "node_modules", "__pycache__"))
BY_ANSWER = re.compile(r"\{% if [^%]* %\}([^{}]+)\{% endif %\}")
_MARKERS = [re.compile(line, re.MULTILINE) for line in (rb"^<{7} ", rb"^={7}\r?$", rb"^>{7} ")]
_QUOTED = re.compile(r"\\(?:(x\w\w|u\w{4}|U\w{8})|(\n[ \t]*)|(.))|[ \t]*\n[ \t]*")
_ESCAPES = str.maketrans("0abtnvfreN_LP", "\0\a\b\t\n\v\f\r\x1b\x85\xa0\u2028\u2029")
_SHOWN = 12  # findings that people are to do the same about
_READABLE = 8 << 20  # A larger file is data: neither merged by git nor written by people.
# What issuers say their keys look like; `build` knows many more, and looks at what it packages.
_CREDENTIALS = re.compile(
    rb"(?P<a_private_key>-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----\s+[A-Za-z0-9+/]{40})"
    rb"|\b(?:(?P<an_AWS_access_key_id>(?:AKIA|ASIA)[A-Z0-9]{16})"
    rb"|(?P<a_GitHub_token>gh[pours]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60})"
    rb"|(?P<a_GitLab_token>glpat-[A-Za-z0-9_-]{20})"
    rb"|(?P<an_Octopus_API_key>API-[A-Z0-9]{26,32}))(?![A-Za-z0-9])"
)
_ANSWERED = {
    "package_id": ("package-id",),
    "function_name": ("function", "name"),
    "runtime": ("function", "runtime"),
    "architecture": ("function", "architecture"),
}
_LOCKED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)(.*(?:\n[ \t].*)*)", re.MULTILINE)
_REQUIRED = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\]\s*)?(?:==\s*([^\s,;*]+)\s*\Z)?")
_ANSWERS_BACK = (
    f"Bring it back from git: git checkout HEAD -- {ANSWERS}\n"
    "Where it never said so, the template was no git repository: generate from one."
)
_USAGE = "usage: doctor [--fix [--yes] | --against-template] [--json] [--root FOLDER]"


class Finding(NamedTuple):
    """Something that is not as it should be.

    `kind` is conflict, changed, missing, extra, line-ends, allowed, answers, address, credential,
    lock or tool. `sha256` is what an entry of the allow-file has to name, where one can help.
    """

    kind: str
    path: str
    what: str
    then: str = ""
    sha256: str = ""


class DoctorError(Exception):
    """It cannot go on; the message says why and what to do next."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def examine(root: Path, today: str) -> list[Finding]:
    """Return all that is found offline; `today` is a date as YYYY-MM-DD."""
    differing = _differing(root)
    wrong = {one.path for one in differing}
    # What has the template's hash need not be read again.
    right = entries(_read(root / MANIFEST).decode("utf-8", "replace")).keys() - wrong
    found = [*conflicts(root, right), *_not_allowed(root, today, differing)]
    return [*found, *answered(root), *_own(root), *_tools(root)]


def conflicts(root: Path, right: Collection[str] = ()) -> list[Finding]:
    """Return what a merge has left: markers, `.rej` files, also ignored ones, unmerged paths.

    Files whose names are in `right` are known to be as they should.
    """
    allowed, found = _allowed(root)[0], {}
    for name, path in _files(root):
        if name in right:
            continue
        if name.endswith(".rej"):
            what, then = "a patch that did not apply", "Apply what is right in it, and delete it."
        elif has_markers(_read(path)):
            what, then = "it holds conflict markers", "Keep what is right between them."
        else:
            continue
        digest = _digest(path)
        if (name, digest) not in allowed:
            found[name] = Finding("conflict", name, what, then, digest)
    for name in sorted(_unmerged(root) - found.keys()):
        then = f"Then say so: git add '{name}', or git rm '{name}'"
        found[name] = Finding("conflict", name, "git has it as unmerged", then)
    return list(found.values())


def _unmerged(root: Path) -> set[str]:
    lines = git(root, "ls-files", "--unmerged", "-z").split("\0")[:-1]
    return {line.partition("\t")[2] for line in lines}


def ours(root: Path, today: str, manifest: str | None = None) -> list[Finding]:
    """Return what differs from `manifest`, or else the repository's own, and is not allowed to."""
    return _not_allowed(root, today, _differing(root, manifest))


def _differing(root: Path, manifest: str | None = None) -> list[Finding]:
    found = []
    own = _read(root / MANIFEST).decode("utf-8", "replace").replace("\r\n", "\n")
    head, _, below = own.partition("\n")
    if hashlib.sha256(below.encode()).hexdigest() not in head or manifest not in (None, own):
        what = "it is not as the template has it" if own else "it is missing or empty"
        found.append(Finding("changed", MANIFEST, what, FIX))
    listed = entries(own if manifest is None else manifest)
    chosen = answers(root).get("build_servers", [])
    # What lies behind a link is not there.
    there = dict(_files(root / "scripts", "scripts/"))
    for name, digest in listed.items():
        if name in SERVERS:
            if SERVERS[name] not in chosen:
                continue  # It is the team's own.
            path = root / name
        else:
            path = there.get(name, root / name)
        if path.is_symlink() or (name not in there and path.is_dir()):
            found.append(Finding("changed", name, "there is something else in its place", FIX))
        elif name not in there and (name not in SERVERS or not path.is_file()):
            found.append(Finding("missing", name, "the template's file is missing", FIX, "missing"))
        elif _sha256(data := _read(path, sys.maxsize)) != digest:
            what = "it is not as the template has it"
            found.append(Finding("changed", name, what, FIX, _sha256(data)))
        elif b"\r\n" in data:
            found.append(Finding("line-ends", name, "its lines end with CRLF", FIX))
    for name, path in there.items():
        is_hidden = any(part.startswith(".") for part in name.split("/"))
        if listed and name not in listed and not is_hidden and not YOURS.match(name):
            what = "the template has no such file, and its folders are not for others"
            found.append(Finding("extra", name, what, "Move it elsewhere.", _digest(path)))
    return found


def _not_allowed(root: Path, today: str, found: Iterable[Finding]) -> list[Finding]:
    allowed, kept = _allowed(root)
    for one in found:
        until = allowed.get((one.path, one.sha256))
        if until and until < today:
            kept.append(one._replace(what=f"{one.what}; {ALLOWED} allowed that until {until}"))
        elif not until:
            kept.append(one)
    return kept


def has_markers(data: bytes) -> bool:
    """Tell whether the three lines of a conflict are there, in their order."""
    at = 0
    for line in _MARKERS:
        if (found := line.search(data, at)) is None:
            return False
        at = found.end()
    return True


def entries(manifest: str) -> dict[str, str]:
    """Return a MANIFEST's sha256 by path."""
    lines = (line.split("  ") for line in manifest.splitlines() if not line.startswith("#"))
    return {line[1]: line[0] for line in lines if len(line) > 1}


def answers(root: Path) -> dict[str, Any]:
    """Return the answers file's texts and lists of texts, which is all that copier writes there."""
    found: dict[str, Any] = {}
    text = _read(root / ANSWERS).decode("utf-8", "replace").replace("\r\n", "\n")
    for key, value in re.findall(r"^(\w+):(.*(?:\n(?:[ \t]+|-).*)*)", text, re.MULTILINE):
        if re.match(r"\s*(\n\s*-|\[\]\s*\Z)", value):
            found[key] = [_plain(item) for item in re.findall(r"^\s*-\s+(.+)", value, re.MULTILINE)]
        else:
            found[key] = _plain(value)
    return found


def git_address(recorded: str) -> str:
    """Return what git fetches a template from that copier calls `recorded`."""
    short = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/", "git+": ""}
    for start, instead in short.items():
        if recorded.startswith(start):
            return instead + recorded[len(start) :]
    return os.path.expanduser(recorded)  # noqa: PTH111 - an address is no path


def fetch(root: Path, folder: Path, ref: str = "") -> Path:
    """Clone the template of a repository, its recorded release or `ref`; return the clone."""
    known = answers(root)
    source, recorded = str(known.get("_src_path", "")), str(known.get("_commit", ""))
    ref = ref or recorded
    if not source or not recorded or ref.startswith("-"):
        raise DoctorError(
            f"{ANSWERS}: it does not say which template this is from, and which release of it.\n"
            f"{_ANSWERS_BACK}"
        )
    quiet = ["-c", "core.autocrlf=false", "-c", "advice.detachedHead=false"]
    address, clone = git_address(source), folder / "template"
    for words in (
        ["clone", "--quiet", "--no-checkout", "--", address, str(clone)],
        ["-C", str(clone), "checkout", "--quiet", "--detach", ref, "--"],
    ):
        done = run(["git", *quiet, *words], root)
        if done.returncode:
            raise DoctorError(
                f"{hidden(source)} {ref}: {hidden(done.stderr.strip())}\n"
                f"{ANSWERS} names that template and its release; can you reach it?"
            )
    return clone


def template_files(clone: Path) -> dict[str, Path]:
    """Return where in a clone of the template each file of its MANIFEST is, that one included."""
    template = clone / "template"
    listed = [*entries(_read(template / MANIFEST).decode()), MANIFEST]
    by_answer = {
        BY_ANSWER.sub(r"\1", path.relative_to(template).as_posix()): path
        for start in template.glob("{*")
        for path in (start, *start.rglob("*"))
    }
    return {name: by_answer.get(name, template / name) for name in listed}


def replace(root: Path, names: Iterable[str], clone: Path, keep: Path) -> None:
    """Make files of ours those of the clone, or remove them; what was there moves to `keep`."""
    there, wrong = template_files(clone), {*names}
    for name in sorted(wrong, key=lambda name: name in there):
        path = root / name
        if wrong.intersection(map(str, Path(name).parents)) and name not in there:
            continue  # It goes with the folder that it is in.
        if os.path.lexists(path):
            (keep / name).parent.mkdir(parents=True, exist_ok=True)
            path.rename(keep / name)
        if name in there:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(there[name].read_bytes())


def kept_folder(root: Path) -> Path:
    """Return a new folder's path for what is replaced now; git ignores it."""
    return root / ".pipeline" / "replaced" / time.strftime("%Y%m%d-%H%M%S", time.gmtime())


def today_utc() -> str:
    """Return the date."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def main(words: Sequence[str], root: Path) -> int:
    """Run a command line; return the exit code."""
    options = list(words)
    if "--root" in options[:-1]:
        at = options.index("--root")
        root = Path(options[at + 1]).resolve()
        del options[at : at + 2]
    as_json, flags = (
        bool({"--json", "-j"} & {*options}),
        {*options} - {"--json", "-j", "--verbose", "-v"},
    )
    if flags & {"--help", "-h"}:
        sys.stdout.write(f"{_USAGE}\n\n{__doc__}")
        return 0
    try:
        if flags not in ({*()}, {"--fix"}, {"--fix", "--yes"}, {"--against-template"}):
            raise DoctorError(_USAGE, 2)  # noqa: TRY301 - one place prints
        if "--fix" in flags:
            return _fix(root, as_json=as_json, sure="--yes" in flags)
        compare = _against_template if flags else examine
        return _show(compare(root, today_utc()), as_json=as_json)
    except DoctorError as error:
        sys.stderr.write(f"doctor: {error}\n")
        if as_json:
            import json  # noqa: PLC0415 - see _fix

            document = {"error": {"where": "doctor", "what": str(error), "then": ""}}
            sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return error.code


def _fix(root: Path, *, as_json: bool, sure: bool) -> int:
    import tempfile  # noqa: PLC0415 - it is slow to import, and a look needs none of it

    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        clone = fetch(root, Path(folder))
        manifest = _read(clone / "template" / MANIFEST).decode()
        found = [one for one in ours(root, today_utc(), manifest) if one.path != ALLOWED]
        out = sys.stderr if as_json else sys.stdout
        for one in found:
            does = "moves away" if one.kind == "extra" else "comes back"
            out.write(f"  {does}  {one.path}: {one.what}\n")
        edited = [one for one in found if one.kind not in ("missing", "line-ends")]
        if edited and not sure:
            if not sys.stdin or not sys.stdin.isatty():
                raise DoctorError("Nothing was changed. Edits would be replaced: add --yes.", 2)
            out.write("Replace them? What is there is kept in .pipeline/replaced. [y/N] ")
            out.flush()
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                raise DoctorError("Nothing was changed.")
        keep = kept_folder(root)
        replace(root, [one.path for one in found], clone, keep)
        if unmerged := _unmerged(root) & {one.path for one in found}:
            git(root, "reset", "--quiet", "--", *unmerged)
        what = f"What was there is in {keep}." if keep.exists() else "Nothing was lost."
        out.write(f"Brought back: {len(found)}. {what}\n")
    return _show(examine(root, today_utc()), as_json=as_json)


def _against_template(root: Path, today: str) -> list[Finding]:
    import tempfile  # noqa: PLC0415 - see _fix

    trusted = [one.strip() for one in os.environ.get(ADDRESSES, "").split(",") if one.strip()]
    if not trusted:
        raise DoctorError(
            f"set {ADDRESSES} on the build server to the addresses that may be templates.", 2
        )
    source = str(answers(root).get("_src_path", ""))
    if source not in trusted:
        what = f"{hidden(source)} is no template that {ADDRESSES} names"
        return [Finding("address", ANSWERS, what, "Update from one that it names.")]
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        clone = fetch(root, Path(folder))
        return ours(root, today, _read(clone / "template" / MANIFEST).decode())


def _show(found: Sequence[Finding], *, as_json: bool) -> int:
    kinds = {one.kind for one in found}
    code = 4 if "conflict" in kinds else 3 if kinds else 0
    if as_json:
        import json  # noqa: PLC0415 - see _fix

        document = {"healthy": not found, "findings": [one._asdict() for one in found]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return code
    for then in dict.fromkeys(one.then for one in found):
        alike = [one for one in found if one.then == then]
        for one in alike[:_SHOWN]:
            digest = f" (sha256 {one.sha256})" if len(one.sha256) > len("missing") else ""
            sys.stdout.write(f"  {one.kind:10}  {one.path}: {one.what}{digest}\n")
        if alike[_SHOWN:]:
            sys.stdout.write(f"  and {len(alike) - _SHOWN} more: --json has them all\n")
        sys.stdout.write(f"{then}\n\n" if then else "\n")
    if any(one.sha256 for one in found):
        sys.stdout.write(f"What has to stay for a while: {ALLOWED} says how.\n")
    sys.stdout.write(f"doctor: {len(found)} found\n" if found else "doctor: nothing found\n")
    return code


def _allowed(root: Path) -> tuple[dict[tuple[str, str], str], list[Finding]]:
    """Return until when which path may have which sha256, and what is wrong with the entries."""
    table, found = _toml(root, ALLOWED)
    allowed = {}
    changes = table.get("change", [])
    for number, given in enumerate(changes if isinstance(changes, list) else [changes], 1):
        entry = given if isinstance(given, dict) else {}
        texts = {key: str(entry.get(key) or "") for key in ("path", "sha256", "reason", "expires")}
        if not all(texts.values()) or not re.fullmatch(r"\d{4}-\d\d-\d\d", texts["expires"]):
            what = f"change {number} allows nothing: it needs path, sha256, reason and expires"
            found.append(Finding("allowed", ALLOWED, what, "The date is written 2030-12-31."))
        else:
            allowed[texts["path"], texts["sha256"]] = texts["expires"]
    return allowed, found


def answered(root: Path) -> Iterator[Finding]:
    """Yield what the answers file says of the template and of the rendered files, and is not so."""
    known = answers(root)
    source = str(known.get("_src_path", ""))
    if not source or not known.get("_commit"):
        what = "it does not say which template this is from, and which release of it"
        yield Finding("answers", ANSWERS, what, _ANSWERS_BACK)
    elif source != hidden(source):
        then = "Take the password out, change it, and use a credential helper of git's."
        yield Finding("credential", ANSWERS, f"the address {hidden(source)} holds it", then)
    elif not re.match(r"[\w+]+:|[\w.-]+@[\w.-]+:|[/~\\]", source):
        then = "Updates work in one folder only. Write the address that everybody has."
        yield Finding("address", ANSWERS, f"_src_path is relative: {source}", then)
    settings: Any = _toml(root, "pyproject.toml")[0].get("tool", {}).get("pipeline", {})
    for name, keys in _ANSWERED.items():
        value = settings
        for key in keys:
            value = value.get(key, {}) if isinstance(value, dict) else {}
        if name in known and isinstance(value, str) and value != known[name]:
            what = f"{name} is {known[name]!r} there, and {value!r} in pyproject.toml"
            then = f"Say which: python3 tasks.py update --answer {name}={value}"
            if name == "runtime" and known[name][:4] != value[:4]:
                then = f"{FOR_GOOD}: put that back, or generate another repository."
            yield Finding("answers", ANSWERS, what, then)


def _own(root: Path) -> Iterator[Finding]:
    """Yield what is wrong with the team's files: credentials, unreadable settings, locks."""
    table, wrong = _toml(root, "pyproject.toml")
    yield from wrong
    tool = table.get("tool", {}).get("pipeline", {})
    allowed = {*tool.get("secrets", {}).get("allow", {})}
    listed = entries(_read(root / MANIFEST).decode("utf-8", "replace"))
    for name, path in _files(root):
        if name in listed or name in allowed:
            continue
        for match in _CREDENTIALS.finditer(_read(path)):
            # What git ignores is for this machine alone.
            if b"EXAMPLE" not in match[0] and not git(root, "check-ignore", "--", name):
                line = match.string.count(b"\n", 0, match.start()) + 1
                then = "Take it out, and change it wherever it opens something: git keeps it."
                what = f"line {line} holds {str(match.lastgroup).replace('_', ' ')}"
                yield Finding("credential", name, what, then)
                break
    runtime = str(tool.get("function", {}).get("runtime", ""))
    if runtime.startswith("nodejs"):
        yield from _npm_misfits(root)
    elif runtime.startswith("python"):
        wanted = table.get("project", {}).get("dependencies", [])
        yield from _misfits(root, "requirements/function.txt", wanted)
        wanted = table.get("dependency-groups", {}).get("test", [])
        yield from _misfits(root, "requirements/test.txt", wanted)


def _npm_misfits(root: Path) -> Iterator[Finding]:
    """Yield what package.json asks for and package-lock.json has otherwise, or not at all."""
    import json  # noqa: PLC0415 - see _fix

    name, then = "package.json", "Correct it as JSON."
    try:
        asked = json.loads(_read(root / name))
        name, then = "package-lock.json", "Run `python3 tasks.py lock`."
        packages = json.loads(_read(root / name))["packages"]
        for group in ("dependencies", "devDependencies", "optionalDependencies"):
            wanted, locked = asked.get(group, {}), packages[""].get(group, {})
            for package in sorted(wanted.keys() | locked.keys()):
                ranges = [table.get(package, "nothing") for table in (wanted, locked)]
                if ranges[0] != ranges[1]:
                    what = f"of {package} it has {ranges[1]}, and package.json asks for {ranges[0]}"
                elif packages.get(f"node_modules/{package}", {}).get("integrity"):
                    continue
                else:
                    what = f"{package} has no hash"
                yield Finding("lock", name, what, then)
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        yield Finding("lock", name, f"it cannot be read: {error}", then)


def _misfits(root: Path, lock: str, wanted: Iterable[Any]) -> Iterator[Finding]:
    then = "Run `python3 tasks.py lock`."
    locked: dict[str, set[str]] = {}
    for name, version, rest in _LOCKED.findall(_read(root / lock).decode("utf-8", "replace")):
        locked.setdefault(_normal(name), set()).add(version)
        if "--hash=sha256:" not in rest:
            yield Finding("lock", lock, f"{name} {version} has no hash", then)
    for requirement in wanted:
        asked = _REQUIRED.match(requirement) if isinstance(requirement, str) else None
        if asked is None or ";" in requirement:
            continue  # With a marker it may be for other Pythons only.
        versions = locked.get(_normal(asked[1]), set())
        if not versions or (asked[2] and _same(asked[2]) not in map(_same, versions)):
            has = f"{' and '.join(sorted(versions))} is" if versions else "none of it is"
            what = f"pyproject.toml asks for {requirement}, and {has} locked"
            yield Finding("lock", lock, what, then)


def _tools(root: Path) -> Iterator[Finding]:
    python = sys.version_info
    if python < (3, 11):
        what = f"Python 3.11 or newer is needed, this is {python[0]}.{python[1]}"
        yield Finding("tool", "python3", what, "Install it, or name it: python3.13 tasks.py ...")
    version = re.search(r"(\d+)\.(\d+)", git(root, "--version"))
    if not version or (int(version[1]), int(version[2])) < (2, 27):
        what = f"git 2.27 or newer is needed, this is {version[0] if version else 'none'}"
        yield Finding("tool", "git", what, "Install it.")


def _files(folder: Path, start: str = "") -> Iterator[tuple[str, Path]]:
    """Yield (path below the root, path) of each file, but for what tools made."""
    for entry in sorted(os.scandir(folder) if folder.is_dir() else (), key=lambda one: one.name):
        if not entry.is_dir(follow_symlinks=False):
            yield f"{start}{entry.name}", Path(entry.path)
        elif entry.name not in _MADE:
            yield from _files(Path(entry.path), f"{start}{entry.name}/")


def _toml(root: Path, name: str) -> tuple[dict[str, Any], list[Finding]]:
    if not os.path.lexists(root / name):
        return {}, []
    try:
        import tomllib  # noqa: PLC0415 - older Pythons have none, and must say that they are old

        return tomllib.loads(_read(root / name).decode("utf-8-sig").replace("\r\n", "\n")), []
    except ImportError:
        return {}, []
    except ValueError as error:
        kind = "allowed" if name == ALLOWED else "answers"
        return {}, [Finding(kind, name, f"{error}", "Correct that line.")]


def _read(path: Path, most: int = _READABLE) -> bytes:
    """Return what is in a file; nothing where it cannot be read, or holds more."""
    try:
        return path.read_bytes() if path.stat().st_size <= most else b""
    except OSError:
        return b""


def _digest(path: Path) -> str:
    return _sha256(_read(path))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()


def _plain(value: str) -> str:
    value = value.strip(" \t\n")
    if value[:1] == '"':
        return _QUOTED.sub(_meant, value[1:-1])
    value = re.sub(r"[ \t]*\n[ \t]+", " ", value)
    return value[1:-1].replace("''", "'") if value[:1] == "'" else value


def _meant(found: re.Match[str]) -> str:
    """Return what YAML means by an escape, or by a line's end, between double quotes."""
    code, end, sign = found.groups()
    if code:
        return chr(int(code[1:], 16))
    return "" if end else (sign or " ").translate(_ESCAPES)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _same(version: str) -> str:
    """Return a version as an index would compare it: 1.17 is 1.17.0."""
    return re.sub(r"(\.0)+\Z", "", version.lower())


def hidden(text: str) -> str:
    """Return a text with passwords and tokens in its addresses hidden; a name alone is none."""
    return re.sub(r"(\w://)([^\s/@:]*:[^\s/@]+|[^\s/@]{20,})@", r"\1********@", text)


def git(root: Path, *words: str) -> str:
    """Return what git says; nothing where it says no."""
    return run(["git", *words], root).stdout


def run(command: Sequence[str], root: Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, in `root` and without anybody to ask; 127 where there is none."""
    try:
        return subprocess.run(
            command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
            errors="replace", check=False,
        )  # fmt: skip
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], Path(__file__).resolve().parent.parent))
