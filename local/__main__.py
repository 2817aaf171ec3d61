"""`python -m local`: the whole stack of a SAM template on this machine, in the foreground."""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from local import aws, concurrency, doors, functions, harshness, queue, stack, template
from local.environments import Pool, reason, say
from local.guard import Guard
from local.harshness import Harshness, NotANumber
from local.runtime_api import EnvironmentGone, FunctionError
from local.server import Server
from local.template import TemplateError
from local.tokens import hashed

HELP = """\
Runs a SAM template on this machine, without an AWS account and without Docker: S3, SQS, DynamoDB and Secrets Manager
from moto, each function as processes that Lambda would start, an HTTP door before each HTTP API and Function URL, a
poller behind each queue that feeds a function. Everything binds to 127.0.0.1, and nothing is left when it ends.

When all is ready, stdout gets its one line: ready {"api": URL, "stream": URL, "aws": URL, "token": "..."}
Everything else, the functions' logs among it, goes to stderr, each line with the name of what it comes from.
Ctrl-C ends it. It ends by itself, with status 1, when a part of it fails.
"""

ENVIRONMENT = """\
environment:
  SLUICE_API_PORT     port of the HTTP API (8080)              0 in each stands for any free port
  SLUICE_STREAM_PORT  port of the Function URL (8081)
  SLUICE_AWS_PORT     port of the AWS services (5000)
  SLUICE_TOKEN        the access token, or a JSON object owner -> token; made up when unset
  SLUICE_<NAME>       a parameter of the template: SLUICE_ALLOWED_ORIGINS sets AllowedOrigins
  SLUICE_ENV_<NAME>   a variable of the functions' environment: SLUICE_ENV_LEASE_SECONDS sets LEASE_SECONDS

To use the AWS services yourself, with the URL "aws" of the ready line:
  AWS_ENDPOINT_URL=http://127.0.0.1:5000 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local \\
  AWS_REGION=eu-west-1 aws s3 ls
"""

# The secret that holds the access tokens, and so gets SLUICE_TOKEN. The only resource that is known here by its name.
TOKEN_SECRET = "AccessToken"

PORTS = {"SLUICE_API_PORT": 8080, "SLUICE_STREAM_PORT": 8081, "SLUICE_AWS_PORT": 5000}


class Unable(Exception):
    """The stack cannot start or go on; the message says why and what to do."""


async def run(path: Path, environ: Mapping[str, str]) -> None:
    """Start everything, say so, and keep it up until cancelled. Raises `Unable` or `TemplateError` when it fails."""
    tokens = owners_tokens(environ.get("SLUICE_TOKEN"))
    kept = {owner: [hashed(token)] for owner, token in tokens.items()}
    harsh = Harshness.of(environ)
    aws_listener = listen("SLUICE_AWS_PORT", environ)
    services = aws.connect(_url(aws_listener))

    async with contextlib.AsyncExitStack() as closing:
        guard = Guard()
        closing.callback(guard.close)
        # First of all: moto is slow to import, and the template is transformed meanwhile.
        moto = await aws.start(aws_listener, guard)
        closing.push_async_callback(_end, moto, guard)
        plan = template.load(path, environ)
        apis, urls = list(plan.of_type("AWS::ApiGatewayV2::Api")), list(plan.of_type("AWS::Lambda::Url"))
        listeners = {
            **{name: listen("SLUICE_API_PORT" if name in apis[:1] else None, environ) for name in apis},
            **{name: listen("SLUICE_STREAM_PORT" if name in urls[:1] else None, environ) for name in urls},
        }
        addresses = {name: _url(listener) for name, listener in listeners.items()}
        resolver = await asyncio.to_thread(
            stack.create, plan, services, doors=addresses, secrets={TOKEN_SECRET: json.dumps(kept)}
        )
        sources = queue.declared(plan, resolver)
        allowed = concurrency.declared(plan, resolver, harsh.account_concurrency)
        pools = _pools(functions.declared(plan, resolver, services.url, environ), guard, allowed)
        for pool in pools.values():
            closing.push_async_callback(pool.close)
        await asyncio.gather(*map(_warm, pools.values()))

        parts: dict[asyncio.Task[Any], str] = {
            asyncio.create_task(moto.wait()): "moto, which plays the AWS services,",
            asyncio.create_task(asyncio.to_thread(guard.wait)): "the guard, which lets no process outlive the stack,",
        }
        for door in doors.as_on_aws(doors.declared(plan, resolver, pools), plan, resolver, harsh):
            parts[asyncio.create_task(Server(door).serve([listeners[door.name]]))] = f"the door {door.name}"
            say(door.name, f"is at {addresses[door.name]}")
        for source in sources:
            poller = queue.Poller(source, pools[source.function], services.sqs)
            parts[asyncio.create_task(poller.run())] = f"the poller {source.name}"
        closing.push_async_callback(_cancel, parts)
        ready = {
            "api": addresses[apis[0]] if apis else None,
            "stream": addresses[urls[0]] if urls else None,
            "aws": services.url,
            "token": next(iter(tokens.values())),
        }
        print(f"ready {json.dumps(ready)}", flush=True)
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        part = done.pop()
        raise Unable(f"{parts[part]} ended: {part.exception() or 'look for its last words above'}")


