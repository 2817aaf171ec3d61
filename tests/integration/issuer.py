"""An OpenID Connect issuer on loopback: what it says of itself, its keys, tokens as a test wants them, and devices.

What a person does at an issuer is in tests/browser, at a certified one.
"""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

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
        self.approved: str | None = None  # who has signed in for the device that asks
        self.refresh_tokens: dict[str, str] = {}  # those that count -> whose
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

    def granted(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """What the token endpoint says: RFC 8628, section 3.5; RFC 6749, section 6. A refresh token counts once."""
        if form["grant_type"] == "refresh_token":
            person = self.refresh_tokens.pop(form["refresh_token"], None)
            if person is None:
                return 400, {"error": "invalid_grant"}
        elif self.approved is None:
            return 400, {"error": "authorization_pending"}
        else:
            person = self.approved
        refresh_token = secrets.token_urlsafe()
        self.refresh_tokens[refresh_token] = person
        return 200, {"access_token": self.token(sub=person), "token_type": "Bearer", "refresh_token": refresh_token}

    def posted(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path == "/device_authorization":
            told = {"device_code": "a-device", "user_code": "ABCD-EFGH", "verification_uri": f"{self.url}/device"}
            return 200, {**told, "expires_in": 60, "interval": 0.05}
        if path == "/revocation":
            self.refresh_tokens.pop(form["token"], None)
            return 200, {}
        return self.granted(form)

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
        document = self.server.document(self.path)
        self._answer(404 if document is None else 200, document)

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._answer(*self.server.posted(self.path, {name: values[0] for name, values in form.items()}))

    def _answer(self, status: int, document: dict[str, Any] | None) -> None:
        self.server.asked.append(self.path)
        body = json.dumps(None if self.server.down else document).encode()
        self.send_response(503 if self.server.down else status)
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
