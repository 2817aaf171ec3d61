"""`python -m local`: the whole stack of a SAM template on this machine, in the foreground."""

import argparse
import asyncio
import contextlib
import errno
import hashlib
import json
import os
import signal
import socket
import sys
from collections.abc import Collection, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from local import (
    asynchronous,
    aws,
    concurrency,
    descriptors,
    doors,
    functions,
    harshness,
    hosts,
    queue,
    schedules,
    stack,
    streams,
    template,
    webhooks,
)
from local.data import Folder, Record, Unusable
from local.environments import Pool, Throttled, reason
from local.guard import Guard
from local.harshness import Harshness, NotANumber
from local.runtime_api import EnvironmentGone, FunctionError
from local.server import Server
from local.template import Template, TemplateError
from local.terminal import say

HELP = """\
Runs a SAM template on this machine, without an AWS account and without Docker: S3, SQS, SNS, DynamoDB and Secrets
Manager from moto, each function as processes that Lambda would start, an HTTP door before each API and Function URL,
and what invokes functions by itself: queues, buckets, topics, schedules. What cannot be played is refused by name.
Everything binds to 127.0.0.1. When it ends no process is left, no data but those of --data DIR, and beside the template
`.local/`, which holds what functions require.

When all is ready, stdout gets its one line, with the URL of each door and of the AWS services: ready {"Api": URL, ...}
Everything else, the functions' logs among it, goes to stderr, each line with the name of what it comes from.
Ctrl-C ends it. It ends by itself, with status 1, when a part of it fails.
"""

EPILOG = """\
environment:
  LOCAL_SECRET_<LOGICAL_ID>   as --secret, but not to be seen in the list of processes
  LOCAL_HOSTS                 names that it answers besides localhost and 127.0.0.1, by commas: *.test,box

To use the AWS services yourself, with the URL "aws" of the ready line:
  AWS_ENDPOINT_URL=http://127.0.0.1:5000 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local \\
  AWS_REGION=eu-west-1 aws s3 ls
"""

SECRET_VARIABLE = "LOCAL_SECRET_"

LARGEST_PORT_DIGITS = 5
LAST_STANDARD_STREAM = 2  # stderr

# The keys of the ready line that no door can have.
AWS = "aws"
DATA = "data"

ANY_FREE_PORT = 0
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Doorplate:
    """What a door is called in the ready line, and the port that it gets."""

    name: str
    port: int = ANY_FREE_PORT


@dataclass(frozen=True)
class Settings:
    """What the command line says. Doors and secrets are by logical id."""

    template: Path
    doors: Mapping[str, Doorplate]
    aws_port: int
    parameters: Mapping[str, str]
    variables: Mapping[str, str]  # of every function
    secrets: Mapping[str, str]
    shown: Mapping[str, str]
    aws_host: str = LOOPBACK
    data: Path | None = None  # the folder that keeps what the stack holds
    initial: bool = False  # secrets and shown are for a folder that has none yet
    redelivery: int = 0  # seconds until what was in flight when the folder's last stack ended is delivered again
    harshness: Harshness = field(default_factory=Harshness)
    hosts: frozenset[str] = frozenset()  # that are answered besides loopback's own names
    parent: int | None = None  # the process that this one is not to outlive


# Seconds between two looks whether the process of `--parent` still runs.
PARENT_LOOK_S = 0.5

# Said beside the ready line when nothing is kept.
FORGETFUL = "keeps its data no longer than it runs: --data DIR keeps them in a folder (make up DATA=DIR)"


@dataclass(frozen=True)
class Invoking:
    """What invokes functions by itself."""

    sources: Collection[queue.EventSource]
    mailboxes: Collection[asynchronous.Mailbox]
    timers: Collection[schedules.Schedule]
    streams: Collection[streams.Stream]
    webhooks: Collection[webhooks.Webhook]

    def parts(
        self, pools: Mapping[str, Pool], services: aws.Services
    ) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        for source in self.sources:
            yield f"the poller {source.name}", queue.Poller(source, pools[source.function], services.sqs).run()
        for box in self.mailboxes:
            listener = asynchronous.Listener(box, pools[box.function], services.sqs)
            yield f"the mailbox {box.name}", listener.run()
        for timer in self.timers:
            yield f"the schedule {timer.name}", schedules.run(timer, pools[timer.function])
        for stream in self.streams:
            reader = streams.Reader(stream, pools[stream.function], services.sqs)
            yield f"the reader {stream.name}", reader.run()
        for webhook in self.webhooks:
            yield f"the webhook {webhook.queue}", webhooks.Sender(webhook, services.sqs).run()


