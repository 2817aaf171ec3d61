import ctypes
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pydantic_core
import pytest

from sluice import libcrypto
from sluice.libcrypto import ALGORITHMS, Hash, Unusable


@pytest.fixture
def tried_again() -> Iterator[None]:
    """What is loaded is kept for the life of the process: here it is looked for anew, and so it is afterwards."""
    libcrypto.load.cache_clear()
    yield
    libcrypto.load.cache_clear()


def library() -> ctypes.CDLL:
    """One of this test's own, whose functions can be exchanged."""
    found = libcrypto.load()
    assert found is not None, "no libcrypto here: the digests would not be resumable"
    return ctypes.CDLL(found._name)


class Without(ctypes.CDLL):
    """A libcrypto that was built without some of its functions."""

    missing = ""

    def __getattr__(self, name: str) -> Any:
        if name == self.missing:
            raise AttributeError(name)
        return super().__getattr__(name)


@pytest.mark.usefixtures("tried_again")
def test_the_libcrypto_of_python_serves(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where the name is not known, the one that Python is linked with is found, in silence."""
    assert list(libcrypto.candidates()) == ["libcrypto.so.3", sys.modules["_hashlib"].__file__]
    monkeypatch.setattr(libcrypto, "SONAME", "libcrypto.so.of-nowhere")
    found = libcrypto.load()
    assert found is not None
    assert found._name == sys.modules["_hashlib"].__file__
    assert not caplog.records


@pytest.mark.usefixtures("tried_again")
def test_another_library_is_passed_over(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What loads under the name but knows no hashes is not used; and one line in the log says what was tried."""
    stranger = pydantic_core._pydantic_core.__file__
    monkeypatch.setattr(libcrypto, "candidates", lambda: [stranger, "libcrypto.so.of-nowhere"])
    assert libcrypto.load() is None
    assert libcrypto.load() is None
    assert [(record.name, record.levelno) for record in caplog.records] == [("sluice.libcrypto", logging.WARNING)]
    assert stranger in caplog.text
    assert "libcrypto.so.of-nowhere" in caplog.text


@pytest.mark.parametrize("function", ["Init", "Update", "Final"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_library_without_one_function_is_unusable(name: str, function: str) -> None:
    """An OpenSSL built without what it calls deprecated has no such symbol."""
    without = Without(library()._name)
    libcrypto.prove(without)
    without = Without(library()._name)
    without.missing = f"{ALGORITHMS[name].prefix}_{function}"
    with pytest.raises(AttributeError, match=without.missing):
        libcrypto.prove(without)


def test_a_library_that_hashes_otherwise_is_unusable() -> None:
    """Tried against hashlib, a SHA-256 that is a SHA-224 is found out."""
    wrong: Any = library()
    wrong.SHA256_Init = wrong.SHA224_Init
    with pytest.raises(Unusable, match="sha-256"):
        libcrypto.prove(wrong)


def test_a_library_that_keeps_its_state_elsewhere_is_unusable() -> None:
    """Right digests are not enough: what was taken has to be in the struct."""
    hidden: Any = library()
    plain = hidden.MD5_Update
    taken: list[bytes] = []

    def update(_context: int, address: int, length: int) -> int:
        taken.append(ctypes.string_at(address, length))
        return 1

    def final(digest: Any, context: int) -> int:
        for data in taken:
            plain(ctypes.c_void_p(context), data, ctypes.c_size_t(len(data)))
        return int(library().MD5_Final(digest, ctypes.c_void_p(context)))

    hidden.MD5_Update, hidden.MD5_Final = update, final
    whole = Hash(hidden, "md5")
    whole.update(b"abc")
    assert whole.hexdigest() == "900150983cd24fb0d6963f7d28e17f72"
    with pytest.raises(Unusable, match="md5"):
        libcrypto.prove(hidden)
