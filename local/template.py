"""`template.yaml` as CloudFormation sees it: SAM's transform applied, parameters and intrinsic functions resolved."""

import base64
import json
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import intrinsics_multi_constructor

from local import parameters as checked
from local.code import carry
from local.parameters import ParameterError, ValueRefused

REGION = "eu-west-1"
ACCOUNT = "123456789012"  # moto's
STACK = "local"

PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/local",
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}

# A transform of CloudFormation's own, with which there are more functions.
EXTENSIONS = "AWS::LanguageExtensions"

NOT_HERE = {
    "Fn::GetAZs": "there are no availability zones on this machine",
    "Fn::ImportValue": "no other stack exports anything on this machine; let a parameter say it",
    "Fn::Transform": "macros are not run here",
    "Fn::Cidr": "there are no networks on this machine",
}

IMAGE = "an image: functions run as processes here, and `sam local` runs images; leave it out with a condition"
NOT_TRANSFORMED = {
    "AWS::Serverless::Application": "a nested stack, which is not played here: run its template by itself",
    "AWS::Serverless::StateMachine": "a state machine, which is not played here: AWS has Step Functions Local for them",
}

# It complains at its end that it could not report to AWS how often it was used.
logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)

_NO_VALUE = object()
_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-secretsmanager.html
_SECRET = re.compile(r"\{\{resolve:secretsmanager:(arn:[^{}]+):SecretString:([^:{}]+)\}\}")

Resource = dict[str, Any]


class TemplateError(Exception):
    """The template cannot run here; the message says which part, and why."""


@dataclass(frozen=True)
class Template:
    """A transformed template, the parameters' values, and the folder that its paths start from."""

    root: Path
    document: dict[str, Any]
    parameters: dict[str, Any]
    extended: bool = False  # with AWS::LanguageExtensions

    @property
    def resources(self) -> dict[str, Resource]:
        """The resources whose condition holds, by logical id."""
        resolver = Resolver(self)
        every: dict[str, Resource] = self.document["Resources"]
        return {name: resource for name, resource in every.items() if resolver.holds(resource.get("Condition"))}

    def of_type(self, kind: str) -> dict[str, Resource]:
        return {name: resource for name, resource in self.resources.items() if resource["Type"] == kind}


def load(path: Path, given: Mapping[str, str]) -> Template:
    """Read and transform a SAM template. `given` are values of its parameters, by name.

    Raises `TemplateError`, whatever the file holds.
    """
    document = _read(path)
    specs = document.get("Parameters", {})
    if unknown := given.keys() - specs.keys():
        there = f"; it has {', '.join(map(str, specs))}" if specs else ""
        raise TemplateError(f"{path.name} has no parameter {', '.join(sorted(unknown))}{there}")
    parameters = {name: _parameter(name, spec, given) for name, spec in specs.items()}
    root = path.resolve().parent
    with blaming(path):
        _leave_out(document, Resolver(Template(root, document, parameters)))
    transforms = document.get("Transform", [])
    extended = EXTENSIONS in (transforms if isinstance(transforms, list) else [transforms])
    try:
        carry(document, root)
        translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
        transformed = translator.translate(document, dict(parameters))
    except InvalidDocumentException as error:
        causes = "; ".join(str(cause.message) for cause in error.causes)
        raise TemplateError(f"{path} cannot be transformed: {causes}") from error
    except Exception as error:  # SAM's translator expects a template that CloudFormation would take
        raise TemplateError(f"{path} cannot be transformed: {_what_happened(error)}") from error
    _check_sections(transformed, path)
    for resource in transformed["Resources"].values():
        resource.setdefault("Properties", {})
    return Template(root, transformed, parameters, extended)


