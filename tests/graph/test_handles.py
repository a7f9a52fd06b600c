"""Handles: calling nodes builds graphs, awaiting handles computes values."""

from __future__ import annotations

import asyncio
import gc
import inspect
import uuid

import numpy as np
import pytest
import torch
from PIL import Image as Pictures

import comfy_nb as nb
from comfy_nb.spec.registry import Registry


class Split:
    """Splits a picture."""

    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("picture", "Area")
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE",),
                "mode": (["soft", "hard"],),
                "amount": ("FLOAT", {"default": 0.5, "min": 0, "max": 1, "tooltip": "How much"}),
                "from": ("INT", {"default": 0}),
            },
            "optional": {"mask": ("MASK",), "extra": ("INT", {"default": 3}), "later": ("INT", {"lazy": True})},
        }

    def run(self, image, mode, amount, extra=0, mask=None, later=None, **others):
        return (image * amount, torch.zeros(1, 2, 2))


class Nothing:
    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"x": ("*",)}}

    def run(self, x):
        return ()


@pytest.fixture(autouse=True)
def session():
    with nb.use_session(nb.Session()) as session:
        yield session


@pytest.fixture
def nodes():
    registry = Registry()
    nb.register({"Split": Split, "Nothing": Nothing}, registry=registry)
    return type(nb.nodes)(lambda: registry)


@pytest.fixture
def add_one():
    @nb.node
    def add_one(x: int, step: int = 1) -> int:
        return x + step

    return add_one


PICTURE = torch.ones(1, 2, 2, 3)


# building


def test_inputs_come_by_position_by_name_and_by_default(nodes):
    handle = nodes.Split(PICTURE, "hard", amount=0.25)
    assert handle.call.inputs == {"image": PICTURE, "mode": "hard", "amount": 0.25, "from": 0, "extra": 3}
    assert nodes.Split(image=PICTURE).call.inputs["mode"] == "soft"


@pytest.mark.parametrize(
    ("args", "inputs", "words"),
    [
        ((), {}, r"Split needs the input 'image' \(IMAGE\). Its inputs are: image, mode, amount, from, mask"),
        ((PICTURE,), {"image": PICTURE}, "Split got the input 'image' twice, by position and by name"),
        (range(9), {}, r"Split takes 7 inputs \(image, mode, .*\), but 9 came"),
        ((PICTURE,), {"amuont": 1}, "no input 'amuont' on Split. Did you mean 'amount'?"),
    ],
)
def test_a_wrong_call_is_refused_where_it_is_made(nodes, args, inputs, words):
    with pytest.raises(nb.GraphError, match=words):
        nodes.Split(*args, **inputs)


def test_pictures_and_arrays_are_brought_to_the_sockets_layout_at_the_call(nodes):
    from_picture = nodes.Split(Pictures.new("RGB", (3, 2), "white")).call.inputs["image"]
    from_array = nodes.Split(np.full((2, 3, 3), 255, np.uint8)).call.inputs["image"]
    assert torch.equal(from_picture, torch.ones(1, 2, 3, 3)) and torch.equal(from_array, from_picture)


def test_a_wrong_layout_names_class_and_input(nodes):
    with pytest.raises(nb.LayoutError, match="Split, input 'image': "):
        nodes.Split(torch.zeros(1, 3, 64, 64))


def test_a_handle_inside_a_list_is_refused(nodes):
    part = nodes.Split(PICTURE).picture
    with pytest.raises(nb.GraphError, match="Split, input 'image': a handle can be an input, but not part of a list"):
        nodes.Split([part, part])


def test_a_many_output_node_where_one_value_is_wanted_lists_its_outputs(nodes):
    with pytest.raises(nb.GraphError, match=r"Split has 2 outputs; choose one of them: .picture, .Area"):
        nodes.Split(nodes.Split(PICTURE))


def test_a_node_without_outputs_cannot_be_an_input(nodes):
    with pytest.raises(nb.GraphError, match="Nothing has no outputs"):
        nodes.Nothing(nodes.Nothing(1))


def test_a_function_node_takes_no_links_that_it_does_not_declare(add_one):
    with pytest.raises(nb.UnknownName, match="no input 'y' on add_one"):
        add_one(1, y=add_one(2))


def test_choices_that_grew_give_their_newest_default():
    files = ["a"]

    class Files(Nothing):
        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"name": (list(files),)}}

    registry = Registry()
    nb.register(Files, registry=registry)
    nodes = type(nb.nodes)(lambda: registry)
    assert nodes.Files().call.inputs == {"name": "a"}
    files.insert(0, "new")
    assert nodes.Files().call.inputs == {"name": "new"}


# slots


