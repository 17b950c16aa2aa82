"""What a nuspec may say: the old packer is asked, the new one's rules are told."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.package.nuspec import Nuspec, parse
from pipeline.package.nuspec_rules import check_files, check_metadata, without_libraries

from tests.words import assert_said, refused

Nuget = Callable[..., "subprocess.CompletedProcess[str]"]

BASE = """<package>
<metadata>
<id>Acme.Sample</id><version>1.0.0</version><authors>Acme</authors><description>x</description>
{}
</metadata>
<files><file src="a.txt" /></files>
</package>
"""
EXPRESSION = '<license type="expression">{}</license>'
ACCEPTED = "<requireLicenseAcceptance>true</requireLicenseAcceptance>"
ADDRESS = "<licenseUrl>https://acme.example/x</licenseUrl>"

# What the client that is here refuses too.
REFUSED = [
    "<licence>MIT</licence>",
    "<Title>x</Title>",
    "<summary><b>c</b></summary>",
    '<summary lang="en">a</summary>',
    "<projectUrl>www.acme.example</projectUrl>",
    "<projectUrl>http://acme:99999/</projectUrl>",
    "<iconUrl></iconUrl>",
    f"{ACCEPTED.replace('true', 'True')}{ADDRESS}",
    "<requireLicenseAcceptance />",
    ACCEPTED,
    ACCEPTED.replace("true", "1"),
]
# What it does not know yet, and more of what it does.
REFUSED_SINCE = [
    *(
        f"<projectUrl>{address}</projectUrl>"
        for address in ("http://", "http:acme", "ftp://a b/c", "http://[::1")
    ),
    "<license>MIT</license>",
    '<license type="spdx">MIT</license>',
    '<license type="expression" />',
    '<license type="expression" version="2.0">MIT</license>',
    EXPRESSION.format("MIT") + ADDRESS,
    *(
        EXPRESSION.format(text)
        for text in (
            *("Apache 2.0", "MIT OR", "(MIT", "MIT)", "AND", "MIT and ISC", "MIT, ISC", "()"),
            *("MIT OR AND ISC", "(MIT OR ISC) WITH LLVM-exception", "MIT WITH Nothing", "MIT ISC"),
            *("MIT WITH", "WITH LLVM-exception", "MIT WITH ISC", "MIT OR(ISC AND)"),
        )
    ),
    EXPRESSION.format("GPL-2.0"),
    EXPRESSION.format("MIT OR mit"),
    "<icon></icon>",
    '<repository link="x" />',
]
TAKEN = [
    "<title /><tags></tags><language>en-GB</language><releaseNotes>a\n&lt;b&gt;</releaseNotes>",
    f"{ACCEPTED}{ADDRESS}",
    "<requireLicenseAcceptance> 0 </requireLicenseAcceptance>",
    "<projectUrl>HTTP://acme</projectUrl><iconUrl>https://acme.example/a b.png</iconUrl>",
    "<projectUrl>file:///share/x</projectUrl>",
]
TAKEN_SINCE = [
    *(
        EXPRESSION.format(text)
        for text in (
            *("MIT", "MIT OR Apache-2.0", "(MIT AND (ISC OR 0BSD))", "LicenseRef-Acme", "ISC+"),
            "Apache-2.0 WITH LLVM-exception AND MIT OR GPL-2.0-or-later",
        )
    ),
    EXPRESSION.format("MIT") + "<licenseUrl>https://licenses.nuget.org/MIT</licenseUrl>",
    '<license type="Expression" version="1.0.0">MIT</license>',
    ACCEPTED + EXPRESSION.format("MIT"),
    '<repository type="git" url="https://acme.example/x.git" /><icon>a.png</icon>',
]
# What says how others would use the package. Nobody does: it is deployed.
OF_LIBRARIES = [
    '<dependencies><dependency id="X" version="1.0" /></dependencies>',
    '<references><reference file="x.dll" /></references>',
    '<packageTypes><packageType name="Acme" /></packageTypes>',
    "<developmentDependency>true</developmentDependency>",
]

# What is around the metadata, each as (text that is there, text instead).
FRAMES = [
    ("<metadata>", '<metadata minVersion="2.8">'),
    ("<authors>Acme", "<authors> , "),
    ("<metadata>", "<metadata>text"),
    ("</package>", "<files /></package>"),
    ("</package>", "<file /></package>"),
    ('src="a.txt"', 'src="a.txt" taget="b"'),
]


def sample(inner: str, text: str = BASE) -> Nuspec:
    """Return the nuspec with more metadata."""
    return parse(text.format(inner).encode(), "src/A.nuspec")


def packs(nuget: Nuget, root: Path, text: str) -> bool:
    """Tell whether the real client makes a package of it."""
    (root / "a.txt").write_text("x", encoding="utf-8")
    (root / "X.nuspec").write_text(text, encoding="utf-8")
    return nuget("pack", "X.nuspec", "-BasePath", ".", cwd=root).returncode == 0


def test_what_nuget_refuses_is_refused() -> None:
    """The error names file and line, what is wrong, and what to write."""
    said: list[str] = []
    for inner in (*REFUSED, *REFUSED_SINCE):
        said.append(inner)
        with refused("src/A.nuspec:4", PipelineError, said=said):
            check_metadata(sample(inner))
    assert_said("\n".join(said))


def test_what_nuget_takes_is_taken() -> None:
    """Nothing more than that is refused."""
    for inner in (*TAKEN, *TAKEN_SINCE):
        check_metadata(sample(inner))


def test_what_libraries_say_is_left_out_with_a_note() -> None:
    """A nuspec that was a library's is packed without it, and each line to remove is named."""
    text = BASE.replace("<metadata>", '<metadata minClientVersion="2.8">')
    nuspec, notes = without_libraries(sample("".join(OF_LIBRARIES), text))
    check_metadata(nuspec)
    assert nuspec == sample("")
    assert_said("\n".join(notes))


