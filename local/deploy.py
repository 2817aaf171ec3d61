"""`make deploy`: the parameters of a deployment, from all that say them, checked before anything is built.

What ORIGINS, PARAMS and ARCH say goes before what samconfig.toml says. What none of them names keeps its value in the
stack (SAM sends `UsePreviousValue`); a new stack has the template's default. Architecture is always named, because it
has to be the one that is built for: where nobody says it, it is the stack's.

Writes the parameters for `sam deploy --parameter-overrides file://...`, and prints the architecture.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[1]
# The way it is read is SAM's own, which has more forms than one.
SAM_PYTHON = ROOT / ".venv-sam" / "bin" / "python"
READ_OVERRIDES = """\
import json, sys
from samcli.cli.types import CfnParameterOverridesType
json.dump(CfnParameterOverridesType().convert(json.load(sys.stdin), None, None), sys.stdout)
"""

ARCHITECTURE, ORIGINS = "Architecture", "AllowedOrigins"
BUCKET, TABLE = "ExistingBucket", "ExistingTable"

Declared = Mapping[str, Mapping[str, Any]]


class Refused(Exception):
    """These parameters cannot be deployed; the message says which, and why."""


def given(params: str, origins: str, architecture: str) -> dict[str, str]:
    """Name to value, from PARAMS (a shell's words, each NAME=VALUE), ORIGINS and ARCH."""
    try:
        words = shlex.split(params)
    except ValueError as error:
        raise Refused(f"PARAMS={params}: {error}") from error
    values = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Refused(f'PARAMS has "{word}", which is no NAME=VALUE. A value with spaces is quoted: NAME="a value"')
        values[name] = value
    for variable, name, value in (("ORIGINS", ORIGINS, origins), ("ARCH", ARCHITECTURE, architecture)):
        if not value:
            continue
        if values.get(name, value) != value:
            raise Refused(f"{variable} and PARAMS both say {name}, and not the same")
        values[name] = value
    return values


def check(values: Mapping[str, str], declared: Declared) -> dict[str, str]:
    """The values as CloudFormation takes them, lists without spaces. Raises Refused for what it would not take."""
    unknown = [name for name in values if name not in declared]
    if unknown:
        raise Refused(f"no parameter of the template: {', '.join(unknown)}. There are: {', '.join(declared)}")
    if values.get("CloudFront") == "on" and ":acm:us-east-1:" not in values.get("CertificateArn", ":acm:us-east-1:"):
        # CloudFront itself says so when everything else has been made.
        raise Refused(f"CertificateArn={values['CertificateArn']}: CloudFront takes a certificate of us-east-1 alone")
    return {name: _checked(name, value, declared[name]) for name, value in values.items()}


def _checked(name: str, value: str, spec: Mapping[str, Any]) -> str:
    if spec["Type"] == "CommaDelimitedList":
        return ",".join(item.strip() for item in value.split(","))
    allowed = [str(item) for item in spec.get("AllowedValues", [value])]
    if value not in allowed:
        raise Refused(f"{name}={value}: it is one of {', '.join(allowed)}")
    if spec["Type"] == "Number":
        least, most = float(spec.get("MinValue", "-inf")), float(spec.get("MaxValue", "inf"))
        # CloudFormation takes more than that; what these numbers become has to be a whole one.
        if not re.fullmatch(r"-?[0-9]+", value) or not least <= int(value) <= most:
            limits = " ".join(f"{key}: {spec[key]}" for key in ("MinValue", "MaxValue") if key in spec)
            raise Refused(f"{name}={value}: it is a whole number{f' ({limits})' if limits else ''}")
    return value


def configured(path: Path, environment: str) -> dict[str, Any]:
    """What a samconfig file says to `sam deploy`."""
    if not path.is_file():
        return {}
    text = path.read_text()
    document = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    section = document.get(environment, {})
    return {
        **section.get("global", {}).get("parameters", {}),
        **section.get("deploy", {}).get("parameters", {}),
    }


def overrides(value: Any) -> dict[str, str]:
    """Name to value, of `parameter_overrides` in a samconfig file."""
    if not value:
        return {}
    command = [str(SAM_PYTHON), "-c", READ_OVERRIDES]
    done = subprocess.run(command, cwd=ROOT, check=False, input=json.dumps(value), capture_output=True, text=True)
    if done.returncode != 0:
        raise Refused(f"parameter_overrides in the samconfig file: {done.stderr.strip().splitlines()[-1]}")
    read: dict[str, str] = json.loads(done.stdout)
    return read


def written(values: Mapping[str, str]) -> str:
    """As SAM reads them from a file, in YAML: it unquotes what the file says, and what has come out of that again."""
    return json.dumps({name: _quoted(_quoted(value)) for name, value in values.items()}, indent=2)


def _quoted(value: str) -> str:
    """SAM takes a pair of quotes off, and the backslash before a space or a quote."""
    escaped = re.sub(r"\\(?=[ \"'])", r"\\\\", value)
    return f'"{escaped}"'


def deployed(stack: str, region: str | None, profile: str | None) -> dict[str, str]:
    """The parameters of the stack that is there; none where there is no stack."""
    try:
        session = boto3.Session(region_name=region, profile_name=profile)
        found: Any = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return {}
        raise Refused(f"the stack {stack} cannot be asked for its architecture: {error}") from error
    except BotoCoreError as error:
        raise Refused(f"the stack {stack} cannot be asked for its architecture: {error}") from error
    return {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}


def examine(values: Mapping[str, str], table: Mapping[str, Any], session: Any) -> None:
    """Raise Refused unless the bucket and the table that are named as existing are such that Sluice can use them.

    `table` are the properties of the one that the template would make. Only what loses files or stops every request is
    looked at here; whether events and pages reach the bucket `sluice doctor` tries after the deployment.
    """
    try:
        if bucket := values.get(BUCKET):
            versioning = session.client("s3").get_bucket_versioning(Bucket=bucket).get("Status")
            if versioning != "Enabled":
                raise Refused(f"{BUCKET}={bucket}: this bucket is not versioned, and Sluice reads versions only")
        if name := values.get(TABLE):
            found = session.client("dynamodb").describe_table(TableName=name)["Table"]
            if differing := [part for part, wanted in _keys(table).items() if _keys(found).get(part) != wanted]:
                raise Refused(f"{TABLE}={name}: other keys than Sluice's, or none: {', '.join(differing)}")
    except (BotoCoreError, ClientError) as error:
        raise Refused(f"what is named as existing cannot be looked at: {error}") from error


def _keys(table: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """The attributes of the table's key and of each index's key, with their types; the table's own is called so."""
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    keys = {"the table": table["KeySchema"]}
    keys |= {f"the index {one['IndexName']}": one["KeySchema"] for one in table.get("GlobalSecondaryIndexes", [])}
    # A hash key comes before a sort key, in whatever order they are told.
    ordered = {part: sorted(key, key=lambda one: one["KeyType"]) for part, key in keys.items()}
    return {part: [(one["AttributeName"], types[one["AttributeName"]]) for one in key] for part, key in ordered.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make deploy", allow_abbrev=False)
    parser.add_argument("--write", type=Path, required=True)
    parser.add_argument("--arch", default="")
    parser.add_argument("--config-file", type=Path, default=Path("samconfig.toml"))
    parser.add_argument("--config-env", default="default")
    parser.add_argument("--stack-name")
    parser.add_argument("--region")
    parser.add_argument("--profile")
    parser.add_argument("--parameter-overrides", action="store_true")
    asked, _ = parser.parse_known_args()
    template = yaml_parse((ROOT / "template.yaml").read_text())
    declared: Declared = template["Parameters"]
    try:
        if asked.parameter_overrides:
            raise Refused('parameters go into PARAMS: make deploy PARAMS="NAME=VALUE NAME=VALUE"')
        config = configured(ROOT / asked.config_file, asked.config_env)
        values = given(os.environ.get("PARAMS", ""), os.environ.get("ORIGINS", ""), asked.arch)
        values = check({**overrides(config.get("parameter_overrides")), **values}, declared)
        region, profile = asked.region or config.get("region"), asked.profile or config.get("profile")
        if values.get(BUCKET) or values.get(TABLE):
            session = boto3.Session(region_name=region, profile_name=profile)
            examine(values, template["Resources"]["FilesTable"]["Properties"], session)
        if ARCHITECTURE not in values:
            stack = asked.stack_name or config["stack_name"]
            before = deployed(stack, region, profile)
            values[ARCHITECTURE] = before.get(ARCHITECTURE, str(declared[ARCHITECTURE]["Default"]))
    except Refused as refused:
        sys.exit(f"make deploy: {refused}")
    asked.write.parent.mkdir(exist_ok=True)
    asked.write.write_text(written(values))
    print(values[ARCHITECTURE])


if __name__ == "__main__":
    main()
