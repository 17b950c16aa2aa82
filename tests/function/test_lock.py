"""The hash lock: what is read from one, and which ones are refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from hashlib import sha256
from pathlib import Path

import bootstrap
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.core.events import Reporter
from pipeline.core.manifest import Dependency
from pipeline.function.python.hash_lock import check_lock, locked, pick, read_lock, with_wheels
from pipeline.package.aws_client import DISTRIBUTIONS
from pipeline.project.tables import normal

from maintain.locks import FUNCTION_LOCK, write_locks
from tests.generated.repository import PYTHON
from tests.project.values_support import machine
from tests.repositories import ROOT
from tests.words import assert_said, refused

ONE, TWO = "0" * 64, "1" * 64
LOCK = f"""\
# A comment.
boto3==1.40.0 \\
    --hash=sha256:{TWO} \\
    --hash=sha256:{ONE}
Jinja2_Time==0.2 ; python_version >= '3.11' \\
    --hash=sha256:{ONE}
# another
zope.interface==7.1; sys_platform == 'linux' --hash=sha256:{TWO}
"""
package_names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,10}[A-Za-z0-9])?", fullmatch=True)


def test_a_lock_is_read() -> None:
    """Names, versions and sorted hashes; markers and comments are not part of them."""
    assert locked(LOCK) == (
        Dependency("Jinja2_Time", "0.2", (f"sha256:{ONE}",)),
        Dependency("boto3", "1.40.0", (f"sha256:{ONE}", f"sha256:{TWO}")),
        Dependency("zope.interface", "7.1", (f"sha256:{TWO}",)),
    )


@given(st.lists(st.tuples(package_names, st.integers(0, 99)), unique_by=lambda pair: pair[0]))
def test_every_entry_is_found(entries: list[tuple[str, int]]) -> None:
    """Whatever the names are, each entry comes out once, sorted, with its own hash."""
    text = "".join(
        f"{name}=={version}.0 \\\n    --hash=sha256:{version:064x}\n" for name, version in entries
    )
    found = [(item.name, item.version, item.hashes) for item in locked(text)]
    assert found == sorted((n, f"{v}.0", (f"sha256:{v:064x}",)) for n, v in entries)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_lock_that_powershell_wrote(tmp_path: Path, encoding: str) -> None:
    """Its mark and its line ends make no other packages."""
    (tmp_path / "lock.txt").write_bytes(LOCK.replace("\n", "\r\n").encode(encoding))
    assert read_lock(tmp_path, "lock.txt") == LOCK


def test_a_lock_that_is_no_text(tmp_path: Path) -> None:
    """The file is named, and what to do."""
    (tmp_path / "lock.txt").write_bytes(LOCK.encode("utf-16-le"))
    with refused("lock.txt:1", PipelineError):
        read_lock(tmp_path, "lock.txt")


def test_a_part_of_a_lock_is_itself_a_lock() -> None:
    """The named packages with all their hashes, whatever way the names are written."""
    part = pick(LOCK, ["jinja2-time", "boto3"])
    assert [item.name for item in locked(part)] == ["Jinja2_Time", "boto3"]
    assert locked(part)[1] == locked(LOCK)[1]
    check_lock("part.txt", part, ["boto3"])


def test_a_good_lock_is_taken() -> None:
    """Names compare as indexes compare them; extras do not matter, the versions fit."""
    check_lock("x", LOCK, ["Boto3[crt]>=1.40", "jinja2.time", "zope-interface~=7.0"])
    check_lock("x", "# nothing\n", [])


def test_a_requirement_for_other_pythons_may_be_missing() -> None:
    """One with a marker need not be locked for the function's Python."""
    check_lock("x", LOCK, ["boto3", "tomli; python_version < '3.11'"])


def test_a_requirement_that_the_lock_does_not_fit_is_named() -> None:
    """Nothing of it is locked, or a version that it does not take any more."""
    said: list[str] = []
    for requirement in (
        "Requests>=2",
        "Boto3[crt]>=1.41",
        "zope_interface~=6.0; python_version > '3'",
        "jinja2.time<0.2",
    ):
        with refused("lock.txt", PipelineError, said=said):
            check_lock("lock.txt", LOCK, ("boto3", requirement))
    assert_said("\n".join(said))


def test_addresses_and_options_are_refused() -> None:
    """Where packages come from is the machine's affair: the line is named with its number."""
    said: list[str] = []
    for line in (
        "--index-url https://packages.example.com/simple",
        "--extra-index-url=https://packages.example.com/simple",
        "-i https://packages.example.com/simple",
        "-e ../elsewhere",
        "-r other.txt",
        "git+ssh://git@example.com/boto3.git",
        "boto3 @ https://files.example.com/boto3.whl",
        "boto3 @ file:///tmp/boto3.whl",
        "--find-links wheels",
    ):
        with refused("lock.txt:2", PipelineError, said=said):
            check_lock("lock.txt", f"# first\n{line}\n{LOCK}", ())
    assert_said("\n".join(said))


@pytest.mark.parametrize("hashes", ["", "--hash=md5:00", f"--hash=sha256:{ONE[1:]}"])
def test_an_entry_without_a_hash_is_refused(hashes: str) -> None:
    """Another algorithm or a cut hash is none."""
    with refused("lock.txt", PipelineError):
        check_lock("lock.txt", f"six==1.17.0 {hashes}\n", ())


