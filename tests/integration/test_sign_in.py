"""People who sign in at an issuer, through the front door and the real handlers."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.aws import connect
from sluice import VERSION
from sluice.capabilities import ALL_FILES, Holder, Use, issue
from tests.integration import journey
from tests.integration.conftest import Stack, standing
from tests.integration.issuer import CLIENT_ID, Issuer, issuing
from tests.integration.journey import client
from tests.integration.test_api import problem

HOUR = 3_600


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as one:
        yield one


@pytest.fixture(scope="module")
def stack(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    parameters = {"OidcIssuer": issuer.name, "OidcClientId": CLIENT_ID, "OidcAdminGroup": "keepers"}
    with standing(tmp_path_factory.mktemp("stack"), parameters=parameters) as up:
        _keep_out(up, "oidc.mallory")  # before a function has the secret, which each then keeps for five minutes
        yield up


@pytest.fixture
def signed_in(stack: Stack, issuer: Issuer) -> Iterator[Callable[..., httpx.Client]]:
    """The API, for a person with these claims."""
    opened: list[httpx.Client] = []

    def open_for(sub: str = "alice", **claims: Any) -> httpx.Client:
        opened.append(client(stack.api, issuer.token(sub=sub, **claims)))
        return opened[-1]

    yield open_for
    for one in opened:
        one.close()


def refused(stack: Stack, token: str, code: str, status: int = 401) -> dict[str, Any]:
    with client(stack.api, token) as api:
        answer = api.get("/files")
    if status == 401:
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token", error_description="')
    return problem(answer, status, code)


def unsigned(token: str, **header: str) -> str:
    """The same claims with another header, and no signature."""
    head = base64.urlsafe_b64encode(json.dumps({"typ": "JWT", **header}).encode()).decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


def test_a_person_sends_and_takes_files(stack: Stack, signed_in: Callable[..., httpx.Client]) -> None:
    """All that an owner does, the links of the stream host among it."""
    alice = signed_in()
    assert alice.get("/me").json() == {"owner": "oidc.alice", "admin": False, "token": None, "version": VERSION}
    file = journey.ended(alice, journey.upload(alice, b"signed in"))
    assert file["status"] == "ready"
    content = httpx.get(alice.get(f"/files/{file['id']}").json()["links"]["content"], trust_env=False)
    assert content.content == b"signed in"
    share = alice.post("/shares", json={"files": [file["id"]], "expires_in": 600}).json()
    with client(stack.api, share["capability"]) as holder:
        assert holder.post(f"/shares/{share['id']}/open").json()["files"][0]["id"] == file["id"]
    drop = alice.post("/drops", json={"max_files": 1, "expires_in": 600}).json()
    with client(stack.api, drop["capability"]) as guest:
        assert journey.ended(guest, journey.upload(guest, b"by a guest"))["status"] == "ready"


def test_persons_and_tokens_do_not_meet(stack: Stack, signed_in: Callable[..., httpx.Client]) -> None:
    """A person who is called as an owner in the secret is another owner."""
    file = journey.ended(signed_in("default"), journey.upload(signed_in("default"), b"mine"))
    with client(stack.api, stack.token) as default:
        problem(default.get(f"/files/{file['id']}"), 404, "file_not_found")
    problem(signed_in("bob").get(f"/files/{file['id']}"), 404, "file_not_found")


def test_tokens_that_are_not_ours_are_refused(stack: Stack, issuer: Issuer) -> None:
    """Each with its code: another issuer's, another audience's, expired, not signed, or signed by somebody else."""
    good = issuer.token()
    refused(stack, issuer.token(iss="https://elsewhere.example"), "wrong_issuer")
    refused(stack, issuer.token(aud="another-page"), "wrong_audience")
    refused(stack, issuer.token(aud=["another-page", "a-third"]), "wrong_audience")
    refused(stack, issuer.token(aud=None), "wrong_audience")
    refused(stack, issuer.token(exp=int(time.time()) - 120), "token_expired")
    refused(stack, issuer.token(exp=None), "invalid_token")
    refused(stack, issuer.token(nbf=int(time.time()) + HOUR), "invalid_token")
    refused(stack, issuer.token(sub=None), "invalid_token")
    refused(stack, issuer.token(sub=""), "invalid_token")
    refused(stack, unsigned(good, alg="none"), "wrong_algorithm")
    refused(stack, unsigned(good, alg="RS256"), "invalid_token")
    refused(stack, unsigned(good, alg="RS256", kid="made-up"), "unknown_key")
    refused(stack, unsigned(good, alg="RS256", kid=next(iter(issuer.keys))), "invalid_token")
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    refused(stack, issuer.token(key=stranger), "invalid_token")
    with client(stack.api, good) as alice:
        assert alice.get("/files").status_code == 200


def test_the_public_key_is_no_shared_secret(stack: Stack, issuer: Issuer) -> None:
    """HS256 with the issuer's public key, which everybody has: RFC 8725, section 2.1."""
    public = next(iter(issuer.keys.values())).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    # PyJWT refuses to make such a token, so the key is given as bytes that do not look like one.
    signing = ".".join(unsigned(issuer.token(), alg="HS256").split(".")[:2])
    assert claims["iss"] == issuer.name
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signing.encode(), pem)
    forged = f"{signing}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    refused(stack, forged, "wrong_algorithm")


