"""`inspect`: any package on one screen, and its provenance checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.core.manifest import MANIFEST_NAME
from pipeline.verbs.inspect import Inspection, inspect_package

from tests.package.provenance_support import SPEC, changed, contents, packed, zipped
from tests.verbs import run_verb
from tests.words import assert_said

FOREIGN = SPEC % (
    b"<authors>Jane</authors><description>Somebody else's.</description><license>MIT</license>"
    b'<dependencies><group targetFramework="net8.0"><dependency id="Other" version="[1.0,2.0)"/>'
    b'</group><group><dependency id="Other" version="[1.0,2.0)"/></group></dependencies>'
)


def test_ours_fits_one_screen(tmp_path: Path) -> None:
    """Id, version, origin, function, dependencies, places, hashes and documents in 80 x 24."""
    found = inspect_package(packed(tmp_path / "a.nupkg"))
    lines = found.lines()
    text = "\n".join(lines)
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    for part in (
        "Acme.Sample 2.0.7",
        "main@c0ffee012345, clean",
        "python3.13 arm64",
        "acme.handler.handle",
        "six 1.17.0",
        "4 files",
        found.contents.sha256,
        "CodeSha256",
        "manifest, SBOM, provenance",
        "its statement fits all 8 files",
    ):
        assert part in text


def test_a_narrow_screen_has_more_lines(tmp_path: Path) -> None:
    """The same words in 56 columns; only what is in one piece, like a hash, is longer."""
    found = inspect_package(packed(tmp_path / "a.nupkg"))
    wide, narrow = found.lines(), found.lines(56)
    assert " ".join(wide).split() == " ".join(narrow).split()
    assert [line for line in narrow if len(line) > 56 and len(line.split()) > 2] == []


def test_a_foreign_package_is_shown_too(tmp_path: Path) -> None:
    """No manifest: what the nuspec and the listing say, a dependency of two groups once."""
    files = {"A.nuspec": FOREIGN, "lib/net8.0/a.dll": b"MZ" * 9_000, "readme.md": b"# A"}
    (tmp_path / "a.nupkg").write_bytes(zipped(files))
    found = inspect_package(tmp_path / "a.nupkg")
    text = "\n".join(found.lines())
    for part in (
        "A 1.0.0",
        "by          Jane",
        "no manifest inside",
        "MIT",
        "lib/ 17.6 kB (1 file)",
    ):
        assert part in text
    assert text.count("Other [1.0,2.0)") == 1
    assert found.document()["dependencies"] == [{"name": "Other", "version": "[1.0,2.0)"}]
    assert found.document()["manifest"] is None


def test_somebody_elses_build_json_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """A foreign package may have a file of that name; `inspect` says what it is not."""
    files = {"A.nuspec": SPEC % b"", MANIFEST_NAME: b'{"schema": 1}'}
    (tmp_path / "a.nupkg").write_bytes(zipped(files))
    assert "not a build manifest" in "\n".join(inspect_package(tmp_path / "a.nupkg").lines())


def test_a_package_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """Escapes, line breaks and direction marks in names and texts are shown as spaces."""
    evil = "\x1b[2J\u202egpj\x9b31m\nok"

    def change(document: dict[str, Any]) -> None:
        document["dependencies"][0]["name"] = evil
        document["dependencies"][0]["version"] = evil
        document["source"]["branch"] = "a\u202eb"

    ours = inspect_package(packed(tmp_path / "a.nupkg", changed(MANIFEST_NAME, change)))
    described = SPEC % "<description>a\u202e\u009b31mb</description>".encode()
    (tmp_path / "b.nupkg").write_bytes(zipped({"A.nuspec": described, "a\u202eb/c": b""}))
    theirs = inspect_package(tmp_path / "b.nupkg")
    odd = Inspection(ours.contents, (evil,))
    for line in [*ours.lines(), *theirs.lines(), *odd.lines()]:
        assert line.isprintable(), ascii(line)


def test_what_is_too_long_for_the_screen(tmp_path: Path) -> None:
    """Words and names stay whole, and dots stand for what is left out."""
    address = "https://example.com/" + "a" * 80
    text = b"<authors>%s</authors><description>%s</description><projectUrl>%s</projectUrl>"
    files = {"A.nuspec": SPEC % (text % (b"Jane Doe " * 10, b"word " * 50, address.encode()))}
    files |= {f"{name * 25}/a b.txt": b"" for name in "abcdefgh"}
    (tmp_path / "a.nupkg").write_bytes(zipped(files))
    lines = inspect_package(tmp_path / "a.nupkg").lines()
    assert [line for line in lines if len(line) > 80] == [f"  home        {address}"]
    assert f"  by          {'Jane Doe ' * 7}..." in lines
    says = next(index for index, line in enumerate(lines) if line.startswith("  says"))
    assert lines[says + 1] == " " * 14 + "word " * 12 + "..."
    folders = [line for line in lines if "aaa/" in line or "ccc/" in line]
    assert folders[0] == f"  inside      {'a' * 25}/ 0 bytes (1 file)"
    assert folders[1].strip() == f"{'c' * 25}/ 0 bytes (1 file)"


def test_a_statement_that_does_not_fit_is_named_and_exits_3(tmp_path: Path) -> None:
    """For people on standard error, for programs in the document."""
    files = contents()
    files["deploy.py"] += b"#"
    files["extra.py"] = b""
    packed(tmp_path / "a.nupkg", files)
    plain = run_verb(tmp_path, "inspect", "a.nupkg")
    assert plain.returncode == 3
    assert_said(plain.stderr)
    told = run_verb(tmp_path, "inspect", "a.nupkg", "--json")
    assert told.returncode == 3
    provenance = json.loads(told.stdout)["provenance"]
    assert (provenance["fits"], len(provenance["misfits"])) == (False, 2)


def test_a_flag_of_before_is_read_and_a_check_of_before_is_refused(tmp_path: Path) -> None:
    """Old scripts go on, but nobody takes silence for a good signature."""
    packed(tmp_path / "a.nupkg")
    done = run_verb(tmp_path, "inspect", "a.nupkg", "--verify-provenance", "--json")
    assert (done.returncode, done.stderr.count("is not needed")) == (0, 1)
    assert json.loads(done.stdout)["provenance"] == {"fits": True, "misfits": []}
    for key in (["--key", "k.pub"], ["--key=k.pub"]):
        done = run_verb(tmp_path, "inspect", "a.nupkg", "--verify-provenance", *key)
        assert (done.returncode, done.stdout) == (2, "")
        assert "nothing was verified" in done.stderr
        assert "gh attestation verify" in done.stderr
