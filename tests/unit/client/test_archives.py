"""`sluice get --archive`: a share, or files of one's own, as one ZIP."""

import asyncio
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sluice_client.archives import partial_of, save
from sluice_client.commands.ls import export
from sluice_client.contract import Retry, Sluice
from sluice_client.errors import Problem
from sluice_client.partials import locked
from sluice_client.progress import Meter
from sluice_client.rates import Rate
from tests.unit.client.deployment import TOKEN, Deployment, Fault, jwt_of
from tests.unit.client.test_cli import process_environment, sluice

MOST_TITLE_CHARACTERS = 255


def of_share(deployment: Deployment) -> list[str]:
    return ["get", "--archive", "--share", f"{deployment.url}/#share={jwt_of({'record': 's-1'})}"]


@pytest.mark.parametrize("password", [None, "geheim"])
def test_an_archive_that_was_put_together_comes_by_a_fresh_link(
    deployment: Deployment, tmp_path: Path, password: str | None
) -> None:
    """The one that was there before may have ended meanwhile. A password is asked for once."""
    deployment.password, deployment.unpacked = password, True
    deployment.keep(b"1")
    done = subprocess.run(
        [sys.executable, "-m", "sluice_client", *of_share(deployment), *(["--password-stdin"] if password else [])],
        env=process_environment(deployment),
        input=f"{password}\n",
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "T.zip") as archive:
        assert archive.read("file-1") == b"1"
    assert [seen.query["opening"] for seen in deployment.requests("GET /archives/.*")] == [["1"], ["2"]]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("🎉" * 62, "🎉" * 62 + ".zip"),
        ("🎉" * MOST_TITLE_CHARACTERS, "🎉" * 62 + ".zip"),
        ("C:evil", "C_evil.zip"),
        ("../../evil", "evil.zip"),
        ("..", "share.zip"),
        ("v1.2", "v1.2.zip"),
    ],
)
def test_a_title_is_a_name_here(deployment: Deployment, tmp_path: Path, title: str, expected: str) -> None:
    """Whatever it is, the archive has a name that the file system takes, in the present folder."""
    deployment.title = title
    deployment.keep(b"1")
    (tmp_path / "here").mkdir()
    done = sluice(*of_share(deployment), cwd=tmp_path / "here")
    assert done.exit_code == 0, done.stderr
    assert [path.name for path in (tmp_path / "here").iterdir()] == [expected]
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_only_the_same_target_is_locked(deployment: Deployment, tmp_path: Path) -> None:
    """Two archives whose long names differ at the end alone are two; and the same one twice does not mix."""
    deployment.keep(b"1")
    with locked(partial_of(tmp_path / ("x" * 100 + "1.zip"))):
        other = sluice(*of_share(deployment), "-o", "x" * 100 + "2.zip", cwd=tmp_path)
        same = sluice(*of_share(deployment), "-o", "x" * 100 + "1.zip", cwd=tmp_path)
    assert (other.exit_code, same.exit_code, "Another `sluice get`" in same.stderr) == (0, 1, True)


@dataclass(frozen=True, slots=True)
class Noting(Retry):
    """Without patience, and with a memory of what the server asked for."""

    asked: list[str | None] = field(default_factory=list)

    def delay(self, failures: int, retry_after: str | None = None) -> float:  # noqa: ARG002 - as Retry has it
        self.asked.append(retry_after)
        return 0.0


@pytest.mark.parametrize("kind", ["archive", "export"])
def test_a_link_with_too_many_streams_is_waited_for(deployment: Deployment, tmp_path: Path, kind: str) -> None:
    """As long as it says; a front door, which says nothing, for a moment. Everything has an end."""
    deployment.keep(b"1")
    refusals = [Fault(429, b"{}", {"Retry-After": "10"}), Fault(429, b'{"message": "Rate Exceeded."}')]

    async def fetched(retry: Retry) -> None:
        async with Sluice(deployment.url, TOKEN, retry) as sluice:
            if kind == "export":
                await export(sluice, "sha256sum", {})
                return
            with Meter("a.zip") as meter:
                url = f"{deployment.url}/archives/a/content?opening=1"
                await save(sluice, url, tmp_path / "a.zip", meter, force=True, rate=Rate(None))

    path = "GET /export" if kind == "export" else "GET /archives/.*"
    deployment.fail(path, *refusals)
    retry = Noting(attempts=3)
    asyncio.run(fetched(retry))
    assert retry.asked == ["10", None]
    deployment.fail(path, *refusals, *refusals)
    with pytest.raises(Problem) as refused:
        asyncio.run(fetched(Noting(attempts=3)))
    assert refused.value.status == 429
