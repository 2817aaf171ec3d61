"""The doors to the functions: which APIs and Function URLs a template has, and which function is behind which route."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local import distributions
from local.asgi import Application
from local.cors import Cors
from local.door import Door, Unrouted, Unstaged
from local.environments import Pool
from local.function_url import FunctionUrl
from local.functions import named
from local.harshness import Harshness
from local.http_api import HTTP_API_TIMEOUT_S, HttpApi
from local.payload import DEFAULT, Answer
from local.rates import TokenBucket
from local.rest_api import REST_API_TIMEOUT_S, Mock, RestApi
from local.router import Nobody, Router, Stage
from local.routes import ANY, CATCH_ALL, Route
from local.template import Resolver, Template, TemplateError

HTTP_API, REST_API, FUNCTION_URL = "AWS::ApiGatewayV2::Api", "AWS::ApiGateway::RestApi", "AWS::Lambda::Url"
PERMISSION, CLOUDFRONT = "AWS::Lambda::Permission", "cloudfront.amazonaws.com"

# Requests a second, and the most at once, where a stage says nothing of one of them: the account's.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
ACCOUNT_RATE, ACCOUNT_BURST = 10_000, 5_000

# The types of the resources that a door is made for.
KINDS = (HTTP_API, REST_API, FUNCTION_URL, distributions.DISTRIBUTION)

# The stage that SAM has a REST API's deployment make, beside the one that a template asks for.
SAMS_OWN_STAGE = "Stage"

AUTHORIZED = "it has an authorizer, which is not played here: leave that out with a condition of the template"


@dataclass(frozen=True)
class Integration:
    """What is behind a route: the integration as OpenAPI writes it."""

    route: Route
    said: Mapping[str, Any]


def declared(
    template: Template,
    resolver: Resolver,
    pools: Mapping[str, Pool],
    harshness: Harshness,
    addresses: Mapping[str, str],
) -> dict[str, Application]:
    """The doors of a template by logical id; `addresses` say where each is."""
    doors: dict[str, Application] = {}
    for name, resource in template.of_type(HTTP_API).items():
        doors[name] = _http_api(name, resolver(resource["Properties"]), template, resolver, pools)
    for name, resource in template.of_type(REST_API).items():
        doors[name] = _rest_api(name, resolver(resource["Properties"]), template, resolver, pools, harshness=harshness)
    for name, resource in template.of_type(FUNCTION_URL).items():
        properties = resolver(resource["Properties"])
        is_public = properties["AuthType"] == "NONE"
        streaming = properties.get("InvokeMode") == "RESPONSE_STREAM"
        function = named(properties["TargetFunctionArn"], template, resolver)
        callers = None if is_public else _callers(function, template, resolver)
        cors = Cors.of(properties.get("Cors", {}))
        doors[name] = FunctionUrl(name, pools[function], cors, streaming, harshness, callers)
    return {**doors, **distributions.declared(template, resolver, doors, addresses)}


def _callers(function: str, template: Template, resolver: Resolver) -> frozenset[str]:
    """The distributions that a function's policy lets in by its URL, which takes both actions.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
    """
    let_in: dict[str, set[str]] = {"lambda:InvokeFunctionUrl": set(), "lambda:InvokeFunction": set()}
    for resource in template.of_type(PERMISSION).values():
        said = resolver(resource["Properties"])
        is_of_cloudfront = (said["Principal"], said.get("FunctionUrlAuthType", "AWS_IAM")) == (CLOUDFRONT, "AWS_IAM")
        if is_of_cloudfront and named(said["FunctionName"], template, resolver) == function:
            let_in.get(said["Action"], set()).add(said["SourceArn"])
    return frozenset(set.intersection(*let_in.values()))


def path(name: str, template: Template, resolver: Resolver) -> str:
    """What follows the address of a door in the URL that people use: the path of an API's stage, if it has one."""
    kind = template.resources[name]["Type"]
    stages = [] if kind in (FUNCTION_URL, distributions.DISTRIBUTION) else _stages(name, template, resolver)
    return stages[0].prefix if stages and Stage() not in stages else ""


