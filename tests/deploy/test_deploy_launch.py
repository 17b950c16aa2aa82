"""`launch` gives a script what Octopus gives it, and tells what the script says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pipeline.core.errors import PipelineError
from pipeline.core.events import Achieved, Artifact, Line, Output, Progressed, Warned
from pipeline.octopus.launch import launch

from tests.deploy.deploy_support import CREDENTIALS, Recorder, job, run

SCRIPT = """\
import json, os, sys
printverbose("detail")
printwarning("careful")
printhighlight("look")
updateprogress(40, "almost")
set_octopusvariable("Shown", "v\u00e4lue")
set_octopusvariable("Hidden", "hunter22", True)
createartifact("deploy.py")
print(json.dumps({
    "globals": sorted(name for name in globals() if not name.startswith("__")),
    "argv": sys.argv[:-1], "key": len(sys.argv[-1]), "path": sys.path[0], "cwd": os.getcwd(),
    "name": __name__, "here": get_octopusvariable("A"), "missing": get_octopusvariable("B"),
    "environ": sorted(os.environ), "site": "site" in sys.modules,
}))
sys.stderr.write("on stderr\\n")
failstep("it failed")
"""


def test_launch_gives_a_script_what_octopus_gives(tmp_path: Path) -> None:
    """Globals, arguments, path and folder are the documented ones; messages become events."""
    (tmp_path / "deploy.py").write_text(SCRIPT, encoding="utf-8")
    environ = {"PATH": "/bin", "HOME": "/x", "AWS_PROFILE": "mine", "TOKEN": "hunter22"}
    one = job(
        tmp_path,
        variables={"A": "ä b"},
        environ=environ,
        credentials=CREDENTIALS,
        parameters=("p",),
    )
    recorder = Recorder()
    with pytest.raises(PipelineError, match="it failed"):
        launch(one, recorder.reporter)
    lines = {event.text: event.verbose for event in recorder.of(Line)}
    assert lines["detail"]
    assert [event.text for event in recorder.of(Achieved)] == ["look"]
    assert "on stderr" in lines
    assert [event.text for event in recorder.of(Warned)] == ["careful"]
    assert recorder.of(Progressed)[0].done == 40
    assert recorder.of(Artifact) == [Artifact(str(tmp_path / "deploy.py"))]
    outputs = {event.name: event.value for event in recorder.of(Output)}
    assert outputs == {"Shown": "välue", "Hidden": "********"}
    seen = json.loads(next(text for text in lines if text.startswith("{")))
    assert set(seen["globals"]) - {"json", "os", "sys"} == {
        "octopusvariables", "get_octopusvariable", "set_octopusvariable", "createartifact",
        "updateprogress", "failstep", "printverbose", "printhighlight", "printwait", "printwarning",
    }  # fmt: skip
    assert seen["argv"] == ["deploy.py", "p"] or seen["argv"] == [str(tmp_path / "deploy.py"), "p"]
    assert (seen["key"], seen["name"]) == (64, "__main__")
    assert seen["path"] == seen["cwd"] == str(tmp_path)
    assert (seen["here"], seen["missing"], seen["site"]) == ("ä b", "", False)
    assert "AWS_PROFILE" not in seen["environ"]
    assert "TOKEN" not in seen["environ"]
    assert "AWS_ACCESS_KEY_ID" in seen["environ"]


def test_an_error_is_no_highlight(tmp_path: Path) -> None:
    """The two streams are read apart: what a message on one says is not of the other's lines."""
    text = """print("##octopus[stdout-highlight]", flush=True)
import sys, time
time.sleep(0.2)
print("an error", file=sys.stderr, flush=True)
"""
    (tmp_path / "deploy.py").write_text(text, encoding="utf-8")
    recorder = Recorder()
    launch(job(tmp_path), recorder.reporter)
    assert "an error" in [event.text for event in recorder.of(Line)]
    assert recorder.of(Achieved) == []


def test_a_script_that_dies_without_a_result_shows_its_last_lines(tmp_path: Path) -> None:
    """Without a result message the error holds exit code and last lines."""
    (tmp_path / "deploy.py").write_text("import nowhere_at_all\n", encoding="utf-8")
    with pytest.raises(PipelineError, match="exit code 1") as caught:
        run(job(tmp_path))
    assert "No module named 'nowhere_at_all'" in caught.value.then


def test_lines_arrive_while_the_script_runs(tmp_path: Path) -> None:
    """A line is passed on before the script has ended."""
    flag = tmp_path / "flag"
    text = (
        "import time, pathlib\n"
        "print('first')\n"
        f"flag = pathlib.Path({str(flag)!r})\n"
        "end = time.monotonic() + 20\n"
        "while not flag.exists() and time.monotonic() < end:\n"
        "    time.sleep(0.01)\n"
        "print('seen' if flag.exists() else 'too late')\n"
    )
    (tmp_path / "deploy.py").write_text(text, encoding="utf-8")
    recorder = Recorder()

    def answer(event: Any) -> None:
        recorder.events.append(event)
        if event == Line("first"):
            flag.touch()

    reporter = type(recorder.reporter)(answer)
    launch(job(tmp_path), reporter)
    assert [event.text for event in recorder.of(Line)] == ["first", "seen"]


def test_a_python_that_is_not_there(tmp_path: Path) -> None:
    """A missing interpreter is named."""
    with pytest.raises(PipelineError, match="cannot be started"):
        run(job(tmp_path, python=tmp_path / "python3"))


def test_a_percentage_that_is_none_is_nothing(tmp_path: Path) -> None:
    """A script may say what it likes: five thousand digits are no number."""
    (tmp_path / "deploy.py").write_text(
        'updateprogress("9" * 5_000, "a")\nupdateprogress(7, "b")\n', encoding="utf-8"
    )
    recorder = Recorder()
    launch(job(tmp_path), recorder.reporter)
    assert [event.done for event in recorder.of(Progressed)] == [0, 7]
