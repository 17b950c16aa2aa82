"""One access log line to JSON, of a classic or of an application load balancer.

Millions of lines go through here, so one expression checks and cuts a line, and a column is
escaped for JSON by itself only where the line has more than plain text and quotes.
"""

from __future__ import annotations

import re
from json.encoder import encode_basestring  # json.dumps of one text, not ASCII only

__all__ = ["MalformedLineError", "json_members"]

# What an application load balancer writes after the user agent, in its order. Columns that AWS
# appends later stay in `message` until they get a name here.
_APPLICATION_NAMES = (
    "SslCipher",
    "SslProtocol",
    "TargetGroupArn",
    "TraceId",
    "DomainName",
    "ChosenCertificateArn",
    "MatchedRulePriority",
    "RequestCreationTime",
    "ActionsExecuted",
    "RedirectUrl",
    "ErrorReason",
    "Targets",
    "TargetStatuses",
    "Classification",
    "ClassificationReason",
    "ConnectionTraceId",
    "TransformedHost",
    "TransformedUri",
    "RequestTransformStatus",
)
_TIME_NAMES = ("TimeToForwardRequest", "TimeTaken", "TimeToForwardResponse")
_MOST_AFTER_AGENT = 2  # in a classic line: cipher and protocol

_TIME = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)"
_SECONDS = r"(-1|\d{1,9}(?:\.\d+)?)"
_BYTES = r"(0|[1-9]\d*)"
_BARE = r'([^ "]+)'
# A quote after a backslash does not end a quoted column. Nothing is tried twice (`*+`), or a line
# made to confuse would take minutes.
_QUOTED = r'"([^"]*+(?:(?<=\\)"[^"]*+)*+)"'
_COLUMN = r'(?:"[^"]*+(?:(?<=\\)"[^"]*+)*+"|[^ "]++)'
# GET https://host:443/path?query HTTP/1.1; where there was no HTTP request, `- - - `.
_REQUEST = (
    r'"([^ "]+) (?:[A-Za-z]+://[^/?" ]*+)?([^?" ]*+(?:(?<=\\)"[^?" ]*+)*+)'
    r'[^"]*+(?:(?<=\\)"[^"]*+)*+"'
)
# The type stands first in application lines only; the next 13 columns are common to both.
_match_line = re.compile(
    rf"(?:([a-z][a-z0-9]*) )?{_TIME} {_BARE} {_BARE} {_BARE} {_SECONDS} {_SECONDS} {_SECONDS} "
    rf"{_BARE} {_BARE} {_BYTES} {_BYTES} {_REQUEST}(?: {_QUOTED}((?: {_COLUMN})*+))?",
    re.ASCII,
).fullmatch
_find_columns = re.compile(rf"{_COLUMN}(?= |$)").findall


class MalformedLineError(ValueError):
    """The line is in neither format; the message says how it looks."""


def json_members(line: str) -> str:
    """Return the line's fields as the members of a JSON object, without the braces.

    Times are whole milliseconds (a time of -1 is left out), sizes are bytes, all else is text as
    it stands in the line. Raises MalformedLineError.
    """
    match = _match_line(line)
    if match is None:
        raise MalformedLineError(_complaint(line))
    columns = match.groups("")
    rest = columns[-1]
    message = encode_basestring(line)
    plain = len(message) == len(line) + line.count('"') + 2  # only quotes had to be escaped
    if not plain:
        columns = tuple([_escaped(column) for column in columns])
    kind, time, name, client, target, forward, taken, respond = columns[:8]
    status, backend, uploaded, downloaded, verb, path, agent, _ = columns[8:]
    user_agent = f',"UserAgent":"{agent}"' if agent else ""
    times = _times(forward, taken, respond)
    others = _application(kind, rest, plain=plain) if kind else _classic(rest)
    return (
        f'"@timestamp":"{time}","LoadBalancerName":"{name}","PublicIpAndPort":"{client}",'
        f'"InternalIpAndPort":"{target}","Status":"{status}","BackendStatus":"{backend}",'
        f'"BytesUploadedFromClient":{uploaded},"BytesDownloadedByClient":{downloaded},'
        f'"Verb":"{verb}","Path":"{path or "/"}"{user_agent}{times}{others},"message":{message}'
    )


def _escaped(column: str) -> str:
    return encode_basestring(column.replace('\\"', '"'))[1:-1]


def _classic(rest: str) -> str:
    if (more := rest.count(" ")) > _MOST_AFTER_AGENT:
        message = f"{13 + more} columns, a classic line has 12 to 15"
        raise MalformedLineError(message)
    return ""


def _application(kind: str, rest: str, *, plain: bool) -> str:
    if " " in "".join(rest.split('"')[1::2]):
        columns = [c[1:-1] if c[0] == '"' else c for c in _find_columns(rest)]
    else:  # no space inside quotes, as almost always
        columns = rest.replace('"', "").split(" ")[1:]
    if not plain:
        columns = [_escaped(column) for column in columns]
    named = zip(_APPLICATION_NAMES, columns, strict=False)
    own = [f'","{name}":"{value}' for name, value in named if value != "-"]
    return f',"RequestType":"{kind}{"".join(own)}"'


def _times(*seconds: str) -> str:
    if "-1" in seconds:  # no answer from the target, or the client went away
        named = zip(_TIME_NAMES, seconds, strict=True)
        return "".join([f',"{n}":{round(float(s) * 1000)}' for n, s in named if s != "-1"])
    forward, taken, respond = seconds
    return (
        f',"TimeToForwardRequest":{round(float(forward) * 1000)}'
        f',"TimeTaken":{round(float(taken) * 1000)}'
        f',"TimeToForwardResponse":{round(float(respond) * 1000)}'
    )


def _complaint(line: str) -> str:
    words = len(line.split(" "))
    return f"neither a classic nor an application line: {words} words, {len(line)} characters"
