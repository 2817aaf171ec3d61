"""The doors to the functions: which HTTP APIs and Function URLs a template has, and which functions are behind them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local.cors import Cors
from local.door import Door
from local.environments import Pool
from local.function_url import FunctionUrl
from local.functions import named
from local.harshness import Harshness
from local.http_api import HttpApi
from local.rates import TokenBucket
from local.template import Resolver, Template, TemplateError

# Requests a second, and the most at once, where a stage says nothing of one of them: the account's.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
ACCOUNT_RATE, ACCOUNT_BURST = 10_000, 5_000


def as_on_aws(doors: Mapping[str, Door], template: Template, resolver: Resolver, harshness: Harshness) -> list[Door]:
    """The doors with what holds requests up: the throttles of the template's stages, and what is switched on."""
    throttles = _throttles(template, resolver)
    made: list[Door] = []
    for name, door in doors.items():
        match door:
            case HttpApi():
                made.append(replace(door, throttle=throttles.get(name)))
            case FunctionUrl():
                made.append(replace(door, harshness=harshness))
            case _:
                made.append(door)
    return made


def _throttles(template: Template, resolver: Resolver) -> dict[str, TokenBucket]:
    """By the logical id of the API."""
    throttles = {}
    apis = {resolver.refs[name]: name for name in template.of_type("AWS::ApiGatewayV2::Api")}
    for resource in template.of_type("AWS::ApiGatewayV2::Stage").values():
        properties = resolver(resource["Properties"])
        settings = properties.get("DefaultRouteSettings", {})
        rate, burst = settings.get("ThrottlingRateLimit"), settings.get("ThrottlingBurstLimit")
        if rate is not None or burst is not None:
            throttles[apis[properties["ApiId"]]] = TokenBucket(
                ACCOUNT_RATE if rate is None else float(rate), ACCOUNT_BURST if burst is None else float(burst)
            )
    return throttles


def declared(template: Template, resolver: Resolver, pools: Mapping[str, Pool]) -> dict[str, Door]:
    """The doors of a template by logical id."""
    doors: dict[str, Door] = {}
    for name, resource in template.of_type("AWS::ApiGatewayV2::Api").items():
        properties = resolver(resource["Properties"])
        # SAM's own HTTP API is an OpenAPI document; one that is written out has resources for its routes.
        body = properties.get("Body")
        cors = properties.get("CorsConfiguration", {}) if body is None else body.get("x-amazon-apigateway-cors", {})
        reference = _written_out(name, template, resolver) if body is None else _in_openapi(name, body)
        doors[name] = HttpApi(name, pools[named(reference, template, resolver)], Cors.of(cors))
    for name, resource in template.of_type("AWS::Lambda::Url").items():
        properties = resolver(resource["Properties"])
        if properties["AuthType"] != "NONE":
            raise TemplateError(f"{name} has the AuthType {properties['AuthType']}: only NONE is played here")
        streaming = properties.get("InvokeMode") == "RESPONSE_STREAM"
        function = named(properties["TargetFunctionArn"], template, resolver)
        doors[name] = FunctionUrl(name, pools[function], Cors.of(properties.get("Cors", {})), streaming)
    return doors


def _in_openapi(name: str, body: Mapping[str, Any]) -> str:
    """The function behind an HTTP API that has the one route `$default` and no authorizer."""
    match body.get("paths"):
        case {"$default": {"x-amazon-apigateway-any-method": dict(route)}} if len(body["paths"]) == 1:
            if "security" in route:
                raise TemplateError(f"{name} has an authorizer: none is played here yet (local/doors.py)")
            uri = str(route["x-amazon-apigateway-integration"]["uri"])
            return uri.partition("/functions/")[2].removesuffix("/invocations")
    raise TemplateError(f"{name} has other routes than $default: only that one is played here (local/doors.py)")


def _written_out(name: str, template: Template, resolver: Resolver) -> str:
    """The same of one whose route and integration are resources."""
    declared = [resolver(route["Properties"]) for route in template.of_type("AWS::ApiGatewayV2::Route").values()]
    match [route for route in declared if route["ApiId"] == resolver.refs[name]]:
        case [{"RouteKey": "$default", "Target": str(target)} as route]:
            if route.get("AuthorizationType", "NONE") != "NONE":
                raise TemplateError(f"{name} has an authorizer: none is played here yet (local/doors.py)")
            for integration, resource in template.of_type("AWS::ApiGatewayV2::Integration").items():
                if target == f"integrations/{resolver.refs[integration]}":
                    return str(resolver(resource["Properties"]["IntegrationUri"]))
    raise TemplateError(f"{name} has other routes than $default: only that one is played here (local/doors.py)")
