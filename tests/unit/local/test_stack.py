"""Templates that moto is given, and those that are refused before."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local import aws, stack
from local.template import Template, TemplateError


def create(resources: dict[str, Any]) -> None:
    """Up to the first call of moto, which nobody answers here."""
    services = aws.connect("http://127.0.0.1:1")
    stack.create(Template(Path(), {"Resources": resources}, {}), services, doors={}, secrets={})


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        ({"Type": "AWS::Kinesis::Stream"}, "Made is a AWS::Kinesis::Stream: nothing plays that here"),
        ({"Type": "AWS::StepFunctions::StateMachine"}, "Made is a .*: state machines are not played here; AWS has"),
        ({"Type": "AWS::S3::Bucket", "Properties": {"WebsiteConfiguration": {}}}, "Made sets WebsiteConfiguration"),
    ],
)
def test_what_nobody_plays_is_refused(resource: dict[str, Any], message: str) -> None:
    """A type or a property that would have no effect here is an error that names it."""
    with pytest.raises(TemplateError, match=message):
        create({"Made": resource})


def test_no_moto_is_told() -> None:
    """A moto that does not answer is a failure of the stack, not a traceback."""
    with pytest.raises(TemplateError, match="could not be made in moto"):
        create({"Made": {"Type": "AWS::S3::Bucket"}})


def test_cors_rule_in_the_words_of_the_api() -> None:
    """CloudFormation and S3 spell three keys of a CORS rule differently."""
    rule = {"AllowedMethods": ["GET"], "ExposedHeaders": ["ETag"], "MaxAge": 5, "Id": "a"}
    assert stack.cors_rule(rule) == {
        "AllowedMethods": ["GET"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 5,
        "ID": "a",
    }


def test_lifecycle_rule_in_the_words_of_the_api() -> None:
    """What CloudFormation says flatly about expiration and prefix is nested in S3's own words."""
    rule = {
        "Id": "a",
        "Status": "Enabled",
        "Prefix": "x/",
        "ExpirationInDays": 3,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    assert stack.lifecycle_rule(rule) == {
        "ID": "a",
        "Status": "Enabled",
        "Filter": {"Prefix": "x/"},
        "Expiration": {"Days": 3},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }


def test_notifications_in_the_words_of_the_api() -> None:
    """A queue's event and filter are nested in S3's own words; a notification of anything else is refused."""
    queue = {"Event": "s3:ObjectCreated:*", "Queue": "arn:q"}
    assert stack.notifications({"QueueConfigurations": [queue]}) == {
        "QueueConfigurations": [{"QueueArn": "arn:q", "Events": ["s3:ObjectCreated:*"]}]
    }
    rules = [{"Name": "prefix", "Value": "x/"}]
    (filtered,) = stack.notifications({"QueueConfigurations": [{**queue, "Filter": {"S3Key": {"Rules": rules}}}]})[
        "QueueConfigurations"
    ]
    assert filtered["Filter"] == {"Key": {"FilterRules": rules}}
    topic = {"Event": "s3:ObjectRemoved:*", "Topic": "arn:t"}
    assert stack.notifications({"TopicConfigurations": [topic]}) == {
        "TopicConfigurations": [{"TopicArn": "arn:t", "Events": ["s3:ObjectRemoved:*"]}]
    }
    for enabled in (True, False):
        spelt = stack.notifications({"EventBridgeConfiguration": {"EventBridgeEnabled": enabled}})
        assert spelt == ({"EventBridgeConfiguration": {}} if enabled else {})
    with pytest.raises(TemplateError, match="AnotherConfiguration"):
        stack.notifications({"AnotherConfiguration": []})


@pytest.mark.parametrize(
    ("kind", "properties", "form"),
    [
        ("AWS::DynamoDB::Table", {}, r"local-Thing-[0-9a-f]{12}"),
        ("AWS::S3::Bucket", {}, r"local-thing-[0-9a-f]{12}"),
        ("AWS::SQS::Queue", {}, r"local-Thing-[0-9a-f]{12}"),
        ("AWS::SQS::Queue", {"FifoQueue": True}, r"local-Thing-[0-9a-f]{12}\.fifo"),
    ],
)
def test_resource_is_named_after_its_logical_id(kind: str, properties: dict[str, Any], form: str) -> None:
    """The same at each start, as what it holds is kept under that name."""
    resource = {"Type": kind, "Properties": properties}
    assert re.fullmatch(form, stack.physical_name("Thing", resource))
    assert stack.physical_name("Thing", resource) == stack.physical_name("Thing", resource)


@given(st.from_regex(r"[A-Za-z0-9]{1,255}", fullmatch=True), st.from_regex(r"[A-Za-z0-9]{1,255}", fullmatch=True))
def test_names_are_valid_and_differ(one: str, other: str) -> None:
    """However long the logical ids are, and where they differ only in what a bucket's name cannot have."""
    bucket: dict[str, Any] = {"Type": "AWS::S3::Bucket"}
    for pair in ((one, other), (one, one.swapcase())):
        names = [stack.physical_name(name, bucket) for name in pair]
        assert all(re.fullmatch(r"[a-z0-9-]{3,63}", name) for name in names)
        assert (names[0] == names[1]) == (pair[0] == pair[1])
