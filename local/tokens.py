"""`make token OWNER=name`: a new access token for an owner of a deployed stack, shown once and kept as a hash.

The secret keeps every token that an owner has, so that a new one can be given out before the old one ends. To end one,
or an owner, take it out of the secret's JSON: it counts for five minutes at most.
"""

import argparse
import hashlib
import json
import secrets
import sys
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient

RANDOM_BYTES = 32  # 256 bits: nobody guesses that, so that a fast hash is enough


def hashed(token: str) -> str:
    """As the secret keeps it."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def add(client: "SecretsManagerClient", secret: str, owner: str) -> str:
    """A new token of the owner, whose others go on working."""
    owners: dict[str, Any] = json.loads(client.get_secret_value(SecretId=secret)["SecretString"])
    known = owners.get(owner, [])
    token = secrets.token_urlsafe(RANDOM_BYTES)
    owners[owner] = [*(known if isinstance(known, list) else [known]), hashed(token)]
    client.put_secret_value(SecretId=secret, SecretString=json.dumps(owners))
    return token


def secret_of(stack: str) -> str:
    """The secret of a deployed stack, by its outputs."""
    outputs: Any = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    return next(str(one["OutputValue"]) for one in outputs if one["OutputKey"] == "AccessTokenSecret")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make token", description=__doc__)
    parser.add_argument("owner", help="whose files they are: letters, digits and _.@=-, at most 128")
    parser.add_argument("--stack", default="sluice", help="the stack's name (sluice)")
    parser.add_argument("--secret", help="name or ARN of the secret, instead of the stack's")
    asked = parser.parse_args()
    try:
        print(add(boto3.client("secretsmanager"), asked.secret or secret_of(asked.stack), asked.owner))
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The token could not be kept, so there is none: {error}")
    print(f"This is the only time that it is shown. {asked.owner} can use it within five minutes.", file=sys.stderr)


if __name__ == "__main__":
    main()
