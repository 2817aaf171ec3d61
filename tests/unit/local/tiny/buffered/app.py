"""A handler that does what the path asks for."""

import base64
import json
import os
import subprocess
import sys
import time
from typing import Any


def handler(event: dict[str, Any], _context: object) -> Any:  # noqa: PLR0911  one for each path
    match event["rawPath"]:
        case "/env":
            return dict(os.environ)
        case "/binary":
            return {"statusCode": 200, "isBase64Encoded": True, "body": base64.b64encode(bytes(range(256))).decode()}
        case "/cookies":
            return {"statusCode": 200, "cookies": ["a=1; Path=/", "b=2"], "headers": {"x-seen": "yes"}, "body": "ok"}
        case "/exit":
            os._exit(3)
        case "/large":
            return {"statusCode": 200, "body": "x" * (6 * 1024 * 1024)}
        case "/malformed":
            return {"statusCode": "many"}
        case "/not-modified":
            return {"statusCode": 304, "headers": {"etag": '"a"'}}
        case "/raise":
            raise RuntimeError("as asked")
        case "/sleep":
            time.sleep(60)
        case "/spawn":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            return {"environment": os.getpid(), "child": child.pid}
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
