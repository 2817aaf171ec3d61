"""The documents in events/schemas."""

from jsonschema import Draft202012Validator

from functions.publisher.changes import Kind
from tests.unit.functions.publisher.schemas import FOLDER, path, schema, text


def test_each_kind_of_event_has_a_schema_that_is_fresh() -> None:
    """`make openapi` writes them; each is valid JSON Schema, and there are no others."""
    assert {path(kind) for kind in Kind} == {*FOLDER.iterdir()}
    for kind in Kind:
        Draft202012Validator.check_schema(schema(kind))
        assert path(kind).read_text() == text(kind)
