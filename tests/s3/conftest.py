"""The servers, each started once, and what they said where a test fails."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sluice.objects import Objects
from tests.s3.servers import NEEDS_GO, SERVERS, NotHere, Server, program, serving

# Set where the servers have to be there (continuous integration): what is missing is then a failure.
REQUIRED = "SLUICE_REQUIRE_S3"


def left_out(name: str) -> str | None:
    """Why, where the server is not here."""
    try:
        program(name)
    except NotHere as missing:
        return str(missing)
    return None


def pytest_report_header() -> list[str]:
    return [reason for name in SERVERS if (reason := left_out(name))]


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    name = request.param
    if reason := left_out(name):
        if os.environ.get(REQUIRED) and name not in NEEDS_GO:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    # Not pytest's own, which it would keep: hundreds of MB.
    with TemporaryDirectory(prefix=f"{name}-") as folder, serving(name, Path(folder)) as running:
        yield running


@pytest.fixture(scope="session")
def objects(server: Server) -> Objects:
    return server.objects()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and server is not None:
        report.sections.append((f"log of {server.name}", server.said()))
    return report
