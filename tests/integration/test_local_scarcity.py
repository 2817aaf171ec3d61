"""A stack on a machine that allows it few file descriptors, of which there are soon none left."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.conftest import thorough
from tests.integration.test_local_endings import END_SECONDS, LOCAL, started

# Idle, a stack has 19 of them open in its largest process.
FEW = 48


@dataclass(frozen=True)
class Up:
    api: str
    stream: str
    aws: str
    log: Path

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(trust_env=False, timeout=60, limits=httpx.Limits(max_connections=None))


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    log = tmp_path_factory.mktemp("scarce") / "log"
    with (
        log.open("w") as stderr,
        started("sh", "-c", f'ulimit -n {FEW}; exec "$@"', "sh", *LOCAL, stderr=stderr) as run,
    ):
        assert run.stdout
        ready = json.loads(run.stdout.readline().removeprefix("ready "))
        yield Up(ready["api"], ready["stream"], ready["aws"], log)
        run.terminate()
        assert run.wait(END_SECONDS) == 0
    assert "Traceback" not in log.read_text()


async def statuses(requests: list[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in await asyncio.gather(*requests))


@thorough
def test_too_many_requests_at_once_are_refused(up: Up) -> None:
    """Each is answered: by the function, or as AWS answers when it cannot run one. Afterwards all is as before."""

    async def scenario() -> None:
        async with up.client() as client:
            answers = await statuses([client.get(f"{up.api}/x") for _ in range(60)])
            assert answers.keys() <= {200, 503}
            answers = await statuses([client.get(f"{up.stream}/pid") for _ in range(60)])
            assert answers.keys() <= {200, 429, 503}
        async with up.client() as client:
            assert (await client.get(f"{up.api}/x")).status_code == 200
            assert (await client.get(f"{up.stream}/pid")).status_code == 200

    asyncio.run(scenario())


@thorough
def test_connections_that_ask_for_nothing_are_outlived(up: Up) -> None:
    """More of them than there are descriptors, at a door and at moto: who comes then waits until they leave."""
    for url, path in ((up.api, "/x"), (up.aws, "/")):

        async def scenario(url: str, path: str) -> None:
            host, port = url.removeprefix("http://").split(":")
            idle = [await asyncio.open_connection(host, int(port)) for _ in range(2 * FEW)]
            async with up.client() as client:
                waiting = asyncio.create_task(client.get(f"{url}{path}"))
                done, _ = await asyncio.wait({waiting}, timeout=0.5)
                assert not done
                for _, writer in idle:
                    writer.close()
                # S3 answers 403 to who is nobody; 503 where the door does not know yet that they have left.
                assert (await waiting).status_code in (200, 403, 503)

        asyncio.run(scenario(url, path))
    assert 1 <= up.log.read_text().count("new connections wait: Too many open files") <= 10
    assert httpx.get(f"{up.api}/x", trust_env=False).status_code == 200
