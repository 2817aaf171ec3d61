"""SnapStart: an environment is frozen after its start, and others are thawed from that snapshot.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

import logging
import sys
from collections.abc import Callable, Iterable
from typing import Any

from .client import Client
from .errors import Document

logger = logging.getLogger(__name__)

Hook = tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]

# Exit statuses, those of the managed runtime.
BEFORE_SNAPSHOT_FAILED = 64
AFTER_RESTORE_FAILED = 65


async def take(client: Client) -> int:
    """Run the hooks before the snapshot, wait for it, and run the hooks after it in what was thawed from it.

    The app registers hooks by `snapshot_restore_py`, which the managed runtime brings. Returns 0, or the exit status
    after a failure, of which Lambda has been told.
    """
    try:
        # Backwards, so that what was set up last is put away first.
        _run(reversed(_registered("get_before_snapshot")))
        await client.restored()
    except Exception as error:
        logger.exception("The snapshot failed.")
        await client.post_init_error(Document(error), "Runtime.BeforeSnapshotError")
        return BEFORE_SNAPSHOT_FAILED
    try:
        _run(_registered("get_after_restore"))
    except Exception as error:
        logger.exception("A hook after the restore failed.")
        await client.post_restore_error(Document(error), "Runtime.AfterRestoreError")
        return AFTER_RESTORE_FAILED
    return 0


def _registered(getter: str) -> list[Hook]:
    # An app with hooks has imported the library; for all others its import would only cost time.
    library = sys.modules.get("snapshot_restore_py")
    return list(getattr(library, getter)()) if library else []


def _run(hooks: Iterable[Hook]) -> None:
    for function, arguments, keywords in hooks:
        function(*arguments, **keywords)
