import string
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import capabilities
from sluice.capabilities import Holder, Use
from sluice.errors import ExpiredCapability, InvalidCapability

KEY = "k" * 64
FILE = "01kab3x5w8mfq2t7hj9rv0c6de"
BASE64URL = string.ascii_letters + string.digits + "-_"


def issued(use: Use = Use.CONTENT, seconds: int = 60) -> str:
    return capabilities.issue(KEY, Holder("alice"), FILE, use, seconds)


def uploading(expires_in: int = 60, drop: str | None = None) -> str:
    return capabilities.issue_upload(KEY, "alice", int(time.time()) + expires_in, drop)


def claims(**changes: Any) -> dict[str, Any]:
    return {"sub": "alice", "record": FILE, "use": "content", "exp": int(time.time()) + 60} | changes


@pytest.mark.parametrize("use", capabilities.LINKS)
def test_a_capability_names_its_owner(use: Use) -> None:
    """For its own file and use it says in whose name."""
    assert capabilities.holder_of(issued(use), KEY, FILE, use).owner == "alice"


def test_a_capability_fits_into_a_link() -> None:
    """Nothing in it needs escaping in a query, and it stays short."""
    assert set(issued()) <= set(BASE64URL + ".")
    assert len(issued()) < 300


def test_a_capability_ends() -> None:
    """Past its time it is told from an invalid one, so that a page knows to ask for fresh links."""
    with pytest.raises(ExpiredCapability):
        capabilities.holder_of(issued(seconds=-1), KEY, FILE, Use.CONTENT)


def test_a_capability_is_for_one_file() -> None:
    """The same owner's other file is refused."""
    with pytest.raises(InvalidCapability):
        capabilities.holder_of(issued(), KEY, FILE[::-1], Use.CONTENT)


@pytest.mark.parametrize(("use", "other"), [(Use.CONTENT, Use.EVENTS), (Use.EVENTS, Use.CONTENT)])
def test_a_capability_is_for_one_use(use: Use, other: Use) -> None:
    """Who may watch may not read, nor the other way round."""
    with pytest.raises(InvalidCapability):
        capabilities.holder_of(issued(use), KEY, FILE, other)


def test_no_byte_can_be_altered() -> None:
    """Each character replaced by each other one of its alphabet, and by one outside of it, is refused."""
    good = issued()
    for at, was in enumerate(good):
        for character in set(BASE64URL + ".=% é\n") - {was}:
            with pytest.raises(InvalidCapability):
                capabilities.holder_of(good[:at] + character + good[at + 1 :], KEY, FILE, Use.CONTENT)


def test_no_byte_can_be_left_out() -> None:
    """Any character missing, and any cut, is refused."""
    good = issued()
    for at in range(len(good)):
        for altered in (good[:at] + good[at + 1 :], good[:at]):
            with pytest.raises(InvalidCapability):
                capabilities.holder_of(altered, KEY, FILE, Use.CONTENT)


@given(st.text(max_size=80))
def test_nonsense_is_invalid_and_nothing_worse(text: str) -> None:
    """Whatever a client puts there, the answer is a 403, never a crash."""
    with pytest.raises(InvalidCapability):
        capabilities.holder_of(text, KEY, FILE, Use.CONTENT)


def test_another_key_is_refused() -> None:
    """Replacing the key ends all links."""
    with pytest.raises(InvalidCapability):
        capabilities.holder_of(issued(), "j" * 64, FILE, Use.CONTENT)


@pytest.mark.parametrize(("algorithm", "key"), [("none", ""), ("HS384", KEY), ("HS512", KEY)])
def test_only_the_one_algorithm_counts(algorithm: str, key: str) -> None:
    """`none` and even a correct signature of another algorithm are refused (RFC 8725, 3.1)."""
    forged = jwt.encode(claims(), key, algorithm=algorithm)
    with pytest.raises(InvalidCapability):
        capabilities.holder_of(forged, KEY, FILE, Use.CONTENT)


@pytest.mark.parametrize("missing", ["sub", "record", "use", "exp"])
def test_every_claim_is_required(missing: str) -> None:
    """A token without an end, an owner, a file or a use is no capability, even when rightly signed."""
    partial = claims()
    del partial[missing]
    with pytest.raises(InvalidCapability):
        capabilities.holder_of(jwt.encode(partial, KEY, algorithm="HS256"), KEY, FILE, Use.CONTENT)


