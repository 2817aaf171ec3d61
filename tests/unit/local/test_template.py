"""The transform, the parameters and the intrinsic functions."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samtranslator.yaml_helper import yaml_parse

from local.code import LOCAL_CODE
from local.template import REGION, Resolver, Template, TemplateError, load
from tests.effort import effort

TINY = Path(__file__).parent / "tiny" / "template.yaml"
SLUICE = Path(__file__).parents[3] / "template.yaml"
# Templates that are broken by chance, each in one place; a transform takes most of a second.
BROKEN = effort(12, 60, 400)
# Whoever writes a number means the text that a parameter is.
CONDITIONS = {"IsOne": {"Fn::Equals": [{"Ref": "Number"}, 1]}, "IsTwo": {"Fn::Equals": [{"Ref": "Number"}, "2"]}}

MAPPINGS = {"Sizes": {REGION: {"Memory": 256}}}


@pytest.fixture
def resolver() -> Resolver:
    resolver = Resolver(
        Template(
            Path(),
            {"Resources": {}, "Conditions": CONDITIONS, "Mappings": MAPPINGS},
            {"Number": "1", "List": ["a", "b"]},
        )
    )
    resolver.refs["Thing"] = "thing-1"
    resolver.attributes["Thing", "Arn"] = "arn:thing"
    resolver.addresses["https://api.example"] = "http://127.0.0.1:1"
    return resolver


def minimal(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(f"Transform: AWS::Serverless-2016-10-31\n{text}")
    return path


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Thing"}, "thing-1"),
        ({"Ref": "List"}, ["a", "b"]),
        ({"Ref": "AWS::Region"}, REGION),
        ({"Fn::GetAtt": ["Thing", "Arn"]}, "arn:thing"),
        ({"Fn::GetAtt": "Thing.Arn"}, "arn:thing"),
        ({"Fn::Sub": "${Thing.Arn}/x/${Thing}/${!Literal}"}, "arn:thing/x/thing-1/${Literal}"),
        ({"Fn::Sub": ["${a}-${Thing}", {"a": {"Ref": "Number"}}]}, "1-thing-1"),
        ({"Fn::Sub": "https://api.example/files"}, "http://127.0.0.1:1/files"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Thing"}]]}, "a-thing-1"),
        ({"Fn::Join": [",", {"Ref": "List"}]}, "a,b"),
        ({"Fn::Select": [1, {"Ref": "List"}]}, "b"),
        ({"Fn::Split": ["-", {"Ref": "Thing"}]}, ["thing", "1"]),
        ({"Fn::If": ["IsOne", "yes", "no"]}, "yes"),
        ({"Fn::If": ["IsTwo", "yes", {"Ref": "Thing"}]}, "thing-1"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "Memory"]}, 256),
        ({"Fn::Base64": {"Ref": "Thing"}}, "dGhpbmctMQ=="),
        ({"kept": 1, "left": {"Ref": "AWS::NoValue"}}, {"kept": 1}),
        ([1, {"Fn::If": ["IsTwo", "x", {"Ref": "AWS::NoValue"}]}, 2], [1, 2]),
    ],
)
def test_functions_resolve(resolver: Resolver, value: Any, resolved: Any) -> None:
    """Each intrinsic function gives what CloudFormation gives."""
    assert resolver(value) == resolved


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (None, True),
        ("IsOne", True),
        ({"Condition": "IsTwo"}, False),
        ({"Fn::Not": [{"Condition": "IsTwo"}]}, True),
        ({"Fn::And": [{"Condition": "IsOne"}, {"Condition": "IsTwo"}]}, False),
        ({"Fn::Or": [{"Condition": "IsOne"}, {"Condition": "IsTwo"}]}, True),
    ],
)
def test_conditions_hold(resolver: Resolver, condition: Any, holds: bool) -> None:
    """Conditions combine as in CloudFormation."""
    assert resolver.holds(condition) is holds


@pytest.mark.parametrize(
    "value",
    [{"Ref": "Nothing"}, {"Fn::GetAtt": ["Thing", "Url"]}, {"Fn::Sub": "${Nothing.Arn}"}, {"Fn::Cidr": ["a", 1]}],
)
def test_what_does_not_exist_is_an_error(resolver: Resolver, value: Any) -> None:
    """A reference to nothing, or a function that is not known, is never passed on."""
    with pytest.raises(TemplateError, match=r"here|machine"):
        resolver(value)


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Fn::Length": {"Ref": "List"}}, 2),
        ({"Fn::ToJsonString": {"a": {"Ref": "List"}}}, '{"a":["b","c"]}'),
        ({"Fn::FindInMap": ["Sizes", "nowhere", "Memory", {"DefaultValue": 128}]}, 128),
    ],
)
def test_language_extensions_are_a_transform(value: Any, resolved: Any) -> None:
    """What AWS::LanguageExtensions adds is there only where the template asks for it."""
    document = {"Resources": {}, "Mappings": MAPPINGS}
    parameters = {"List": ["b", "c"]}
    assert Resolver(Template(Path(), document, parameters, extended=True))(value) == resolved
    with pytest.raises(TemplateError, match=r"AWS::LanguageExtensions|finds no Sizes.nowhere.Memory"):
        Resolver(Template(Path(), document, parameters))(value)


@pytest.mark.parametrize("name", ["Fn::GetAZs", "Fn::ImportValue", "Fn::Transform", "Fn::ForEach"])
def test_what_is_not_played_is_refused_by_name(resolver: Resolver, name: str) -> None:
    """A function that needs more than one machine is an error that names it."""
    with pytest.raises(TemplateError, match=name):
        resolver({name: "x"})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key != "Ref" and key[:4] != "Fn::"), inner)
        ),
    )
)
def test_what_holds_no_function_is_left_alone(value: Any) -> None:
    """A value without functions resolves to itself."""
    assert Resolver(Template(Path(), {"Resources": {}}, {}))(value) == value


def test_paths_survive_the_transform() -> None:
    """The folders of functions and layers are still known after SAM's transform, which wants them in S3."""
    template = load(TINY, {})
    assert template.resources["Buffered"]["Properties"]["Code"] == {"S3Bucket": LOCAL_CODE, "S3Key": "buffered"}
    (layer,) = template.of_type("AWS::Lambda::LayerVersion").values()
    assert layer["Properties"]["Content"] == {"S3Bucket": LOCAL_CODE, "S3Key": "layer"}


