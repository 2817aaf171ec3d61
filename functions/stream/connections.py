"""The table and the bucket that every route works on, connected once for each environment of the function."""

from sluice import settings
from sluice.archives import Archives
from sluice.download_counts import DownloadCounts
from sluice.downloads import Downloads
from sluice.files import Files
from sluice.listing import Listing
from sluice.objects import Objects
from sluice.open_streams import OpenStreams
from sluice.shares import Shares

files = Files.connect()
shares = Shares(*files.connection)
download_counts = DownloadCounts(*files.connection)
listing = Listing(files)
downloads = Downloads.connect()
objects = Objects.connect()
archives = Archives(*files.connection, objects)
malware_scan = settings.MALWARE_SCAN.read()
open_streams = OpenStreams(*files.connection, settings.STREAMS_PER_LINK.read())
stream_limit = settings.STREAM_LIMIT_BYTES.read()
