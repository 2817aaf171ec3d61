"""The table and the bucket that every route works on, connected once for each environment of the function."""

from functions.api.admission import Admission, Rules
from functions.api.idempotency import IdempotencyKeys
from functions.api.uploads import Uploads
from sluice import settings
from sluice.drops import Drops
from sluice.files import Files
from sluice.listing import Listing
from sluice.objects import Objects
from sluice.queue import Queue
from sluice.shares import Shares

files = Files.connect()
listing = Listing(files)
drops = Drops(*files.connection)
shares = Shares(*files.connection)
idempotency_keys = IdempotencyKeys(*files.connection)
objects = Objects.connect()
uploads = Uploads(files, objects, Queue.connect(), Admission(files, Rules.read()), settings.HASH_DIGESTS.read())
