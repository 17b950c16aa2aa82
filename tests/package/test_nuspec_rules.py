"""What NuGet's packers refuse in a nuspec: the old one is asked, the new one's rules are told."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.package.nuspec import Nuspec, fill_tokens, parse
from pipeline.package.nuspec_rules import check_files, check_metadata

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
DEPENDENCY = '<dependencies><dependency id="X" version="{}" /></dependencies>'
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
    "<developmentDependency>yes</developmentDependency>",
    "<requireLicenseAcceptance />",
    ACCEPTED,
    ACCEPTED.replace("true", "1"),
    *(
        DEPENDENCY.format(version)
        for version in (
            *("1", "^1.0", "1.*", "(1.0)", "[2.0,1.0]", "[1.0,1.0)", "(,)", "1.0.0-rc.1", ">=1.0"),
            *("[1.0", "1.0]", "[1.0,2.0,3.0]", "1.0.0.0.0", "[1.0-b,1.0-a]", "[]", "(1.0,1.0]"),
        )
    ),
    '<dependencies><dependency version="1.0" /></dependencies>',
    '<dependencies><dependency id="X" verson="1.0" /></dependencies>',
    '<dependencies><dependency id="X Y" version="1.0" /></dependencies>',
    DEPENDENCY.format("[1.0,2.0-b)"),
    '<dependencies><dependency id="X" version="1.0" /><dependency id="x" /></dependencies>',
    '<dependencies><dependency id="X" version="1.0" /><group /></dependencies>',
    '<dependencies><group><reference file="x.dll" /></group></dependencies>',
    "<references><group /></references>",
    '<references><reference file="x" /><group><reference file="y" /></group></references>',
    "<frameworkAssemblies><x /></frameworkAssemblies>",
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
    "<serviceable>TRUE</serviceable>",
    '<repository link="x" />',
    "<packageTypes><packageType /></packageTypes>",
    '<packageTypes><packageType name="x" version="a" /></packageTypes>',
    '<contentFiles><files include="**" flatten="maybe" /></contentFiles>',
    "<frameworkReferences><group /></frameworkReferences>",
]
TAKEN = [
    "<title /><tags></tags><language>en-GB</language><releaseNotes>a\n&lt;b&gt;</releaseNotes>",
    f"{ACCEPTED}{ADDRESS}",
    "<requireLicenseAcceptance> 0 </requireLicenseAcceptance>",
    "<projectUrl>file:///share/x</projectUrl><iconUrl>https://acme.example/a b.png</iconUrl>",
    *(
        DEPENDENCY.format(version)
        for version in (
            *("1.0", "1.0.0.0", "01.2", "[1.0]", "(1.0,)", "(,1.0]", "[1.0, 2.0)", "[1.0-a,1.0-b]"),
            *("[1.0,1.0]", "[1.0-beta]", "[1.0-rc,1.0]"),
        )
    ),
    '<dependencies><group targetFramework="any"><dependency id="X" /></group></dependencies>',
    '<frameworkAssemblies><frameworkAssembly assemblyName="x" /></frameworkAssemblies>',
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
    ACCEPTED + EXPRESSION.format("MIT"),
    '<repository type="git" url="https://acme.example/x.git" /><icon>a.png</icon>',
    '<packageTypes><packageType name="Acme" version="1.0" /></packageTypes>',
    '<contentFiles><files include="**" copyToOutput="true" /></contentFiles>',
]

# What is around the metadata, each as (text that is there, text instead).
FRAMES = [
    ("<metadata>", '<metadata minClientVersion="2">'),
    ("<metadata>", '<metadata minVersion="2.8">'),
    ("<authors>Acme", "<authors> , "),
    ("<metadata>", "<metadata>text"),
    ("<package>", '<package xmlns="urn:acme">'),
    ("</package>", "<files /></package>"),
    ("</package>", "<file /></package>"),
    ('src="a.txt"', 'src="a.txt" taget="b"'),
]


def sample(inner: str, text: str = BASE) -> Nuspec:
    """Return the nuspec with more metadata, its tokens filled in."""
    return fill_tokens(parse(text.format(inner).encode(), "src/A.nuspec"), {})


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
        check_metadata(sample(inner, BASE.replace("1.0.0", "1.0.0-a")))


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
    # As a prerelease: it does not want prereleases as dependencies of a release.
    taken = [BASE.replace("1.0.0", "1.0.0-a").format(inner) for inner in TAKEN]
    assert [text for text in taken if not packs(nuget, tmp_path, text)] == []
    refused = [BASE.format(inner) for inner in REFUSED]
    refused += [BASE.replace(old, new).format("") for old, new in FRAMES]
    assert [text for text in refused if packs(nuget, tmp_path, text)] == []


def test_a_misspelt_element_gets_a_suggestion() -> None:
    """Case and a letter are enough; else all that are known are listed."""
    for inner in ("<licence />", "<projecturl />"):
        with refused("src/A.nuspec:4", PipelineError):
            check_metadata(sample(inner))
    with refused("src/A.nuspec:4", PipelineError):
        check_metadata(sample("<qqqq />"))


NAMED = """<icon>img\\a.png</icon>
<readme>README.md</readme>
<license type="file">/LICENSE</license>
<references><reference file="A.dll" /></references>
"""
SIZES = {"img/a.png": 9, "README.md": 9, "LICENSE": 0, "lib/net45/a.dll": 9}


@pytest.mark.parametrize(
    "change",
    [
        {"img/a.png": None},
        {"README.md": None, "readme.md": 9},
        {"LICENSE": None},
        {"lib/net45/a.dll": None, "a.dll": 9},
        {"README.md": 0},
        {"img/a.png": 0},
        {"img/a.png": 2**20 + 1},
    ],
)
def test_named_files_are_in_the_package(
    change: Mapping[str, int | None],
) -> None:
    """Icon, readme, licence and references, each with a way out."""
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
@given(st.text(st.sampled_from("()[],. -x1MITORAND^*+")), st.sampled_from([EXPRESSION, DEPENDENCY]))
def test_any_value_is_taken_or_a_known_error(text: str, element: str) -> None:
    """Nothing but a PipelineError comes out of an expression or a range."""
    nuspec = sample(element.format(text))
    with suppress(PipelineError):
        check_metadata(nuspec)
