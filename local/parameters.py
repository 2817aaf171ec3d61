"""The parameters of a template, checked as CloudFormation checks them before it makes anything.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

# Bytes of one value; https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
VALUE_LIMIT = 4096

LISTS = {"CommaDelimitedList", "List<Number>", "List<String>"}
NUMBERS = {"Number", "List<Number>"}
TYPES = {"String", *LISTS, *NUMBERS}

# Names of what exists in an account. CloudFormation looks whether it does; here there is nothing to look at, and they
# are strings.
_OF_AN_ACCOUNT = re.compile(r"AWS::(EC2|Route53)::[A-Za-z0-9:.]+|List<AWS::(EC2|Route53)::[A-Za-z0-9:.]+>")

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", re.ASCII)
_BOUNDS = {"MinValue", "MaxValue", "MinLength", "MaxLength"}
_KNOWN = {
    *("AllowedPattern", "AllowedValues", "ConstraintDescription", "Default", "Description", "NoEcho", "Type"),
    *_BOUNDS,
}


class ParameterError(Exception):
    """A parameter cannot be used here; the message says why."""


class ValueRefused(ParameterError):
    """CloudFormation would want another value; the message says which.

    It shows the value that it has, unless the parameter is declared with NoEcho.
    """


def check(name: str, spec: Any, value: str | None) -> str | list[str]:
    """What `Ref` gives for a parameter: a string, or the strings of a list.

    `spec` is its declaration; `value` is what somebody gave for it, or None for its default. Raises `ParameterError`.
    """
    kind = _declared(name, spec)
    given = spec.get("Default") if value is None else value
    if given is None:
        raise ValueRefused(f"The parameter {name} has no default and needs a value.")
    if isinstance(given, dict | list):
        raise ParameterError(f"The Default of the parameter {name} has to be a string or a number.")
    text = as_text(given)
    is_list = kind in LISTS or kind.startswith("List<")
    items = [item.strip() for item in text.split(",")] if is_list else [text]
    for item in items:
        if (wanted := _wanted(name, kind, spec, item)) is not None:
            shown = "" if as_text(spec.get("NoEcho")) == "true" else f", not {item!r}"
            described = f" {spec['ConstraintDescription']}" if spec.get("ConstraintDescription") else ""
            raise ValueRefused(f"The parameter {name} has to {wanted}{shown}.{described}")
    if len(text.encode(errors="replace")) > VALUE_LIMIT:
        raise ValueRefused(f"The value of the parameter {name} has more than {VALUE_LIMIT} bytes.")
    return items if is_list else text


def as_text(value: Any) -> str:
    """A scalar of YAML as CloudFormation reads it: `true`, not `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _declared(name: str, spec: Any) -> str:
    """The type in a declaration that can be used here. Raises `ParameterError`."""
    if not isinstance(spec, Mapping):
        raise ParameterError(f"The parameter {name} has to be a map with a Type.")
    if unknown := {str(key) for key in spec} - _KNOWN:
        raise ParameterError(f"The parameter {name} has the unknown property {', '.join(sorted(unknown))}.")
    kind = spec.get("Type")
    if not isinstance(kind, str):
        raise ParameterError(f"The parameter {name} has no Type.")
    if "AWS::SSM::" in kind:
        raise ParameterError(
            f"The parameter {name} is of type {kind}: this machine has no SSM Parameter Store. Declare it as a String, "
            "or use another template here."
        )
    if kind not in TYPES and not _OF_AN_ACCOUNT.fullmatch(kind):
        raise ParameterError(f"The parameter {name} is of type {kind}, which CloudFormation does not have.")
    for key in _BOUNDS & spec.keys():
        if not _NUMBER.fullmatch(as_text(spec[key])):
            raise ParameterError(f"The {key} of the parameter {name} has to be a number.")
    allowed = spec.get("AllowedValues", [])
    if not isinstance(allowed, list) or any(isinstance(one, dict | list) for one in allowed):
        raise ParameterError(f"The AllowedValues of the parameter {name} have to be a list of values.")
    return kind


def _wanted(name: str, kind: str, spec: Mapping[str, Any], item: str) -> str | None:  # noqa: PLR0911  one a rule
    """What the value, or one item of a list, has to do and does not; None when it is allowed."""
    if kind in NUMBERS and not _NUMBER.fullmatch(item):
        return "be a number"
    if "AllowedValues" in spec and item not in (allowed := [as_text(one) for one in spec["AllowedValues"]]):
        return f"be one of {', '.join(allowed)}"
    if "AllowedPattern" in spec and not _matches(name, spec["AllowedPattern"], item):
        return f"match {spec['AllowedPattern']}"
    bounds = {key: Decimal(as_text(spec[key])) for key in _BOUNDS & spec.keys()}
    if kind in NUMBERS:
        if "MinValue" in bounds and Decimal(item) < bounds["MinValue"]:
            return f"be at least {spec['MinValue']}"
        if "MaxValue" in bounds and Decimal(item) > bounds["MaxValue"]:
            return f"be at most {spec['MaxValue']}"
    elif kind == "String":
        if "MinLength" in bounds and len(item) < bounds["MinLength"]:
            return f"have at least {spec['MinLength']} characters"
        if "MaxLength" in bounds and len(item) > bounds["MaxLength"]:
            return f"have at most {spec['MaxLength']} characters"
    return None


def _matches(name: str, pattern: Any, item: str) -> bool:
    """Whether all of the item matches. CloudFormation's patterns are Java's, of which Python lacks a few."""
    try:
        return re.fullmatch(as_text(pattern), item) is not None
    except (re.error, OverflowError, RecursionError) as error:
        raise ParameterError(
            f"The AllowedPattern of the parameter {name} cannot be read on this machine: {error}."
        ) from error
