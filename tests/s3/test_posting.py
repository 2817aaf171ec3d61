"""Forms that a browser POSTs: the right one arrives, every altered one is refused and leaves nothing."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import httpx
import pytest

from sluice.objects import Form, ObjectMissing, Objects
from tests.s3.promises import promise
from tests.s3.request import ANSWER_SECONDS

TYPE = "text/plain"
BODY = b"exactly these bytes"
NUMBERS = count()


@pytest.fixture
def key() -> str:
    """A key that no other test has."""
    return f"files/poster/{next(NUMBERS)}"


def post(form: Form, body: bytes) -> httpx.Response:
    files = {"file": ("blob", body, TYPE)}
    return httpx.post(form.url, data=form.fields, files=files, timeout=ANSWER_SECONDS, trust_env=False)


def stored(objects: Objects, key: str) -> int | None:
    """The bytes of the object, where there is one."""
    try:
        return objects.head(key).version.size
    except ObjectMissing:
        return None


def with_fields(**fields: str) -> Callable[[Form], Form]:
    """`_` for `-`."""
    return lambda form: replace(form, fields=form.fields | {name.replace("_", "-"): fields[name] for name in fields})


def allowing_more(form: Form) -> Form:
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    policy["conditions"] = [
        ["content-length-range", 0, 1000] if isinstance(condition, list) else condition
        for condition in policy["conditions"]
    ]
    return replace(form, fields=form.fields | {"policy": base64.b64encode(json.dumps(policy).encode()).decode()})


def without(name: str) -> Callable[[Form], Form]:
    return lambda form: replace(form, fields={key: value for key, value in form.fields.items() if key != name})


ALTERATIONS: dict[str, Callable[[Form], Form]] = {
    "key": with_fields(key="files/poster/another"),
    "content type": with_fields(Content_Type="text/html"),
    "no content type": without("Content-Type"),
    "signature": with_fields(x_amz_signature="0" * 64),
    "date": with_fields(x_amz_date="20200101T000000Z"),
    "policy": allowing_more,
    "no policy": without("policy"),
    "a field more": with_fields(acl="public-read"),
}


@promise("an upload by a form")
@pytest.mark.parametrize(("least", "most"), [(len(BODY), len(BODY)), (0, 1000)])
def test_an_upload_by_a_form(objects: Objects, key: str, least: int, most: int) -> None:
    """201 with the headers that Uppy reads, and the object is there with its type."""
    answer = post(objects.sign_post(key, least, most, TYPE), BODY)
    assert answer.status_code == 201, answer.text
    assert answer.headers["etag"].strip('"')
    assert stored(objects, key) == len(BODY)


@promise("a form is locked to its size")
@pytest.mark.parametrize("body", [b"", BODY[:-1], BODY + b"x"])
def test_a_form_is_locked_to_its_size(objects: Objects, key: str, body: bytes) -> None:
    """One byte less or more than the policy says is refused."""
    form = objects.sign_post(key, len(BODY), len(BODY), TYPE)
    answer = post(form, body)
    assert answer.status_code == 400, answer.text
    assert stored(objects, key) is None
    assert post(form, BODY).status_code == 201


@promise("a form allows nothing else")
@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_a_form_allows_nothing_else(objects: Objects, key: str, alteration: str) -> None:
    """Whatever of a form is altered, it is refused."""
    form = objects.sign_post(key, len(BODY), len(BODY), TYPE)
    altered = ALTERATIONS[alteration](form)
    answer = post(altered, BODY)
    assert answer.status_code in (400, 403), answer.text
    assert stored(objects, altered.fields["key"]) is None
    assert post(form, BODY).status_code == 201
