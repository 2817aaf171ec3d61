"""What `python -m local` takes from its environment."""

import socket

import pytest

from local.__main__ import Unable, listen, owners_tokens


def test_token_is_of_the_default_owner() -> None:
    """A plain SLUICE_TOKEN is that of `default`; an object says the owners; without one a token is made up."""
    assert owners_tokens("secret") == {"default": "secret"}
    assert owners_tokens('{"a": "1", "b": "2"}') == {"a": "1", "b": "2"}
    first, second = owners_tokens(None), owners_tokens("")
    assert first.keys() == second.keys() == {"default"}
    assert first != second


@pytest.mark.parametrize("value", ["{", "{}", '{"a": 1}', '{"a": ""}'])
def test_tokens_that_cannot_be_used_are_told(value: str) -> None:
    """A SLUICE_TOKEN that begins like an object has to be one from owners to tokens."""
    with pytest.raises(Unable, match="SLUICE_TOKEN"):
        owners_tokens(value)


def test_listens_on_loopback_alone() -> None:
    """Port 0 is a free one; nothing of the stack can be reached from another machine."""
    with listen("SLUICE_API_PORT", {"SLUICE_API_PORT": "0"}) as free, listen(None, {}) as other:
        assert {free.getsockname()[0], other.getsockname()[0]} == {"127.0.0.1"}


def test_the_aws_services_alone_can_be_elsewhere() -> None:
    """SLUICE_AWS_HOST is where they listen; the doors stay on loopback, and what is no address of ours is told."""
    elsewhere = {"SLUICE_AWS_HOST": "0.0.0.0", "SLUICE_AWS_PORT": "0", "SLUICE_API_PORT": "0"}
    with listen("SLUICE_AWS_PORT", elsewhere) as aws, listen("SLUICE_API_PORT", elsewhere) as api:
        assert (aws.getsockname()[0], api.getsockname()[0]) == ("0.0.0.0", "127.0.0.1")
    with pytest.raises(Unable, match=r"SLUICE_AWS_HOST=203\.0\.113\.1 is no address of this machine"):
        listen("SLUICE_AWS_PORT", {"SLUICE_AWS_HOST": "203.0.113.1", "SLUICE_AWS_PORT": "0"})


def test_port_that_is_taken_is_told() -> None:
    """A port that another program has, and what is no port, are errors that name the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unable, match=f"cannot listen on port {port}.* Set SLUICE_AWS_PORT"):
            listen("SLUICE_AWS_PORT", {"SLUICE_AWS_PORT": str(port)})
    for value in ("http", "65536", "-1", ""):
        with pytest.raises(Unable, match=f"SLUICE_AWS_PORT={value} is not the number of a port"):
            listen("SLUICE_AWS_PORT", {"SLUICE_AWS_PORT": value})
