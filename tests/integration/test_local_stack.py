"""What template.yaml says about its resources is in effect in moto."""

import json
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from local import aws
from local.aws import Services
from local.stack import GAPS, IN_CLOUDFORMATION, create
from local.template import STACK, Resolver, Template, TemplateError, load
from local.tokens import hashed
from local.up import PAGES
from tests.integration.conftest import ROOT, Stack

ORIGINS = PAGES.split(",")


@pytest.fixture(scope="module")
def services(stack: Stack) -> Services:
    return aws.connect(stack.aws)


@pytest.fixture(scope="module")
def template() -> Template:
    return load(ROOT / "template.yaml", {"AllowedOrigins": PAGES})


@pytest.fixture(scope="module")
def names(services: Services) -> dict[str, str]:
    """Physical ids, as CloudFormation tells them."""
    resources = services.cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"].rsplit("/", 1)[-1] for resource in resources}


def only(template: Template, kind: str, names: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The physical id and the resolved properties of the only resource of its type."""
    ((name, resource),) = template.of_type(kind).items()
    resolver = Resolver(template)
    for logical, physical in names.items():
        resolver.attributes[logical, "Arn"] = f"arn:aws:sqs:eu-west-1:123456789012:{physical}"
    for api in template.of_type("AWS::ApiGatewayV2::Api"):
        resolver.attributes[api, "ApiEndpoint"] = "the API's own"
    return names[name], resolver(resource["Properties"])


def test_every_property_has_someone_who_sets_it(template: Template) -> None:
    """Each property of a bucket, table, queue or log group is one that moto heeds or that is set after it."""
    resolver = Resolver(template)
    for resource in template.resources.values():
        kind = resource["Type"]
        if kind in IN_CLOUDFORMATION:
            said = {key for key, value in resource["Properties"].items() if resolver.chosen(value) is not None}
            assert said <= IN_CLOUDFORMATION[kind] | GAPS.get(kind, {}).keys()


def test_acceleration_is_refused_here() -> None:
    """There is no accelerated endpoint on this machine, so that a stack with it would send people to AWS."""
    accelerated = load(ROOT / "template.yaml", {"TransferAcceleration": "true"})
    with pytest.raises(TemplateError, match="FilesBucket sets AccelerateConfiguration: nothing does that yet"):
        create(accelerated, aws.connect("http://127.0.0.1:9"), doors={}, secrets={})


def test_bucket(stack: Stack, services: Services, template: Template, names: dict[str, str]) -> None:
    """The bucket is versioned, encrypted, private, open to the template's origins, tidied, and tells the queue."""
    bucket, said = only(template, "AWS::S3::Bucket", names)
    s3 = services.s3
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == said["VersioningConfiguration"]["Status"]
    (encryption,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    (asked,) = said["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ApplyServerSideEncryptionByDefault"] == asked["ServerSideEncryptionByDefault"]
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert blocked == said["PublicAccessBlockConfiguration"]
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"] == said["OwnershipControls"]

    (cors,) = s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
    (rule,) = said["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedOrigins"] == ["the API's own", *ORIGINS]
    assert cors["AllowedOrigins"] == [stack.api, *ORIGINS]
    assert (cors["AllowedMethods"], cors["AllowedHeaders"]) == (rule["AllowedMethods"], rule["AllowedHeaders"])
    assert (cors["ExposeHeaders"], cors["MaxAgeSeconds"]) == (rule["ExposedHeaders"], rule["MaxAge"])

    rules = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
    asked = {rule["Id"]: rule for rule in said["LifecycleConfiguration"]["Rules"]}
    assert rules.keys() == asked.keys()
    assert {rule["Status"] for rule in rules.values()} == {"Enabled"}
    abort, forget = rules["abort-unfinished-uploads"], rules["forget-old-versions"]
    asked_abort, asked_forget = asked["abort-unfinished-uploads"], asked["forget-old-versions"]
    assert abort["AbortIncompleteMultipartUpload"] == asked_abort["AbortIncompleteMultipartUpload"]
    assert forget["NoncurrentVersionExpiration"] == asked_forget["NoncurrentVersionExpiration"]
    assert forget["Expiration"] == {"ExpiredObjectDeleteMarker": True}

    (told,) = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    (asked_told,) = said["NotificationConfiguration"]["QueueConfigurations"]
    assert (told["QueueArn"], told["Events"]) == (asked_told["Queue"], [asked_told["Event"]])
    assert told["Filter"]["Key"]["FilterRules"] == asked_told["Filter"]["S3Key"]["Rules"]


def test_table(services: Services, template: Template, names: dict[str, str]) -> None:
    """The table has its keys, its TTL, its recovery, and is billed on demand."""
    table, said = only(template, "AWS::DynamoDB::Table", names)
    made = services.dynamodb.describe_table(TableName=table)["Table"]
    assert made["KeySchema"] == said["KeySchema"]
    assert made["AttributeDefinitions"] == said["AttributeDefinitions"]
    assert made["BillingModeSummary"]["BillingMode"] == said["BillingMode"]
    ttl = services.dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": said["TimeToLiveSpecification"]["AttributeName"]}
    backups = services.dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_queues(services: Services, template: Template, names: dict[str, str]) -> None:
    """Each queue has its times, its encryption, its dead letters; the policy lets S3 send."""
    for name, resource in template.of_type("AWS::SQS::Queue").items():
        url = services.sqs.get_queue_url(QueueName=names[name])["QueueUrl"]
        made = services.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        said = resource["Properties"]
        for key in ("VisibilityTimeout", "MessageRetentionPeriod"):
            if key in said:
                assert int(made[key]) == said[key]
        assert made["SqsManagedSseEnabled"] == "true"
        if "RedrivePolicy" in said:
            redrive = json.loads(made["RedrivePolicy"])
            dead = names[said["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]
            assert redrive["maxReceiveCount"] == said["RedrivePolicy"]["maxReceiveCount"]
            assert redrive["deadLetterTargetArn"].endswith(f":{dead}")
            (statement,) = json.loads(made["Policy"])["Statement"]
            assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
            assert statement["Resource"] == made["QueueArn"]


def test_secrets(services: Services, stack: Stack) -> None:
    """The access tokens are the person's, by owner, kept as hashes; the other secret is as the template says."""
    values = {
        secret["Name"]: services.secrets.get_secret_value(SecretId=secret["ARN"])["SecretString"]
        for secret in services.secrets.list_secrets()["SecretList"]
    }
    tokens = json.loads(values[f"{STACK}-AccessToken"])
    assert tokens == {"default": [hashed(stack.token)], "other": [hashed(stack.other_token)]}
    assert len(values[f"{STACK}-CapabilityKey"]) == 64
    assert values[f"{STACK}-CapabilityKey"].isalnum()


@pytest.fixture
def log_groups(stack: Stack) -> list[dict[str, Any]]:
    body = {"limit": 50}
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "Logs_20140328.DescribeLogGroups",
        "authorization": f"AWS4-HMAC-SHA256 Credential=local/20260101/{stack.region}/logs/aws4_request",
    }
    groups: list[dict[str, Any]] = httpx.post(stack.aws, json=body, headers=headers, trust_env=False).json()[
        "logGroups"
    ]
    return groups


def test_log_groups(log_groups: list[dict[str, Any]], template: Template, names: dict[str, str]) -> None:
    """Every log group forgets after the days of its parameter."""
    made = {group["logGroupName"]: group["retentionInDays"] for group in log_groups}
    groups = template.of_type("AWS::Logs::LogGroup")
    parameters = {name: group["Properties"]["RetentionInDays"]["Ref"] for name, group in groups.items()}
    assert made == {names[name]: int(template.parameters[parameter]) for name, parameter in parameters.items()}


def test_bucket_answers_cross_origin_as_its_rules_say(stack: Stack, names: dict[str, str], template: Template) -> None:
    """A page of another origin gets no leave from the bucket, one of the template's origins does."""
    bucket, _ = only(template, "AWS::S3::Bucket", names)
    asked = {"origin": ORIGINS[0], "access-control-request-method": "PUT"}
    allowed = httpx.options(f"{stack.aws}/{bucket}/files/x", headers=asked, trust_env=False)
    assert allowed.headers["access-control-allow-origin"] == ORIGINS[0]
    assert "ETag" in allowed.headers["access-control-expose-headers"]
    refused = httpx.options(
        f"{stack.aws}/{bucket}/files/x", headers={**asked, "origin": "http://evil.example"}, trust_env=False
    )
    assert "access-control-allow-origin" not in refused.headers


def test_bucket_takes_forms_as_s3_does(
    stack: Stack, services: Services, names: dict[str, str], template: Template
) -> None:
    """A browser's form is answered with what its page wants to read, unless the policy forbids the file's size."""
    bucket, _ = only(template, "AWS::S3::Bucket", names)
    fields = {"Content-Type": "text/plain", "success_action_status": "201"}
    conditions: list[Any] = [["content-length-range", 2, 4], *({name: fields[name]} for name in fields)]
    keys: Any = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": "eu-west-1"}
    signer: Any = boto3.client("s3", endpoint_url=stack.aws, config=Config(signature_version="s3v4"), **keys)
    fields = signer.generate_presigned_post(bucket, "elsewhere/form", fields, conditions)["fields"]
    url, headers = f"{stack.aws}/{bucket}/", {"origin": ORIGINS[0]}
    for data, code in ((b"1", "EntityTooSmall"), (b"12345", "EntityTooLarge")):
        refused = httpx.post(url, data=fields, files={"file": data}, headers=headers, trust_env=False)
        assert (refused.status_code, code in refused.text) == (400, True)
    answer = httpx.post(url, data=fields, files={"file": b"\xff\r\n\0"}, headers=headers, trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (201, f"{url}elsewhere/form")
    assert answer.headers["access-control-allow-origin"] == ORIGINS[0]
    stored = services.s3.get_object(Bucket=bucket, Key="elsewhere/form")
    assert (stored["Body"].read(), stored["ContentType"]) == (b"\xff\r\n\0", "text/plain")
    assert answer.headers["etag"] == stored["ETag"]
