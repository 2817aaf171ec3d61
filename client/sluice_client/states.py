"""The states of a file, from the contract. Apart from it: the command line knows them before httpx is imported."""

from enum import StrEnum


class Status(StrEnum):
    UPLOADING = "uploading"
    ASSEMBLING = "assembling"
    HASHING = "hashing"
    SCANNING = "scanning"
    READY = "ready"
    FAILED = "failed"
    ABORTED = "aborted"


ENDED = frozenset({Status.READY, Status.FAILED, Status.ABORTED})