def test_slots_are_taken_by_name_index_attribute_and_in_any_case(nodes):
    handle = nodes.Split(PICTURE)
    assert [handle.Area.slot, handle.area.slot, handle["AREA"].slot, handle[1].slot, handle[-1].slot] == [1] * 5
    assert handle.picture.slot == 0 and len(handle) == 2


def test_a_node_is_unpacked_into_its_outputs(nodes):
    picture, area = nodes.Split(PICTURE)
    assert (picture.slot, area.slot) == (0, 1)


def test_a_wrong_slot_is_answered_with_the_outputs(nodes):
    handle = nodes.Split(PICTURE)
    with pytest.raises(nb.UnknownName, match="no output 'Areas' on Split. Did you mean 'Area'?"):
        handle["Areas"]
    with pytest.raises(AttributeError, match="no output 'pictur' on Split. Did you mean 'picture'?"):
        handle.pictur
    with pytest.raises(IndexError, match="Split has 2 outputs; there is no output 2"):
        handle[2]
    with pytest.raises(AttributeError):
        handle._private


def test_an_output_has_no_outputs_of_its_own(nodes):
    area = nodes.Split(PICTURE).Area
    with pytest.raises(nb.GraphError, match="is one output already"):
        area[0]
    with pytest.raises(TypeError, match="Only a node with several outputs can be unpacked"):
        list(area)
    with pytest.raises(AttributeError):
        area.picture


# being equal


def test_equal_calls_are_equal_and_hash_alike(add_one):
    assert add_one(add_one(1)) == add_one(add_one(1)) != add_one(add_one(2))
    assert len({add_one(1), add_one(1), add_one(2)}) == 2
    assert add_one(1) != 1 and add_one(1).call != 1


def test_equal_tensors_make_equal_calls(nodes):
    assert nodes.Split(torch.zeros(1, 2, 2, 3)) == nodes.Split(torch.zeros(1, 2, 2, 3)) != nodes.Split(PICTURE)
    assert nodes.Split(PICTURE).picture != nodes.Split(PICTURE).Area


def test_new_code_makes_other_calls(add_one):
    old = add_one(1)

    @nb.node(class_type="add_one")
    def changed(x: int, step: int = 1) -> int:
        return x + step + 1

    assert changed(1) != old


def test_a_fresh_handle_is_the_same_node_computed_again():
    @nb.node
    def sample(x: int) -> str:
        return uuid.uuid4().hex

    handle = sample(1)
    again = handle.fresh()
    assert again != handle and again.fresh() != again
    first, second = handle.run_sync(), again.run_sync()
    assert first != second
    assert (handle.run_sync(), again.run_sync()) == (first, second)


# being looked at


def test_the_repr_says_class_and_inputs_and_the_state_once_it_is_planned(nodes, add_one):
    handle = add_one(add_one(1, step=2))
    shown, advice = "<add_one(x=add_one(…).INT, step=1): ", "await it, or its .run() as a task>"
    assert repr(handle) == f"{shown}{advice}"
    assert handle.cache_keys() and repr(handle) == f"{shown}not run; {advice}"
    handle.run_sync()
    assert repr(handle) == f"{shown}cached; {advice}"
    assert repr(nodes.Split(PICTURE).Area).startswith("<Split(image=Tensor[1, 2, 2, 3], mode='soft', amount=0.5")
    assert ").Area: " in repr(nodes.Split(PICTURE).Area)


def test_the_repr_says_no_state_once_the_code_of_the_node_is_another():
    def first() -> int:
        return 1

    def second() -> int:
        return 2

    with nb.use_session(nb.Session()):
        handle = nb.node(class_type="a node that is edited")(first)()
        assert handle.run_sync() == 1 and "cached" in repr(handle)
        nb.node(class_type="a node that is edited")(second)
        assert "cached" not in repr(handle)


def test_completion_offers_outputs_and_methods(nodes):
    handle = nodes.Split(PICTURE)
    assert {"picture", "Area", "run", "show", "fresh"} <= set(dir(handle))
    assert dir(handle.Area) == ["fresh", "graph", "run", "run_sync", "show", "start"]
    assert set(dir(nb)) == {*nb.__all__, "last"}


def test_completion_offers_every_node_class(nodes):
    assert dir(nodes) == ["Nothing", "Split"] and list(nodes) == ["Nothing", "Split"] and len(nodes) == 2
    assert "Split" in nodes and "Other" not in nodes
    assert {"ImageBlur", "LoadImage"} <= set(dir(nb.nodes))
    assert "_ipython_display_" not in dir(nodes) and not hasattr(nodes, "_repr_mimebundle_")


def test_the_namespace_shows_the_classes_by_category(nodes):
    assert repr(nodes) == "<2 node classes>\n  other: Nothing, Split"


