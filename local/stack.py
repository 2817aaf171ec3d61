"""Makes the stack of a template in moto: CloudFormation for what it can do, and the services' own calls for the rest.

Nothing here names a resource of a template, only types and properties. What CloudFormation would make and this machine
cannot is an error, so that a template never runs here with less than it says, except for what `WITHOUT_EFFECT` lists.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local import distributions, streams, webhooks
from local.asynchronous import event_rules, mailbox, mailboxes, subscriptions
from local.aws import Services
from local.functions import ONLY_VERSION, named
from local.template import ACCOUNT, REGION, STACK, Resolver, Resource, Template, TemplateError

# What moto 5.2's CloudFormation makes, with the properties that it heeds.
IN_CLOUDFORMATION = {
    "AWS::DynamoDB::Table": {
        *("AttributeDefinitions", "BillingMode", "DeletionProtectionEnabled", "GlobalSecondaryIndexes", "KeySchema"),
        *("LocalSecondaryIndexes", "ProvisionedThroughput", "TableName", "Tags"),
        "SSESpecification",  # taken and forgotten: nothing is encrypted on this machine
    },
    "AWS::Logs::LogGroup": {"KmsKeyId", "LogGroupName", "RetentionInDays", "Tags"},
    "AWS::S3::Bucket": {"BucketEncryption", "BucketName", "Tags"},
    "AWS::SNS::Topic": {"DisplayName", "FifoTopic", "KmsMasterKeyId", "Tags", "TopicName"},
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
        "StreamSpecification": lambda _aws, _table, _value: None,  # `local.streams` plays it
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
    "AWS::SNS::Topic": {"Subscription": lambda _aws, _topic, _value: None},  # made below, with those that are resources
}

# The parts that `local` itself plays.
PLAYED = {
    *("AWS::ApiGateway::Deployment", "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage"),
    *("AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route"),
    "AWS::ApiGatewayV2::Stage",
    *("AWS::CloudFront::Distribution", "AWS::CloudFront::OriginAccessControl"),
    *("AWS::Events::ApiDestination", "AWS::Events::Connection"),
    *("AWS::Events::Rule", "AWS::Scheduler::Schedule"),
    *("AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function"),
    *("AWS::Lambda::Alias", "AWS::Lambda::LayerVersion", "AWS::Lambda::Url", "AWS::Lambda::Version"),
    "AWS::SSM::Parameter",  # what its value is, and no store that a function could ask
    "AWS::AppConfig::HostedConfigurationVersion",  # its number, and no configuration that a function could ask for
}

# What is made by calls of the services' own.
BY_CALL = {"AWS::SNS::Subscription", "AWS::SQS::QueuePolicy", "AWS::SecretsManager::Secret"}

# Why not, and what to do, for what people ask most.
REFUSED = {
    "AWS::ApiGateway::Method": "a REST API of resources and methods is not played here; write it as OpenAPI (Body)",
    "AWS::ApiGateway::Resource": "a REST API of resources and methods is not played here; write it as OpenAPI (Body)",
    "AWS::ApiGateway::Authorizer": "authorizers are not played here; leave it out with a condition of the template",
    "AWS::ApiGatewayV2::Authorizer": "authorizers are not played here; leave it out with a condition of the template",
    "AWS::CloudFormation::Stack": "nested stacks are not played here; run their templates one by one",
    "AWS::StepFunctions::StateMachine": "state machines are not played here; AWS has Step Functions Local for them",
}
ELSEWHERE = "nothing plays that here; leave it out with a condition of the template (local/stack.py has what is played)"

WITHOUT_EFFECT = {
    *("AWS::AppConfig::Application", "AWS::AppConfig::ConfigurationProfile"),  # where a configuration is counted
    # They shift requests from a version to the next: here each start has one version of everything.
    *("AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup"),
    *("AWS::ApplicationInsights::Application", "AWS::CloudWatch::Dashboard", "AWS::ResourceGroups::Group"),
    *("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"),
    "AWS::Budgets::Budget",
    "AWS::GuardDuty::MalwareProtectionPlan",  # nothing scans here: whoever wants a verdict sends the event of one
    "AWS::CloudWatch::Alarm",  # the functions' metrics are lines of their logs here, which nobody counts
    "AWS::IAM::Role",  # nothing on this machine checks permissions
    "AWS::Lambda::Permission",
    "AWS::SNS::TopicPolicy",
    # moto leaves the conditions of a policy out of account, so that "deny what is not TLS" would deny all; and here
    # nothing is TLS.
    "AWS::S3::BucketPolicy",
}

DEFAULT_BUS = "default"

# The attributes of a subscription to a queue, besides its filter.
SUBSCRIBED = ("RawMessageDelivery",)

# The properties that name what CloudFormation makes.
NAMES = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
}

# The most characters of a bucket's name, the shortest of the limits; those of the end that tells two names apart.
NAME_LENGTH = 63
SUFFIX_LENGTH = 12

ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{}}",
    "AWS::Events::ApiDestination": f"arn:aws:events:{REGION}:{ACCOUNT}:api-destination/{{}}/local",
    "AWS::Events::Connection": f"arn:aws:events:{REGION}:{ACCOUNT}:connection/{{}}/local",
    "AWS::Events::Rule": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SNS::Topic": "{}",  # its id is its ARN
    "AWS::Scheduler::Schedule": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{{}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{}}",
}


def create(template: Template, aws: Services, *, doors: Mapping[str, str], secrets: Mapping[str, str]) -> Resolver:
    """Make everything, and return what knows it all by name.

    `doors` says where the HTTP APIs and Function URLs are on this machine (logical id to URL, no slash at the end);
    `secrets` sets the value of a secret that would otherwise be made up (logical id to string). Raises `TemplateError`.
    """
    resolver = Resolver(template)
    _refuse_unknown(template, resolver)
    _name_what_is_played(template, resolver, doors)
    try:
        _make_by_cloudformation(template, resolver, aws)
        for name, resource in template.of_type("AWS::SecretsManager::Secret").items():
            resolver.refs[name] = _make_secret(name, resolver(resource["Properties"]), aws, secrets.get(name))
            made = aws.secrets.get_secret_value(SecretId=resolver.refs[name])
            resolver.secrets[resolver.refs[name]] = made["SecretString"]
        for box in mailboxes(template, resolver):
            aws.sqs.create_queue(QueueName=box.name)
        for stream in streams.declared(template, resolver):
            aws.sqs.create_queue(QueueName=streams.queue_name(stream.table), Attributes={"FifoQueue": "true"})
        hooks = webhooks.declared(template, resolver)
        for hook in hooks:
            aws.sqs.create_queue(QueueName=hook.queue)
        for name, resource in template.resources.items():
            for key, fill in GAPS.get(resource["Type"], {}).items():
                if key in resource.get("Properties", {}):
                    fill(aws, resolver.refs[name], _queued(resolver(resource["Properties"][key]), template, resolver))
        for name, rule in event_rules(template).items():
            queues = {hook.target: hook.queue_arn for hook in hooks if hook.rule == name}
            _make_rule(name, resolver(rule), template, resolver, aws, webhook_queues=queues)
        for subscription in subscriptions(template):
            _subscribe(resolver(subscription), template, resolver, aws)
        for resource in template.of_type("AWS::SQS::QueuePolicy").values():
            properties = resolver(resource["Properties"])
            for url in properties["Queues"]:
                policy = json.dumps(properties["PolicyDocument"])
                aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    except (BotoCoreError, ClientError) as error:
        raise TemplateError(f"the stack could not be made in moto: {error}") from error
    return resolver


def _refuse_unknown(template: Template, resolver: Resolver) -> None:
    known = {*IN_CLOUDFORMATION, *PLAYED, *WITHOUT_EFFECT, *BY_CALL}
    for name, resource in template.resources.items():
        kind = resource["Type"]
        if kind not in known:
            raise TemplateError(f"{name} is a {kind}: {REFUSED.get(kind, ELSEWHERE)}")
        if kind in IN_CLOUDFORMATION:
            properties = resource.get("Properties", {}).items()
            said = {key for key, value in properties if resolver.chosen(value) is not None}
            unknown = said - IN_CLOUDFORMATION[kind] - GAPS.get(kind, {}).keys()
            if unknown:
                raise TemplateError(f"{name} sets {', '.join(sorted(unknown))}: nothing does that yet (local/stack.py)")


def _name_what_is_played(template: Template, resolver: Resolver, doors: Mapping[str, str]) -> None:
    for name, resource in template.of_type("AWS::Lambda::Function").items():
        resolver.refs[name] = resolver(resource["Properties"].get("FunctionName", f"{STACK}-{name}"))
        resolver.attributes[name, "Arn"] = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{resolver.refs[name]}"
    for name in template.of_type("AWS::AppConfig::HostedConfigurationVersion"):
        resolver.refs[name] = resolver.attributes[name, "VersionNumber"] = ONLY_VERSION
    # There is one version of everything here, and each alias is it.
    for kind in ("AWS::Lambda::Version", "AWS::Lambda::Alias"):
        for name, resource in template.of_type(kind).items():
            function = named(resolver(resource["Properties"]["FunctionName"]), template, resolver)
            resolver.refs[name] = resolver.attributes[function, "Arn"]
            resolver.attributes[name, "Version"] = ONLY_VERSION
    for name in template.of_type("AWS::Lambda::LayerVersion"):
        resolver.refs[name] = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{name}:1"
    for kind in (
        "AWS::Events::ApiDestination",
        "AWS::Events::Connection",
        "AWS::Events::Rule",
        "AWS::Scheduler::Schedule",
    ):
        for name, resource in template.of_type(kind).items():
            resolver.refs[name] = resolver(resource["Properties"].get("Name", f"{STACK}-{name}"))
            resolver.attributes[name, "Arn"] = ARNS[kind].format(resolver.refs[name])
    for name in template.of_type("AWS::Lambda::Url"):
        resolver.attributes[name, "FunctionUrl"] = f"{doors[name]}/"
    for name in [*template.of_type("AWS::ApiGatewayV2::Api"), *template.of_type("AWS::ApiGateway::RestApi")]:
        resolver.refs[name] = name.lower()
        resolver.attributes[name, "ApiEndpoint"] = doors[name]
        resolver.addresses[f"https://{name.lower()}.execute-api.{REGION}.amazonaws.com"] = doors[name]
    distributions.make_known(template, resolver, doors)
    for name in [*template.of_type("AWS::ApiGatewayV2::Integration"), *template.of_type("AWS::ApiGateway::Deployment")]:
        resolver.refs[name] = name.lower()
    for kind in ("AWS::ApiGateway::Stage", "AWS::ApiGatewayV2::Stage"):
        for name, resource in template.of_type(kind).items():
            resolver.refs[name] = resolver(resource["Properties"]["StageName"])


def _make_by_cloudformation(template: Template, resolver: Resolver, aws: Services) -> None:
    part: dict[str, Any] = {
        **{key: template.document[key] for key in ("Conditions", "Mappings", "Parameters") if key in template.document},
        "Resources": {
            name: {**made, "Properties": {NAMES[made["Type"]]: physical_name(name, made), **_heeded(made)}}
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
        if kind == "AWS::DynamoDB::Table":
            resolver.attributes[name, "StreamArn"] = streams.stream_arn(physical)
        if kind == "AWS::SNS::Topic":
            resolver.attributes[name, "TopicArn"] = physical
            resolver.attributes[name, "TopicName"] = physical.rpartition(":")[2]
        if kind == "AWS::SQS::Queue":
            resolver.attributes[name, "QueueName"] = physical
            resolver.refs[name] = aws.sqs.get_queue_url(QueueName=physical)["QueueUrl"]
    # Their values may be names of what was made above.
    for name, parameter in template.of_type("AWS::SSM::Parameter").items():
        resolver.refs[name] = name
        resolver.attributes[name, "Value"] = resolver(parameter["Properties"]["Value"])


def _queued(value: Any, template: Template, resolver: Resolver) -> Any:
    """A bucket's notifications with mailboxes in the place of functions; any other property as it is."""
    if not isinstance(value, dict) or "LambdaConfigurations" not in value:
        return value
    told = [
        {**rest, "Queue": mailbox(function, "s3", template, resolver).queue_arn}
        for configuration in value["LambdaConfigurations"]
        for function, rest in [(configuration["Function"], {k: v for k, v in configuration.items() if k != "Function"})]
    ]
    others = {key: item for key, item in value.items() if key != "LambdaConfigurations"}
    return {**others, "QueueConfigurations": [*value.get("QueueConfigurations", []), *told]}


