"""The disk tier gives back exactly what was stored, and refuses what it could not give back."""

from __future__ import annotations

import math
import struct

import numpy as np
import pandas as pd
import pytest
import torch

from comfy_nb.engine.cache.seal import seal, watch_everything
from comfy_nb.engine.cache.tree import DEEPEST
from tests.engine.cache.making import entry, key_of, only_value, stored

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
    *(
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint64,
        torch.uint32,
        torch.uint16,
        torch.uint8,
    ),
    *(torch.bool, torch.complex128, torch.complex64, torch.complex32),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 4), (1,)], ids=str)
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_a_tensor_comes_back_with_its_exact_dtype_shape_and_bits(disk, dtype, shape):
    generator = torch.Generator().manual_seed(3)
    size = math.prod(shape) * dtype.itemsize
    raw = torch.randint(0, 2 if dtype is torch.bool else 256, (size,), dtype=torch.uint8, generator=generator)
    tensor = raw.view(dtype).reshape(shape)
    back = only_value(stored(disk, "a", tensor))
    assert back.dtype is dtype and back.shape == tensor.shape
    assert back.reshape(-1).view(torch.uint8).tolist() == raw.tolist()


def test_tensors_of_mixed_widths_views_and_strides_come_back(disk):
    base = torch.arange(24.0).reshape(4, 6)
    complicated = torch.tensor([1 + 2j, 3 - 4j])
    values = [
        torch.tensor([True, False, True]),
        base,
        base[1:, ::2],
        base.t(),
        base[0, 0].expand(3, 2),
        torch.arange(3, dtype=torch.int16),
        complicated,
    ]
    back = [slot[0] for slot in stored(disk, "a", *values).outputs]
    for before, after in zip(values, back, strict=True):
        assert after.dtype is before.dtype
        assert torch.equal(after, before)


def test_the_same_tensor_in_two_places_is_one_tensor_again(disk):
    tensor = torch.ones(5)
    back = only_value(stored(disk, "a", {"x": tensor, "y": [tensor]}))
    assert back["x"] is back["y"][0]


@pytest.mark.parametrize("shared", [[1], {"a": 1}], ids=["list", "dict"])
def test_a_value_in_two_places_is_refused_since_it_would_come_back_as_two(disk, shared):
    assert disk.why_not(([shared], [shared])).startswith("it holds one ")
    assert disk.why_not(([[shared, shared]],)).startswith("it holds one ")
    assert disk.why_not(([shared], [type(shared)(shared)])) is None


def test_trees_of_plain_values_come_back_equal_in_value_and_class(disk):
    tree = {
        "none": None,
        "flags": (True, False, 1, 0, 1.0),
        "big": [2**53, -(2**53) - 1, 2**64, -(10**5000)],
        "floats": [0.1, -0.0, math.inf, -math.inf, 1e-320],
        "text": "é\u2028\x00 \ud800 \U0001f600",
        "nested": [[[]], (), {}, ((1,),)],
        5: "number key",
        (1, "a"): "tuple key",
        None: "no key",
    }
    back = only_value(stored(disk, "a", tree))
    assert back == tree
    assert repr(back["flags"]) == repr(tree["flags"]) and repr(back["floats"]) == repr(tree["floats"])
    assert list(back) == list(tree)


@pytest.mark.parametrize("bits", ["7ff8000000000000", "fff8000000000000", "7ff8000000000001"])
def test_nan_comes_back_with_its_bits(disk, bits):
    nan = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert struct.pack(">d", only_value(stored(disk, "a", [nan]))[0]).hex() == bits


def test_slots_with_several_values_or_none_come_back(disk):
    made = entry("a")
    made.outputs = ([1, 2], [], ["x"])
    disk.put(made)
    disk.flush()
    assert disk.get(key_of("a")).outputs == ([1, 2], [], ["x"])


def test_the_label_and_the_ui_come_back(disk):
    back = stored(disk, "a", 1, seconds=2.5, title="Soften", ui={"images": [{"filename": "a.png"}]})
    assert (back.class_type, back.node_id, back.title, back.seconds) == ("Blur", "3", "Soften", 2.5)
    assert back.ui == {"images": [{"filename": "a.png"}]}
    assert back.source == "disk" and back.durable and back.reusable


def test_what_comes_back_is_sealed_and_writing_to_it_changes_no_file(disk):
    back = stored(disk, "a", torch.zeros(3))
    back.outputs[0][0].add_(1)
    assert back.seal.broken() == "the tensor in output 0 was written to"
    assert disk.get(key_of("a")).outputs[0][0].tolist() == [0, 0, 0]


ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.array(3, np.int16),
    np.zeros((0, 4), np.uint8),
    np.array([True, False]),
    np.array([1 + 2j, complex("nan")], np.complex64),
    np.array(["2024-01-02", "NaT"], "datetime64[s]"),
    np.array([1, 2], "timedelta64[ms]"),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_an_array_comes_back_with_its_dtype_and_can_be_written_to(disk, array):
    back = only_value(stored(disk, "a", {"x": [array]}))["x"][0]
    assert back.dtype == array.dtype and back.shape == array.shape and back.flags.writeable
    assert back.tobytes() == array.tobytes()


def with_attributes(table: pd.DataFrame) -> pd.DataFrame:
    table.attrs["unit"] = "m"
    return table


def with_noted(part: str) -> pd.DataFrame:
    table = pd.DataFrame({"a": [1]}, index=["x"])
    getattr(table, part).note = "m"
    return table


