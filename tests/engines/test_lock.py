"""The hash lock: what is read from one, and which ones are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.engines.lock import check_lock, locked, normal, pick
from pipeline.errors import PipelineError
from pipeline.values.manifest import Dependency

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


def refused(text: str, *requirements: str) -> PipelineError:
    """Return the error that a lock is refused with."""
    with pytest.raises(PipelineError) as error:
        check_lock("requirements/function.txt", text, requirements)
    assert "Run `invoke lock`." in error.value.then
    return error.value


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


def test_a_part_of_a_lock_is_itself_a_lock() -> None:
    """The named packages with all their hashes, whatever way the names are written."""
    part = pick(LOCK, ["jinja2-time", "boto3"])
    assert [item.name for item in locked(part)] == ["Jinja2_Time", "boto3"]
    assert locked(part)[1] == locked(LOCK)[1]
    check_lock("part.txt", part, ["boto3"])


def test_a_good_lock_is_taken() -> None:
    """Names compare as indexes compare them; extras and limits do not matter."""
    check_lock("x", LOCK, ["Boto3[crt]>=1.40", "jinja2.time", "zope-interface~=7.0"])
    check_lock("x", "# nothing\n", [])


def test_a_requirement_for_other_pythons_may_be_missing() -> None:
    """One with a marker need not be locked for the function's Python."""
    check_lock("x", LOCK, ["boto3", "tomli; python_version < '3.11'"])


def test_a_requirement_that_is_not_locked_is_named() -> None:
    """The error names it as it is written."""
    error = refused(LOCK, "boto3", "Requests>=2")
    assert error.where == "requirements/function.txt"
    assert error.what == "Requests is in pyproject.toml but not in the lock"


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example.com/simple",
        "--extra-index-url=https://packages.example.com/simple",
        "-i https://packages.example.com/simple",
        "-e ../elsewhere",
        "-r other.txt",
        "git+ssh://git@example.com/boto3.git",
        "boto3 @ https://files.example.com/boto3.whl",
        "boto3 @ file:///tmp/boto3.whl",
        "--find-links wheels",
    ],
)
def test_addresses_and_options_are_refused(line: str) -> None:
    """Where packages come from is the machine's affair: the line is named with its number."""
    error = refused(f"# first\n{line}\n{LOCK}")
    assert error.where == "requirements/function.txt:2"
    assert repr(line) in error.what


@pytest.mark.parametrize("hashes", ["", "--hash=md5:00", f"--hash=sha256:{ONE[1:]}"])
def test_an_entry_without_a_hash_is_refused(hashes: str) -> None:
    """Another algorithm or a cut hash is none."""
    assert refused(f"six==1.17.0 {hashes}\n").what == "six 1.17.0 has no hash"


@given(package_names)
def test_names_normalise_once(name: str) -> None:
    """A normal name stays as it is, and no case, dot or underscore makes a difference."""
    assert normal(normal(name)) == normal(name)
    assert normal(name.upper().replace("-", "_")) == normal(name.lower().replace("_", "."))