def _make_rule(
    name: str,
    said: Mapping[str, Any],
    template: Template,
    resolver: Resolver,
    aws: Services,
    *,
    webhook_queues: Mapping[str, str],
) -> None:
    """The rule in moto, each of whose targets is a queue: that of a webhook by the target's id, or a mailbox."""
    known = {"Description", "EventBusName", "EventPattern", "Name", "State", "Tags", "Targets"}
    ours = {"Arn", "Id", "RetryPolicy"}
    unknown = said.keys() - known
    unknown |= {key for one in said["Targets"] if one["Id"] not in webhook_queues for key in one.keys() - ours}
    if unknown:
        raise TemplateError(f"{name} sets {', '.join(sorted(unknown))}: nothing does that yet (local/stack.py)")
    bus = said.get("EventBusName", DEFAULT_BUS)
    if bus != DEFAULT_BUS and bus not in {one["Name"] for one in aws.events.list_event_buses()["EventBuses"]}:
        aws.events.create_event_bus(Name=bus)  # which on AWS was there before
    pattern = json.dumps(said["EventPattern"])
    rule = {"Name": resolver.refs[name], "EventBusName": bus}
    aws.events.put_rule(**rule, EventPattern=pattern, State=said.get("State", "ENABLED"))
    queues = {resolver.attributes[queue, "Arn"] for queue in template.of_type("AWS::SQS::Queue")}
    targets = []
    for target in said["Targets"]:
        arn = webhook_queues.get(target["Id"], target["Arn"])
        if target["Id"] not in webhook_queues and arn not in queues:
            arn = mailbox(arn, "events", template, resolver).queue_arn
        targets.append({"Id": target["Id"], "Arn": arn})
    aws.events.put_targets(Rule=rule["Name"], EventBusName=bus, Targets=targets)