def owners_tokens(value: str | None) -> dict[str, str]:
    """Owner to token, from SLUICE_TOKEN: a JSON object, or the token of `default`; made up when there is none."""
    if not value:
        return {"default": secrets.token_urlsafe(32)}
    if not value.lstrip().startswith("{"):
        return {"default": value}
    try:
        owners = json.loads(value)
    except ValueError as error:
        raise Unable(f"SLUICE_TOKEN begins like a JSON object but is none: {error}") from error
    if not owners or not all(isinstance(token, str) and token for token in owners.values()):
        raise Unable("SLUICE_TOKEN is a JSON object, but not one from owners to tokens")
    return dict(owners)


def listen(variable: str | None, environ: Mapping[str, str]) -> socket.socket:
    """A listening socket on loopback, on the port of that setting; on any free one when there is no setting for it."""
    port = "0" if variable is None else environ.get(variable, str(PORTS[variable]))
    if not port.isdecimal() or int(port) > 65535:
        raise Unable(f"{variable}={port} is not the number of a port")
    try:
        return socket.create_server(("127.0.0.1", int(port)))
    except OSError as error:
        raise Unable(f"cannot listen on port {port}: {error}. Set {variable} to another one, or to 0") from error


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


def _pools(
    declared: Mapping[str, functions.Function], guard: Guard, allowed: concurrency.Concurrency
) -> dict[str, Pool]:
    # As many at a time as there are cores: the first is then ready as soon as it can be.
    starts = asyncio.Semaphore(max(2, os.cpu_count() or 1))
    return {name: Pool(function, guard, starts, allowed=allowed) for name, function in declared.items()}


async def _warm(pool: Pool) -> None:
    try:
        await pool.warm()
    except (EnvironmentGone, FunctionError, OSError) as error:
        name = pool.function.name
        raise Unable(f"{name} does not start: {reason(error)}. Lines that begin with [{name}] are its log") from error


async def _end(moto: asyncio.subprocess.Process, guard: Guard) -> None:
    if moto.returncode is None:
        guard.end(moto.pid)
    await moto.wait()


async def _cancel(tasks: Mapping[asyncio.Task[Any], str]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` until it ends or a signal says stop."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description=HELP,
        epilog=f"{ENVIRONMENT}\n{harshness.described()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--template", type=Path, default=Path("template.yaml"), help="the SAM template (template.yaml)")
    path = parser.parse_args().template
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # nothing here may ever reach the developer's own account
    os.environ.update(aws.NO_PROFILE)
    try:
        asyncio.run(_until_told(run(path, dict(os.environ))))
    except (NotANumber, TemplateError, Unable) as error:
        say("local", str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
