"""`make up`: Sluice's own template on this machine. What `python -m local` cannot know of it is said here."""

import argparse
import json
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from local.__main__ import main as run
from local.tokens import RANDOM_BYTES, hashed

TEMPLATE = Path(__file__).parent.parent / "template.yaml"

HELP = """\
Runs Sluice on this machine until Ctrl-C, and says where it is:
ready {"api": URL, "stream": URL, "aws": URL, "token": "..."}
"""

EPILOG = """\
All other options are those of `python -m local`, for instance --parameter MaxFileBytes=1000000.

environment:
  SLUICE_TOKEN   the access token, or a JSON object owner -> token; when unset that of the folder of --data, or made up
"""

# A hashing job that the end of the stack cut off goes on when its lease is over, so that with data kept it should be
# short. It is renewed with each checkpoint, every second.
LEASE_SECONDS = 10

# Where `npm run dev` serves the page (web/vite.config.ts). `--parameter AllowedOrigins=...` takes their place.
PAGES = "http://127.0.0.1:5173,http://localhost:5173"


# What the template wants with --cloudfront. Here both names mean the ports of the distributions.
CLOUDFRONT = {
    "CloudFront": "on",
    "DomainName": "files.example.com",
    "StreamDomainName": "stream.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/local",
}


def arguments(
    api_port: int, stream_port: int, tokens: dict[str, str], data: str | None = None, *, cloudfront: bool = False
) -> list[str]:
    """What `python -m local` is told for Sluice. With `cloudfront` its hosts are those of CloudFront."""
    api, stream = ("ApiDistribution", "StreamDistribution") if cloudfront else ("HttpApi", "StreamFunctionUrl")
    named = [word for name, value in CLOUDFRONT.items() for word in ("--parameter", f"{name}={value}")]
    keeping: list[str] = []
    if data:
        keeping = ["--data", data, "--redelivery", str(LEASE_SECONDS), "--env", f"LEASE_SECONDS={LEASE_SECONDS}"]
    kept = {owner: [hashed(token)] for owner, token in tokens.items()}
    return [
        *("--template", str(TEMPLATE)),
        *("--parameter", f"AllowedOrigins={PAGES}"),
        *("--door", f"api={api}:{api_port}"),
        *("--door", f"stream={stream}:{stream_port}"),
        *(named if cloudfront else []),
        *("--secret", f"AccessToken={json.dumps(kept)}"),
        *("--show", f"token={next(iter(tokens.values()))}"),
        *keeping,
    ]


def owners_tokens(value: str | None) -> dict[str, str]:
    """Owner to token, from SLUICE_TOKEN: a JSON object, or the token of `default`; made up when there is none.

    Raises `ValueError`, whose message is for the person who set it.
    """
    if not value:
        return {"default": secrets.token_urlsafe(RANDOM_BYTES)}
    if not value.lstrip().startswith("{"):
        return {"default": value}
    try:
        owners = json.loads(value)
    except ValueError as error:
        raise ValueError(f"SLUICE_TOKEN begins like a JSON object but is none: {error}") from error
    if not owners or not all(isinstance(token, str) and token for token in owners.values()):
        raise ValueError("SLUICE_TOKEN is a JSON object, but not one from owners to tokens")
    return dict(owners)


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local.up",
        description=HELP,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # or it would take options that are meant for `python -m local`
    )
    parser.add_argument("--api-port", type=int, default=0, help="port of the HTTP API (any free one)")
    parser.add_argument("--stream-port", type=int, default=0, help="port of the Function URL (any free one)")
    parser.add_argument("--data", metavar="DIR", help="the folder that keeps all data over a restart (none)")
    parser.add_argument("--cloudfront", action="store_true", help="put CloudFront in front of both")
    known, others = parser.parse_known_args(given)
    if not os.environ.get("SLUICE_TOKEN"):
        others.append("--initial")  # a token that is made up is for a folder that has none
    try:
        tokens = owners_tokens(os.environ.get("SLUICE_TOKEN"))
    except ValueError as error:
        parser.error(str(error))
    # In this process, so that no list of processes shows the token.
    told = arguments(known.api_port, known.stream_port, tokens, known.data, cloudfront=known.cloudfront)
    return run([*told, *others])


if __name__ == "__main__":
    sys.exit(main())
