"""Least privilege, exactly: what each function asks AWS for is what its policies in template.yaml allow, on what they name.

The functions' real code runs here over moto, which checks no policy, and every operation is noted, presigned ones too:
a presigned URL allows no more than its signer may do.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest
from aws_lambda_powertools.utilities import parameters
from botocore.model import OperationModel
from fastapi.testclient import TestClient
from samtranslator.yaml_helper import yaml_parse
from starlette.types import ASGIApp, Receive, Scope, Send

from sluice.files import Status
from sluice.limits import MIB
from tests.integration.world import BUCKET, KEYS, REGION, TABLE, TEMPLATE, World, content, environment, put, world

RESOURCES = yaml_parse(TEMPLATE.read_text())["Resources"]
GLOBALS = yaml_parse(TEMPLATE.read_text())["Globals"]["Function"]
FUNCTIONS = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::Function"]

# What the template's resources are called here.
NAMES = {"FilesTable": TABLE, "FilesBucket": BUCKET, "AccessToken": "the-tokens", "CapabilityKey": "the-key"}
SECRETS = {"the-tokens": '{"default": "token-of-default"}', "the-key": "k" * 64}
STREAM_LIMIT = 6 * MIB
SMALL, LARGE = content(1000), content(9 * MIB)

# Granted without a call of its own that needs it, and why.
WITHOUT_A_CALL = {
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html: without it a missing object is a 403, not a 404.
    "s3:ListBucket": "HeadObject and GetObject tell what is not there from what is forbidden",
}
REASONS = {
    ("ApiFunction", "s3:ListBucket"),
    ("StreamFunction", "s3:ListBucket"),
    ("HasherFunction", "s3:ListBucket"),
}
