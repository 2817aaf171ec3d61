"""What template.yaml promises, read from what the SAM transform makes of it: the facts that no linter checks."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from functions.api.cloudfront import HEADER
from functions.api.cloudfront import values as secrets_that_count
from functions.api.uploads import COMPLETE_SECONDS
from functions.hasher.notifications import SCAN_RESULT
from local.distributions import ALL_VIEWER_EXCEPT_HOST, CACHING_DISABLED
from local.streams import matches
from local.template import Resolver, Template, load
from sluice import limits, settings
from sluice.audit_log import AuditLog
from sluice.files import ENDED, Files
from sluice.objects import Objects
from sluice.queue import Queue
from tests.infra.transformed import ROOT, SWITCHES, combinations, decided, document

SOURCE = yaml_parse((ROOT / "template.yaml").read_text())
DOCUMENT = document()
RESOURCES: dict[str, dict[str, Any]] = DOCUMENT["Resources"]
# An HTTP API waits no longer for its integration: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
HTTP_API_SECONDS = 30


# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
STREAM_KEEPS_SECONDS = 24 * 3600
# FastAPI's, between two comments of an event stream that has nothing to say.
PING_SECONDS = 15


def of_type(kind: str) -> dict[str, Any]:
    """The properties of the resources of this type, by logical id."""
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


def only(kind: str) -> Any:
    (properties,) = of_type(kind).values()
    return properties


def references(value: Any) -> Iterator[str]:
    """Every name that `Ref`, `Fn::GetAtt` and `Fn::Sub` within `value` mention."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref":
                yield item
            elif key == "Fn::GetAtt":
                yield item[0] if isinstance(item, list) else item.split(".")[0]
            elif key == "Fn::Sub":
                text, own = item if isinstance(item, list) else (item, {})
                yield from (name.split(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text) if name not in own)
                yield from references(item)
            else:
                yield from references(item)


