"""Inputs are edited, values are changed in place, or nothing that matters changes."""

from __future__ import annotations

import pytest

import comfy_nb as nb
from tests.engine.cell_edits.notebook import BRIGHT, BRIGHTEN, PHOTO, Notebook

# Nothing that matters changed


async def test_awaiting_again_runs_nothing(studio: Notebook) -> None:
    shown = await studio.show("bright")
    assert shown.ran == []
    assert shown.why("brighten") == "from an earlier run"
    assert shown.why("photo") == "not needed: what needs it was there already"


async def test_running_all_cells_again_runs_nothing(studio: Notebook) -> None:
    for source in (PHOTO, BRIGHTEN, BRIGHT):
        studio.cell(source)
    shown = await studio.show("bright")
    assert shown.ran == []
    assert shown.why("brighten") == "from an earlier run"


async def test_the_same_node_under_another_variable_runs_nothing(studio: Notebook) -> None:
    studio.cell("another = brighten(photo(4), by=1.0)")
    assert (await studio.show("another")).ran == []


async def test_editing_a_comment_and_moving_the_cell_runs_nothing(studio: Notebook) -> None:
    studio.cell("# brighter\n\n\n" + BRIGHTEN.replace("return", "# and so\n    return"))
    studio.cell(BRIGHT)
    assert (await studio.show("bright")).ran == []


async def test_editing_a_docstring_runs_the_node_since_code_may_read_it(studio: Notebook) -> None:
    studio.cell(BRIGHTEN.replace("    return", '    "Make it brighter."\n    return'))
    shown = await studio.show("bright")
    assert shown.ran == ["brighten"]
    assert shown.why("brighten") == "code changed"


async def test_a_global_that_the_node_does_not_read_runs_nothing(studio: Notebook) -> None:
    studio.cell("LOSS = 3\ndef unused():\n    return GAIN")
    assert (await studio.show("bright")).ran == []


async def test_an_attribute_of_the_same_name_as_a_global_is_not_that_global(notebook: Notebook) -> None:
    notebook.cell("""
        mean = 1
        @nb.node
        def average(image: torch.Tensor) -> float:
            return float(image.mean())
        level = average(torch.ones(3))
    """)
    await notebook.show("level")
    notebook.cell("mean = 2")
    assert (await notebook.show("level")).ran == []


# Inputs


async def test_changing_a_constant(studio: Notebook) -> None:
    studio.cell("bright = brighten(picture, by=5.0)")
    shown = await studio.show("bright")
    assert shown.ran == ["brighten"]
    assert shown.why("brighten") == "input `by` changed 1.0 -> 5.0"
    assert shown.value[0] == 7.0


async def test_changing_a_constant_and_going_back(studio: Notebook) -> None:
    studio.cell("bright = brighten(picture, by=5.0)")
    await studio.show("bright")
    studio.cell(BRIGHT)
    shown = await studio.show("bright")
    assert shown.ran == []
    assert shown.value[0] == 3.0


async def test_changing_a_constant_above_runs_all_below(studio: Notebook) -> None:
    studio.cell("picture = photo(5)\nbright = brighten(picture, by=1.0)")
    shown = await studio.show("bright")
    assert shown.ran == ["photo", "brighten"]
    assert shown.why("photo") == "input `size` changed 4 -> 5"
    assert shown.why("brighten") == "input `image` changed: node 1 above has a different result"


async def test_swapping_an_input(studio: Notebook) -> None:
    studio.cell("""
        @nb.node
        def painting() -> torch.Tensor:
            return torch.zeros(4)
        graph = nb.Graph(bright)
    """)
    await studio.run("graph")
    studio.cell("graph['2'].inputs['image'] = painting()")
    shown = await studio.run("graph")
    assert shown.ran == ["painting", "brighten"]
    assert shown.why("painting") == "first run"
    assert shown.why("brighten") == "input `image` changed: it is linked to node 3[0] now"


async def test_an_array_of_other_content_as_a_constant(notebook: Notebook) -> None:
    notebook.cell("""
        @nb.node
        def total(values: object) -> float:
            return float(values.sum())
        data = np.arange(4)
        result = total(data)
    """)
    await notebook.show("result")
    notebook.cell("data = np.arange(4)\nresult = total(data)")
    assert (await notebook.show("result")).ran == []
    notebook.cell("data = np.arange(4) + 1\nresult = total(data)")
    shown = await notebook.show("result")
    assert shown.ran == ["total"]
    assert shown.why("total") == "input `values` changed (ndarray[4] with other content)"


# Values changed in place


async def test_changing_a_value_in_place_by_torch(studio: Notebook) -> None:
    value = (await studio.show("picture")).value
    value.mul_(100)
    with pytest.warns(nb.ComfyNBWarning, match=r"photo \(node 1\) was changed in place"):
        shown = await studio.show("picture")
    assert shown.ran == ["photo"]
    assert shown.why("photo") == "changed in place"
    assert shown.value[0] == 1.0


async def test_changing_a_value_in_place_through_numpy(studio: Notebook) -> None:
    value = (await studio.show("picture")).value
    value.numpy()[0] = 100
    with pytest.warns(nb.ComfyNBWarning, match=r"photo \(node 1\) was changed in place"):
        shown = await studio.show("picture")
    assert shown.ran == ["photo"]
    assert shown.value[0] == 1.0


async def test_what_was_computed_from_a_value_before_it_was_changed_stays(studio: Notebook) -> None:
    value = (await studio.show("picture")).value
    value.zero_()
    shown = await studio.show("bright")
    assert shown.ran == []
    assert shown.value[0] == 3.0


async def test_a_node_that_changes_its_input_is_named_and_others_get_the_value_as_it_was(studio: Notebook) -> None:
    studio.cell("""
        @nb.node
        def spoil(image: torch.Tensor) -> float:
            image.zero_()
            return 0.0
        @nb.node
        def look(image: torch.Tensor, after: float) -> float:
            return float(image[0])
        seen = look(picture, spoil(picture))
    """)
    with pytest.warns(nb.ComfyNBWarning, match=r"spoil \(node 2\) changed its input 'image' in place"):
        shown = await studio.show("seen")
    assert shown.value == 1.0
    assert "photo" in shown.ran


async def test_changing_a_constant_tensor_in_place(notebook: Notebook) -> None:
    notebook.cell("""
        @nb.node
        def total(values: torch.Tensor) -> float:
            return float(values.sum())
        data = torch.ones(3)
        result = total(data)
    """)
    await notebook.show("result")
    notebook.cell("data += 1\nresult = total(data)")
    shown = await notebook.show("result")
    assert shown.ran == ["total"]
    assert shown.value == 6.0


async def test_why_names_the_global_whose_weights_changed(notebook: Notebook) -> None:
    notebook.cell("""
        net = torch.nn.Linear(1, 1)
        @nb.node
        def total() -> float:
            return float(net.weight.sum())
        result = total()
    """)
    await notebook.show("result")
    notebook.cell("net.weight.data += 1")
    assert (await notebook.show("result")).why("total") == "global `net` changed"
