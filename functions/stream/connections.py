"""The table and the bucket that every route works on, connected once for each environment of the function."""

from sluice import settings
from sluice.archives import Archives
from sluice.files import Files
from sluice.objects import Objects

files = Files.connect()
objects = Objects.connect()
archives = Archives(*files.connection, objects)
stream_limit = settings.STREAM_LIMIT_BYTES.read()
