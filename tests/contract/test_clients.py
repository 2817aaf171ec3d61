"""Clients that others' generators make of docs/openapi.json, used as they are for a whole upload over the stack."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.integration import journey
from tests.integration.conftest import ROOT, Stack
from tests.integration.journey import MIB

CLIENTS = Path(__file__).parent / "clients"
PACKAGE = "generated_client"


def ran(*command: str, cwd: Path, **more: str) -> None:
    """Run it. When it fails, the failure shows what it said."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # generators look for ruff
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, "PATH": path, **more}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The client of openapi-python-client, which had nothing to warn of."""
    root = tmp_path_factory.mktemp("generated")
    document = str(ROOT / "docs" / "openapi.json")
    arguments = ["--path", document, "--meta", "none", "--output-path", PACKAGE, "--fail-on-warning"]
    ran("openapi-python-client", "generate", *arguments, cwd=root)
    sys.path.insert(0, str(root))
    try:
        yield import_module(PACKAGE)
    finally:
        sys.path.remove(str(root))
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]


def called(operation: str, **arguments: Any) -> Any:
    """What the generated function of this name answers."""
    answer = import_module(f"{PACKAGE}.api.{operation}").sync(**arguments)
    assert answer is not None
    return answer


def capability(link: str) -> str:
    (found,) = parse_qs(urlsplit(link).query)["capability"]
    return found


def test_openapi_python_client(generated: ModuleType, stack: Stack) -> None:
    """Every operation but one for locked parts, with the models and names that it made."""
    models, types = import_module(f"{PACKAGE}.models"), import_module(f"{PACKAGE}.types")
    with ExitStack() as clients:

        def client(**arguments: Any) -> Any:
            made = generated.AuthenticatedClient if "token" in arguments else generated.Client
            return clients.enter_context(made(**arguments))

        whole_upload(client, stack, models, types)


def whole_upload(client: Callable[..., Any], stack: Stack, models: Any, types: Any) -> None:
    owner, reader = client(base_url=stack.api, token=stack.token), client(base_url=stack.stream)
    data = journey.random_bytes(9 * MIB)

    assert called("health.get_health", client=owner).status == "ok"
    wanted = models.CreateFile(filename="python.bin", size=len(data))
    created = called("files.create_file", client=owner, body=wanted)
    journey.put_parts([part.to_dict() for part in created.parts[:1]], data)
    left = called("files.list_parts", client=owner, id=created.id)
    assert [part.number for part in left.received] == [1]
    journey.put_parts([part.to_dict() for part in left.parts], data)
    completed = called("files.complete_file", client=owner, id=created.id)  # its body may be left out
    events = {"client": reader, "id": created.id, "capability": capability(completed.links.events)}
    assert "event: ready" in called("content.get_events", **events)
    file = called("files.get_file", client=owner, id=created.id)
    assert file.digests["sha-256"] == hashlib.sha256(data).hexdigest()
    content = {"client": reader, "id": file.id, "capability": capability(file.links.content)}
    assert called("content.get_content", **content).payload.read() == data

    body = types.File(payload=BytesIO(b"hello"))
    small = called("files.put_small_file", client=owner, filename="small.txt", body=body)
    assert (small.filename, small.size) == ("small.txt", 5)
    body = types.File(payload=BytesIO(b"hello"))
    assert called("digests.digest_body", client=owner, body=body).digests.to_dict() == small.digests.to_dict()

    assert called("capabilities.create_capability", client=owner).capability
    drop = called("drops.create_drop", client=owner, body=models.CreateDrop(max_files=1, expires_in=60))
    guest = client(base_url=stack.api, token=drop.capability)
    theirs = called("files.create_file", client=guest, body=models.CreateFile(filename="a", size=1))
    assert isinstance(theirs.links.content, types.Unset)
    assert called("drops.get_drop", client=owner, id=drop.id).files == 1
    assert called("drops.get_drop", client=guest, id=drop.id).files_left == 0
    assert drop.id in [one.id for one in called("drops.list_drops", client=owner).items]
    full = called("files.create_file", client=guest, body=models.CreateFile(filename="a", size=1))
    assert (type(full).__name__, full.code) == ("Problem", "drop_full")

    moved = called("files.change_file", client=owner, id=file.id, body=models.ChangeFile(folder="python"))
    assert (moved.folder, moved.filename) == ("python", "python.bin")
    assert file.id in [one.id for one in called("files.list_files", client=owner, folder="python").items]
    piped = called("files.create_file", client=owner, body=models.CreateFile(filename="pipe", size=None))
    assert (piped.size, piped.parts[0].size) == (None, None)
    assert import_module(f"{PACKAGE}.api.files.delete_file").sync(client=owner, id=file.id) is None
    assert called("files.get_file", client=owner, id=file.id).code == "file_not_found"


@pytest.fixture(scope="module")
def programs() -> Path:
    """What @hey-api/openapi-ts and openapi-typescript make, and the programs that use it, through the compiler."""
    missing = [name for name in ("node", "npm") if not shutil.which(name)]
    if missing:
        pytest.skip(f"the generators for TypeScript need {', '.join(missing)}")
    ran("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=CLIENTS)
    ran("npm", "run", "generate", cwd=CLIENTS)
    ran("npm", "run", "build", cwd=CLIENTS)
    return CLIENTS / "dist"


@pytest.mark.parametrize("name", ["hey", "fetch"])
def test_typescript(programs: Path, stack: Stack, name: str) -> None:
    """Strictly typed, and then a whole upload."""
    ran("node", f"{name}.js", cwd=programs, API=stack.api, STREAM=stack.stream, TOKEN=stack.token)
    with journey.client(stack.api, stack.token) as api:
        names = [file["filename"] for file in api.get("/files").raise_for_status().json()["items"]]
    assert "small.txt" in names
    assert f"{name}.bin" not in names  # deleted at its end


def test_the_document_names_the_stream_host(stack: Stack) -> None:
    """Of the deployment that serves it."""
    document = httpx.get(f"{stack.api}/openapi.json", trust_env=False).raise_for_status().json()
    for path in ("/files/{id}/content", "/files/{id}/events"):
        (server,) = document["paths"][path]["servers"]
        assert server["url"] == stack.stream
