"""No test can reach the AWS account of whoever runs it."""

import os

from local.aws import NO_PROFILE


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(NO_PROFILE)
