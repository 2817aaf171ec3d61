"""Where the code of functions and layers lies on this machine: SAM's transform, which wants it in S3, forgets that."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# This bucket exists nowhere: it carries a local path through the transform.
LOCAL_CODE = "local-code"

# What the stack makes for a template, beside it. It can be deleted at any time.
STORE = ".local"


class CodeError(Exception):
    """The code is not on this machine; the message says why."""


def carry(document: Mapping[str, Any], root: Path) -> None:
    """Write each local path of a template as an address in S3."""
    defaults = {"Properties": document.get("Globals", {}).get("Function", {})}
    for resource in document["Resources"].values():
        properties = resource.setdefault("Properties", {})
        said = {"CodeUri", "InlineCode"} & (properties.keys() | defaults["Properties"].keys())
        if resource["Type"] == "AWS::Serverless::Function" and not said:
            properties["CodeUri"] = "."  # as `sam build` takes it
    for resource in [defaults, *document["Resources"].values()]:
        properties = resource.get("Properties", {})
        for key in ("CodeUri", "ContentUri"):
            path = properties.get(key) if isinstance(properties, dict) else None
            if isinstance(path, str) and "://" not in path:
                # The transform forgets how a layer is built: its bucket says it.
                method = (resource.get("Metadata") or {}).get("BuildMethod") if key == "ContentUri" else None
                bucket = f"{LOCAL_CODE}.{method}" if method else LOCAL_CODE
                properties[key] = f"s3://{bucket}/{os.path.relpath(root / path, root)}"


def folder(name: str, code: Mapping[str, Any], root: Path) -> Path:
    """The folder of a function's `Code` or a layer's `Content`; one is made for code that the template holds."""
    if "ZipFile" in code:
        inline = store(root) / "inline" / name
        inline.mkdir(parents=True, exist_ok=True)
        (inline / "index.py").write_text(code["ZipFile"])
        return inline
    if str(code.get("S3Bucket")).partition(".")[0] != LOCAL_CODE:
        raise CodeError(f"{name}: its code is in S3: let CodeUri name a folder beside the template")
    path: Path = root / code["S3Key"]
    if not path.is_dir():
        raise CodeError(f"{name}: there is no folder {path}")
    return path


def build_method(content: Mapping[str, Any]) -> str | None:
    """How SAM would build a layer of that `Content`."""
    return str(content["S3Bucket"]).partition(".")[2] or None


def store(root: Path) -> Path:
    """The folder for what is made beside a template, which git leaves alone."""
    path = root / STORE
    path.mkdir(exist_ok=True)
    (path / ".gitignore").write_text("*\n")
    return path
