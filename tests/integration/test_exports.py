"""Exports over a real table and the real runtime, and through the whole stack."""

import csv
import io
import json
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import httpx
import pytest

from local.runtime_api import FunctionError
from sluice import capabilities
from sluice.capabilities import ALL_FILES, Holder, Use
from sluice.files import File, Mode, Status, new_id
from sluice.listing import WALKED, Filter, Listing
from tests.integration import journey
from tests.integration.conftest import ROOT, Stack
from tests.integration.proxy import Answer, Exchange, pass_on
from tests.integration.runtime_process import DELIMITER, LAYER, environment, parted, read_into
from tests.integration.world import BUCKET, KEYS, REGION, TABLE, World, world

KEY = "k" * 64
MANY = 2 * WALKED + 50


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with world() as made:
        secrets = boto3.client("secretsmanager", endpoint_url=made.proxy.url, **KEYS)
        for name, text in {"the-tokens": '{"lister": "t", "nobody": "u"}', "the-key": KEY}.items():
            secrets.create_secret(Name=name, SecretString=text)
        yield made


@pytest.fixture
def here(one_world: World) -> World:
    return one_world.fresh()


@pytest.fixture(scope="module")
def written(one_world: World) -> list[File]:
    """Those of one owner, newest first."""
    file = File(
        owner="lister",
        status=Status.READY,
        filename="f",
        size=1,
        content_type="text/plain",
        mode=Mode.SINGLE,
        part_size=1,
    )
    digests = {"sha-256": "0" * 64}
    made = [
        one_world.near_files.create(
            replace(file, id=new_id(), filename=f"{number}.txt", folder=f"f{number % 2}", digests=digests)
        )
        for number in range(MANY)
    ]
    return made[::-1]


@pytest.mark.parametrize("wanted", [Filter(), Filter(folder="f1"), Filter(q="7"), Filter(status=Status.READY)], ids=str)
def test_it_goes_on_behind_any_file(here: World, written: list[File], wanted: Filter) -> None:
    """With what comes after that one, whatever filter there is."""
    assert written
    whole = list(Listing(here.near_files).walk("lister", wanted))
    assert {file.id for file in whole} == {file.id for file in written if wanted.holds(file)}
    for at in {min(at, len(whole) - 1) for at in (0, WALKED - 1, WALKED, 110)}:
        rest = [file for page in Listing(here.near_files).pages("lister", wanted, whole[at].id) for file in page]
        assert rest == whole[at + 1 :]


def link(name: str, owner: str = "lister", use: Use = Use.EXPORT, **query: str) -> str:
    capability = capabilities.issue(KEY, Holder(owner), ALL_FILES, use, 60)
    return f"/files.{name}?{httpx.QueryParams(capability=capability, **query)}"


def variables(here: World) -> dict[str, str]:
    """Of the stream function, as the template has them."""
    return {
        "PYTHONPATH": f"{ROOT}:{LAYER}:{ROOT / 'layers' / 'core'}",
        "LAMBDA_TASK_ROOT": str(ROOT),
        "AWS_ENDPOINT_URL": here.proxy.url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
        "TABLE_NAME": TABLE,
        "BUCKET_NAME": BUCKET,
        "ACCESS_TOKEN_SECRET": "the-tokens",
        "CAPABILITY_KEY_SECRET": "the-key",
        "POWERTOOLS_SERVICE_NAME": "stream",
        "POWERTOOLS_METRICS_NAMESPACE": "Sluice",
    }


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def denied(exchange: Exchange) -> None:
    body = b'{"__type":"com.amazon.coral.service#AccessDeniedException","message":"No."}'
    exchange.send(Answer(400, body))


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "encoding"), [("jsonl", "gzip"), ("csv", "identity"), ("sha256", "gzip")])
async def test_what_fails_in_the_middle_is_no_end(here: World, written: list[File], name: str, encoding: str) -> None:
    """The pages that were read have come as whole lines; the transfer breaks, and the next one is whole."""
    assert written
    async with environment("functions.stream.app.app", **variables(here)) as stream:
        here.proxy.fail("Query", pass_on, pass_on, denied)
        received = bytearray()
        with pytest.raises(FunctionError):
            await read_into(received, await stream.invoke(link(name), headers={"accept-encoding": encoding}))
        prelude, body = parted(bytes(received))
        assert prelude["statusCode"] == 200
        got = zlib.decompressobj(wbits=31).decompress(body) if encoding == "gzip" else body
        assert got.endswith(b"\n")
        assert got.count(b"\n") == 2 * WALKED + (name == "csv")
        _, whole = await stream.request(link(name))
        assert whole.startswith(got)
        assert whole.count(b"\n") == MANY + (name == "csv")


