"""In place of the test client's own transport, which calls the app by itself.

Three things stay the test client's: websockets, which Lambda has not; the lifespan of `with TestClient(app)`; and that
an exception of the app is raised in the test. The runtime has then already told Lambda of it.
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any, cast

import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette import testclient

from local.runtime_api import EnvironmentGone, FunctionError
from streaming_runtime import asgi

from .environment import Environment
from .events import VERSIONS, Request


class Environments:
    """Those of one test: each client has one, for as long as its event loop is the same."""

    def __init__(self) -> None:
        self.payload = "2.0"
        self.carried = 0
        self.violations: list[str] = []
        self._own_loop = ExitStack()
        self._own_portal: BlockingPortal | None = None
        self._open: dict[Transport, tuple[BlockingPortal, Environment]] = {}

    def of(self, transport: "Transport") -> tuple[BlockingPortal, Environment]:
        client = transport.client_of_it
        portal = client.portal or self._portal()
        known = self._open.get(transport)
        if known is None or known[0] is not portal or not known[1].open:
            environment = Environment(cast(asgi.App, transport.app), transport.app_state)
            portal.call(environment.start)
            known = self._open[transport] = portal, environment
            if client.portal is not None:  # its loop ends with it, and so does what runs there
                client.exit_stack.callback(self._stop, portal, environment)
        return known

    def end(self) -> tuple[int, list[str]]:
        """End them all; how many requests they carried, and their breaches of the protocol."""
        while self._open:
            self._stop(*self._open.popitem()[1])
        self._own_loop.close()
        self._own_portal = None
        result = self.carried, self.violations
        self.carried, self.violations = 0, []
        return result

    def _portal(self) -> BlockingPortal:
        if self._own_portal is None:
            self._own_portal = self._own_loop.enter_context(start_blocking_portal("asyncio"))
        return self._own_portal

    def _stop(self, portal: BlockingPortal, environment: Environment) -> None:
        if environment.open:
            self.violations += portal.call(environment.stop)


# Clients that are made while modules are imported, and in fixtures, live longer than a test.
ENVIRONMENTS = Environments()


class Transport(testclient._TestClientTransport):
    @property
    def client_of_it(self) -> testclient.TestClient:
        factory: Any = self.portal_factory
        client: testclient.TestClient = factory.__self__
        return client

    def handle_request(self, request: Any) -> Any:
        if request.url.scheme in {"ws", "wss"}:
            return super().handle_request(request)
        ENVIRONMENTS.carried += 1
        portal, environment = ENVIRONMENTS.of(self)
        event = VERSIONS[ENVIRONMENTS.payload](Request.of(request, self.root_path, self.client[0]))
        try:
            answer, pieces, first = portal.call(environment.invoke, event)
        except FunctionError as failed:
            self._raise(environment)
            if self.raise_server_exceptions and failed.error_type == "Runtime.IncompleteResponse":
                raise AssertionError("TestClient did not receive any response.") from failed  # its words for it
            return httpx2.Response(500, content=b"", request=request)  # a Function URL says 502
        stream = _Stream(self, portal, environment, _body(self, portal, environment, pieces, first))
        response = httpx2.Response(answer.status, headers=answer.headers, stream=stream, request=request)
        if environment.debug is not None:
            response.extensions["http.response.debug"] = environment.debug
            for name in {"template", "context"} & environment.debug.keys():
                setattr(response, name, environment.debug[name])
        return response

    def _raise(self, environment: Environment) -> None:
        """What the app raised, where the test wants that."""
        if environment.raised and self.raise_server_exceptions:
            raise environment.raised[0]


def _body(
    transport: Transport, portal: BlockingPortal, environment: Environment, pieces: Any, first: bytes
) -> Generator[bytes, None, None]:
    if first:
        yield first
    try:
        while (piece := portal.call(environment.next, pieces)) is not None:
            yield piece
    except (FunctionError, EnvironmentGone) as broken:
        transport._raise(environment)
        raise httpx2.RemoteProtocolError(f"broken off: {broken}") from broken
    if environment.open:
        portal.call(environment.rest)


class _Stream(httpx2.SyncByteStream):  # type: ignore[misc] # its types are in the environment of the suites
    def __init__(
        self, transport: Transport, portal: BlockingPortal, environment: Environment, body: Iterator[bytes]
    ) -> None:
        self._transport = transport
        self._portal = portal
        self._environment = environment
        self._body = body
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self._body

    def close(self) -> None:
        if self._environment.open and not self._closed:
            self._closed = True
            self._portal.call(self._environment.discard)
            self._transport._raise(self._environment)
