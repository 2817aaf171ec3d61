"""What `make deploy` makes of ORIGINS, PARAMS and ARCH, before anything is built."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from local.deploy import ROOT, Refused, check, examine, given

TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
DECLARED = TEMPLATE["Parameters"]
OUR_TABLE = TEMPLATE["Resources"]["FilesTable"]["Properties"]


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
        ("CloudFront=on CertificateArn=arn:aws:acm:eu-west-1:1:certificate/a", "", "a certificate of us-east-1 alone"),
    ],
)
def test_what_cannot_be_deployed_is_told(params: str, origins: str, told: str) -> None:
    """What CloudFormation would refuse after minutes of building and sending is refused at once, with what there is."""
    with pytest.raises(Refused, match=told):
        check(given(params, origins, ""), DECLARED)


@pytest.fixture
def account() -> Iterator[boto3.Session]:
    """An account of moto's."""
    with mock_aws():
        yield boto3.Session("a-key", "a-secret", region_name="eu-west-1")


@pytest.mark.parametrize("status", ["never", "Suspended"])
def test_a_bucket_that_forgets_versions_is_refused(status: Any, account: boto3.Session) -> None:
    """Sluice reads versions only: another bucket would lose files, so that nothing is built for it."""
    s3 = account.client("s3")
    s3.create_bucket(Bucket="ours", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    if status != "never":
        s3.put_bucket_versioning(Bucket="ours", VersioningConfiguration={"Status": status})
    with pytest.raises(Refused, match="ExistingBucket=ours: this bucket is not versioned"):
        examine({"ExistingBucket": "ours"}, OUR_TABLE, account)
    s3.put_bucket_versioning(Bucket="ours", VersioningConfiguration={"Status": "Enabled"})
    examine({"ExistingBucket": "ours"}, OUR_TABLE, account)
    with pytest.raises(Refused, match=r"cannot be looked at: .*NoSuchBucket"):
        examine({"ExistingBucket": "nobodys"}, OUR_TABLE, account)


def test_a_table_without_the_indexes_is_refused(account: boto3.Session) -> None:
    """DynamoDB restores a table without its indexes if it is told to; each that is missing is named."""
    dynamodb = account.client("dynamodb")
    made = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")
    whole = {key: OUR_TABLE[key] for key in made}
    dynamodb.create_table(TableName="restored", **whole)
    examine({"ExistingTable": "restored"}, OUR_TABLE, account)
    fewer = whole | {"GlobalSecondaryIndexes": OUR_TABLE["GlobalSecondaryIndexes"][:1]}
    named = {one["AttributeName"] for key in (fewer, *fewer["GlobalSecondaryIndexes"]) for one in key["KeySchema"]}
    fewer["AttributeDefinitions"] = [one for one in whole["AttributeDefinitions"] if one["AttributeName"] in named]
    dynamodb.create_table(TableName="halved", **fewer)
    with pytest.raises(Refused, match="or none: the index places, the index drops"):
        examine({"ExistingTable": "halved"}, OUR_TABLE, account)