def test_globals_have_code_too(tmp_path: Path) -> None:
    """`Globals.Function.CodeUri` counts for functions without their own; a path may go up or be absolute."""
    other = tmp_path / "other"
    path = minimal(
        tmp_path,
        "Globals: {Function: {CodeUri: ./shared/, Runtime: python3.13, Handler: a.b}}\n"
        "Resources: {F: {Type: AWS::Serverless::Function},"
        " G: {Type: AWS::Serverless::Function, Properties: {CodeUri: .}},"
        f" H: {{Type: AWS::Serverless::Function, Properties: {{CodeUri: {other}}}}}}}",
    )
    code = {name: made["Properties"]["Code"] for name, made in load(path, {}).of_type("AWS::Lambda::Function").items()}
    assert {name: made["S3Key"] for name, made in code.items()} == {"F": "shared", "G": ".", "H": "other"}


@pytest.mark.parametrize(
    ("kind", "properties", "words"),
    [
        ("Function", "PackageType: Image", "Made is an image"),
        ("StateMachine", "DefinitionUri: a.json", "Made is a state machine"),
        ("Application", "Location: ./other.yaml", "Made is a nested stack"),
    ],
)
def test_what_the_transform_cannot_read_is_refused_by_name(
    tmp_path: Path, kind: str, properties: str, words: str
) -> None:
    """A resource that is not played here is an error that names it, unless its condition leaves it out."""
    made = f"Type: AWS::Serverless::{kind}, Properties: {{{properties}}}"
    with pytest.raises(TemplateError, match=words):
        load(minimal(tmp_path, f"Resources: {{Made: {{{made}}}}}"), {})
    conditions = "Conditions: {OnAws: {'Fn::Equals': [a, b]}}\n"
    resources = f"Resources: {{Q: {{Type: AWS::SQS::Queue}}, Made: {{Condition: OnAws, {made}}}}}"
    assert set(load(minimal(tmp_path, conditions + resources), {}).resources) == {"Q"}


def test_code_is_beside_the_template_where_nothing_else_is_said(tmp_path: Path) -> None:
    """As `sam build` takes it."""
    properties = "Properties: {Runtime: python3.13, Handler: a.b}"
    path = minimal(tmp_path, f"Resources: {{F: {{Type: AWS::Serverless::Function, {properties}}}}}")
    assert load(path, {}).resources["F"]["Properties"]["Code"] == {"S3Bucket": LOCAL_CODE, "S3Key": "."}