@pytest.mark.parametrize("name", ["a", "Acme.ElbLogs.Processor", "a-b_c.d", "Ünï", "a" * 100])
def test_good_ids(name: str) -> None:
    """Ids every NuGet reader takes."""
    check_metadata(sample("", BASE.replace("Acme.Sample", name)))


@pytest.mark.parametrize("name", ["a..b", ".a", "a-", "a b", "a/b", "a" * 101, "a\n1"])
def test_bad_ids(name: str) -> None:
    """Ids some NuGet reader refuses."""
    with refused("src/A.nuspec", PipelineError):
        check_metadata(sample("", BASE.replace("Acme.Sample", name)))


def test_the_frame_is_checked() -> None:
    """What is around the metadata."""
    said: list[str] = []
    for old, new in FRAMES:
        said.append(f"{old} -> {new}")
        with refused(None, PipelineError, said=said):
            check_metadata(sample("", BASE.replace(old, new)))
    assert_said("\n".join(said))


@pytest.mark.slow
def test_the_real_client_refuses_and_takes_the_same(nuget: Nuget, tmp_path: Path) -> None:
    """Each rule that is older than the client which is here."""
    taken = [BASE.format(inner) for inner in TAKEN]
    assert [text for text in taken if not packs(nuget, tmp_path, text)] == []
    refused = [BASE.format(inner) for inner in REFUSED]
    refused += [BASE.replace(old, new).format("") for old, new in FRAMES]
    assert [text for text in refused if packs(nuget, tmp_path, text)] == []


NAMED = """<icon>img\\a.png</icon>
<readme>README.md</readme>
<license type="file">/LICENSE</license>
"""
SIZES = {"img/a.png": 9, "README.md": 9, "LICENSE": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"img/a.png": None},
        {"README.md": None, "readme.md": 9},
        {"LICENSE": None},
        {"README.md": 0},
        {"img/a.png": 0},
        {"img/a.png": 2**20 + 1},
    ],
)
def test_named_files_are_in_the_package(
    change: Mapping[str, int | None],
) -> None:
    """Icon, readme and licence, each with a way out."""
    nuspec = sample(NAMED)
    check_metadata(nuspec)
    check_files(nuspec, SIZES)
    sizes = {name: size for name, size in {**SIZES, **change}.items() if size is not None}
    with refused(None, PipelineError):
        check_files(nuspec, sizes)


@pytest.mark.parametrize(
    "inner",
    ["<icon>a.svg</icon>", "<readme>a.txt</readme>", '<license type="file">a.pdf</license>'],
)
def test_files_of_another_kind_are_refused(inner: str) -> None:
    """NuGet shows nothing else."""
    with refused("src/A.nuspec:4", PipelineError):
        check_files(sample(inner), {"a.svg": 1, "a.txt": 1, "a.pdf": 1})


@settings(deadline=None)
@given(st.text(st.sampled_from("(), -x1MITORAND^*+")))
def test_any_expression_is_taken_or_a_known_error(text: str) -> None:
    """Nothing but a PipelineError comes out of it."""
    nuspec = sample(EXPRESSION.format(text))
    with suppress(PipelineError):
        check_metadata(nuspec)
