"""One access log line to JSON, of a classic or of an application load balancer.

Millions of lines go through here. So one expression checks a line and cuts it, and for nearly all
lines the same look tells that their columns are JSON text as they stand.
"""

from __future__ import annotations

import re
from json.encoder import encode_basestring as json_text  # json.dumps of one text, not ASCII only
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

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
_APPLICATION_MEMBERS = tuple([f'","{name}":"' for name in _APPLICATION_NAMES])
_TIME_NAMES = ("TimeToForwardRequest", "TimeTaken", "TimeToForwardResponse")
_MOST_AFTER_AGENT = 2  # in a classic line: cipher and protocol

_TIME = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)"
_SECONDS = r"(-1|\d{1,9}(?:\.\d+)?)"
_BYTES = r"(0|[1-9]\d{0,18})"  # no more digits than 64 bits have: not every reader takes them
_VERSION = r"(?:HTTP/[0-9.]++|- ?)"  # where there was no HTTP request, it is `- - - `


def _text(stop: str, *, ordinary: bool) -> str:
    """Match up to a character of `stop`; a quote after a backslash stops nothing.

    Nothing is tried twice (`*+`), or a line made to confuse would take minutes. A repeated group
    is in an atomic one instead: Python 3.11.0 to 3.11.4 match possessive groups wrongly.
    """
    if ordinary:
        return rf"[^{stop}\\\x00-\x1f]*+"
    return rf'[^{stop}]*+(?>(?:(?<=\\)"[^{stop}]*+)*)'


def _line_pattern(*, ordinary: bool) -> re.Pattern[str]:
    r"""Return the pattern of a line; an ordinary one has no backslash and no control character.

    The type stands first in application lines only; the next 13 columns are common to both. The
    last two groups are the columns after the user agent, the second of them beginning with the
    first column that has a blank in it. The request is two groups in the pattern of an ordinary
    line, whose URL has no blank, and one in the other.
    """
    not_in_json = r"\\\x00-\x1f" if ordinary else ""
    bare = f'[^" {not_in_json}]++'
    text = _text('"', ordinary=ordinary)
    word = _text('" ', ordinary=ordinary)
    request = f"({text})"
    if ordinary:
        host, path = f'[^"/? {not_in_json}]*+', f'[^"? {not_in_json}]*+'
        request = rf"({bare}) (?:[A-Za-z]+://{host})?({path})(?:\?{word})? {_VERSION}"
    return re.compile(
        rf"(?:([a-z][a-z0-9]*) )?{_TIME} ({bare}) ({bare}) ({bare}) "
        rf'{_SECONDS} {_SECONDS} {_SECONDS} ({bare}) ({bare}) {_BYTES} {_BYTES} "{request}"'
        rf'(?: "({text})"((?>(?: (?:"{word}"|{bare}))*))((?>(?: (?:"{text}"|{bare}))*)))?',
        re.ASCII,
    )


_match_ordinary = _line_pattern(ordinary=True).fullmatch
_match_other = _line_pattern(ordinary=False).fullmatch
# The URL is all between the verb and the version: some clients leave blanks in it.
_match_request = re.compile(rf"([^ ]+) (.*) {_VERSION}", re.ASCII | re.DOTALL).fullmatch
_origin_or_query = re.compile(r"\A[A-Za-z]+://[^/?]*|\?.*", re.DOTALL)
_find_columns = re.compile('"' + _text('"', ordinary=False) + r'"|[^ "]++').findall


class MalformedLineError(ValueError):
    """The line is in neither format; the message says how it looks."""


def json_members(line: str) -> str:
    """Return the line's fields as the members of a JSON object, without the braces.

    Times are whole milliseconds (a time of -1 is left out), sizes are bytes, all else is text as
    it stands in the line. A request that is not one has no verb and no path. Raises
    MalformedLineError.
    """
    if ordinary := _match_ordinary(line):
        columns = ordinary.groups("")
        message = line.replace('"', '\\"')
    elif other := _match_other(line):
        columns = _escaped_columns(*other.groups(""))
        message = json_text(line)[1:-1]
    else:
        raise MalformedLineError(_complaint(line))
    kind, time, name, client, target, forward, taken, respond, status = columns[:9]
    backend, uploaded, downloaded, verb, path, agent, words, rest = columns[9:]
    if path and agent:
        request = f',"Verb":"{verb}","Path":"{path}","UserAgent":"{agent}"'
    else:
        request = _incomplete(verb, path, agent)
    times = _times(forward, taken, respond)
    if not kind:
        others = _classic(words + rest)
    elif ordinary and not rest:  # so blanks and quotes only stand between columns
        others = _application(kind, words.replace('"', "").split(" ")[1:])
    else:
        others = _application(kind, [_escaped(_unquoted(c)) for c in _find_columns(words + rest)])
    return (
        f'"@timestamp":"{time}","LoadBalancerName":"{name}","PublicIpAndPort":"{client}",'
        f'"InternalIpAndPort":"{target}","Status":"{status}","BackendStatus":"{backend}",'
        f'"BytesUploadedFromClient":{uploaded},"BytesDownloadedByClient":{downloaded}'
        f'{request}{times}{others},"message":"{message}"'
    )


def _escaped_columns(*columns: str) -> tuple[str, ...]:
    """Return what the pattern of an ordinary line would, all but the last two as JSON text."""
    *common, request, agent, words, rest = columns
    verb = path = ""
    if match := _match_request(request):
        verb, path = match[1], _origin_or_query.sub("", match[2])
    return (*[_escaped(column) for column in (*common, verb, path, agent)], words, rest)


def _escaped(column: str) -> str:
    return json_text(column.replace('\\"', '"'))[1:-1]


def _incomplete(verb: str, path: str, agent: str) -> str:
    """Return the members of a request that lacks something; without a verb there was none."""
    path = path or ("-" if verb == "-" else "/")
    members = f',"Verb":"{verb}","Path":"{path}"' if verb else ""
    return f'{members},"UserAgent":"{agent}"' if agent else members


def _unquoted(column: str) -> str:
    return column[1:-1] if column[0] == '"' else column


def _classic(rest: str) -> str:
    if (more := rest.count(" ")) > _MOST_AFTER_AGENT:
        message = f"{13 + more} columns, a classic line has 12 to 15"
        raise MalformedLineError(message)
    return ""


def _application(kind: str, columns: Iterable[str]) -> str:
    named = zip(_APPLICATION_MEMBERS, columns, strict=False)
    own = [member + value for member, value in named if value != "-"]
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
