"""Makes the stack of a template in moto: CloudFormation for what it can do, and the services' own calls for the rest.

Nothing here names a resource of a template, only types and properties. What CloudFormation would make and this machine
cannot is an error, so that a template never runs here with less than it says, except for what `WITHOUT_EFFECT` lists.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.aws import Services
from local.template import ACCOUNT, REGION, STACK, Resolver, Resource, Template, TemplateError

# What moto 5.2's CloudFormation makes, with the properties that it heeds.
IN_CLOUDFORMATION = {
    "AWS::DynamoDB::Table": {
        *("AttributeDefinitions", "BillingMode", "DeletionProtectionEnabled", "GlobalSecondaryIndexes", "KeySchema"),
        *("LocalSecondaryIndexes", "ProvisionedThroughput", "StreamSpecification", "TableName", "Tags"),
        "SSESpecification",  # taken and forgotten: moto keeps everything in memory, and nothing on a disk to encrypt
    },
    "AWS::Logs::LogGroup": {"LogGroupName", "RetentionInDays", "Tags"},
    "AWS::S3::Bucket": {"BucketEncryption", "BucketName", "Tags"},
    "AWS::SQS::Queue": {
        *("DelaySeconds", "FifoQueue", "KmsMasterKeyId", "MaximumMessageSize", "MessageRetentionPeriod", "QueueName"),
        *("ReceiveMessageWaitTimeSeconds", "RedrivePolicy", "SqsManagedSseEnabled", "Tags", "VisibilityTimeout"),
    },
}

# The properties that it leaves out: how to set each on the resource of that physical id.
GAPS: dict[str, dict[str, Callable[[Services, str, Any], object]]] = {
    "AWS::DynamoDB::Table": {
        "PointInTimeRecoverySpecification": lambda aws, table, value: aws.dynamodb.update_continuous_backups(
            TableName=table, PointInTimeRecoverySpecification=value
        ),
        "TimeToLiveSpecification": lambda aws, table, value: aws.dynamodb.update_time_to_live(
            TableName=table, TimeToLiveSpecification=value
        ),
    },
    "AWS::S3::Bucket": {
        "CorsConfiguration": lambda aws, bucket, value: aws.s3.put_bucket_cors(
            Bucket=bucket, CORSConfiguration={"CORSRules": [cors_rule(rule) for rule in value["CorsRules"]]}
        ),
        "LifecycleConfiguration": lambda aws, bucket, value: aws.s3.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": [lifecycle_rule(rule) for rule in value["Rules"]]}
        ),
        "NotificationConfiguration": lambda aws, bucket, value: aws.s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=notifications(value)
        ),
        "OwnershipControls": lambda aws, bucket, value: aws.s3.put_bucket_ownership_controls(
            Bucket=bucket, OwnershipControls=value
        ),
        "PublicAccessBlockConfiguration": lambda aws, bucket, value: aws.s3.put_public_access_block(
            Bucket=bucket, PublicAccessBlockConfiguration=value
        ),
        "VersioningConfiguration": lambda aws, bucket, value: aws.s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration=value
        ),
    },
}

# The parts that `local` itself plays.
PLAYED = {
    *("AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route"),
    *("AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function"),
    *("AWS::Lambda::LayerVersion", "AWS::Lambda::Url"),
}

WITHOUT_EFFECT = {
    "AWS::ApiGatewayV2::Stage",  # the door is the $default stage, and throttles as it says (local/doors.py)
    "AWS::CloudWatch::Alarm",  # the functions' metrics are lines of their logs here, which nobody counts
    "AWS::IAM::Role",  # nothing on this machine checks permissions
    "AWS::Lambda::Permission",
    # moto leaves the conditions of a policy out of account, so that "deny what is not TLS" would deny all; and here
    # nothing is TLS.
    "AWS::S3::BucketPolicy",
}

ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{}}",
}


def create(template: Template, aws: Services, *, doors: Mapping[str, str], secrets: Mapping[str, str]) -> Resolver:
    """Make everything, and return what knows it all by name.

    `doors` says where the HTTP APIs and Function URLs are on this machine (logical id to URL, no slash at the end);
    `secrets` sets the value of a secret that would otherwise be made up (logical id to string). Raises `TemplateError`.
    """
    _refuse_unknown(template)
    resolver = Resolver(template)
    _name_what_is_played(template, resolver, doors)
    try:
        _make_by_cloudformation(template, resolver, aws)
        for name, resource in template.of_type("AWS::SecretsManager::Secret").items():
            resolver.refs[name] = _make_secret(name, resolver(resource["Properties"]), aws, secrets.get(name))
        for name, resource in template.resources.items():
            for key, fill in GAPS.get(resource["Type"], {}).items():
                if key in resource["Properties"]:
                    fill(aws, resolver.refs[name], resolver(resource["Properties"][key]))
        for resource in template.of_type("AWS::SQS::QueuePolicy").values():
            properties = resolver(resource["Properties"])
            for url in properties["Queues"]:
                policy = json.dumps(properties["PolicyDocument"])
                aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    except (BotoCoreError, ClientError) as error:
        raise TemplateError(f"the stack could not be made in moto: {error}") from error
    return resolver


def _refuse_unknown(template: Template) -> None:
    known = {*IN_CLOUDFORMATION, *PLAYED, *WITHOUT_EFFECT, "AWS::SecretsManager::Secret", "AWS::SQS::QueuePolicy"}
    for name, resource in template.resources.items():
        kind = resource["Type"]
        if kind not in known:
            raise TemplateError(f"{name} is a {kind}, which this machine does not have (local/stack.py)")
        if kind in IN_CLOUDFORMATION:
            unknown = set(resource.get("Properties", {})) - IN_CLOUDFORMATION[kind] - GAPS.get(kind, {}).keys()
            if unknown:
                raise TemplateError(f"{name} sets {', '.join(sorted(unknown))}: nothing does that yet (local/stack.py)")


def _name_what_is_played(template: Template, resolver: Resolver, doors: Mapping[str, str]) -> None:
    for name, resource in template.of_type("AWS::Lambda::Function").items():
        resolver.refs[name] = resolver(resource["Properties"].get("FunctionName", f"{STACK}-{name}"))
        resolver.attributes[name, "Arn"] = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{resolver.refs[name]}"
    for name in template.of_type("AWS::Lambda::LayerVersion"):
        resolver.refs[name] = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{name}:1"
    for name in template.of_type("AWS::Lambda::Url"):
        resolver.attributes[name, "FunctionUrl"] = f"{doors[name]}/"
    for name in template.of_type("AWS::ApiGatewayV2::Api"):
        resolver.refs[name] = name.lower()
        resolver.attributes[name, "ApiEndpoint"] = doors[name]
        resolver.addresses[f"https://{name.lower()}.execute-api.{REGION}.amazonaws.com"] = doors[name]
    for name in template.of_type("AWS::ApiGatewayV2::Integration"):
        resolver.refs[name] = name.lower()


def _make_by_cloudformation(template: Template, resolver: Resolver, aws: Services) -> None:
    part: dict[str, Any] = {
        **{key: template.document[key] for key in ("Conditions", "Parameters") if key in template.document},
        "Resources": {
            name: {**made, "Properties": _heeded(made)}
            for name, made in template.resources.items()
            if made["Type"] in IN_CLOUDFORMATION
        },
    }
    values = {
        name: ",".join(value) if isinstance(value, list) else value for name, value in template.parameters.items()
    }
    aws.cloudformation.create_stack(
        StackName=STACK,
        TemplateBody=json.dumps(part),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
    )
    for resource in aws.cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]:
        name, kind = resource["LogicalResourceId"], resource["ResourceType"]
        physical = resource["PhysicalResourceId"].rsplit("/", 1)[-1]  # a queue's is its URL, but with a host of AWS
        resolver.attributes[name, "Arn"] = ARNS[kind].format(physical)
        resolver.refs[name] = physical
        if kind == "AWS::SQS::Queue":
            resolver.attributes[name, "QueueName"] = physical
            resolver.refs[name] = aws.sqs.get_queue_url(QueueName=physical)["QueueUrl"]


def _heeded(resource: Resource) -> dict[str, Any]:
    """The properties that moto heeds. It chokes on references to what it does not make, which the others may hold."""
    properties = resource.get("Properties", {})
    return {key: value for key, value in properties.items() if key in IN_CLOUDFORMATION[resource["Type"]]}


def _make_secret(name: str, properties: Mapping[str, Any], aws: Services, value: str | None) -> str:
    """Make a secret, with a value made up as its template says unless there is one; its ARN."""
    if value is None:
        value = properties.get("SecretString")
    if value is None:
        value = _made_up(dict(properties.get("GenerateSecretString", {})), aws)
    secret = aws.secrets.create_secret(
        Name=properties.get("Name", f"{STACK}-{name}"),
        Description=properties.get("Description", ""),
        SecretString=value,
    )
    return secret["ARN"]


def _made_up(spec: dict[str, Any], aws: Services) -> str:
    key, frame = spec.pop("GenerateStringKey", None), json.loads(spec.pop("SecretStringTemplate", "{}"))
    password = aws.secrets.get_random_password(**spec)["RandomPassword"]
    return password if key is None else json.dumps({**frame, key: password})


def cors_rule(rule: Mapping[str, Any]) -> Any:
    """A bucket's CORS rule as S3's API spells it."""
    spelling = {"ExposedHeaders": "ExposeHeaders", "Id": "ID", "MaxAge": "MaxAgeSeconds"}
    return {spelling.get(key, key): value for key, value in rule.items()}


def lifecycle_rule(rule: Mapping[str, Any]) -> Any:
    """A lifecycle rule as S3's API spells it."""
    rest = dict(rule)
    spelt: dict[str, Any] = {"Filter": {"Prefix": rest.pop("Prefix", "")}}
    if "Id" in rest:
        spelt["ID"] = rest.pop("Id")
    spelling = {"ExpirationDate": "Date", "ExpirationInDays": "Days"}
    for key in (*spelling, "ExpiredObjectDeleteMarker"):
        if key in rest:
            spelt.setdefault("Expiration", {})[spelling.get(key, key)] = rest.pop(key)
    return spelt | rest


def notifications(configuration: Mapping[str, Any]) -> Any:
    """A bucket's notifications as S3's API spells them. Only queues are known here."""
    if unknown := configuration.keys() - {"QueueConfigurations"}:
        raise TemplateError(f"a bucket that notifies by {', '.join(sorted(unknown))}: only queues are known here")
    queues = []
    for queue in configuration["QueueConfigurations"]:
        rules = queue.get("Filter", {}).get("S3Key", {}).get("Rules", [])
        filtered = {"Filter": {"Key": {"FilterRules": rules}}} if rules else {}
        queues.append({"QueueArn": queue["Queue"], "Events": [queue["Event"]], **filtered})
    return {"QueueConfigurations": queues}
