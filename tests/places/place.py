"""What surrounds a `make`: who runs it, in which folder, with what in the environment and how much of the machine."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What a tarball of the project does not have.
NOT_PACKED = shutil.ignore_patterns(
    *(".git", ".venv*", ".tools", ".local", ".uv_cache", ".aws-sam", ".hypothesis", ".*_cache"),
    *("__pycache__", "node_modules", "dist", "site"),
)
STRANGER = 12_345  # a user id that no account has
MIB = 1024 * 1024
CGROUPS = Path("/sys/fs/cgroup")

NOWHERE = "http://203.0.113.1"  # RFC 5737: an address of documentation, where nothing is
PROXY = f"{NOWHERE}:3128"
# What may stand in a shell's profile, and is wrong or about something else.
RUBBISH = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), PROXY),
    **dict.fromkeys(("ALL_PROXY", "all_proxy"), "socks5://203.0.113.1:1080"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "example.com"),
    "AWS_PROFILE": "nope",
    **dict.fromkeys(("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_DYNAMODB"), NOWHERE),
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "AKIDREAL"),
    **dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_DATA_PATH"), "/nowhere"),
    **dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), "xx-nowhere-9"),
    **dict.fromkeys(("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"), "never"),
    **dict.fromkeys(("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "AWS_USE_FIPS_ENDPOINT"), "rubbish"),
    **dict.fromkeys(("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), "/nowhere"),
    **dict.fromkeys(("MOTO_S3_CUSTOM_ENDPOINTS", "SLUICE_API"), NOWHERE),
    **dict.fromkeys(("POWERTOOLS_LOG_LEVEL", "POWERTOOLS_DEV", "LOG_LEVEL", "SLUICE_TOKEN"), "rubbish"),
    **dict.fromkeys(("LANG", "LC_ALL"), "C"),
    "LC_CTYPE": "nope",
    "TZ": "Nowhere/Land",
    "TERM": "dumb",
    "COLUMNS": "20",
    "FORCE_COLOR": "1",
    "CDPATH": "/",
    **dict.fromkeys(("VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT", "PIP_TARGET", "GIT_DIR"), "/nowhere"),
    **dict.fromkeys(("PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE"), "/nowhere"),
    **dict.fromkeys(("PYTHONDONTWRITEBYTECODE", "PYTHONSAFEPATH", "PYTHONINSPECT", "PYTHONNOUSERSITE"), "1"),
    **dict.fromkeys(("PYTHONUTF8", "PYTHONCOERCECLOCALE"), "0"),
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONIOENCODING": "ascii",
    "PYTHONHASHSEED": "rubbish",
}


class LeftOut(Exception):
    """This machine cannot be made such a place; the message says why."""


@dataclass(frozen=True)
class Checkout:
    """A copy of this checkout without git, in a path with spaces and umlauts, of a user with umask 077.

    As root the user is a stranger; anybody else is that user. `folder` is the checkout's and what lies beside it.
    """

    folder: Path
    user: int | None

    @property
    def root(self) -> Path:
        return self.folder / "Ünser Ordner" / "sluice ß"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def own(self, path: Path) -> Path:
        """Give what is at `path`, and all in it, to the user."""
        if self.user is not None:
            for one in (path, *path.rglob("*")):
                os.chown(one, self.user, self.user, follow_symlinks=False)
        return path

    def file(self, size: int) -> Path:
        path = self.folder / f"{size} bytes.bin"
        path.write_bytes(os.urandom(size))
        return self.own(path)

    def rubbish(self) -> dict[str, str]:
        """RUBBISH, with modules on Python's path that have the names of others, and an odd TMPDIR."""
        modules, temporary = self.folder / "modules", self.folder / "tmp mit Ü & $x"
        for folder in (modules, temporary):
            folder.mkdir(exist_ok=True)
            self.own(folder)
        for name in ("json", "sitecustomize"):
            (modules / f"{name}.py").write_text("raise SystemExit('this is another module')\n")
        return RUBBISH | {"PYTHONPATH": f"/nowhere:{modules}", "TMPDIR": str(temporary)}

    def start(
        self,
        *command: str,
        environ: Mapping[str, str],
        wraps: list[list[str]] | None = None,
        script: str = "",
    ) -> subprocess.Popen[str]:
        """`command` in this checkout with `environ` and nothing else, inside `wraps`, after what `script` says."""
        outside = [part for wrap in wraps or [] for part in wrap]
        dropped = [tool("setpriv"), f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        shell = [tool("sh"), "-c", f'umask 077; {script} exec "$@"', "sh"]
        cleared = [tool("env"), "-i", *(f"{name}={value}" for name, value in environ.items())]
        return subprocess.Popen(
            [*outside, *(dropped if self.user is not None else []), *shell, *cleared, *command],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )


def finished(process: subprocess.Popen[str], seconds: float) -> str:
    """What it said, once it has ended well."""
    try:
        said, _ = process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 0, f"exit status {process.returncode}: {said[-4000:]}"
    return said


def tool(name: str) -> str:
    """Where that program is. Raises LeftOut."""
    found = shutil.which(name)
    if found is None:
        raise LeftOut(f"there is no {name} here")
    return found


def make_environments(checkout: Checkout, arguments: list[str], at_once: int, seconds: float) -> None:
    """What needs the registry: so with this process's own settings of networks and packages, and of nothing else."""
    settings = ("PIP_", "UV_", "HTTP", "http", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "SSL_", "PATH")
    kept = {name: value for name, value in os.environ.items() if name.startswith(settings)}
    kept = {name: value for name, value in kept.items() if name not in ("UV_PYTHON", "UV_PYTHON_DOWNLOADS")}
    making = [
        checkout.start("make", "-s", ".venv/.synced", *arguments, environ=kept | {"HOME": str(checkout.home)})
        for _ in range(at_once)
    ]
    for process in making:
        finished(process, seconds)


@contextmanager
def unpacked(*, as_stranger: bool) -> Iterator[Checkout]:
    """As root the folder is not below pytest's own, which lets nobody else in."""
    with tempfile.TemporaryDirectory(prefix="sluice-places-") as folder:
        checkout = Checkout(Path(folder), STRANGER if as_stranger and os.geteuid() == 0 else None)
        checkout.folder.chmod(0o755)
        shutil.copytree(ROOT, checkout.root, ignore=NOT_PACKED)
        checkout.home.mkdir()
        checkout.own(checkout.home)
        checkout.own(checkout.root.parent)
        yield checkout


@contextmanager
def no_network(counters: Path) -> Iterator[list[str]]:
    """A wrap whose command has only `lo`; `counters` gets what the kernel counted there when it has ended."""
    unshare = [tool("unshare"), "--net" if os.geteuid() == 0 else "-rn"]
    count = f"cat /proc/net/snmp /proc/net/snmp6 > '{counters}'"
    wrap = [*unshare, tool("sh"), "-c", f'{tool("ip")} link set lo up; "$@"; status=$?; {count}; exit $status', "sh"]
    if subprocess.run([*wrap, "true"], capture_output=True, check=False).returncode:
        raise LeftOut("network namespaces cannot be made here")
    yield wrap


def went_nowhere(counters: Path) -> int:
    """Packets and connections that had no route: each was meant for another machine.

    RFC 4293, ipSystemStatsOutNoRoutes.
    """
    rows = [line.split() for line in counters.read_text().splitlines()]
    names, values = (row for row in rows if row[0] == "Ip:")
    (of_ip6,) = (row[1] for row in rows if row[0] == "Ip6OutNoRoutes")
    return int(values[names.index("OutNoRoutes")]) + int(of_ip6)


@contextmanager
def little_memory(most: int) -> Iterator[list[str]]:
    """A wrap whose command and all that it starts have no more than `most` bytes, and no swap; no process is killed."""
    with ExitStack() as closing:
        if subprocess.run([*systemd_run(most), "true"], capture_output=True, check=False).returncode == 0:
            yield systemd_run(most)
        elif group := memory_group(most, closing):
            yield [tool("sh"), "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
            kills = [path for path in (group / "memory.events", group / "memory.oom_control") if path.exists()]
            assert "oom_kill 0" in kills[0].read_text(), "a process was killed for its memory"
        else:  # of each process by itself
            yield [tool("prlimit"), f"--as={most}"]


def systemd_run(most: int) -> list[str]:
    whose = [] if os.geteuid() == 0 else ["--user"]
    limits = ["-p", f"MemoryMax={most}", "-p", "MemorySwapMax=0"]
    return [shutil.which("systemd-run") or "false", *whose, "--scope", "--quiet", *limits]


def memory_group(most: int, closing: ExitStack) -> Path | None:
    """A control group by hand, of version 2 or 1; None where nobody lets us: https://docs.kernel.org/admin-guide/cgroup-v2.html"""
    second = (CGROUPS / "cgroup.controllers").exists()
    group = (CGROUPS if second else CGROUPS / "memory") / f"sluice-places-{os.getpid()}"
    limits = {"memory.max": most, "memory.swap.max": 0} if second else {"memory.limit_in_bytes": most}
    try:
        group.mkdir()
        closing.callback(group.rmdir)
        for name, value in limits.items():
            (group / name).write_text(str(value))
    except OSError:
        return None
    return group
