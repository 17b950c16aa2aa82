"""What settings leave out of a function zip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from pipeline.engines.left_out import SDK, files_of_tests, needed, sdk_files

_REAL = {
    "boto3": ["botocore<1.45,>=1.44", "jmespath<2,>=0.7.1", "s3transfer<0.20,>=0.19"],
    "botocore": ["jmespath<2", "python-dateutil<3,>=2.1", 'urllib3<3; python_version >= "3.10"'],
    "s3transfer": ["botocore<2", 'botocore[crt]<2; extra == "crt"'],
    "python-dateutil": ["six>=1.5"],
    "jmespath": [],
    "six": [],
    "urllib3": [],
}


def _distribution(site: Path, name: str, requires: Sequence[str], files: Sequence[str]) -> None:
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    lines = [f"Requires-Dist: {line}" for line in requires]
    (info / "METADATA").write_text("\n".join([f"Name: {name}", "Version: 1.0", *lines, "", ""]))
    names = [*files, f"{info.name}/METADATA", f"{info.name}/RECORD"]
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in names))
    for file in files:
        _write(site, {file: ""})


def _write(site: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)


def test_the_sdk_goes_as_a_whole() -> None:
    """With boto3 alone nothing of it stays."""
    assert needed(_REAL, ["boto3>=1.40"]) & set(SDK) == set()


def test_what_another_dependency_needs_stays() -> None:
    """When pandas needs dateutil, and that needs six, both stay and the rest goes."""
    assert needed({**_REAL, "pandas": ["python-dateutil>=2.8.2"]}, ["pandas", "boto3"]) == {
        "pandas",
        "python-dateutil",
        "six",
    }


def test_what_the_project_names_itself_stays() -> None:
    """A package that the function imports by itself is not left to the runtime's version."""
    assert needed(_REAL, ["boto3", "urllib3>=2"]) == {"urllib3"}


def test_a_dependency_on_boto3_keeps_all_of_it() -> None:
    """Where a dependency that stays requires boto3, its version is not the runtime's to choose."""
    assert needed({**_REAL, "awswrangler": ["boto3>=1.20"]}, ["awswrangler"]) >= set(SDK)


def test_extras_count_when_asked_for() -> None:
    """A requirement of an extra counts only where somebody asks for that extra."""
    requires = {**_REAL, "tool": ['jmespath>=1; extra == "query"']}
    assert "jmespath" not in needed(requires, ["tool"])
    assert "jmespath" in needed(requires, ["tool[query]>=1"])


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.lists(st.sampled_from([*SDK, "a", "b", "c"])),
    )
)
def test_what_stays_is_complete(others: dict[str, list[str]]) -> None:
    """Everything that stays finds what it requires, and nothing but the SDK ever goes."""
    stays = needed({**_REAL, **others}, ["boto3"])
    for name, required in others.items():
        assert {name, *required} <= stays
    if "boto3" in stays:
        assert stays >= set(SDK)
    if "python-dateutil" in stays:
        assert "six" in stays


def test_files_of_the_sdk(tmp_path: Path) -> None:
    """A distribution goes with all files its RECORD names, metadata included."""
    _distribution(tmp_path, "boto3", ["six"], ["boto3/__init__.py", "boto3/data/x.json"])
    _distribution(tmp_path, "six", [], ["six.py"])
    _distribution(tmp_path, "Other_Tool", ["six"], ["other/__init__.py"])
    left_out = sdk_files(tmp_path, ["boto3", "other-tool"])
    assert left_out >= {"boto3/__init__.py", "boto3/data/x.json", "boto3-1.0.dist-info/METADATA"}
    assert not any(name.startswith(("six", "other", "Other")) for name in left_out)


def _left_out(site: Path, files: Mapping[str, str]) -> set[str]:
    _write(site, files)
    return set(files_of_tests(site, list(files)))


def test_tests_inside_packages_go(tmp_path: Path) -> None:
    """Folders `tests` and `test` of a package go with everything in them."""
    files = {
        "p/__init__.py": "",
        "p/tests/__init__.py": "from p.tests import helper",
        "p/tests/data/large.csv": "",
        "p/sub/__init__.py": "# the tests are in p.sub.test",
        "p/sub/test/test_a.py": "import p.tests.helper",
        "p/testing.py": "",
    }
    assert _left_out(tmp_path, files) == {
        "p/tests/__init__.py",
        "p/tests/data/large.csv",
        "p/sub/test/test_a.py",
    }


def test_packages_named_test_stay(tmp_path: Path) -> None:
    """A top-level `tests` or `test`, or one in a folder that is no package, is left alone."""
    files = {"tests/__init__.py": "", "test/a.py": "", "data/tests/a.txt": "", "p/test.py": ""}
    assert _left_out(tmp_path, files) == set()


def test_imported_tests_stay(tmp_path: Path) -> None:
    """A test folder that the package itself imports, in any form, is part of it."""
    imports = {
        "absolute": "import p.absolute.tests.helper",
        "from_it": "from p.from_it.tests import helper",
        "name": "def late():\n    from p.name import test",
        "relative": "from .tests import helper",
        "above": "from ..above.tests.helper import x",
        "text": "import importlib\nimportlib.import_module('p.text.tests.helper')",
    }
    files = {"p/__init__.py": ""}
    for name, source in imports.items():
        folder = "test" if name == "name" else "tests"
        files |= {
            f"p/{name}/__init__.py": source,
            f"p/{name}/{folder}/__init__.py": "",
            f"p/{name}/{folder}/helper.py": "",
        }
    files |= {"p/unused/__init__.py": "", "p/unused/tests/helper.py": ""}
    assert _left_out(tmp_path, files) == {"p/unused/tests/helper.py"}


def test_a_module_that_cannot_be_parsed_imports_nothing(tmp_path: Path) -> None:
    """A file for another Python, or a template, does not stop the others from being read."""
    files = {
        "p/__init__.py": "",
        "p/template.py": "import {{ tests }}",
        "p/tests/a.py": "",
    }
    assert _left_out(tmp_path, files) == {"p/tests/a.py"}
