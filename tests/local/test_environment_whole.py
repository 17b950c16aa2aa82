"""env.create and env.delete as a whole, with a fault at each of their calls."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.runtime.function_code import LocalRuntime

from tests.local.made_environments import Whole, whole
from tests.standins.faults import Fault, Faults, lost, unsent


@pytest.fixture(scope="module")
def there(
    tmp_path_factory: pytest.TempPathFactory, runtimes: dict[str, LocalRuntime]
) -> Iterator[Whole]:
    """Return both sides for all of these tests; each has environments of its own."""
    with whole(tmp_path_factory.mktemp("whole"), runtimes) as found:
        yield found


def test_an_environment_is_made_used_and_gone(there: Whole) -> None:
    """Octopus, stack, release, and a file that goes the whole way; afterwards nothing is left."""
    there.create("one")
    assert there.served("one") == ("2.0.7", 256, "hello")
    assert there.seen.finished()[-1] == "incoming/one.log: 2.0.7 incoming/one.log (version 1)"
    assert len(there.leftovers("one")) > 8
    assert there.delete("one") == []
    assert there.leftovers("one") == []


def fault_of(faults: Faults, number: int) -> Fault:
    """Return one of the three kinds: refused, done without an answer, never arrived."""
    return (faults.refusal(403, "AccessDeniedException", "not today"), lost, unsent)[number % 3]


def at_each_call(
    there: Whole, side: str, run: Callable[[str], object], prepare: Callable[[str], object]
) -> Counter[str]:
    """Run with a fault at another call each time, then again without; count what came of it."""
    faults: Faults = getattr(there, f"{side}_faults")
    found: Counter[str] = Counter()
    for number in itertools.count():
        name = f"{side}{number}"
        prepare(name)
        faults.forget()
        faults.at[number] = fault_of(faults, number)
        try:
            run(name)
        except PipelineError as error:
            found["refused"] += 1
            assert error.where, error.what
        if faults.at:
            faults.forget()
            there.delete(name)
            return found
        print(number, faults.calls[number], there.leftovers(name))
        found["injected"] += 1
        faults.forget()
        run(name)
        found["converged"] += 1
        there.delete(name)
        found["leftovers"] += len(there.leftovers(name))


@pytest.mark.slow
@pytest.mark.parametrize("side", ["aws", "octopus"])
def test_after_a_fault_at_any_call_the_same_command_ends_it(there: Whole, side: str) -> None:
    """Each call of env.create fails once, in one of three ways."""
    found = at_each_call(there, side, there.create, lambda _: None)
    print(side, found)
    assert found["converged"] == found["injected"] > 20
    assert found["leftovers"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("side", ["aws", "octopus"])
def test_after_a_fault_at_any_call_a_deletion_goes_on(there: Whole, side: str) -> None:
    """Each call of env.delete fails once, in one of three ways."""
    found = at_each_call(there, side, there.delete, there.create)
    print(side, found)
    assert found["converged"] == found["injected"] > 5
    assert found["leftovers"] == 0
