"""The runtimes: their names, platforms, and what is said when one gets old."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pipeline.core.errors import PipelineError
from pipeline.project.runtimes import (
    ARCHITECTURES,
    RUNTIMES,
    Runtime,
    language_of,
    runtime_named,
)

from tests.words import assert_said, refused


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_a_runtime_is_found_by_its_name(runtime: Runtime) -> None:
    """Name, language and version belong together."""
    assert runtime_named(runtime.name, where="here") is runtime
    assert language_of(runtime.name) == (runtime.language, runtime.version)
    if runtime.language == "python":
        assert runtime.python_tag == f"cp3{runtime.version.removeprefix('3.')}"


def test_an_unknown_runtime_names_the_known_ones() -> None:
    """The error says where it stands and lists every runtime."""
    with refused("here", PipelineError) as error:
        runtime_named("python3.10", where="here")
    assert all(runtime.name in error.value.then for runtime in RUNTIMES)


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_no_wheel_needs_a_newer_glibc_than_there_is(runtime: Runtime) -> None:
    """The platform's glibc is the runtime's or an older one, on both architectures."""
    for architecture, machine in zip(ARCHITECTURES, ("aarch64", "x86_64"), strict=True):
        found, _, version = runtime.platform(architecture).partition("-manylinux_")
        assert found == machine
        major, minor = version.split("_")
        assert (int(major), int(minor)) <= runtime.glibc


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_age_is_a_notice_in_time(runtime: Runtime) -> None:
    """Nothing in its good years, the date half a year ahead, and afterwards since when."""
    last, day = runtime.deprecated_on, timedelta(days=1)
    assert runtime.notice(last - 181 * day) == ""
    names = {runtime.name: "RUNTIME", last.isoformat(): "ITS LAST DAY"}
    said = [runtime.notice(today) for today in (last - 180 * day, last - day, last)]
    assert_said("\n".join(said), names)
