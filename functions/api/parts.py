"""Which parts a file has, which of them have arrived, and what each is locked to."""

import re
from collections.abc import Iterable, Sequence

from functions.api.schemas import DIGEST_CHARACTERS, CompletedPart
from sluice import limits
from sluice.errors import InvalidPartDigest, InvalidPartNumber, PartDigestNeeded, PartsDiffer, PartsMissing
from sluice.files import File
from sluice.objects import Part, bare_etag

FIRST_PARTS = 100  # signed along with a new file: 130 KB of answer, 800 MiB to begin with
MAX_NUMBERS_CHARACTERS = 6 * limits.MAX_PARTS_PER_ANSWER  # as many numbers of five digits, and commas
MISSING_SHOWN = 100  # part numbers in one problem


def part_bytes(file: File, number: int) -> int:
    """The size that this part must have: all are equal but the last. 0 for a number that the file does not have."""
    return max(0, min(file.part_size, file.size - (number - 1) * file.part_size))


def most_parts(file: File) -> int:
    """The highest number that a part of the file may have."""
    if file.own_parts is None:
        return file.part_count
    # All parts but the last have the least size at least.
    return min(limits.MAX_PARTS, limits.part_count(file.most_bytes, limits.MIN_PART_BYTES))


def part_numbers(text: str, count: int) -> list[int]:
    """`1-3,7` as [1, 2, 3, 7]: ascending, each once, at most MAX_PARTS_PER_ANSWER. Raises InvalidPartNumber."""
    numbers: set[int] = set()
    for item in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})(?:-(\d{1,5}))?\s*", item, re.ASCII)
        if not match:
            raise InvalidPartNumber(f"{item[:40]!r} is neither a number nor a range such as 1-100.")
        first, last = int(match[1]), int(match[2] or match[1])
        check_part_numbers([first, last], count)
        if first > last:
            raise InvalidPartNumber(f"{item.strip()} ends before it begins.")
        numbers.update(range(first, last + 1))
        if len(numbers) > limits.MAX_PARTS_PER_ANSWER:  # at once: a thousand ranges of ten thousand would take long
            raise InvalidPartNumber(
                f"At most {limits.MAX_PARTS_PER_ANSWER} parts can be signed at once.",
                limit=limits.MAX_PARTS_PER_ANSWER,
            )
    return sorted(numbers)


def check_part_numbers(numbers: Iterable[int], count: int) -> None:
    """Raises InvalidPartNumber for one that a file of so many parts does not have."""
    for number in numbers:
        if not 1 <= number <= count:
            raise InvalidPartNumber(f"{number} is not within this file's parts, 1 to {count}.", part_count=count)


def lock(file: File, digest: str | None) -> dict[str, str]:
    """The digest that a part is locked to, if any."""
    if file.part_digest is None:
        if digest is not None:
            raise InvalidPartDigest("The file was begun without a `part_digest`.")
        return {}
    if digest is None:
        raise PartDigestNeeded(f"POST the {file.part_digest} of each part.", part_digest=file.part_digest)
    if len(digest) != DIGEST_CHARACTERS[file.part_digest]:
        raise InvalidPartDigest(f"{file.part_digest} has {DIGEST_CHARACTERS[file.part_digest]} hex digits.")
    return {file.part_digest: digest}


def right(file: File, arrived: Sequence[Part]) -> list[Part]:
    """Those parts that are the file's and of their right size, which is any where its client cuts it."""
    if file.own_parts is not None:
        return list(arrived)
    return [part for part in arrived if part.number <= file.part_count and part.size == part_bytes(file, part.number)]


def whole(
    file: File, arrived: Sequence[Part], listed: Sequence[CompletedPart] | None, size: int | None = None
) -> list[Part]:
    """All parts in order, when they are there, of the right size and those that the client lists.

    `size` is what the client says of a file whose size nobody knew. Raises PartsMissing, PartsDiffer.
    """
    if file.own_parts is not None or file.size_limit is not None:
        return _as_cut(file, arrived, listed, file.size if file.size_limit is None else size)
    fitting = {part.number: part for part in right(file, arrived)}
    missing = [number for number in range(1, file.part_count + 1) if number not in fitting]
    if missing:
        raise PartsMissing(
            f"Parts that are missing or not of their size: {len(missing)} of {file.part_count}.",
            missing=missing[:MISSING_SHOWN],
        )
    _agree(fitting.values(), listed)
    return [fitting[number] for number in range(1, file.part_count + 1)]


def _as_cut(
    file: File, arrived: Sequence[Part], listed: Sequence[CompletedPart] | None, size: int | None
) -> list[Part]:
    """All parts in order of a file that its client cuts as it likes, when none before the last of them is missing.

    Which one that is their sum tells where the `size` is known, or else the client's list.
    """
    if listed is None and size is None and file.upload_id:
        raise PartsDiffer("Only its client knows where the file ends: send its `size`, or list its `parts`.")
    parts = {part.number: part for part in arrived}
    count = max([1, *parts, *(part.number for part in listed or ())])
    short = [
        number
        for number in range(1, count + 1)
        if number not in parts or (number < count and parts[number].size < limits.MIN_PART_BYTES)
    ]
    if short:
        raise PartsMissing(
            f"Parts that are missing or have less than {limits.MIN_PART_BYTES} bytes: {len(short)}.",
            missing=short[:MISSING_SHOWN],
        )
    _agree(parts.values(), listed)
    check_size(size, sum(part.size for part in arrived))
    return [parts[number] for number in range(1, count + 1)]


def check_size(told: int | None, found: int) -> None:
    """Raises PartsDiffer where the file was said to have another size."""
    if told not in (None, found):
        raise PartsDiffer(f"The file has {found} bytes here, not {told}.", size=told, received=found)


def vouched_for(file: File, parts: Sequence[Part], listed: Sequence[CompletedPart] | None) -> bool:
    """Whether S3 has checked every part against its sender's own digest; `parts` are whole, and agree with `listed`.

    The URL of a part was locked to the digest that was sent for it. Where more than one sender may have asked for URLs,
    each has to say at the end which digests are his.
    """
    if file.part_digest is None or not all(part.digest for part in parts):
        return False
    if file.own_parts is not None and even(parts) is None:
        return False  # the record keeps one size of parts, so the hasher could not look at each of these
    return not file.resumed or (listed is not None and all(part.digest for part in listed))


def even(parts: Sequence[Part]) -> int | None:
    """The size of all parts but the last, which has no more; None where they have different ones."""
    size = parts[0].size
    return size if {part.size for part in parts[:-1]} <= {size} and parts[-1].size <= size else None


def _agree(arrived: Iterable[Part], listed: Sequence[CompletedPart] | None) -> None:
    """Raises PartsDiffer where the client lists other parts than those that arrived."""
    if listed is None:
        return
    found = {part.number: part for part in arrived}
    named = {part.number: part for part in listed}
    differing = [
        number
        for number in sorted(found.keys() | named.keys())
        if number not in found or number not in named or not _same(found[number], named[number])
    ]
    if differing:
        raise PartsDiffer(
            f"Parts that are not those that arrived: {len(differing)}. Send them again, or leave `parts` out to let "
            "the server list them.",
            differing=differing[:MISSING_SHOWN],
        )


def _same(arrived: Part, listed: CompletedPart) -> bool:
    etag = arrived.etag if listed.etag is None else bare_etag(listed.etag)
    return etag == arrived.etag and listed.digest in (None, arrived.digest)
