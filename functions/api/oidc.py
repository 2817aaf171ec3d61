"""Sign-in: who a token of the OpenID Connect issuer stands for.

The token is checked here and not by the HTTP API's own authorizer, because the same door also takes access tokens and
capabilities. What has to hold: its algorithm is one of ALGORITHMS, its issuer and audience are ours, a key of the
issuer signed it, and it has not ended (RFC 8725; RFC 9068, section 4; OpenID Connect Core 1.0, section 3.1.3.7).
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self
from urllib.parse import quote_from_bytes, urlsplit

import jwt
import urllib3
from aws_lambda_powertools import Logger
from jwt.exceptions import PyJWKClientConnectionError

from sluice import settings
from sluice.errors import (
    AccessDenied,
    InvalidToken,
    SignInUnavailable,
    TokenExpired,
    UnknownKey,
    WrongAlgorithm,
    WrongAudience,
    WrongIssuer,
)
from sluice.files import OWNER
from sluice.tokens import SIGNED_IN

# All by public keys: whoever may check a token can make none (RFC 8725, section 3.1).
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY_SECONDS = 60  # that clocks may differ
KEYS_SECONDS = 300  # a key that the issuer withdraws counts so long
COOLDOWN_SECONDS = 30  # between two looks for a key that is not there, whoever makes one up
TIMEOUT_SECONDS = 3.0  # of the issuer; the API itself has 29
MAX_TOKEN_CHARACTERS = 10_240  # the headers that an HTTP API takes, in all
DISCOVERY = "/.well-known/openid-configuration"  # OpenID Connect Discovery 1.0, section 4
# OpenID Connect Discovery 1.0, section 3; RFC 8628, section 4; RP-Initiated Logout 1.0, section 2.1.
ASKED_BY_THE_PAGE = ("token_endpoint", "revocation_endpoint")
ENDPOINTS = (
    *("authorization_endpoint", *ASKED_BY_THE_PAGE),
    *("device_authorization_endpoint", "end_session_endpoint"),
)
_KEPT = "@"  # besides letters, digits and _.-, which are never quoted

logger = Logger()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the deployment expects of a token, and asks for."""

    issuer: str
    client_id: str
    audience: str
    scope: str
    owner_claim: str
    groups_claim: str
    user_group: str
    admin_group: str

    @classmethod
    def read(cls) -> Self | None:
        """From the settings. None where nobody signs in."""
        issuer = settings.OIDC_ISSUER.read()
        if issuer is None:
            return None
        client_id = settings.OIDC_CLIENT_ID.read()
        if not client_id:
            raise settings.SettingError("OIDC_CLIENT_ID is not set, and OIDC_ISSUER is: each needs the other.")
        return cls(
            issuer=issuer,
            client_id=client_id,
            audience=settings.OIDC_AUDIENCE.read() or client_id,
            scope=settings.OIDC_SCOPE.read(),
            owner_claim=settings.OIDC_OWNER_CLAIM.read(),
            groups_claim=settings.OIDC_GROUPS_CLAIM.read(),
            user_group=settings.OIDC_USER_GROUP.read(),
            admin_group=settings.OIDC_ADMIN_GROUP.read(),
        )


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in: the owner of his files, and whether he is an administrator."""

    owner: str
    admin: bool


class Keys(jwt.PyJWKClient):
    """The issuer's keys, as PyJWT keeps them; while the issuer does not answer, those that it had last."""

    _last: jwt.PyJWKSet | None = None

    def get_jwk_set(self, refresh: bool = False) -> jwt.PyJWKSet:
        try:
            self._last = super().get_jwk_set(refresh)
        except (PyJWKClientConnectionError, ValueError) as error:
            if self._last is None or self.jwk_set_cache is None:
                raise
            logger.warning("The issuer's keys cannot be had: those of before count on", error=str(error))
            self.jwk_set_cache.put(self._last)  # or each request would wait for the issuer
        return self._last