def _subscribe(said: Mapping[str, Any], template: Template, resolver: Resolver, aws: Services) -> None:
    if unknown := said.keys() - {"Endpoint", "FilterPolicy", "FilterPolicyScope", "Protocol", *SUBSCRIBED, "TopicArn"}:
        raise TemplateError(f"a subscription sets {', '.join(sorted(unknown))}: nothing does that yet (local/stack.py)")
    protocol, endpoint = said["Protocol"], said["Endpoint"]
    if protocol == "lambda":
        protocol, endpoint = "sqs", mailbox(endpoint, "sns", template, resolver).queue_arn
    elif protocol != "sqs":
        raise TemplateError(f"a subscription by {protocol}: only queues and functions hear of topics here")
    attributes = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in said.items()
        if key in ("FilterPolicy", "FilterPolicyScope", *SUBSCRIBED)
    }
    aws.sns.subscribe(TopicArn=said["TopicArn"], Protocol=protocol, Endpoint=endpoint, Attributes=attributes)


def physical_name(logical_id: str, resource: Resource) -> str:
    """A name for what the template gives none, of CloudFormation's form. The same at each start, as its data are."""
    properties = resource.get("Properties", {})
    end = ".fifo" if properties.get("FifoQueue") or properties.get("FifoTopic") else ""
    suffix = f"-{hashlib.sha256(logical_id.encode()).hexdigest()[:SUFFIX_LENGTH]}{end}"
    name = f"{STACK}-{logical_id}"[: NAME_LENGTH - len(suffix)] + suffix
    return name.lower() if resource["Type"] == "AWS::S3::Bucket" else name