def test_parameters_can_be_given() -> None:
    """A parameter is its default, or what is given; a list is split at its commas."""
    assert load(TINY, {}).parameters == {"AllowedOrigins": ["http://page.example", "http://other.example"]}
    set_ = load(TINY, {"AllowedOrigins": "http://a, http://b"})
    assert set_.parameters == {"AllowedOrigins": ["http://a", "http://b"]}
    cors = set_.resources["Api"]["Properties"]["Body"]["x-amazon-apigateway-cors"]
    assert cors["allowOrigins"] == ["http://a", "http://b"]


def test_parameters_are_checked(tmp_path: Path) -> None:
    """A parameter without a value, or with one that is not allowed, is an error that says how to set it."""
    resources = "Resources: {Q: {Type: AWS::SQS::Queue}}"
    path = minimal(tmp_path, f"Parameters: {{TheSize: {{Type: Number, AllowedValues: [1, 2]}}}}\n{resources}")
    with pytest.raises(TemplateError, match="--parameter TheSize="):
        load(path, {})
    with pytest.raises(TemplateError, match=r"be one of 1, 2, not '3'\. To give it another: --parameter TheSize="):
        load(path, {"TheSize": "3"})
    with pytest.raises(TemplateError, match="no parameter Size"):
        load(path, {"TheSize": "2", "Size": "2"})
    assert load(path, {"TheSize": "2"}).parameters == {"TheSize": "2"}


def test_resources_without_their_condition_are_left_out(tmp_path: Path) -> None:
    """A resource whose condition does not hold is not there."""
    path = minimal(
        tmp_path,
        "Conditions: {Never: {'Fn::Equals': [a, b]}, Always: {'Fn::Equals': [a, a]}}\n"
        "Resources: {Q: {Type: AWS::SQS::Queue, Condition: Never}, R: {Type: AWS::SQS::Queue, Condition: Always}}",
    )
    assert set(load(path, {}).resources) == {"R"}


