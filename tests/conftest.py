"""No test can reach the AWS account of whoever runs it, nor meets what that person's shell says to other programs."""

import os
import re
import ssl
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx._transports.default as transports
import pytest
from hypothesis import settings

from local.aws import NO_PROFILE

# Settings of AWS and of what is tested, of terminals, and proxies of kinds that httpx refuses to know.
OF_THE_SHELL = re.compile(
    "AWS_|MOTO_|POWERTOOLS_|LOG_LEVEL$|SLUICE_(?!REQUIRE_)|(FORCE|NO)_COLOR$|COLUMNS$|LINES$|ALL_PROXY$", re.IGNORECASE
)
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
LOOPBACK = "127.0.0.1,localhost"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of what takes long, `make test` runs a part and `make test-endurance` all."""
    if not os.environ.get("ENDURANCE"):
        for item in items:
            if item.get_closest_marker("thorough"):
                item.add_marker(pytest.mark.skip(reason="make test-endurance runs it"))


def pytest_configure() -> None:
    _read_certificates_once()
    for name, value in [*os.environ.items()]:
        if OF_THE_SHELL.match(name) or (name in CERTIFICATES and not Path(value).exists()):
            del os.environ[name]
    os.environ.update(NO_PROFILE)
    # Other proxies stay, for the tests that install packages. Loopback is reached past them; lower case goes first.
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = f"{direct},{LOOPBACK}" if direct else LOOPBACK
    # How long an example takes says how busy the machine is, not whether the fact holds.
    settings.register_profile("busy machine", deadline=None)
    settings.load_profile("busy machine")


def _read_certificates_once() -> None:
    """Each client of httpx reads all of the authorities' certificates, also one that asks one thing by HTTP.

    That takes 20 ms, more than most of what the thousands of clients here ask for.
    """
    create: Callable[..., ssl.SSLContext] = vars(transports)["create_ssl_context"]

    @cache
    def created(_: tuple[str | None, ...], **options: Any) -> ssl.SSLContext:
        return create(**options)

    def context(**options: Any) -> ssl.SSLContext:
        return created(tuple(map(os.environ.get, CERTIFICATES)), **options)

    vars(transports)["create_ssl_context"] = context