def _heeded(resource: Resource) -> dict[str, Any]:
    """The properties that moto heeds. It chokes on references to what it does not make, which the others may hold."""
    properties = resource.get("Properties", {})
    return {key: value for key, value in properties.items() if key in IN_CLOUDFORMATION[resource["Type"]]}


def _make_secret(name: str, properties: Mapping[str, Any], aws: Services, value: str | None) -> str:
    """Make a secret, with a value made up as its template says unless there is one or one was kept; its ARN."""
    initial = properties.get("SecretString") if value is None else value
    if initial is None:
        initial = _made_up(dict(properties.get("GenerateSecretString", {})), aws)
    arn = aws.secrets.create_secret(
        Name=properties.get("Name", f"{STACK}-{name}"),
        Description=properties.get("Description", ""),
        SecretString=initial,
    )["ARN"]
    if value is not None and aws.secrets.get_secret_value(SecretId=arn)["SecretString"] != value:
        aws.secrets.put_secret_value(SecretId=arn, SecretString=value)
    return arn


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
    """A bucket's notifications as S3's API spells them. Only queues, topics and EventBridge are known here.

    Of what EventBridge hears moto has the key, the version and the size, and always the same request.
    """
    known = {"EventBridgeConfiguration", "QueueConfigurations", "TopicConfigurations"}
    if unknown := configuration.keys() - known:
        raise TemplateError(
            f"a bucket that notifies by {', '.join(sorted(unknown))}: "
            "only queues, topics, functions and EventBridge are known here"
        )
    spelt: dict[str, Any] = {}
    if configuration.get("EventBridgeConfiguration", {}).get("EventBridgeEnabled"):
        spelt["EventBridgeConfiguration"] = {}
    for key, kind in (("QueueConfigurations", "Queue"), ("TopicConfigurations", "Topic")):
        for told in configuration.get(key, []):
            rules = told.get("Filter", {}).get("S3Key", {}).get("Rules", [])
            filtered = {"Filter": {"Key": {"FilterRules": rules}}} if rules else {}
            spelt.setdefault(key, []).append({f"{kind}Arn": told[kind], "Events": [told["Event"]], **filtered})
    return spelt