def _http_api(
    name: str, properties: Mapping[str, Any], template: Template, resolver: Resolver, pools: Mapping[str, Pool]
) -> Router:
    if properties.get("ProtocolType", "HTTP") != "HTTP":
        raise TemplateError(f"{name} is a {properties['ProtocolType']} API, which is not played here")
    # SAM's own HTTP API is an OpenAPI document; one that is written out has resources for its routes.
    body = properties.get("Body")
    if "BodyS3Location" in properties:
        raise TemplateError(f"{name} is defined in S3: write its definition into the template (DefinitionBody)")
    configured = properties if body is None else {"CorsConfiguration": body.get("x-amazon-apigateway-cors", {})}
    cors = Cors.of(configured.get("CorsConfiguration", {}))
    stages = _stages(name, template, resolver)
    if "Target" in properties:  # a route and a stage that are made with the API
        integrations = [_quickly_made(properties)]
        stages = stages or [Stage()]
    elif body is None:
        integrations = list(_written_out(name, template, resolver))
    else:
        integrations = list(_in_openapi(name, body))

    throttles = _throttles(name, template, resolver)

    def door(stage: Stage, integration: Integration) -> HttpApi:
        said = integration.said
        return HttpApi(
            name,
            pools[_function(name, said, template, resolver)],
            cors,
            stage,
            integration.route,
            str(said.get("payloadFormatVersion", "1.0")),
            int(said.get("timeoutInMillis", HTTP_API_TIMEOUT_S * 1000)) / 1000,
            throttles.get(stage.name),
        )

    return Router(
        {stage: {each.route: door(stage, each) for each in integrations} for stage in _reachable(name, stages)},
        unrouted=HttpApi(name, Nobody(Unrouted), cors),
        unstaged=HttpApi(name, Nobody(Unstaged), cors),
    )


def _rest_api(
    name: str,
    properties: Mapping[str, Any],
    template: Template,
    resolver: Resolver,
    pools: Mapping[str, Pool],
    *,
    harshness: Harshness,
) -> Router:
    body = properties.get("Body")
    if body is None:
        raise TemplateError(
            f"{name} is not written as OpenAPI: a REST API of resources and methods is not played here. Use "
            "AWS::Serverless::Api, or give it a Body"
        )
    binary = tuple({*properties.get("BinaryMediaTypes", ()), *body.get("x-amazon-apigateway-binary-media-types", ())})
    binary = tuple(kind.replace("~1", "/") for kind in binary)

    def door(stage: Stage, integration: Integration) -> Door:
        said, route = integration.said, integration.route
        if str(said.get("type", "")).lower() == "mock":
            return Mock(name, Nobody(Unrouted), Cors(), stage=stage, route=route, given=_mocked(said))
        return RestApi(
            name,
            pools[_function(name, said, template, resolver)],
            Cors(),
            streaming=said.get("responseTransferMode") == "STREAM",
            # What is reported of Function URLs besides is not reported of these.
            harshness=Harshness(harshness.stream_bytes_per_s, stream_remaps_length=0),
            stage=stage,
            route=route,
            binary=binary,
            timeout=int(said.get("timeoutInMillis", REST_API_TIMEOUT_S * 1000)) / 1000,
        )

    integrations = list(_in_openapi(name, body))
    stages = _reachable(name, _stages(name, template, resolver))
    return Router(
        {stage: {each.route: door(stage, each) for each in integrations} for stage in stages},
        unrouted=RestApi(name, Nobody(Unrouted), Cors()),
        unstaged=RestApi(name, Nobody(Unstaged), Cors()),
        slash_counts=False,
    )


def _quickly_made(properties: Mapping[str, Any]) -> Integration:
    route = Route.of(properties.get("RouteKey", DEFAULT))
    return Integration(route, {"uri": properties["Target"], "payloadFormatVersion": "2.0"})


def _stages(api: str, template: Template, resolver: Resolver) -> list[Stage]:
    found = []
    for kind, owner, variables in (
        ("AWS::ApiGatewayV2::Stage", "ApiId", "StageVariables"),
        ("AWS::ApiGateway::Stage", "RestApiId", "Variables"),
    ):
        for resource in template.of_type(kind).values():
            said = resource["Properties"]
            if resolver(said[owner]) == resolver.refs[api]:
                found.append(Stage(resolver(said["StageName"]), resolver(said.get(variables, {}))))
    for resource in template.of_type("AWS::ApiGateway::Deployment").values():
        said = resource["Properties"]
        stage = said.get("StageName", SAMS_OWN_STAGE)
        if stage != SAMS_OWN_STAGE and resolver(said["RestApiId"]) == resolver.refs[api]:
            found.append(Stage(resolver(stage)))
    return found


