"""Update this repository to another release of the template, or change an answer, with proof.

  --to VERSION         The release, like v1.2.3; the newest by default
  --preview            Do all of it in a clone, and change nothing here
  --answer NAME=VALUE  Another answer, by its name in .copier-answers.yml; may be repeated
  --no-build           Run nothing of the repository: its build server is the proof
  -j, --json           One JSON document on standard output

It fetches the release and hands over to *that* release's update.py, in a new process, so that a
fault of an old one can be mended. It imports the standard library and doctor.py, nothing else.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 ours are not the release's, 4 conflicts are left.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import doctor
from doctor import DoctorError

_USAGE = "usage: update [--to VERSION] [--preview] [--answer NAME=VALUE ...] [--no-build] [--json]"
# A release, or as git describes a commit above one.
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-(\d+)-g[0-9a-f]+)?\Z")
SHARED = re.compile(r"(pyproject\.toml|tasks\.py|\.gitignore|\.gitattributes|src/[^/]+\.nuspec)\Z")
_PATCH, _MESSAGE = ".pipeline/update/yours.patch", ".pipeline/update/message.txt"
_SOLVE = "Keep what is right between the markers, and say so with git add."


class Options(NamedTuple):
    """The command line. `apply` is the clone of the release that runs; then `to` is its name.

    With `no_build` nothing of the repository runs: what it proves is left to a build server.
    """

    to: str = ""
    answers: tuple[str, ...] = ()
    preview: bool = False
    json: bool = False
    no_build: bool = False
    root: str = ""
    apply: str = ""


def main(words: Sequence[str], root: Path) -> int:
    """Run a command line; return the exit code."""
    if {"--help", "-h"} & {*words}:
        sys.stdout.write(f"{_USAGE}\n\n{__doc__}")
        return 0
    try:
        options = _options(words)
        root = Path(options.root) if options.root else root
        if options.apply:
            _refuse_answers(options.answers, root, Path(options.apply))
            return _apply(options, root, Path(options.apply))
        return _hand_over(options, words, root)
    except DoctorError as error:
        sys.stderr.write(f"update: {error}\n")
        if {"--json", "-j"} & {*words}:
            document = {"error": {"where": "update", "what": str(error), "then": ""}}
            sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return error.code


def _options(words: Sequence[str]) -> Options:
    given: dict[str, Any] = {}
    rest = [part for word in words for part in (word.split("=", 1) if _is_equal(word) else [word])]
    while rest:
        word = rest.pop(0)
        if word in ("--verbose", "-v"):
            continue  # Every verb has it; here all is said as it is.
        if word in ("--preview", "--no-build", "--json", "-j"):
            given["json" if word == "-j" else word[2:].replace("-", "_")] = True
        elif word in ("--to", "--root", "--apply") and rest:
            given[word[2:]] = rest.pop(0)
        elif word == "--answer" and rest and "=" in rest[0]:
            given["answers"] = (*given.get("answers", ()), rest.pop(0))
        else:
            raise DoctorError(f"{word!r} is not understood.\n{_USAGE}", 2)
    return Options(**given)


def _is_equal(word: str) -> bool:
    return word.startswith("--") and "=" in word


def _hand_over(options: Options, words: Sequence[str], root: Path) -> int:
    """Fetch the release that is asked for, and run its update.py."""
    now = str(doctor.answers(root).get("_commit", ""))
    with tempfile.TemporaryDirectory(prefix="update-") as folder:
        clone = doctor.fetch(root, Path(folder), "HEAD")
        to = options.to or (now if options.answers else _newest(_git(clone, "tag").split()))
        if to == now and not options.answers:
            sys.stderr.write(f"update: {now} is the newest release, and this repository has it.\n")
            return _end(options, {"from": now, "to": now})
        if not (options.to or options.answers) and _order(to) < _order(now):
            sys.stderr.write(f"update: {now} is newer than the newest release, which is {to}.\n")
            return _end(options, {"from": now, "to": now})
        _refuse_an_unknown(now, clone)
        if doctor.run(["git", "checkout", "--quiet", "--detach", to, "--"], clone).returncode:
            raise DoctorError(f"the template has no release {to!r}.", 2)
        _refuse_the_way_back(to, now, clone)
        theirs = clone / "template" / "scripts" / "update.py"
        if not theirs.is_file():
            raise DoctorError(f"{to} is older than this verb: take a newer one.", 2)
        kept = [word for word in words if word not in ("--to", options.to, f"--to={options.to}")]
        given = ["--apply", str(clone), "--root", str(root), "--to", to]
        return subprocess.call([sys.executable, str(theirs), *kept, *given])


def _newest(tags: Sequence[str]) -> str:
    releases = [tag for tag in tags if _order(tag)[3:] == (0,)]
    if not releases:
        raise DoctorError(
            "the template has no tag of a release: say which commit with --to.\n"
            "If it has releases, in the template's repository: git push --tags"
        )
    return max(releases, key=_order)


def _order(name: str) -> tuple[int, ...]:
    """Return the numbers of a release, and how many commits are above it; () of another name."""
    found = _VERSION.match(name)
    return tuple(int(number or 0) for number in found.groups()) if found else ()


def _refuse_an_unknown(now: str, clone: Path) -> None:
    """Refuse an origin that is not in the clone: copier finds by it what the team has changed."""
    if doctor.run(["git", "rev-parse", "--verify", f"{now}^{{commit}}"], clone).returncode:
        raise DoctorError(
            f"the template does not have {now}, which this repository was rendered from.\n"
            "In the template's repository: git push --tags"
        )


def _refuse_the_way_back(to: str, now: str, clone: Path) -> None:
    """Refuse what the clone has checked out where it is older: copier cannot go back."""
    to = to if _order(to) else _git(clone, "describe", "--tags", "--always").strip()
    if () < _order(to) < _order(now):
        raise DoctorError(
            f"{to} is older than {now}, which this repository has: an update goes forward only.\n"
            "To go back: git revert, with the commit that brought the newer one.",
            2,
        )


def _refuse_answers(given: Sequence[str], root: Path, clone: Path) -> None:
    """Refuse answers to what is not asked, and other ones to what is for good."""
    known = doctor.answers(root)
    questions = (clone / "copier.yml").read_text(encoding="utf-8")
    blocks = re.findall(r"^([a-z]\w*):\n((?: .*\n|\n)*)", questions, re.MULTILINE)
    asked = sorted(name for name, block in blocks if "when: false" not in block)
    for pair in given:
        name, _, value = pair.partition("=")
        if name not in asked:
            raise DoctorError(f"--answer {name}: the questions are {', '.join(asked)}.", 2)
        # Of a runtime that is its language: python3.14.
        kinds = {
            re.sub(r"\d.*", "", text) if name == "runtime" else text
            for text in (value, str(known.get(name, value)))
        }
        if name in ("function_kind", "runtime") and len(kinds) > 1:
            what = doctor.FOR_GOOD if name == "runtime" else "What it started from is for good"
            then = "Generate another repository, and copy into its src what fits."
            raise DoctorError(f"--answer {pair}: {what}.\n{then}", 2)


def _apply(options: Options, root: Path, clone: Path) -> int:
    """Do it: this is the new release's half."""
    if left := doctor.conflicts(root):
        names = ", ".join(one.path for one in left)
        raise DoctorError(f"conflicts are left: {names}\n{_SOLVE}", 4)
    if in_the_way := _in_the_way(root, clone):
        # Copier would stop halfway, or write to where a link leads.
        raise DoctorError(
            f"something else is in place of the template's files: {', '.join(in_the_way)}\n"
            "Move it elsewhere, or bring them back (python3 tasks.py doctor --fix), and commit.",
            3,
        )
    status = _git(root, "--no-optional-locks", "status", "--porcelain")
    if not options.preview:
        if status:
            raise DoctorError(
                f"commit or remove this first, to see what the update does:\n{status.rstrip()}"
            )
        return _updated(options, root, clone)
    copy = clone.parent / "preview"
    # This may be a folder of a larger repository.
    top, folder = _git(root, "rev-parse", "--show-toplevel", "--show-prefix").split("\n")[:2]
    _git(clone, "clone", "--quiet", "--no-local", "--", top, str(copy))
    code = _updated(options, copy / folder, clone)
    _git(copy, "add", "--all")
    differs = ("diff", "--cached", "--relative")
    others = _git(copy / folder, *differs, "--stat", "HEAD", "--", ".", ":(exclude)scripts")
    ours = _git(copy / folder, *differs, "--shortstat", "HEAD", "--", "scripts")
    would = {4: "It would leave the conflicts above. ", 1: "The build of it would fail. "}
    sys.stderr.write(
        f"{others}In scripts, which is the template's:{ours.rstrip() or ' nothing'}\n\n"
        "This was a preview in a clone: nothing was changed here. "
        f"{would.get(code, '')}To do it: the same without --preview.\n"
    )
    if status:
        sys.stderr.write("What is not committed was left out, and the update wants it committed.\n")
    return code