def statements(role: Any) -> list[dict[str, Any]]:
    """All that it may be allowed, whatever the conditions."""
    said = [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
    return [statement["Fn::If"][1] if "Fn::If" in statement else statement for statement in said]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# As `Resolver` takes them: a list is a list.
DEFAULTS: dict[str, Any] = load(ROOT / "template.yaml", {}).parameters
MAPPING = "AWS::Lambda::EventSourceMapping"
FUNCTIONS = of_type("AWS::Lambda::Function")
ROLES = of_type("AWS::IAM::Role")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_handler_is_importable(name: str) -> None:
    """Each Handler names a callable of a module below its CodeUri, which imports with the settings that it is given."""
    module, _, attribute = FUNCTIONS[name]["Handler"].rpartition(".")
    # A process of its own, because importing a handler makes clients and an event loop that only Lambda ever lets go.
    script = f"import {module} as handler; assert callable(handler.{attribute}); print(handler.__file__)"
    given = FUNCTIONS[name]["Environment"]["Variables"]
    variables = dict.fromkeys(given, "https://given.example") | {
        variable: str(SOURCE["Parameters"][value["Ref"]]["Default"])
        for variable, value in given.items()
        if isinstance(value, dict) and SOURCE["Parameters"].get(value.get("Ref"), {}).get("Default", "") != ""
    }
    # Of CloudFront, without which the function imports as well.
    variables |= {
        variable: value["Fn::If"][2]
        for variable, value in given.items()
        if isinstance(value, dict) and isinstance(value.get("Fn::If", [None] * 3)[2], str)
    }
    path = os.pathsep.join(str(ROOT / folder) for folder in (".", "layers/core", "layers/streaming_runtime"))
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        env={**variables, "AWS_DEFAULT_REGION": "eu-west-1", "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    folder = ROOT / SOURCE["Resources"][name]["Properties"]["CodeUri"]
    assert Path(done.stdout.strip()).parent.samefile(folder)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_settings_are_declared(name: str) -> None:
    """Every setting without a default that a function's code names is given to it, and nothing that no code reads."""
    given = set(FUNCTIONS[name]["Environment"]["Variables"])
    code = ROOT / SOURCE["Resources"][name]["Properties"]["CodeUri"]
    text = "\n".join(path.read_text() for path in code.rglob("*.py"))
    needed = {
        setting.name for setting in settings.ALL if setting.default is None and f"settings.{setting.name}" in text
    }
    # Files.connect, Objects.connect and Queue.connect read these in the name of whoever calls them.
    needed |= {settings.TABLE_NAME.name} if "Files.connect" in text else set()
    needed |= {settings.BUCKET_NAME.name} if "Objects.connect" in text else set()
    needed |= {settings.QUEUE_URL.name} if "Queue.connect" in text else set()
    ours = {variable for variable in given if not variable.startswith(("AWS_", "POWERTOOLS_", "STREAMING_RUNTIME_"))}
    ours -= {"SETTINGS_VERSION"}  # which is for Lambda: tests/infra/test_publishing.py
    # Where a parameter says it, one with a default is given as well: Options.read reads those of hashing.
    turned = {settings.HASH_DIGESTS.name} if "Options.read" in text or "settings.HASH_DIGESTS" in text else set()
    turned |= {settings.MALWARE_SCAN.name} if "Options.read" in text or "settings.MALWARE_SCAN" in text else set()
    rules = ["STREAM_LIMIT_BYTES", "STREAMS_PER_LINK", "MAX_FILE_BYTES", "CONTENT_TYPES"]
    rules += ["OWNER_BYTES", "OWNER_UPLOADS", "CLOUDFRONT", "CLOUDFRONT_SECRET"]
    rules += [setting.name for setting in settings.ALL if setting.name.startswith("OIDC_")]
    turned |= {name for name in rules if re.search(rf"settings\.{name}\b", text)}
    # Objects.connect reads it, and it counts for what signs for people.
    turned |= {settings.TRANSFER_ACCELERATION.name} if re.search(r"\.sign_(get|put|part|post)\(", text) else set()
    # owners.has_access reads both.
    needed |= {settings.ACCESS_TOKEN_SECRET.name, settings.OIDC_ISSUER.name} if "owners.has_access" in text else set()
    turned |= {settings.AUDIT_LOG_GROUP.name} if "AuditLog.connect" in text else set()
    assert ours == needed | turned


def test_sam_local_is_told_what_it_cannot_know() -> None:
    """`events/env.json` sets each variable that the template takes from a resource, and where AWS is, and no others."""
    (given,) = json.loads((ROOT / "events/env.json").read_text()).values()
    made = {
        variable
        for function in FUNCTIONS.values()
        for variable, value in function["Environment"]["Variables"].items()
        if set(references(value)) & {*RESOURCES, "AWS::NoValue"}
    }
    assert given.keys() == made


@pytest.mark.parametrize("name", FUNCTIONS)
def test_layers_are_of_this_template(name: str) -> None:
    """Every function has the core layer, the one with an exec wrapper the layer that holds it, two have their own."""
    named = {one for layer in FUNCTIONS[name]["Layers"] for one in references(layer)} - {"AWS::NoValue"}
    said = {one.rstrip("0123456789abcdef") for one in named}
    wrapper = FUNCTIONS[name]["Environment"]["Variables"].get("AWS_LAMBDA_EXEC_WRAPPER")
    own = {"HasherFunction": {"HasherLayer"}, "ApiFunction": {"SignInLayer"}}
    assert said == {"CoreLayer"} | ({"StreamingRuntimeLayer"} if wrapper else own.get(name, set()))
    if wrapper:
        script = ROOT / "layers/streaming_runtime" / wrapper.removeprefix("/opt/")
        assert os.access(script, os.X_OK)


@pytest.mark.parametrize("name", ROLES)
def test_each_function_has_a_role_of_its_own(name: str) -> None:
    """A role is assumed by Lambda alone and used by one function; others by the one service that needs them."""
    users = [function for function, properties in FUNCTIONS.items() if name in references(properties["Role"])]
    trusted = ROLES[name]["AssumeRolePolicyDocument"]["Statement"]
    others = {"WebhookRole": "events", "MalwareRole": "malware-protection-plan.guardduty"}
    others |= dict.fromkeys(("DeploymentRole", "StreamDeploymentRole"), "codedeploy")
    if name in others:
        assert users == []
        assert [statement["Principal"] for statement in trusted] == [{"Service": f"{others[name]}.amazonaws.com"}]
        return
    assert len(users) == 1
    assert [statement["Principal"] for statement in trusted] == [{"Service": "lambda.amazonaws.com"}]


# https://docs.aws.amazon.com/guardduty/latest/ug/malware-protection-s3-iam-policy-prerequisite.html
GUARDDUTYS_RULE = "DO-NOT-DELETE-AmazonGuardDutyMalwareProtectionS3*"
GUARDDUTYS_ACTIONS = {
    *("events:PutRule", "events:DeleteRule", "events:PutTargets", "events:RemoveTargets"),
    *("events:DescribeRule", "events:ListTargetsByRule"),
    *("s3:PutObjectTagging", "s3:GetObjectTagging", "s3:PutObjectVersionTagging", "s3:GetObjectVersionTagging"),
    *("s3:PutBucketNotification", "s3:GetBucketNotification", "s3:PutObject", "s3:ListBucket"),
    *("s3:GetObject", "s3:GetObjectVersion"),
    *("kms:Decrypt", "kms:GenerateDataKey"),  # where the bucket has a key of the customer's
}


def test_guardduty_may_do_what_its_guide_asks_for() -> None:
    """These actions and no others; it reads and tags files alone, and writes nothing but its own trial object."""
    granted = [
        (action, json.dumps(statement["Resource"]))
        for statement in statements(ROLES["MalwareRole"])
        for action in listed(statement["Action"])
    ]
    assert {action for action, _ in granted} == GUARDDUTYS_ACTIONS
    on_objects = {action: resource for action, resource in granted if "Object" in action}
    assert "malware-protection-resource-validation-object" in on_objects.pop("s3:PutObject")
    assert all("/files/*" in resource for resource in on_objects.values())


def test_nothing_scans_unless_it_is_wanted() -> None:
    """Without the parameter there is no plan, no rule and no role, and files are `ready` once they are hashed."""
    scan = {name for name, resource in RESOURCES.items() if resource.get("Condition") == "MalwareIsScanned"}
    assert scan == {"MalwareProtection", "MalwareRole", "MalwareRule", "ScansFailedAlarm"}
    assert DOCUMENT["Conditions"]["MalwareIsScanned"] == {"Fn::Equals": [{"Ref": "MalwareScan"}, "on"]}
    assert SOURCE["Parameters"]["MalwareScan"]["Default"] == settings.MALWARE_SCAN.default == "off"
    announced = only("AWS::S3::Bucket")["NotificationConfiguration"]["EventBridgeConfiguration"]
    assert announced == {"Fn::If": ["MalwareIsScanned", {"EventBridgeEnabled": True}, {"Ref": "AWS::NoValue"}]}


def test_verdicts_over_files_go_to_the_hasher() -> None:
    """The plan covers where files are; the rule takes its bucket's results; the queue lets rules of this account in."""
    plan, bucket = only("AWS::GuardDuty::MalwareProtectionPlan"), {"Fn::GetAtt": ["FilesBucketName", "Value"]}
    assert plan["ProtectedResource"]["S3Bucket"] == {"BucketName": bucket, "ObjectPrefixes": ["files/"]}
    assert plan["Actions"] == {"Tagging": {"Status": "ENABLED"}}
    rule = of_type("AWS::Events::Rule")["MalwareRule"]
    assert rule["EventPattern"]["detail-type"] == [SCAN_RESULT]
    assert rule["EventPattern"]["detail"] == {"s3ObjectDetails": {"bucketName": [bucket]}}
    assert [list(references(target["Arn"])) for target in rule["Targets"]] == [["CompletedQueue"]]
    _, letting = of_type("AWS::SQS::QueuePolicy")["CompletedQueuePolicy"]["PolicyDocument"]["Statement"]
    _, statement, _ = letting["Fn::If"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert "${AWS::AccountId}:rule/*" in statement["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"]


@pytest.mark.parametrize("name", ROLES)
def test_least_privilege(name: str) -> None:
    """No policy is managed, no statement has a wildcard for its action or alone for its resource, one of this stack."""
    assert "ManagedPolicyArns" not in ROLES[name]
    found = statements(ROLES[name])
    assert found
    for statement in found:
        assert statement["Sid"], statement
        assert not any("*" in action for action in listed(statement["Action"])), statement
        for resource in listed(statement["Resource"]):
            if {action.partition(":")[0] for action in listed(statement["Action"])} == {"xray"}:
                assert resource == "*"  # X-Ray's actions know no resources
                continue
            assert resource != "*", statement
            if listed(statement["Action"]) == ["cloudwatch:DescribeAlarms"]:
                continue  # of all alarms of the account, which are no secret
            if set(re.findall(r"rule/([^\"]+)", json.dumps(resource))) == {GUARDDUTYS_RULE}:
                continue  # which it makes itself
            assert set(references(resource)) & {*RESOURCES, "EventBusName", "KmsKeyArn"}, statement
            below = re.search(r"/(files|archives|stream)/\*", json.dumps(resource))
            assert json.dumps(resource).count("*") <= bool(below), statement


def test_bucket_is_private_encrypted_and_versioned() -> None:
    """The bucket shuts everyone out, encrypts at rest, keeps versions, and survives the stack."""
    (resource,) = [resource for resource in RESOURCES.values() if resource["Type"] == "AWS::S3::Bucket"]
    bucket = resource["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def test_bucket_refuses_plain_http() -> None:
    """One statement denies everything that does not come over TLS, on the bucket and on what is in it."""
    (statement,) = only("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": False}}
    assert statement["Resource"] == [
        {"Fn::GetAtt": ["FilesBucket", "Arn"]},
        {"Fn::Sub": "${FilesBucket.Arn}/*"},
    ]


def test_bucket_answers_browsers() -> None:
    """Pages of the configured origins may upload and read what an upload needs, each header by name."""
    (rule,) = only("AWS::S3::Bucket")["CorsConfiguration"]["CorsRules"]
    assert {"PUT", "POST", "GET", "HEAD"} == set(rule["AllowedMethods"])
    assert rule["AllowedHeaders"] == ["*"]
    assert {"ETag", "Location", "Content-Range"} < set(rule["ExposedHeaders"])
    assert not any("*" in header for header in rule["ExposedHeaders"])


def test_bucket_forgets_what_was_never_finished() -> None:
    """Parts of an abandoned upload go when its record does, and deleted bytes go soon after."""
    rules = only("AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    days = [rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for rule in rules if len(rule) == 3]
    assert days == [limits.UNFINISHED_DAYS]
    assert any("NoncurrentVersionExpiration" in rule for rule in rules)


def test_bucket_comes_after_the_queue_policy() -> None:
    """S3 checks the queue's policy when the bucket is made: the policy is there first and does not name the bucket."""
    policy_name = "CompletedQueuePolicy"
    assert policy_name in listed(RESOURCES["FilesBucket"]["DependsOn"])
    policy = RESOURCES[policy_name]
    assert "FilesBucket" not in references(policy)
    statement, scan = policy["Properties"]["PolicyDocument"]["Statement"]
    assert listed(scan["Fn::If"])[0] == "MalwareIsScanned"
    assert (statement["Principal"], statement["Action"]) == ({"Service": "s3.amazonaws.com"}, "sqs:SendMessage")
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert list(references(policy["Properties"]["Queues"])) == list(references(statement["Resource"]))


def test_bucket_announces_files_to_the_queue() -> None:
    """Objects below `files/` are announced, whichever way they were made, to the queue that the hasher reads."""
    (notification,) = only("AWS::S3::Bucket")["NotificationConfiguration"]["QueueConfigurations"]
    assert notification["Event"] == "s3:ObjectCreated:*"
    assert notification["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "files/"}]
    assert list(references(notification["Queue"])) == ["CompletedQueue"]
    assert list(references(of_type(MAPPING)["HasherFunctionCompleted"]["EventSourceArn"])) == ["CompletedQueue"]


def test_a_failing_message_is_tried_again_and_then_kept() -> None:
    """The queue waits until a killed job's lease is over too, failures are told one by one, dead letters are kept."""
    queues, mapping = of_type("AWS::SQS::Queue"), of_type(MAPPING)["HasherFunctionCompleted"]
    queue = queues["CompletedQueue"]
    assert queue["VisibilityTimeout"] >= FUNCTIONS["HasherFunction"]["Timeout"] + settings.LEASE_SECONDS.read({})
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    (dead_letters,) = references(queue["RedrivePolicy"]["deadLetterTargetArn"])
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5  # what AWS asks of a queue that a function reads
    assert queue["RedrivePolicy"]["maxReceiveCount"] == settings.MAX_RECEIVES.read({})  # the hasher knows the last one
    assert queues[dead_letters]["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert "RedrivePolicy" not in queues[dead_letters]


def test_the_hasher_may_call_itself() -> None:
    """By its own queue, to which only the API sends besides; Lambda would take it for a mistake after some 16 times."""
    assert {name for name, function in FUNCTIONS.items() if function.get("RecursiveLoop") == "Allow"} == {
        "HasherFunction"
    }
    sending = {
        name: list(references(statement["Resource"]))
        for name, role in ROLES.items()
        for statement in statements(role)
        if "sqs:SendMessage" in listed(statement["Action"])
    }
    assert sending.pop("PublisherRole") == ["EventsDeadLetters"]
    assert sending == {"ApiRole": ["CompletedQueue"], "HasherRole": ["CompletedQueue"]}
    for name in ("ApiFunction", "HasherFunction"):
        assert FUNCTIONS[name]["Environment"]["Variables"]["QUEUE_URL"] == {"Ref": "CompletedQueue"}


# Of AWS's own metrics: what each alarm looks at, and of which resource.
WATCHED = {
    "DeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "CompletedDeadLetters"),
    "EventsDeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "EventsDeadLetters"),
    "WebhookDeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "WebhookDeadLetters"),
    "EventsLateAlarm": ("AWS/Lambda", "IteratorAge", "FunctionName", "PublisherFunction"),
    "QueueAgeAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "CompletedQueue"),
    "ServerErrorsAlarm": ("AWS/ApiGateway", "5xx", "ApiId", "HttpApi"),
    "ApiSlowAlarm": ("AWS/Lambda", "Duration", "FunctionName", "ApiFunction"),
    "ManyStreamsAlarm": ("AWS/Lambda", "ConcurrentExecutions", "FunctionName", "StreamFunction"),
    "ReadThrottlesAlarm": ("AWS/DynamoDB", "ReadThrottleEvents", "TableName", "FilesTableName"),
    "WriteThrottlesAlarm": ("AWS/DynamoDB", "WriteThrottleEvents", "TableName", "FilesTableName"),
} | {
    f"{name}{metric}Alarm": ("AWS/Lambda", metric, "FunctionName", f"{name}Function")
    for name in ("Api", "Stream", "Hasher")
    for metric in ("Errors", "Throttles")
}
# Of what the functions count: who does, and where.
COUNTED = {
    "ContradictionAlarm": ("HasherFunction", "functions/hasher/app.py", "Contradictions"),
    "DownloadContradictionAlarm": ("StreamFunction", "functions/stream/stored.py", "Contradictions"),
    "FilesLostAlarm": ("StreamFunction", "functions/stream/stored.py", "FilesLost"),
    "ScansFailedAlarm": ("HasherFunction", "functions/hasher/app.py", "ScansFailed"),
}
# Of the table's indexes, all of which each alarm looks at.
OF_INDEXES = {"IndexReadThrottlesAlarm": "ReadThrottleEvents", "IndexWriteThrottlesAlarm": "WriteThrottleEvents"}


def test_alarms_see_what_they_are_for() -> None:
    """AWS's metrics of this stack's own resources, and what its functions count; all of them tell the one topic."""
    alarms = of_type("AWS::CloudWatch::Alarm")
    assert WATCHED.keys() | COUNTED.keys() | OF_INDEXES.keys() == alarms.keys()
    for alarm in alarms.values():
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        assert alarm["TreatMissingData"] == "notBreaching"
        assert list(references(alarm["AlarmActions"])) == ["AlarmTopicArn", "AWS::NoValue"]
    for name, watched in WATCHED.items():
        (dimension,) = alarms[name]["Dimensions"]
        (resource,) = references(dimension["Value"])
        assert (alarms[name]["Namespace"], alarms[name]["MetricName"], dimension["Name"], resource) == watched
    for name, (function, path, metric) in COUNTED.items():
        # What Powertools writes: the namespace and the service of the function's environment. One of any is enough.
        variables = FUNCTIONS[function]["Environment"]["Variables"]
        assert alarms[name]["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]
        assert alarms[name]["Dimensions"] == [{"Name": "service", "Value": variables["POWERTOOLS_SERVICE_NAME"]}]
        assert (alarms[name]["MetricName"], alarms[name]["Threshold"]) == (metric, 0)
        assert f'"{metric}"' in (ROOT / path).read_text()


def test_each_index_is_watched() -> None:
    """Its throttles are metrics of their own, which the table's do not count."""
    indexes = [index["IndexName"] for index in only("AWS::DynamoDB::Table")["GlobalSecondaryIndexes"]]
    for name, metric in OF_INDEXES.items():
        total, *parts = of_type("AWS::CloudWatch::Alarm")[name]["Metrics"]
        assert [part["Id"] for part in parts] == indexes
        assert total["Expression"] == f"SUM([{', '.join(f'FILL({index}, 0)' for index in indexes)}])"
        assert [part.get("ReturnData", True) for part in (total, *parts)] == [True] + [False] * len(indexes)
        for index, part in zip(indexes, parts, strict=True):
            assert part["MetricStat"]["Stat"] == "Sum"
            watched = part["MetricStat"]["Metric"]
            assert (watched["Namespace"], watched["MetricName"]) == ("AWS/DynamoDB", metric)
            table, of_table = watched["Dimensions"]
            assert table == {"Name": "TableName", "Value": {"Fn::GetAtt": ["FilesTableName", "Value"]}}
            assert of_table == {"Name": "GlobalSecondaryIndexName", "Value": index}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, None),
        ({"MonthlyBudget": "10"}, None),
        ({"BudgetEmail": "a@example.com", "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:t"}, None),
        ({"MonthlyBudget": "10", "BudgetEmail": "a@example.com"}, ["EMAIL"]),
        ({"MonthlyBudget": "10", "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:t"}, ["SNS"]),
        (
            {
                "MonthlyBudget": "10",
                "BudgetEmail": "a@example.com",
                "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:t",
            },
            ["EMAIL", "SNS"],
        ),
    ],
)
def test_a_budget_tells_whom_it_can(given: dict[str, str], told: list[str] | None) -> None:
    """An address, the alarms' topic, or both; without an amount, and without anybody to tell, there is none."""
    made = load(ROOT / "template.yaml", given)
    assert ("Budget" in made.resources) == (told is not None)
    if told is not None:
        notifications = Resolver(made)(made.resources["Budget"]["Properties"])["NotificationsWithSubscribers"]
        for notification in notifications:
            assert [one["SubscriptionType"] for one in notification["Subscribers"]] == told


def test_each_alarm_says_what_to_do() -> None:
    """In its description, in two sentences and more, and on a page of its own in docs/operations.md."""
    alarms = of_type("AWS::CloudWatch::Alarm")
    pages = re.split(r"^### ", (ROOT / "docs" / "operations.md").read_text(), flags=re.MULTILINE)[1:]
    assert sorted(page.partition("\n")[0] for page in pages) == sorted(alarms)
    for page in pages:
        assert "**What it means.**" in page
        assert "**What to do.**" in page
    for alarm in alarms.values():
        assert len(re.findall(r"[.?:;](?: |$)", alarm["AlarmDescription"])) >= 2


def test_dashboard_shows_metrics_that_there_are() -> None:
    """Those of the alarms, and others of the same resources and functions."""
    body = json.loads(only("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Sub"])
    shown = [metric for widget in body["widgets"] for metric in widget["properties"]["metrics"]]
    dimensions = {(namespace, dimension) for namespace, _, dimension, _ in WATCHED.values()}
    for namespace, metric, dimension, value, *_ in shown:
        if namespace == "Sluice/${AWS::StackName}":
            assert f'"{metric}"' in "".join(path.read_text() for path in (ROOT / "functions").rglob("*.py"))
            assert (dimension, value in {"hasher", "stream"}) == ("service", True)
        else:
            assert (namespace, dimension) in dimensions
            assert value[2:-1].partition(".")[0] in RESOURCES


def test_what_links_can_cost_is_bounded_where_that_is_wanted() -> None:
    """Reservations are off by default, because a new account has none to give; the API's door always has a rate."""
    for name, parameter in (("ApiFunction", "ApiConcurrency"), ("StreamFunction", "StreamConcurrency")):
        assert SOURCE["Parameters"][parameter]["Default"] == 0
        assert parameter in references(FUNCTIONS[name]["ReservedConcurrentExecutions"])
    rate = only("AWS::ApiGatewayV2::Stage")["DefaultRouteSettings"]
    assert set(references(rate)) == {"ApiRequestsPerSecond"}


def test_access_log_has_nothing_secret() -> None:
    """Neither query, header nor path, each of which may hold a capability or a token; and each line is JSON."""
    settings = only("AWS::ApiGatewayV2::Stage")["AccessLogSettings"]
    assert list(references(settings["DestinationArn"])) == ["AccessLogGroup"]
    assert set(json.loads(settings["Format"]).values()) == {
        *("$context.requestTimeEpoch", "$context.requestId", "$context.identity.sourceIp", "$context.httpMethod"),
        *("$context.status", "$context.responseLength", "$context.responseLatency"),
        *("$context.integrationErrorMessage", "$context.identity.userAgent"),
    }


def test_table_costs_by_use_and_can_be_restored() -> None:
    """On demand, expiring by `forget_at`, restorable to any second, and surviving the stack."""
    (resource,) = [resource for resource in RESOURCES.values() if resource["Type"] == "AWS::DynamoDB::Table"]
    table = resource["Properties"]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "forget_at", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"]["SSEEnabled"] is True
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


# Where each kind of resource names its key.
KEYS = {
    "AWS::DynamoDB::Table": ("SSESpecification", "KMSMasterKeyId"),
    "AWS::Logs::LogGroup": ("KmsKeyId",),
    "AWS::S3::Bucket": (
        *("BucketEncryption", "ServerSideEncryptionConfiguration", 0),
        *("ServerSideEncryptionByDefault", "KMSMasterKeyID"),
    ),
    "AWS::SQS::Queue": ("KmsMasterKeyId",),
    "AWS::SecretsManager::Secret": ("KmsKeyId",),
}


def within(value: Any, *path: str | int) -> Any:
    for key in path:
        value = value[key] if isinstance(key, int) else value.get(key)
        if value is None:
            return None
    return value


@pytest.mark.parametrize("key", ["", "arn:aws:kms:eu-west-1:123456789012:key/a"])
def test_all_that_is_kept_is_encrypted_by_the_key_that_is_given(key: str) -> None:
    """Bucket, table, queues, secrets and logs; without one by AWS's own, and by one or the other always."""
    left = decided(
        load(ROOT / "template.yaml", {"KmsKeyArn": key, "EventBusName": "default", "WebhookUrl": "https://a"})
    )
    kept = {name: one for name, one in left["Resources"].items() if one["Type"] in KEYS}
    assert {one["Type"] for one in kept.values()} == KEYS.keys()
    for name, one in kept.items():
        properties = one["Properties"]
        assert within(properties, *KEYS[one["Type"]]) == ({"Ref": "KmsKeyArn"} if key else None), name
        if one["Type"] == "AWS::SQS::Queue":
            assert properties.get("SqsManagedSseEnabled") is (None if key else True), name
    (rule,) = kept["FilesBucket"]["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == ("aws:kms" if key else "AES256")
    assert rule.get("BucketKeyEnabled") is (True if key else None)
    for role in ("ApiRole", "StreamRole", "HasherRole", "PublisherRole"):
        used = [one for one in statements(left["Resources"][role]["Properties"]) if one["Sid"] == "UseKey"]
        assert [one["Resource"] for one in used] == ([{"Ref": "KmsKeyArn"}] if key else [])


def test_who_makes_something_may_ask_for_a_data_key() -> None:
    """Objects and messages are made by all but the stream function, which reads, and whose records have their key."""
    making = {"s3:PutObject", "sqs:SendMessage"}
    for name, role in ROLES.items():
        actions = [action for statement in statements(role) for action in listed(statement["Action"])]
        assert ("kms:GenerateDataKey" in actions) is bool(making & {*actions}), name
        assert ("kms:Decrypt" in actions) is (name not in ("WebhookRole", "DeploymentRole", "StreamDeploymentRole"))


def test_logs_end() -> None:
    """Each function logs JSON into a group of its own, which forgets after the days that the deployment says."""
    groups = of_type("AWS::Logs::LogGroup")
    used = {next(references(function["LoggingConfig"]["LogGroup"])) for function in FUNCTIONS.values()}
    assert used | {"AccessLogGroup", "AuditLogGroup"} == groups.keys()
    assert len(used) == len(FUNCTIONS)
    assert {function["LoggingConfig"]["LogFormat"] for function in FUNCTIONS.values()} == {"JSON"}
    days = {name: group["RetentionInDays"]["Ref"] for name, group in groups.items()}
    assert days == dict.fromkeys(groups, "LogRetentionDays") | {"AuditLogGroup": "AuditRetentionDays"}


def test_the_audit_record_is_added_to_and_stays() -> None:
    """The functions that people ask may write into it, none may read or delete, and it outlives the stack."""
    actions = {
        name: listed(statement["Action"])
        for name, role in ROLES.items()
        for statement in statements(role)
        if "AuditLogGroup" in references(statement["Resource"])
    }
    assert actions.keys() == {"ApiRole", "StreamRole"}
    assert all(allowed == ["logs:CreateLogStream", "logs:PutLogEvents"] for allowed in actions.values())
    group = RESOURCES["AuditLogGroup"]
    assert group["DeletionPolicy"] == group["UpdateReplacePolicy"] == "Retain"


def test_pages_can_read_the_id_of_their_request() -> None:
    """As each front door tells it, by which the audit record can be searched."""
    _, cors, _ = only("AWS::ApiGatewayV2::Api")["CorsConfiguration"]["Fn::If"]
    assert "apigw-requestid" in cors["ExposeHeaders"]
    assert "x-amzn-requestid" in only("AWS::Lambda::Url")["Cors"]["ExposeHeaders"]


DISTRIBUTION = "AWS::CloudFront::Distribution"
WITH_CLOUDFRONT = {
    "CloudFront": "on",
    "DomainName": "files.example.com",
    "StreamDomainName": "stream.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/a",
}


@pytest.mark.parametrize(
    ("given", "auth_type", "caller"),
    [
        ({}, "NONE", {"Principal": "*"}),
        (
            WITH_CLOUDFRONT,
            "AWS_IAM",
            {
                "Principal": "cloudfront.amazonaws.com",
                "SourceArn": {
                    "Fn::Sub": "arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${StreamDistribution}"
                },
            },
        ),
    ],
)
def test_function_url_streams_to_everybody_or_to_cloudfront(
    given: dict[str, str], auth_type: str, caller: dict[str, Any]
) -> None:
    """It has both of the permissions that a Function URL needs, and no others: none is public behind CloudFront."""
    left = decided(load(ROOT / "template.yaml", given))["Resources"]
    (url,) = (one["Properties"] for one in left.values() if one["Type"] == "AWS::Lambda::Url")
    (function,) = references(url["TargetFunctionArn"])
    assert (url["InvokeMode"], url["AuthType"]) == ("RESPONSE_STREAM", auth_type)
    permissions = [
        {key: value for key, value in one["Properties"].items() if key != "FunctionName"}
        for one in left.values()
        if one["Type"] == "AWS::Lambda::Permission" and function in references(one["Properties"]["FunctionName"])
    ]
    assert {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": auth_type, **caller} in permissions
    assert {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True, **caller} in permissions
    assert len(permissions) == 2


def test_cloudfront_is_off_unless_it_is_wanted_and_has_names() -> None:
    """Without the parameter, or without a name for each host, there is nothing of it, and the API takes the name."""
    behind = {name for name, one in RESOURCES.items() if one.get("Condition") == "CloudFrontIsOn"}
    assert behind == {
        *("ApiDistribution", "StreamDistribution", "StreamAccessControl", "CloudFrontSecret"),
        *("StreamDistributionPermission", "StreamDistributionUrlPermission"),
    }
    assert SOURCE["Parameters"]["CloudFront"]["Default"] == settings.CLOUDFRONT.default == "off"
    regional = {"Domain", "DomainMapping"}
    for missing in WITH_CLOUDFRONT:
        made = load(ROOT / "template.yaml", {**WITH_CLOUDFRONT, missing: DEFAULTS[missing]}).resources.keys()
        assert made & behind == set()
    assert load(ROOT / "template.yaml", {**WITH_CLOUDFRONT, "CloudFront": "off"}).resources.keys() >= regional
    made = load(ROOT / "template.yaml", WITH_CLOUDFRONT).resources.keys()
    assert (made & behind, made & regional) == (behind, set())


# What CloudFront keeps by itself, and what a distribution may be told about:
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html
KEPT_ERRORS = {400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504}


@pytest.mark.parametrize("name", of_type(DISTRIBUTION))
def test_cloudfront_keeps_nothing(name: str) -> None:
    """No answer, no error and no other form of either; it passes on all that the viewer says but for the host."""
    config = of_type(DISTRIBUTION)[name]["DistributionConfig"]
    behavior = config["DefaultCacheBehavior"]
    assert "CacheBehaviors" not in config
    assert (behavior["CachePolicyId"], behavior["Compress"]) == (CACHING_DISABLED, False)
    assert behavior["OriginRequestPolicyId"] == ALL_VIEWER_EXCEPT_HOST
    kept = {error["ErrorCode"]: error["ErrorCachingMinTTL"] for error in config["CustomErrorResponses"]}
    assert kept == dict.fromkeys(KEPT_ERRORS, 0)


@pytest.mark.parametrize("name", of_type(DISTRIBUTION))
def test_cloudfront_speaks_tls_alone_and_waits_for_streams(name: str) -> None:
    """To viewers and to its origin; and between two bytes for longer than a stream is silent, or the API takes."""
    config = of_type(DISTRIBUTION)[name]["DistributionConfig"]
    assert config["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "https-only"
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    origin = config["Origins"][0]["CustomOriginConfig"]
    assert (origin["OriginProtocolPolicy"], origin["OriginSSLProtocols"]) == ("https-only", ["TLSv1.2"])
    assert origin["OriginReadTimeout"] > 2 * PING_SECONDS
    assert origin["OriginReadTimeout"] > FUNCTIONS["ApiFunction"]["Timeout"]
    assert list(references(config["WebACLId"])) == ["WebAclArn", "AWS::NoValue"]


def test_each_host_has_its_own_distribution() -> None:
    """The API's sends the secret that the API function compares; the stream's signs, and takes no bodies."""
    api, stream = (
        of_type(DISTRIBUTION)[name]["DistributionConfig"] for name in ("ApiDistribution", "StreamDistribution")
    )
    for config, origin, alias in (
        (api, "HttpApi", "DomainName"),
        (stream, "StreamFunctionUrl", "StreamDomainName"),
    ):
        assert list(references(config["Origins"][0]["DomainName"])) == [origin]
        assert config["Aliases"] == [{"Ref": alias}]
    (header,) = api["Origins"][0]["OriginCustomHeaders"]
    assert header["HeaderName"] == HEADER
    assert header["HeaderValue"] == {"Fn::Sub": "{{resolve:secretsmanager:${CloudFrontSecret}:SecretString:current}}"}
    generated = of_type("AWS::SecretsManager::Secret")["CloudFrontSecret"]["GenerateSecretString"]
    assert generated["GenerateStringKey"] == "current"
    assert secrets_that_count(json.dumps({**json.loads(generated["SecretStringTemplate"]), "current": "made up"})) == (
        "made up",
    )
    # CloudFormation reads it anew when something else of the resource changes.
    assert "CloudFrontSecretRound" in references(api["Comment"])
    assert set(api["DefaultCacheBehavior"]["AllowedMethods"]) >= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
    assert stream["Origins"][0]["OriginAccessControlId"] == {"Ref": "StreamAccessControl"}
    assert set(stream["DefaultCacheBehavior"]["AllowedMethods"]) == {"GET", "HEAD", "OPTIONS"}
    control = only("AWS::CloudFront::OriginAccessControl")["OriginAccessControlConfig"]
    assert (control["OriginAccessControlOriginType"], control["SigningBehavior"]) == ("lambda", "always")


def test_behind_cloudfront_links_and_origins_are_those_of_its_hosts() -> None:
    """The names are known before anything is made, so that nothing waits in a circle."""
    template = load(ROOT / "template.yaml", WITH_CLOUDFRONT)
    resolver = Resolver(template)
    given = {**FUNCTIONS["ApiFunction"]["Environment"]["Variables"]}
    assert resolver(given["STREAM_URL"]) == "https://stream.example.com"
    assert (
        resolver(given["PUBLIC_URL"]) == resolver(SOURCE["Outputs"]["ApiUrl"]["Value"]) == "https://files.example.com"
    )
    (bucket,) = only("AWS::S3::Bucket")["CorsConfiguration"]["CorsRules"]
    for origins in (only("AWS::Lambda::Url")["Cors"]["AllowOrigins"], bucket["AllowedOrigins"]):
        assert resolver(origins) == ["https://files.example.com"]


@pytest.mark.parametrize(
    "given", [{"DomainName": "files.example.com", "CertificateArn": "arn:aws:acm:a"}, WITH_CLOUDFRONT]
)
def test_records_lead_to_whoever_answers(given: dict[str, str]) -> None:
    """The API's is one resource with and without CloudFront, which CloudFormation changes in place."""
    left = decided(load(ROOT / "template.yaml", {**given, "HostedZoneId": "Z1"}))["Resources"]
    said = [left["DomainRecord"]["Properties"], *left.get("CloudFrontRecords", EMPTY)["Properties"]["RecordSets"]]
    records = {(*references(one["Name"]), one["Type"], *references(one["AliasTarget"]["DNSName"])) for one in said}
    if given != WITH_CLOUDFRONT:
        assert records == {("DomainName", "A", "Domain")}
        return
    assert {one["AliasTarget"]["HostedZoneId"] for one in said} == {"Z2FDTNDATAQYW2"}
    assert records == {
        (name, kind, distribution)
        for name, distribution in (("DomainName", "ApiDistribution"), ("StreamDomainName", "StreamDistribution"))
        for kind in ("A", "AAAA")
    }


EMPTY: dict[str, Any] = {"Properties": {"RecordSets": []}}
FIREWALL = yaml_parse((ROOT / "edge/firewall.yaml").read_text())["Resources"]
# What judges bodies, paths and queries, where Sluice has files, names and folders of any content.
OF_USERS = re.compile("_(BODY|URIPATH|QUERYSTRING|QUERYARGUMENTS)$")


def test_the_firewall_blocks_no_file_for_its_content_or_name() -> None:
    """Of the rules about these each that is named only counts; the three managed groups and a rate are there."""
    rules = {rule["Name"]: rule["Statement"] for rule in FIREWALL["Firewall"]["Properties"]["Rules"]}
    assert rules.keys() == {"addresses", "rate", "inputs", "common"}
    counted = {
        override["Name"]: override["ActionToUse"]
        for rule in rules.values()
        for override in rule.get("ManagedRuleGroupStatement", {}).get("RuleActionOverrides", [])
    }
    assert all(action == {"Count": {}} for action in counted.values())
    assert {name for name in counted if not OF_USERS.search(name)} == {"NoUserAgent_HEADER"}
    assert {"SizeRestrictions_BODY", "RestrictedExtensions_URIPATH", "SizeRestrictions_QUERYSTRING"} < counted.keys()
    rate = rules["rate"]["RateBasedStatement"]
    assert (rate["AggregateKeyType"], rate["Limit"]) == ("IP", {"Ref": "RequestsPerAddress"})


def test_the_firewalls_log_has_nothing_secret() -> None:
    """No token and no capability: not the header, the query or the path that they are in, and no samples."""
    log = FIREWALL["FirewallLog"]["Properties"]
    assert {json.dumps(field) for field in log["RedactedFields"]} == {
        *('{"SingleHeader": {"Name": "authorization"}}', '{"QueryString": {}}', '{"UriPath": {}}')
    }
    assert FIREWALL["FirewallLogGroup"]["Properties"]["LogGroupName"]["Fn::Sub"].startswith("aws-waf-logs-")
    firewall = FIREWALL["Firewall"]["Properties"]
    shown = [firewall["VisibilityConfig"], *(rule["VisibilityConfig"] for rule in firewall["Rules"])]
    assert not any(one["SampledRequestsEnabled"] for one in shown)
    answered = json.loads(firewall["CustomResponseBodies"]["TooManyRequests"]["Content"])
    assert (answered["status"], answered["code"]) == (429, "too_many_requests")


def test_parameters_are_documented() -> None:
    """The table in docs/limits.md has each parameter with its default and its description, and no others."""
    section = (
        (ROOT / "docs/limits.md").read_text().partition("## Parameters of the template\n")[2].partition("\n## ")[0]
    )
    table = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", section, re.MULTILINE)
    assert table == [
        (name, f"`{said['Default']}`" if said["Default"] != "" else "none", said["Description"])
        for name, said in SOURCE["Parameters"].items()
    ]


# What events need, and with which parameters it is there.
FOR_EVENTS = {
    *("PublisherFunction", "PublisherFunctionChanges", "PublisherRole", "PublisherLogGroup", "EventsDeadLetters"),
    *("EventsLateAlarm", "EventsDeadLettersAlarm", "PublisherFunctionVersion", "PublisherFunctionAliaslive"),
}
FOR_A_WEBHOOK = {
    *("WebhookConnection", "WebhookDestination", "WebhookRule", "WebhookRole", "WebhookDeadLetters"),
    *("WebhookDeadLettersPolicy", "WebhookDeadLettersAlarm"),
}


def test_events_are_off_until_they_have_a_bus() -> None:
    """Without one there is no stream and nothing that reads it; without an address there is no webhook."""
    found = {name for name, one in RESOURCES.items() if one.get("Condition") == "EventsAreSent"}
    assert {re.sub(r"Version[0-9a-f]{10}$", "Version", name) for name in found} == FOR_EVENTS
    assert {name for name, one in RESOURCES.items() if one.get("Condition") == "WebhookIsCalled"} == FOR_A_WEBHOOK
    stream = only("AWS::DynamoDB::Table")["StreamSpecification"]
    assert stream == {"Fn::If": ["EventsAreSent", {"StreamViewType": "NEW_AND_OLD_IMAGES"}, {"Ref": "AWS::NoValue"}]}
    bus = {"EventBusName": "default"}
    for given, there in (
        ({}, set()),
        (bus, FOR_EVENTS),
        (bus | {"WebhookUrl": "https://a"}, FOR_EVENTS | FOR_A_WEBHOOK),
    ):
        found = {*load(ROOT / "template.yaml", given).resources}
        made = {re.sub(r"Version[0-9a-f]{10}$", "Version", name) for name in found}
        assert made & (FOR_EVENTS | FOR_A_WEBHOOK) == there


def test_changes_wait_until_their_events_are_sent() -> None:
    """From the first on, in parts where one fails; what is given up is kept, while the stream still has it."""
    mapping = of_type(MAPPING)["PublisherFunctionChanges"]
    stream = {"Fn::GetAtt": ["FilesTable", "StreamArn"]}
    assert mapping["EventSourceArn"] == {"Fn::If": ["StreamIsNamed", {"Ref": "ExistingTableStream"}, stream]}
    assert (mapping["StartingPosition"], mapping["BisectBatchOnFunctionError"]) == ("TRIM_HORIZON", True)
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert list(references(mapping["DestinationConfig"])) == ["EventsDeadLetters"]
    assert mapping["MaximumRecordAgeInSeconds"] <= STREAM_KEEPS_SECONDS / 2
    assert of_type("AWS::SQS::Queue")["EventsDeadLetters"]["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_filters_let_in_what_is_an_event() -> None:
    """Whatever the publisher makes an event of passes one of the mapping's filters, and a record of a share none."""
    mapping = of_type(MAPPING)["PublisherFunctionChanges"]
    filters = [json.loads(one["Pattern"]) for one in mapping["FilterCriteria"]["Filters"]]

    def passes(record: Any) -> bool:
        return any(matches(pattern, record) for pattern in filters)

    going, ending = ({"share": {"S": "s"}} | more for more in ({}, {"ended": {"S": "broken"}}))
    file = {"filename": {"S": "a"}}
    for status in ENDED:
        assert passes({"eventName": "MODIFY", "dynamodb": {"NewImage": file | {"status": {"S": status}}}})
    uploading = file | {"status": {"S": "uploading"}}
    assert passes({"eventName": "REMOVE", "dynamodb": {"OldImage": uploading}})
    assert passes({"eventName": "MODIFY", "dynamodb": {"OldImage": going, "NewImage": ending}})
    assert passes({"eventName": "REMOVE", "dynamodb": {"OldImage": going}})
    for checkpoint in (uploading, file | {"status": {"S": "hashing"}}, going, {"password": {"S": "argon2"}}):
        assert not passes({"eventName": "MODIFY", "dynamodb": {"OldImage": checkpoint, "NewImage": checkpoint}})
    assert not passes({"eventName": "REMOVE", "dynamodb": {"OldImage": {"password": {"S": "argon2"}}}})


def test_a_webhook_is_tried_for_a_day_and_then_kept() -> None:
    """EventBridge's own most; its dead letters are those of this rule alone."""
    (target,) = of_type("AWS::Events::Rule")["WebhookRule"]["Targets"]
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86_400}
    assert list(references(target["DeadLetterConfig"])) == ["WebhookDeadLetters"]
    (statement,) = of_type("AWS::SQS::QueuePolicy")["WebhookDeadLettersPolicy"]["PolicyDocument"]["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["WebhookRule", "Arn"]}}}
    assert SOURCE["Parameters"]["WebhookSecret"]["NoEcho"] is True


def test_large_numbers_are_written_as_text() -> None:
    """What CloudFormation takes for a number it may write with an exponent, and the settings take whole numbers."""
    for name, parameter in SOURCE["Parameters"].items():
        default = parameter.get("Default")
        assert isinstance(default, str) or default < 10**7, name


def test_api_answers_before_the_door_gives_up() -> None:
    """The function behind the HTTP API times out first; its one route goes to it in payload format 2.0."""
    route, integration = only("AWS::ApiGatewayV2::Route"), only("AWS::ApiGatewayV2::Integration")
    assert (route["RouteKey"], list(references(route["Target"]))) == ("$default", ["HttpApiIntegration"])
    assert list(references(integration["IntegrationUri"])) == ["ApiFunction"]
    assert integration["PayloadFormatVersion"] == "2.0"
    assert only("AWS::ApiGatewayV2::Stage")["AutoDeploy"] is True
    assert FUNCTIONS["ApiFunction"]["Timeout"] < HTTP_API_SECONDS


def test_a_completion_answers_in_time_though_each_service_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Table, queue, bucket and record let one request wait to its end, and S3 takes longer than a client can wait."""
    for name in ("TABLE_NAME", "BUCKET_NAME"):
        monkeypatch.setenv(name, "a-name")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    services = (Files.connect(), Objects.connect(), Queue("https://sqs.example/q"), AuditLog("the-group"))
    clients: list[Any] = [each._client for each in services]
    hanging = sum(client.meta.config.read_timeout for client in clients)
    assert hanging + COMPLETE_SECONDS < FUNCTIONS["ApiFunction"]["Timeout"]


def test_api_lets_its_door_in() -> None:
    """The HTTP API of this stack, and no other, may invoke the function behind it."""
    (permission,) = (
        permission
        for permission in of_type("AWS::Lambda::Permission").values()
        if permission["Principal"] == "apigateway.amazonaws.com"
    )
    assert permission["Action"] == "lambda:InvokeFunction"
    assert list(references(permission["FunctionName"])) == ["ApiFunctionAliaslive"]
    assert "HttpApi" in references(permission["SourceArn"])


def test_only_configured_origins_get_in() -> None:
    """Pages of the origins given, and of the API itself, read the stream's answers and the bucket's; no others do."""
    condition, cors, otherwise = only("AWS::ApiGatewayV2::Api")["CorsConfiguration"]["Fn::If"]
    assert (condition, otherwise) == ("OriginsAreGiven", {"Ref": "AWS::NoValue"})
    assert list(references(cors["AllowOrigins"])) == ["AllowedOrigins"]
    (bucket,) = only("AWS::S3::Bucket")["CorsConfiguration"]["CorsRules"]
    for origins in (only("AWS::Lambda::Url")["Cors"]["AllowOrigins"], bucket["AllowedOrigins"]):
        assert set(references(origins)) - {"AWS::NoValue"} == {"AllowedOrigins", "DomainName", "HttpApi"}


@pytest.mark.parametrize(("given", "others"), [("", []), ("https://a, https://b", ["https://a", "https://b"])])
def test_no_origin_is_let_in_that_nobody_named(given: str, others: list[str]) -> None:
    """Not even one of this machine: the default are no other origins, and the API has no CORS at all then."""
    assert SOURCE["Parameters"]["AllowedOrigins"]["Default"] == ""
    template = load(ROOT / "template.yaml", {"AllowedOrigins": given})
    resolver = Resolver(template)
    resolver.attributes["HttpApi", "ApiEndpoint"] = "https://api"
    (bucket,) = only("AWS::S3::Bucket")["CorsConfiguration"]["CorsRules"]
    for origins in (only("AWS::Lambda::Url")["Cors"]["AllowOrigins"], bucket["AllowedOrigins"]):
        assert resolver(origins) == ["https://api", *others]
    cors = resolver(only("AWS::ApiGatewayV2::Api")).get("CorsConfiguration", {})
    assert cors.get("AllowOrigins", []) == others


def test_the_page_may_ask_from_a_domain_of_its_own() -> None:
    """The stream host and the bucket let in pages of both names of the API, which lead to the same stage."""
    given = {"DomainName": "files.example.com", "CertificateArn": "arn:aws:acm:a", "AllowedOrigins": "https://a"}
    template = load(ROOT / "template.yaml", given)
    resolver = Resolver(template)
    resolver.attributes["HttpApi", "ApiEndpoint"] = "https://api"
    (bucket,) = only("AWS::S3::Bucket")["CorsConfiguration"]["CorsRules"]
    for origins in (only("AWS::Lambda::Url")["Cors"]["AllowOrigins"], bucket["AllowedOrigins"]):
        assert resolver(origins) == ["https://api", "https://files.example.com", "https://a"]
    assert resolver(template.document["Outputs"]["ApiUrl"]["Value"]) == "https://files.example.com"
    mapping = only("AWS::ApiGatewayV2::ApiMapping")
    assert mapping == {"ApiId": {"Ref": "HttpApi"}, "DomainName": {"Ref": "Domain"}, "Stage": {"Ref": "HttpApiStage"}}


def test_the_api_waits_for_nobody() -> None:
    """What the API's own URL is needed for may not be needed for the API: CloudFormation cannot go in a circle."""
    assert set(references(only("AWS::ApiGatewayV2::Api"))) <= {"AllowedOrigins", "AWS::StackName", "AWS::NoValue"}


def test_secrets_are_made_by_the_stack() -> None:
    """No secret has a value in the template, and each is long enough that nobody guesses it. Tokens come later.

    Each outlives the stack: the links to the files that outlive it as well are good for nothing without them.
    """
    for resource in RESOURCES.values():
        if resource["Type"] == "AWS::SecretsManager::Secret":
            assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    secrets = dict(of_type("AWS::SecretsManager::Secret"))
    assert secrets.pop("AccessToken")["SecretString"] == "{}"
    assert secrets
    for secret in secrets.values():
        assert "SecretString" not in secret
        assert secret["GenerateSecretString"]["PasswordLength"] >= 43  # 256 bits in letters and digits


def test_every_parameter_is_used() -> None:
    """A parameter that nothing refers to would be a promise that nothing keeps."""
    used = set(references({key: value for key, value in SOURCE.items() if key != "Parameters"}))
    assert SOURCE["Parameters"].keys() <= used


def sites(value: Any, *path: tuple[str, bool]) -> Iterator[tuple[str, tuple[tuple[str, bool], ...]]]:
    """Every name that `value` mentions, and which conditions have to hold, or not, for it to be mentioned there."""
    match value:
        case {"Fn::If": [condition, then, otherwise]}:
            yield from sites(then, *path, (condition, True))
            yield from sites(otherwise, *path, (condition, False))
        case {"Fn::Sub": [text, own]}:
            for name in {*references({"Fn::Sub": [text, dict.fromkeys(own)]})}:
                yield name, path
            yield from sites(own, *path)
        case list():
            for item in value:
                yield from sites(item, *path)
        case dict():
            nested = any(isinstance(item, dict | list) for item in value.values())
            if "Ref" in value or "Fn::GetAtt" in value or "Fn::Sub" in value:
                for name in {*references(value)}:
                    yield name, path
            elif nested:
                for item in value.values():
                    yield from sites(item, *path)


def switches_of(conditions: Iterable[str]) -> set[str]:
    """The parameters that these conditions look at, directly or by way of others."""
    found: set[str] = set()
    for name in conditions:
        text = json.dumps(SOURCE["Conditions"][name])
        found |= set(references(SOURCE["Conditions"][name]))
        found |= switches_of(re.findall(r'"Condition": "(\w+)"', text))
    return found


def test_each_switch_is_known() -> None:
    """The parameters that conditions look at are those of which all combinations are tried below."""
    assert switches_of(SOURCE["Conditions"]) == SWITCHES.keys()
    assert all(str(SOURCE["Parameters"][name]["Default"]) == values[0] for name, values in SWITCHES.items())


def test_what_is_referred_to_is_there() -> None:
    """With every combination of the parameters that conditions look at: no reference leads to what was left out.

    Whether one does depends on the conditions around it and on that of its target: all values of these are tried.
    """
    holders = {**RESOURCES, **DOCUMENT["Outputs"]}
    tried = 0
    for holder, resource in holders.items():
        own = [(resource["Condition"], True)] if "Condition" in resource else []
        found = [*sites(resource, *own), *((name, tuple(own)) for name in listed(resource.get("DependsOn", [])))]
        for name, path in found:
            condition = RESOURCES.get(name, {}).get("Condition")
            assert name in {*RESOURCES, *SOURCE["Parameters"]} or name.startswith("AWS::"), (holder, name)
            if condition is None:
                continue
            switches = sorted(switches_of([condition, *(one for one, _ in path)]))
            for values in product(*(SWITCHES[switch] for switch in switches)):
                given = DEFAULTS | dict(zip(switches, values, strict=True))
                resolver = Resolver(Template(ROOT, DOCUMENT, given))
                if all(resolver.holds(one) is wanted for one, wanted in path):
                    tried += 1
                    assert resolver.holds(condition), (holder, name, given)
    assert tried > len(SOURCE["Conditions"])


@pytest.mark.parametrize("given", combinations())
def test_nothing_of_what_was_left_out_is_left(given: dict[str, str]) -> None:
    """What CloudFormation makes of each of these combinations refers to nothing that it does not make."""
    left = decided(load(ROOT / "template.yaml", given))
    known = {*left["Resources"], *left["Parameters"]}
    named = {name for name in references([left["Resources"], left["Outputs"]]) if not name.startswith("AWS::")}
    waited_for = {name for one in left["Resources"].values() for name in listed(one.get("DependsOn", []))}
    assert named | waited_for <= known
    assert "Fn::If" not in json.dumps(left)


def test_any_two_switches_meet_in_every_position() -> None:
    """Among the combinations that are tried: both off, both on, and each on while the other is off."""
    rows = combinations()
    for one, other in permutations(SWITCHES, 2):
        met = {(row[one], row[other]) for row in rows}
        assert met == set(product(SWITCHES[one], SWITCHES[other]))


def test_every_resource_is_used() -> None:
    """What we declare is referred to from elsewhere, or is of a kind that works by itself."""
    by_itself = {
        *("AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Stage", "AWS::CloudWatch::Alarm", "AWS::Lambda::Permission"),
        *("AWS::ApiGatewayV2::ApiMapping", "AWS::Route53::RecordSet", "AWS::Route53::RecordSetGroup"),
        *("AWS::Budgets::Budget", "AWS::CloudWatch::Dashboard"),
        *("AWS::Events::Rule", "AWS::GuardDuty::MalwareProtectionPlan"),
        *("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::Serverless::Function"),
    }
    used = set(references(SOURCE))
    idle = {name for name, resource in SOURCE["Resources"].items() if resource["Type"] not in by_itself} - used
    assert idle == set()
