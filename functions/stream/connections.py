"""The table and the bucket that every route works on, connected once for each environment of the function."""

from sluice import settings
from sluice.archives import Archives
from sluice.download_counts import DownloadCounts
from sluice.files import Files
from sluice.objects import Objects
from sluice.shares import Shares

files = Files.connect()
shares = Shares(*files.connection)
download_counts = DownloadCounts(*files.connection)
objects = Objects.connect()
archives = Archives(*files.connection, objects)
stream_limit = settings.STREAM_LIMIT_BYTES.read()
