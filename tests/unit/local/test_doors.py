"""The doors of a template: which routes an API has, and what is refused by name."""

from pathlib import Path
from typing import cast

import pytest

from local import doors
from local.asgi import Application
from local.door import Door
from local.environments import Pool
from local.function_url import FunctionUrl
from local.harshness import Harshness
from local.http_api import HttpApi
from local.rest_api import RestApi
from local.router import Router
from local.template import Resolver, TemplateError, load

FUNCTION = """
  F:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: ., Handler: a.b, Runtime: python3.13%s}
"""
AUTHORIZER = "GET /x: it has an authorizer"
POOL = cast(Pool, object())


def declared(tmp_path: Path, resources: str, events: str = "") -> dict[str, Application]:
    path = tmp_path / "template.yaml"
    events = f", Events: {events}" if events else ""
    path.write_text(f"Transform: AWS::Serverless-2016-10-31\nResources:\n{resources}\n{FUNCTION % events}")
    template = load(path, {})
    resolver = Resolver(template)
    for name, resource in template.resources.items():
        resolver.refs[name] = resource["Properties"].get("StageName", name)
        resolver.attributes[name, "Arn"] = f"arn:{name}"
    addresses = {name: f"http://{name.lower()}" for kind in doors.KINDS for name in template.of_type(kind)}
    for name, address in addresses.items():
        resolver.attributes[name, "ApiEndpoint"] = address
        resolver.attributes[name, "FunctionUrl"] = f"{address}/"
    return doors.declared(template, resolver, {"F": POOL}, Harshness(), addresses)


def door(app: Application, method: str, path: str) -> Door:
    assert isinstance(app, Router)
    return app.door(method, path)


def test_routes_of_sams_apis(tmp_path: Path) -> None:
    """The implicit APIs have the routes of the functions' events: one in its stage, the other without."""
    events = """{
        A: {Type: HttpApi, Properties: {Path: "/a/{id}", Method: get, TimeoutInMillis: 1500}},
        B: {Type: HttpApi, Properties: {Path: "/{proxy+}", Method: ANY, PayloadFormatVersion: "1.0"}},
        C: {Type: Api, Properties: {Path: "/c", Method: post}},
        D: {Type: Api, Properties: {Path: "/c", Method: get, ResponseTransferMode: RESPONSE_STREAM}}}"""
    found = declared(tmp_path, "", events)
    assert found.keys() == {"ServerlessHttpApi", "ServerlessRestApi"}
    one = door(found["ServerlessHttpApi"], "GET", "/a/1")
    assert isinstance(one, HttpApi)
    assert (one.route.key, one.payload_format, one.timeout) == ("GET /a/{id}", "2.0", 1.5)
    other = door(found["ServerlessHttpApi"], "POST", "/a/1")
    assert isinstance(other, HttpApi)
    assert (other.route.key, other.payload_format, other.timeout) == ("ANY /{proxy+}", "1.0", 30)
    for method, streaming in (("POST", False), ("GET", True)):
        rest = door(found["ServerlessRestApi"], method, "/Prod/c/")
        assert isinstance(rest, RestApi)
        assert (rest.route.key, rest.streaming, rest.timeout) == (f"{method} /c", streaming, 29)
    assert door(found["ServerlessRestApi"], "GET", "/c").pool is not POOL


SIGNED = """
  Url:
    Type: AWS::Lambda::Url
    Properties: {AuthType: AWS_IAM, TargetFunctionArn: !GetAtt F.Arn}
"""
PERMISSION = """
  %s:
    Type: AWS::Lambda::Permission
    Properties: {Action: "lambda:%s", FunctionName: !Ref F, Principal: %s, SourceArn: "arn:front"}
"""


@pytest.mark.parametrize(
    ("actions", "principal", "callers"),
    [
        (("InvokeFunctionUrl", "InvokeFunction"), "cloudfront.amazonaws.com", {"arn:front"}),
        (("InvokeFunctionUrl",), "cloudfront.amazonaws.com", set()),
        (("InvokeFunction",), "cloudfront.amazonaws.com", set()),
        (("InvokeFunctionUrl", "InvokeFunction"), "apigateway.amazonaws.com", set()),
    ],
)
def test_a_signed_url_lets_in_whom_both_permissions_name(
    tmp_path: Path, actions: tuple[str, ...], principal: str, callers: set[str]
) -> None:
    """As Lambda asks for both since October 2025; without them it is open to nobody."""
    said = "".join(PERMISSION % (f"P{action}", action, principal) for action in actions)
    url = declared(tmp_path, SIGNED + said)["Url"]
    assert isinstance(url, FunctionUrl)
    assert url.callers == frozenset(callers)


AUTHORIZED = """
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Jwt
        Authorizers:
          Jwt: {IdentitySource: $request.header.Authorization, JwtConfiguration: {issuer: 'https://i', audience: [a]}}
"""
KEYED = """
  Api:
    Type: AWS::Serverless::Api
    Properties: {StageName: dev, Auth: {ApiKeyRequired: true}}
"""
SOCKET = """
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: {ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}
"""
STAGELESS = """
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: {ProtocolType: HTTP}
"""
RESOURCES = """
  Api:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: x}
"""
ELSEWHERE = """
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      DefinitionBody:
        openapi: 3.0.1
        paths:
          /x:
            get: {x-amazon-apigateway-integration: {type: http_proxy, uri: 'https://example.com'}}
"""


@pytest.mark.parametrize(
    ("resources", "events", "words"),
    [
        (
            AUTHORIZED,
            "{A: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /x, Method: get}}}",
            "GET /x: .* authorizer",
        ),
        (KEYED, "{A: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /x, Method: get}}}", AUTHORIZER),
        (SOCKET, "", "Api is a WEBSOCKET API, which is not played here"),
        (STAGELESS, "", "Api has no stage"),
        (RESOURCES, "", "Api is not written as OpenAPI"),
        (ELSEWHERE, "", "Api has an integration of type http_proxy"),
    ],
)
def test_what_is_not_played_is_refused_by_name(tmp_path: Path, resources: str, events: str, words: str) -> None:
    """An API that would let in more, or do less, than on AWS does not start."""
    with pytest.raises(TemplateError, match=words):
        declared(tmp_path, resources, events)