@pytest.mark.anyio
async def test_what_fails_at_once_is_a_problem(here: World) -> None:
    """Before the first page nothing has been said: a refusal of the table is a 500, a wrong request a 4xx."""
    async with environment("functions.stream.app.app", **variables(here)) as stream:
        here.proxy.fail("Query", denied)
        prelude, body = await stream.request(link("jsonl"))
        assert (prelude["statusCode"], json.loads(body)["code"]) == (500, "internal_error")
        for path, status, code in (
            (link("jsonl", use=Use.FEED), 403, "invalid_capability"),
            (link("csv", owner="gone"), 403, "invalid_capability"),
            (link("csv", status="lost"), 422, "invalid_request"),
            (link("csv", after="x"), 422, "invalid_request"),
            (link("csv", after="0" * 26, folder="f1"), 404, "file_not_found"),
        ):
            prelude, body = await stream.request(path)
            assert (prelude["statusCode"], json.loads(body)["code"]) == (status, code)


@pytest.mark.anyio
async def test_an_answer_that_is_full_breaks_off(here: World, written: list[File]) -> None:
    """As Lambda would, but told in the log; whoever goes on after the last line gets the rest."""
    async with environment("functions.stream.app.app", STREAM_LIMIT_BYTES="100000", **variables(here)) as stream:
        received = bytearray()
        with pytest.raises(FunctionError, match="Unfinished"):
            await read_into(received, await stream.invoke(link("jsonl")))
        first = received.partition(DELIMITER)[2]
        assert 0 < len(first) <= 100_000
        last = json.loads(first.splitlines()[-1])["id"]
        _, rest = await stream.request(link("jsonl", after=last))
        ids = [json.loads(line)["id"] for line in (first + rest).splitlines()]
        assert ids == [file.id for file in written]


# ---------------------------------------------------------------- through the stack


def test_exports_of_what_a_list_shows(stack: Stack, tmp_path: Path) -> None:
    """Through the links of that list, with its filter; gzip where it is asked for; `sha256sum -c` of the downloads."""
    with journey.client(stack.api, stack.token) as api:
        file = journey.ended(api, journey.upload(api, b"exported", "=exported.txt"))
        links = api.get("/files", params={"q": "=exported", "status": "ready"}).json()["links"]
    client = httpx.Client(timeout=journey.PATIENCE_SECONDS, trust_env=False)
    with client:
        lines = client.get(links["jsonl"])
        table = client.get(links["csv"])
        sums = client.get(links["sha256sum"], headers={"Accept-Encoding": "identity"})
        content = client.get(file["links"]["content"]).content
    assert lines.headers["content-type"] == "application/jsonl"
    assert (lines.headers["content-encoding"], lines.headers["vary"].split(",")[0]) == ("gzip", "Accept-Encoding")
    (line,) = lines.text.splitlines()
    assert json.loads(line) == {name: value for name, value in file.items() if name != "links"}
    assert table.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    (row,) = csv.DictReader(io.StringIO(table.text, newline=""))
    assert (row["id"], row["filename"], row["sha-256"]) == (file["id"], "'=exported.txt", file["digests"]["sha-256"])
    assert sums.headers["content-disposition"] == 'attachment; filename="files.sha256"'
    assert "content-encoding" not in sums.headers
    (tmp_path / "=exported.txt").write_bytes(content)
    done = subprocess.run(["sha256sum", "--strict", "-c"], input=sums.content, cwd=tmp_path, check=False)
    assert done.returncode == 0


def test_an_export_of_nothing_ends(stack: Stack) -> None:
    """Also where a Function URL would hold an answer without a body open."""
    with journey.client(stack.api, stack.token) as api:
        links = api.get("/files", params={"q": "no file has this name"}).json()["links"]
    for name in ("jsonl", "csv", "sha256sum"):
        answer = httpx.get(links[name], timeout=journey.PATIENCE_SECONDS, trust_env=False)
        assert answer.status_code == 200
        assert answer.text.count("\n") == 1
