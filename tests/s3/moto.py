"""The S3 of the local stack as a server: moto with all mendings. Arguments: port, folder, access key, secret, token."""

import socket
import sys
from pathlib import Path

import moto.s3.responses  # noqa: F401 - slow: who finds the port open is not to wait for it

from local.aws import serve
from local.signatures import Keys

if __name__ == "__main__":
    port, folder, access, secret, token = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", int(port)))
    serve(listener.detach(), Path(folder), Keys(access, secret, (token,)))
