"""Records and AWS clients as the tests of the shared modules need them: explicit, and never from the environment."""

from typing import Any

import boto3
import pytest

from sluice.files import File, Mode

CREDENTIALS: dict[str, Any] = {
    "region_name": "eu-west-1",
    "aws_access_key_id": "AKIDEXAMPLE",
    "aws_secret_access_key": "secret",
    "aws_session_token": None,
}


def a_file(**changes: Any) -> File:
    """A multipart upload of three parts that has just begun, with `changes`."""
    values: dict[str, Any] = {
        "owner": "default",
        "filename": "report.pdf",
        "size": 20 * 1024 * 1024,
        "content_type": "application/pdf",
        "mode": Mode.MULTIPART,
        "part_size": 8 * 1024 * 1024,
        "upload_id": "upload-1",
        "expires_at": 4_000_000_000,  # in 2096
    }
    return File(**values | changes)


def client(service: Any, **options: Any) -> Any:
    """A boto3 client that would reach nobody: its calls are stubbed or only signed."""
    return boto3.client(service, **CREDENTIALS, endpoint_url="http://127.0.0.1:9", **options)


def aws_environment(patch: pytest.MonkeyPatch) -> None:
    """What Lambda puts into the environment, instead of whatever the developer has there."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        patch.delenv(name, raising=False)
    patch.setenv("AWS_CONFIG_FILE", "/dev/null")
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    patch.setenv("AWS_DEFAULT_REGION", CREDENTIALS["region_name"])
    patch.setenv("AWS_REGION", CREDENTIALS["region_name"])
    patch.setenv("AWS_ACCESS_KEY_ID", CREDENTIALS["aws_access_key_id"])
    patch.setenv("AWS_SECRET_ACCESS_KEY", CREDENTIALS["aws_secret_access_key"])
    patch.setenv("BUCKET_NAME", "the-bucket")
    patch.setenv("TABLE_NAME", "the-table")