class Unable(Exception):
    """The stack cannot start or go on; the message says why and what to do."""


async def run(settings: Settings) -> None:
    """Start everything, say so, and keep it up until cancelled. Raises `Unable` or `TemplateError` when it fails.

    What it holds is kept in the folder of the settings, whose contents it takes up; raises `Unusable` when it cannot.
    """
    folder = None if settings.data is None else Folder.claim(settings.data)
    told: dict[str, Any] = {}
    if folder is not None:
        settings, told = _with_what_was_told(settings, folder)
    aws_listener = listen(Doorplate(AWS, settings.aws_port), settings.aws_host)
    services = aws.connect(_url(aws_listener))

    async with contextlib.AsyncExitStack() as closing:
        if folder is not None:
            closing.callback(folder.close)
        guard = Guard()
        closing.callback(guard.close)
        # First of all: moto is slow to import, and the template is transformed meanwhile.
        moto = await aws.start(aws_listener, guard, settings.hosts, folder, settings.redelivery)
        closing.push_async_callback(_end, moto, guard)
        plan = template.load(settings.template, settings.parameters)
        closing.enter_context(template.blaming(settings.template))
        plates = doorplates(plan, settings)
        if unknown := settings.secrets.keys() - plan.of_type("AWS::SecretsManager::Secret"):
            raise Unable(f"--secret {', '.join(sorted(unknown))}: the template has no such secret")
        listeners = {name: listen(plate) for name, plate in plates.items()}
        addresses = {name: _url(listener) for name, listener in listeners.items()}
        resolver = await asyncio.to_thread(stack.create, plan, services, doors=addresses, secrets=settings.secrets)
        urls = {name: address + doors.path(name, plan, resolver) for name, address in addresses.items()}
        if folder is not None:
            folder.store.write(Record("told", "", name, value) for name, value in told.items())
        invoking = Invoking(
            queue.declared(plan, resolver),
            asynchronous.mailboxes(plan, resolver),
            schedules.declared(plan, resolver),
            streams.declared(plan, resolver),
            webhooks.declared(plan, resolver),
        )
        allowed = concurrency.declared(plan, resolver, settings.harshness.account_concurrency)
        declared = await asyncio.to_thread(functions.declared, plan, resolver, services.url, settings.variables)
        pools = _pools(declared, guard, allowed)
        for pool in pools.values():
            closing.push_async_callback(pool.close)
        apps = doors.declared(plan, resolver, pools, settings.harshness, addresses)
        await asyncio.gather(*map(_warm, pools.values()))

        connections = descriptors.for_connections(len(apps))
        parts: dict[asyncio.Task[Any], str] = {
            asyncio.create_task(moto.wait()): "moto, which plays the AWS services,",
            asyncio.create_task(asyncio.to_thread(guard.wait)): "the guard, which lets no process outlive the stack,",
        }
        for name, app in apps.items():
            server = Server(hosts.asgi(app, settings.hosts), connections)
            parts[asyncio.create_task(server.serve([listeners[name]]))] = f"the door {name}"
            say(name, f"is at {urls[name]}")
        for part, work in invoking.parts(pools, services):
            parts[asyncio.create_task(work)] = part
        closing.push_async_callback(_cancel, parts)
        ready = {plate.name: urls[name] for name, plate in plates.items()}
        say("local", f"keeps its data in {folder.path}" if folder else FORGETFUL)
        _print_ready({**ready, AWS: services.url, **({DATA: str(folder.path)} if folder else {}), **settings.shown})
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        ended = done.pop()
        raise Unable(f"{parts[ended]} ended: {_first(ended.exception()) or 'look for its last words above'}")


