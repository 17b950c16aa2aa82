"""Node's test results as JUnit, with Node's own runner."""

from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.repositories import ROOT
from tests.tools import tool

_REPORTER = ROOT / "template" / "scripts" / "pipeline" / "function" / "node" / "junit.mjs"
_ODD = r"""
import { describe, test } from "node:test";
test("a name with \u0007 <&> \"quotes\" ]]> \u{1f600}\u001b[31m", () => {});
describe("a suite", () => {
  test("within", () => {});
  test("fails", () => { throw new Error("what\u0000 it <said>\nin two lines"); });
});
test("later", { todo: true }, () => { throw new Error("not yet"); });
test("left out", { skip: "a reason" }, () => {});
"""


def test_any_result_is_valid_xml_with_right_counts(tmp_path: Path) -> None:
    """Control characters do no harm, a suite is no case, and a failing todo is no failure."""
    for name in ("odd.test.mjs", "other.test.mjs"):
        (tmp_path / name).write_text(_ODD, encoding="utf-8")
    report = tmp_path / "tests.xml"
    reporter = [f"--test-reporter={_REPORTER.as_uri()}", f"--test-reporter-destination={report}"]
    done = subprocess.run(
        [tool("node", "nodejs"), "--test", *reporter, "odd.test.mjs", "other.test.mjs"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    suites = ET.parse(report).getroot().findall("testsuite")  # noqa: S314 - made just now
    for suite in suites:
        assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "1", "2")
        cases = {case.get("name"): [part.tag for part in case] for case in suite}
        assert cases["fails"] == ["failure"]
        assert cases["later"] == cases["left out"] == ["skipped"]
        assert 'a name with \ufffd <&> "quotes" ]]> \U0001f600\ufffd[31m' in cases
        (failure,) = suite.iter("failure")
        assert failure.get("message") == "what\ufffd it <said>\nin two lines"
    assert [suite.get("name") for suite in suites] == ["odd.test.mjs", "other.test.mjs"]
