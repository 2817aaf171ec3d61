"""What an existing bucket needs, in S3's own spelling, of what the template sets on the bucket that it makes."""

from typing import Any

from local.stack import cors_rule, lifecycle_rule, notifications
from tests.infra.transformed import document

BUCKET: Any = document()["Resources"]["FilesBucket"]["Properties"]


def _shown(value: Any) -> Any:
    """With a word of its own for what only the deployment knows."""
    match value:
        case {"Fn::GetAtt": ["CompletedQueue", "Arn"]}:
            return "QUEUE_ARN"
        case {"Fn::Split": _}:
            return ["API"]
        case dict():
            return {key: _shown(item) for key, item in value.items()}
        case list():
            return [_shown(item) for item in value]
    return value


CONFIGURATIONS = {
    "notification": notifications(_shown(BUCKET["NotificationConfiguration"])),
    "cors": {"CORSRules": [cors_rule(rule) for rule in _shown(BUCKET["CorsConfiguration"]["CorsRules"])]},
    "lifecycle": {"Rules": [lifecycle_rule(rule) for rule in BUCKET["LifecycleConfiguration"]["Rules"]]},
}
