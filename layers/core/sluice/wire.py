"""GETs of pinned versions over a connection that is kept, read into memory that the caller gives.

http.client and not boto3: its body is copied on the way, and its connections cannot be ended from another thread.
"""

import errno
import math
import os
import re
import select
import socket
import ssl
import time
from contextlib import suppress
from email.message import Message
from functools import cache, partial
from http.client import HTTPConnection, HTTPResponse
from io import BufferedReader, RawIOBase
from threading import Lock
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

from sluice.objects import ObjectChanged, ObjectForbidden, ObjectMissing, Objects, Version, bare_etag, ca_bundle
from sluice.signing import Signed

RENEW_SECONDS = 60  # a URL that ends sooner is signed again: clocks differ
REFUSAL_BYTES = 64 * 1024  # S3's error documents have less than 1 KiB; what stands in between may send a page


class Refused(OSError):
    """S3, or something in between, would not answer now."""


class Expired(Refused):
    """The URL, or the credentials that signed it, are too old."""


class WrongAnswer(OSError):
    """Other bytes than were asked for, or fewer."""


class TooSlow(OSError):
    """Bytes come, but at less than the least rate: a new connection may be better."""


class Source:
    """One version, and the URL that allows reading it. Threads share it; two may sign at once, which harms nobody."""

    def __init__(self, objects: Objects, version: Version) -> None:
        self.version = version
        self._objects = objects
        self._signed: Signed | None = None

    def signed(self) -> Signed:
        if self._signed is None or self._signed.expires_at - time.time() < RENEW_SECONDS:
            self._signed = self._objects.sign_read(self.version)
        return self._signed

    def expire(self) -> None:
        """Have the next request sign a URL of its own."""
        self._signed = None


