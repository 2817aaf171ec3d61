"""What each function of a template is started with."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from local import functions
from local.functions import Function
from local.template import Resolver, TemplateError, load

TINY = Path(__file__).parent / "tiny"


def declared(
    path: Path = TINY / "template.yaml",
    variables: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
) -> dict[str, Function]:
    template = load(path, given or {})
    resolver = Resolver(template)
    for name in template.resources:
        resolver.refs.setdefault(name, f"the-{name}")
        resolver.attributes[name, "Arn"] = f"arn:{name}"
        resolver.attributes[name, "FunctionUrl"] = f"http://{name}/"
        resolver.attributes[name, "Value"] = name
        resolver.attributes[name, "VersionNumber"] = "1"
    return functions.declared(template, resolver, "http://127.0.0.1:9", variables)


def test_managed_handler_is_run_by_awslambdaric() -> None:
    """Without an exec wrapper the managed runtime runs the handler, in the folder of its code."""
    buffered = declared()["Buffered"]
    assert buffered.command == (sys.executable, "-m", "awslambdaric", "app.handler")
    assert (buffered.root, buffered.timeout, buffered.arn) == (TINY / "buffered", 2, "arn:Buffered")


def test_wrapper_is_found_in_the_layers() -> None:
    """A wrapper in /opt is run from the layer that holds it, with the managed command line as its arguments."""
    wrapper, *arguments = declared()["Streaming"].command
    assert Path(wrapper) == TINY / "layer" / "stream"
    assert arguments == [sys.executable, "-m", "awslambdaric", "app.answer"]


def test_environment_is_the_templates_and_lambdas() -> None:
    """A function gets what the template says, resolved, and what Lambda sets."""
    environment = declared()["Buffered"].environment
    assert environment["STREAM_URL"] == "http://StreamingUrl/"
    assert environment["ORIGINS"] == "http://page.example http://other.example"
    assert environment["PYTHONPATH"].split(os.pathsep) == [
        str(TINY / "buffered"),
        str(TINY / "layer" / "python"),
        str(TINY / "layer" / "python" / "lib" / "python3.13" / "site-packages"),
    ]
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    expected = {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_NAME": "the-Buffered",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "Text",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/the-Buffered",
        "AWS_REGION": "eu-west-1",
        "AWS_XRAY_SDK_ENABLED": "false",
        "LAMBDA_TASK_ROOT": str(TINY / "buffered"),
        "TZ": ":UTC",
        "_HANDLER": "app.handler",
    }
    assert expected.items() <= environment.items()


PUBLISHED = """
Transform: AWS::Serverless-2016-10-31
Parameters: {Apply: {Type: String, Default: PublishedVersions}}
Resources:
  Latest: {Type: AWS::Serverless::Function, Properties: &function {
    Runtime: python3.13, Handler: app.handler, CodeUri: code, SnapStart: {ApplyOn: PublishedVersions}}}
  Published: {Type: AWS::Serverless::Function, Properties: {
    <<: *function, AutoPublishAlias: live, SnapStart: {ApplyOn: !Ref Apply}}}
"""


@pytest.mark.parametrize(
    ("apply", "started"), [("PublishedVersions", "snap-start"), ("None", "on-demand")], ids=["snapshot", "none"]
)
def test_a_published_version_can_start_from_a_snapshot(tmp_path: Path, apply: str, started: str) -> None:
    """It has a number then, and no names of logs that it would share; what has no alias starts as without SnapStart."""
    (tmp_path / "code").mkdir()
    (tmp_path / "template.yaml").write_text(PUBLISHED)
    made = declared(tmp_path / "template.yaml", given={"Apply": apply})
    latest, published = made["Latest"].environment, made["Published"].environment
    assert latest["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert latest["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert published["AWS_LAMBDA_FUNCTION_VERSION"] == "1"
    assert published["AWS_LAMBDA_INITIALIZATION_TYPE"] == started
    names = {"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"}
    assert names & published.keys() == (set() if started == "snap-start" else names)


def test_a_function_is_found_by_its_alias(tmp_path: Path) -> None:
    """By the name or the ARN with the alias behind it; another one is none of the template's."""
    (tmp_path / "template.yaml").write_text(PUBLISHED)
    template = load(tmp_path / "template.yaml", {})
    resolver = Resolver(template)
    for name in template.of_type("AWS::Lambda::Function"):
        resolver.refs[name], resolver.attributes[name, "Arn"] = f"the-{name}", f"arn:{name}"
    for reference in ("the-Published", "arn:Published", "arn:Published:live"):
        assert functions.named(reference, template, resolver) == "Published"
    with pytest.raises(TemplateError, match="arn:Published:other is no function"):
        functions.named("arn:Published:other", template, resolver)


def test_a_variable_can_be_set_for_a_run() -> None:
    """Over what the template and this machine say."""
    variables = {"EXTRA": "3", "STREAM_URL": "http://other/", "TZ": ":Europe/Berlin"}
    assert variables.items() <= declared(variables=variables)["Buffered"].environment.items()


