"""Deploys to the strict embedded AWS over HTTP, where any call fails, or somebody else acts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import botocore.session
import pytest
from pipeline.core.errors import Conflict, PipelineError
from pipeline.deploy.aws_errors import hint

from tests.deploy.strict_aws import StrictAws, strict_aws
from tests.standins.faults import (
    FAILED,
    STALE,
    Fault,
    faults_before,
    lost,
    meanwhile,
    refused,
    unsent,
    writes,
)
from tests.words import assert_wording

UNDER_WAY = "The operation cannot be performed at this time. An update is in progress for"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictAws]:
    """Return one embedded AWS for all of these tests."""
    with strict_aws(tmp_path_factory.mktemp("strict aws")) as found:
        yield found


def at_each_call(
    aws: StrictAws, fault: Callable[[str, int], Fault]
) -> Iterator[tuple[str, str, PipelineError | None]]:
    """Deploy 2.0.8 over 2.0.7 as often as that has calls, each time with a fault at another one.

    `fault` gets the function's name and the call's number. Yields the name, the operation, and
    the deploy's error; None when it was done. Traffic meets a whole release then, and no weights.
    """
    for number in itertools.count():
        name = aws.fresh()
        aws.faults.forget()
        aws.faults.at[number] = fault(name, number)
        error = None
        try:
            aws.deploy("2.0.8", name, aws.faults)
        except PipelineError as raised:
            error = raised
        if aws.faults.at:
            assert number > len(("read", "configure", "upload", "publish", "alias", "tag")) * 2
            return
        yield name, aws.faults.calls[number], error


def converges(aws: StrictAws, name: str) -> None:
    """Edit the function in the console, deploy again, and again.

    Nothing is lost then, each release has one version, and nothing is left to do.
    """
    aws.edit(name, EDITED="then")
    aws.deploy("2.0.8", name)
    assert aws.release_served(name) == "2.0.8"
    variables = aws.served(name)["Environment"]["Variables"]
    assert (variables["OWNED_BY_STACK"], variables["EDITED"]) == ("42", "then")
    aws.faults.forget()
    aws.deploy("2.0.8", name, aws.faults)
    assert not [call for call in aws.faults.calls if writes(call)]


@pytest.mark.slow
def test_a_deploy_waits_for_all_that_takes_time(aws: StrictAws) -> None:
    """Settings, code and version each take their time; no call is refused on the way."""
    name = aws.fresh()
    began = aws.clock.seconds
    aws.deploy("2.0.8", name, aws.faults)
    assert aws.release_served(name) == "2.0.8"
    # Each of the three is asked for after all of these pauses: fewer waits would be shorter.
    assert aws.clock.seconds - began >= 3 * (0.125 + 0.25 + 0.5)
    writing = [call for call in aws.faults.calls if writes(call)]
    assert writing[:4] == [
        "UpdateFunctionConfiguration", "UpdateFunctionCode", "PublishVersion", "UpdateAlias",
    ]  # fmt: skip


def said_of(aws: StrictAws, name: str, release: str = "2.0.8") -> PipelineError:
    """Deploy a release through the faults, and return its error; traffic is as before."""
    with pytest.raises(PipelineError) as caught:
        aws.deploy(release, name, aws.faults)
    assert aws.release_served(name) == "2.0.7"
    return caught.value


def wording(title: str, error: PipelineError) -> None:
    """Compare what a user reads with the reviewed page."""
    names = {r"CI-Greeter-\d+": "NAME", r"\d{4}-\d\d-\d\dT[\d:.+Z]+": "TIME"}
    assert_wording("deploy-errors", title, f"{error}\nexit code {error.exit_code}", names)


# Lambda's errors by the call that has them, as its service model lists them.
CONFIGURE, UPLOAD, PUBLISH = "UpdateFunctionConfiguration", "UpdateFunctionCode", "PublishVersion"
ERRORS = [
    (CONFIGURE, 412, "PreconditionFailedException"),
    (CONFIGURE, 429, "TooManyRequestsException"),
    (CONFIGURE, 400, "InvalidParameterValueException"),
    (CONFIGURE, 404, "ResourceNotFoundException"),
    (CONFIGURE, 500, "ServiceException"),
    (CONFIGURE, 403, "AccessDeniedException"),
    (UPLOAD, 400, "CodeStorageExceededException"),
    (UPLOAD, 413, "RequestEntityTooLargeException"),
    (UPLOAD, 400, "InvalidCodeSignatureException"),
    (UPLOAD, 400, "CodeVerificationFailedException"),
    (UPLOAD, 404, "CodeSigningConfigNotFoundException"),
    (PUBLISH, 400, "CodeStorageExceededException"),
    ("UpdateAlias", 400, "InvalidParameterValueException"),
    ("UpdateAlias", 404, "ResourceNotFoundException"),
    ("Invoke", 429, "TooManyRequestsException"),
    *(
        pytest.param("Invoke", status, code, marks=pytest.mark.slow)
        for status, code in (
            (502, "ResourceNotReadyException"),
            (502, "ENINotReadyException"),
            (409, "SnapStartNotReadyException"),
            (409, "CodeArtifactUserPendingException"),
            (502, "InvalidZipFileException"),
            (502, "KMSAccessDeniedException"),
            (413, "RequestTooLargeException"),
            (400, "InvalidRequestContentException"),
            (400, "RecursiveInvocationException"),
        )
    ),
]


@pytest.mark.parametrize(("operation", "status", "code"), ERRORS)
def test_each_error_says_what_to_do(aws: StrictAws, operation: str, status: int, code: str) -> None:
    """The message names the function, AWS's code, where things stand, and the next step."""
    name = aws.fresh()
    aws.faults.forget()
    # Some are tried again for a while, so that they have to last.
    aws.faults.script[operation].extend([refused(status, code, "AWS's own sentence.")] * 100)
    (aws.package("2.0.8-smoke") / "smoke").mkdir(exist_ok=True)
    (aws.package("2.0.8-smoke") / "smoke" / "smoke.json").write_text('{"event": {}}')
    error = said_of(aws, name, "2.0.8-smoke" if operation == "Invoke" else "2.0.8")
    assert isinstance(error, Conflict) == (status == 412)
    wording(f"{status} {code} of {operation}", error)


