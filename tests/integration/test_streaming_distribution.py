"""The streaming runtime as others get it: each way of its README, with the files that it names."""

import os
import re
import shutil
import sys
import tomllib
import zipfile
from pathlib import Path

import anyio
import pytest

from tests.integration.runtime_process import APPS, LAYER, started

pytestmark = pytest.mark.anyio

README = (LAYER / "README.md").read_text()
PACKAGE = "streaming_runtime"


def copied(folder: Path) -> Path:
    """The app and the package in one folder, as `sam build` leaves them: nothing from a wheel may be executed."""
    shutil.copytree(APPS, folder)
    shutil.copytree(LAYER / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / PACKAGE).iterdir():
        path.chmod(0o644)
    return folder


def written(text: str, path: Path) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def from_readme(mark: str) -> str:
    """The shell script of the README that has this in it."""
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    (script,) = [block for block in blocks if mark in block]
    return script


async def test_the_package_lies_in_the_functions_own_code(tmp_path: Path) -> None:
    """The wrapper of the README, which the function brings itself, starts the one in the package."""
    task = copied(tmp_path / "task")
    wrapper = written(from_readme('exec /bin/sh "$LAMBDA_TASK_ROOT'), task / "streaming-bootstrap")
    async with started(wrapper, PYTHONPATH="", LAMBDA_TASK_ROOT=str(task)) as function:
        assert (await function.request("/state"))[0]["statusCode"] == 200


async def test_the_packages_own_wrapper_can_be_executed(tmp_path: Path) -> None:
    """Where whoever makes the ZIP keeps permissions, as pip does."""
    task = copied(tmp_path / "task")
    (task / PACKAGE / "bootstrap").chmod(0o755)
    (task / "logging.py").write_text("raise AssertionError('this is not the logging that was meant')")
    async with started(task / PACKAGE / "bootstrap", PYTHONPATH="", LAMBDA_TASK_ROOT=str(task)) as function:
        assert (await function.request("/state"))[0]["statusCode"] == 200


async def test_another_wrapper_goes_first(tmp_path: Path) -> None:
    """One that sets the environment up and executes what it is given, as Datadog's does."""
    task = copied(tmp_path / "task")
    other = written('#!/bin/sh\nexport AWS_LAMBDA_FUNCTION_NAME=wrapped\nexec "$@"\n', tmp_path / "other")
    both = from_readme("/opt/datadog_wrapper").replace("/opt/datadog_wrapper", str(other))
    wrapper = written(both, task / "streaming-bootstrap")
    async with started(wrapper, PYTHONPATH="", LAMBDA_TASK_ROOT=str(task)) as function:
        assert b'"function":"wrapped"' in (await function.request("/state"))[1]


@pytest.mark.parametrize("logical_id", ["Streaming", "StreamingRuntimeLayer", "X1"])
async def test_the_layer_builds_under_any_logical_id(tmp_path: Path, logical_id: str) -> None:
    """As `sam build` calls its Makefile."""
    make = ["make", "-C", str(LAYER), f"build-{logical_id}", f"ARTIFACTS_DIR={tmp_path}"]
    await anyio.run_process(make, env={"PATH": os.environ["PATH"]})
    wrapper = tmp_path / "streaming-bootstrap"
    async with started(wrapper, PYTHONPATH=str(tmp_path / "python")) as function:
        assert (await function.request("/state"))[0]["statusCode"] == 200


async def test_the_layers_zip_is_the_layer(tmp_path: Path) -> None:
    """Its bytes are the same each time, and its wrapper can be executed."""
    for folder in ("one", "two"):
        await anyio.run_process([sys.executable, str(LAYER / "pack_layer.py"), str(tmp_path / folder)])
    version = tomllib.loads((LAYER / "pyproject.toml").read_text())["project"]["version"]
    name = f"streaming-runtime-layer-{version}.zip"
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with zipfile.ZipFile(tmp_path / "one" / name) as layer:
        layer.extractall(tmp_path / "opt")
        assert layer.getinfo("streaming-bootstrap").external_attr >> 16 & 0o111
        assert "python/streaming_runtime/py.typed" in layer.namelist()
    wrapper = tmp_path / "opt" / "streaming-bootstrap"
    wrapper.chmod(0o755)
    async with started(wrapper, PYTHONPATH=str(tmp_path / "opt" / "python")) as function:
        assert (await function.request("/state"))[0]["statusCode"] == 200


async def test_an_image_names_the_app_in_its_command(tmp_path: Path) -> None:
    """The README's entry point and command, without a wrapper and without `_HANDLER`."""
    (entry,) = re.findall(r"ENTRYPOINT (\[.*\])", README)
    (command,) = re.findall(r"CMD (\[.*\])", README)
    assert (entry, command) == ('["python", "-P", "-m", "streaming_runtime"]', '["main.app"]')
    entry_point = written(
        f'#!/bin/sh\nunset _HANDLER\nexec "{sys.executable}" -P -m streaming_runtime stream_app.app\n',
        tmp_path / "entry",
    )
    async with started(entry_point) as function:
        assert (await function.request("/state"))[0]["statusCode"] == 200
