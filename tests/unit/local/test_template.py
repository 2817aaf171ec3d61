"""The transform, the parameters and the intrinsic functions."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.code import LOCAL_CODE
from local.template import REGION, Resolver, Template, TemplateError, load

TINY = Path(__file__).parent / "tiny" / "template.yaml"
CONDITIONS = {"IsOne": {"Fn::Equals": [{"Ref": "Number"}, "1"]}, "IsTwo": {"Fn::Equals": [{"Ref": "Number"}, "2"]}}

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
    with pytest.raises(TemplateError, match="may be 1, 2"):
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
    """A file that is not there, and one that SAM refuses, are told as such."""
    with pytest.raises(TemplateError, match="cannot read"):
        load(tmp_path / "none.yaml", {})
    path = minimal(tmp_path, "Resources: {F: {Type: AWS::Serverless::Function, Properties: {Nonsense: 1}}}")
    with pytest.raises(TemplateError, match="cannot be transformed"):
        load(path, {})
