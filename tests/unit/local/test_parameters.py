"""A template's parameters, as CloudFormation checks them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.parameters import ParameterError, ValueRefused, check

WORD = {"Type": "String", "AllowedPattern": "[a-z]+", "MinLength": 2, "MaxLength": "4"}
SIZE = {"Type": "Number", "MinValue": 1, "MaxValue": "1e3"}
SECRET = {"Type": "String", "NoEcho": True, "MinLength": 8}


@pytest.mark.parametrize(
    ("spec", "value", "checked"),
    [
        ({"Type": "String"}, "", ""),
        ({"Type": "String", "Default": "a"}, None, "a"),
        ({"Type": "String", "Default": "a"}, "", ""),
        ({"Type": "String", "Default": True}, None, "true"),
        ({"Type": "String", "AllowedValues": [True, 1]}, "true", "true"),
        ({"Type": "Number", "Default": 0}, None, "0"),
        *((SIZE, number, number) for number in ("1", "+1", "1000", "1000.0", "1.", "10e2", "1.5")),
        ({"Type": "Number", "AllowedValues": [1, 2]}, "2", "2"),
        ({"Type": "CommaDelimitedList"}, "a, b ,c", ["a", "b", "c"]),
        ({"Type": "CommaDelimitedList"}, "", [""]),
        ({"Type": "CommaDelimitedList", "AllowedValues": ["a", "b"]}, "b,a,b", ["b", "a", "b"]),
        ({"Type": "CommaDelimitedList", "AllowedPattern": "[a-z]"}, "b,a", ["b", "a"]),
        ({"Type": "List<Number>", "MinValue": 1}, "1, 2.5", ["1", "2.5"]),
        (WORD, "ab", "ab"),
        (WORD, "abcd", "abcd"),
        (SECRET, "12345678", "12345678"),
        ({"Type": "AWS::EC2::VPC::Id"}, "vpc-1", "vpc-1"),
        ({"Type": "List<AWS::EC2::Subnet::Id>"}, "subnet-1,subnet-2", ["subnet-1", "subnet-2"]),
    ],
)
def test_values_that_are_allowed(spec: dict[str, Any], value: str | None, checked: str | list[str]) -> None:
    """They are strings, as `Ref` gives them; each item of a list is without the spaces around it."""
    assert check("Name", spec, value) == checked


@pytest.mark.parametrize(
    ("spec", "value", "message"),
    [
        *(
            (SIZE, number, f"The parameter Name has to be a number, not {number!r}.")
            for number in ("", "a", "0x1", "1_0", "nan", "inf", " 1", "1,1", "\u0661", "1 000", "1e", "--1", "1\n")
        ),
        (SIZE, "0.9", "The parameter Name has to be at least 1, not '0.9'."),
        (SIZE, "1000.1", "The parameter Name has to be at most 1e3, not '1000.1'."),
        ({"Type": "Number", "Default": "many"}, None, "The parameter Name has to be a number, not 'many'."),
        ({"Type": "Number", "AllowedValues": [1, 2]}, "3", "The parameter Name has to be one of 1, 2, not '3'."),
        ({"Type": "List<Number>"}, "1,b", "The parameter Name has to be a number, not 'b'."),
        ({"Type": "List<Number>", "MaxValue": 1}, "1,2", "The parameter Name has to be at most 1, not '2'."),
        ({"Type": "CommaDelimitedList", "AllowedValues": ["a"]}, "a,b", "has to be one of a, not 'b'."),
        (WORD, "a", "The parameter Name has to have at least 2 characters, not 'a'."),
        (WORD, "abcde", "The parameter Name has to have at most 4 characters, not 'abcde'."),
        (WORD, "abC", r"has to match [a-z]+, not 'abC'."),
        (WORD, "ab\n", r"has to match [a-z]+, not 'ab\n'."),
        (WORD | {"ConstraintDescription": "Small letters."}, "AB", r"has to match [a-z]+, not 'AB'. Small letters."),
        (SECRET, "hunter2", "The parameter Name has to have at least 8 characters."),
        (SECRET | {"NoEcho": "true"}, "hunter2", "The parameter Name has to have at least 8 characters."),
        ({"Type": "String"}, "x" * 4097, "The value of the parameter Name has more than 4096 bytes."),
    ],
)
def test_values_that_are_not(spec: dict[str, Any], value: str | None, message: str) -> None:
    """The message says what the value has to be and what it is; of a secret (NoEcho) it does not show the value."""
    with pytest.raises(ValueRefused) as refused:
        check("Name", spec, value)
    assert str(refused.value).endswith(message)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("String", "has to be a map with a Type"),
        (None, "has to be a map with a Type"),
        ({}, "has no Type"),
        ({"Type": ["String"]}, "has no Type"),
        ({"Type": "string"}, "is of type string, which CloudFormation does not have"),
        ({"Type": "AWS::SSM::Parameter::Value<String>"}, "this machine has no SSM Parameter Store"),
        ({"Type": "AWS::SSM::Parameter::Name"}, "this machine has no SSM Parameter Store"),
        ({"Type": "List<AWS::SSM::Parameter::Value<String>>"}, "this machine has no SSM Parameter Store"),
        ({"Type": "String", "Max": 1}, "has the unknown property Max"),
        ({"Type": "Number", "MaxValue": "much"}, "The MaxValue of the parameter Name has to be a number"),
        ({"Type": "Number", "MinValue": []}, "The MinValue of the parameter Name has to be a number"),
        ({"Type": "String", "AllowedValues": "a"}, "AllowedValues of the parameter Name have to be a list"),
        ({"Type": "String", "AllowedValues": [["a"]]}, "AllowedValues of the parameter Name have to be a list"),
        ({"Type": "String", "AllowedPattern": "("}, "AllowedPattern of the parameter Name cannot be read"),
        ({"Type": "CommaDelimitedList", "Default": ["a"]}, "Default of the parameter Name has to be a string or a"),
    ],
)
def test_declarations_that_cannot_be_used(spec: Any, message: str) -> None:
    """What CloudFormation would refuse, and what this machine does not have, is told."""
    with pytest.raises(ParameterError, match=message):
        check("Name", spec, None if isinstance(spec, dict) and "Default" in spec else "value")


def test_a_value_is_needed() -> None:
    """Without a default somebody has to give one."""
    with pytest.raises(ValueRefused, match="Name has no default and needs a value"):
        check("Name", {"Type": "String"}, None)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = SCALARS | st.lists(SCALARS) | st.dictionaries(st.text(), SCALARS)
KEYS = st.sampled_from(
    [
        *("Type", "Default", "AllowedValues", "AllowedPattern", "MinValue", "MaxValue", "MinLength", "MaxLength"),
        *("NoEcho", "ConstraintDescription", "Description"),
    ]
)
KINDS = st.sampled_from(["String", "Number", "CommaDelimitedList", "List<Number>", "AWS::EC2::VPC::Id"])


@given(st.dictionaries(KEYS, VALUES), KINDS, st.none() | st.text())
def test_any_declaration_is_judged(spec: dict[str, Any], kind: str, value: str | None) -> None:
    """Whatever the declaration and the value are, the value is taken or the reason is told."""
    try:
        checked = check("Name", spec | {"Type": kind}, value)
    except ParameterError:
        return
    assert isinstance(checked, str | list)
