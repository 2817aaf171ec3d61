"""template.yaml as CloudFormation gets it, for cfn-lint, which sees more there.

`python -m tests.infra.transformed` prints it; with a folder it writes there what is left of it for some combinations of
the parameters that conditions look at, with each condition decided.
"""

import json
import sys
from pathlib import Path
from typing import Any

from local.template import Resolver, Template, load

ROOT = Path(__file__).parents[2]

# The parameters that conditions look at: the values that make a difference, the default first.
SWITCHES = {
    "DomainName": ("", "files.example.com"),
    "CertificateArn": ("", "arn:aws:acm:eu-west-1:123456789012:certificate/a"),
    "HostedZoneId": ("", "Z0123456789ABCDEFGHIJ"),
    "CloudFront": ("off", "on"),
    "StreamDomainName": ("", "stream.example.com"),
    "WebAclArn": ("", "arn:aws:wafv2:us-east-1:123456789012:global/webacl/a/b"),
    "ExistingBucket": ("", "a-bucket"),
    "ExistingTable": ("", "a-table"),
    "ExistingTableStream": ("", "arn:aws:dynamodb:eu-west-1:123456789012:table/a-table/stream/2026"),
    "TransferAcceleration": ("false", "true"),
    "KmsKeyArn": ("", "arn:aws:kms:eu-west-1:123456789012:key/a-key"),
    "AllowedOrigins": ("", "https://page.example"),
    "OidcIssuer": ("", "https://issuer.example"),
    "AlarmTopicArn": ("", "arn:aws:sns:eu-west-1:123456789012:alarms"),
    "ApiConcurrency": ("0", "5"),
    "StreamConcurrency": ("0", "5"),
    "EventBusName": ("", "default"),
    "WebhookUrl": ("", "https://hook.example"),
    "MonthlyBudget": ("0", "10"),
    "BudgetEmail": ("", "a@b.example"),
    "MalwareScan": ("off", "on"),
    "Deployment": ("AllAtOnce", "Canary10Percent10Minutes"),
    "SnapStart": ("off", "on"),
}
NO_VALUE = {"Ref": "AWS::NoValue"}


def document() -> dict[str, Any]:
    """The template after SAM's transform; functions still refer to each other by `Ref` and `Fn::GetAtt`."""
    return load(ROOT / "template.yaml", {}).document


def decided(template: Template) -> dict[str, Any]:
    """What is left of it with the template's parameters: no conditions, and nothing that depends on one."""
    resolver = Resolver(template)

    def settled(value: Any) -> Any:
        match value:
            case {"Fn::If": [condition, then, otherwise]}:
                return settled(then if resolver.holds(condition) else otherwise)
            case dict():
                # A policy's statement has a Condition too, which is no name.
                kept = {key: item for key, item in value.items() if key != "Condition" or isinstance(item, dict)}
                items = {key: settled(item) for key, item in kept.items()}
                return {key: item for key, item in items.items() if item != NO_VALUE}
            case list():
                return [item for item in map(settled, value) if item != NO_VALUE]
        return value

    left = {key: value for key, value in template.document.items() if key not in ("Conditions", "Mappings", "Rules")}
    # As defaults, so that cfn-lint resolves references to them.
    given = {name: ",".join(one) if isinstance(one, list) else one for name, one in template.parameters.items()}
    left["Parameters"] = {name: {**spec, "Default": given[name]} for name, spec in left["Parameters"].items()}
    for section in ("Resources", "Outputs"):
        made = template.document[section].items()
        left[section] = {name: settled(one) for name, one in made if resolver.holds(one.get("Condition"))}
    return left


def combinations() -> list[dict[str, str]]:
    """Few combinations among which any two values of any two switches meet; the first is all off, the second all on.

    Two switches have different numbers, so that they differ in one binary digit: by that digit, and by its opposite,
    one is on and the other off.
    """
    off, on = ({name: values[index] for name, values in SWITCHES.items()} for index in (0, 1))
    rows = [off, on]
    for digit in range(len(SWITCHES).bit_length()):
        chosen = [name for number, name in enumerate(SWITCHES) if number >> digit & 1]
        rows += [off | {name: on[name] for name in chosen}, on | {name: off[name] for name in chosen}]
    return rows


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(json.dumps(document(), indent=1))  # noqa: T201  the standard output is the product
    else:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        for number, values in enumerate(combinations()):
            text = json.dumps(decided(load(ROOT / "template.yaml", values)), indent=1)
            (folder / f"{number}.json").write_text(text)