@given(package_names)
def test_names_normalise_once(name: str) -> None:
    """A normal name stays as it is, and no case, dot or underscore makes a difference."""
    assert normal(normal(name)) == normal(name)
    assert normal(name.upper().replace("-", "_")) == normal(name.lower().replace("_", "."))


WHEELS = f"""\
lock-version = "1.0"
[[packages]]
name = "boto3"
[[packages.wheels]]
url = "https://files.example.com/x/boto3-1.40.0%2Bcpu-cp313-cp313-linux_x.manylinux_2_17_x.whl"
hashes = {{ sha256 = "{ONE}" }}
[[packages]]
name = "zope-interface"
wheels = [{{ path = "wheels/zope_interface-7.1-py2.py3-none-any.whl", hashes = {{ md5 = "0" }} }}]
"""
BOTO3 = pick(LOCK, ["boto3"])
TAGS = ("cp313-cp313-linux_x", "cp313-cp313-manylinux_2_17_x")


def test_a_lock_says_which_hash_is_which_wheels() -> None:
    """The file names stand in comments behind the hashes, without addresses."""
    text = with_wheels(BOTO3, WHEELS)
    added = [line for line in text.splitlines() if line not in BOTO3.splitlines()]
    name = "boto3-1.40.0+cpu-cp313-cp313-linux_x.manylinux_2_17_x.whl"
    assert added == [f"    # {name} sha256:{ONE}"]
    check_lock("x", text, ["boto3"])
    assert locked(text) == locked(BOTO3)
    assert with_wheels(LOCK, 'lock-version = "1.0"') == LOCK


@pytest.mark.parametrize(
    ("text", "tags", "hashes"),
    [
        (with_wheels(BOTO3, WHEELS), TAGS[::-1], [ONE]),
        (with_wheels(BOTO3, WHEELS), TAGS[:1], [ONE, TWO]),
        (with_wheels(BOTO3, WHEELS), (), [ONE, TWO]),
        (BOTO3, TAGS, [ONE, TWO]),
        (
            with_wheels(BOTO3, WHEELS).replace(f"whl sha256:{ONE}", f"whl sha256:{'2' * 64}"),
            TAGS,
            [ONE, TWO],
        ),
    ],
)
def test_an_installed_wheel_has_one_hash(
    text: str, tags: tuple[str, ...], hashes: list[str]
) -> None:
    """Its tags say which file it was; otherwise, and in older locks, all accepted ones remain."""
    found = next(item for item in locked(text, {"boto3": tags}) if item.name == "boto3")
    assert found.hashes == tuple(f"sha256:{digest}" for digest in hashes)


@pytest.mark.slow
def test_pip_and_uv_read_a_lock_with_wheels(tmp_path: Path) -> None:
    """With required hashes, as the set-up and a restore call them."""
    name = "tiny-1.0-py3-none-any.whl"
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = sha256((tmp_path / name).read_bytes()).hexdigest()
    pylock = f'[[packages]]\nwheels = [{{ name = "{name}", hashes = {{ sha256 = "{digest}" }} }}]\n'
    plain = f"tiny==1.0 \\\n    --hash=sha256:{digest} \\\n    --hash=sha256:{ONE}\n"
    lock = tmp_path / "lock.txt"
    lock.write_text(with_wheels(plain, pylock) + "# the end\n", encoding="utf-8")
    assert f"# {name} sha256:{digest}" in lock.read_text(encoding="utf-8")
    where = ["--no-index", "--find-links", tmp_path, "--require-hashes", "-r", lock]
    pip = [PYTHON, "-m", "pip", "install", "--quiet"]
    uv = [bootstrap.find_uv(ROOT / "template"), "pip", "install", "--quiet"]
    for number, program in enumerate((pip, uv)):
        target = tmp_path / str(number)
        command = [str(word) for word in (*program, "--target", target, *where)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (target / "tiny.py").is_file()


@pytest.mark.slow
def test_our_locks_fit_what_they_are_made_from(tmp_path: Path) -> None:
    """Locking again changes nothing, and uses the uv of the development lock: the only one here."""
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / FUNCTION_LOCK).parent.mkdir(parents=True)
    (tmp_path / "template" / "scripts").mkdir()
    scripts = tmp_path / "template" / "scripts"
    for path in (ROOT / "template" / "scripts").glob("requirements-*.txt"):
        shutil.copy(path, scripts)
    locks = [tmp_path / "requirements" / "dev.txt", *scripts.iterdir()]
    before = [path.read_bytes() for path in locks]
    write_locks(machine(tmp_path, os.environ), Reporter(lambda _: None, lambda: 0.0), upgrade=False)
    assert [path.read_bytes() for path in locks] == before


def test_the_tool_lock_names_the_wheels_of_the_client() -> None:
    """They travel in every package, so its bill of materials has their hashes."""
    text = (ROOT / "template/scripts/requirements-build.txt").read_text(encoding="utf-8")
    pure = dict.fromkeys(DISTRIBUTIONS, ("py3-none-any",))
    both = dict.fromkeys(DISTRIBUTIONS, ("py2-none-any", "py3-none-any"))
    for name in DISTRIBUTIONS:
        found = [
            {item.name: item.hashes for item in locked(text, tags)}[name] for tags in (pure, both)
        ]
        assert sorted(map(len, found)) == [1, 2], name
