"""Classes that are not registered are told once, by whose they are, with what to do and without false follow-ups."""

from __future__ import annotations

import pytest

import comfy_nb as nb
from tests.engine.planning.refusals import refused, taking
from tests.engine.support import Pack, made


async def test_unknown_classes_are_told_together_by_whose_they_are(pack: Pack) -> None:
    taking(pack, "INT")
    prompt = {
        "1": made("KSampler"),
        "2": made("VAEDecode", samples=["1", 0]),
        "3": made("KSampler"),
        "4": made("posterize", image=["2", 0]),
        "5": made("Take", value=["4", 0]),
    }
    error = await refused(pack.graph(prompt))
    head, own, others = str(error).splitlines()
    assert head == "The graph has 2 problems:"
    assert own.startswith(
        "  - 2 classes are ComfyUI's own, not registered here: KSampler (nodes 1, 3), VAEDecode (node 2). "
    )
    assert others.startswith("  - 1 class comes from packs or notebooks, not registered here: posterize (node 4). ")
    assert "nb.register" in own
    assert "nb.export_nodes" in others and "--nodes my_nodes.py" in others
    assert [each.node_id for each in error.problems] == ["1", "2", "3", "4"]


async def test_each_keeps_the_form_that_comfyui_gives_it(pack: Pack) -> None:
    error = await refused(pack.graph({"1": made("KSampler"), "2": made("posterize")}))
    assert (error.type, error.node_errors) == ("missing_node_type", {})
    assert [each.as_comfy()["details"] for each in error.problems] == ["Node ID '#1'", "Node ID '#2'"]


async def test_many_classes_and_nodes_are_counted(pack: Pack) -> None:
    prompt = {str(number): made(f"Theirs{min(number, 19)}") for number in range(25)}
    text = str(await refused(pack.graph(prompt)))
    assert "20 classes come from packs or notebooks" in text
    assert "Theirs11 (node 11) and 8 more." in text
    text = str(await refused(pack.graph({str(number): made("Theirs") for number in range(5)})))
    assert "Theirs (nodes 0, 1, 2 and 2 more)" in text


async def test_a_name_that_is_close_to_a_registered_one_is_asked_for_but_none_of_comfyuis(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("KSamplerr", lambda self: (1,))
    text = str(await refused(pack.graph({"1": made("Tak"), "2": made("KSampler")})))
    assert "Tak (node 1). Tak: Did you mean 'Take'?" in text
    assert "KSamplerr" not in text


async def test_a_link_from_a_node_of_an_unknown_class_is_no_problem_of_its_own(pack: Pack) -> None:
    taking(pack, "INT")
    error = await refused(pack.graph({"1": made("Take", value=["2", 0]), "2": made("Theirs"), "32": made("Theirs")}))
    assert {each.type for each in error.problems} == {"missing_node_type"}


def test_validate_returns_unknown_classes_and_a_lack_of_outputs_as_it_does_all_else(pack: Pack) -> None:
    taking(pack, "INT")
    graph = pack.graph({"1": made("Take", value="x"), "2": made("Theirs")})
    assert [each.type for each in graph.validate()] == ["missing_node_type", "invalid_input_type"]
    assert [each.type for each in nb.Graph(registry=pack.registry).validate()] == ["prompt_no_outputs"]


def test_a_class_that_is_asked_for_by_name_gets_the_same_advice(pack: Pack) -> None:
    taking(pack, "INT")
    with pytest.raises(nb.UnknownName, match=r"'KSampler' in the registry\. comfy_nb brings only some of"):
        nb.Graph(registry=pack.registry).node("KSampler")
    with pytest.raises(nb.UnknownName, match=r"Did you mean 'Take'\?.*nb\.export_nodes"):
        pack.registry["Tak"]


def test_the_repr_of_a_handle_names_the_first_problem_of_its_graph() -> None:
    blurred = nb.nodes.ImageBlur(nb.nodes.EmptyImage(width=8, height=8), blur_radius=100, sigma=-1.0)
    with pytest.raises(nb.ValidationError):
        blurred.run_sync()
    assert ": has problems: ImageBlur (node 2): Value 100 bigger than max of 31: blur_radius." in repr(blurred)