class Issuer:
    """An OpenID Connect issuer. What it says of itself is asked for when it is needed first, and once."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Its discovery document. Raises SignInUnavailable."""
        url = self.rules.issuer.rstrip("/") + DISCOVERY
        try:
            answer = urllib3.request("GET", url, timeout=TIMEOUT_SECONDS, redirect=False, retries=False)
            document = answer.json() if answer.status == 200 else None
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            logger.warning("The issuer does not answer", url=url, error=str(error))
            raise SignInUnavailable("Try again in a moment.") from None
        # Section 4.3: another name than the one that was asked is another issuer.
        if not isinstance(document, dict) or document.get("issuer") != self.rules.issuer:
            logger.error("This is no discovery document of the issuer", url=url, status=answer.status)
            raise SignInUnavailable("The issuer is not set up as this deployment expects: tell its administrator.")
        return document

    def describe(self) -> dict[str, Any]:
        """What a client needs to send a person to the issuer. Raises SignInUnavailable."""
        rules = self.rules
        # RFC 8707, section 2: a resource is an absolute URI. Where it is none, the scope says whom a token is for.
        resource = rules.audience if urlsplit(rules.audience).scheme else None
        told = {"issuer": rules.issuer, "client_id": rules.client_id, "scope": rules.scope, "resource": resource}
        return told | {name: self.metadata.get(name) for name in ENDPOINTS}

    def origins(self) -> frozenset[str]:
        """Where the page asks for tokens; the issuer's own while it does not say."""
        try:
            urls = [self.metadata.get(name) for name in ASKED_BY_THE_PAGE]
        except SignInUnavailable:
            urls = [self.rules.issuer]
        return frozenset(origin(url) for url in urls if url)

    @cached_property
    def _keys(self) -> Keys:
        return Keys(
            str(self.metadata["jwks_uri"]),
            lifespan=KEYS_SECONDS,
            cooldown_duration=COOLDOWN_SECONDS,
            timeout=TIMEOUT_SECONDS,
        )

    def person(self, token: str) -> Person:
        """Raises InvalidToken and its kinds, AccessDenied, SignInUnavailable."""
        claims = self._claims(token)
        groups = self._groups(claims)
        admin = self.rules.admin_group in groups
        if self.rules.user_group and self.rules.user_group not in groups and not admin:
            raise AccessDenied("You signed in, and are not in the group that may use this deployment.")
        return Person(self._owner(claims), admin)

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            said = jwt.decode_complete(token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            raise InvalidToken("It cannot be read.") from None
        # Before any key is asked for: what is not ours costs nothing.
        if said["header"].get("alg") not in ALGORITHMS:
            raise WrongAlgorithm(f"The algorithms are {', '.join(ALGORITHMS)}.")
        if said["payload"].get("iss") != self.rules.issuer:
            raise WrongIssuer("Sign in again, where this deployment sends you.")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key(said["header"]),
                algorithms=ALGORITHMS,
                issuer=self.rules.issuer,
                leeway=LEEWAY_SECONDS,
                # The audience is checked below: Amazon Cognito's access tokens have none.
                options={"require": ["exp", "iss"], "verify_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise TokenExpired("Sign in again.") from None
        except (jwt.InvalidTokenError, jwt.InvalidKeyError) as error:
            raise InvalidToken(f"{error}.") from None
        self._check_audience(claims)
        return claims

    def _key(self, header: dict[str, Any]) -> Any:
        """The issuer's key that the token names. Raises UnknownKey, SignInUnavailable."""
        keys = self._keys
        try:
            if header.get("kid") is None:  # which RFC 7517 allows where there is one key only
                only = keys.get_signing_keys()
                if len(only) == 1:
                    return only[0].key
                raise UnknownKey("It does not say which.")
            return keys.get_signing_key(header["kid"]).key
        except (PyJWKClientConnectionError, ValueError) as error:
            logger.warning("The issuer's keys cannot be had", error=str(error))
            raise SignInUnavailable("Try again in a moment.") from None
        except jwt.PyJWTError:
            raise UnknownKey("Sign in again.") from None

    def _check_audience(self, claims: dict[str, Any]) -> None:
        meant = claims.get("aud")
        if meant is None:
            # As API Gateway has it: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
            held = claims.get("client_id") == self.rules.client_id == self.rules.audience
        else:
            held = self.rules.audience in (meant if isinstance(meant, list) else [meant])
        if not held:
            raise WrongAudience(f"It has to be made for {self.rules.audience}.")

    def _groups(self, claims: dict[str, Any]) -> frozenset[str]:
        said = claims.get(self.rules.groups_claim)
        return frozenset(one for one in (said if isinstance(said, list) else [said]) if isinstance(one, str) and one)

    def _owner(self, claims: dict[str, Any]) -> str:
        name = claims.get(self.rules.owner_claim)
        if not isinstance(name, str) or not name:
            raise InvalidToken(f"It has no claim {self.rules.owner_claim} that says whose files these are.")
        if self.rules.owner_claim == "email" and claims.get("email_verified") is not True:
            # With some issuers anybody may call himself by any address (OpenID Connect Core 1.0, section 5.7).
            raise InvalidToken("Its issuer has not verified the address.")
        return owner_named(name)


def issued(token: str) -> bool:
    """Whether it is a token that some issuer made. Our own capabilities, which are JWTs too, name none."""
    if len(token) > MAX_TOKEN_CHARACTERS or token.count(".") != 2:
        return False
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return False
    return "iss" in claims


def owner_named(claim: str) -> str:
    """The owner's name of a person's: two persons never have the same, and none has that of an owner in the secret.

    What cannot be in an owner's name is written as `=` and two hexadecimal digits a byte, so that names can be read.
    """
    quoted = re.sub("%|~", _escaped, quote_from_bytes(claim.encode(), safe=_KEPT))
    name = SIGNED_IN + quoted
    # A claim may be longer than a key has room for. `=s` begins no byte.
    return name if OWNER.fullmatch(name) else f"{SIGNED_IN}=sha256={hashlib.sha256(claim.encode()).hexdigest()}"


def _escaped(found: re.Match[str]) -> str:
    return "=" if found[0] == "%" else "=7E"


def origin(url: str) -> str:
    """Scheme, host and port, as a Content-Security-Policy names them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