@pytest.mark.parametrize("change", [{"sub": 7}, {"record": [FILE]}, {"use": None}, {"exp": "never"}])
def test_claims_of_another_type_are_refused(change: dict[str, Any]) -> None:
    """A rightly signed token that another program made with the same key is still no capability."""
    with pytest.raises(InvalidCapability):
        capabilities.holder_of(jwt.encode(claims(**change), KEY, algorithm="HS256"), KEY, FILE, Use.CONTENT)


@pytest.mark.parametrize("drop", [None, FILE])
def test_a_capability_to_upload_says_in_whose_name_and_through_which_drop(drop: str | None) -> None:
    """Both come back as they were put in, and it fits into a path."""
    capability = uploading(drop=drop)
    caller = capabilities.uploader(capability, KEY)
    assert (caller.owner, caller.drop, caller.in_person) == ("alice", drop, False)
    assert bool(caller.capability) == (drop is None)
    assert set(capability) <= set(BASE64URL + ".")


def test_a_capability_to_upload_ends() -> None:
    """Told from an invalid one, as that of a link is."""
    with pytest.raises(ExpiredCapability):
        capabilities.uploader(uploading(expires_in=-1), KEY)


@pytest.mark.parametrize("use", Use)
def test_a_link_lets_nobody_upload(use: Use) -> None:
    """Whatever its use says: what is bound to a file is no way in."""
    with pytest.raises(InvalidCapability):
        capabilities.uploader(issued(use), KEY)


@pytest.mark.parametrize("use", Use)
@pytest.mark.parametrize("drop", [None, FILE])
def test_who_may_upload_may_not_read(use: Use, drop: str | None) -> None:
    """It names no file."""
    with pytest.raises(InvalidCapability):
        capabilities.holder_of(uploading(drop=drop), KEY, FILE, use)


def test_no_byte_of_a_way_in_can_be_altered() -> None:
    """One drop's capability cannot be made that of another drop, nor of the owner."""
    good = uploading(drop=FILE)
    for at, was in enumerate(good):
        for character in set(BASE64URL + ".") - {was}:
            with pytest.raises(InvalidCapability):
                capabilities.uploader(good[:at] + character + good[at + 1 :], KEY)


@pytest.mark.parametrize("missing", ["sub", "use", "exp"])
def test_every_claim_of_a_way_in_is_required(missing: str) -> None:
    """Only the drop may be missing: then it is the owner's own."""
    partial = claims(use="upload", drop=FILE)
    del partial["record"], partial[missing]
    with pytest.raises(InvalidCapability):
        capabilities.uploader(jwt.encode(partial, KEY, algorithm="HS256"), KEY)


@pytest.mark.parametrize("drop", [7, "", [FILE], {}, True])
def test_a_drop_of_another_type_is_refused(drop: Any) -> None:
    """It must never pass for the owner, who has none."""
    odd = claims(use="upload", drop=drop)
    del odd["record"]
    with pytest.raises(InvalidCapability):
        capabilities.uploader(jwt.encode(odd, KEY, algorithm="HS256"), KEY)


def test_a_share_is_opened_by_its_capability_alone() -> None:
    """It names its share, and is good for nothing else; no link to what is in a share opens it."""
    assert capabilities.share_of(issued(Use.SHARE), KEY) == ("alice", FILE)
    link = capabilities.issue(KEY, Holder("alice", FILE, "opening"), FILE, Use.CONTENT, 60)
    for other in (*map(issued, set(Use) - {Use.SHARE}), uploading(), uploading(drop=FILE), link, "", "x"):
        with pytest.raises(InvalidCapability):
            capabilities.share_of(other, KEY)
    for use in set(Use) - {Use.SHARE}:
        with pytest.raises(InvalidCapability):
            capabilities.holder_of(issued(Use.SHARE), KEY, FILE, use)
    with pytest.raises(InvalidCapability):
        capabilities.uploader(issued(Use.SHARE), KEY)
    with pytest.raises(ExpiredCapability):
        capabilities.share_of(issued(Use.SHARE, seconds=-1), KEY)
