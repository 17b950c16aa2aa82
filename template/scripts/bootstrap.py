"""Make `.venv` from the hash-locked tooling, then run the pipeline in it.

Standalone: standard library only, imports nothing of ours, so that it works on a machine
with nothing but Python and git, and still works when the shared library is broken.
"""

# ruff: noqa: E402 - a Ctrl-C during the imports must not show a trace either

from __future__ import annotations

import sys


def _without_interrupts(kind: type[BaseException], *rest: Any) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, *rest)


sys.excepthook = _without_interrupts

import contextlib
import functools
import hashlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

LOCKS = {
    "build": "scripts/requirements-build.txt",
    "local": "scripts/requirements-local.txt",
    "check": "scripts/requirements-check.txt",
    "update": "scripts/requirements-update.txt",
}
# Verbs that need no `.venv`: files beside this one that work when the library is broken.
_STANDALONE = ("doctor", "update")
_OURS = ("pipeline", "doctor", "update", "deploy", "bootstrap")
_RESTORE = "Bring it back: python3 tasks.py doctor --fix"
# What asks for a document on standard output, also when there is no verb yet that could give it.
JSON = frozenset(("--json", "-j", "-jv", "-vj"))
_WINDOWS = os.name == "nt"
_UV_WHEEL = "uv.whl"
# uv's settings of where packages come from.
_SOURCES = (
    "index", "index-url", "extra-index-url", "no-index", "find-links", "index-strategy",
    "keyring-provider", "allow-insecure-host", "native-tls", "system-certs",
)  # fmt: skip
_CTRL_C = (-2, 0xC000013A)
_NO_PIP = (
    "this Python has neither pip nor the venv module, so the tooling cannot be fetched.\n"
    "Install them (on Debian and Ubuntu: apt install python3-pip python3-venv)."
)


class BootstrapError(Exception):
    """The tooling cannot be set up; the message says why and what to do next."""


def hand_over(root: Path, module: str, lock: str = LOCKS["build"]) -> None:
    """Return in the Program's own process only; else run it as a child and exit with its code.

    `module` is the caller's `__name__`: any `invoke` imports `tasks.py`, the Program runs it.
    A child, not an `exec`: on Windows that would return to the shell before the work is done.
    """
    try:
        if lock == LOCKS["build"] and sys.argv[1:2] and sys.argv[1] in _STANDALONE:
            raise SystemExit(_standalone(root, sys.argv[1], sys.argv[2:]))
        _ensure(root, lock, lock)
        if module == "__main__" and Path(sys.prefix).resolve() == (root / ".venv").resolve():
            sys.excepthook = functools.partial(_explained, root)
            return
        # What git, uv and AWS say is UTF-8, whatever the locale of this machine is.
        python = [str(venv_python(root)), "-X", "utf8"]
        code = _run([*python, str(root / "tasks.py"), *sys.argv[1:]])
    except BootstrapError as error:
        _refuse(error, "" if "Bring it back" in str(error) else blame(root))
        code = 1
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)


def _standalone(root: Path, verb: str, words: Sequence[str]) -> int:
    import importlib  # noqa: PLC0415 - see uv_settings

    try:
        return int(importlib.import_module(verb).main(words, root))
    except (ImportError, SyntaxError) as error:
        then = f"Bring it back: git checkout HEAD -- scripts/{verb}.py"
        raise BootstrapError(f"scripts/{verb}.py: {error}\n{then}") from None


def _refuse(error: BaseException, then: str) -> None:
    _say(f"setup: {error}\n{then}".rstrip())
    if JSON.intersection(sys.argv):
        document = {"where": "setup", "what": str(error), "then": then}
        sys.stdout.write(json.dumps({"error": document}, indent=2) + "\n")


