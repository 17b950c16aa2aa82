"""The end of `env.create`: a file put into the new environment's bucket, and what became of it."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.names import ALIAS
from ..deploy.aws_errors import explained_errors
from ..report.function_log import Entry
from .local import EVENTS
from .logs import LogOptions, function_log
from .which_function import Place

# S3 tells of an object within seconds, seldom within minutes; a function may take 15 more.
_LONGEST = 180.0
_SHOWN = 200
_BEFORE = LogOptions(since="15m")
_ENDS = ("REPORT RequestId: ", '"platform.report"')


def sample_object(root: Path) -> tuple[Path, str] | None:
    """Return the first file of `tests/events/BUCKET/KEY`, with its key; None without one."""
    for file in sorted((root / EVENTS).glob("*/**/*")):
        if file.is_file():
            return file, "/".join(file.relative_to(root / EVENTS).parts[1:])
    return None


def smoke_through_bucket(place: Place, root: Path, bucket: str, reporter: Reporter) -> bool:
    """Put the sample into the bucket, wait until the function has processed it, and say how.

    False where there is no sample. Raises PipelineError with the function's words where it failed,
    or was not called.
    """
    sample = sample_object(root)
    if sample is None:
        reporter.line(f"    no file {EVENTS.as_posix()}/BUCKET/KEY: nothing was put into {bucket}")
        return False
    file, key = sample
    where = f"smoke {place.function}"
    quiet = Reporter(lambda _: None)
    waited = 0.0

    def pause(seconds: float) -> None:
        nonlocal waited
        waited += seconds
        if waited > longest:
            raise PipelineError(
                where,
                f"{key} was put into {bucket}, and {place.function} was not called for it "
                f"within {longest:.0f} s",
                f"Look at the bucket's notification, and whether it may call `{ALIAS}`.",
            )
        place.sleep(seconds)

    with reporter.stage("smoke") as stage:
        with explained_errors(where, "lambda:GetFunctionConfiguration"):
            functions = place.connection.functions
            found = functions.get_function_configuration(FunctionName=place.function)
        longest = _LONGEST + found.get("Timeout", 0)
        now = datetime.now(UTC)
        before = [one for page in function_log(place, _BEFORE, now, quiet, pause) for one in page]
        with explained_errors(where, "s3:PutObject"):
            place.clients("s3").put_object(Bucket=bucket, Key=key, Body=file.read_bytes())
        stage.progress(f"{key} is in {bucket}; waiting for what {place.function} logs")
        known = {one.request_id for one in before}
        following = LogOptions(since=_BEFORE.since, follow=True)
        requests: dict[str, list[Entry]] = defaultdict(list)
        for page in function_log(place, following, now, quiet, pause):
            for one in page:
                if one.request_id and one.request_id not in known:
                    requests[one.request_id].append(one)
            for entries in requests.values():
                if any(end in one.line.message for end in _ENDS for one in entries):
                    stage.text = f"{key}: {_outcome(where, entries)}"
                    return True
    return False  # the log is followed without an end


def _outcome(where: str, entries: list[Entry]) -> str:
    """Return what the function said last, and which version it was."""
    failed = [one for one in entries if one.level == "ERROR"]
    if failed:
        what = "\n".join(one.text for one in failed)
        then = "The rest is in its log. Can it reach what it sends to?"
        raise PipelineError(where, what, then)
    said = [one.text for one in entries if one.level != "SYSTEM" and one.text.strip()]
    last = " ".join(said[-1].split())[:_SHOWN] if said else "processed, without a word"
    return f"{last} (version {entries[-1].line.version})"