class Incoming(RawIOBase):
    """The bytes of one answer as they come over the socket. Raises TooSlow where that takes too long.

    All up to `begin_body` has `seconds`. From then on every `seconds` of waiting have to bring `least_rate` bytes each.
    Only waiting for the socket counts: whoever reads may take any time between two reads.
    """

    def __init__(self, raw: RawIOBase, seconds: float, least_rate: float) -> None:
        self._raw = raw
        self._seconds = seconds
        self._least_rate = least_rate
        self._head_ends = time.monotonic() + seconds
        self._waited = 0.0
        self._received = 0

    def readable(self) -> bool:
        return True

    def begin_body(self) -> None:
        self._head_ends = math.inf
        self._waited, self._received = 0.0, 0

    def readinto(self, view: Any) -> int | None:
        # Judged before waiting on, so that no byte that came is lost.
        if self._waited >= self._seconds:
            if self._received < self._least_rate * self._waited:
                raise TooSlow(f"{self._received} bytes in {self._waited:.1f} s")
            self._waited, self._received = 0.0, 0
        begun = time.monotonic()
        if begun >= self._head_ends:
            raise TooSlow(f"no end of the headers in {self._seconds} s")
        count = self._raw.readinto(view)
        self._waited += time.monotonic() - begun
        self._received += count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class Answer(HTTPResponse):
    """One whose bytes, the headers among them, come through `incoming`."""

    def __init__(self, sock: socket.socket, *args: Any, seconds: float, least_rate: float, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.incoming = Incoming(self.fp.detach(), seconds, least_rate)
        self.fp = BufferedReader(self.incoming)


class Connection:
    """Answers one request after the other. One thread uses it; any may `interrupt` it."""

    def __init__(self, connect_seconds: float, stall_seconds: float, least_rate: float) -> None:
        self._connect_seconds = connect_seconds
        self._stall_seconds = stall_seconds
        self._answer = partial(Answer, seconds=stall_seconds, least_rate=least_rate)
        self._lock = Lock()  # a socket is not shut down while it is closed: its number may be another one's by then
        self._interrupted = False
        self._socket: socket.socket | None = None
        self._http: HTTPConnection | None = None
        self._source: Source | None = None  # whose version the answer under way is of
        self._response: Answer | None = None
        self._left = 0  # bytes of the answer that have not been read
        self._ahead = b""  # the first of them, which came with the headers
        self._failure: Exception | None = None  # of the last answer, behind bytes that were good

    def read_into(self, source: Source, view: memoryview, position: int, stop: int) -> int:
        """Fill the view with the source's bytes from `position` on, at least with one; how many it were.

        The answer under way goes on, else one is asked for that ends at `stop`. Raises ObjectMissing, ObjectChanged,
        ObjectForbidden, and OSError or HTTPException where asking again may help; that is over a new socket then.
        What fails behind the first byte is raised when the next one is asked for.
        """
        if source is not self._source:
            self._turn_to(source)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        try:
            return self._take(self._response or self._ask(source, position, stop), view)
        except BaseException:
            self.close()
            raise

    def interrupt(self) -> None:
        """Let whoever waits for this connection fail at once, and open no other."""
        with self._lock:
            self._interrupted = True
            if self._socket is not None:
                # Not the method of SSLSocket, which would take TLS away from under the thread that reads.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Forget the answer under way and let the socket go."""
        self._finish()
        with self._lock:
            if self._http is not None:
                self._http.close()
            if self._socket is not None:
                self._socket.close()
            self._http = self._socket = None

    def _turn_to(self, source: Source) -> None:
        """Ask for another version from now on, over the same socket where nothing is left of the last answer."""
        if self._response is not None:
            self.close()
        self._failure = None
        self._source = source

    def _take(self, response: Answer, view: memoryview) -> int:
        taken = min(len(self._ahead), len(view))
        view[:taken], self._ahead = self._ahead[:taken], self._ahead[taken:]
        # Past all of http.client: TLS gives 16 KiB at a time, and those layers cost about as much as decrypting them.
        receive = response.incoming.readinto
        try:
            while taken < len(view):
                count = receive(view[taken:])
                if not count:
                    raise WrongAnswer(f"the answer ended {self._left - taken} bytes early")
                taken += count
        except OSError as error:
            if not taken:
                raise
            self.close()
            self._failure = error
        self._left -= taken
        if not self._left and self._ahead:
            self.close()  # more came than was asked for: the next answer could not be told from it
        elif not self._left:
            self._finish()  # the socket stays for the next answer
        return taken

    def _finish(self) -> None:
        with self._lock:
            if self._response is not None:
                self._response.close()
            self._response = None

    def _ask(self, source: Source, position: int, stop: int) -> Answer:
        version = source.version
        url = urlsplit(source.signed().url)
        headers = {"Host": url.netloc, "If-Match": f'"{version.etag}"', "Accept-Encoding": "identity"}
        if (position, stop) != (0, version.size):
            headers["Range"] = f"bytes={position}-{stop - 1}"
        http = self._connected(url)
        http.request("GET", f"{url.path}?{url.query}", headers=headers)
        self._response = response = cast(Answer, http.getresponse())
        if response.status not in (200, 206):
            refused = refusal(response.status, response.read(REFUSAL_BYTES))
            if isinstance(refused, Expired):
                source.expire()
            raise refused
        check(response.status, response.headers, version, position, stop)
        self._left = stop - position
        # Takes what was read with the headers, or else waits for more: nothing stays in the response's own buffer.
        self._ahead = response.fp.read1()
        response.incoming.begin_body()
        return response

    def _connected(self, url: SplitResult) -> HTTPConnection:
        if self._http is None or self._http.sock is None or not quiet(self._http.sock):
            self.close()  # never opened, closed by the server, or not as its last answer should have left it
            opened = self._open(url)
            opened.settimeout(self._stall_seconds)
            self._http = HTTPConnection(str(url.hostname))
            self._http.sock = opened
            self._http.response_class = self._answer  # type: ignore[assignment]  # all that is done with it is a call
        return self._http

    def _open(self, url: SplitResult) -> socket.socket:
        """As socket.create_connection does, but so that it can be interrupted."""
        secure = url.scheme == "https"
        context = trusting(ca_bundle()) if secure else None
        port = url.port or (443 if secure else 80)
        failure = OSError(f"{url.hostname} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM):
            opened = socket.socket(family, kind, protocol)
            if context:  # before it is connected: wrapping one that is interrupted meanwhile would lose it
                opened = context.wrap_socket(opened, server_hostname=url.hostname, do_handshake_on_connect=False)
            try:
                self._connect(opened, address)
                if isinstance(opened, ssl.SSLSocket):
                    opened.do_handshake()
            except OSError as error:
                failure = error
                self.close()
            else:
                return opened
        raise failure

    def _connect(self, opened: socket.socket, address: Any) -> None:
        opened.setblocking(False)
        with self._lock:  # a socket that has not begun to connect cannot be interrupted
            self._socket = opened
            self._refuse_if_interrupted()
            code = opened.connect_ex(address)
        if code == errno.EINPROGRESS:
            connected = select.poll()
            connected.register(opened, select.POLLOUT)
            if not connected.poll(self._connect_seconds * 1000):
                raise TimeoutError("no connection in time")
            code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        # Interrupted meanwhile, it is not connected and has no error either: TLS would wait for it.
        self._refuse_if_interrupted()
        if code:
            raise OSError(code, os.strerror(code))
        opened.settimeout(self._connect_seconds)

    def _refuse_if_interrupted(self) -> None:
        if self._interrupted:
            raise ConnectionAbortedError("the reading has ended")


def quiet(kept: socket.socket) -> bool:
    """Whether nothing has come that nobody asked for: the connection's end, or bytes behind an answer, which would be
    taken for the next one."""
    arrived = select.poll()
    arrived.register(kept, select.POLLIN)
    return not arrived.poll(0) and not (isinstance(kept, ssl.SSLSocket) and kept.pending())


def refusal(status: int, document: bytes) -> Exception:
    """What S3 means by an answer without the object."""
    code, message = (found[1].decode(errors="replace") if (found := one.search(document)) else "" for one in DETAILS)
    text = f"S3 answers {status} {code}".rstrip()
    if code in EXPIRED_CODES or (status == 403 and message.rstrip(".") == "Request has expired"):
        return Expired(text)
    match status:
        case 404:
            return ObjectMissing(text)
        case 412 | 416:  # 416: the object there is shorter than the one that was meant
            return ObjectChanged(text)
        case 403:
            return ObjectForbidden(text)
        case _:
            return Refused(text)


DETAILS = (re.compile(rb"<Code>([^<]{1,100})</Code>"), re.compile(rb"<Message>([^<]{1,1000})</Message>"))
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; the code of an old URL is AccessDenied.
EXPIRED_CODES = {"ExpiredToken", "TokenRefreshRequired"}


def check(status: int, headers: Message, version: Version, position: int, stop: int) -> None:
    """Raises ObjectChanged for another object's answer, WrongAnswer for one that is not of exactly these bytes."""
    etag = headers["ETag"]
    if etag is not None and bare_etag(etag) != version.etag:
        raise ObjectChanged(f"S3 sends the object {etag}, not {version.etag}")
    # S3 has none. Whatever made it one says that the bytes may be others, and RFC 9110, 15.3.7.3, forbids to put such
    # ranges together. It is the same object all the same: not the verdict that it was changed.
    if etag is not None and etag.lstrip().startswith("W/"):
        raise WrongAnswer(f"the ETag {etag} is a weak one")
    # The URL asks for `identity` (sign_read), whatever was stored with the object: another one was added on the way.
    encodings = {name.strip().lower() for name in ",".join(headers.get_all("Content-Encoding", [])).split(",")}
    if encodings - {"", "identity"}:
        raise WrongAnswer(f"the body comes as {', '.join(sorted(encodings))}")
    whole = (position, stop) == (0, version.size)
    wanted = (200, None) if whole else (206, f"bytes {position}-{stop - 1}/{version.size}")
    told = (status, headers["Content-Range"])
    if etag is None or told != wanted or headers["Content-Length"] != str(stop - position):
        raise WrongAnswer(f"asked for {wanted}, {stop - position} bytes; got {told}, {headers['Content-Length']} bytes")
    # What stands in between may re-frame an answer and leave the length in it: the body is read as it comes.
    if headers["Transfer-Encoding"] is not None:
        raise WrongAnswer(f"the body comes as {headers['Transfer-Encoding']}")


@cache
def trusting(bundle: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=bundle)
