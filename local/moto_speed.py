"""What moto works out anew for each request and each attribute, worked out once: over half of what a read costs."""

from functools import cache
from typing import Any

from botocore.session import Session
from moto import backends
from moto.core import responses, utils
from moto.core.model import StructureShape
from moto.core.serialize import BaseJSONSerializer, Serialized
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.utilities import utils as loading

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
ATTRIBUTE_VALUE = "AttributeValue"


@cache
def make_faster() -> None:
    """Whatever server of moto's is started in this process."""
    _leave_out_what_ec2_offers()
    _list_services_once()
    _list_operations_once()
    _write_the_member_that_is_there()
    _measure_an_item_once()
    _project_names_as_they_are()


def _leave_out_what_ec2_offers() -> None:
    """moto's CloudFormation imports EC2, which reads 3 MB to learn that its prefix is `ec2`, and all types of machines.

    That was two of the three seconds of processor that a stack took to be made. Nothing here has machines.
    """
    available, load = Session.get_available_regions, loading.load_resource

    def get_available_regions(
        self: Session, service_name: str, partition_name: str = "aws", allow_non_regional: bool = False
    ) -> list[str]:
        if service_name != "ec2":
            return available(self, service_name, partition_name, allow_non_regional)
        resolver: Any = self.get_component("endpoint_resolver")
        return list(resolver.get_available_endpoints("ec2", partition_name, allow_non_regional))

    def load_resource(resource: str) -> Any:
        return {} if resource.startswith("ec2/resources/instance_type") else load(resource)

    Session.get_available_regions = get_available_regions  # type: ignore[method-assign]
    loading.load_resource = load_resource


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