def doorplates(plan: Template, settings: Settings) -> dict[str, Doorplate]:
    """The plate of each door of a template, by logical id: that of the command line, or else the id itself."""
    every = [name for kind in doors.KINDS for name in plan.of_type(kind)]
    if unknown := settings.doors.keys() - set(every):
        there = f"its doors are {', '.join(every)}" if every else "it has none"
        raise Unable(f"--door {', '.join(sorted(unknown))}: the template has no such API or Function URL; {there}")
    plates = {name: settings.doors.get(name, Doorplate(name)) for name in every}
    names = [plate.name for plate in plates.values()] + [AWS, DATA, *settings.shown]
    if twice := {name for name in names if names.count(name) > 1}:
        raise Unable(f"the ready line would have {', '.join(sorted(twice))} twice: change a --door or --show")
    return plates


def listen(plate: Doorplate, host: str = LOOPBACK) -> socket.socket:
    """A listening socket on the port of that door."""
    try:
        return socket.create_server((host, plate.port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE and host != LOOPBACK:
            raise Unable(f"{host} is no address of this machine at which it can listen: {error}") from error
        reason = os.strerror(error.errno) if error.errno else error
        why = f"cannot listen on port {plate.port}, which is to be that of {plate.name}: {reason}"
        raise Unable(f"{why}. Choose another port, or 0 for any that is free") from error


def _with_what_was_told(settings: Settings, folder: Folder) -> tuple[Settings, dict[str, Any]]:
    """The settings for that folder, and what it is to remember of them."""
    # A digest tells whether the secrets are others than before, and does not keep them once more.
    secrets = json.dumps(dict(settings.secrets), sort_keys=True).encode()
    told = {"secrets": hashlib.sha256(secrets).hexdigest(), "shown": dict(settings.shown)}
    known = {record.id: record.value for record in folder.store.read("told", "")}
    if known and (settings.initial or told == known):
        # A secret is left as it is, with what others may have put there since.
        return replace(settings, secrets={}, shown=known["shown"]), known
    return settings, told


def _first(error: BaseException | None) -> BaseException | None:
    """Of a group's failures the first."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


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
    except (EnvironmentGone, FunctionError, OSError, Throttled) as error:
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


async def _until_told(work: Coroutine[Any, Any, None], parent: int | None) -> None:
    """Run `work` until it ends, a signal says stop, or the process `parent` has ended."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(descriptors.handler(lambda text: say("local", text)))
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` has it
            loop.add_signal_handler(number, task.cancel)
    looking = None if parent is None else asyncio.create_task(_outlive(parent, task))
    with contextlib.suppress(asyncio.CancelledError):
        await task
    if looking is not None:
        looking.cancel()


async def _outlive(parent: int, task: asyncio.Task[None]) -> None:
    """Stop `task` when this process is no longer the child of `parent`."""
    while os.getppid() == parent:  # noqa: ASYNC110 - no event tells that, on every system
        await asyncio.sleep(PARENT_LOOK_S)
    say("local", f"the process {parent}, which started this one, has ended, so that this one ends too")
    task.cancel()


def _print_ready(what: Mapping[str, str]) -> None:
    """The one line on stdout. Raises `Unable` when nobody can read it."""
    try:
        print(f"ready {json.dumps(what)}", flush=True)
    except OSError as error:
        # Python would try again at its end, and complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Unable(f"the ready line cannot be written to stdout: {error.strerror}") from error


def _open_standard_streams() -> None:
    """A standard stream that was closed (`2>&-`) would give its number to the first file or socket that is opened."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= LAST_STANDARD_STREAM:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - until the end


def read(arguments: Sequence[str] | None, environ: Mapping[str, str]) -> Settings:
    """The settings of a command line and the secrets of the environment. Raises `SystemExit` when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description=HELP,
        epilog=f"{EPILOG}\n{harshness.described()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--template", type=Path, default=Path("template.yaml"), metavar="FILE", help="the SAM template (template.yaml)")
    add(
        "--door",
        type=_door,
        action="append",
        default=[],
        metavar="NAME=LOGICAL_ID[:PORT]",
        help="call the API or Function URL of that logical id NAME in the ready line, and put it on that port. "
        "Without this it is called by its logical id, and gets any free port. A Function URL's logical id is that of "
        "its function, with `Url` behind it",
    )
    add("--aws-port", type=_port, default=ANY_FREE_PORT, metavar="PORT", help="port of the AWS services (any free one)")
    add(
        "--aws-host",
        default=LOOPBACK,
        metavar="ADDRESS",
        help=f"address of the AWS services ({LOOPBACK}); 172.17.0.1, Docker's bridge, is one that containers reach",
    )
    add(
        *("--parameter", "-p"),
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the template",
    )
    add(
        "--env",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable in the environment of every function, over what the template says",
    )
    add(
        "--secret",
        type=_pair,
        action="append",
        default=[],
        metavar="LOGICAL_ID=VALUE",
        help="the value of a secret of the template; @FILE is what that file holds",
    )
    add(
        "--show",
        type=_pair,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one more key of the ready line",
    )
    add("--data", type=Path, metavar="DIR", help="the folder that keeps all data over a restart (none)")
    add(
        "--initial",
        action="store_true",
        help="let --secret and --show be for a folder that has none yet: those of its first start stay",
    )
    add(
        "--redelivery",
        type=int,
        default=0,
        metavar="SECONDS",
        help="when to deliver again what functions were working on when the last stack of that folder ended (0)",
    )
    add("--parent", type=int, metavar="PID", help="end when this process, which started it, has ended")
    given = parser.parse_args(arguments)
    plates: dict[str, Doorplate] = {}
    for name, resource, port in given.door:
        if resource in plates:
            parser.error(f"argument --door: {resource} has two names, {plates[resource].name} and {name}")
        plates[resource] = Doorplate(name, port)
    secrets = {
        name.removeprefix(SECRET_VARIABLE): value for name, value in environ.items() if name.startswith(SECRET_VARIABLE)
    }
    try:
        secrets |= {name: _content(value) for name, value in given.secret}
    except OSError as error:
        parser.error(f"argument --secret: cannot read {error.filename}: {error.strerror}")
    try:
        harsh = Harshness.of(environ)
    except NotANumber as error:
        parser.error(str(error))
    return Settings(
        template=given.template,
        doors=plates,
        aws_port=given.aws_port,
        parameters=dict(given.parameter),
        variables=dict(given.env),
        secrets=secrets,
        shown=dict(given.show),
        data=given.data,
        initial=given.initial,
        redelivery=given.redelivery,
        aws_host=given.aws_host,
        harshness=harsh,
        hosts=hosts.allowed(environ) | ({given.aws_host} - {LOOPBACK}),
        parent=given.parent,
    )


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} has no name before a `=`")
    return name, value


def _door(text: str) -> tuple[str, str, int]:
    name, value = _pair(text)
    resource, separator, port = value.partition(":")
    if not resource:
        raise argparse.ArgumentTypeError(f"{text!r} names no resource")
    return name, resource, _port(port) if separator else ANY_FREE_PORT


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > LARGEST_PORT_DIGITS or int(text) > hosts.LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a port")
    return int(text)


def _content(value: str) -> str:
    """A secret's value as the command line gives it. A file's last newline is its editor's."""
    return Path(value[1:]).read_text().removesuffix("\n") if value.startswith("@") else value


def main(arguments: Sequence[str] | None = None) -> int:
    settings = read(arguments, os.environ)
    _open_standard_streams()
    if sys.stdout is None:
        say("local", "stdout is closed, and the ready line has to be read by somebody. Start it with stdout open")
        return 1
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # nothing here may ever reach the developer's own account
    os.environ.update(aws.NO_PROFILE)
    descriptors.raise_limit()
    try:
        asyncio.run(_until_told(run(settings), settings.parent))
    except (TemplateError, Unable, Unusable) as error:
        say("local", str(error))
        return 1
    except (OSError, RuntimeError) as error:
        if not descriptors.scarce(error):
            raise
        say("local", f"cannot start: {descriptors.advice(error)}")
        return 1
    finally:
        # All that it started has ended, and so does it at once.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return 0


if __name__ == "__main__":
    sys.exit(main())
