"""What pydantic's schemas, validators and type adapters hold: what they check, without addresses in memory."""

from __future__ import annotations

import re
from typing import Any

from comfy_nb.spec.readers import Parts, Whole, reads_named

_ADDRESS = re.compile(r":(\d{5,})")
_NAMES_OF_SCHEMAS = frozenset({"ref", "schema_ref"})
# What is under these keys is the person's, not pydantic's.
_GIVEN = frozenset({"default", "expected", "metadata"})


def without_addresses(schema: Any) -> Any:
    """Return a schema in which each class that is named by its address is named by a number instead."""
    return _numbered(schema, {})


def _numbered(schema: Any, numbers: dict[str, int]) -> Any:
    if type(schema) is dict:
        return {key: _entry(key, item, numbers) for key, item in schema.items()}
    if type(schema) in (list, tuple):
        return type(schema)([_numbered(item, numbers) for item in schema])
    return schema


def _entry(key: Any, item: Any, numbers: dict[str, int]) -> Any:
    if key in _NAMES_OF_SCHEMAS and type(item) is str:
        return _ADDRESS.sub(lambda found: f":{numbers.setdefault(found[1], len(numbers))}", item)
    return item if key in _GIVEN else _numbered(item, numbers)


@reads_named("pydantic_core", "SchemaValidator", "SchemaSerializer", with_derived=True)
def _(value: Any) -> Parts:
    schema, *options = value.__reduce__()[1]
    return Whole((without_addresses(schema), *options))


@reads_named("pydantic", "TypeAdapter")
def _(value: Any) -> Parts:
    """Return the type that is validated and its schema; all else follows from these."""
    return Whole((value._type, value._config, without_addresses(value.core_schema)))


@reads_named("pydantic", "ValidateCallWrapper")
def _(value: Any) -> Parts:
    """Return the function that is called, and what checks its arguments and its result."""
    return Whole((value.function, value.__pydantic_validator__, value.__return_pydantic_validator__))


@reads_named("pydantic_core", "Url", "MultiHostUrl")
def _(value: Any) -> Parts:
    return (str(value),)
