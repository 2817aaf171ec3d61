"""Hashes whose state can be taken out and put in elsewhere: another process, another OpenSSL, another processor.

hashlib hides its state. Beneath it lie libcrypto's low-level functions, which keep theirs in structs that openssl/md5.h
and openssl/sha.h publish, and which `ctypes` calls without the GIL. OpenSSL 3 calls them deprecated and may be built
without them, and another library may answer to the name: so what is loaded is tried before it is used.
"""

import ctypes
import hashlib
import logging
import struct
import sys
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

logger = logging.getLogger(__name__)

# By this name the runtime of Lambda and every Linux of these years have OpenSSL 3.
SONAME = "libcrypto.so.3"
# More than any relative of OpenSSL adds to its structs, so that trying one cannot write past the end.
SPARE_BYTES = 128


class Algorithm(NamedTuple):
    """What hashlib and libcrypto call it, its words in the letters of `struct`, and the bytes of a block."""

    hashlib_name: str
    prefix: str
    words: str
    block_bytes: int

    @property
    def digest_bytes(self) -> int:
        """As many as the words have, for they are the digest in the end."""
        return struct.calcsize(f"={self.words}")

    @property
    def count_bits(self) -> int:
        """The width of either half of the struct's count, which is that of a word."""
        return 8 * struct.calcsize(f"={self.words[-1]}")

    @property
    def context(self) -> struct.Struct:
        """Words, count of bits (low half, high half), block, and how many bytes of the block are filled."""
        return struct.Struct(f"={self.words}2{self.words[-1]}{self.block_bytes}sI")


# By RFC 9530 name, the slowest first. The structs are MD5_CTX, SHA512_CTX, SHA256_CTX and SHA_CTX.
ALGORITHMS = {
    "md5": Algorithm("md5", "MD5", "4I", 64),
    "sha-512": Algorithm("sha512", "SHA512", "8Q", 128),
    "sha-256": Algorithm("sha256", "SHA256", "8I", 64),
    "sha": Algorithm("sha1", "SHA1", "5I", 64),
}


class State(NamedTuple):
    """A hash half-way: bytes taken, words as big-endian bytes, and the bytes that do not fill a block yet."""

    offset: int
    words: bytes
    tail: bytes


class Unusable(Exception):
    """A library that loads, but does not hash and resume as hashlib says it should."""


class _View(ctypes.Structure):
    """Py_buffer, in the stable ABI, https://docs.python.org/3/c-api/buffer.html#buffer-structure"""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("rest", ctypes.c_void_p * 8),
    )


# ctypes' own `from_buffer` refuses what is read-only; these give the address of every contiguous buffer.
_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.c_void_p, ctypes.c_int)
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.c_void_p,)
_release_buffer.restype = None
_PyBUF_SIMPLE = 0


class Hash:
    """One hash over one stream, for one thread at a time. `library` is what `load` gave."""

    def __init__(self, library: ctypes.CDLL, name: str, state: State | None = None) -> None:
        self._algorithm = ALGORITHMS[name]
        self._layout = self._algorithm.context
        self._update, self._final = _functions(library, self._algorithm.prefix)
        self._context = ctypes.create_string_buffer(self._layout.size + SPARE_BYTES)
        self._address = ctypes.addressof(self._context)
        self._view = _View()
        self._view_address = ctypes.addressof(self._view)
        getattr(library, f"{self._algorithm.prefix}_Init")(self._context)
        if state is not None:
            self._restore(state)

    def update(self, buffer: bytes | memoryview) -> None:
        """Take a contiguous buffer where it lies, without the GIL. BufferError for one that is not contiguous."""
        _get_buffer(buffer, self._view_address, _PyBUF_SIMPLE)
        try:
            self._update(self._address, self._view.buf, self._view.len)
        finally:
            _release_buffer(self._view_address)

    def hexdigest(self) -> str:
        """Of what was taken so far; more may follow."""
        context = ctypes.create_string_buffer(self._context.raw, len(self._context))
        digest = ctypes.create_string_buffer(self._algorithm.digest_bytes)
        self._final(digest, ctypes.addressof(context))
        return digest.raw.hex()

    def state(self) -> State:
        *words, low, high, block, filled = self._layout.unpack_from(self._context)
        bits = high << self._algorithm.count_bits | low
        return State(bits // 8, struct.pack(f">{self._algorithm.words}", *words), block[:filled])

    def _restore(self, state: State) -> None:
        # Over what Init wrote: SHA256_CTX and SHA512_CTX end in a digest length, which stays.
        words = struct.unpack(f">{self._algorithm.words}", state.words)
        high, low = divmod(8 * state.offset, 1 << self._algorithm.count_bits)
        self._layout.pack_into(self._context, 0, *words, low, high, state.tail, len(state.tail))


@cache
def load() -> ctypes.CDLL | None:
    """The libcrypto to hash with, tried; None, and a line in the log that says why, where there is none."""
    failures = []
    for path in candidates():
        try:
            library = ctypes.CDLL(path)
            prove(library)
        except (OSError, AttributeError, Unusable) as failure:
            failures.append(f"{path}: {failure}")
        else:
            return library
    logger.warning("Digests cannot be saved here, a restart begins at zero (%s)", "; ".join(failures))
    return None


def candidates() -> Iterator[str]:
    """Where libcrypto may be: by its own name, then through the module by which Python itself reaches it.

    A symbol is also looked for in what a library is linked with, so the latter finds any version in any place, unless
    it is linked statically. `ctypes.util.find_library` would start processes, and what it finds on macOS aborts the
    process that loads it.
    """
    yield SONAME
    path = getattr(sys.modules.get("_hashlib"), "__file__", None)
    if path:
        yield path


def prove(library: ctypes.CDLL) -> None:
    """Hash a message in two halves, the second from the state of the first. Unusable where hashlib disagrees."""
    message = bytes(range(256)) * 2
    half = 203  # leaves a tail with every algorithm, and is seen when a struct counts in bytes
    for name, algorithm in ALGORITHMS.items():
        first = Hash(library, name)
        first.update(message[:half])
        second = Hash(library, name, first.state())
        second.update(message[half:])
        expected = hashlib.new(algorithm.hashlib_name, message, usedforsecurity=False)
        if second.hexdigest() != expected.hexdigest():
            raise Unusable(f"another {name} than hashlib's")


def _functions(library: ctypes.CDLL, prefix: str) -> tuple["ctypes._NamedFuncPointer", "ctypes._NamedFuncPointer"]:
    update, final = getattr(library, f"{prefix}_Update"), getattr(library, f"{prefix}_Final")
    update.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    final.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
    return update, final