def _throttles(api: str, template: Template, resolver: Resolver) -> dict[str, TokenBucket]:
    """Of the stages that have one, by their name."""
    throttles = {}
    for resource in template.of_type("AWS::ApiGatewayV2::Stage").values():
        said = resource["Properties"]
        settings = resolver(said.get("DefaultRouteSettings", {}))
        rate, burst = settings.get("ThrottlingRateLimit"), settings.get("ThrottlingBurstLimit")
        if resolver(said["ApiId"]) == resolver.refs[api] and (rate is not None or burst is not None):
            throttles[str(resolver(said["StageName"]))] = TokenBucket(
                ACCOUNT_RATE if rate is None else float(rate), ACCOUNT_BURST if burst is None else float(burst)
            )
    return throttles


def _reachable(name: str, stages: list[Stage]) -> list[Stage]:
    if not stages:
        raise TemplateError(f"{name} has no stage, and so no address: not here, and not on AWS")
    return stages


def _function(name: str, said: Mapping[str, Any], template: Template, resolver: Resolver) -> str:
    if str(said.get("type", "aws_proxy")).lower() != "aws_proxy":
        raise TemplateError(f"{name} has an integration of type {said['type']}: only aws_proxy is played here")
    uri = str(said["uri"])
    _, _, arn = uri.partition("/functions/")
    return named(arn.rpartition("/")[0] if arn else uri, template, resolver)


def _in_openapi(name: str, body: Mapping[str, Any]) -> Iterator[Integration]:
    # A security of the whole counts where a route says nothing of its own.
    for place, methods in (body.get("paths") or {}).items():
        for method, said in methods.items():
            if method == "parameters":
                continue
            # SAM writes NONE for what is open in spite of a default authorizer.
            if any(set(one) != {"NONE"} for one in said.get("security", body.get("security", ()))):
                raise TemplateError(f"{name}, {method.upper()} {place}: {AUTHORIZED}")
            if "x-amazon-apigateway-integration" not in said:
                raise TemplateError(f"{name}, {method.upper()} {place}: it has no integration")
            every = method == "x-amazon-apigateway-any-method"
            route = CATCH_ALL if place == DEFAULT else Route(ANY if every else method.upper(), place)
            yield Integration(route, said["x-amazon-apigateway-integration"])


def _written_out(name: str, template: Template, resolver: Resolver) -> Iterator[Integration]:
    """The routes of an API whose routes and integrations are resources."""
    spelling = {
        "IntegrationType": "type",
        "IntegrationUri": "uri",
        "PayloadFormatVersion": "payloadFormatVersion",
        "TimeoutInMillis": "timeoutInMillis",
    }
    integrations = {
        f"integrations/{resolver.refs[integration]}": resolver(resource["Properties"])
        for integration, resource in template.of_type("AWS::ApiGatewayV2::Integration").items()
    }
    for resource in template.of_type("AWS::ApiGatewayV2::Route").values():
        route = resolver(resource["Properties"])
        if route["ApiId"] != resolver.refs[name]:
            continue
        if route.get("AuthorizationType", "NONE") != "NONE":
            raise TemplateError(f"{name}, {route['RouteKey']}: {AUTHORIZED}")
        target = integrations.get(route.get("Target", ""))
        if target is None:
            raise TemplateError(f"{name}, {route['RouteKey']}: its Target is no integration of this template")
        yield Integration(
            Route.of(route["RouteKey"]), {key: target[said] for said, key in spelling.items() if said in target}
        )


def _mocked(said: Mapping[str, Any]) -> Answer:
    """The answer of a mock integration: the headers that it sets to a text in quotes."""
    response = said.get("responses", {}).get("default", {})
    headers = [
        (key.rpartition(".header.")[2].lower().encode(), value.strip("'").encode())
        for key, value in response.get("responseParameters", {}).items()
        if key.startswith("method.response.header.")
    ]
    content = [(b"content-type", b"application/json")]
    return Answer(int(response.get("statusCode", 200)), [*content, *headers], b"{}\n")
