"""What `make deploy` makes of ORIGINS, PARAMS and ARCH, before anything is built."""

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.deploy import ROOT, Refused, check, given

DECLARED = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]


def test_values_are_words_as_in_a_shell() -> None:
    """Spaces, commas, equals signs and quotes are part of a value that is quoted; nothing is a value too."""
    assert given("""OwnerBytes=5 ContentTypes="image/*, .he'ic" AlarmTopicArn= HashDigests='a="b"'""", "", "") == {
        "OwnerBytes": "5",
        "ContentTypes": "image/*, .he'ic",
        "AlarmTopicArn": "",
        "HashDigests": 'a="b"',
    }


def test_origins_and_arch_are_parameters_too() -> None:
    """ORIGINS is AllowedOrigins and ARCH is Architecture; a list loses its spaces, and none of its items."""
    values = given("OwnerBytes=5", "https://a, https://b", "arm64")
    assert check(values, DECLARED) == {
        "AllowedOrigins": "https://a,https://b",
        "Architecture": "arm64",
        "OwnerBytes": "5",
    }
    assert given("AllowedOrigins=https://a", "https://a", "") == {"AllowedOrigins": "https://a"}


@pytest.mark.parametrize(
    ("params", "origins", "told"),
    [
        ("OwnerBytes", "", 'PARAMS has "OwnerBytes", which is no NAME=VALUE'),
        ("AllowedOrigins=https://a, https://b", "", 'PARAMS has "https://b"'),
        ("ContentTypes='image", "", "No closing quotation"),
        ("AllowedOrigins=https://a", "https://b", "ORIGINS and PARAMS both say AllowedOrigins"),
        ("Owner=5 OwnerBytes=5", "", "no parameter of the template: Owner. There are: Architecture, .*OwnerBytes"),
        ("Architecture=arm", "", "Architecture=arm: it is one of x86_64, arm64"),
        ("OwnerBytes=-1", "", r"OwnerBytes=-1: it is a whole number \(MinValue: 0\)"),
        ("HasherMemory=511", "", r"a whole number \(MinValue: 512 MaxValue: 10240\)"),
        ("HasherMemory=1e3", "", "a whole number"),
    ],
)
def test_what_cannot_be_deployed_is_told(params: str, origins: str, told: str) -> None:
    """What CloudFormation would refuse after minutes of building and sending is refused at once, with what there is."""
    with pytest.raises(Refused, match=told):
        check(given(params, origins, ""), DECLARED)