def _in_the_way(root: Path, clone: Path) -> list[str]:
    """Return links and what else is no file, or no folder, where a release's files of ours come."""
    chosen, found = ["", *doctor.answers(root).get("build_servers", [])], set()
    for name in doctor.template_files(clone):
        if doctor.SERVERS.get(name, "") in chosen:
            path = root / name
            for place in (path, *path.parents[: name.count("/")]):
                is_right = place.is_file() if place == path else place.is_dir()
                if place.is_symlink() or (place.exists() and not is_right):
                    found.add(place.relative_to(root).as_posix())
    return sorted(found)


def _updated(options: Options, root: Path, clone: Path) -> int:
    say = _printer(options)
    old, known = str(doctor.answers(root)["_commit"]), (root / doctor.ANSWERS).read_bytes()
    _refuse_an_unknown(old, clone)
    _refuse_the_way_back(options.to, old, clone)
    copier = _copier(root, clone)
    say(f"update: {', '.join(options.answers) or f'{old} to {options.to}'}")
    earlier = {} if options.no_build else _packaged(root, "package", say)[0]

    before = _rendered(copier, clone, old, known)
    data = [word for pair in options.answers for word in ("--data", pair)]
    to = ":current:" if options.to == old else options.to
    copier("update", "--skip-answered", "--vcs-ref", to, *data, str(root))
    after = _rendered(copier, clone, options.to, (root / doctor.ANSWERS).read_bytes())

    keep = doctor.kept_folder(root)
    saved = _save_what_went(root, before, keep)
    replaced = _put_back(root, before, after, clone, keep)
    patch = _patch_of_yours(root, before, after)
    applied = bool(patch) and options.to == old and _applies(root, patch)
    changes = _between((clone / "CHANGELOG.md").read_text(encoding="utf-8"), old, options.to)
    title = f"Update the template from {old} to {options.to}"
    if options.answers:
        title = f"Change what was answered: {', '.join(options.answers)}"
    _write(root / _MESSAGE, f"{title}\n\n{changes}".rstrip().encode() + b"\n")

    if changes:
        say(f"\nWhat the template says of it\n\n{changes}")
    for name in replaced:
        say(f"  replaced   {name}: it was edited here, or missing")
    for name in saved:
        say(f"  saved      {name}: the release has no such file, and it was edited here")
    if keep.exists() and not options.preview:
        say(f"  What was there is in {keep}.")
    if applied:
        say("  The files that are yours were changed as well: look at `git diff`.")
    elif patch:
        say("  Some of what is new is in files that are yours. To take it over, look at the patch:")
        say(patch if options.preview else f"  git apply --3way {_PATCH}")
    result: dict[str, Any] = {
        "from": old, "to": options.to, "replaced": replaced, "saved": saved, "applied": applied,
        "patch": "" if not patch else patch if options.preview else _PATCH, "message": _MESSAGE,
    }  # fmt: skip
    result["conflicts"] = [one.path for one in doctor.conflicts(root)]
    if result["conflicts"]:
        for name in result["conflicts"]:
            say(f"  conflict   {name}")
        if not options.preview:
            say(_SOLVE)
            say(f"Then: python3 tasks.py build, and git commit --file {_MESSAGE}")
        return _end(options, result, 4)
    later, built = ({}, 0) if options.no_build else _packaged(root, "build", say)
    result["package"] = _compared(earlier, later, say)
    if built:
        say("The update is in the work tree, and the build of it fails: the lines above say why.")
    elif not options.preview:
        say(f"To keep it: git add --all && git commit --file {_MESSAGE}")
    return _end(options, result, 1 if built else 0)


