"""Which tests fail when their requests go over Lambda, and why. All others have to pass, and these have to fail."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """Why the tests of a project whose names begin so fail."""

    text: str
    project: str
    tests: tuple[str, ...]
    payload: str | None = None
    """Only with events of this version."""
    applies: bool = True
    sometimes: bool = False
    """They pass as well: it is a matter of time."""


REASONS = (
    # What Lambda, or a front door, does.
    Reason(
        "Lambda passes no trailers on",
        "starlette",
        (
            "test_gzip_trailers[",
            "test_gzip_excluded_content_type_trailers[",
            "test_closing_completed_trailers_waits_for_application[",
            "test_invalid_trailer_sequence[asyncio-messages1-",
            "test_invalid_trailer_sequence[asyncio-messages2-",
            "test_invalid_trailer_sequence[asyncio-messages3-",
            "test_invalid_trailer_sequence[asyncio-messages4-",
            "test_capture_trailers[",
            "test_incomplete_trailers[",
            "test_trailer_error_respects_raise_server_exceptions[",
        ),
    ),
    Reason(
        "Lambda tells nobody that a client has left",
        "starlette",
        (
            "test_closing_unfinished_response_cancels_application[asyncio-True]",
            "test_closing_client_cancels_unclosed_response[asyncio-close]",
        ),
    ),
    Reason("Lambda knows no port of a client", "starlette", ("test_client[", "test_client_custom_client[")),
    Reason("Lambda takes no status below 200", "starlette", ("test_response_phrase[",)),
    Reason("Lambda adds a Content-Type where there is none", "starlette", ("test_empty_response[",)),
    Reason(
        "payload 2.0 joins the values of a repeated header",
        "starlette",
        ("test_with_duplicate_headers[",),
        payload="2.0",
    ),
    # What the runtime does otherwise than the test client, as its README says.
    Reason(
        "a server sends nothing before the first body message",
        "starlette",
        ("test_streaming_response_is_available_before_first_chunk[",),
    ),
    Reason(
        "nothing is sent before the first body message, so this client hears of the failure",
        "fastapi",
        ("test_broken_session_stream_no_raise",),
    ),
    Reason(
        "the answer to a HEAD ends at its first body message",
        "starlette",
        ("test_streaming_response_skips_empty_and_head_bodies[asyncio-HEAD-chunk",),
    ),
    Reason("a server refuses messages that it does not know", "starlette", ("test_request_send_push_promise[",)),
    # What the test wants to see is the test client itself.
    Reason(
        "the test client takes one message at a time, a server what fits into its buffers",
        "starlette",
        ("test_streaming_response_applies_backpressure[",),
    ),
    Reason(
        "what arrives at once is one piece to a client: chunks are not messages",
        "starlette",
        ("test_streaming_response_copies_mutable_chunks[",),
        sometimes=True,
    ),
    Reason(
        "the test client has an event loop for each request, an environment one for all",
        "starlette",
        ("test_use_testclient_as_contextmanager[",),
    ),
    Reason(
        "port 0, of which no client can have heard",
        "starlette",
        ("test_ipv6_base_url[asyncio-http://[::1]:0-server2-",),
    ),
    Reason(
        "root may read what nobody may; so without the runtime",
        "starlette",
        ("test_staticfiles_with_invalid_dir_permissions_returns_401[",),
        applies=os.geteuid() == 0,
    ),
)


def reasons(project: str, payload: str) -> dict[str, Reason]:
    """Those that apply, by the beginning of a test's name."""
    return {
        test: reason
        for reason in REASONS
        if reason.project == project and reason.applies and reason.payload in {None, payload}
        for test in reason.tests
    }
