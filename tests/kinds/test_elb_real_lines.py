"""Lines that load balancers really wrote, in the folder that COPIER_LAMBDA_DATA names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.kinds.shipping import Load

# Read while collecting: a test has an environment of its own.
FOLDER = os.environ.get("COPIER_LAMBDA_DATA", "")


@pytest.mark.skipif(not FOLDER, reason="COPIER_LAMBDA_DATA names no folder of real log lines")
def test_real_lines(load: Load) -> None:
    """Every line that a load balancer really wrote is parsed, and keeps its columns."""
    files = sorted(Path(FOLDER).glob("*.log"))
    assert files
    for file in files:
        for line in filter(None, file.read_text(encoding="utf-8").splitlines()):
            fields = json.loads("{" + load("parse").json_members(line) + "}")
            columns = line.split(" ")[1 if "RequestType" in fields else 0 :]
            assert fields["@timestamp"] == columns[0]
            assert fields["LoadBalancerName"] == columns[1]
            names = ("TimeToForwardRequest", "TimeTaken", "TimeToForwardResponse")
            for name, column in zip(names, columns[4:7], strict=True):
                expected = None if column == "-1" else round(float(column) * 1000)
                assert fields.get(name) == expected
            assert [fields["Status"], fields["BackendStatus"]] == columns[7:9]
            sizes = [fields["BytesUploadedFromClient"], fields["BytesDownloadedByClient"]]
            assert sizes == [int(columns[9]), int(columns[10])]
            assert fields["message"] == line
