"""Repositories of functions in Node: every verb, the same bytes everywhere, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from pipeline.package.contents import Package
from pipeline.zip.reader import FUNCTION_LIMITS, open_archive

from tests.generated.repository import Repository
from tests.local.local_support import eventually
from tests.repositories import Render, git
from tests.tools import tool

pytestmark = pytest.mark.slow

EVENT = "tests/events/put.json"
RUNTIME = "nodejs24.x"
# What other machines may have, with umasks.
_NPMS = {"10.8.2": 0o000, "12.2.1": 0o077}
_TYPESCRIPT = """\
import { readFileSync } from "node:fs";
import { greet } from "./lib/greet.js";

interface Named { name?: string }

export const handler = async (event: Named): Promise<string> =>
  greet(event.name ?? readFileSync(new URL("name.txt", import.meta.url), "utf8").trim());
"""
_GREET = (
    "exports.greet = (name) => `Hello, ${name} of ${require('node:path').basename(__filename)}`;"
)


@pytest.fixture(scope="module")
def made(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Return a committed repository that handles S3 events, built once. Only copy it."""
    tool("npm")
    folder = tmp_path_factory.mktemp("node") / "a repository"
    shutil.copytree(render(function_kind="s3-event", runtime=RUNTIME), folder)
    repository = Repository(folder)
    repository.start_here()
    repository.must("build", "--build-number", "1")
    return repository


@pytest.fixture
def repository(made: Repository, tmp_path: Path) -> Repository:
    """Return a copy of it."""
    return made.copy(tmp_path / "the repository")


def _settings(repository: Repository, *lines: str) -> None:
    """Add settings of the function."""
    path = repository.root / "pyproject.toml"
    handler = 'handler = "index.handler"'
    text = path.read_text(encoding="utf-8").replace(handler, "\n".join((handler, *lines)))
    path.write_text(text, encoding="utf-8")


def _package(repository: Repository) -> Package:
    latest = json.loads((repository.root / "build-output/latest.json").read_text("utf-8"))
    return Package.open(repository.root / latest["package"])


def _names(repository: Repository) -> list[str]:
    data = _package(repository).function_zip()
    return [entry.name for entry in open_archive(data, FUNCTION_LIMITS).entries]


def test_a_package_holds_the_bundle_and_says_what_is_in_it(made: Repository) -> None:
    """One file and its map, the licences of what is inside, and a bill of materials by hashes."""
    assert sorted(_names(made)) == ["THIRD-PARTY-LICENSES.txt", "index.mjs", "index.mjs.map"]
    package = _package(made)
    inside = {one.name: one for one in package.own_manifest().dependencies}
    assert inside["@aws-sdk/client-s3"].hashes[0].startswith("sha512:")
    assert "esbuild" not in inside
    bill = json.loads(package.data("sbom.cdx.json") or b"")
    urls = [component["purl"] for component in bill["components"]]
    assert any(url.startswith("pkg:npm/%40aws-sdk/client-s3@3.") for url in urls)
    assert any(url.startswith("pkg:pypi/botocore@") for url in urls)
    statement = json.loads(package.data("provenance.json") or b"")
    resolved = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    (client,) = (one for one in resolved if "client-s3@" in one.get("uri", ""))
    assert list(client["digest"]) == ["sha512"]
    suites = ET.parse(made.root / "build-output/tests.xml").getroot()  # noqa: S314 - made just now
    assert {suite.get("failures") for suite in suites} == {"0"}
    assert "SF:src/index.mjs" in (made.root / "build-output/coverage.lcov").read_text("utf-8")


def test_an_event_in_the_embedded_aws(repository: Repository) -> None:
    """The package is deployed by its own script; a file put into the bucket starts the function."""
    try:
        repository.must("local.start")
        repository.must("deploy", "local")
        done = repository.must("local.invoke", "--event", EVENT, "--json")
        assert done.document["invocations"][0]["answer"][0]["bytes"] == 57
        (repository.root / "a b+\u00fc.txt").write_text("hello\n", encoding="utf-8")
        repository.must("local.put", "a b+\u00fc.txt")
        wanted = '"key":"a b+\u00fc.txt","bytes":6'
        eventually(lambda: wanted in repository.must("local.logs").out)
    finally:
        repository.verb("local.stop")


