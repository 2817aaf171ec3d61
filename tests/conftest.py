"""No test can reach the AWS account of whoever runs it."""

import os

from hypothesis import settings

from local.aws import NO_PROFILE


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(NO_PROFILE)
    # How long an example takes says how busy the machine is, not whether the fact holds.
    settings.register_profile("busy machine", deadline=None)
    settings.load_profile("busy machine")
