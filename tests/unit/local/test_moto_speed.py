"""What makes moto faster leaves its answers as they are."""

from typing import Any

import pytest
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, Item

from local import moto_speed

ATTRIBUTES: dict[str, Any] = {
    "owner": {"S": "alice"},
    "size": {"N": "1000"},
    "body": {"B": "AAE="},
    "names": {"SS": ["a", "b"]},
    "digests": {"M": {"sha-256": {"S": "00"}, "parts": {"L": [{"N": "1"}]}}},
    "drop": {"NULL": True},
    "verified": {"BOOL": False},
}


@pytest.fixture(autouse=True)
def faster() -> None:
    moto_speed.make_faster()


def item(attributes: dict[str, Any]) -> Item:
    return Item(DynamoType({"S": "alice"}), None, attributes)


def test_projection_has_the_attributes_that_are_there() -> None:
    """What is named and there comes as it was written, whatever its type; what is not there does not come."""
    whole = item(ATTRIBUTES)
    found = whole.project([[name] for name in ("digests", "size", "body", "names", "drop", "missing")])
    assert {*found.attrs} == {"digests", "size", "body", "names", "drop"}
    assert {name: value.to_json() for name, value in found.attrs.items()} == {
        name: whole.attrs[name].to_json() for name in found.attrs
    }
    assert found.hash_key == whole.hash_key
    assert whole.attrs.keys() == ATTRIBUTES.keys()


def test_projection_of_what_is_inside_an_attribute() -> None:
    """A path into a map takes that member alone."""
    found = item(ATTRIBUTES).project([["digests", "sha-256"], ["size"]])
    assert {name: value.to_regular_json() for name, value in found.attrs.items()} == {
        "digests": {"M": {"sha-256": {"S": "00"}}},
        "size": {"N": "1000"},
    }


@pytest.mark.parametrize("attributes", [{}, ATTRIBUTES])
def test_item_has_its_attributes_in_their_order(attributes: dict[str, Any]) -> None:
    """All of them, as they were given."""
    assert [*item(attributes).attrs] == [*attributes]


HALF = {"S": "x" * 202_000}  # of what moto takes
REST = {"S": "y" * 9_000}


@pytest.mark.parametrize("order", ["abc", "acb", "cab"])
def test_item_that_is_too_large_is_refused(order: str) -> None:
    """The size is that of all attributes together, in whatever order they come."""
    attributes = {"a": HALF, "b": HALF, "c": REST}
    with pytest.raises(ItemSizeTooLarge):
        item({name: attributes[name] for name in order})
    assert item({"a": HALF, "b": HALF}).size() == 404_002
