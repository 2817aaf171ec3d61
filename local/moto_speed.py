"""What moto works out anew for each request and each attribute, worked out once: over half of what a read costs."""

from functools import cache
from typing import Any

from moto import backends
from moto.core import responses, utils
from moto.core.model import StructureShape
from moto.core.serialize import BaseJSONSerializer, Serialized

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
ATTRIBUTE_VALUE = "AttributeValue"


@cache
def make_faster() -> None:
    """Whatever server of moto's is started in this process."""
    _list_services_once()
    _list_operations_once()
    _write_the_member_that_is_there()


def _list_services_once() -> None:
    """moto reads the folder of its services for each request, twice."""
    services = list(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: services


def _list_operations_once() -> None:
    """moto inspects the class that answers for each request."""
    responses.method_names_from_class = cache(utils.method_names_from_class)  # type: ignore[attr-defined]


def _write_the_member_that_is_there() -> None:
    """An attribute's value in DynamoDB has one member of ten, and moto looks for each of them by six names."""
    write = BaseJSONSerializer._serialize_type_structure

    def written(self: BaseJSONSerializer, serialized: Serialized, value: Any, shape: StructureShape, key: str) -> None:
        if shape.name != ATTRIBUTE_VALUE or not isinstance(value, dict) or not shape.members.keys() >= value.keys():
            write(self, serialized, value, shape, key)
            return
        member: dict[str, Any] = {}
        for name, content in value.items():
            self._serialize(member, content, shape.members[name], name)
        self._default_serialize(serialized, member, shape, key)

    BaseJSONSerializer._serialize_type_structure = written  # type: ignore[method-assign]