def _leave_out(document: dict[str, Any], resolver: "Resolver") -> None:
    """Take out what SAM's transform would choke on; raise `TemplateError` where its condition wants it."""
    defaults = document.get("Globals", {}).get("Function", {})
    for name, resource in list(document["Resources"].items()):
        kind, properties = resource["Type"], resource.get("Properties", {})
        image = kind == "AWS::Serverless::Function" and "Image" in (
            properties.get("PackageType"),
            defaults.get("PackageType"),
        )
        why = IMAGE if image else NOT_TRANSFORMED.get(kind)
        if why is None:
            continue
        if resolver.holds(resource.get("Condition")):
            raise TemplateError(f"{name} is {why}")
        del document["Resources"][name]


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """What goes wrong with a template's values in this block is a `TemplateError`: they can be of any type.

    A number may stand where a list belongs, and what is needed may be missing; those who use the values look at the
    mistakes that people make, and not at every type.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise TemplateError(f"{path} holds something that cannot be used: {_what_happened(error)}") from error


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe one in C, ten times as fast as that of SAM's own `yaml_parse`."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.load(text, _Loader)  # noqa: S506  # nosec B506 - a safe one
    except OSError as error:
        raise TemplateError(f"cannot read {path}: {error.strerror}. Name a template with --template") from error
    except UnicodeDecodeError as error:
        raise TemplateError(f"cannot read {path}: it is not a text file ({error.reason})") from error
    except yaml.YAMLError as error:
        raise TemplateError(f"cannot read {path}: it is not YAML: {' '.join(str(error).split())}") from error
    except (
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:  # a tag on the wrong type
        raise TemplateError(f"cannot read {path}: {_what_happened(error)}") from error
    if document is None:
        raise TemplateError(f"{path} is empty")
    _check_sections(document, path)
    return dict(document)


def _check_sections(document: Any, path: Path) -> None:
    """Raise `TemplateError` unless a document has the shape that every template has."""
    if not isinstance(document, dict):
        raise TemplateError(f"{path} has to be a map with Resources, and is a {_type(document)}")
    if not document.get("Resources"):
        raise TemplateError(f"{path} has no Resources")
    for section in ("Conditions", "Globals", "Mappings", "Outputs", "Parameters", "Resources"):
        if not isinstance(document.get(section, {}), dict):
            raise TemplateError(f"{path}: {section} has to be a map, and is a {_type(document[section])}")
    for name, resource in document["Resources"].items():
        if not isinstance(name, str) or not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise TemplateError(f"{path}: the resource {name} has to be a map with a Type")
        if not isinstance(resource.get("Properties", {}), dict):
            raise TemplateError(f"{path}: the Properties of {name} have to be a map")
        if not isinstance(resource.get("Condition", ""), str):
            raise TemplateError(f"{path}: the Condition of {name} has to be the name of a condition")


def _type(value: Any) -> str:
    names = {dict: "map", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _what_happened(error: Exception) -> str:
    """An exception in one line, with the place in the code, for those who want to mend that."""
    *_, last = traceback.extract_tb(error.__traceback__)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text} (in {Path(last.filename).name}, line {last.lineno})"


def _parameter(name: str, spec: Any, given: Mapping[str, str]) -> str | list[str]:
    try:
        return checked.check(name, spec, given.get(name))
    except ValueRefused as error:
        raise TemplateError(f"{error} To give it another: --parameter {name}=VALUE") from error
    except ParameterError as error:
        raise TemplateError(str(error)) from error


def _as_text(value: Any) -> object:
    return str(value) if type(value) in (int, float) else value


class Resolver:
    """Resolves intrinsic functions by what exists so far.

    It knows `refs`, `attributes`, the `addresses` at which AWS is played here, and the values of `secrets` by ARN.
    """

    def __init__(self, template: Template) -> None:
        self.refs: dict[str, Any] = {**PSEUDO_PARAMETERS, **template.parameters, "AWS::NoValue": _NO_VALUE}
        self.attributes: dict[tuple[str, str], str] = {}
        self.addresses: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        self._conditions = template.document.get("Conditions", {})
        self._mappings = template.document.get("Mappings", {})
        self._extended = template.extended
        self._asked: list[str] = []  # the conditions that are being looked at, each for the sake of the one before

    def __call__(self, value: Any) -> Any:
        """`value` with every function in it replaced by what it stands for."""
        if isinstance(value, list):
            return [item for item in map(self, value) if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((key, argument),) = value.items()
            if key == "Ref" or key.startswith("Fn::"):
                return self._function(key, argument)
        resolved = {key: self(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not _NO_VALUE}

    def holds(self, condition: Any) -> bool:
        """Whether a condition, by name or as written out, is true. A resource without one has None, which is."""
        match condition:
            case None:
                return True
            case str(name) | {"Condition": str(name)}:
                return self._named(name)
            case {"Fn::Equals": [left, right]}:
                # A parameter is text, also that of the type Number, and what it is compared with may be written as one.
                return _as_text(self(left)) == _as_text(self(right))
            case {"Fn::Not": [inner]}:
                return not self.holds(inner)
            case {"Fn::And": list(inner)}:
                return all(map(self.holds, inner))
            case {"Fn::Or": list(inner)}:
                return any(map(self.holds, inner))
        raise TemplateError(f"this condition is not understood here: {condition}")

    def chosen(self, value: Any) -> Any:
        """What a Fn::If comes to, as it is written there; any other value as it is. None for AWS::NoValue."""
        match value:
            case {"Fn::If": [condition, then, otherwise]}:
                return self.chosen(then if self.holds(condition) else otherwise)
            case {"Ref": "AWS::NoValue"}:
                return None
        return value

    def _named(self, name: str) -> bool:
        if name not in self._conditions:
            raise TemplateError(f"there is no condition {name} in Conditions")
        if name in self._asked:
            raise TemplateError(f"the conditions go in a circle: {' -> '.join([*self._asked, name])}")
        self._asked.append(name)
        try:
            return self.holds(self._conditions[name])
        finally:
            self._asked.pop()

    def _function(self, name: str, argument: Any) -> Any:
        try:
            return self._resolved(name, argument)
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # an argument of another type, or too few
            raise TemplateError(f"{name} with {argument} cannot be resolved: {error}") from error

    def _resolved(self, name: str, argument: Any) -> Any:  # noqa: PLR0911, PLR0912  one for each function
        match name, argument:
            case "Ref", str():
                return self._ref(argument)
            case "Fn::GetAtt", str():
                return self._attribute(*argument.split(".", 1))
            case "Fn::GetAtt", [resource, attribute]:
                return self._attribute(resource, attribute)
            case "Fn::Sub", str():
                return self._substitute(argument, {})
            case "Fn::Sub", [text, variables]:
                return self._substitute(text, self(variables))
            case "Fn::Join", [separator, parts]:
                return self._here(separator.join(map(str, self(parts))))
            case "Fn::If", [condition, then, otherwise]:
                return self(then if self.holds(condition) else otherwise)
            case "Fn::Select", [index, items]:
                return self(items)[int(index)]
            case "Fn::Split", [separator, text]:
                return self(text).split(separator)
            case "Fn::Base64", str() | dict():
                return base64.b64encode(self(argument).encode()).decode()
            case "Fn::FindInMap", [_, _, _, *_]:
                return self._mapped(*argument)
            case "Fn::Length", _ if self._extended:
                return len(self(argument))
            case "Fn::ToJsonString", _ if self._extended:
                return json.dumps(self(argument), separators=(",", ":"))
            case (("Fn::Length" | "Fn::ToJsonString" | "Fn::ForEach"), _):
                raise TemplateError(f"{name} is not played here without the transform {EXTENSIONS}")
        if name in NOT_HERE:
            raise TemplateError(f"{name} with {argument}: {NOT_HERE[name]}")
        raise TemplateError(f"{name} with {argument} is not understood here")

    def _mapped(self, name: Any, top: Any, second: Any, options: Mapping[str, Any] | None = None) -> Any:
        keys = [self(name), self(top), self(second)]
        try:
            return self(self._mappings[keys[0]][keys[1]][keys[2]])
        except (KeyError, TypeError):
            if options is not None and "DefaultValue" in options and self._extended:
                return self(options["DefaultValue"])
            raise TemplateError(f"Fn::FindInMap finds no {'.'.join(map(str, keys))} in Mappings") from None

    def _ref(self, name: str) -> Any:
        try:
            return self.refs[name]
        except KeyError:
            raise TemplateError(f"Ref to {name}, which does not exist on this machine") from None

    def _attribute(self, resource: str, attribute: str) -> str:
        try:
            return self.attributes[resource, attribute]
        except KeyError:
            raise TemplateError(f"GetAtt {resource}.{attribute}, which does not exist on this machine") from None

    def _substitute(self, text: str, variables: Mapping[str, Any]) -> str:
        def value(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return str(variables[name])
            return str(self._attribute(*name.split(".", 1)) if "." in name else self._ref(name))

        return self._here(_SECRET.sub(self._secret, _VARIABLE.sub(value, text)))

    def _secret(self, match: re.Match[str]) -> str:
        return str(json.loads(self.secrets[match[1]])[match[2]])

    def _here(self, text: str) -> str:
        """An address that a template puts together from an API's id, as the door on this machine."""
        for on_aws, here in self.addresses.items():
            text = text.replace(on_aws, here)
        return text
