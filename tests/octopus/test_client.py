"""The client: spaces by name, addresses with a path, pages, both casings, old servers."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from pipeline.core.errors import PipelineError
from pipeline.edge.http import Http, HttpError, Request, Response
from pipeline.octopus.client import Access, Document, Octopus, connect

from tests.octopus.octopus_support import Clock, Events, opened
from tests.standins.octopus_server import KEY, TOKEN, Fault, OctopusServer
from tests.standins.octopus_state import State
from tests.words import assert_said, refused


@pytest.mark.parametrize("casing", ["Pascal", "camel"])
@pytest.mark.parametrize(("asked", "found"), [("", "Spaces-1"), ("second SPACE", "Spaces-2")])
def test_a_space_is_found_by_its_name(
    server: OctopusServer, clock: Clock, casing: str, asked: str, found: str
) -> None:
    """In any case, in either casing of the answers; without a name it is the default one."""
    server.casing = casing
    server.add_space("Second Space")
    octopus = opened(server, clock, asked)
    assert octopus.space_id == found
    assert octopus.api == f"{server.url}/api/{found}"
    assert octopus.link("tasks/ServerTasks-7") == f"{server.url}/app#/{found}/tasks/ServerTasks-7"


def test_an_unknown_space_is_named_with_those_that_are_there(
    server: OctopusServer, clock: Clock
) -> None:
    """The reader learns what the key sees, and where the name is set."""
    with refused("Octopus at http://127.0.0.1:PORT", PipelineError):
        opened(server, clock, "Nowhere")


@pytest.mark.parametrize("ending", ["", "/", "/api", "/api/"])
def test_an_address_may_have_a_path(clock: Clock, ending: str) -> None:
    """What stands before /api is kept, however the address ends."""
    with OctopusServer(State(clock), base="/deploy/octo") as server:
        access = Access(f"{server.url}{ending}", KEY)
        octopus = connect(Http({}, sleep=clock.sleep), access, Events().reporter.warn)
        assert list(octopus.all("environments")) == []
    assert server.requests[-1].startswith("GET /deploy/octo/api/Spaces-1/environments?")
    assert server.unknown == []


@pytest.mark.parametrize("version", ["3.5.4", "2018.10.1"])
def test_a_server_from_before_spaces_is_refused(
    server: OctopusServer, clock: Clock, version: str
) -> None:
    """The error names its version, and the oldest one that will do."""
    server.state.version = version
    with refused("Octopus at http://127.0.0.1:PORT", PipelineError):
        opened(server, clock)
    assert len(server.requests) == 1


def test_the_first_server_with_spaces_will_do(server: OctopusServer, clock: Clock) -> None:
    """And has no executions API."""
    server.state.version = "2019.1.0"
    octopus = opened(server, clock, "Default")
    assert (octopus.space_id, octopus.has_executions) == ("Spaces-1", False)


@pytest.mark.parametrize(
    ("version", "has"),
    [("2022.3.5511", False), ("2022.3.5512", True), ("2026.1.1-hotfix.3", True), ("0.0.0-x", True)],
)
def test_the_version_decides_about_the_executions_api(version: str, has: bool) -> None:
    """From the one that Octopus's own client asks for; a development server has all."""
    octopus = Octopus(Http({}), Access("http://host", "key"), version, "Spaces-1", "Default")
    assert octopus.has_executions is has


def test_every_page_of_a_collection_is_read(server: OctopusServer, clock: Clock) -> None:
    """250 resources come in three pages, each once."""
    for index in range(250):
        server.space.add("environments", {"Name": f"Test-{index}"})
    octopus = opened(server, clock)
    names = [environment.text("Name") for environment in octopus.all("environments")]
    assert names == [f"Test-{number}" for number in range(250)]
    assert sum("/environments?" in request for request in server.requests) == 3


def test_a_name_is_compared_whole(server: OctopusServer, clock: Clock) -> None:
    """`Test-1` is not `Test-10`, although the server's search finds both."""
    server.space.add("environments", {"Name": "Test-10"})
    octopus = opened(server, clock)
    assert octopus.named("environments", "Test-1") is None
    assert octopus.named("environments", "tEST-10") is not None


def test_errors_come_in_the_servers_own_words(server: OctopusServer, clock: Clock) -> None:
    """ErrorMessage and every entry of Errors, and the key is nowhere."""
    octopus = opened(server, clock)
    octopus.post("environments", {"Name": "CI"})
    with refused("POST http://127.0.0.1:PORT/api/Spaces-1/environments", HttpError) as error:
        octopus.post("environments", {"Name": "ci"})
    assert KEY not in str(error.value)
    assert KEY not in repr(octopus)


def test_an_access_token_does_instead_of_a_key(server: OctopusServer, clock: Clock) -> None:
    """As `Authorization: Bearer`, where there is no key; it is in no text of the value."""
    access = Access(server.url, "", token=TOKEN)
    found = connect(Http({}, sleep=clock.sleep), access, Events().reporter.warn)
    assert found.space_name == "Default"
    assert TOKEN not in repr(access)
    assert "Authorization" not in Access(server.url, KEY, token=TOKEN).headers
    assert Access(server.url, "").missing == "OCTOPUS_API_KEY"


def test_a_wrong_key_is_said_to_be_wrong(server: OctopusServer, clock: Clock) -> None:
    """401 with what the server says, and what to look at."""
    http = Http({}, sleep=clock.sleep)
    with refused("GET http://127.0.0.1:PORT/api/spaces?skip=0&take=100", HttpError):
        connect(http, Access(server.url, "API-WRONG"), Events().reporter.warn)