@pytest.mark.slow
def test_an_update_that_never_ends_is_given_up(aws: StrictAws) -> None:
    """A 409 is waited for up to the ceiling, and no longer; the next step is named."""
    name = aws.fresh()
    aws.faults.forget()
    busy = refused(409, "ResourceConflictException", f"{UNDER_WAY} resource: arn:aws:lambda:x")
    aws.faults.script[CONFIGURE].extend([busy] * 100)
    began = aws.clock.seconds
    error = said_of(aws, name)
    assert 30 <= aws.clock.seconds - began < 40
    wording("409 ResourceConflictException to the end", error)
    aws.faults.forget()
    aws.faults.script[CONFIGURE].extend([busy] * 3)
    aws.deploy("2.0.8", name, aws.faults)
    assert aws.release_served(name) == "2.0.8"


def test_a_dropped_update_names_the_reason(aws: StrictAws) -> None:
    """It was taken, and failed later: traffic is as before, and the reason says what helps."""
    for operation, reason in ((CONFIGURE, "EniLimitExceeded"), (UPLOAD, "InvalidZipFileException")):
        name = aws.fresh()
        aws.faults.forget()
        aws.faults.drop_update(operation, reason)
        wording(f"{operation} that ends with {reason}", said_of(aws, name))


def test_every_reason_of_lambda_has_a_next_step() -> None:
    """Each LastUpdateStatusReasonCode and StateReasonCode that the client's model knows."""
    model = botocore.session.Session().get_service_model("lambda")
    codes = {
        code
        for shape in ("LastUpdateStatusReasonCode", "StateReasonCode")
        for code in model.shape_for(shape).metadata["enum"]
    }
    page = "\n".join(f"{code}: {hint(code) or '-'}" for code in sorted(codes))
    assert_wording("deploy-errors", "reason codes", page, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [unsent, lost, FAILED, STALE], ids=["unsent", "lost", "500", "412"]
)
def test_whichever_call_fails_the_next_deploy_goes_on(aws: StrictAws, fault: Fault) -> None:
    """It fails or is done after all; then the same deploy does what is left, and no more."""
    for name, call, error in at_each_call(aws, lambda *_: fault):
        release = aws.release_served(name)
        assert release in ({"2.0.7", "2.0.8"} if error else {"2.0.8"}), call
        converges(aws, name)


@pytest.mark.slow
def test_an_edit_meanwhile_is_never_lost(aws: StrictAws) -> None:
    """Whenever somebody sets a variable, it is there afterwards, and in the next version too."""

    def edit(name: str, _: int) -> Fault:
        return meanwhile(lambda: aws.edit(name, MEANWHILE="1"))

    for name, call, error in at_each_call(aws, edit):
        latest = aws.lambdas.get_function_configuration(FunctionName=name)
        assert latest["Environment"]["Variables"]["MEANWHILE"] == "1", call
        assert error is None or isinstance(error, Conflict), call
        converges(aws, name)
        assert aws.served(name)["Environment"]["Variables"]["MEANWHILE"] == "1", call


@pytest.mark.slow
@pytest.mark.parametrize("edited", [False, True], ids=["two deploys", "two deploys and an edit"])
def test_of_two_deploys_one_wins_and_the_other_is_told(aws: StrictAws, edited: bool) -> None:
    """Another release is deployed between any two calls, with an edit at as many calls of its own.

    Who succeeds last is served; who is not served has an error that says so.
    """
    theirs: list[PipelineError] = []
    with faults_before(aws.endpoint) as others:

        def rival(name: str, number: int) -> Fault:
            theirs.clear()
            others.forget()

            def deploys() -> None:
                if edited:
                    others.at[number] = meanwhile(lambda: aws.edit(name, MEANWHILE="1"))
                try:
                    aws.deploy("2.0.9", name, others)
                except Conflict as error:
                    theirs.append(error)

            return meanwhile(deploys)

        for name, call, error in at_each_call(aws, rival):
            release = aws.release_served(name)
            if error is None:
                assert release == "2.0.8", call
            else:
                assert isinstance(error, Conflict), call
                assert theirs or release == "2.0.9", call
            if edited and not others.at:
                latest = aws.lambdas.get_function_configuration(FunctionName=name)
                assert latest["Environment"]["Variables"]["MEANWHILE"] == "1", call
            converges(aws, name)
