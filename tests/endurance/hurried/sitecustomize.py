"""In every Python that finds this on its path when it starts: files of a few KiB go in parts, and nobody waits long.

moto holds what it is sent, and completing an upload takes it several times as much again.
"""

from sluice import limits, queue

PART_BYTES = 64 * limits.KIB

vars(limits).update(MAX_SINGLE_PUT_BYTES=PART_BYTES, part_size=lambda _: PART_BYTES)
vars(queue).update(DELAY_SECONDS=5)
