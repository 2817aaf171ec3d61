"""When a version of a function is published, by what CloudFormation's schemas say of replacing a resource.

AWS is not asked. A deployment is played as far as it tells two deployments apart: the name of a resource, and whatever
AWS makes up of it, stays the same until a property changes that its schema calls create-only.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from local.template import REGION, Resolver, Template, load
from tests.infra.transformed import ROOT, SWITCHES, document

DOCUMENT = document()
RESOURCES: dict[str, dict[str, Any]] = DOCUMENT["Resources"]
PARAMETERS: dict[str, dict[str, Any]] = DOCUMENT["Parameters"]
DEFAULTS: Mapping[str, Any] = load(ROOT / "template.yaml", {}).parameters
FUNCTIONS = [name for name, one in RESOURCES.items() if one["Type"] == "AWS::Lambda::Function"]
VERSION, ALIAS = "AWS::Lambda::Version", "AWS::Lambda::Alias"
# They are of the function, whatever its version: https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html
# and https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionRecursionConfig.html
OF_ALL_VERSIONS = {"RecursiveLoop", "ReservedConcurrentExecutions", "Tags"}
# https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
STEPS = re.compile(r"(Canary|Linear)10Percent(?:Every)?(\d+)Minutes?")


def create_only(kind: str) -> set[str]:
    """The properties of which another value means another resource in place of the one that is there."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
    return {path.split("/")[2] for path in schema.get("createOnlyProperties", ())}


class Names(dict[Any, Any]):
    """Of resources, made up when they are asked for."""

    def __init__(self, known: Mapping[Any, Any], deployed: "Deployed") -> None:
        super().__init__(known)
        self._deployed = deployed

    def __missing__(self, key: Any) -> Any:
        return self._deployed.name(*(key if isinstance(key, tuple) else (key, "Ref")))


class Deployed:
    """The stack with these values of its parameters. `replaced` is a resource that was replaced for other reasons."""

    def __init__(self, given: Mapping[str, Any], replaced: str = "") -> None:
        self._template = Template(ROOT, DOCUMENT, {**DEFAULTS, **given})
        self._replaced = replaced
        self._resolver = Resolver(self._template)
        self._resolver.refs = Names(self._resolver.refs, self)
        self._resolver.attributes = Names({}, self)

    def name(self, resource: str, attribute: str) -> Any:
        properties = RESOURCES[resource]["Properties"]
        if attribute in properties:  # the value of a parameter of Systems Manager
            return self._resolver(properties[attribute])
        again = "again" if resource == self._replaced else ""
        return f"{resource}.{attribute}.{hash(json.dumps(self.fixed(resource)))}{again}"

    def fixed(self, resource: str) -> dict[str, Any]:
        """The properties that cannot change without a replacement."""
        one = RESOURCES[resource]
        return {
            key: self._resolver(one["Properties"][key])
            for key in sorted(create_only(one["Type"]) & {*one["Properties"]})
        }

    def functions(self) -> dict[str, dict[str, Any]]:
        """What a version of each function would be made of, but the number of the settings."""
        return {name: {**self.published(name), "Environment": self._environment(name)} for name in self._there()}

    def published(self, function: str) -> dict[str, Any]:
        """What a version of the function would be made of."""
        properties = RESOURCES[function]["Properties"].items()
        found: dict[str, Any] = self._resolver({key: value for key, value in properties if key not in OF_ALL_VERSIONS})
        return found

    def versions(self) -> dict[str, dict[str, Any]]:
        """By function, what its version cannot change without being replaced."""
        return {name: self.fixed(version_of(name)) for name in self._there()}

    def settings(self) -> str:
        return str(self.name("Settings", "Content"))

    def _environment(self, function: str) -> dict[str, Any]:
        variables: dict[str, Any] = self.published(function)["Environment"]["Variables"]
        return {key: value for key, value in variables.items() if key != "SETTINGS_VERSION"}

    def _there(self) -> list[str]:
        return [name for name in FUNCTIONS if name in self._template.resources]


def version_of(function: str) -> str:
    (version,) = (
        name
        for name, one in RESOURCES.items()
        if one["Type"] == VERSION and one["Properties"]["FunctionName"] == {"Ref": function}
    )
    return version


