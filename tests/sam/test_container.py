"""The container image of the streaming runtime's README, built and run as an image."""

import asyncio
import ensurepip
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.runtime_api import Invocation, RuntimeApi
from tests.sam.cases import ROOT
from tests.sam.conftest import usable_image
from tests.sam.engine import Engine
from tests.sam.image import AWS_IMAGE, PYTHON

RUNTIME = ROOT / "layers" / "streaming_runtime"
README = (RUNTIME / "README.md").read_text()
IMAGE, BASE = "sluice-container-example", "sluice-container-base"
SECONDS = 120

# What AWS's image has and a stand-in lacks, and where the packages come from: a build reaches no network here.
PREPARED = """\
FROM {image}
COPY wheels /wheels
RUN ln -sf "$(command -v python{python})" /usr/local/bin/python \\
 && printf '#!/bin/sh\\nPYTHONPATH=/wheels/pip.whl exec python -m pip "$@"\\n' > /usr/local/bin/pip \\
 && chmod +x /usr/local/bin/pip
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
"""

APP = """\
import asyncio
import sys

async def app(scope, receive, send):
    assert scope["type"] == "http", "no lifespan"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": sys.version.encode() + b"\\n", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    await send({"type": "http.response.body", "body": b"goodbye"})
"""


@pytest.fixture(scope="module")
def image(docker: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The README's lines, on AWS's own image or what stands in for it, beside an app that names its requirement."""
    folder = tmp_path_factory.mktemp("container")
    (wheels := folder / "wheels").mkdir()
    (wheel,) = (ROOT / "dist").glob("streaming_runtime-*.whl")  # `make dist`
    shutil.copy(wheel, wheels)
    (bundled,) = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
    shutil.copy(bundled, wheels / "pip.whl")
    (app := folder / "app").mkdir()
    (app / "main.py").write_text(APP)
    (app / "requirements.txt").write_text("streaming-runtime\n")
    (folder / "base").write_text(PREPARED.format(image=usable_image(docker), python=PYTHON))
    (lines,) = re.findall(r"```dockerfile\n(.*?)```", README, re.DOTALL)
    assert lines.startswith(f"FROM {AWS_IMAGE}\n")
    (folder / "Dockerfile").write_text(lines.replace(AWS_IMAGE, BASE, 1))
    docker("build", "--network", "none", "--tag", BASE, "--file", str(folder / "base"), str(folder))
    docker("build", "--network", "none", "--tag", IMAGE, str(folder))
    yield IMAGE
    docker("image", "rm", IMAGE, BASE)


def test_the_readme_s_image_streams(docker: Engine, image: str) -> None:
    """The first chunk is out while the app goes on, the app hears of its deadline, and its process leaves in peace."""

    async def invoke() -> tuple[dict[str, object], bytes]:
        api = RuntimeApi()
        address = await api.start()
        container = docker("run", "--detach", "--network", "host", "--env", f"AWS_LAMBDA_RUNTIME_API={address}", image)
        try:
            deadline_ms = int((time.time() + 10) * 1000)
            arn = "arn:aws:lambda:eu-west-1:1:function:f"
            event = {
                "version": "2.0",
                "rawPath": "/",
                "headers": {},
                "requestContext": {"http": {"method": "GET", "path": "/", "sourceIp": "192.0.2.1"}},
            }
            response = await api.invoke(Invocation(json.dumps(event).encode(), deadline_ms, arn))
            pieces = aiter(response)
            received = await anext(pieces)
            while not received.endswith(b"\n"):
                received += await anext(pieces)
            assert time.time() * 1000 < deadline_ms - 1000  # before the app was told to end
            received += b"".join([piece async for piece in pieces])
            api.retire()
            status = await asyncio.to_thread(docker, "wait", container)
            assert (status, api.violations) == ("0", []), docker("logs", container)
        finally:
            docker("rm", "--force", container)
            await api.close()
        prelude, body = received.split(bytes(8), 1)
        return json.loads(prelude), body

    prelude, body = asyncio.run(asyncio.wait_for(invoke(), SECONDS))
    assert prelude["statusCode"] == 200
    assert body.startswith(PYTHON.encode())
    assert body.endswith(b"\ngoodbye")
