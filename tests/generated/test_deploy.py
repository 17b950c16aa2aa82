"""`deploy`: the package's own script, against the embedded AWS, and what is refused elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline.edge.files import read_json
from pipeline.edge.machine import this_system
from pipeline.local.clients import client
from pipeline.local.state import read_state

from tests.checks.checks_support import ARM64, X86_64, elf
from tests.generated.repository import Repository
from tests.local.local_support import unreadable_aws
from tests.wheels import write_wheel


@pytest.fixture(scope="module")
def local(unused: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """Return a repository whose embedded AWS runs."""
    made = unused.copy(tmp_path_factory.mktemp("local") / "with an embedded AWS")
    try:
        made.must("local.start")
        yield made
    finally:
        made.must("local.stop")


@pytest.mark.slow
def test_deploying_to_the_embedded_aws(local: Repository) -> None:
    """A plan changes nothing, its deploy what it said, and the next one has nothing to do."""
    built = local.must("package", "--json").document
    # There it is a file that the build does not know: the build is no longer of these files.
    saving = ("--plan", "plan.json")
    dry = local.verb("deploy", "local", *saving, "--detailed-exit-code", "--json")
    assert dry.code == 3
    assert read_json(local.root / saving[1]) == dry.document["plan"]
    assert dry.document["dry_run"] is True
    assert dry.document["outputs"] == {}
    first = local.must("deploy", "LOCAL", "--from-plan", saving[1], "--json")
    saved = (local.root / saving[1]).rename(local.root.parent / saving[1])
    assert first.document["function"] == "local-ElbLogsProcessor"
    assert first.document["outputs"]["CodeSha256"] == built["code_sha256"]
    # The dry run has shown what was then done: it had left it undone.
    shown = [line for line in dry.err.splitlines() if " -> " in line]
    assert shown
    assert shown == [line for line in first.err.splitlines() if " -> " in line]
    again = local.must("deploy", "local", "--dry-run", "--detailed-exit-code")
    assert again.code == 0
    assert " -> " not in again.err
    moved = local.verb("deploy", "local", "--from-plan", str(saved))
    assert moved.code == 4
    assert "alias version: $LATEST -> 1" in moved.err


@pytest.mark.slow
def test_traffic_follows_the_release_and_goes_back_with_it(local: Repository) -> None:
    """Calls run the version that a deploy published, and the one before after a rollback."""

    def served() -> list[str]:
        said = local.must("local.invoke", "--event", "tests/events/hello.json").err
        return re.findall(r"START RequestId: \S+ Version: (\S+)", said)

    numbers, releases = [], []
    for change in ("# the first", "# the second"):
        local.edit(f"src/{local.module()}/handler.py", "    return", f"    {change}\n    return")
        done = local.must("deploy", "local", "--json").document
        numbers.append(done["outputs"]["FunctionVersion"])
        releases.append(done["version"])
        assert served() == numbers[-1:]
    back = local.must("rollback", "local", "--reason", "tried", "--json").document
    assert (back["before"], back["version"]) == (releases[1], releases[0])
    assert served() == numbers[:1]
    (now,) = local.must("status", "local", "--json").document["environments"]
    assert (now["release"], now["function_version"], now["drift"]) == (releases[0], numbers[0], [])
    assert now["deployed"].endswith(f"rolled back from {releases[1]}: tried")
    local.reset()


@pytest.mark.slow
def test_code_through_a_bucket(local: Repository) -> None:
    """With a bucket the code is sent there first; the embedded AWS makes that bucket."""
    table = "[tool.pipeline.function]\n"
    local.edit(
        "pyproject.toml", table, f'{table}bucket = "code-of-#{{Octopus.Environment.Name}}"\n'
    )
    local.edit(f"src/{local.module()}/handler.py", "return", "# through a bucket\n    return")
    built = local.must("package", "--json").document
    assert "upload" in local.must("deploy", "local").err
    aws = read_state(local.root / ".pipeline" / "local" / "state.json")
    assert aws
    s3 = client(aws, "s3")
    (found,) = s3.list_objects_v2(Bucket="code-of-local")["Contents"]
    zipped = (Path(built["package"]).parent / "function.zip").read_bytes()
    assert found["Key"] == f"ELB.Logs.Processor/{hashlib.sha256(zipped).hexdigest()}.zip"
    assert found["Size"] == len(zipped)
    local.reset()


@pytest.mark.slow
def test_a_function_for_another_machine_runs_here(local: Repository, tmp_path: Path) -> None:
    """`run` and the embedded AWS take this machine's wheels of the lock, and say so once.

    What is packaged is Lambda's. Without a wheel for this machine that is said instead.
    """
    here = this_system().split()[1]
    there = "x86_64" if here == "arm64" else "arm64"
    index = tmp_path / "compiled"
    index.mkdir()
    for name, machine in (("x86_64", X86_64), ("arm64", ARM64)):
        data = {
            "compiled/__init__.py": f"FOR = {name!r}\n".encode(),
            "compiled/_it.so": elf(machine),
        }
        platform = {"arm64": "aarch64"}.get(name, name)
        write_wheel(index, "compiled", data, platform=f"manylinux_2_17_{platform}")
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in index.iterdir()}
    links = [f'<a href="{name}#sha256={digest}">{name}</a>' for name, digest in hashes.items()]
    (index / "index.html").write_text("<!DOCTYPE html>" + "".join(links), encoding="utf-8")
    settings = {"UV_DEFAULT_INDEX": tmp_path.as_uri()}
    local.edit("pyproject.toml", "dependencies = []", 'dependencies = ["compiled"]')
    local.edit("pyproject.toml", 'test = ["pytest>=8"]', "test = []")
    text = (local.root / "pyproject.toml").read_text(encoding="utf-8")
    set_to = re.sub('architecture = "[^"]+"', f'architecture = "{there}"', text)
    local.write("pyproject.toml", set_to)
    source = "import compiled\n\n\ndef handle(*_):\n    return compiled.FOR\n"
    local.write(f"src/{local.module()}/handler.py", source)
    local.write("tests/events/smoke.json", json.dumps({"event": {}, "answer": here}))
    local.must("lock", extra=settings)
    package = local.must("package", "--json", extra=settings).document["package"]
    with zipfile.ZipFile(Path(package).parent / "function.zip") as zipped:
        assert there in zipped.read("compiled/__init__.py").decode()
    event = ("--event", "tests/events/hello.json", "--json")
    deployed = local.must("deploy", "local", extra=settings)
    for done in (local.must("run", *event, extra=settings), local.must("local.invoke", *event)):
        assert [one["answer"] for one in done.document["invocations"]] == [here]
    line = f"this machine's packages (linux {here}) of the same lock"
    assert (deployed.err.count(line), done.err.count(line)) == (1, 0)
    for made in (local.root / ".pipeline" / "cache").glob("made-*/dependencies"):
        shutil.rmtree(made)
    wheel_of_here = {"arm64": "aarch64"}.get(here, here)
    (wheel,) = index.glob(f"*_{wheel_of_here}.whl")
    (index / "index.html").write_text(
        "<!DOCTYPE html>" + "".join(link for link in links if wheel.name not in link),
        encoding="utf-8",
    )
    fresh = {**settings, "UV_CACHE_DIR": str(tmp_path / "an empty cache")}
    alone = local.must("run", *event, extra=fresh)
    assert f"the package has files for linux {there}" in alone.err
    assert f"this machine is linux {here}" in alone.err
    assert [one["answer"] for one in alone.document["invocations"]] == [there]
    local.reset()


@pytest.mark.slow
def test_nothing_of_the_users_aws_is_read(local: Repository, tmp_path: Path) -> None:
    """With AWS files that nobody can parse, and a profile in none of them, all goes on locally."""
    user = unreadable_aws(tmp_path)
    user["HOME"] = user["USERPROFILE"] = os.environ["HOME"]  # the downloads are there
    local.must("package", extra=user)
    again = local.must("local.start", "--verbose", extra=user)
    assert "runs already" in again.err
    assert "CodeSha256" in local.must("deploy", "local", extra=user).err
    done = local.must("run", "--event", "tests/events/hello.json", extra=user)
    assert '"Hello, ' in done.err


@pytest.mark.slow
def test_a_package_of_another_version_is_brought(local: Repository) -> None:
    """A named package goes there as it is, and is told apart from the last one."""
    package = local.must("package", "--build-number", "8", "--json").document["package"]
    local.must("package", "--build-number", "9")
    done = local.must("deploy", "local", "--package", package, "--json")
    assert done.document["version"] == "1.0.8"
    assert "1.0.8" in done.err


@pytest.mark.slow
def test_a_damaged_package_changes_nothing(local: Repository, tmp_path: Path) -> None:
    """Bytes that are not the built ones are refused at once, another handler by its own script."""
    package = Path(local.must("package", "--build-number", "10", "--json").document["package"])
    local.must("deploy", "local")
    for member, old, new, said in (
        ("build.json", b'/handler.py"', b'/handel.py"', "there is no elb_logs_processor/handel.py"),
        ("function.zip", b"handle", b"handel", "function.zip: sha256 "),
    ):
        copy = tmp_path / f"{member}.nupkg"
        with zipfile.ZipFile(package) as source, zipfile.ZipFile(copy, "w") as target:
            for info in source.infolist():
                data = source.read(info)
                target.writestr(info, data.replace(old, new) if info.filename == member else data)
        done = local.verb("deploy", "local", "--package", str(copy))
        assert done.code == 1, done.err
        assert said in done.err
    assert "nothing to change" in local.must("deploy", "local").err


def test_what_is_not_deployed(repository: Repository) -> None:
    """An environment beyond this machine gets no missing, stale, dirty or unverified build."""
    repository.refused(1, "deploy CI", "deploy", "ci")
    repository.must("package", "--build-number", "7")
    repository.refused(1, "deploy CI", "deploy", "ci")
    repository.write("notes.txt", "not committed\n")
    repository.refused(1, "deploy CI", "deploy", "ci")
    repository.must("package", "--build-number", "8")
    repository.refused(1, "deploy CI", "deploy", "ci")


def test_a_verified_build_wants_credentials(repository: Repository) -> None:
    """What may go out, also since `verify` proved it, stops where the credentials are missing."""
    repository.must("package", "--build-number", "7")
    repository.must("verify")
    latest = repository.latest()
    assert (latest["verified"], latest["tested"]) == (True, False)
    repository.refused(1, "environment CI", "deploy", "ci")
    shown = repository.verb("deploy", "ci", "--verbose").err
    # A terminal shows it before anything slow begins.
    assert 0 <= shown.find("  deploy    to CI\n") < shown.find("credentials")


def test_a_truncated_package_starts_nothing(repository: Repository) -> None:
    """The package is looked at before an AWS is started for it."""
    package = repository.root / str(repository.must("package", "--json").document["package"])
    package.write_bytes(package.read_bytes()[:-100])
    done = repository.verb("deploy", "local", "--package", str(package))
    assert done.code == 1
    assert package.name in done.err
    assert not repository.must("local.stop", "--json").document["stopped"]
