"""SnapStart: Lambda takes a snapshot of an environment after its imports, and starts others from it.

So what is made while modules are imported is the same in each of them. What has to differ, or to be fresh, is made when
it is needed first, or by a hook.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""

import os
import random
from collections.abc import Callable


def after_restore(hook: Callable[[], object]) -> None:
    """Have this called in each environment that starts from a snapshot; elsewhere it is never called."""
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        # AWS's managed runtime brings it along. No other start needs it.
        from snapshot_restore_py import register_after_restore  # noqa: PLC0415

        register_after_restore(hook)


# Or all environments from one snapshot would draw the same: slots of a link, pauses before the next try.
after_restore(random.seed)
