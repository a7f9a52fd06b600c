"""Values as they go through a graph, and the nodes that read and write files (docs/semantics.md, "Values")."""

from __future__ import annotations

import asyncio
import enum
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import comfy_nb as nb
from comfy_nb.errors import ValidationError
from comfy_nb.library import Folders, use_folders
from tests.engine.support import Pack, made, ran

BIGGEST_SEED = 2**64 - 1


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> Iterator[Folders]:
    """Folders of the test's own."""
    with use_folders(Folders(tmp_path)) as folders:
        folders.input.mkdir()
        yield folders


def graph_of(prompt: dict[str, Any]) -> nb.Graph:
    """A graph of the library's nodes."""
    return nb.Graph.from_prompt(prompt)


def picture(colour: int = 0, width: int = 6, height: int = 4) -> dict[str, Any]:
    return made("EmptyImage", width=width, height=height, batch_size=1, color=colour)


def saving(prefix: str = "a", colour: int = 0) -> dict[str, Any]:
    return {"1": picture(colour), "2": made("SaveImage", images=["1", 0], filename_prefix=prefix)}


def names(run: nb.Run, node_id: str = "2") -> list[str]:
    return [entry["filename"] for entry in run.ui[node_id]["images"]]


# Values


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("IMAGE", torch.zeros(2, 4, 6, 4)),
        ("MASK", torch.zeros(4, 6)),
        ("LATENT", {"samples": torch.zeros(1, 4, 2, 2), "noise_mask": torch.ones(1, 2, 2), "batch_index": [0]}),
        ("AUDIO", {"waveform": torch.zeros(1, 2, 8), "sample_rate": 44100}),
        ("SIGMAS", torch.tensor([3.0, 1.0, 0.0])),
        ("CONDITIONING", [[torch.zeros(1, 2), {"pooled_output": None}]]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_values_go_from_node_to_node_as_they_are(pack: Pack, kind: str, value: Any) -> None:
    seen: list[Any] = []
    pack.node("Give", lambda self: (value,), None, (kind,))
    pack.node("Take", lambda self, x: seen.append(x) or (0,), {"x": (kind, {})})
    await pack.graph({"1": made("Give"), "2": made("Take", x=["1", 0])}).run()
    assert len(seen) == 1
    assert seen[0] is value


async def test_a_seed_of_64_bits_arrives_whole(pack: Pack) -> None:
    pack.node("Seed", lambda self, seed: (seed,), {"seed": ("INT", {"min": 0, "max": BIGGEST_SEED})})
    run = await pack.graph({"1": made("Seed", seed=BIGGEST_SEED), "2": made("Seed", seed=str(2**63 + 1))}).run()
    assert run["1"] == BIGGEST_SEED
    assert run["2"] == 2**63 + 1


async def test_an_image_is_float32_of_batch_height_width_and_channels_between_0_and_1() -> None:
    image = (await graph_of({"1": picture(0xFF0000)}).run())["1"]
    assert image.dtype == torch.float32
    assert image.shape == (1, 4, 6, 3)
    assert image[0, 0, 0].tolist() == [1.0, 0.0, 0.0]


# SaveImage


async def test_a_saved_picture_holds_the_prompt_as_it_ran_and_one_entry_per_key_of_extra_pnginfo(
    folders: Folders,
) -> None:
    prompt = saving()
    prompt["1"]["inputs"]["width"] = "6"
    run = await graph_of(prompt).run(extra_data={"extra_pnginfo": {"workflow": {"nodes": []}, "note": {"by": "me"}}})
    with Image.open(folders.output / names(run)[0]) as file:
        texts = file.text  # type: ignore[attr-defined]
    assert json.loads(texts["prompt"])["1"]["inputs"]["width"] == 6
    assert sorted(json.loads(texts["prompt"])) == ["1", "2"]
    assert json.loads(texts["workflow"]) == {"nodes": []}
    assert json.loads(texts["note"]) == {"by": "me"}


async def test_each_run_takes_the_counter_after_the_highest_of_its_prefix(folders: Folders) -> None:
    graph = graph_of(saving("p"))
    seen = []
    for colour in (1, 2, 3):
        graph["1"].inputs["color"] = colour
        seen += names(await graph.run())
    assert seen == ["p_00001_.png", "p_00002_.png", "p_00003_.png"]


async def test_ui_names_file_subfolder_and_type(folders: Folders) -> None:
    run = await graph_of(saving("sub/%width%x%height%")).run()
    assert run.ui["2"] == {"images": [{"filename": "6x4_00001_.png", "subfolder": "sub", "type": "output"}]}
    assert (folders.output / "sub" / "6x4_00001_.png").is_file()


async def test_saving_does_not_leave_the_output_folder() -> None:
    with pytest.raises(nb.NodeError, match="SaveImage"):
        await graph_of(saving("../a")).run()


async def test_two_equal_saves_write_one_file_that_both_report(folders: Folders) -> None:
    run = await graph_of({**saving("twin"), "3": saving("twin")["2"]}).run()
    assert names(run, "2") == names(run, "3")
    assert len(list(folders.output.glob("twin_*.png"))) == 1


async def test_saves_at_the_same_time_lose_nothing(folders: Folders) -> None:
    runs = await asyncio.gather(*(graph_of(saving("p", colour)).run() for colour in range(5)))
    assert len({names(run)[0] for run in runs}) == 5
    assert len(list(folders.output.glob("p_*.png"))) == 5


async def test_an_unchanged_save_reports_its_file_again_and_saves_again_when_that_is_gone(folders: Folders) -> None:
    graph = graph_of(saving())
    first = await graph.run()
    again = await graph.run()
    assert ran(again) == []
    assert again.ui == first.ui
    (folders.output / names(first)[0]).unlink()
    assert ran(await graph.run()) == ["2"]
    assert (folders.output / names(first)[0]).is_file()


# PreviewImage


async def test_a_preview_is_in_temp_under_a_prefix_that_stays_with_its_node(folders: Folders) -> None:
    other = made("PreviewImage", images=["4", 0])
    graph = graph_of({"1": picture(), "2": made("PreviewImage", images=["1", 0]), "4": picture(5), "3": other})
    first = await graph.run()
    graph["1"].inputs["color"] = 9
    graph["4"].inputs["color"] = 8
    second = await graph.run()
    entry = first.ui["2"]["images"][0]
    assert entry["type"] == "temp"
    assert (folders.temp / entry["filename"]).is_file()
    prefixes = [
        names(run, node_id)[0][: len("ComfyUI_temp_xxxxx")] for run in (first, second) for node_id in ("2", "3")
    ]
    assert prefixes[0] == prefixes[2]
    assert prefixes[1] == prefixes[3]
    assert prefixes[0] != prefixes[1]
    assert prefixes[0].startswith("ComfyUI_temp_")


# LoadImage


async def test_a_loaded_picture_is_read_again_only_when_its_content_changed(folders: Folders) -> None:
    path = folders.input / "a.png"
    Image.new("RGB", (4, 3), (255, 0, 0)).save(path)
    graph = graph_of({"1": made("LoadImage", image="a.png")})
    image, mask = (await graph.run())["1"]
    assert image[0, 0, 0].tolist() == [1.0, 0.0, 0.0]
    assert mask.shape == (1, 64, 64)
    assert ran(await graph.run()) == []
    Image.new("RGB", (4, 3), (0, 0, 255)).save(path)
    again = await graph.run()
    assert ran(again) == ["1"]
    assert again["1"][0][0, 0, 0].tolist() == [0.0, 0.0, 1.0]


async def test_a_picture_may_be_named_with_its_folder(folders: Folders) -> None:
    run = await graph_of(saving("sub/p", 0x00FF00)).run()
    loaded = await graph_of({"1": made("LoadImage", image=f"sub/{names(run)[0]} [output]")}).run()
    assert loaded["1"][0][0, 0, 0].tolist() == [0.0, 1.0, 0.0]


async def test_a_missing_picture_is_reported_before_anything_runs() -> None:
    with pytest.raises(ValidationError) as caught:
        await graph_of({"1": made("LoadImage", image="none.png"), "2": made("PreviewImage", images=["1", 0])}).run()
    assert [problem.type for problem in caught.value.problems] == ["custom_validation_failed"]
    assert "none.png" in str(caught.value)


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


@nb.node
def kept(values: list[int], modes: list[Mode] = [Mode.SLOW], factor: int = 1) -> str:  # noqa: B006
    return f"{values} {[mode.name for mode in modes]} {factor}"


@nb.node
def shapes(pictures: list[nb.Image]) -> str:
    return str([list(each.shape) for each in pictures])


@nb.node
def given(value: Any) -> str:
    return repr(value)


async def test_a_list_given_to_a_list_input_stands_for_its_items() -> None:
    assert await kept([1, 2.0, "3"], [Mode.FAST, "SLOW"], 4) == "[1, 2, 3] ['FAST', 'SLOW'] 4"
    assert await kept([]) == "[] ['SLOW'] 1"
    assert await kept(7) == "[7] ['SLOW'] 1"
    assert await shapes([torch.zeros(1, 4, 4, 3), torch.zeros(2, 5, 5, 1)]) == "[[1, 4, 4, 3], [2, 5, 5, 3]]"


async def test_an_item_of_a_list_that_does_not_fit_is_reported() -> None:
    with pytest.raises(nb.ValidationError, match="Expected INT, got str"):
        await kept([1, "two"])


async def test_a_list_given_to_a_handle_is_never_taken_for_a_link() -> None:
    assert await given(["1", 0]) == "['1', 0]"


async def test_why_tells_a_node_that_nobody_wanted_from_one_that_was_not_looked_at():
    @nb.node
    def wanted_or_not(value: int) -> int:
        return value

    wanted = wanted_or_not(wanted_or_not(1))
    graph = nb.Graph(wanted, wanted_or_not(2))
    await graph.run()
    run = await graph.run(outputs=[wanted])
    reasons = [run.why(node.id) for node in graph]
    assert sorted(set(reasons)) == [
        "from an earlier run",
        "not needed: nothing wanted needs it",
        "not needed: what needs it was there already",
    ]