def test_nothing_of_the_developers_environment_comes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither credentials nor settings nor a proxy of the person at the machine reach a function."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_MAX_ATTEMPTS", "AWS_CONFIG_FILE", "HTTPS_PROXY", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "the-developers-own")
    assert "the-developers-own" not in declared()["Buffered"].environment.values()


def test_parent_packages_move_the_root() -> None:
    """A function built with its parent packages is imported from the template's folder."""
    root = Path(__file__).parents[3]
    api = declared(root / "template.yaml")["ApiFunction"]
    assert api.root == root
    assert api.environment["PYTHONPATH"] == os.pathsep.join((str(root), str(root / "layers" / "core")))


def test_wrapper_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    """A wrapper that is not executable, or in no layer, is an error that names it."""
    shutil.copytree(TINY, tmp_path / "tiny")
    wrapper = tmp_path / "tiny" / "layer" / "stream"
    wrapper.chmod(0o644)
    with pytest.raises(TemplateError, match="stream is not executable"):
        declared(tmp_path / "tiny" / "template.yaml")
    wrapper.unlink()
    with pytest.raises(TemplateError, match="no layer holds its AWS_LAMBDA_EXEC_WRAPPER /opt/stream"):
        declared(tmp_path / "tiny" / "template.yaml")


def test_code_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A CodeUri without its folder is an error that names the function and the folder."""
    shutil.copytree(TINY, tmp_path / "tiny")
    shutil.rmtree(tmp_path / "tiny" / "worker")
    with pytest.raises(TemplateError, match=r"Worker: there is no folder .*worker"):
        declared(tmp_path / "tiny" / "template.yaml")


def refused(tmp_path: Path, function: str, more: str = "") -> str:
    (tmp_path / "code").mkdir(exist_ok=True)
    path = tmp_path / "template.yaml"
    path.write_text(
        "Transform: AWS::Serverless-2016-10-31\n"
        f"Resources: {{F: {{Type: AWS::Serverless::Function, Properties: {{{function}}}}}, {more}}}"
    )
    with pytest.raises(TemplateError) as raised:
        declared(path)
    return str(raised.value)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("PackageType: Image, ImageUri: 'x.amazonaws.com/y:1'", "F is an image"),
        ("CodeUri: code, Handler: a.b, Runtime: nodejs24.x", "F has the runtime nodejs24.x: only Python runs here"),
        ("CodeUri: 's3://bucket/key', Handler: a.b, Runtime: python3.13", "F: its code is in S3"),
        (
            "CodeUri: code, Handler: a.b, Runtime: python3.13, Layers: ['arn:aws:lambda:eu-west-1:1:layer:x:1']",
            "the layer arn:aws:lambda:eu-west-1:1:layer:x:1 is none of this template",
        ),
    ],
)
def test_what_does_not_run_here_is_refused_by_name(tmp_path: Path, function: str, words: str) -> None:
    """A function that is no folder of Python code is an error that says what it is."""
    assert words in refused(tmp_path, function)


def test_layers_have_lambdas_layout(tmp_path: Path) -> None:
    """As it lies where nothing builds it; else python/, or a makefile's folder. A condition may choose one, or none."""
    for name in ("plain", "built", "made", "code"):
        (tmp_path / name).mkdir()
    layers = ""
    for name, method in (("Plain", ""), ("Built", "python3.13"), ("Made", "makefile")):
        metadata = f"Metadata: {{BuildMethod: {method}}}, " if method else ""
        layers += (
            f"{name}: {{Type: AWS::Serverless::LayerVersion, {metadata}Properties: {{ContentUri: {name.lower()}}}}}, "
        )
    refs = "[!Ref Plain, !If [Here, !Ref Built, !Ref Other], !Ref Made, !If [Here, !Ref AWS::NoValue, !Ref Other]]"
    function = f"CodeUri: code, Handler: a.b, Runtime: python3.12, Layers: {refs}"
    path = tmp_path / "template.yaml"
    path.write_text(
        "Transform: AWS::Serverless-2016-10-31\nConditions: {Here: !Equals [a, a]}\n"
        f"Resources: {{{layers} F: {{Type: AWS::Serverless::Function, Properties: {{{function}}}}}}}"
    )
    paths = declared(path)["F"].environment["PYTHONPATH"].split(os.pathsep)
    assert [str(Path(each).relative_to(tmp_path)) for each in paths] == [
        "code",
        "plain/python",
        "plain/python/lib/python3.12/site-packages",
        "built",
        "made",
    ]


def test_requirements_that_nothing_installs_are_told(tmp_path: Path) -> None:
    """A layer with requirements, but without a BuildMethod and without python/, would be empty on Lambda."""
    (tmp_path / "layer").mkdir()
    (tmp_path / "layer" / "requirements.txt").touch()
    said = refused(
        tmp_path,
        "CodeUri: code, Handler: a.b, Runtime: python3.13, Layers: [!Ref L]",
        "L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer}}",
    )
    assert "nothing would install them; say Metadata: {BuildMethod: python3.13}" in said