def test_cognitos_access_tokens_name_a_client(stack: Stack, issuer: Issuer) -> None:
    """They have no audience."""
    with client(stack.api, issuer.token(aud=None, client_id=CLIENT_ID)) as api:
        assert api.get("/files").status_code == 200
    refused(stack, issuer.token(aud=None, client_id="another"), "wrong_audience")


def test_administrators_see_and_end_what_others_gave_out(signed_in: Callable[..., httpx.Client]) -> None:
    """And nobody else does. They see no link by which they could take files out."""
    alice, bob, keeper = signed_in(), signed_in("bob"), signed_in("carol", groups=["keepers"])
    file = journey.ended(alice, journey.upload(alice, b"given out"))
    share = alice.post("/shares", json={"files": [file["id"]], "expires_in": 600}).json()
    drop = alice.post("/drops", json={"max_files": 1, "expires_in": 600}).json()
    token = alice.post("/tokens", json={"name": "backup", "expires_in": 600}).json()
    assert "oidc.alice" in keeper.get("/owners").json()["items"]
    assert {"default", "other"} <= set(keeper.get("/owners").json()["items"])
    whose = {"owner": "oidc.alice"}
    for path in ("/shares", "/drops", "/tokens"):
        problem(bob.get(path, params=whose), 403, "admin_only")
        assert alice.get(path, params=whose).status_code == 200
    problem(bob.get("/owners"), 403, "admin_only")
    for path, made in (("/shares", share), ("/drops", drop), ("/tokens", token)):
        seen = {one["id"]: one for one in keeper.get(path, params=whose).json()["items"]}[made["id"]]
        assert not {"capability", "token"} & set(seen)
        assert "page" not in seen.get("links", {})
        problem(bob.delete(f"{path}/{made['id']}", params=whose), 403, "admin_only")
        assert keeper.delete(f"{path}/{made['id']}", params=whose).status_code == 204
        assert made["id"] not in [one["id"] for one in alice.get(path).json()["items"]]
    problem(keeper.get(f"/files/{file['id']}"), 404, "file_not_found")


