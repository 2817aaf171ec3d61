import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from streaming_runtime.errors import BODY_TRAILER, MESSAGE_LIMIT, TRAILER_LIMIT, TYPE_HEADER, Document, Fault


def raised(error: Exception, depth: int = 0) -> Exception:
    """The error with a traceback of so many frames."""
    try:
        if depth:
            raised(error, depth - 1)
        raise error
    except Exception as caught:  # noqa: BLE001 - the caller wants it, whatever it is
        return caught


def test_a_document_has_the_managed_runtimes_keys() -> None:
    """errorMessage, errorType, requestId and stackTrace, a string a frame."""
    document = json.loads(Document(raised(ValueError("bad"), depth=1), "r-1").json())
    assert {**document, "stackTrace": []} == {
        "errorMessage": "bad", "errorType": "ValueError", "requestId": "r-1", "stackTrace": [],
    }  # fmt: skip
    assert len(document["stackTrace"]) == 2
    assert "raise error" in document["stackTrace"][-1]


def test_a_fault_goes_by_its_own_type() -> None:
    """A failure that the runtime finds is named by Lambda's words, not by a Python class."""
    assert Document(Fault("Runtime.HandlerNotFound", "where?")).error_type == "Runtime.HandlerNotFound"


def test_the_stack_trace_is_that_of_the_failure_and_not_of_its_cause() -> None:
    """As the managed runtime has it: `raise ... from` leads to the line that raised what the document names."""

    def translate() -> None:
        raise LookupError("no such file") from KeyError("a cause that was never raised")

    def handle() -> None:
        try:
            raise KeyError("raised deeper")
        except KeyError as cause:
            raise LookupError("no such file") from cause

    for fail in (translate, handle):
        try:
            fail()
        except LookupError as error:
            caller, innermost = Document(error).stack_trace
        assert "fail()" in caller
        assert 'raise LookupError("no such file")' in innermost


@given(st.text(max_size=10_000), st.integers(0, 60), st.text(min_size=1, max_size=500))
def test_trailers_fit_into_the_read_buffer_of_lambda(message: str, depth: int, error_type: str) -> None:
    """However long the message and deep the stack, the trailers stay under the limit and remain readable."""
    trailers = Document(raised(Fault(error_type, message), depth), "0" * 36).trailers()
    assert sum(len(f"{name}: {value}\r\n".encode("ascii")) for name, value in trailers.items()) <= TRAILER_LIMIT
    document = json.loads(base64.b64decode(trailers[BODY_TRAILER]))
    assert message.startswith(document["errorMessage"])
    assert trailers[TYPE_HEADER].isascii()


def test_trailers_keep_the_innermost_frames() -> None:
    """The frame that raised is the one that tells what went wrong."""

    def innermost() -> None:
        raise ValueError("deep")

    def outer(depth: int) -> None:
        outer(depth - 1) if depth % 2 else outer2(depth - 1)

    def outer2(depth: int) -> None:
        outer(depth - 1) if depth > 0 else innermost()

    try:
        outer(60)
    except ValueError as error:
        body = base64.b64decode(Document(error).trailers()[BODY_TRAILER])
    frames = json.loads(body)["stackTrace"]
    assert 0 < len(frames) < 60
    assert "innermost" in frames[-1]


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_the_type_is_always_a_header(error_type: str) -> None:
    """A type's name ends no header line."""
    assert Document(Fault(error_type, "")).header_type.isascii()
    assert not {"\r", "\n", "\0"} & set(Document(Fault(error_type, "")).header_type)


def test_a_message_without_end_is_cut() -> None:
    """An exception may carry a whole document; its beginning says what it is."""
    assert len(Document(ValueError("x" * 10_000_000)).json()) < MESSAGE_LIMIT + 1000
