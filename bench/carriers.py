"""The rows of the tables: everything that carries the same app from the same Runtime API."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYER = ROOT / "layers" / "streaming_runtime"

# The Lambda Web Adapter: the version that the Makefile builds, and where it puts it.
LWA_VERSION = "1.0.0-rc1"
LWA_PATH = ROOT / ".tools" / f"lwa-{LWA_VERSION}" / "bin" / "lambda-adapter"
LWA_HELP = f"no {LWA_PATH.relative_to(ROOT)} (`make bench` builds it where cargo is) and no BENCH_LWA=path"

# As its documentation starts it (`python -m uvicorn --port=$PORT main:app`), but without the access log, which is
# uvicorn's choice and no cost of the adapter.
UVICORN = (
    sys.executable, "-m", "uvicorn", "--port", "{port}", "--no-access-log", "--log-level", "warning", "bench.app:{app}",
)  # fmt: skip
# As its own documentation starts it; it logs no requests unless asked.
GRANIAN = (
    sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", "--no-ws",
    "--loop", "uvloop", "--log-level", "warning", "bench.app:{app}",
)  # fmt: skip


@dataclass(frozen=True)
class Carrier:
    """How to start one: `{app}` and `{port}` in commands and variables are replaced.

    Commands are started in this order and none is waited for, as Lambda starts an extension and then the runtime.
    """

    name: str
    version: str
    commands: tuple[tuple[str, ...], ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    streams: bool = True
    runs_the_app: bool = True
    missing: str | None = None
    """Why it cannot be measured here, and what to do."""


def all_carriers() -> list[Carrier]:
    """Every row, in the tables' order."""
    python = sys.executable
    bootstrap = str(LAYER / "streaming-bootstrap")
    return [
        Carrier("ours", "layers/streaming_runtime", ((bootstrap, python, "/var/runtime/bootstrap.py"),)),
        _web_adapter("LWA + uvicorn", (*UVICORN, "--loop", "asyncio", "--http", "h11"), "uvicorn", "h11"),
        _web_adapter(
            "LWA + uvicorn[standard]",
            (*UVICORN, "--loop", "uvloop", "--http", "httptools"),
            *("uvicorn", "uvloop", "httptools"),
        ),
        _web_adapter("LWA + granian", GRANIAN, "granian", "uvloop"),
        Carrier(
            "Mangum",
            versions("mangum", "awslambdaric"),
            ((python, "-m", "awslambdaric", "bench.buffered.handler"),),
            streams=False,
        ),
        Carrier(
            "floor",
            "a bare blocking socket, in a process that has imported the app",
            ((python, "-m", "bench.floor"),),
            runs_the_app=False,
        ),
    ]


def _web_adapter(name: str, server: tuple[str, ...], *packages: str) -> Carrier:
    """The adapter before this server, which needs these packages."""
    binary = Path(os.environ.get("BENCH_LWA") or LWA_PATH)
    missing = None
    if not binary.is_file():
        missing = LWA_HELP
    elif absent := [package for package in packages if util.find_spec(package) is None]:
        missing = f"no {' and no '.join(absent)} in this environment (dependency group `bench`)"
    return Carrier(
        name,
        f"{_built(binary)}, {versions(*packages)}",
        ((str(binary),), server),
        {"AWS_LWA_PORT": "{port}", "AWS_LWA_INVOKE_MODE": "response_stream"},
        missing=missing,
    )


def _built(binary: Path) -> str:
    """The version in what `cargo install --root` notes beside the binary."""
    note = binary.parent.parent / ".crates.toml"
    lines = note.read_text().splitlines() if note.is_file() else []
    found = [line.split()[1] for line in lines if line.startswith('"lambda_web_adapter ')]
    return f"lambda_web_adapter {found[0] if found else 'of an unknown version'}"


def versions(*packages: str) -> str:
    """`name version, ...` of installed packages."""
    return ", ".join(f"{package} {_version(package)}" for package in packages)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"
