import re
from pathlib import Path

import pytest

from sluice import settings
from sluice.limits import MAX_OBJECT_BYTES
from sluice.settings import Setting, SettingError


def test_a_missing_setting_is_named_with_its_meaning() -> None:
    """Without a default and without a value the error says which variable, and what it is for."""
    with pytest.raises(SettingError, match="TABLE_NAME is not set: The DynamoDB table"):
        settings.TABLE_NAME.read({})


def test_a_value_that_cannot_be_parsed_is_named_and_shown() -> None:
    """The error names the variable, shows its value and says what is wrong."""
    with pytest.raises(SettingError, match="CAPABILITY_SECONDS='soon' cannot be used"):
        settings.CAPABILITY_SECONDS.read({"CAPABILITY_SECONDS": "soon"})


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "200 MB"])
def test_seconds_and_bytes_are_whole_and_positive(text: str) -> None:
    """Neither a lifetime nor a limit can be nothing or less."""
    with pytest.raises(SettingError, match="STREAM_LIMIT_BYTES"):
        settings.STREAM_LIMIT_BYTES.read({"STREAM_LIMIT_BYTES": text})


@pytest.mark.parametrize("name", ["TABLE_NAME", "BUCKET_NAME", "ACCESS_TOKEN_SECRET", "CAPABILITY_KEY_SECRET"])
def test_an_empty_name_counts_as_missing(name: str) -> None:
    """An empty variable, which a shell or a template easily makes, fails here and by name instead of inside boto3."""
    with pytest.raises(SettingError, match=name):
        getattr(settings, name).read({name: ""})


def test_the_stream_url_must_be_a_url_and_loses_its_last_slash() -> None:
    """Links are made by appending a path, and a Function URL ends in a slash."""
    assert settings.STREAM_URL.read({"STREAM_URL": "https://x.lambda-url.eu-west-1.on.aws/"}).endswith(".aws")
    with pytest.raises(SettingError, match="STREAM_URL"):
        settings.STREAM_URL.read({"STREAM_URL": "javascript:alert(1)"})


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon"])
def test_intervals_are_positive_and_end(text: str) -> None:
    """A fraction of a second is fine."""
    assert settings.CHECKPOINT_SECONDS.read({"CHECKPOINT_SECONDS": "0.25"}) == 0.25
    with pytest.raises(SettingError, match="CHECKPOINT_SECONDS"):
        settings.CHECKPOINT_SECONDS.read({"CHECKPOINT_SECONDS": text})


def test_a_message_comes_twice_at_least() -> None:
    """The last receive only asks for another message: there has to be one before it that works."""
    with pytest.raises(SettingError, match="MAX_RECEIVES"):
        settings.MAX_RECEIVES.read({"MAX_RECEIVES": "1"})


def test_names_are_listed_by_commas() -> None:
    """In any case, with spaces, each once, in their order."""
    assert settings.HASH_DIGESTS.read({"HASH_DIGESTS": "SHA-256, md5,sha-256"}) == ("sha-256", "md5")


def test_content_types_are_listed_by_commas() -> None:
    """Ranges as well; a typing error stops the function instead of refusing every file."""
    read = settings.CONTENT_TYPES.read
    assert read({"CONTENT_TYPES": "image/*, Application/PDF,image/*"}) == ("image/*", "application/pdf")
    assert read({}) == ("*/*",)
    for text in ("image", "*/png", "image/*;q=1", "image/png,", ","):
        with pytest.raises(SettingError, match="CONTENT_TYPES"):
            read({"CONTENT_TYPES": text})


@pytest.mark.parametrize("setting", [settings.OWNER_BYTES, settings.OWNER_UPLOADS], ids=lambda one: one.name)
def test_a_quota_of_nothing_is_no_quota(setting: Setting[int]) -> None:
    """0 is the default; less than that is a mistake."""
    assert setting.read({}) == 0
    assert setting.read({setting.name: "5"}) == 5
    for text in ("-1", "1.5", "many"):
        with pytest.raises(SettingError, match=setting.name):
            setting.read({setting.name: text})


def test_no_limit_is_beyond_s3() -> None:
    """The default is what S3 takes."""
    assert settings.MAX_FILE_BYTES.read({}) == MAX_OBJECT_BYTES


def test_the_environment_is_read_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable set after the import counts."""
    monkeypatch.setenv("BUCKET_NAME", "changed")
    assert settings.BUCKET_NAME.read() == "changed"


def test_every_setting_is_listed_documented_and_its_default_is_usable() -> None:
    """ALL holds each Setting of the module once; each has a help text, and a default parses."""
    declared = {name: value for name, value in vars(settings).items() if isinstance(value, Setting)}
    assert set(declared) == {one.name for one in settings.ALL}
    assert len(settings.ALL) == len(declared)
    for name, one in declared.items():
        assert name == one.name
        assert one.help.endswith(".")
        if one.default is not None:
            one.read({})


def test_the_documentation_has_every_setting_as_it_is() -> None:
    """docs/limits.md has a row for each, in their order, with the same default and the same words."""
    text = (Path(__file__).parents[3] / "docs/limits.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) ?\| (.+) \|$", text, re.MULTILINE)
    assert rows == [(one.name, one.default or "", one.help) for one in settings.ALL]


def test_one_streamed_response_stays_below_lambdas_limit() -> None:
    """Lambda cuts a streamed response at 200 MB (10^6), headers included."""
    assert settings.STREAM_LIMIT_BYTES.read({}) <= 200_000_000
