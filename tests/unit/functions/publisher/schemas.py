"""`python -m tests.unit.functions.publisher.schemas`: events/schemas, from what docs/openapi.json says of a file."""

import copy
import json
from pathlib import Path
from typing import Any

from functions.publisher.changes import Kind
from functions.publisher.details import VERSION
from sluice.downloads import Ending

ROOT = Path(__file__).parents[4]
FOLDER = ROOT / "events" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
WHEN: dict[Kind, str] = {
    Kind.FILE_READY: "A file's bytes are all there, were hashed, and contradict nothing. Sent once more where the "
    "sender's digest came later and held: then `verified` is true.",
    Kind.FILE_FAILED: "A file's bytes are not what was promised, or could not be read; `reason` says why.",
    Kind.FILE_ABORTED: "An upload was given up. One that nobody finished in time (`expired`) is told when its record "
    "goes.",
    Kind.DROP_RECEIVED: "A file that came through a drop is ready. Sent beside its `File Ready`.",
    Kind.SHARE_DOWNLOADED: "An answer with bytes of a shared file, or of the share's archive, has ended. A client that "
    "fetches ranges gets an answer, and so an event, for each.",
}
TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
ID = {"type": "string", "pattern": "^[0-9a-hjkmnp-tv-z]{26}$"}
FILE = {"$ref": "#/$defs/File"}


def schema(kind: Kind, *, strict: bool = False) -> dict[str, Any]:
    """That of the `detail`; a `strict` one refuses members that it does not name, which receivers should not."""
    properties: dict[str, Any] = {
        "version": {"const": VERSION, "description": "Rises when a member goes or changes its meaning."},
        "id": {"type": "string", "description": "The same whenever the same event is delivered again."},
        "time": {"type": "string", "format": "date-time", "description": "When it happened."},
        "owner": {"type": "string", "description": "Whose file it is."},
    }
    match kind:
        case Kind.SHARE_DOWNLOADED:
            properties |= {
                "share": titled("The title is null where the share had none, or has ended since."),
                "file": {
                    "anyOf": [FILE, {"type": "null"}],
                    "description": "null where the whole share was taken as an archive, or the file was deleted since.",
                },
                "record": ID | {"description": "The id of the file or of the archive."},
                "download": ID | {"description": "The id of this answer."},
                "sent_bytes": COUNT | {"description": "0 where S3 sends the bytes: it does not tell how many."},
                "size": COUNT | {"description": "What the answer had to send."},
                "ended": {
                    "enum": [ending.value for ending in Ending],
                    "description": "`complete`: to its last byte. `broken`: not. `redirected`: S3 sends the bytes.",
                },
            }
        case Kind.DROP_RECEIVED:
            properties |= {"drop": titled("The title is null where the drop had none."), "file": FILE}
        case _:
            properties |= {"file": FILE}
    described: dict[str, Any] = {
        "$schema": DIALECT,
        "title": kind.value,
        "description": WHEN[kind],
        **of(properties),
        "$defs": definitions(),
    }
    return closed(described) if strict else described


def titled(description: str) -> dict[str, Any]:
    return of({"id": ID, "title": {"type": ["string", "null"], "description": description}})


def of(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def definitions() -> dict[str, Any]:
    """The file of the HTTP API without its links, and what it is made of."""
    known = json.loads((ROOT / "docs" / "openapi.json").read_text())["components"]["schemas"]
    found = {name: copy.deepcopy(known[name]) for name in ("Mismatch", "Mode", "Status")}
    found["File"] = copy.deepcopy(known["FileInfo"])
    del found["File"]["properties"]["links"]
    found["File"]["required"].remove("links")
    found["File"]["description"] = "A file, as `GET /files/{id}` has it, without links."
    text = json.dumps(found).replace("#/components/schemas/", "#/$defs/")
    read: dict[str, Any] = json.loads(text, object_hook=opened)
    return read


def opened(node: dict[str, Any]) -> dict[str, Any]:
    """Without the titles that only repeat names; more members may come."""
    return {
        key: value
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "additionalProperties" and value is False)
    }


def closed(node: Any) -> Any:
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    more = {"additionalProperties": False} if isinstance(node.get("required"), list) else {}
    return more | {key: closed(value) for key, value in node.items()}


def path(kind: Kind) -> Path:
    return FOLDER / f"{kind.lower().replace(' ', '-')}.json"


def text(kind: Kind) -> str:
    return json.dumps(schema(kind), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for one in Kind:
        path(one).write_text(text(one))