def test_something_else_at_the_address_is_not_taken_for_octopus(
    server: OctopusServer, clock: Clock
) -> None:
    """JSON without a version is named as what it is not."""
    server.faults.append(Fault("GET /api/$", 200, body=b'{"status": "up"}'))
    with refused("Octopus at http://127.0.0.1:PORT", PipelineError):
        opened(server, clock)


def test_removing_what_is_gone_is_no_error(server: OctopusServer, clock: Clock) -> None:
    """Removal may be repeated."""
    opened(server, clock).delete("environments/Environments-99")
    assert server.requests[-1].startswith("DELETE ")


@pytest.mark.parametrize("resource", [{"Id": "X-1", "Roles": None}, {"id": "X-1"}])
def test_both_casings_are_read(resource: dict[str, object]) -> None:
    """A property is found with a small first letter as well; null is absent."""
    document = Document(resource)
    assert document.text("Id") == "X-1"
    assert document.texts("Roles") == []
    assert document.text("Name") == ""


def test_a_property_of_another_type_is_an_error() -> None:
    """Of the request that was answered, with the property and what it is."""
    readers: tuple[tuple[Callable[[Document, str], object], object], ...] = (
        (Document.text, 1), (Document.texts, "x"), (Document.texts, [1]), (Document.flag, "true"),
        (Document.number, "1"), (Document.number, math.inf),
        (Document.identity, None), (Document.identity, ""), (Document.identity, ".."),
        (Document.identity, "a/b"), (Document.identity, "a?b"), (Document.reference, "../x"),
        (Document.document, []), (Document.documents, {}), (Document.documents, [1]),
    )  # fmt: skip
    said: list[str] = []
    for reader, wrong in readers:
        owner = Document.of({"things": [{"a": wrong}]}, "GET /things", PipelineError)
        (inner,) = owner.documents("Things")
        with refused("GET /things", PipelineError, said=said):
            reader(inner, "A")
    assert_said("\n".join(said))


@pytest.mark.parametrize("body", [b"[]", b"null", b'{"Items": null}', b'{"Items": {}}', b"{}"])
def test_a_page_without_a_list_is_not_an_empty_one(
    server: OctopusServer, clock: Clock, body: bytes
) -> None:
    """Else what is there would be taken for missing."""
    octopus = opened(server, clock)
    server.faults.append(Fault("GET .*/environments", 200, body=body))
    with refused(
        "GET http://127.0.0.1:PORT/api/Spaces-1/environments?skip=0&take=100", PipelineError
    ):
        list(octopus.all("environments"))


def test_a_collection_has_an_end() -> None:
    """A server that gives the same page again and again is given up."""

    class Same(Http):
        def request(self, request: Request) -> Response:
            page = b'{"Items": [{"Id": "A-1"}], "TotalResults": 999999999}'
            return Response(200, {}, page, request.where)

    octopus = Octopus(Same({}), Access("http://me:hidden@host", "key"), "2026.1", "Spaces-1", "")
    with refused("http://host/api/Spaces-1/environments", PipelineError):
        list(octopus.all("environments"))


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://octopus.example/octo", ["octopus.example"]),
        ("HTTP://10.0.0.7:8065", ["10.0.0.7"]),
        ("https://octopus.example", []),
        ("http://localhost:8065", []),
        ("http://127.0.0.2", []),
        ("http://[::1]:8065", []),
    ],
)
def test_a_key_that_travels_unencrypted_is_warned_of(url: str, warned: list[str]) -> None:
    """Once a connection, with the host; not where it stays on this machine."""

    class Any(Http):
        def request(self, request: Request) -> Response:
            item = b'{"Id": "Spaces-1", "Name": "Default", "IsDefault": true}'
            body = b'{"Version": "2026.1.0", "TotalResults": 1, "Items": [%s]}' % item
            return Response(200, {}, body, request.where)

    events = Events()
    connect(Any({}), Access(url, KEY), events.reporter.warn)
    assert [text.partition(":")[0] for text in events.warnings] == warned
    assert all("unencrypted" in text and "OCTOPUS_URL" in text for text in events.warnings)


def test_a_password_in_the_address_is_in_no_link_and_no_error(
    server: OctopusServer, clock: Clock
) -> None:
    """Links are shown to people, and kept in logs."""
    url = server.url.replace("//", "//me:hidden@")
    http, warn = Http({}, sleep=clock.sleep), Events().reporter.warn
    octopus = connect(http, Access(url, KEY), warn)
    assert octopus.link("tasks/X-1") == f"{server.url}/app#/Spaces-1/tasks/X-1"
    with refused("Octopus at http://127.0.0.1:PORT", PipelineError) as caught:
        connect(http, Access(url, KEY, "Nowhere"), warn)
    assert "hidden" not in str(caught.value) + repr(octopus)


def test_a_changed_document_keeps_its_casing() -> None:
    """What goes back to the server has no property twice."""
    assert Document({"name": "a", "other": 1}).changed(Name="b") == {"name": "b", "other": 1}
    assert Document({"Name": "a"}).changed(Name="b", Roles=[]) == {"Name": "b", "Roles": []}


@pytest.mark.parametrize("id_", ["../../tasks", "a?b=c", "a#b", "a b", "a\nb", "\u00e9", "a\\b"])
def test_an_id_of_an_answer_cannot_lead_to_another_resource(id_: str) -> None:
    """What a server calls an id is a part of the next request's address: it is looked at."""
    with refused("GET projects", PipelineError):
        Document.of({"Id": id_}, "GET projects", PipelineError).identity()