def _explained(root: Path, kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if then := missing(root, error):
        _refuse(error, then)
        return
    _without_interrupts(kind, error, trace)
    if not issubclass(kind, KeyboardInterrupt) and (why := blame(root)):
        _say(why)


def missing(root: Path, error: BaseException) -> str:
    """Return what to do where a file of ours is missing, emptied or does not parse; else nothing.

    A trace would say no more.
    """
    if isinstance(error, SyntaxError):
        is_ours = Path(error.filename or "").is_relative_to(root / "scripts")
    else:
        lacking = error.obj if isinstance(error, AttributeError) else None
        name = error.name if isinstance(error, ImportError) else getattr(lacking, "__name__", "")
        is_ours = str(name).split(".")[0] in _OURS
    return blame(root) if is_ours else ""


def blame(root: Path) -> str:
    """Return what to do about files of ours that are not the template's; nothing if they are."""
    try:
        from doctor import ours  # noqa: PLC0415 - a fault may be its own

        # On that day nothing is allowed any more: an edit that is may be the cause as well.
        found = [one.path for one in ours(root, "9999") if one.kind != "line-ends"]
    except (ImportError, SyntaxError) as error:
        return f"scripts/doctor.py: {error}\nBring it back: git checkout HEAD -- scripts/doctor.py"
    except Exception:  # noqa: BLE001 - whatever it is, this only explains another error
        return ""
    more = f" and {len(found) - 3} more" if found[3:] else ""
    what = f"{', '.join(found[:3])}{more}: not as the template has it"
    return f"{what}.\nPerhaps that is why. {_RESTORE}" if found else ""


def environment(source: Path, root: Path, name: str) -> Path:
    """Return the Python of an environment with the lock of that name alone, made once a machine.

    The lock is that below `source`; where packages come from is the settings of `root`.
    """
    text = (source / LOCKS[name]).read_text(encoding="utf-8")
    folder = _cache(root) / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    (folder / "scripts").mkdir(parents=True, exist_ok=True)
    _keep(folder / LOCKS[name], text)
    _keep(folder / "uv.toml", uv_settings(root))
    _ensure(folder, LOCKS[name], LOCKS[name])
    return venv_python(folder)


def _keep(file: Path, text: str) -> None:
    """Give a file a text; another process that reads it meanwhile finds all of it, or of the last.

    It would take half a lock for another one, and install that.
    """
    import tempfile  # noqa: PLC0415 - every start of a verb imports this file

    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
            whole = Path(scratch, file.name)
            whole.write_text(text, encoding="utf-8")
            whole.replace(file)


def hold_interrupts(*, hold: bool) -> None:
    """Let a Ctrl-C wait, in this process and those it starts from now on, or let it come."""
    if not _WINDOWS:
        how = signal.SIG_BLOCK if hold else signal.SIG_UNBLOCK
        signal.pthread_sigmask(how, (signal.SIGINT,))


def ensure(root: Path, name: str) -> None:
    """Add the tooling lock of that name (a key of LOCKS) to `.venv`, unless it is there."""
    _ensure(root, LOCKS[name], LOCKS["build"])


def find_uv(root: Path, lock: str = LOCKS["build"]) -> Path:
    """Return the uv that `lock` names, fetched once a machine into the user's cache.

    The cache may have come from another machine, or be edited: the wheel stays beside the program,
    and both are held against the lock each time.
    """
    block = _block((root / lock).read_text(encoding="utf-8"), "uv")
    if not block:
        raise BootstrapError(f"{lock} does not name uv. {_RESTORE}")
    folder = _cache(root) / f"uv-{hashlib.sha256(block.encode()).hexdigest()[:16]}"
    program = folder / ("uv.exe" if _WINDOWS else "uv")
    if not _is_locked_uv(program, block):
        with _alone(folder / "fetch.lock", "another process is fetching uv"):
            if not _is_locked_uv(program, block):
                _fetch_uv(block, program)
    return program


def uv_settings(root: Path) -> str:
    """Return the repository's settings of where packages come from, as the text of a `uv.toml`.

    They are those of its own `uv.toml`, else of `[tool.uv]`. Some other ones, as constraints, keep
    uv from installing a hash lock; and uv itself would prefer those of a folder above the
    repository that calls it a member of its workspace.
    """
    import tomllib  # noqa: PLC0415 - every start of a verb imports this file

    text, table = "", None
    try:
        if (root / "uv.toml").exists():
            text = (root / "uv.toml").read_text(encoding="utf-8-sig", errors="replace")
            table = tomllib.loads(text)
        else:
            project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
            table = project["tool"]["uv"]
        return "".join(f"{key} = {_toml(table[key])}\n" for key in _SOURCES if key in table)
    except (OSError, ValueError, LookupError, TypeError):
        # What is wrong with it, uv says, or the library when it reads the project.
        return text


def _toml(value: Any) -> str:
    """Return a value as TOML, which has the texts, numbers and booleans of JSON."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False, default=str)


def _run(command: Sequence[str]) -> int:
    # A Ctrl-C while Python starts waits until the Program takes it.
    hold_interrupts(hold=True)
    child = subprocess.Popen(command)
    while True:
        try:
            hold_interrupts(hold=False)
            code = child.wait()
        except KeyboardInterrupt:
            # The terminal sent the signal to the child as well: it decides how to end.
            continue
        if code in _CTRL_C:
            return 130
        return 128 - code if code < 0 else code


def _ensure(root: Path, lock: str, primary: str) -> None:
    stamp = root / ".venv" / f".{Path(lock).stem}.sha256"
    try:
        text = (root / lock).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is not UTF-8 text"
        raise BootstrapError(f"{lock}: {why}. {_RESTORE}") from None
    wanted = hashlib.sha256(text.encode()).hexdigest()
    if _is_made(root, stamp, wanted):
        return
    try:
        with _alone(root / ".pipeline" / "setup.lock", "another process is making .venv"):
            if not _is_made(root, stamp, wanted):
                _install(root, lock, primary)
                stamp.write_text("\n".join([wanted, *sorted(_installed(root))]), encoding="utf-8")
    except OSError as error:
        raise BootstrapError(
            f"{error.filename or root}: {error.strerror}.\n"
            "The repository's folder must be writable and have room for .venv (about 150 MB)."
        ) from None


def _is_made(root: Path, stamp: Path, wanted: str) -> bool:
    try:
        made, *names = stamp.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return False
    return made == wanted and venv_python(root).exists() and _installed(root).issuperset(names)


def _installed(root: Path) -> set[str]:
    """Return the names of the modules and packages in `.venv`; one that went missing is noticed."""
    found = {path.name for site in _sites(root) for path in site.iterdir()}
    return found - {"__pycache__"}


def _damaged(root: Path) -> set[str]:
    """Return the packages in `.venv` with a file that is not as the wheel's RECORD has it."""
    import csv  # noqa: PLC0415 - every start of a verb imports this file

    wrong = set()
    for site in _sites(root):
        for record in site.glob("*.dist-info/RECORD"):
            with record.open(encoding="utf-8", errors="replace", newline="") as lines:
                for name, digest, *_ in csv.reader(lines):
                    if digest and digest != _digest(site / name):
                        wrong.add(record.parent.name.partition("-")[0])
    return wrong


def _digest(path: Path) -> str:
    """Return the hash of a file as a RECORD has it; nothing for one that cannot be read."""
    import base64  # noqa: PLC0415 - see _damaged

    try:
        digest = hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return ""
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _sites(root: Path) -> list[Path]:
    inside = "Lib/site-packages" if _WINDOWS else "lib/python*/site-packages"
    return [*(root / ".venv").glob(inside)]


def venv_python(root: Path) -> Path:
    """Return the interpreter of `.venv`, whether it is there or not."""
    return root / ".venv" / ("Scripts/python.exe" if _WINDOWS else "bin/python")


def _install(root: Path, lock: str, primary: str) -> None:
    start = time.monotonic()
    text = (root / lock).read_text(encoding="utf-8-sig")
    count = len(re.findall(r"^\S+==", text, re.MULTILINE))
    _say(f"setup: {count} locked packages from {lock} into .venv ...")
    uv = find_uv(root, primary)
    own = _own_folder(root)
    if lock == primary:
        # Without a valid stamp an earlier attempt was cut short, or the lock has changed.
        import shutil  # noqa: PLC0415 - every start of a verb imports this file

        if (root / ".venv").is_file():
            raise BootstrapError(
                f"{root / '.venv'} is a file; a folder must be there. Move it away."
            )
        shutil.rmtree(root / ".venv", ignore_errors=True)
        # An update leaves folders of an earlier layout where compiled modules lie in them.
        for folder in sorted((root / "scripts" / "pipeline").rglob("[!_]*"), reverse=True):
            if folder.is_dir() and {path.name for path in folder.iterdir()} <= {"__pycache__"}:
                shutil.rmtree(folder)
        options = ("--quiet", "--no-project", "--python", sys.executable)
        _check([uv, "venv", *options, root / ".venv"], own)
    rest = own / "requirements.txt"
    # uv itself is there already; its 20 MB need not be fetched a second time.
    rest.write_text(text.replace(_block(text, "uv"), ""), encoding="utf-8")
    command: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", venv_python(root)]
    # Copies: who edits a link to a file in uv's cache edits it for all repositories to come.
    command += ["--link-mode", "copy", "--require-hashes", "-r", rest]
    # What the cache holds needs no network.
    if _call([*command, "--offline"], own).returncode:
        _check(command, own)
    if wrong := _damaged(root):
        # So it lay in uv's cache, which forgets it, and fetches it once more.
        _check([uv, "cache", "clean", "--quiet", *wrong], own)
        _check([*command, "--reinstall"], own)
    _say(f"setup: done in {time.monotonic() - start:.1f} s")


def _own_folder(root: Path) -> Path:
    """Return a folder to run uv in, whose files end its search for a project's settings.

    Else those of the caller's folder, or of one above it, would choose the index. The repository's
    do; the user's and the machine's as well: uv has no option for that.
    """
    own = root / ".pipeline" / "setup"
    own.mkdir(parents=True, exist_ok=True)
    (own / "pyproject.toml").write_text("")
    (own / "uv.toml").write_text(uv_settings(root), encoding="utf-8")
    return own


def _is_locked_uv(program: Path, block: str) -> bool:
    """Tell whether the wheel beside the program is the lock's, and the program the wheel's."""
    import zipfile  # noqa: PLC0415 - see _damaged

    try:
        with program.with_name(_UV_WHEEL).open("rb") as wheel:
            if f"sha256:{hashlib.file_digest(wheel, 'sha256').hexdigest()}" not in block:
                return False
            with zipfile.ZipFile(wheel) as archive:
                (record,) = (n for n in archive.namelist() if n.endswith(".dist-info/RECORD"))
                listed = archive.read(record).decode()
    except OSError:
        return False
    is_listed = f".data/scripts/{program.name},{_digest(program) or '-'}," in listed
    return is_listed and os.access(program, os.X_OK)


def _fetch_uv(block: str, program: Path) -> None:
    import shutil  # noqa: PLC0415 - see _install
    import zipfile  # noqa: PLC0415

    scratch = program.parent / "fetching"
    # A killed process may have left it; nobody else fetches now.
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        requirements = scratch / "uv.txt"
        requirements.write_text(block)
        pip = [_pip(scratch), "-I", "-m", "pip", "download", "--disable-pip-version-check"]
        pip += ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
        _check([*pip, "-d", scratch, "-r", requirements], scratch)
        wheel = next(scratch.glob("uv-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            member = next(
                n for n in archive.namelist() if n.endswith(f".data/scripts/{program.name}")
            )
            archive.extract(member, scratch)
        (scratch / member).chmod(0o755)
        wheel.replace(program.with_name(_UV_WHEEL))
        (scratch / member).replace(program)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _pip(scratch: Path) -> str:
    if _call([sys.executable, "-I", "-m", "pip", "--version"], scratch).returncode == 0:
        return sys.executable
    folder = scratch / "venv"
    if _call([sys.executable, "-I", "-m", "venv", str(folder)], scratch).returncode:
        raise BootstrapError(_NO_PIP)
    return str(folder / ("Scripts/python.exe" if _WINDOWS else "bin/python"))


def _block(text: str, package: str) -> str:
    """Return the lines of one package in a lock: `name==version` and its hashes."""
    match = re.search(rf"^{package}==.*(?:\n[ \t].*)*\n", text, re.MULTILINE)
    return match[0] if match else ""


def _cache(root: Path) -> Path:
    """Return the user's cache folder, or one in the repository where no home is writable."""
    home = os.environ.get("LOCALAPPDATA") if _WINDOWS else os.environ.get("XDG_CACHE_HOME")
    for folder in (Path(home).absolute() if home else Path.home() / ".cache", root / ".pipeline"):
        with contextlib.suppress(OSError):
            (folder / "copier-lambda").mkdir(parents=True, exist_ok=True)
            if os.access(folder / "copier-lambda", os.W_OK):
                return folder / "copier-lambda"
    raise BootstrapError(f"neither the home folder nor {root} is writable. Make one of them so.")


@contextlib.contextmanager
def _alone(lock: Path, waiting: str) -> Iterator[None]:
    """Hold a lock file; the system frees it when the process dies."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+b") as handle:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - only there

            while True:
                with contextlib.suppress(OSError):
                    msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
                    break
        else:
            import fcntl  # noqa: PLC0415 - not on Windows

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say(f"setup: {waiting}; waiting for it ...")
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _call(command: Sequence[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _check(command: Sequence[str | Path], cwd: Path) -> None:
    done = _call(command, cwd)
    if done.returncode:
        words = " ".join(Path(str(word)).name for word in command[:4])
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise BootstrapError(
            f"`{words}` failed:\n{said}\n"
            "If that is the network: pip's own settings and UV_DEFAULT_INDEX choose the index."
        )


def _say(text: str) -> None:
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except (OSError, AttributeError):
        # A line that nobody can read is no reason to stop; nor is it one when Python ends.
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
