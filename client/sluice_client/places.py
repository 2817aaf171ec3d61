"""Where the command keeps what is its own: the XDG Base Directory Specification, which has relative paths ignored."""

import os
from pathlib import Path


def state_folder() -> Path:
    """What it remembers. Raises OSError where nobody has told where that is."""
    return _folder("XDG_STATE_HOME", ".local/state")


def config_folder() -> Path:
    """What it was told. Raises OSError as above."""
    return _folder("XDG_CONFIG_HOME", ".config")


def _folder(variable: str, usual: str) -> Path:
    base = Path(os.environ.get(variable, ""))
    if base.is_absolute():
        return base / "sluice"
    try:
        return Path.home() / usual / "sluice"
    except RuntimeError as error:
        raise OSError(str(error)) from None
