"""What is read from: nginx on loopback with one object, plain, under TLS, and plain with connections limited.

It is enough of S3 for HeadObject and GetObject: `/bucket/key`, `ETag`, `Content-Length`, ranges and `If-Match`. It
checks no signature.
"""

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from bench.environment import PATIENCE, BenchError, free_port
from bench.ways import BUCKET, MIB

# Where it listens, which are also the titles of tables.
PLAIN, TLS, LIMITED = "plain HTTP", "TLS", "plain HTTP, connections limited"

# Bytes a second of each connection, as one to S3 has them.
LIMIT = 100_000_000
# nginx pauses after each write for as long as the limit gives it, in whole milliseconds: 4 of them here. With larger
# writes the time that they take themselves counts for more, with smaller ones the rounding does.
LIMITED_WRITE = LIMIT // 100

# S3 takes this one as well; the default would cost both sides more.
CIPHERS = "TLS_AES_128_GCM_SHA256"

CONFIGURATION = """\
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
{user}
events {{ worker_connections 256; }}
http {{
  access_log off;
  default_type application/octet-stream;
  client_body_temp_path {folder}/scratch;
  proxy_temp_path {folder}/scratch;
  fastcgi_temp_path {folder}/scratch;
  uwsgi_temp_path {folder}/scratch;
  scgi_temp_path {folder}/scratch;

  root {folder}/objects;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  open_file_cache max=16;

  ssl_certificate {folder}/certificate.pem;
  ssl_certificate_key {folder}/key.pem;
  ssl_protocols TLSv1.3;
  ssl_conf_command Ciphersuites {ciphers};

  server {{ listen 127.0.0.1:{plain}; }}
  server {{ listen 127.0.0.1:{tls} ssl; output_buffers 2 256k; }}
  server {{
    listen 127.0.0.1:{limited};
    limit_rate {limit};
    sendfile_max_chunk {limited_write};
  }}
}}
"""


class Origin:
    """nginx with objects of the given sizes (bytes) in a temporary folder. Use as a context manager."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes
        self.urls: dict[str, str] = {}
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self._folder = Path(opening.enter_context(tempfile.TemporaryDirectory(prefix="sluice-bench-")))
            self.certificate = self._folder / "certificate.pem"
            (self._folder / "objects" / BUCKET).mkdir(parents=True)
            for size in self.sizes:
                write_object(self.file(size), size)
            make_certificate(self.certificate, self._folder / "key.pem")
            self._start(opening)
            self._closing = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def file(self, size: int) -> Path:
        return self._folder / "objects" / BUCKET / self.key(size)

    def key(self, size: int) -> str:
        return f"object-{size}"

    def cpu_seconds(self) -> float:
        """CPU time of nginx's workers so far."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in children) / 1e9

    def _start(self, opening: ExitStack) -> None:
        ports = {PLAIN: free_port(), TLS: free_port(), LIMITED: free_port()}
        configuration = self._folder / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                folder=self._folder,
                workers=os.cpu_count(),
                # Workers of root would become somebody else, whom the temporary folder does not let in.
                user="user root;" if os.geteuid() == 0 else "",
                ciphers=CIPHERS,
                limit=LIMIT,
                limited_write=LIMITED_WRITE,
                plain=ports[PLAIN],
                tls=ports[TLS],
                limited=ports[LIMITED],
            )
        )
        log = self._folder / "error.log"
        self._process = subprocess.Popen(
            [nginx(), "-p", self._folder, "-c", configuration, "-e", log],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        opening.callback(self._process.wait)
        opening.callback(self._process.terminate)
        for port in ports.values():
            self._wait_for(port, log)
        self.urls = {name: f"{'https' if name == TLS else 'http'}://127.0.0.1:{port}" for name, port in ports.items()}

    def _wait_for(self, port: int, log: Path) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise BenchError(f"nginx did not start: {log.read_text() if log.is_file() else 'no log'}") from None
                time.sleep(0.01)
            else:
                return


def nginx() -> str:
    """Where it is. Debian keeps it where a user's PATH does not look."""
    found = shutil.which("nginx", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"]))
    if found is None:
        raise BenchError("no nginx here, which the hashing bench reads from: `apt install nginx-light`")
    return found


def nginx_version() -> str:
    done = subprocess.run([nginx(), "-v"], check=True, capture_output=True, text=True)
    return done.stderr.strip().removeprefix("nginx version: ").replace("/", " ")


def write_object(path: Path, size: int) -> None:
    """`size` bytes of which no MiB is like another: what is lost, doubled or swapped changes the digest."""
    pattern = bytearray(hashlib.shake_128(b"sluice").digest(MIB))
    with path.open("wb") as file:
        for number in range(-(-size // MIB)):
            pattern[:8] = number.to_bytes(8, "big")
            file.write(memoryview(pattern)[: size - number * MIB])
        file.flush()
        # Otherwise the kernel writes it out while something is being measured.
        os.fsync(file.fileno())


def make_certificate(certificate: Path, key: Path) -> None:
    """A self-signed certificate of 127.0.0.1, for a day."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise BenchError("no openssl here, which makes the certificate of the hashing bench: `apt install openssl`")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "1", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
