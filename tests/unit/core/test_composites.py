import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.composites import Composite, composite, over
from sluice.digests import StateError

HASHES = {"sha-256": hashlib.sha256, "sha": hashlib.sha1, "md5": hashlib.md5, "sha-512": hashlib.sha512}

CUTS = st.lists(st.integers(0, 500), max_size=8)


def parts_of(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


@given(st.binary(max_size=500), st.integers(1, 100), CUTS, st.sampled_from([*HASHES]))
def test_it_is_the_digest_of_the_parts_digests(data: bytes, size: int, cuts: list[int], name: str) -> None:
    """However the bytes come, and wherever another process goes on from saved states."""
    made = HASHES[name]
    digests = [made(part).hexdigest() for part in parts_of(data, size)]
    expected = made(b"".join(map(bytes.fromhex, digests))).hexdigest()
    assert composite(name, digests) == expected
    one, at = Composite(name, size), 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        one.update(data[at:cut])
        at = cut
        one = Composite(name, size, one.states(), at)
    assert one.hexdigest() == expected == one.hexdigest()


def test_over_crcs_it_is_a_sha_256() -> None:
    """S3 has none of those, and a CRC of CRCs would prove little."""
    crcs = [zlib.crc32(part).to_bytes(4) for part in (b"abc", b"d")]
    one = Composite("crc32", 3)
    one.update(b"abcd")
    assert one.hexdigest() == composite("crc32", [crc.hex() for crc in crcs])
    assert one.hexdigest() == hashlib.sha256(b"".join(crcs)).hexdigest()
    assert over("crc32") == "sha-256"


@pytest.mark.parametrize("states", [None, {}, {"sha-256 of the part": "1:sha-256:0::"}])
def test_states_that_do_not_fit_are_refused(states: dict[str, str] | None) -> None:
    """The job starts over then."""
    with pytest.raises(StateError):
        Composite("sha-256", 10, states, 5)