def _copier(root: Path, clone: Path) -> Callable[..., None]:
    """Return what runs copier, from the release's own lock."""
    import bootstrap  # noqa: PLC0415 - the release's; the first half must do without

    try:
        python = bootstrap.environment(clone / "template", root, "update")
    except bootstrap.BootstrapError as error:
        raise DoctorError(str(error)) from None

    def run(verb: str, *words: str) -> None:
        # Isolated: else Python would import what lies in the repository's folder.
        command = [str(python), "-I", "-m", "copier", verb, "--quiet", "--defaults", *words]
        done = doctor.run(command, root)
        if done.returncode:
            said = done.stderr.strip()
            # It shows a trace of an answer that it does not take, and says at its end why.
            why = said.splitlines()[-1] if "Traceback (most recent call last)" in said else said
            raise DoctorError(f"copier {verb} failed: {why}")

    return run


def _rendered(copier: Callable[..., None], clone: Path, ref: str, answers: bytes) -> Path:
    """Render a release with the answers of a repository; return the folder."""
    folder = Path(tempfile.mkdtemp(dir=clone.parent))
    (folder / "answers.yml").write_bytes(answers)
    given = ["--vcs-ref", ref, "--data-file", str(folder / "answers.yml")]
    copier("copy", *given, str(clone), str(folder / "render"))
    return folder / "render"


