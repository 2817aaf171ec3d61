"""A small deployment on loopback that keeps the HTTP contract until a test tells it to break it."""

import base64
import hashlib
import io
import json
import re
import socket
import threading
import zipfile
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from sluice_client import uploads
from sluice_client.contract import Retry

TOKEN = "the-token-nobody-may-see"
CHECKSUM = "x-amz-checksum-sha256"
QUICK = Retry(attempts=4, base=0.001, longest=0.01)


@dataclass
class Fault:
    """What one request gets instead of its right answer."""

    status: int = 0  # 0: the right one, then
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None  # close the connection after so many bytes of the right body
    alter: bool = False  # flip a bit: of a part before S3 sees it, of a content before it is sent
    more: bytes = b""  # after the right body
    lost: bool = False  # do what was asked, but close the connection instead of answering


@dataclass
class Seen:
    """A request that arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Stored:
    filename: str
    size: int | None
    fingerprint: str | None
    content_type: str | None
    status: str = "uploading"
    parts: dict[int, bytes] = field(default_factory=dict)
    part_digest: str | None = None
    declared: dict[str, str] = field(default_factory=dict)
    vouched: bool = False  # its sender gave the digest of every part
    resumed: bool = False
    mismatch: dict[str, str] | None = None
    folder: str | None = None

    @property
    def content(self) -> bytes:
        return b"".join(self.parts[number] for number in sorted(self.parts))


class Deployment:
    """Answers on one port as the API, as the stream host and as S3. Use it as a context manager."""

    def __init__(self) -> None:
        self.files: dict[str, Stored] = {}
        self.gone: set[str] = set()  # the ids of those that were deleted
        self.renamed: dict[str, str] = {}  # what is said to be the id of a file
        self.seen: list[Seen] = []
        self.part_size = 1000
        self.single_bytes = uploads.SMALL_BYTES
        self.listed_parts = 100  # how many parts POST /files signs at once
        self.once = False  # parts' URLs work once, as that of a single PUT does
        self.ends_as = "ready"
        self.wrong_digest = False  # the digests that it finds are of other bytes
        self.believes = False  # what senders declare is not compared
        self.whole_refused = False  # PUT /files/{filename} is for somebody else
        self.shares: list[dict[str, Any]] = []
        self.drops: list[dict[str, Any]] = []
        self.password: str | None = None  # of every share
        self.title = "T"  # of every share
        self.openings = 0  # of shares
        self.ended_openings = 0  # the links of so many have ended
        self.unpacked = False  # an archive has to be put together first, which takes longer than links live
        self.export = b""
        self.keys: dict[str, str] = {}  # the file that an Idempotency-Key stands for
        self.etag = '"etag-1"'
        self.redirect_content = False
        # How many requests each URL of S3 answers, in the order they are led to; when none is left, any number.
        self.s3_answers: deque[int] = deque()
        self.ignore_range = False
        # What each connection for events sends; when none is left, the end.
        self.events: deque[list[dict[str, str]]] = deque()
        self.in_flight = self.most_in_flight = 0
        self.gate: threading.Event | None = None  # bodies of parts wait for it
        self.stall: threading.Event | None = None  # half of a content is sent, the rest waits for it
        self.stalled = threading.Event()  # a content waits
        self._faults: list[tuple[str, deque[Fault]]] = []
        self._left: dict[str, int | None] = {}  # answers of each URL of S3
        self._lock = threading.Lock()
        self.full = threading.Condition(self._lock)
        deployment = self

        class Handler(_Handler):
            owner = deployment

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Deployment":
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for event in (self.gate, self.stall):
            if event:
                event.set()
        self._server.shutdown()
        self._thread.join()
        self._server.close_connections()
        self._server.server_close()

    def fail(self, request: str, *faults: Fault) -> None:
        """The next requests that match `METHOD /path` (a regular expression) meet these faults, in turn."""
        self._faults.append((request, deque(faults)))

    def fault(self, request: str) -> Fault | None:
        with self._lock:
            for pattern, faults in self._faults:
                if faults and re.fullmatch(pattern, request):
                    return faults.popleft()
        return None

    def requests(self, pattern: str) -> list[Seen]:
        return [seen for seen in self.seen if re.fullmatch(pattern, f"{seen.method} {seen.path}")]

    def keep(
        self, content: bytes, filename: str = "file.bin", status: str = "ready", *, file_id: str | None = None
    ) -> str:
        """A file that was uploaded before, by a sender who declared nothing; answers its id."""
        file_id = file_id or f"file-{len(self.files) + 1}"
        self.files[file_id] = Stored(filename, len(content), None, None, status, {1: content})
        return file_id

    def s3_url(self, file_id: str) -> str:
        """Where a link to content leads: another URL each time."""
        with self._lock:
            path = f"/elsewhere/{file_id}?signature={len(self._left)}"
            self._left[path] = self.s3_answers.popleft() if self.s3_answers else None
        return self.url + path

    def expired(self, path: str) -> bool:
        """Whether this URL of S3 answers no longer."""
        with self._lock:
            if (left := self._left[path]) is not None:
                self._left[path] = left - 1
            return left is not None and left <= 0

    def archive(self) -> bytes:
        """All files as one ZIP."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for file_id, file in self.files.items():
                archive.writestr(file_id, file.content)
        return packed.getvalue()

    def digests(self, file: Stored) -> dict[str, str]:
        """What is found when all of it is read."""
        content = file.content + (b"!" if self.wrong_digest else b"")
        return {
            "sha-256": hashlib.sha256(content).hexdigest(),
            "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        }

    def end(self, file: Stored) -> None:
        """The verdict: what was declared is compared with what is found."""
        file.status, found = self.ends_as, self.digests(file)
        for name, value in file.declared.items():
            if value != found[name] and not self.believes:
                file.status, file.mismatch = "failed", {"name": name, "expected": value, "found": found[name]}
                break

    def count(self, by: int) -> None:
        with self._lock:
            self.in_flight += by
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self.full.notify_all()

    def document(self, file_id: str) -> dict[str, Any]:
        file = self.files[file_id]
        single = file.size is not None and file.size <= self.single_bytes
        part_size = self.single_bytes if single else self.part_size
        return {
            "id": self.renamed.get(file_id, file_id),
            "status": file.status,
            "revision": 1,
            "filename": file.filename,
            "folder": file.folder,
            "size": file.size,
            "part_size": None if file.size is None else part_size,
            "part_count": None if file.size is None else max(1, -(-file.size // part_size)),
            "part_digest": file.part_digest,
            "received_bytes": len(file.content),
            "hashed_bytes": 0,
            "digests": self.digests(file) if file.status == "ready" else {},
            "verified": file.status == "ready" and not self.believes and (bool(file.declared) or file.vouched),
            "reason": {"failed": "digest_mismatch" if file.mismatch else "unreadable"}.get(file.status),
            "mismatch": file.mismatch,
            "created_at": "2026-01-02T03:04:05.678Z",
            "links": {
                "self": f"{self.url}/files/{file_id}",
                "content": f"{self.url}/files/{file_id}/content?capability=c",
                "direct": f"{self.url}/files/{file_id}/content?capability=c&direct=1",
                "events": f"{self.url}/files/{file_id}/events?capability=c",
            },
        }

    def parts(self, file_id: str, digests: dict[int, str | None]) -> dict[str, Any]:
        """URLs of these parts, each locked to the digest where there is one; and all that have arrived."""
        file, size = self.files[file_id], self.document(file_id)["part_size"]
        return {
            "parts": [
                {
                    "number": number,
                    "offset": size and (number - 1) * size,
                    "size": size and file.size and min(size, file.size - (number - 1) * size),
                    "url": f"{self.url}/s3/{file_id}/{number}?signature={len(self.seen)}",
                    "headers": {"x-amz-test": str(number)}
                    | ({CHECKSUM: base64.b64encode(bytes.fromhex(digest)).decode()} if digest else {})
                    | ({"If-None-Match": "*"} if self.once else {}),
                    "expires_at": "2026-01-02T04:04:05Z",
                }
                for number, digest in digests.items()
            ],
            "received": [
                {"number": number, "size": len(body), "etag": "e", "digest": part_digest(file, body)}
                for number, body in sorted(file.parts.items())
            ],
        }


def part_digest(file: Stored, body: bytes) -> str | None:
    """As S3 stores it with a part of an upload that was begun for an algorithm."""
    return hashlib.sha256(body).hexdigest() if file.part_digest else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._connections):
            self.shutdown_request(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is part of what the tests do."""


class _Handler(BaseHTTPRequestHandler):
    owner: Deployment
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 (http.server's names)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, url.path, parse_qs(url.query), headers)
        self.owner.seen.append(seen)
        fault = self.owner.fault(f"{self.command} {url.path}") or Fault()
        seen.body = body = self._body(url.path)
        if fault.status:
            self._send(fault.status, fault.body, fault.headers)
        elif match := re.fullmatch(r"/files/([^/]+)/content|/elsewhere/([^/]+)", url.path):
            self._content(match[1] or match[2], fault, final=match[2] is not None)
        elif match := re.fullmatch(r"/files/([^/]+)/events", url.path):
            self._events(match[1])
        elif url.path == "/export":
            self._send(200, self.owner.export, {"Content-Type": "text/plain"}, fault.cut)
        elif match := re.fullmatch(r"/shares/([^/]+)/open", url.path):
            self._open(match[1], json.loads(body))
        elif re.fullmatch(r"/archives(/[^/]+/content)?", url.path):
            self._archive(seen.query)
        elif match := re.fullmatch(r"/s3/([^/]+)/(\d+)", url.path):
            self._part(self.owner.files[match[1]], int(match[2]), body, fault)
        else:
            self._api(url.path, parse_qs(url.query), body)

    def _part(self, file: Stored, number: int, body: bytes, fault: Fault) -> None:
        if fault.alter:
            body = bytes([body[0] ^ 1]) + body[1:]
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        if self.headers.get(CHECKSUM, checksum) != checksum:
            self._send(400, b"<Error><Code>BadDigest</Code></Error>", {})
            return
        if self.headers.get("if-none-match") == "*" and number in file.parts:
            self._send(412, b"", {})
            return
        file.parts[number] = body
        if fault.lost:
            self.close_connection = True
        else:
            self._send(200, b"", {"ETag": '"part"'})

    def _body(self, path: str) -> bytes:
        part = path.startswith("/s3/")
        self.owner.count(part)
        try:
            if self.owner.gate and part:
                self.owner.gate.wait()
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        finally:
            self.owner.count(-part)

    def _api(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        owner = self.owner
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._problem(401, "unauthorized", "The token is not one of this deployment.")
        elif (self.command, path) == ("POST", "/files"):
            self._create(json.loads(body))
        elif path in ("/shares", "/drops"):
            self._links(path[1:], body)
        elif path == "/files":
            found = [i for i, f in owner.files.items() if _listed(f, query)]
            first = int(query.get("cursor", ["0"])[0])
            items = [owner.document(i) for i in found[first : first + 2]]
            links = {"sha256sum": f"{owner.url}/export?folder={query.get('folder', [''])[0]}"}
            self._json(
                200, {"items": items, "links": links, "next": str(first + 2) if first + 2 < len(found) else None}
            )
        elif self.command == "PUT":
            self._put(unquote(path.removeprefix("/files/")), query, body)
        elif not (match := re.fullmatch(r"/files/([^/]+)(/parts|/complete)?", path)) or match[1] not in owner.files:
            self._problem(404, "file_not_found", "You have no file with this id.")
        elif self.command == "DELETE":
            del owner.files[match[1]]
            owner.gone.add(match[1])
            self._send(204, b"", {})
        elif self.command == "PATCH":
            for name, value in json.loads(body).items():
                setattr(owner.files[match[1]], name, value)
            self._json(200, owner.document(match[1]))
        elif match[2] == "/parts":
            self._sign(match[1], query, body)
        elif match[2] == "/complete":
            self._complete(match[1], json.loads(body))
        else:
            self._json(200, owner.document(match[1]))

    def _links(self, kind: str, body: bytes) -> None:
        """Shares and drops: one list of each."""
        made: list[dict[str, Any]] = getattr(self.owner, kind)
        if self.command == "POST":
            wanted = json.loads(body)
            number = len(made) + 1
            document = {
                "id": f"{kind}-{number}",
                "title": wanted.get("title"),
                "count": len(wanted.get("files", [])),
                "size": 3000,
                "files": 0,
                "downloads": 0,
                "max_files": wanted.get("max_files", 1),
                "max_downloads": wanted.get("max_downloads"),
                "expires_at": "2026-02-03T04:05:06Z",
            }
            made.append(wanted | document)
            capability = jwt_of({"record": document["id"]})
            self._json(201, document | {"links": {"page": f"{self.owner.url}/#{kind[:-1]}={capability}"}})
        else:
            self._json(200, {"items": made, "next": None})

    def _open(self, share_id: str, said: dict[str, str]) -> None:
        owner = self.owner
        if self.headers.get("authorization") != f"Bearer {jwt_of({'record': share_id})}":
            self._problem(404, "share_not_found", "There is no such share.")
        elif said.get("password") != owner.password:
            self._problem(403, "wrong_password", "This is not its password.")
        else:
            first = int(said.get("cursor", "0"))
            ids = list(owner.files)[first : first + 2]
            shown = ("id", "filename", "folder", "size", "content_type", "digests")
            files = [{name: owner.document(i).get(name) for name in shown} for i in ids]
            for file_id, file in zip(ids, files, strict=True):
                file["links"] = {"content": f"{owner.url}/files/{file_id}/content?capability=shared"}
            following = str(first + 2) if first + 2 < len(owner.files) else None
            owner.openings += 1
            links = {"archive": f"{owner.url}/archives/{share_id}/content?opening={owner.openings}"}
            self._json(200, {"title": owner.title, "message": None, "files": files, "links": links, "next": following})

    def _archive(self, query: dict[str, list[str]]) -> None:
        owner = self.owner
        link = f"{owner.url}/archives/archive-1/content"
        if self.command == "POST":
            owner.unpacked, owner.ended_openings = False, owner.openings
            document = {"id": "archive-1", "filename": f"{owner.title}.zip", "size": 1, "count": 1, "status": "ready"}
            self._json(201, document | {"links": {"content": link}})
        elif int(query.get("opening", [owner.ended_openings + 1])[0]) <= owner.ended_openings:
            self._problem(401, "capability_expired", "The link has ended.")
        elif owner.unpacked:
            self._problem(409, "archive_not_ready", "It has to be put together first.")
        else:
            self._send(200, owner.archive(), {})

    def _put(self, filename: str, query: dict[str, list[str]], body: bytes) -> None:
        owner = self.owner
        if owner.whole_refused:
            self._problem(403, "owner_only", "A capability sends files otherwise.")
            return
        key = self.headers["idempotency-key"]
        file_id = owner.keys.setdefault(key, f"file-{len(owner.files) + len(owner.gone) + 1}")
        if file_id in owner.gone:
            self._problem(404, "file_not_found", "You have no file with this id.")
            return
        if file_id not in owner.files:
            declared = {
                name: base64.b64decode(value).hex()
                for name, value in re.findall(r"([a-z0-9-]+)=:([^:]*):", self.headers["repr-digest"])
            }
            content_type, folder = self.headers["content-type"], query.get("folder", [None])[0]
            stored = Stored(filename, len(body), None, content_type, folder=folder, parts={1: body}, declared=declared)
            owner.files[file_id] = stored
            owner.end(stored)
        self._json(201, owner.document(file_id))

    def _create(self, wanted: dict[str, Any]) -> None:
        owner = self.owner
        status, file_id = 200, ""
        for known, file in owner.files.items():
            same = file.fingerprint == wanted.get("fingerprint") and file.size == wanted["size"]
            if same and file.fingerprint and file.status == "uploading" and not _contradicting(file, wanted):
                file_id = known
                file.resumed = True
                file.declared |= wanted.get("digests", {})
        if not file_id:
            status, file_id = 201, f"file-{len(owner.files) + len(owner.gone) + 1}"
            owner.files[file_id] = Stored(
                wanted["filename"],
                wanted["size"],
                wanted.get("fingerprint"),
                wanted.get("content_type"),
                folder=wanted.get("folder"),
                part_digest=wanted.get("part_digest"),
                declared=wanted.get("digests", {}),
            )
        document, file = owner.document(file_id), owner.files[file_id]
        numbers: Iterable[int] = [] if file.part_digest else range(1, document["part_count"] + 1)[: owner.listed_parts]
        lock = file.declared.get("sha-256") if (file.size or 0) <= owner.single_bytes else None
        self._json(status, document | owner.parts(file_id, dict.fromkeys(numbers, lock)))

    def _sign(self, file_id: str, query: dict[str, list[str]], body: bytes) -> None:
        file = self.owner.files[file_id]
        if self.command == "POST":
            digests = {part["number"]: part["digest"] for part in json.loads(body)["parts"]}
        elif file.part_digest:
            self._problem(409, "part_digest_needed", "POST the digest of each part.")
            return
        else:
            lock = file.declared.get("sha-256") if (file.size or 0) <= self.owner.single_bytes else None
            digests = dict.fromkeys(map(int, query["numbers"][0].split(",")), lock)
        self._json(200, self.owner.parts(file_id, digests))

    def _complete(self, file_id: str, said: dict[str, Any]) -> None:
        owner, file = self.owner, self.owner.files[file_id]
        listed = {part["number"]: part["digest"] for part in said.get("parts", [])}
        stored = {number: part_digest(file, body) for number, body in file.parts.items()}
        if _contradicting(file, said):
            self._problem(409, "digests_differ", "The digests of this file were said to be others.")
            return
        file.declared |= said.get("digests", {})
        if file.size is None:
            file.size = said["size"]
        if len(file.content) != file.size:
            self._problem(409, "parts_missing", "Parts of the file have not arrived.")
        elif listed and listed != stored:
            self._problem(409, "parts_differ", "The parts are not those that arrived.")
        elif file.resumed and not file.declared and not listed:
            self._problem(409, "digests_needed", "This upload was resumed.")
        else:
            file.status, file.vouched = "hashing", bool(listed)
            if (file.size or 0) <= owner.single_bytes and "sha-256" in file.declared and owner.ends_as == "ready":
                owner.end(file)  # S3 has compared the PUT with it
            self._json(202, owner.document(file_id))

    def _events(self, file_id: str) -> None:
        owner = self.owner
        if owner.events:
            events = owner.events.popleft()
        else:
            owner.end(owner.files[file_id])
            last = owner.document(file_id)
            events = [
                {"retry": "1"},
                {"id": "2", "event": "progress", "data": json.dumps({"status": "hashing", "hashed_bytes": 1})},
                {"id": "3", "event": last["status"], "data": json.dumps(last)},
            ]
        text = "".join("".join(f"{name}: {value}\n" for name, value in event.items()) + "\n" for event in events)
        self._send(200, text.encode(), {"Content-Type": "text/event-stream"})

    def _content(self, file_id: str, fault: Fault, *, final: bool) -> None:
        owner = self.owner
        if owner.redirect_content and not final:
            self._send(307, b"", {"Location": owner.s3_url(file_id)})
            return
        if final and owner.expired(self.path):
            self._send(403, b"<Error><Code>AccessDenied</Code></Error>", {})
            return
        content = owner.files[file_id].content
        if fault.alter:
            content = bytes([content[0] ^ 1]) + content[1:]
        if owner.stall:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            owner.stalled.set()
            owner.stall.wait()
            return
        first, last, status, headers = 0, len(content) - 1, 200, {"ETag": owner.etag}
        if self.headers.get("if-match", owner.etag) != owner.etag:
            self._problem(412, "precondition_failed", "It was replaced.")
            return
        if (asked := self.headers.get("range")) and not owner.ignore_range:
            begin, _, end = asked.removeprefix("bytes=").partition("-")
            first, last, status = int(begin), min(int(end), last), 206
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._send(status, content[first : last + 1] + fault.more, headers | fault.headers, fault.cut)

    def _problem(self, status: int, code: str, detail: str) -> None:
        document = {"type": "about:blank", "title": "t", "status": status, "detail": detail, "code": code}
        self._send(status, json.dumps(document).encode(), {"Content-Type": "application/problem+json"})

    def _json(self, status: int, document: object) -> None:
        self._send(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True


def jwt_of(claims: dict[str, str]) -> str:
    """A capability as the server makes them, but that nobody here checks its signature."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


def _listed(file: Stored, query: dict[str, list[str]]) -> bool:
    folder = query.get("folder", [""])[0]
    inside = not folder or f"{file.folder or ''}/".startswith(f"{folder}/")
    return file.status in query.get("status", [file.status]) and inside


def _contradicting(file: Stored, said: dict[str, Any]) -> bool:
    return any(file.declared.get(name, value) != value for name, value in said.get("digests", {}).items())
