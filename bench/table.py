"""A DynamoDB of one owner's files that is nearly nowhere: `python -m bench.table COUNT` prints its port.

It knows what the feed and the exports ask for: the index `changes`, records by their ids, secrets, and a list of COUNT
records, whose pages are all the same but for the cursor. `POST /change` moves a file, `POST /asked` counts requests.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sluice.files import File, Mode, Status, _to_item, now

OWNER, KEY = "bench", "k" * 64
SECRETS = {"tokens": json.dumps({OWNER: "a-token"}), "key": KEY}
PAGE = 100  # records


def a_file(number: int, **changes: Any) -> File:
    """As large a record as a usual one is."""
    values: dict[str, Any] = {
        "id": f"01m7z2{number:04d}{_random_hex(f'id {number}', 16)}",
        "status": Status.READY,
        "filename": f"A photograph of some holiday {number % 1000}.jpeg",
        "folder": f"holidays/2026/week {number % 52}",
        "size": 3_145_728 + number,
        "content_type": "image/jpeg",
        "mode": Mode.SINGLE,
        "part_size": 8_388_608,
        "digests": {name: _random_hex(f"{name} {number}", length) for name, length in LENGTHS.items()},
        "etag": _random_hex(f"etag {number}", 32),
        "version_id": _random_hex(f"version {number}", 32),
        "verified": True,
    }
    return File(owner=OWNER, **values | changes)


LENGTHS = {"sha-256": 64, "md5": 32, "crc64nvme": 16}


def _random_hex(seed: str, length: int) -> str:
    """What does not compress: a real digest."""
    return hashlib.sha256(seed.encode()).hexdigest()[:length]


class Table(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, records: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages = -(-records // PAGE)
        items = [_to_item(a_file(number)) for number in range(PAGE)]
        self.page = json.dumps({"Items": items, "Count": PAGE, "ScannedCount": PAGE})[:-1].encode()
        self.file = a_file(0, status=Status.HASHING)
        self.asked: dict[str, int] = {}

    def change(self) -> str:
        self.file = a_file(0, status=Status.HASHING, revision=self.file.revision + 1, updated_at=now())
        return self.file.updated_at

    def answer(self, operation: str, asked: Mapping[str, Any]) -> bytes:
        self.asked[operation] = self.asked.get(operation, 0) + 1
        if operation == "GetSecretValue":
            return json.dumps({"Name": asked["SecretId"], "SecretString": SECRETS[asked["SecretId"]]}).encode()
        if operation == "BatchGetItem":
            return json.dumps({"Responses": {"bench": [_to_item(self.file)]}, "UnprocessedKeys": {}}).encode()
        if operation == "PutItem":
            return b"{}"
        if asked.get("IndexName") == "changes":
            file = self.file
            keys = {"feed": OWNER, "owner": OWNER, "id": file.id, "changed": file.updated_at}
            item = {name: {"S": value} for name, value in keys.items()}
            found = [item] if file.updated_at >= asked["ExpressionAttributeValues"][":since"]["S"] else []
            return json.dumps({"Items": found, "Count": len(found), "ScannedCount": len(found)}).encode()
        place = int(asked.get("ExclusiveStartKey", {}).get("id", {}).get("S", 0)) + 1
        last = {"owner": {"S": OWNER}, "id": {"S": f"{place:026d}"}}
        rest = f', "LastEvaluatedKey": {json.dumps(last)}}}' if place < self.pages else "}"
        return self.page + rest.encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Table

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/change":
            answer = self.server.change().encode()
        elif self.path == "/asked":
            answer = json.dumps(self.server.asked).encode()
        else:
            answer = self.server.answer(self.headers["X-Amz-Target"].rpartition(".")[2], json.loads(body))
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(answer)}\r\n\r\n"
        self.wfile.write(head.encode() + answer)

    def log_message(self, *_: object) -> None:
        """Requests are many, and nobody reads them."""


if __name__ == "__main__":
    with Table(int(sys.argv[1])) as server:
        print(server.server_port, flush=True)
        server.serve_forever()
