"""A CloudFront distribution before a door: what becomes of a request on its way to the origin.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html. Only
distributions that cache nothing are played. The origin's door is called in this process, and that a distribution has
signed a request (origin access control) is said beside it, in its scope, where no client can say anything.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local.asgi import Application, Message, Receive, Send
from local.payload import Headers, end_to_end
from local.template import ACCOUNT, Resolver, Template, TemplateError

DISTRIBUTION, ACCESS_CONTROL = "AWS::CloudFront::Distribution", "AWS::CloudFront::OriginAccessControl"

# The policies that are played: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-
# policies.html and .../using-managed-origin-request-policies.html
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER_EXCEPT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"

# From where an origin is asked: an address of CloudFront's, here one that nobody has (RFC 5737).
EDGE = "198.51.100.1"

# By whom a request was signed, in its scope: the ARN of a distribution.
SIGNED_BY = "local.signed_by"

# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/http-403-permission-denied.html
NOT_ALLOWED = b"This distribution is not configured to allow the HTTP request method that was used for this request."


@dataclass(frozen=True)
class Distribution:
    """The door of a distribution. `origin` is the door behind it, `host` what that is called."""

    arn: str
    origin: Application
    host: str
    methods: frozenset[str]
    headers: Headers  # that the origin gets besides, in place of the viewer's of the same name
    signs: bool

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.origin(scope, receive, send)
            return
        if scope["method"] not in self.methods:
            length = str(len(NOT_ALLOWED)).encode()
            headers = [(b"content-type", b"text/plain"), (b"content-length", length)]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": NOT_ALLOWED})
            return
        signed = {SIGNED_BY: self.arn} if self.signs else {}
        asked = {**scope, "headers": self._headers(scope), "client": (EDGE, 0), **signed}
        await self.origin(asked, receive, send)

    def _headers(self, scope: Message) -> Headers:
        """As the origin gets them: the viewer's address behind the addresses that the viewer says."""
        replaced = {b"host", b"x-forwarded-for", *(name for name, _ in self.headers)}
        replaced |= {b"authorization"} if self.signs else set()
        said = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        forwarded = b", ".join([*said, scope["client"][0].encode()])
        kept = [(name, value) for name, value in end_to_end(scope["headers"]) if name not in replaced]
        return [(b"host", self.host.encode()), *kept, (b"x-forwarded-for", forwarded), *self.headers]


def arn(logical_id: str) -> str:
    return f"arn:aws:cloudfront::{ACCOUNT}:distribution/{distribution_id(logical_id)}"


def distribution_id(logical_id: str) -> str:
    return logical_id.upper()


def make_known(template: Template, resolver: Resolver, addresses: Mapping[str, str]) -> None:
    """Let the resolver know the distributions of a template: each of their own names is an address on this machine."""
    for distribution, resource in template.of_type(DISTRIBUTION).items():
        resolver.refs[distribution] = distribution_id(distribution)
        resolver.attributes[distribution, "DomainName"] = urlsplit(addresses[distribution]).netloc
        for alias in resolver(resource["Properties"]["DistributionConfig"].get("Aliases", [])):
            resolver.addresses[f"https://{alias}"] = addresses[distribution]
    for control in template.of_type(ACCESS_CONTROL):
        resolver.refs[control] = control


def declared(
    template: Template, resolver: Resolver, doors: Mapping[str, Application], addresses: Mapping[str, str]
) -> dict[str, Application]:
    """The distributions of a template by logical id, before the `doors` whose `addresses` their origins have."""
    by_host = {urlsplit(addresses[door]).netloc: app for door, app in doors.items()}
    signing = {resolver.refs[control] for control in template.of_type(ACCESS_CONTROL)}
    said = {name: resolver(one["Properties"]) for name, one in template.of_type(DISTRIBUTION).items()}
    return {name: _distribution(name, one["DistributionConfig"], by_host, signing) for name, one in said.items()}


def _distribution(
    logical_id: str, said: Mapping[str, Any], by_host: Mapping[str, Application], signing: Collection[str]
) -> Distribution:
    behavior, origins = said["DefaultCacheBehavior"], said["Origins"]
    if said.get("CacheBehaviors") or len(origins) != 1:
        raise TemplateError(f"{logical_id}: only a distribution of one origin and one behavior is played here")
    if {"FunctionAssociations", "LambdaFunctionAssociations"} & behavior.keys():
        raise TemplateError(f"{logical_id}: functions at the edge are not played here")
    policies = (behavior.get("CachePolicyId"), behavior.get("OriginRequestPolicyId"))
    if policies != (CACHING_DISABLED, ALL_VIEWER_EXCEPT_HOST):
        played = "only CachingDisabled and AllViewerExceptHostHeader are played here"
        raise TemplateError(f"{logical_id} has the policies {policies}: {played}")
    host = origins[0]["DomainName"]
    if host not in by_host:
        raise TemplateError(f"{logical_id}: its origin {host} is no API or Function URL of this template")
    custom = origins[0].get("OriginCustomHeaders", [])
    return Distribution(
        arn(logical_id),
        by_host[host],
        host,
        frozenset(behavior.get("AllowedMethods", ("GET", "HEAD"))),
        [(one["HeaderName"].lower().encode(), one["HeaderValue"].encode()) for one in custom],
        signs=origins[0].get("OriginAccessControlId") in signing,
    )
