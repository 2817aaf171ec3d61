"""What can go wrong, as one line for a person and an exit code for a script."""

from typing import ClassVar

OK = 0
FAILED = 1
USAGE = 2  # what Typer exits with, too
WRONG_BYTES = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class SluiceError(Exception):
    """`str(error)` says what happened, in a sentence without secrets; `hint` what to do about it."""

    exit_code: ClassVar[int] = FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def hopeless(self) -> bool:
        """Whether the next file would meet the same."""
        return False


class Misuse(SluiceError):
    """The command line or the settings cannot be what the person meant."""

    exit_code = USAGE


class WrongBytes(SluiceError):
    """The bytes at one end are not, or can no longer be shown to be, those at the other."""

    exit_code = WRONG_BYTES


class OutputLost(SluiceError):
    """Results cannot be written: stdout is full, or its reader has left, which is nothing to complain about."""

    def __init__(self, message: str, *, left: bool) -> None:
        super().__init__(message)
        self.left = left

    @property
    def hopeless(self) -> bool:
        return True


class Unreachable(SluiceError):
    """No answer came, or only a part of one; `connected` says whether somebody was there at all."""

    def __init__(self, message: str, hint: str = "", *, connected: bool = True) -> None:
        super().__init__(message, hint)
        self.connected = connected

    @property
    def hopeless(self) -> bool:
        return not self.connected


class Problem(SluiceError):
    """The server said no. `status` is HTTP's, `code` the contract's stable name (None where a proxy or S3 answered)."""

    def __init__(self, message: str, hint: str = "", *, status: int, code: str | None = None) -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code

    @property
    def hopeless(self) -> bool:
        return self.status == 401