def test_the_same_bytes_on_another_machine(made: Repository, tmp_path: Path) -> None:
    """Another folder, umask, zone, language and an empty npm cache change nothing."""
    clone = tmp_path / "another place, \u00fcn\u00efcode"
    git(tmp_path, "clone", "--quiet", str(made.root), str(clone))
    extra = {"TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8", "NPM_CONFIG_CACHE": str(tmp_path / "npm")}
    other = Repository(clone, extra)
    previous = os.umask(0o077)
    try:
        other.must("build", "--build-number", "1")
    finally:
        os.umask(previous)
    ours, theirs = (next(root.glob("build-output/1.0.1/*.nupkg")) for root in (made.root, clone))
    assert ours.read_bytes() == theirs.read_bytes()
    assert "the same bytes" in other.must("verify", "--cold").err


def test_no_npm_changes_a_byte(repository: Repository, tmp_path: Path) -> None:
    """Whichever npm installs, under whatever umask, or offline: one CodeSha256."""
    path = repository.root / "package.json"
    asked = json.loads(path.read_text(encoding="utf-8"))
    # With packages for each platform, of which older npms install too many.
    asked["dependencies"] |= {"sharp": "^0.34.5", "uuid": "^11"}
    path.write_text(json.dumps(asked), encoding="utf-8")
    repository.must("lock")
    _settings(repository, "bundle = false")
    repository.commit("Packages as they are")
    tools = repository.root / "scripts" / "node-tools.json"
    pinned = json.loads(tools.read_text(encoding="utf-8"))
    made = {}
    for version, mask in _NPMS.items():
        view = [tool("npm"), "view", f"npm@{version}", "dist.integrity"]
        done = subprocess.run(view, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
        npm = {"name": "npm", "version": version, "integrity": done.stdout.strip()}
        repository.write("scripts/node-tools.json", json.dumps({**pinned, "npm": npm}))
        repository.must("cache.clear")
        previous = os.umask(mask)
        try:
            made[version] = repository.must("package", "--json").document["code_sha256"]
        finally:
            os.umask(previous)
    tools.write_text(json.dumps(pinned), encoding="utf-8")
    repository.must("cache.clear")
    offline = {"NPM_CONFIG_OFFLINE": "true"}
    made["offline"] = repository.must("package", "--json", extra=offline).document["code_sha256"]
    assert len({*made.values()}) == 1, made


def test_typescript_with_a_module_in_the_older_format(repository: Repository) -> None:
    """It is bundled, with `require` and `__filename` at work; other files stay, and tests run."""
    (repository.root / "src" / "index.mjs").unlink()
    (repository.root / "src" / "records.mjs").unlink()
    shutil.rmtree(repository.root / "tests")
    repository.write("src/index.ts", _TYPESCRIPT)
    repository.write("src/lib/package.json", '{"type": "commonjs"}\n')
    repository.write("src/lib/greet.js", _GREET)
    repository.write("src/lib/greet.d.ts", "export function greet(name: string): string;\n")
    repository.write("src/name.txt", "Z\u00fcrich\n")
    repository.write("tests/events/any.json", "{}\n")
    repository.write(
        "tests/index.test.ts",
        'import { test } from "node:test";\nimport { handler } from "../src/index.ts";\n'
        'test("greets", async (): Promise<void> => void (await handler({})));\n',
    )
    repository.commit("TypeScript")
    done = repository.must("build")
    assert "1 passed" in done.err
    assert {"index.mjs", "name.txt"} <= {*_names(repository)}
    assert not [name for name in _names(repository) if name.endswith(".ts")]
    answer = repository.must("run", "--event", "tests/events/any.json", "--json").document
    assert answer["invocations"][0]["answer"] == "Hello, Z\u00fcrich of index.mjs"


@pytest.mark.parametrize(
    ("settings", "files"),
    [
        (("bundle = false",), 1000),
        (("bundle = false", 'aws-sdk = "runtime"'), 3),
        (('aws-sdk = "runtime"', "source-map = false", "minify = true"), 1),
    ],
    ids=["as they are", "with the runtime's SDK", "a bundle with the runtime's SDK"],
)
def test_other_shapes_of_the_zip_run_too(
    repository: Repository, settings: tuple[str, ...], files: int
) -> None:
    """Unbundled, without the SDK, or both: what is packaged is what runs."""
    _settings(repository, *settings)
    repository.commit("Another shape")
    repository.must("build")
    found = _names(repository)
    assert len(found) == files if files < 100 else len(found) > files
    assert not any("esbuild" in name or name == "package-lock.json" for name in found)
    done = repository.must("run", "--event", EVENT, "--json")
    assert done.document["invocations"][0]["answer"][0]["bytes"] == 57


def test_what_would_fail_on_lambda_is_refused(repository: Repository) -> None:
    """A handler with a callback, a name that is missing, an import of nothing, a token in plain."""
    path = repository.root / "src" / "index.mjs"
    before = path.read_text(encoding="utf-8")
    for text, said in (
        (before.replace("handler(event)", "handler(event, context, done)"), "CallbackHandler"),
        (before.replace("function handler(", "function handel("), "HandlerNotFound"),
        (before.replace("./records.mjs", "nowhere"), 'Could not resolve "nowhere"'),
    ):
        path.write_text(text, encoding="utf-8")
        repository.write("tests/index.test.mjs", "")
        refused = repository.verb("build")
        assert (refused.code, said in refused.err) == (1, True), refused.err
    path.write_text(before, encoding="utf-8")
    repository.write(".npmrc", "//registry.example.invalid/:_authToken=npm_secret\n")
    refused = repository.verb("build")
    assert (refused.code, ".npmrc:1" in refused.err) == (1, True)
    assert "npm_secret" not in refused.err


def test_a_failing_test_stops_the_build(repository: Repository) -> None:
    """What the test says is shown, and nothing is packaged."""
    repository.write(
        "tests/more.test.mjs",
        'import { test } from "node:test";\ntest("no", () => { throw new Error("not so"); });\n',
    )
    done = repository.verb("build")
    assert done.code == 1
    assert "not so" in done.err
    assert repository.verb("test", "tests/records.test.mjs").code == 0
    assert repository.verb("test", "--test-name-pattern", "objects").code == 0


def test_locking(repository: Repository) -> None:
    """A new package is locked by hash without addresses; until then the old lock is refused."""
    path = repository.root / "package.json"
    asked = json.loads(path.read_text(encoding="utf-8"))
    asked["dependencies"]["ms"] = "^2.1.3"
    path.write_text(json.dumps(asked), encoding="utf-8")
    assert "tasks.py lock" in repository.verb("build").err
    done = repository.must("lock", "--json")
    assert "ms" in json.dumps(done.document)
    lock = (repository.root / "package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in lock
    assert "node_modules/ms" in lock
    assert "nothing changed" in repository.must("lock").err
    document = json.loads(lock)
    document["packages"]["node_modules/ms"]["deprecated"] = "take another"
    (repository.root / "package-lock.json").write_text(json.dumps(document), encoding="utf-8")
    assert "ms 2.1.3 is deprecated: take another" in repository.must("lock").err
    asked["dependencies"]["ms"] = "file:../elsewhere"
    path.write_text(json.dumps(asked), encoding="utf-8")
    assert "ms is to come from file:../elsewhere" in repository.verb("lock").err


def test_packages_with_compiled_files_lie_beside_the_bundle(repository: Repository) -> None:
    """They are the function's platform's, whatever this machine is; here run this one's."""
    path = repository.root / "package.json"
    asked = json.loads(path.read_text(encoding="utf-8"))
    asked["dependencies"]["sharp"] = "^0.34.5"
    path.write_text(json.dumps(asked), encoding="utf-8")
    repository.must("lock")
    repository.write("src/index.mjs", 'import sharp from "sharp";\n'
        "export const handler = async () => sharp.versions.sharp;\n")  # fmt: skip
    repository.write("tests/index.test.mjs", "")
    repository.commit("sharp")
    repository.must("build")
    found = _names(repository)
    assert any(name.startswith("node_modules/@img/sharp-linux-arm64/") for name in found)
    assert not any("musl" in name or "wasm" in name or "linux-x64" in name for name in found)
    done = repository.must("run", "--event", EVENT, "--json")
    assert done.document["invocations"][0]["answer"].startswith("0.34.")


def _develop_with(repository: Repository, **packages: str) -> None:
    """Add packages that are not the function's, and lock them."""
    path = repository.root / "package.json"
    asked = json.loads(path.read_text(encoding="utf-8"))
    asked["devDependencies"] |= packages
    path.write_text(json.dumps(asked), encoding="utf-8")
    repository.must("lock")


def test_the_checks_know_the_linters_that_are_locked(made: Repository, tmp_path: Path) -> None:
    """Once they are locked they look at JavaScript, the team's own: not at the library's."""
    repository = made.copy(tmp_path / "checked")
    assert "prettier" not in repository.must("check").err
    linters = {"prettier": "^3", "eslint": "^9", "@biomejs/biome": "^2"}
    _develop_with(repository, **linters)
    repository.write("eslint.config.mjs", 'export default [{ rules: { "no-debugger": 2 } }];\n')
    repository.write("biome.json", '{"formatter": {"enabled": false}}\n')
    repository.write("src/odd.mjs", "debugger;\nexport const odd    = 1\n")
    found = repository.verb("check", "--json")
    said = "found something: eslint, prettier, biome"
    assert (found.code, found.document["error"]["what"]) == (1, said)
    assert found.err.count("src/odd.mjs") >= 3
    assert "scripts/" not in found.err
    repository.write("src/odd.mjs", "export const odd    = 1\n")
    repository.must("check", "--fix")
    done = repository.must("check").err
    assert all(f"{name} found nothing" in done for name in ("eslint", "prettier", "biome"))
    assert (repository.root / "src/odd.mjs").read_text("utf-8") == "export const odd = 1;\n"


def test_vitest_runs_the_tests_where_it_is_locked(repository: Repository) -> None:
    """Its report is read, types are checked before, and coverage is lcov, of this run alone."""
    _develop_with(repository, **{"vitest": "^4", "@vitest/coverage-v8": "^4", "typescript": "^5.9"})
    for path in (repository.root / "tests").glob("*.mjs"):
        path.unlink()
    options = {"strict": True, "types": [], "target": "es2023", "module": "preserve"}
    config = {"compilerOptions": {**options, "skipLibCheck": True}}
    repository.write("tsconfig.json", json.dumps(config))
    repository.write("src/double.ts", "export const double = (n: number): number => n * 2;\n")
    test = """import { expect, test } from "vitest";
import { double } from "../src/double";
test("doubles \\u0001 ]]> \\u001b[31m", () => expect(double(2)).toBe(4));
test.skip("later", () => {});
"""
    repository.write("tests/double.test.ts", test)
    assert "1 passed, 1 skipped" in repository.must("build").err
    output = repository.root / "build-output"
    (suite,) = ET.parse(output / "tests.xml").getroot()  # noqa: S314 - made just now
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")
    assert "SF:src/double.ts" in (output / "coverage/lcov.info").read_text("utf-8")
    assert not (output / "coverage.lcov").exists()
    repository.write("src/double.ts", 'export const double = (n: number): number => "2";\n')
    refused = repository.verb("build")
    assert (refused.code, "src/double.ts(1," in refused.err) == (1, True)
