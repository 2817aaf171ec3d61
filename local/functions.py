"""The functions of a template: what Lambda would start each with."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from local.aws import CREDENTIALS, NO_PROFILE
from local.template import LOCAL_CODE, REGION, Resolver, Template, TemplateError

# Lambda's own, where a template says nothing; https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-
# resource-lambda-function.html
DEFAULT_TIMEOUT_S = 3
DEFAULT_MEMORY_MB = 128

LAYERS_AT = "/opt/"
PREFIX = "SLUICE_ENV_"

_HEEDED = {"Environment", "Handler", "LoggingConfig", "MemorySize", "Runtime", "Timeout"}


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
    template: Template, resolver: Resolver, endpoint: str, environ: Mapping[str, str] | None = None
) -> dict[str, Function]:
    """The template's functions by logical id; `endpoint` is where they find the AWS services.

    `environ` may set variables of all of them: SLUICE_ENV_LEASE_SECONDS is their LEASE_SECONDS.
    """
    variables = {name.removeprefix(PREFIX): value for name, value in (environ or {}).items() if name.startswith(PREFIX)}
    functions = {
        name: _function(name, resource, template, resolver, endpoint)
        for name, resource in template.of_type("AWS::Lambda::Function").items()
    }
    return {name: replace(one, environment={**one.environment, **variables}) for name, one in functions.items()}


def named(reference: str, template: Template, resolver: Resolver) -> str:
    """The logical id of the function that a name or an ARN of AWS means."""
    for name in template.of_type("AWS::Lambda::Function"):
        if reference in (resolver.refs[name], resolver.attributes[name, "Arn"]):
            return name
    raise TemplateError(f"{reference} is no function of this template")


def _function(
    name: str, resource: Mapping[str, Any], template: Template, resolver: Resolver, endpoint: str
) -> Function:
    said = resource["Properties"]
    # Not all of them: its role, for one, does not exist here.
    properties = resolver({key: said[key] for key in _HEEDED & said.keys()})
    if not str(properties.get("Runtime", "")).startswith("python"):
        raise TemplateError(f"{name} has the runtime {properties.get('Runtime')}: only python runs here")
    handler = properties["Handler"]
    code = _local_path(name, said["Code"], template)
    build = resource.get("Metadata", {}).get("BuildProperties", {})
    # What `sam build` makes of it: with its parent packages, the handler's import path starts at the template's folder.
    root = template.root if build.get("ParentPackageMode") == "auto" else code
    layers = [_layer(reference, template) for reference in said.get("Layers", [])]
    variables = {key: str(value) for key, value in properties.get("Environment", {}).get("Variables", {}).items()}
    return Function(
        name=name,
        arn=resolver.attributes[name, "Arn"],
        timeout=int(properties.get("Timeout", DEFAULT_TIMEOUT_S)),
        root=root,
        command=_command(name, handler, variables.get("AWS_LAMBDA_EXEC_WRAPPER"), layers),
        environment={
            **_of_this_machine(root, layers, endpoint),
            **_of_lambda(resolver.refs[name], root, properties),
            **variables,
        },
    )


def _local_path(name: str, code: Mapping[str, Any], template: Template) -> Path:
    if code.get("S3Bucket") != LOCAL_CODE:
        raise TemplateError(f"{name}: its code is not a folder here")
    path: Path = template.root / code["S3Key"]
    if not path.is_dir():
        raise TemplateError(f"{name}: there is no folder {path}")
    return path


def _layer(reference: Any, template: Template) -> Path:
    try:
        name = reference["Ref"]
        return _local_path(name, template.resources[name]["Properties"]["Content"], template)
    except (KeyError, TypeError):
        raise TemplateError(f"the layer {reference} is not one of this template") from None


def _command(name: str, handler: str, wrapper: str | None, layers: list[Path]) -> tuple[str, ...]:
    managed = (sys.executable, "-m", "awslambdaric", handler)
    if wrapper is None:
        if find_spec("awslambdaric") is None:
            raise TemplateError(
                f"{name} needs AWS's runtime client, which comes ready-made for Linux only. Elsewhere install CMake "
                "and a C++ compiler, then `uv pip install awslambdaric` into this environment; or use a Linux machine"
            )
        return managed
    # A later layer's files lie over those of an earlier one.
    for layer in reversed(layers):
        script = layer / wrapper.removeprefix(LAYERS_AT)
        if script.is_file():
            if not os.access(script, os.X_OK):
                raise TemplateError(f"{name}: {script} is not executable, and would not start on Lambda either")
            return (str(script), *managed)
    raise TemplateError(f"{name}: no layer holds its AWS_LAMBDA_EXEC_WRAPPER {wrapper}")


def _of_this_machine(root: Path, layers: list[Path], endpoint: str) -> dict[str, str]:
    """What differs from Lambda: where Python finds what /opt/python would hold, and where the AWS services are."""
    return {
        **NO_PROFILE,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_XRAY_SDK_ENABLED": "false",
        "HOME": "/tmp",  # noqa: S108  where Lambda lets a function write
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(map(str, (root, *layers))),
        "PYTHONUNBUFFERED": "1",  # so that what a crash prints last is seen
    }


def _of_lambda(physical: str, root: Path, properties: Mapping[str, Any]) -> dict[str, str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html

    All but AWS_LAMBDA_RUNTIME_API, of which each environment has its own.
    """
    logging = properties.get("LoggingConfig", {})
    return {
        **CREDENTIALS,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{properties['Runtime']}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties.get("MemorySize", DEFAULT_MEMORY_MB)),
        "AWS_LAMBDA_FUNCTION_NAME": physical,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text"),
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup", f"/aws/lambda/{physical}"),
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_REGION": REGION,
        "LAMBDA_TASK_ROOT": str(root),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": properties["Handler"],
    }
