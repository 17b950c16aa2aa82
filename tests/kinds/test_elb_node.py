"""The load balancer log function in JavaScript: the table and the documents of Python's."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import write_certificate
from tests.kinds.shipping import TABLE, Load, content_of, damaged_files, own_fields, ship
from tests.repositories import Render
from tests.tools import tool

_SETTINGS = {"environment": "CI", "application": "shop", "component": "web"}
_MORE = {"sourceModule": "ELB", "type": "logs"}
# What is needed of AWS's SDK, which is not installed here.
_SDK = "export class GetObjectCommand { constructor(input) { this.input = input; } }\n"
# Sends two lines over TLS and says what came of it.
_SEND = """
const [folder, port, ca] = process.argv.slice(1);
const { connect } = await import(`file://${folder}/logstash.mjs`);
const given = { host: "127.0.0.1", port: Number(port), tls: true, connectTimeout: 5 };
try {
  const connection = await connect({ ...given, caFile: ca || null, writeTimeout: 5 });
  await connection.send(Buffer.from("one\\n"));
  await connection.send(Buffer.from("two\\n"));
  await connection.finish();
  connection.close();
  console.log("done");
} catch (error) {
  console.log(`${error.name}: ${error.message}`);
}
"""


@pytest.fixture(scope="module")
def node() -> str:
    """Return a Node; any that is still maintained will do."""
    return tool("node", "nodejs")


@pytest.fixture(scope="module")
def function(render_function: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the function's files and a bit of the SDK."""
    folder = tmp_path_factory.mktemp("function in JavaScript")
    rendered = render_function(function_kind="elb-logs", runtime="nodejs24.x")
    shutil.copytree(rendered / "src", folder, dirs_exist_ok=True)
    sdk = folder / "node_modules" / "@aws-sdk" / "client-s3"
    sdk.mkdir(parents=True)
    (sdk / "package.json").write_text('{"type": "module", "exports": "./sdk.js"}', "utf-8")
    (sdk / "sdk.js").write_text(_SDK, "utf-8")
    return folder


def _shipped(
    node: str, function: Path, files: Sequence[bytes], step: int | None = None
) -> list[tuple[list[bytes], dict[str, Any]]]:
    """Return the documents that the function sends for each file, and the summary's report."""
    place = {"bucket": "logs", "key": "key", "version": ""}
    given = [
        {
            "content": base64.b64encode(content).decode(),
            "step": step,
            "place": place,
            "settings": {**_SETTINGS, **_MORE},
        }
        for content in files
    ]
    done = subprocess.run(
        [node, Path(__file__).with_name("node_documents.mjs"), function],
        input=json.dumps(given).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [(base64.b64decode(one["sent"]).splitlines(), one["report"]) for one in found]


@pytest.mark.parametrize("step", [None, 7])
def test_documents_of_the_table(node: str, function: Path, step: int | None) -> None:
    """Each file gives the documents that the table says, however few bytes come at a time."""
    done = _shipped(node, function, [content_of(row) for row in TABLE], step)
    for row, (documents, report) in zip(TABLE, done, strict=True):
        assert [own_fields(document) for document in documents] == row["documents"], row["about"]
        malformed = sum("ParseError" in document for document in row["documents"])
        assert report["lines"]["sent"] == len(row["documents"])
        assert report["failures"]["parsing"]["total"] == malformed


def test_both_functions_say_the_same_of_any_file(node: str, function: Path, load: Load) -> None:
    """Whatever is changed in a file, zipped or not: the same documents, ids and counts."""
    files = [
        gzip.compress(content, 0) if number % 2 else content
        for number, content in enumerate(damaged_files(seed=2, count=1500))
    ]
    for content, (documents, report) in zip(files, _shipped(node, function, files), strict=True):
        expected, summary = ship(load, content)
        assert [json.loads(one) for one in documents] == [json.loads(one) for one in expected]
        assert report["lines"] == summary.report()["lines"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PEM file with a key and its certificate for 127.0.0.1, signed by itself."""
    return write_certificate(tmp_path_factory.mktemp("certificate") / "both.pem", "listener")


@pytest.mark.parametrize("says_goodbye", [True, False], ids=["TLS ends", "only TCP ends"])
@pytest.mark.parametrize("trusted", [True, False])
def test_tls_verifies_and_ends_cleanly(
    node: str, function: Path, certificate: Path, *, trusted: bool, says_goodbye: bool
) -> None:
    """A known authority is sent to, and may end in TLS or in TCP alone; an unknown one is not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    received = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            stream, _ = server.accept()
            with (
                suppress(OSError),
                stream,
                context.wrap_socket(stream, server_side=True) as secured,
            ):
                with suppress(ssl.SSLError):
                    while data := secured.recv(100):
                        received.extend(data)
                if says_goodbye:
                    secured.unwrap()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        words: list[str | Path] = [node, "--input-type=module", "--eval", _SEND, "--", function]
        words += [str(server.getsockname()[1]), certificate if trusted else ""]
        done = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
        thread.join(timeout=10)
    if trusted:
        assert (done.stdout, bytes(received)) == ("done\n", b"one\ntwo\n"), done.stderr
    else:
        assert done.stdout.startswith("ConnectionLostError: connecting to 127.0.0.1:")
        assert received == b""
