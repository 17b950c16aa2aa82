"""The nuspec: parsed safely, tokens filled in, rendered for the package."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.core.manifest import Source
from pipeline.package.nuspec import Nuspec, parse, render_for_package
from pipeline.zip.globs import FileEntry

from tests.words import refused

SPEC = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2011/08/nuspec.xsd">
  <metadata>
    <id>Acme.Sample</id>
    <version>$version$</version>
    <authors>Zoë &amp; Co</authors>
    <description>
      $ID$ for $$5
    </description>
    <license type="expression">MIT</license>
  </metadata>
  <files>
    <!-- a comment with $unknown$ -->
    <file src="$stage$/**" />
    <file src="docs\\*.md" target="docs" exclude="**/draft*" />
  </files>
</package>
"""
LEGAL = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40)


TOKENS = {"id": "Acme.Sample", "version": "2.0.7", "stage": "build/stage"}


def sample(text: str = SPEC, tokens: Mapping[str, str] = TOKENS) -> Nuspec:
    """Parse the sample, or a variation of it, with its tokens filled in."""
    return parse(text.encode(), "src/Acme.nuspec", tokens)


def test_tokens_are_filled_in_everywhere() -> None:
    """Metadata and files get the values in any case, `$$` is a dollar."""
    nuspec = sample()
    assert (nuspec.id, nuspec.version) == ("Acme.Sample", "2.0.7")
    assert nuspec.text("authors") == "Zoë & Co"
    assert nuspec.text("description") == "Acme.Sample for $5"
    assert nuspec.files == (
        FileEntry("build/stage/**"),
        FileEntry("docs\\*.md", "docs", "**/draft*"),
    )


def test_an_unknown_token_is_named() -> None:
    """The error names the token and the known ones."""
    with refused("src/Acme.nuspec:14", PipelineError):
        sample(tokens={"id": "a", "version": "1.0.0"})


def test_the_rendered_nuspec_keeps_all_metadata_and_no_files() -> None:
    """Texts and attributes survive, `<repository>` is added, `<files>` is gone."""
    data = render_for_package(sample(), Source("0" * 40, "a?b&c", None))
    again = parse(data, "package")
    assert again.metadata.children[:-1] == sample().metadata.children
    assert dict(again.metadata.children[-1].attributes) == {
        "type": "git",
        "commit": "0" * 40,
        "branch": "a?b&c",
    }
    assert again.files == ()


def test_a_repository_of_the_teams_own_is_kept() -> None:
    """Its type and address; commit and branch are those that the package is made from."""
    own = '<repository type="git" url="https://acme.example/x.git" commit="old" />'
    nuspec = sample(SPEC.replace("</metadata>", f"{own}</metadata>"))
    start = b'<repository type="git" url="https://acme.example/x.git"'
    assert start + b' commit="abc" />' in render_for_package(nuspec, Source("abc", None, None))
    assert start + b" />" in render_for_package(nuspec, Source(None, None, None))


def test_an_unknown_repository_is_left_out() -> None:
    """Without commit and branch there is no element; what is unknown is no attribute."""
    assert b"<repository" not in render_for_package(sample(), Source(None, None, None))
    assert b"<repository" not in render_for_package(sample())
    found = render_for_package(sample(), Source("abc", None, None))
    assert b'<repository type="git" commit="abc" />' in found


@settings(max_examples=100)
@given(LEGAL.filter(str.strip), LEGAL)
def test_any_text_survives_rendering(text: str, value: str) -> None:
    """Text and attributes come back as they were, but for blanks around them."""
    nuspec = sample(SPEC.replace("MIT", "$x$"), {**TOKENS, "x": text})
    again = parse(render_for_package(nuspec, Source(None, value or "b", None)), "package")
    assert again.text("license") == text.strip()
    assert ("branch", value or "b") in again.metadata.children[-1].attributes


def test_what_xml_cannot_hold_is_refused() -> None:
    """A control code from a token does not make a broken package."""
    with refused("src/Acme.nuspec", PipelineError):
        render_for_package(sample(), Source(None, "a\x00b", None))


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><package/>",
        "<package><metadata>",
        "<other/>",
        "<package/>",
        "<package><metadata><id>a</id></metadata></package>",
        "<package><metadata><id>a</id><id>b</id></metadata></package>",
        SPEC.replace('src="$stage$/**"', 'target="x"'),
        "<a>" * 3000 + "</a>" * 3000,
        SPEC + " " * (1 << 20),
    ],
)
def test_bad_files_are_refused(text: str) -> None:
    """Each error names the file and the reason."""
    with refused(None, PipelineError) as caught:
        sample(text)
    assert caught.value.where.partition(":")[0] == "src/Acme.nuspec"


def test_a_document_type_hides_in_no_encoding() -> None:
    """UTF-16 is read, and its document type refused; other encodings are errors."""
    assert parse(SPEC.replace("utf-8", "utf-16").encode("utf-16"), "x").id == "Acme.Sample"
    assert parse(SPEC.encode("utf-8-sig"), "x").id == "Acme.Sample"
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        with refused("x:1", PipelineError):
            parse("<!DOCTYPE a []><package/>".encode(encoding), "x")
    with refused("x:6", PipelineError):
        parse(SPEC.encode("latin-1"), "x")


@settings(max_examples=150)
@given(st.integers(0, len(SPEC) - 1), st.binary(min_size=1, max_size=4))
def test_damaged_files_give_known_errors(at: int, junk: bytes) -> None:
    """Nothing but a PipelineError comes out of a damaged nuspec."""
    data = SPEC.encode()
    with suppress(PipelineError):
        parse(data[:at] + junk + data[at + len(junk) :], "x")


def test_the_result_is_plain_xml() -> None:
    """Any XML reader takes the rendered nuspec."""
    root = ET.fromstring(render_for_package(sample()))  # noqa: S314
    assert root.tag.endswith("}package")