def test_an_access_token_is_for_a_machine(stack: Stack, signed_in: Callable[..., httpx.Client]) -> None:
    """It does what its owner does, ends when it is revoked, and makes no other: a stolen one ends with itself."""
    alice = signed_in()
    answer = alice.post("/tokens", json={"name": "nightly backup", "expires_in": 600})
    assert answer.status_code == 201
    made = answer.json()
    shown = {name: value for name, value in made.items() if name != "token"}
    assert shown in alice.get("/tokens").json()["items"]
    with client(stack.api, made["token"]) as machine:
        assert machine.get("/me").json()["token"] == made["id"]
        file = journey.ended(machine, journey.upload(machine, b"by a machine"))
        assert alice.get(f"/files/{file['id']}").json()["status"] == "ready"
        problem(machine.post("/tokens", json={"name": "another", "expires_in": 600}), 403, "sign_in_needed")
        problem(machine.get("/tokens"), 403, "sign_in_needed")
        problem(machine.delete(f"/tokens/{made['id']}"), 403, "sign_in_needed")
        problem(signed_in("bob").delete(f"/tokens/{made['id']}"), 404, "token_not_found")
        assert alice.delete(f"/tokens/{made['id']}").status_code == 204
        problem(machine.get("/me"), 401, "unauthorized")
    problem(alice.delete(f"/tokens/{made['id']}"), 404, "token_not_found")
    problem(alice.delete("/tokens/nonsense"), 404, "token_not_found")


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"name": "x"}, {"name": "", "expires_in": 60}, {"name": "x", "expires_in": 367 * 86_400}),
        *({"name": "a\nb", "expires_in": 60}, {"name": "x", "expires_in": 0}, {"name": "x" * 101, "expires_in": 60}),
    ],
)
def test_a_token_has_a_name_and_an_end(signed_in: Callable[..., httpx.Client], body: dict[str, Any]) -> None:
    """Nobody knows later what one without a name is for."""
    problem(signed_in().post("/tokens", json=body), 422, "invalid_request")


def test_an_access_token_ends_by_itself(stack: Stack, signed_in: Callable[..., httpx.Client]) -> None:
    """DynamoDB forgets it up to two days later."""
    made = signed_in().post("/tokens", json={"name": "short", "expires_in": 1}).json()
    with client(stack.api, made["token"]) as machine:
        late = time.monotonic() + journey.PATIENCE_SECONDS
        while machine.get("/me").status_code != 401:
            assert time.monotonic() < late


def test_altered_access_tokens_are_none(stack: Stack, signed_in: Callable[..., httpx.Client]) -> None:
    """Whoever knows a token's owner and id knows nothing."""
    made = signed_in().post("/tokens", json={"name": "backup", "expires_in": 600}).json()["token"]
    word, owner, record, rest = made.split(".")
    other = base64.urlsafe_b64encode(b"default").decode().rstrip("=")
    for text in (
        f"{word}.{owner}.{record}.{'A' * 43}",
        f"{word}.{other}.{record}.{rest}",
        f"{word}.{owner}.{'0' * 26}.{rest}",
        f"{word}._w.{record}.{rest}",
        f"{word}.{owner}.{record}.{rest}x",
    ):
        with client(stack.api, text) as api:
            problem(api.get("/me"), 401, "unauthorized")


def test_the_last_word_is_the_secrets(stack: Stack, issuer: Issuer) -> None:
    """An administrator ends a person's access, and the links in that name, whatever the issuer says."""
    refused(stack, issuer.token(sub="mallory"), "access_denied", 403)
    key = str(connect(stack.aws).secrets.get_secret_value(SecretId="local-CapabilityKey")["SecretString"])
    for owner, status in (("oidc.mallory", 403), ("oidc.alice", 200)):
        link = issue(key, Holder(owner), ALL_FILES, Use.EXPORT, 60)
        answer = httpx.get(f"{stack.stream}/files.csv", params={"capability": link}, trust_env=False)
        assert answer.status_code == status


def _keep_out(stack: Stack, owner: str) -> None:
    secrets = connect(stack.aws).secrets
    (name,) = [one["Name"] for one in secrets.list_secrets()["SecretList"] if "AccessToken" in one["Name"]]
    owners = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps(owners | {owner: None}))


def test_what_a_client_needs_to_sign_in(stack: Stack, issuer: Issuer) -> None:
    """Is told to everybody: it is no secret."""
    told = httpx.get(f"{stack.api}/auth", trust_env=False).json()["sign_in"]
    assert told["issuer"] == issuer.name
    assert told["client_id"] == CLIENT_ID
    assert told["token_endpoint"] == f"{issuer.url}/token"
    assert told["resource"] is None
    assert told["scope"] == "openid offline_access"
