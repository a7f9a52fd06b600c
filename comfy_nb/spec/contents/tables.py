"""What the values of pandas hold: cells with every label, dtype and attribute of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from comfy_nb.spec.attributes import attributes_of
from comfy_nb.spec.locality import module_of
from comfy_nb.spec.readers import Parts, Whole, known_of, reads_named

NUMERIC_KINDS = "biufc"
_DTYPE_FACTS = ("categories", "ordered", "storage", "na_value", "subtype", "fill_value", "closed", "tz", "unit")
_SCALAR_FACTS = (
    "value",
    "unit",
    "tz",
    "fold",
    "ordinal",
    "freqstr",
    "left",
    "right",
    "closed",
    "n",
    "normalize",
    "kwds",
)


@reads_named("pandas", "DataFrame")
def _(value: Any) -> Parts:
    return Whole((*_notes(value), value.columns, value.index, *_cells(value)))


def _cells(table: Any) -> list[Any]:
    """Return the columns of a table, or all of them as one array if they are of one numeric dtype."""
    first, *others = set(table.dtypes) or {None}
    if not others and isinstance(first, np.dtype) and first.kind in NUMERIC_KINDS:
        return [table.to_numpy()]
    return [table.iloc[:, place].array for place in range(table.shape[1])]


@reads_named("pandas", "Series")
def _(value: Any) -> Parts:
    return Whole((*_notes(value), value.name, value.index, value.array))


def _notes(value: Any) -> Parts:
    derived = [(name, getattr(value, name, None)) for name in value._metadata if name not in ("_name", "name")]
    own = {"_attrs", *value._internal_names_set}
    added = [pair for pair in vars(value).items() if pair[0] not in own]
    return (value.attrs, value.flags.allows_duplicate_labels, derived, added)


@reads_named("pandas", "Index")
def _(value: Any) -> Parts:
    return Whole((value.dtype, list(value.names), getattr(value, "freq", None), value.array, *given_to(value)))


@reads_named("pandas", "RangeIndex")
def _(value: Any) -> Parts:
    return Whole((value.start, value.stop, value.step, list(value.names), *given_to(value)))


@reads_named("pandas", "MultiIndex")
def _(value: Any) -> Parts:
    return Whole((list(value.names), value.sortorder, list(value.levels), list(value.codes), *given_to(value)))


@reads_named("pandas", "ExtensionArray")
def _(value: Any) -> Parts:
    return Whole((value.dtype, value.to_numpy(dtype=object), *_attributes(value)))


@reads_named("pandas", "NumpyExtensionArray")
def _(value: Any) -> Parts:
    return Whole((value.dtype, value.to_numpy(), *_attributes(value)))


@reads_named("pandas", "Categorical")
def _(value: Any) -> Parts:
    return Whole((value.dtype, value.codes, *given_to(value)))


@reads_named("pandas", "DatetimeArray", "TimedeltaArray", "PeriodArray")
def _(value: Any) -> Parts:
    return Whole((value.dtype, getattr(value, "freq", None), value.asi8, *given_to(value)))


@reads_named("pandas", "BaseMaskedArray")
def _(value: Any) -> Parts:
    return Whole((value.dtype, value._data, value._mask, *given_to(value)))


@reads_named("pandas", "IntervalArray")
def _(value: Any) -> Parts:
    return Whole((value.left, value.right, value.closed, *given_to(value)))


@reads_named("pandas", "SparseArray")
def _(value: Any) -> Parts:
    facts = (value.dtype, value.kind, len(value), value.fill_value)
    return Whole((*facts, value.sp_values, value.sp_index.indices, *given_to(value)))


@reads_named("pandas", "ExtensionDtype", with_derived=True)
def _(value: Any) -> Parts:
    if not _is_of_pandas(value) and (attributes := _attributes(value)):
        return Whole((str(value), *attributes))
    return Whole((str(value), repr(value), *_facts(value, _DTYPE_FACTS)))


@reads_named("pandas", "Timestamp", "Timedelta", "Period", "Interval", "BaseOffset", with_derived=True)
def _(value: Any) -> Parts:
    return Whole((*_facts(value, _SCALAR_FACTS), *_attributes(value)))


@reads_named("pandas", "NaTType", "NAType")
def _(_value: Any) -> Parts:
    return Whole(())


def _attributes(value: Any) -> Parts:
    """Return the attributes of a value; of a class of pandas those that a person gave it."""
    return given_to(value) if _is_of_pandas(value) else attributes_of(value, (), known_of(type(value)).left_out)


def _is_of_pandas(value: Any) -> bool:
    return module_of(type(value)).startswith("pandas.")


def given_to(value: Any) -> Parts:
    """Return the attributes that a person gave to what pandas made: names and items; its own are private."""
    own = getattr(value, "__dict__", {})
    return [part for name, item in own.items() if not name.startswith("_") for part in (name, item)]


def _facts(value: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    facts = [(name, getattr(value, name)) for name in names if hasattr(value, name)]
    return tuple([part for name, fact in facts if not callable(fact) for part in (name, fact)])