def others(name: str) -> Iterator[Any]:
    """Values of the parameter that are not its default, each of which the template takes."""
    said, default = PARAMETERS[name], DEFAULTS[name]
    if name in SWITCHES:
        yield SWITCHES[name][1].split(",") if isinstance(default, list) else SWITCHES[name][1]
    elif "AllowedValues" in said:
        yield from (value for value in said["AllowedValues"] if value != default)
    elif said["Type"] == "Number":
        yield str(int(default) - 1 if default == str(said.get("MaxValue")) else int(default) + 1)
    else:
        yield "changed"


OFF: dict[str, Any] = {}
ON = {name: next(others(name)) for name in SWITCHES}


@pytest.mark.parametrize("base", [OFF, ON], ids=["off", "on"])
def test_a_parameter_that_a_function_is_given_publishes_its_version(base: dict[str, Any]) -> None:
    """By value, for every parameter: where it changes a function, each version is replaced, and else none is.

    A version is replaced only where its function has changed: else CloudFormation would fail with "A version for this
    Lambda function exists".
    """
    before, reaching = Deployed(base), set()
    functions, versions = before.functions(), before.versions()
    published = {name: before.published(name) for name in functions}
    for name in PARAMETERS:
        for value in [DEFAULTS[name]] if name in base else others(name):
            after = Deployed({**base, name: value})
            changed = functions != after.functions()
            assert (before.settings() != after.settings()) is changed, (name, value)
            for function, version in after.versions().items():
                if function in functions:
                    assert (version != versions[function]) is changed, (function, name, value)
                    assert (after.published(function) != published[function]) is changed, (function, name, value)
            if changed:
                reaching.add(name)
    assert {"OwnerBytes", "HasherMemory", "OidcIssuer", "ContentTypes", "SnapStart", "ExistingBucket"} <= reaching
    assert not {"LogRetentionDays", "StreamConcurrency", "AlarmTopicArn", "Deployment", "WebhookSecret"} & reaching


@pytest.mark.parametrize(("cloudfront", "address"), [("on", "CloudFrontSecret"), ("off", "StreamFunctionUrl")])
def test_a_resource_that_is_replaced_publishes_versions(cloudfront: str, address: str) -> None:
    """For every resource: where a function is given another name, ARN or URL, its version is replaced; else not."""
    base, reaching = ON | {"ExistingBucket": "", "ExistingTable": "", "CloudFront": cloudfront}, set()
    before = Deployed(base)
    versions, published = before.versions(), {name: before.published(name) for name in FUNCTIONS}
    for name in RESOURCES.keys() - {*FUNCTIONS, *map(version_of, FUNCTIONS)}:
        after = Deployed(base, replaced=name)
        for function, version in after.versions().items():
            changed = published[function] != after.published(function)
            assert (version != versions[function]) is changed, (function, name)
            reaching |= {name} if changed else set()
    layers = {name for name, one in RESOURCES.items() if one["Type"] == "AWS::Lambda::LayerVersion"}
    assert layers | {"FilesTable", "FilesBucket", "AccessToken", "ApiRole", address} <= reaching


def test_a_change_of_the_template_publishes_versions(tmp_path: Path) -> None:
    """SAM names a version after all that the template says of its function, not only after its code."""
    for name in FUNCTIONS:
        assert re.fullmatch(rf"{name}Version[0-9a-f]{{10}}", version_of(name))
    altered = (ROOT / "template.yaml").read_text().replace("      Timeout: 29\n", "      Timeout: 28\n")
    assert altered.count("      Timeout: 28\n") == 1
    copy = tmp_path / "template.yaml"
    copy.write_text(altered)
    versions = {name for name, one in load(copy, {}).document["Resources"].items() if one["Type"] == VERSION}
    assert {name for name, one in RESOURCES.items() if one["Type"] == VERSION} - versions == {version_of("ApiFunction")}


def test_settings_have_nothing_secret() -> None:
    """They can be read by who may read AppConfig: no parameter that is not shown is in them, and no secret's value."""
    hidden = {name for name, said in PARAMETERS.items() if said.get("NoEcho")}
    assert hidden
    for name in hidden:
        assert Deployed({**ON, name: "changed"}).settings() == Deployed(ON).settings()
    assert "{{resolve:" not in json.dumps(RESOURCES["Settings"])