def test_unusable_template_is_a_template_error(tmp_path: Path) -> None:
    """A file that is not there, a folder, and one that SAM refuses, are told as such."""
    with pytest.raises(TemplateError, match="cannot read"):
        load(tmp_path / "none.yaml", {})
    with pytest.raises(TemplateError, match=r"cannot read .*: Is a directory"):
        load(tmp_path, {})
    path = minimal(tmp_path, "Resources: {F: {Type: AWS::Serverless::Function, Properties: {Nonsense: 1}}}")
    with pytest.raises(TemplateError, match="cannot be transformed"):
        load(path, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b"# nothing\n", "is empty"),
        (b"Resources: {", "is not YAML"),
        (b"Resources:\n\tQ: 1", "is not YAML"),
        (b"\x89PNG\xff", "is not a text file"),
        (b"- a\n- b\n", "has to be a map with Resources, and is a list"),
        (b"just words", "has to be a map with Resources, and is a string"),
        (b"Parameters: {}", "has no Resources"),
        (b"Resources:", "has no Resources"),
        (b"Resources: {}", "has no Resources"),
        (b"Resources: [a]", "Resources has to be a map, and is a list"),
        (b"Resources: {Q: AWS::SQS::Queue}", "the resource Q has to be a map with a Type"),
        (b"Resources: {Q: }", "the resource Q has to be a map with a Type"),
        (b"Resources: {Q: {Properties: {}}}", "the resource Q has to be a map with a Type"),
        (b"Resources: {1: {Type: AWS::SQS::Queue}}", "the resource 1 has to be a map with a Type"),
        (b"Resources: {Q: {Type: AWS::SQS::Queue, Properties: [a]}}", "the Properties of Q have to be a map"),
        (b"Resources: {Q: {Type: AWS::SQS::Queue, Condition: [a]}}", "the Condition of Q has to be the name"),
        (b"Resources: {Q: {Type: AWS::SQS::Queue}}\nConditions: ", "Conditions has to be a map, and is a null"),
        (b"Resources: {Q: {Type: AWS::SQS::Queue}}\nParameters: [a]", "Parameters has to be a map, and is a list"),
        (b"Resources: {Q: {Type: AWS::SQS::Queue}}\nParameters: {P: String}", "P has to be a map with a Type"),
        (b"Resources: {Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !GetAtt [a: 1]}}}", ""),
        (b"Resources: &all {Q: *all}", ""),
        (b"[" * 2000, "cannot be read|cannot read"),
    ],
)
def test_what_is_no_template_is_told(tmp_path: Path, text: bytes, message: str) -> None:
    """The name of the file, and what is wrong in it."""
    path = tmp_path / "broken.yaml"
    path.write_bytes(text)
    with pytest.raises(TemplateError, match=f"broken.yaml.*{message}|{message}") as told:
        resolve(load(path, {}))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({}, "no condition Asked"),
        ({"Asked": {"Condition": "Other"}}, "no condition Other"),
        ({"Asked": {"Condition": "Asked"}}, "Asked -> Asked"),
        ({"Asked": {"Fn::Not": [{"Condition": "B"}]}, "B": {"Condition": "Asked"}}, "Asked -> B -> Asked"),
        ({"Asked": {"Fn::Equals": ["a"]}}, "not understood"),
        ({"Asked": {"Fn::Equals": [{"Fn::If": ["Asked", "a", "b"]}, "a"]}}, "Asked -> Asked"),
        ({"Asked": True}, "not understood"),
    ],
)
def test_conditions_that_cannot_be_decided(conditions: dict[str, Any], message: str) -> None:
    """One that does not exist, one that needs itself, and what is none."""
    resource = {"Type": "AWS::SQS::Queue", "Condition": "Asked"}
    template = Template(Path(), {"Resources": {"Q": resource}, "Conditions": conditions}, {})
    with pytest.raises(TemplateError, match=message):
        assert template.resources


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": ["Thing"]},
        {"Fn::GetAtt": "Thing"},
        {"Fn::GetAtt": [["Thing"], "Arn"]},
        {"Fn::Sub": ["${Thing}"]},
        {"Fn::Sub": "${Thing."},
        {"Fn::Sub": ["${a}", "a"]},
        {"Fn::Join": [",", 1]},
        {"Fn::Join": [1, ["a"]]},
        {"Fn::Select": [2, {"Ref": "List"}]},
        {"Fn::Select": ["first", {"Ref": "List"}]},
        {"Fn::Split": [",", 1]},
        {"Fn::Split": ["", "a"]},
        {"Fn::If": ["None", 1, 2]},
        {"Fn::If": [[], 1, 2]},
        {"Fn::Base64": {}},
    ],
)
def test_functions_with_other_arguments_are_told(resolver: Resolver, value: Any) -> None:
    """An argument of the wrong type or number is a `TemplateError`, or text that holds no function."""
    try:
        resolved = resolver(value)
    except TemplateError:
        return
    assert resolved == "${Thing."


def resolve(template: Template) -> None:
    """Resolve all that a template says, as if everything in it existed."""
    resolver = Resolver(template)
    for name in template.resources:
        resolver.refs[name] = name.lower()
        for attribute in ("Arn", "ApiEndpoint", "FunctionUrl", "QueueName", "RegionalDomainName"):
            resolver.attributes[name, attribute] = f"{name.lower()}-{attribute}"
    for resource in template.resources.values():
        resolver(resource["Properties"])


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every map and list in a document, with each of their keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from places(value[key])


@pytest.mark.more
@pytest.mark.parametrize("template", [SLUICE, TINY], ids=["sluice", "tiny"])
def test_broken_templates_are_told(template: Path, tmp_path: Path) -> None:
    """A key that is gone, or a value of another type, is a `TemplateError` or does no harm, wherever it is."""
    whole = yaml_parse(template.read_text())
    others: list[Any] = [
        None,
        True,
        0,
        -1.5,
        "",
        "word",
        [],
        ["a"],
        {},
        {"a": 1},
        {"Ref": "Nothing"},
        {"Fn::If": ["A"]},
    ]
    path = tmp_path / "template.yaml"
    for seed in range(BROKEN):
        chance = random.Random(seed)
        document = copy.deepcopy(whole)
        owner, key = chance.choice(list(places(document)))
        if chance.random() < 0.3:
            del owner[key]
        else:
            owner[key] = chance.choice(others)
        path.write_text(json.dumps(document))
        try:
            resolve(load(path, {}))
        except TemplateError:
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}, at {key}: {error!r}") from error
