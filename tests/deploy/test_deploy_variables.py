"""What a worker gives a script, and filling the function's environment from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError, UsageError
from pipeline.core.templates import declared_values, names_in, resolve
from pipeline.deploy.aws_session import Credentials
from pipeline.deploy.worker import WorkerContext

from tests.deploy.deploy_support import octopus_variables
from tests.words import refused


def context_of(variables: dict[str, str], environ: dict[str, str] | None = None) -> WorkerContext:
    """Read a context from a script's globals."""
    return WorkerContext.from_globals({"octopusvariables": variables}, environ or {})


def test_names_are_filled_in_any_case() -> None:
    """A reference is filled inside other text, and names match as they do in Octopus."""
    templates = {"URL": "tcp://#{Logstash.Host}:#{ logstash.port }/", "PLAIN": "x"}
    values = {"Logstash.Host": "logs", "Logstash.Port": "5000"}
    assert resolve(templates, values, where="t") == {"URL": "tcp://logs:5000/", "PLAIN": "x"}
    both = {"One": "1", "ONE": "2", "one": "3"}
    filled = resolve({"A": "#{One}#{ONE}#{one}"}, both, where="t")
    assert filled == {"A": "123"}, "two that differ in case alone are each their own"


def test_everything_missing_is_named_at_once() -> None:
    """One error names every missing variable and where it is used."""
    templates = {"A": "#{One}", "B": "#{Two} #{One}", "C": "#{Three}"}
    with refused("deploy CI", PipelineError):
        resolve(templates, {"three": ""}, where="deploy CI")


def test_an_empty_value_is_a_value() -> None:
    """A variable that is set to nothing is not missing."""
    assert resolve({"A": "<#{One}>"}, {"One": ""}, where="t") == {"A": "<>"}


@pytest.mark.parametrize("template", ["#{Name | ToLower}", "#{if Name}x#{/if}", "#{}"])
def test_filters_and_conditions_are_refused(template: str) -> None:
    """What Octopus would compute is refused by name, never passed on half-done."""
    with refused("t", PipelineError):
        resolve({"A": template}, {"Name": "x"}, where="t")


@given(st.text(), st.text())
def test_values_are_taken_literally(before: str, value: str) -> None:
    """A value is never looked at again, whatever it holds, and `##{` is a literal `#{`."""
    literal = before.replace("#", "").replace("{", "")
    filled = resolve({"A": literal + "#{V}##{V}"}, {"V": value}, where="t")
    assert filled == {"A": literal + value + "#{V}"}


def test_names_in_lists_where_each_is_used() -> None:
    """The references of all templates, without the escaped ones."""
    templates = {"A": "#{One}#{One}", "B": "##{Not} #{One}"}
    assert names_in(templates) == {"One": ["A", "B"]}


def test_outside_octopus_the_declared_variables_come_first() -> None:
    """The variables of pyproject.toml win over the process environment."""
    templates = {"A": "#{Logstash.Host}", "B": "#{Logstash.Port}", "C": "#{Unknown}"}
    environ = {"LOGSTASH_HOST": "no", "LOGSTASH_PORT": "5000", "OTHER": "x"}
    values = declared_values(templates, {"logstash.host": "here"}, environ)
    assert values == {"logstash.host": "here", "Logstash.Port": "5000"}


def test_a_worker_context_has_the_documented_variables() -> None:
    """Environment, release, credentials and the name override are read from Octopus."""
    found = context_of(octopus_variables(AWS_Lambda_Function_Name="Other"))
    assert (found.environment, found.release, found.function) == ("CI", "2.0.7", "Other")
    assert found.credentials == Credentials("testing-key", "testing-secret", "", "eu-west-1")
    assert not found.dry_run


def test_the_steps_aws_account_is_enough() -> None:
    """Without AWS.Deployment.* AWS's own variables are taken, session token included."""
    variables = octopus_variables()
    for name in ("Key", "Secret", "Region"):
        del variables[f"AWS.Deployment.{name}"]
    environ = {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_SESSION_TOKEN": "t",
        "AWS_DEFAULT_REGION": "eu-north-1",
    }
    assert context_of(variables, environ).credentials == Credentials("k", "s", "t", "eu-north-1")


def test_deployment_variables_win_as_a_set() -> None:
    """A key from Octopus is never combined with another account's session token."""
    environ = {"AWS_ACCESS_KEY_ID": "k", "AWS_SESSION_TOKEN": "t", "AWS_REGION": "us-east-1"}
    found = context_of(octopus_variables(), environ).credentials
    assert found == Credentials("testing-key", "testing-secret", "", "eu-west-1")


@pytest.mark.parametrize(
    "missing",
    [
        "Octopus.Environment.Name",
        "Octopus.Release.Number",
        "AWS.Deployment.Key",
        "AWS.Deployment.Secret",
    ],
)
def test_a_missing_variable_is_named(missing: str) -> None:
    """Each variable that has to be there is named when it is not; empty counts as missing."""
    variables = octopus_variables()
    variables[missing] = ""
    assert context_of(variables).missing({}) == [missing]


def test_a_region_may_be_declared() -> None:
    """By the step's AWS account, a variable, or pyproject.toml."""
    variables = octopus_variables()
    del variables["AWS.Deployment.Region"]
    assert context_of(variables).missing({}) == ["AWS.Deployment.Region"]
    assert context_of(variables).missing({"region": "eu-west-1"}) == []
    assert context_of(variables, {"AWS_REGION": "eu-west-1"}).missing({}) == []


def test_outside_octopus_it_says_how_to_run() -> None:
    """Without Octopus's globals the error gives the command to use."""
    with refused("deploy.py", UsageError):
        WorkerContext.from_globals({}, {})


def test_secrets_do_not_show() -> None:
    """The repr of a context shows neither secret nor variables."""
    found = context_of(octopus_variables(Mail="hunter22"))
    assert "testing-secret" not in repr(found)
    assert "hunter22" not in repr(found)
    assert "testing-secret" in found.secrets


def test_credentials_round_trip_through_the_environment() -> None:
    """Credentials handed to a child process arrive as they were."""
    given_ = Credentials("k", "s", "t", "eu-west-1")
    assert Credentials.from_environment(given_.as_environment()) == given_
    assert Credentials("k", "s").as_environment().keys() == {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    }
