"""What `python -m local` takes from its command line and its environment."""

import socket
from pathlib import Path

import pytest

from local.__main__ import Doorplate, Settings, Unable, doorplates, listen, read
from local.template import Template, load

TINY = Path(__file__).parent / "tiny" / "template.yaml"


def test_settings_of_a_command_line(tmp_path: Path) -> None:
    """Each option may come again; a secret is a value, or what a file holds without its last newline."""
    (tmp_path / "secret").write_text("from a file\n")
    line = f"""--template other.yaml --door api=Api:8080 --door stream=StreamUrl --aws-port 5000
        --parameter Size=1 -p Text=a=b --env LEVEL=debug --env EMPTY= --secret Inline=a,b
        --secret File=@{tmp_path}/secret --show token=t"""
    assert read(line.split(), {}) == Settings(
        template=Path("other.yaml"),
        doors={"Api": Doorplate("api", 8080), "StreamUrl": Doorplate("stream", 0)},
        aws_port=5000,
        parameters={"Size": "1", "Text": "a=b"},
        variables={"LEVEL": "debug", "EMPTY": ""},
        secrets={"Inline": "a,b", "File": "from a file"},
        shown={"token": "t"},
    )


def test_secrets_can_be_kept_out_of_the_command_line() -> None:
    """The list of processes shows a command line to everybody; the environment it does not."""
    environ = {"LOCAL_SECRET_Key": "from the environment", "LOCAL_SECRET_Other": "o", "PATH": "/bin"}
    assert read([], environ).secrets == {"Key": "from the environment", "Other": "o"}
    assert read(["--secret", "Key=k"], environ).secrets == {"Key": "k", "Other": "o"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--aws-port http", "'http' is not the number of a port"),
        ("--aws-port 65536", "'65536' is not the number of a port"),
        ("--aws-port=-1", "'-1' is not the number of a port"),
        ("--door api=Api:x", "'x' is not the number of a port"),
        ("--door api=Api:", "'' is not the number of a port"),
        ("--door api", "'api' has no name before a `=`"),
        ("--door api=", "'api=' names no resource"),
        ("--door a=Api --door b=Api", "Api has two names, a and b"),
        ("--parameter =1", "'=1' has no name before a `=`"),
        ("--secret Key=@/none/such", "cannot read /none/such"),
    ],
)
def test_a_command_line_that_cannot_be_meant(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with status 2, and its last line says why."""
    with pytest.raises(SystemExit) as ended:
        read(line.split(), {})
    assert (ended.value.code, words in capsys.readouterr().err.splitlines()[-1]) == (2, True)


@pytest.fixture(scope="module")
def tiny() -> Template:
    return load(TINY, {})


def test_doors_are_named(tiny: Template) -> None:
    """A door is called by its logical id, unless the command line says otherwise."""
    assert doorplates(tiny, read([], {})) == {name: Doorplate(name) for name in ("Api", "StreamingUrl", "BufferedUrl")}
    assert doorplates(tiny, read(["--door", "stream=StreamingUrl:8081"], {}))["StreamingUrl"] == Doorplate(
        "stream", 8081
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--door api=Nothing", "--door Nothing: .* its doors are Api, StreamingUrl, BufferedUrl"),
        ("--door aws=Api", "would have aws twice"),
        ("--door BufferedUrl=Api", "would have BufferedUrl twice"),
        ("--door api=Api --show api=x", "would have api twice"),
    ],
)
def test_doors_that_cannot_be_named_so(tiny: Template, line: str, words: str) -> None:
    """A door that the template does not have, and two keys of one name, are errors."""
    with pytest.raises(Unable, match=words):
        doorplates(tiny, read(line.split(), {}))


def test_listens_on_loopback_alone() -> None:
    """Port 0 is a free one; nothing of the stack can be reached from another machine."""
    with listen(Doorplate("a")) as one, listen(Doorplate("b")) as other:
        assert {one.getsockname()[0], other.getsockname()[0]} == {"127.0.0.1"}


def test_the_aws_services_alone_can_be_elsewhere() -> None:
    """--aws-host is where they listen; the doors stay on loopback, and what is no address of ours is told."""
    settings = read(["--aws-host", "0.0.0.0"], {"LOCAL_HOSTS": "box"})
    with listen(Doorplate("aws"), settings.aws_host) as aws, listen(Doorplate("api")) as api:
        assert (aws.getsockname()[0], api.getsockname()[0]) == ("0.0.0.0", "127.0.0.1")
    assert settings.hosts == {"0.0.0.0", "box"}
    with pytest.raises(Unable, match=r"203\.0\.113\.1 is no address of this machine"):
        listen(Doorplate("aws"), "203.0.113.1")


def test_port_that_is_taken_is_told() -> None:
    """A port that another program has is an error that says what it was for."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unable, match=f"cannot listen on port {port}, which is to be that of api: .* or 0"):
            listen(Doorplate("api", port))
