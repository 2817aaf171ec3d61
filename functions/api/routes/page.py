"""The page for people: what `make web` built from `web/`, served beside the API that it asks."""

import gzip
from functools import cache
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Header, Response

from functions.api import connections
from functions.api.routes import links
from sluice.errors import FileNotFound, PageNotBuilt

BUILT = Path(__file__).parents[1] / "dist"
MEDIA_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}

router = APIRouter(include_in_schema=False)
AcceptEncoding = Annotated[str, Header()]


@router.get("/")
def index(accept_encoding: AcceptEncoding = "") -> Response:
    if not (BUILT / "index.html").is_file():
        raise PageNotBuilt("Run `make web`, which needs npm, and start or deploy again. The API works without it.")
    return answer("index.html", accept_encoding, {"Cache-Control": "no-cache", **SECURITY, **policy()})


@router.get("/assets/{name}")
def asset(name: str, accept_encoding: AcceptEncoding = "") -> Response:
    """A file whose name holds a hash of what is in it: it never changes."""
    if name not in assets():
        raise FileNotFound("The page has no such file (any more): load it again.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    if name.startswith("worker-"):
        # A worker obeys the policy that its own script came with, and that names hosts which may change.
        headers = {"Cache-Control": "no-cache", **policy()}
    return answer(f"assets/{name}", accept_encoding, headers)


SECURITY = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def policy() -> dict[str, str]:
    """What the page may load and ask: this origin, the stream host, the bucket, the issuer's, and nobody else."""
    stream = urlsplit(links.stream_url)
    stored = f"{stream.scheme}://{stream.netloc} {connections.objects.origin}"  # the bytes of files
    issuer = "".join(f" {origin}" for origin in sorted(connections.issuer.origins())) if connections.issuer else ""
    sources = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' {stored}",
        "media-src": stored,
        "frame-src": stored,
        "connect-src": f"'self' {stored}{issuer}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {"Content-Security-Policy": "; ".join(f"{name} {allowed}" for name, allowed in sources.items())}


@cache
def assets() -> frozenset[str]:
    """The names of the files, which alone may be asked for."""
    return frozenset(path.name for path in (BUILT / "assets").glob("*"))


@cache
def content(path: str) -> tuple[bytes, bytes]:
    """A built file, as it is and compressed: an HTTP API compresses nothing, and most of the page is text."""
    plain = (BUILT / path).read_bytes()
    return plain, gzip.compress(plain, mtime=0)


def answer(path: str, accept_encoding: str, headers: dict[str, str]) -> Response:
    plain, compressed = content(path)
    zipped = "gzip" in accept_encoding
    return Response(
        compressed if zipped else plain,
        headers={**headers, "Vary": "Accept-Encoding", **({"Content-Encoding": "gzip"} if zipped else {})},
        media_type=MEDIA_TYPES[Path(path).suffix],
    )
