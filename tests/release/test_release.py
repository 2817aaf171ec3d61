"""What `make release` has put into dist/; `make test-release` makes it first."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LAYERS = ("core", "hasher", "sign-in")
VERSION = PROJECT["version"]
SAM = ROOT / ".venv-sam/bin/sam"
BUCKET = "artifacts"


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def names(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        return opened.namelist()


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """An S3 with a bucket for artifacts."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    s3 = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key="local"
    )
    s3.create_bucket(Bucket=BUCKET)
    yield url
    server.stop()


def test_a_release_is_all_of_this() -> None:
    """No file is missing, and none is there by accident."""
    assert set(contents(DIST)) == {
        f"sluice_intake-{VERSION}-py3-none-any.whl",
        f"sluice_intake-{VERSION}.tar.gz",
        f"streaming_runtime-{VERSION}-py3-none-any.whl",
        f"streaming_runtime-{VERSION}.tar.gz",
        f"streaming-runtime-layer-{VERSION}.zip",
        *(
            f"sluice-{layer}-layer-{VERSION}-{arch}.zip"
            for layer in ("core", "hasher", "sign-in")
            for arch in ("x86_64", "arm64")
        ),
        *(f"sluice-{VERSION}-{arch}.zip" for arch in ("x86_64", "arm64")),
        f"sluice-page-{VERSION}.zip",
        f"sluice-firewall-{VERSION}.yaml",
        *(f"sluice-{part}-{VERSION}.cdx.json" for part in ("intake", "layers", "page")),
        "SHA256SUMS",
    }


def test_the_checksums_hold() -> None:
    """`SHA256SUMS` names every other file."""
    lines = (line.split("  ") for line in (DIST / "SHA256SUMS").read_text().splitlines())
    listed = {name: digest for digest, name in lines}
    assert listed | {"SHA256SUMS": contents(DIST)["SHA256SUMS"]} == contents(DIST)


def test_another_person_makes_the_same_bytes(tmp_path: Path) -> None:
    """With another umask, time zone and language, at another time."""
    environment = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}}
    with (tmp_path / "log").open("w") as log:
        subprocess.run(
            ["make", "release", f"DIST={tmp_path / 'dist'}"],
            cwd=ROOT,
            env=environment | {"TZ": "Asia/Tokyo", "LANG": "C"},
            umask=0o077,
            stdout=log,
            stderr=log,
            check=True,
        )
    assert contents(tmp_path / "dist") == contents(DIST)


def test_the_command_runs_where_nothing_else_is(tmp_path: Path) -> None:
    """Its wheel holds the command alone, and asks for what the command imports."""
    wheel = DIST / f"sluice_intake-{VERSION}-py3-none-any.whl"
    assert {name.split("/")[0] for name in names(wheel)} == {"sluice_client", f"sluice_intake-{VERSION}.dist-info"}
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)
    subprocess.run([tmp_path / "bin/pip", "install", "--quiet", "--disable-pip-version-check", wheel], check=True)
    shown = {
        option: subprocess.run([tmp_path / "bin/sluice", option], check=True, capture_output=True, text=True).stdout
        for option in ("--version", "--help")
    }
    assert shown["--version"] == f"sluice {VERSION}\n"
    assert "doctor" in shown["--help"]


def test_no_source_distribution_has_more_than_its_project() -> None:
    """The command's holds its package, licence and metadata."""
    listed = subprocess.run(
        ["tar", "tzf", DIST / f"sluice_intake-{VERSION}.tar.gz"], check=True, capture_output=True, text=True
    ).stdout
    below = {line.split("/", 1)[1] for line in listed.splitlines()}
    others = {path for path in below if not path.startswith("client/sluice_client/")}
    assert others == {"client/README.md", "LICENSE", "PKG-INFO", "pyproject.toml", ".gitignore"}


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_sam_packages_the_built_template(tmp_path: Path, aws: str, architecture: str) -> None:
    """The archive is all that `sam package` and `sam deploy` need: no checkout, no build."""
    subprocess.run(["unzip", "-q", DIST / f"sluice-{VERSION}-{architecture}.zip", "-d", tmp_path], check=True)
    subprocess.run(
        [SAM, "package", "--s3-bucket", BUCKET, "--region", "us-east-1", "--output-template-file", "packaged.yaml"],
        cwd=tmp_path,
        env=os.environ
        | {"AWS_ENDPOINT_URL": aws, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
        | {"SAM_CLI_TELEMETRY": "0", "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
    )
    text = (tmp_path / "packaged.yaml").read_text()
    assert len(re.findall(rf"(?:CodeUri|ContentUri): s3://{BUCKET}/", text)) == 8  # four functions, four layers
    assert os.access(tmp_path / "StreamingRuntimeLayer/streaming-bootstrap", os.X_OK)
    assert str(ROOT) not in (tmp_path / "template.yaml").read_text()


def test_the_page_is_what_the_api_serves() -> None:
    """The page's archive, and the page in the API's artifact."""
    page = names(DIST / f"sluice-page-{VERSION}.zip")
    built = names(DIST / f"sluice-{VERSION}-x86_64.zip")
    assert "index.html" in page
    assert {f"ApiFunction/functions/api/dist/{name}" for name in page} <= set(built)


def test_every_distribution_in_a_layer_is_a_listed_component() -> None:
    """What pip would list in the layers is in the CycloneDX document, in the same version."""
    document = json.loads((DIST / f"sluice-layers-{VERSION}.cdx.json").read_text())
    listed = {(item["name"], item["version"]) for item in document["components"]}
    found = set()
    for layer in LAYERS:
        for name in names(DIST / f"sluice-{layer}-layer-{VERSION}-x86_64.zip"):
            if match := re.fullmatch(r"python/([^/]+)-([^-/]+)\.dist-info/METADATA", name):
                found.add((match[1].replace("_", "-").lower(), match[2]))
    assert len(found) > 10
    assert found <= listed


@pytest.mark.parametrize("part", ["intake", "layers", "page"])
def test_lists_of_components_say_of_what(part: str) -> None:
    """CycloneDX, with the name and version of what is released."""
    document = json.loads((DIST / f"sluice-{part}-{VERSION}.cdx.json").read_text())
    assert document["bomFormat"] == "CycloneDX"
    component = document["metadata"]["component"]
    assert (component["name"], component["version"]) == (f"sluice-{part}", VERSION)
    assert document["components"]
