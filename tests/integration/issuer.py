"""An OpenID Connect issuer on loopback: what it says of itself, its keys, and tokens as a test wants them.

What a person does at an issuer is in tests/browser, at a certified one.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

CLIENT_ID = "the-page"


class Issuer(ThreadingHTTPServer):
    """`keys` are what it has now, by id; while it is `down` it answers 503; `asked` are the paths of all requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.name = self.url  # what it calls itself
        self.keys: dict[str, Any] = {}
        self.down = False
        self.asked: list[str] = []
        self.rotate("first")

    def rotate(self, kid: str, *, curve: bool = False) -> None:
        """Have this key and no other."""
        key: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if curve
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        self.keys = {kid: key}

    def token(self, kid: str | None = None, *, algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        """A token of now; a claim that is None is left out."""
        kid = kid or next(iter(self.keys))
        usual = {"iss": self.name, "aud": CLIENT_ID, "sub": "alice", "exp": int(time.time()) + 600}
        said = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode(said, key or self.keys[kid], algorithm=algorithm, headers={"kid": kid})

    def document(self, path: str) -> dict[str, Any] | None:
        if path == "/.well-known/openid-configuration":
            endpoints = ("authorization", "token", "revocation", "device_authorization", "end_session")
            told = {f"{name}_endpoint": f"{self.url}/{name}" for name in endpoints}
            return {"issuer": self.name, "jwks_uri": f"{self.url}/keys", **told}
        if path == "/keys":
            return {"keys": [_public(kid, key) for kid, key in self.keys.items()]}
        return None


def _public(kid: str, key: Any) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    document: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return document | {"kid": kid, "use": "sig"}


class _Handler(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        document = None if self.server.down else self.server.document(self.path)
        body = json.dumps(document).encode()
        self.send_response(503 if self.server.down else 404 if document is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """A test that fails says what it missed."""


@contextmanager
def issuing() -> Iterator[Issuer]:
    with Issuer() as issuer:
        thread = Thread(target=issuer.serve_forever)
        thread.start()
        try:
            yield issuer
        finally:
            issuer.shutdown()
            thread.join()
