"""Finds the app that `_HANDLER` names: `package.module.attribute`."""

import importlib
from typing import cast

from . import asgi
from .errors import Fault


def load(handler: str) -> asgi.App:
    """Import the app. Raises `Fault`, under the managed runtime's types, or what the app's module raises."""
    module_name, dot, attribute = handler.rpartition(".")
    if not dot:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler {handler!r}: it must be `module.attribute`")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module {module_name!r}: {error}") from error
    except SyntaxError as error:
        raise Fault("Runtime.UserCodeSyntaxError", f"Syntax error in module {module_name!r}: {error}") from error
    app = getattr(module, attribute, None)
    if app is None:
        raise Fault("Runtime.HandlerNotFound", f"Handler {attribute!r} missing on module {module_name!r}")
    if not callable(app):
        raise Fault("Runtime.HandlerNotFound", f"Handler {handler!r} is no ASGI app: it cannot be called")
    return cast(asgi.App, app)
