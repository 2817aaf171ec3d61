"""What moto works out anew for each request and each attribute, worked out once: over half of what a read costs."""

from functools import cache
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader
from moto import backends
from moto.core import responses, utils
from moto.core.model import StructureShape
from moto.core.serialize import BaseJSONSerializer, Serialized
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
ATTRIBUTE_VALUE = "AttributeValue"


@cache
def make_faster() -> None:
    """Whatever server of moto's is started in this process."""
    _read_models_once()
    _list_services_once()
    _list_operations_once()
    _write_the_member_that_is_there()
    _measure_an_item_once()
    _project_names_as_they_are()


def _read_models_once() -> None:
    """What botocore knows of EC2 is 3 MB, and moto reads it for three sessions to learn the names of regions.

    Of no other service: botocore changes S3's in place for its clients, and moto goes by it as it was.
    """
    read = JSONFileLoader.load_file
    read_once = cache(JSONFileLoader().load_file)

    def load_file(self: JSONFileLoader, file_path: str) -> Any:
        return read_once(file_path) if "ec2" in Path(file_path).parts else read(self, file_path)

    JSONFileLoader.load_file = load_file  # type: ignore[method-assign]


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


def _measure_an_item_once() -> None:
    """A new item is measured with each attribute that it gets, all that it has by then."""

    def begin(self: Item, hash_key: DynamoType, range_key: DynamoType | None, attrs: dict[str, Any]) -> None:
        self.hash_key, self.range_key = hash_key, range_key
        self.attrs = _unmeasured({name: DynamoType(value) for name, value in attrs.items()})
        if self.attrs:
            last = next(reversed(self.attrs))
            self.attrs[last] = self.attrs.pop(last)  # moto's own measuring, of all of them

    Item.__init__ = begin  # type: ignore[method-assign]


def _project_names_as_they_are() -> None:
    """The whole item is made plain JSON for each attribute that an index or a projection takes over."""
    project = Item.project

    def projected(self: Item, projection_expressions: list[list[str]]) -> Item:
        if any(len(path) > 1 or "[" in path[0] for path in projection_expressions):
            return project(self, projection_expressions)
        chosen = Item(self.hash_key, self.range_key, {})
        chosen.attrs = _unmeasured({name: self.attrs[name] for (name,) in projection_expressions if name in self.attrs})
        return chosen

    Item.project = projected  # type: ignore[method-assign]


def _unmeasured(attributes: dict[str, DynamoType]) -> LimitedSizeDict:
    made = LimitedSizeDict()
    dict.update(made, attributes)
    return made
