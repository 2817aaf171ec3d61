"""The bytes that every carrier carries."""

import functools

LINE = b"the quick brown fox jumps over the lazy dog\n"
# 1 MiB in which no 256 bytes are like the next: what is lost, doubled or swapped changes the digest.
PATTERN = b"".join(number.to_bytes(4, "big") * 64 for number in range(4096))


@functools.cache
def chunk_of(size: int) -> bytes:
    """The first `size` bytes of the pattern, repeated as needed; always the same object, so that it costs nothing."""
    return (PATTERN * -(-size // len(PATTERN)))[:size]
