"""What the function needs of memory, with the AWS client loaded as in Lambda."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_MEASURE = """
import gzip, io, pathlib, socket, sys, threading
sys.path.insert(0, sys.argv[1])
from elb_logs_under_test import handler, settings

line = (
    "2014-03-01T08:15:30.123456Z shop 203.0.113.7:40001 10.1.2.3:8080 0.000073 0.251048 0.0006 "
    '200 404 12 3456 "GET http://shop.example:80/' + "x" * 200 + ' HTTP/1.1" "' + "y" * 150 + '"'
)
content = gzip.compress("\\n".join(line for _ in range(100_000)).encode())

class Storage:
    def get_object(self, **_request):
        return {"Body": io.BytesIO(content), "ETag": '"0123"'}

def read_all(server, counted):
    stream, _ = server.accept()
    with stream:
        while data := stream.recv(65_536):
            counted[0] += data.count(b"\\n")

counted = [0]
with socket.create_server(("127.0.0.1", 0)) as server:
    thread = threading.Thread(target=read_all, args=(server, counted))
    thread.start()
    where = settings.Settings(host="127.0.0.1", port=server.getsockname()[1], environment="CI",
                              application="shop", component="web")
    event = {"Records": [{"s3": {"bucket": {"name": "logs"}, "object": {"key": "key"}}}]}
    handler.process(event, where, s3=Storage(), function="CI-Logs")
    thread.join()

# getrusage would count what the parent had before this program was started in its place.
status = pathlib.Path("/proc/self/status").read_text()
print(counted[0], int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""


def test_large_file_fits_into_256_megabytes(function_folder: Path) -> None:
    """A file of 100,000 long lines is shipped whole by a process that stays below 256 MB."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(function_folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    arrived, megabytes = map(int, done.stdout.splitlines()[-1].split())
    assert arrived == 100_000
    assert megabytes < 256