COLUMNS = {
    "whole": [3, 1, 2],
    "real": np.array([0.5, math.nan, math.inf], np.float32),
    "is": [True, False, True],
    "text": ["a", "ü", None],
    "object": pd.Series(["a", None, "c"], dtype=object),
    "when": pd.to_datetime(["2024-01-02", None, "2024-01-04"]),
}
TABLES = {
    "all kinds": lambda: pd.DataFrame(COLUMNS),
    "some rows of another": lambda: pd.DataFrame(COLUMNS)[::2],
    "rows by text": lambda: pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="row")),
    "rows by number": lambda: pd.DataFrame({"a": [1, 2]}, index=[7, 3]),
    "no rows": lambda: pd.DataFrame({"a": np.zeros(0), "b": pd.Series([], dtype=object)}),
    "no columns": lambda: pd.DataFrame({"a": [1]})[[]],
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_comes_back_as_it_was(disk, name):
    table = TABLES[name]()
    found = stored(disk, "a", table)
    back = only_value(found)
    pd.testing.assert_frame_equal(back, table, check_exact=True, check_column_type="exact", check_index_type="exact")
    assert back.columns.dtype == table.columns.dtype and type(back.index) is type(table.index)
    assert back.dtypes.tolist() == table.dtypes.tolist()
    assert found.seal.broken() is None
    back["new"] = 1
    assert found.seal.broken() == "the DataFrame in output 0 was changed"


def test_an_array_or_table_that_was_changed_before_it_was_written_is_not_stored(disk):
    for name, value in (("a", np.zeros(3)), ("b", pd.DataFrame({"a": [1.0]}))):
        made = entry(name, value)
        made.seal = seal(made.outputs, watch_everything)
        value[:] = 5.0
        disk.put(made)
        disk.flush()
        assert disk.get(key_of(name)) is None


class Text(str):
    pass


class WithoutName(pd.api.extensions.ExtensionDtype):
    type = float

    @property
    def name(self) -> str:
        raise RuntimeError("it has no name")


class Unnamed(pd.api.extensions.ExtensionArray):
    dtype = WithoutName()

    def __len__(self) -> int:
        return 1

    def copy(self) -> Unnamed:
        return self


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "it holds a value of class object"),
        (np.zeros((3, 4)).T, "it holds an array that is read-only or not in the order of its memory"),
        (np.array(["a"]), "it holds an array of <U1"),
        (np.zeros(2, ">f4"), "it holds an array of >f4"),
        (np.zeros(2, np.longdouble), "it holds an array of float128"),
        (pd.DataFrame({"a": [object()]}), "it holds a table with a column of object that are not texts"),
        (pd.DataFrame({"a": pd.Categorical(["x"])}), "it holds a table with a column of category"),
        (pd.DataFrame({"a": pd.array([1, pd.NA], "Int64")}), "it holds a table with a column of Int64"),
        (pd.DataFrame({"a": pd.array(["x", pd.NA], "string")}), "it holds a table with a column of string"),
        (with_noted("index"), "it holds a table with attributes or flags"),
        (with_noted("columns"), "it holds a table with attributes or flags"),
        (pd.DataFrame(index=[1, 2]), "it holds a table whose columns are not named by one text each"),
        (np.zeros(2, np.longlong), "it holds an array of int64"),
        (pd.DataFrame({"a": Unnamed()}), "it holds a DataFrame that cannot be read (RuntimeError)"),
        (pd.DataFrame({1: [2]}), "it holds a table whose columns are not named by one text each"),
        (pd.DataFrame({"a": [1]}, index=pd.date_range("2024", periods=1)), "it holds a table with a DatetimeIndex"),
        (with_attributes(pd.DataFrame({"a": [1]})), "it holds a table with attributes or flags"),
        (b"x", "it holds a value of class bytes"),
        ({1}, "it holds a value of class set"),
        (Text("a"), "test_disk_values.Text"),
        ({"a": [object()]}, "it holds a value of class object"),
        (torch.nn.Parameter(torch.zeros(1)), "it holds a Parameter, a subclass of Tensor"),
        (torch.zeros(1, requires_grad=True), "it holds a tensor that carries gradients"),
        (torch.eye(2).to_sparse(), "it holds a sparse or quantised tensor"),
        (torch.zeros(1, device="meta"), "it holds a tensor on meta"),
    ],
)
def test_other_values_are_refused_with_the_reason(disk, value, reason):
    made = entry("a", value)
    assert not disk.put(made)
    assert reason in disk.why_not(made.outputs)
    assert disk.why_missing(made) == disk.why_not(made.outputs)
    assert key_of("a") not in disk


def test_tuples_that_hold_one_in_many_places_are_refused(disk):
    value = (1,)
    for _ in range(60):
        value = (value, value)
    assert disk.why_not(([value],)) == "it holds one tuple in too many places"
    assert disk.why_not(([[(1, 2)] * 100],)) is None


def test_a_tree_that_is_too_deep_or_holds_itself_is_refused(disk):
    ring: list[object] = []
    ring.append(ring)
    assert "in two places" in disk.why_not(([ring],))
    deep: list[object] = []
    for _ in range(DEEPEST + 1):
        deep = [deep]
    assert str(DEEPEST) in disk.why_not(([deep],))


def test_entries_that_mean_nothing_later_are_refused(disk):
    assert not disk.put(entry("a", 1, durable=False))
    assert not disk.put(entry("a", 1, reusable=False))
    assert not disk.put(entry("a", 1, ui={"x": object()}))
    assert disk.why_missing(entry("a", 1, durable=False)) == "its key means nothing to another kernel"


def test_a_tensor_of_a_dtype_without_a_name_in_the_format_is_left_out(disk):
    made = entry("a", torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2))
    disk.put(made)
    disk.flush()
    assert disk.get(key_of("a")) is None
    assert disk.why_missing(made) == "it holds a tensor of torch.float4_e2m1fn_x2"
