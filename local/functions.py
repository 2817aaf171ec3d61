"""The functions of a template: what Lambda would start each with."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from local import code as places
from local import requirements
from local.aws import CREDENTIALS, NO_PROFILE
from local.code import CodeError
from local.requirements import FILE as REQUIREMENTS
from local.requirements import InstallError
from local.template import IMAGE, REGION, Resolver, Template, TemplateError

# Lambda's own, where a template says nothing; https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-
# resource-lambda-function.html
DEFAULT_TIMEOUT_S = 3
DEFAULT_MEMORY_MB = 128

LAYERS_AT = "/opt/"
WRITABLE = "/tmp"  # nosec B108  # noqa: S108  the one folder that a function may write to, also its home

_HEEDED = {"Environment", "Handler", "LoggingConfig", "MemorySize", "Runtime", "SnapStart", "Timeout"}

# Of whatever has versions: each start has one of everything.
ONLY_VERSION = "1"
LATEST = "$LATEST"

# What environments from a snapshot do not have, as they would share it: https://docs.aws.amazon.com/lambda/latest/dg/
# configuration-envvars.html
NOT_IN_A_SNAPSHOT = ("AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME")


@dataclass(frozen=True)
class Layer:
    """One layer: the folder that /opt would be, and those that Python finds modules in."""

    root: Path
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Function:
    """One function: the process of its environments is `command`, run in `root` with `environment` and nothing else."""

    name: str
    arn: str
    timeout: int  # seconds
    root: Path
    command: tuple[str, ...]
    environment: Mapping[str, str]


def declared(
    template: Template, resolver: Resolver, endpoint: str, variables: Mapping[str, str] | None = None
) -> dict[str, Function]:
    """The template's functions by logical id; `endpoint` is where they find the AWS services.

    `variables` are set in the environment of all of them, over what the template says.
    """
    try:
        functions = {
            name: _function(name, resource, template, resolver, endpoint)
            for name, resource in template.of_type("AWS::Lambda::Function").items()
        }
    except (CodeError, InstallError) as error:
        raise TemplateError(str(error)) from error
    return {name: replace(one, environment={**one.environment, **(variables or {})}) for name, one in functions.items()}


def named(reference: str, template: Template, resolver: Resolver) -> str:
    """The logical id of the function that a name or an ARN of AWS means, also by one of its aliases."""
    aliases = [resolver(one["Properties"]["Name"]) for one in template.of_type("AWS::Lambda::Alias").values()]
    ends = ["", *(f":{alias}" for alias in aliases)]
    for name in template.of_type("AWS::Lambda::Function"):
        called = (resolver.refs[name], resolver.attributes[name, "Arn"])
        if reference in [f"{one}{end}" for one in called for end in ends]:
            return name
    raise TemplateError(f"{reference} is no function of this template")


def _function(
    name: str, resource: Mapping[str, Any], template: Template, resolver: Resolver, endpoint: str
) -> Function:
    said = resource["Properties"]
    # Not all of them: its role, for one, does not exist here.
    properties = resolver({key: said[key] for key in _HEEDED & said.keys()})
    if resolver(said.get("PackageType")) == "Image":
        raise TemplateError(f"{name} is {IMAGE}")
    runtime = str(properties.get("Runtime", ""))
    if not runtime.startswith("python"):
        raise TemplateError(f"{name} has the runtime {runtime}: only Python runs here, and `sam local` runs the others")
    handler = properties["Handler"]
    code = places.folder(name, said["Code"], template.root)
    build = resource.get("Metadata", {}).get("BuildProperties", {})
    # What `sam build` makes of it: with its parent packages, the handler's import path starts at the template's folder.
    root = template.root if build.get("ParentPackageMode") == "auto" else code
    references = map(resolver.chosen, resolver.chosen(said.get("Layers")) or [])
    layers = [_layer(reference, runtime, template, resolver) for reference in references if reference is not None]
    python = sys.executable
    if (code / REQUIREMENTS).is_file():
        python = str(requirements.interpreter(name, code, places.store(template.root)))
    variables = {key: str(value) for key, value in properties.get("Environment", {}).get("Variables", {}).items()}
    return Function(
        name=name,
        arn=resolver.attributes[name, "Arn"],
        timeout=int(properties.get("Timeout", DEFAULT_TIMEOUT_S)),
        root=root,
        command=_command(name, python, handler, variables.get("AWS_LAMBDA_EXEC_WRAPPER"), layers),
        environment={
            **_of_this_machine(root, layers, endpoint),
            **_of_lambda(resolver.refs[name], root, properties, _version(name, template)),
            **variables,
        },
    )


def _version(name: str, template: Template) -> str:
    """What Lambda calls the version of a function that is asked by its alias, or else by its name."""
    published = template.of_type("AWS::Lambda::Version").values()
    return ONLY_VERSION if any(one["Properties"]["FunctionName"] == {"Ref": name} for one in published) else LATEST


def _layer(reference: Any, runtime: str, template: Template, resolver: Resolver) -> Layer:
    if not (isinstance(reference, Mapping) and reference.get("Ref") in template.of_type("AWS::Lambda::LayerVersion")):
        raise TemplateError(
            f"the layer {resolver(reference)} is none of this template, and its code is not on this machine: write it "
            "as an AWS::Serverless::LayerVersion with a folder as ContentUri, or put its packages into requirements.txt"
        )
    name = reference["Ref"]
    content = template.resources[name]["Properties"]["Content"]
    root = places.folder(name, content, template.root)
    as_on_lambda = (root / "python", root / "python" / "lib" / runtime / "site-packages")
    match places.build_method(content):
        case None:  # as it lies, and what is not under python/ Lambda does not find either
            if not as_on_lambda[0].is_dir() and (root / REQUIREMENTS).is_file():
                method = f"Metadata: {{BuildMethod: {runtime}}}"
                raise TemplateError(f"the layer {name} has requirements, but nothing would install them; say {method}")
            return Layer(root, as_on_lambda)
        case "makefile":  # which is not run: its modules lie in its folder, its requirements are this environment's
            return Layer(root, (root,))
        case str(method) if method.startswith("python"):  # the folder becomes python/, with the requirements
            installed = (root / REQUIREMENTS).is_file()
            packages = [requirements.packages(name, root, places.store(template.root))] if installed else []
            return Layer(root, (root, *packages))
        case method:
            raise TemplateError(f"the layer {name} has the BuildMethod {method}: only Python's and makefile run here")


def _command(name: str, python: str, handler: str, wrapper: str | None, layers: list[Layer]) -> tuple[str, ...]:
    managed = (python, "-m", "awslambdaric", handler)
    if wrapper is None:
        if python == sys.executable and find_spec("awslambdaric") is None:
            raise TemplateError(
                f"{name} needs AWS's runtime client, which comes ready-made for Linux only. Elsewhere install CMake "
                "and a C++ compiler, then `uv pip install awslambdaric` into this environment; or use a Linux machine"
            )
        return managed
    # A later layer's files lie over those of an earlier one.
    for layer in reversed(layers):
        script = layer.root / wrapper.removeprefix(LAYERS_AT)
        if script.is_file():
            if not os.access(script, os.X_OK):
                raise TemplateError(f"{name}: {script} is not executable, and would not start on Lambda either")
            return (str(script), *managed)
    raise TemplateError(f"{name}: no layer holds its AWS_LAMBDA_EXEC_WRAPPER {wrapper}")


def _of_this_machine(root: Path, layers: list[Layer], endpoint: str) -> dict[str, str]:
    """What differs from Lambda: where Python finds what /opt/python would hold, and where the AWS services are."""
    return {
        **NO_PROFILE,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_XRAY_SDK_ENABLED": "false",
        "HOME": WRITABLE,
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(map(str, (root, *(path for layer in layers for path in layer.paths)))),
        "PYTHONUNBUFFERED": "1",  # so that what a crash prints last is seen
    }


def _of_lambda(physical: str, root: Path, properties: Mapping[str, Any], version: str) -> dict[str, str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html

    All but AWS_LAMBDA_RUNTIME_API, of which each environment has its own.
    """
    logging = properties.get("LoggingConfig", {})
    restored = version != LATEST and properties.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions"
    variables = {
        **CREDENTIALS,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{properties['Runtime']}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties.get("MemorySize", DEFAULT_MEMORY_MB)),
        "AWS_LAMBDA_FUNCTION_NAME": physical,
        "AWS_LAMBDA_FUNCTION_VERSION": version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start" if restored else "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text"),
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup", f"/aws/lambda/{physical}"),
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_REGION": REGION,
        "LAMBDA_TASK_ROOT": str(root),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": properties["Handler"],
    }
    return {name: value for name, value in variables.items() if not (restored and name in NOT_IN_A_SNAPSHOT)}