def _save_what_went(root: Path, before: Path, keep: Path) -> list[str]:
    """Keep files that the update removed and somebody had edited: copier loses them silently."""
    saved = []
    for name in _differing(root, "D", "HEAD"):
        if _at_head(root, name) != _lf(before / name):
            _write(keep / name, _at_head(root, name))
            saved.append(name)
    return saved


def _put_back(root: Path, before: Path, after: Path, clone: Path, keep: Path) -> list[str]:
    """Make ours those of the release, prove it, and return what had to be replaced or removed."""
    now = {name for name in doctor.template_files(clone) if (after / name).is_file()}
    old = {*doctor.entries((before / doctor.MANIFEST).read_text(encoding="utf-8"))}
    gone = {name for name in old - now if (before / name).is_file()}
    wrong = [name for name in now if _lf(root / name) != _lf(after / name)]
    wrong += [name for name in gone if (root / name).is_file()]
    head = {*_git(root, "ls-tree", "-r", "--name-only", "-z", "HEAD").split("\0")}
    edited = [
        name
        for name in sorted(old & now)
        if name not in head or _at_head(root, name) != _lf(before / name)
    ]
    for name in {*edited} & head - {*wrong}:
        # Copier has merged or replaced it already; what was there is in git only.
        _write(keep / name, _at_head(root, name))
    doctor.replace(root, wrong, clone, keep)
    if ours := sorted({*_differing(root, "U")} & (now | gone)):
        _git(root, "reset", "--quiet", "--", *ours)
    if still := [name for name in sorted(now) if _lf(root / name) != _lf(after / name)]:
        raise DoctorError(f"not as a fresh render has it: {', '.join(still)}", 3)
    return sorted({*edited, *wrong})


def _patch_of_yours(root: Path, before: Path, after: Path) -> str:
    """Return what two renders have changed in zone *yours*, as a patch; copy both sides beside."""
    sides = Path(tempfile.mkdtemp(dir=before.parent))
    # Git takes no other names from a patch than those below the top of a larger repository.
    folder = _git(root, "rev-parse", "--show-prefix").strip("\n")
    manifests = [_lf(side / doctor.MANIFEST).decode() for side in (before, after)]
    ours = {
        doctor.MANIFEST,
        doctor.ANSWERS,
        *(n for text in manifests for n in doctor.entries(text)),
    }
    for side, other, short in ((before, after, "a"), (after, before, "b")):
        (sides / short).mkdir()
        for path in side.rglob("*"):
            name = path.relative_to(side).as_posix()
            if not path.is_file() or name in ours or SHARED.match(name):
                continue
            # Who removed a file, or has the new one already, need not hear of it.
            wanted = (root / name).is_file() if (before / name).is_file() else True
            if wanted and _lf(path) != _lf(other / name) and _lf(root / name) != _lf(after / name):
                _write(sides / short / folder / name, path.read_bytes())
    words = ["diff", "--no-index", "--no-prefix", "--find-renames", "--binary", "a", "b"]
    patch = doctor.run(["git", *words], sides).stdout
    if patch:
        _write(root / _PATCH, patch.encode())
    return patch


