"""The table and the bucket that every route works on, connected once for each environment of the function."""

from functions.api import oidc
from functions.api.access_tokens import AccessTokens
from functions.api.admission import Admission, Rules
from functions.api.archives import Archiver
from functions.api.idempotency import IdempotencyKeys
from functions.api.selection import Selection
from functions.api.uploads import Uploads
from sluice import settings
from sluice.drops import Drops
from sluice.files import Files
from sluice.listing import Listing
from sluice.objects import Objects
from sluice.owners import Owners
from sluice.queue import Queue
from sluice.shares import Shares

files = Files.connect()
listing = Listing(files)
selection = Selection(files)
drops = Drops(*files.connection)
shares = Shares(*files.connection)
owners = Owners(*files.connection)
access_tokens = AccessTokens(*files.connection)
idempotency_keys = IdempotencyKeys(*files.connection)
objects = Objects.connect()
queue = Queue.connect()
uploads = Uploads(
    *(files, objects, queue, Admission(files, Rules.read()), settings.HASH_DIGESTS.read()),
    malware_scan=settings.MALWARE_SCAN.read(),
)
archiver = Archiver(files, objects, queue, settings.STREAM_LIMIT_BYTES.read())
_rules = oidc.Rules.read()
issuer = oidc.Issuer(_rules) if _rules else None  # None where nobody signs in