def test_what_calls_a_function_calls_its_alias() -> None:
    """The HTTP API, the Function URL, the queue and the stream, and whom these are let in for: none calls $LATEST."""
    calling = {
        "AWS::ApiGatewayV2::Integration": "IntegrationUri",
        "AWS::Lambda::EventSourceMapping": "FunctionName",
        "AWS::Lambda::Permission": "FunctionName",
        "AWS::Lambda::Url": "TargetFunctionArn",
    }
    called = [
        (one["Type"], one["Properties"][calling[one["Type"]]]) for one in RESOURCES.values() if one["Type"] in calling
    ]
    assert {kind for kind, _ in called} == calling.keys()
    # Written out where `sam local` does not find its function otherwise; what it waits for waits for the alias.
    (by_name,) = (by for _, by in called if "Ref" not in by)
    assert by_name == {"Fn::Sub": "${ApiFunction.Arn}:live"}
    assert RESOURCES["HttpApiIntegration"]["DependsOn"] == "HttpApiPermission"
    assert RESOURCES["HttpApiPermission"]["Properties"]["FunctionName"] == {"Ref": "ApiFunctionAliaslive"}
    aliases = {name for name, one in RESOURCES.items() if one["Type"] == ALIAS}
    assert {RESOURCES[name]["Properties"]["Name"] for name in aliases} == {"live"}
    assert {by["Ref"] for _, by in called if "Ref" in by} == aliases


def test_old_versions_are_deleted() -> None:
    """Also one whose deployment was rolled back: kept, it would be in the way of the next try."""
    assert {one["DeletionPolicy"] for one in RESOURCES.values() if one["Type"] == VERSION} == {"Delete"}


CODEDEPLOY = ("AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup")


@pytest.mark.parametrize("way", PARAMETERS["Deployment"]["AllowedValues"])
def test_a_release_comes_step_by_step_where_that_is_wanted(way: str) -> None:
    """API, stream function and hasher, each watched by alarms that tell within the first step; by default at once."""
    template = load(ROOT / "template.yaml", {"Deployment": way})
    groups = template.of_type("AWS::CodeDeploy::DeploymentGroup")
    policies = {name: one["UpdatePolicy"] for name, one in template.of_type(ALIAS).items() if "UpdatePolicy" in one}
    if way == PARAMETERS["Deployment"]["Default"]:
        assert not any(template.of_type(kind) for kind in CODEDEPLOY)
        assert (policies, [name for name in template.resources if "DeploymentRole" in name]) == ({}, [])
        return
    slowly = ("ApiFunction", "HasherFunction", "StreamFunction")
    assert sorted(groups) == [f"{name}DeploymentGroup" for name in slowly]
    assert sorted(policies) == [f"{name}Aliaslive" for name in slowly]
    resolver = Resolver(template)
    roles = {f"{name}DeploymentGroup": "DeploymentRole" for name in slowly}
    roles |= {"StreamFunctionDeploymentGroup": "StreamDeploymentRole"}
    resolver.attributes |= {(role, "Arn"): role for role in roles.values()}
    resolver.refs |= {
        name: name for name in (*template.of_type("AWS::CloudWatch::Alarm"), "ServerlessDeploymentApplication")
    }
    step = STEPS.fullmatch(way)
    assert step is not None
    seconds = int(step[2]) * 60 * (10 if step[1] == "Linear" else 1)
    for name, group in groups.items():
        properties = resolver(group["Properties"])
        assert properties["DeploymentConfigName"] == f"CodeDeployDefault.Lambda{way}"
        assert properties["ServiceRoleArn"] == roles[name]
        assert f"{name.removesuffix('DeploymentGroup')}.Arn}}:live" in json.dumps(template.resources[roles[name]])
        assert {"DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_FAILURE"} <= {
            *properties["AutoRollbackConfiguration"]["Events"]
        }
        alarms = [one["Name"] for one in properties["AlarmConfiguration"]["Alarms"]]
        own = f"{name.removesuffix('FunctionDeploymentGroup')}ErrorsAlarm"
        assert {own, "ServerErrorsAlarm", "StreamErrorsAlarm", "HasherErrorsAlarm"} < {*alarms}
        assert "ContradictionAlarm" not in alarms  # which any sender can raise
        for alarm in alarms:
            watched = template.resources[alarm]["Properties"]
            assert watched["Period"] * watched["EvaluationPeriods"] < seconds