def _applies(root: Path, patch: str) -> bool:
    """Apply a patch whole, or not at all."""
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"],
        cwd=root, input=patch.encode(), capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def _between(changelog: str, old: str, new: str) -> str:
    """Return the changelog's sections above one release up to another."""
    low, high = _order(old)[:3], _order(new)[:3]
    wanted = []
    for section in re.split(r"^(?=## )", changelog, flags=re.MULTILINE):
        version = _order(f"v{section[3:].split(maxsplit=1)[0]}")[:3] if section[3:].strip() else ()
        if () < low < version and (not high or version <= high):
            wanted.append(section.strip())
    return "\n\n".join(wanted)


def _packaged(root: Path, verb: str, say: Callable[[str], None]) -> tuple[Mapping[str, int], int]:
    """Run a verb that makes the package; return the checksums of what is in it, and its code."""
    done = doctor.run([sys.executable, str(root / "tasks.py"), verb, "--json"], root)
    try:
        package = Path(json.loads(done.stdout)["package"])
    except (ValueError, LookupError):
        say(f"{verb} of this repository fails:\n{done.stderr.strip()}")
        return {}, done.returncode or 1
    with zipfile.ZipFile(package) as outer:
        found = {info.filename: info.CRC for info in outer.infolist()}
        with outer.open("function.zip") as inner, zipfile.ZipFile(inner) as function:
            found.update({f"function.zip/{i.filename}": i.CRC for i in function.infolist()})
    return found, done.returncode


def _compared(
    earlier: Mapping[str, int], later: Mapping[str, int], say: Callable[[str], None]
) -> dict[str, list[str]]:
    """Say what is different in the package, by what that comes from."""
    origins = {
        "function.zip/": "the function and its dependencies: src, requirements",
        "pipeline/": "the deploy half, which the template brings",
        "client/": "the AWS client, which scripts/requirements-build.txt names",
        "": "what the package says of itself, and what the nuspec adds",
    }
    found: dict[str, list[str]] = {}
    if earlier and later:
        for name in sorted(earlier.keys() | later.keys()):
            # Each build has its own version and date in these.
            if earlier.get(name) != later.get(name) and not re.search(r"\.psmdcp\Z|^_rels/", name):
                origin = next(text for start, text in origins.items() if name.startswith(start))
                if name != "function.zip":
                    found.setdefault(origin, []).append(name)
        same = earlier["function.zip"] == later["function.zip"]
        say(f"In the package, function.zip {'has the same bytes' if same else 'is another one'}.")
        for origin, names in found.items():
            more = f" and {len(names) - 4} more" if names[4:] else ""
            say(f"  {origin}: {', '.join(names[:4])}{more}")
    return found


def _end(options: Options, result: Mapping[str, Any], code: int = 0) -> int:
    if options.json:
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return code


def _printer(options: Options) -> Callable[[str], None]:
    def say(text: str) -> None:
        (sys.stderr if options.json else sys.stdout).write(f"{text}\n")

    return say


def _differing(root: Path, how: str, *than: str) -> list[str]:
    """Return the names of files that git's letter `how` is true of."""
    found = _git(root, "diff", "--name-only", "--relative", "-z", f"--diff-filter={how}", *than)
    return found.split("\0")[:-1]


def _at_head(root: Path, name: str) -> bytes:
    command = ["git", "show", f"HEAD:./{name}"]
    found = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    return found.replace(b"\r\n", b"\n")


def _lf(path: Path) -> bytes:
    return path.read_bytes().replace(b"\r\n", b"\n") if path.is_file() else b""


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _git(folder: Path, *words: str) -> str:
    done = doctor.run(["git", *words], folder)
    if done.returncode:
        raise DoctorError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], Path(__file__).resolve().parent.parent))
