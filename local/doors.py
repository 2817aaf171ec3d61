"""The doors to the functions: which HTTP APIs and Function URLs a template has, and which functions are behind them."""

from collections.abc import Mapping
from typing import Any

from local.cors import Cors
from local.door import Door
from local.environments import Pool
from local.function_url import FunctionUrl
from local.functions import named
from local.http_api import HttpApi
from local.template import Resolver, Template, TemplateError


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