def test_a_misspelt_class_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="no node class 'ImageBlurr' in the registry. Did you mean 'ImageBlur'?"):
        nb.nodes.ImageBlurr
    with pytest.raises(nb.UnknownName, match="Did you mean 'ImageBlur'?"):
        nb.nodes["ImageBlurr"]


def test_a_factory_is_kept_until_its_class_is_replaced(nodes):
    assert nodes.Split is nodes.Split
    before = nodes.Split
    nb.register({"Split": Nothing}, registry=before.registry)
    assert nodes.Split is not before


def test_signatures_have_the_declared_inputs_and_defaults(nodes):
    assert (
        str(inspect.signature(nb.nodes.ImageBlur)) == "(image: 'IMAGE', blur_radius: 'INT' = 1, sigma: 'FLOAT' = 1.0)"
    )
    parameters = inspect.signature(nodes.Split).parameters
    assert list(parameters) == ["image", "mode", "amount", "mask", "extra", "later"]
    assert (parameters["mode"].default, parameters["mask"].default) == ("soft", None)


def test_required_inputs_after_optional_ones_are_named_in_signatures():
    class Odd(Nothing):
        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"a": ("INT", {"default": 1}), "b": ("IMAGE",), "c": ("INT", {"default": 2})}}

    registry = Registry()
    nb.register(Odd, registry=registry)
    signature = inspect.signature(type(nb.nodes)(lambda: registry).Odd)
    assert str(signature) == "(a: 'INT' = 1, *, b: 'IMAGE', c: 'INT' = 2)"


def test_docs_say_inputs_bounds_and_outputs(nodes):
    assert "Soften images" in nb.nodes.ImageBlur.__doc__ and "blur_radius: INT, 1 to 31" in nb.nodes.ImageBlur.__doc__
    assert nodes.Split.__doc__.splitlines() == [
        "Splits a picture.",
        "",
        "Inputs:",
        "    image: IMAGE",
        "    mode: one of 'soft', 'hard'",
        "    amount: FLOAT, 0 to 1, default 0.5. How much",
        "    from: INT, default 0",
        "    mask: MASK, optional",
        "    extra: INT, default 3, optional",
        "    later: INT, optional, lazy",
        "Outputs: picture (IMAGE), Area (MASK)",
    ]
    assert nodes.Nothing.__doc__.endswith("Outputs: none")


def test_a_function_node_shows_its_own_signature(add_one):
    assert repr(add_one) == "<node add_one(x: 'INT', step: 'INT' = 1)>"
    assert add_one.function(1) == 2


# being computed


async def test_a_handle_is_awaited_run_started_and_gathered(add_one):
    assert await add_one(1) == 2
    assert await add_one(2).run() == 3
    assert await add_one(3).start() == 4
    assert await asyncio.gather(add_one(4), add_one(5).run(), add_one(6)) == [5, 6, 7]
    assert await asyncio.create_task(add_one(7).run()) == 8
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(add_one(n).run()) for n in range(3)]
    assert [task.result() for task in tasks] == [1, 2, 3]


async def test_the_value_of_a_many_output_node_is_a_tuple(nodes):
    picture, area = await nodes.Split(PICTURE)
    assert torch.equal(picture, PICTURE * 0.5) and area.shape == (1, 2, 2)


def test_run_sync_computes_outside_of_a_loop(add_one):
    assert add_one(1).run_sync() == 2


def test_show_computes_and_shows(session, add_one):
    shown = []
    session.presenter.show_value = lambda value, kind: shown.append((value, kind))
    asyncio.run(_show(add_one(1)))
    assert shown == [(2, "INT")]


async def _show(handle):
    result = handle.show()
    if inspect.isawaitable(result):
        await result


def test_the_graph_of_a_handle_is_one_object(add_one):
    handle = add_one(add_one(1))
    assert handle.graph is handle.graph and len(handle.graph) == 2


def test_editing_the_graph_of_a_handle_leaves_the_handle_as_it_was(add_one):
    handle = add_one(1)
    assert handle.run_sync() == 2
    handle.graph[handle].inputs["x"] = 10
    assert handle.graph.run_sync()[handle.graph.id_of(handle)] == 11
    assert handle.run_sync() == 2


@pytest.mark.long
def test_a_chain_of_100000_handles_needs_no_recursion(add_one):
    handle = add_one(0)
    for _ in range(99_999):
        handle = add_one(handle)
    assert len(handle.call.closure()) == 100_000
    assert hash(handle) == hash(handle) and handle == handle
    assert repr(handle).startswith("<add_one(x=add_one(…).INT")
    assert len(handle.graph) == 100_000
    del handle
    gc.collect()
