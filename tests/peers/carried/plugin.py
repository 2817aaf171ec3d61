"""What pytest is told: how requests go, which tests fail and why, and what came of it.

A test with a reason has to fail (`xfail`, strict), and a reason without a test ends the run: neither outlives what it
was written for. Tests under trio are left out, because the runtime runs on asyncio.
"""

from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest
from starlette import testclient

from .reasons import REASONS, reasons
from .transport import ENVIRONMENTS, Transport

# Before any test module is imported: some make their clients as they are.
testclient._TestClientTransport = Transport  # type: ignore[misc]

CARRIED, VIOLATION = "requests carried", "violation"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--peer", required=True, help="the project whose suite this is")
    parser.addoption("--payload", choices=["1.0", "2.0"], default="2.0", help="the version of the events")


def pytest_configure(config: pytest.Config) -> None:
    ENVIRONMENTS.payload = config.getoption("--payload")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unused = reasons(config.getoption("--peer"), config.getoption("--payload"))
    unmatched = set(unused)
    for item in items:
        for test, reason in unused.items():
            if item.name.startswith(test):
                unmatched.discard(test)
                item.add_marker(pytest.mark.xfail(reason=reason.text, strict=not reason.sometimes))
    if unmatched:
        raise pytest.UsageError(f"no test has these names, and carried/reasons.py has: {sorted(unmatched)}")
    under_trio = [item for item in items if "trio" in item.name]
    config.hook.pytest_deselected(items=under_trio)
    items[:] = [item for item in items if item not in under_trio]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    try:
        return (yield)
    finally:
        carried, violations = ENVIRONMENTS.end()
        item.user_properties += [(CARRIED, carried), *((VIOLATION, one) for one in violations)]


def _told(terminal: Any, name: str) -> list[Any]:
    """What the tests' reports say of it, from whichever process they came."""
    reports = [report for reports in terminal.stats.values() for report in reports if hasattr(report, "when")]
    told = [report.user_properties for report in reports if report.when == "teardown"]
    return [value for properties in told for key, value in properties if key == name]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    terminalreporter.section(f"{config.getoption('--peer')} carried, events of version {config.getoption('--payload')}")
    carried = _told(terminalreporter, CARRIED)
    terminalreporter.line(f"{sum(carried)} requests of {sum(map(bool, carried))} tests")
    expected = {reason.text for reason in REASONS}  # the suites have a few of their own
    failed = [report.wasxfail for report in terminalreporter.stats.get("xfailed", [])]
    counted = Counter(reason for reason in failed if reason in expected)
    for reason, count in counted.most_common():
        terminalreporter.line(f"{count:4} failed: {reason}")
    for violation in _told(terminalreporter, VIOLATION):
        terminalreporter.line(f"VIOLATION: {violation}", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and session.exitstatus == pytest.ExitCode.OK and _told(terminal, VIOLATION):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
