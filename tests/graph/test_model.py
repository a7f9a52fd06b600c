"""A graph is built, loaded, edited, saved and run."""

from __future__ import annotations

import json

import pytest
import torch

import comfy_nb as nb

# Building


def test_nodes_get_ids_in_order_and_keep_given_ones(graph):
    assert [graph.node("Source").id, graph.node("Source", id=5).id, graph.node("Source", id="x").id] == ["1", "5", "x"]
    assert graph.node("Source").id == "2"
    assert [node.id for node in graph] == ["1", "5", "x", "2"] and len(graph) == 4


def test_an_id_that_is_taken_is_refused(graph):
    graph.node("Source", id=3)
    with pytest.raises(nb.GraphError, match=r"The id '3' is taken by <Source #3>. Choose another or use replace\(\)"):
        graph.node("Source", id="3")


def test_links_are_given_as_lists_nodes_or_handles(graph, nodes):
    source = graph.node("Source", seed=1)
    sink = graph.node("Sink", image=source, mask=["1", 1], any=nodes.Source(2).MASK, latent=source.out("mask"))
    assert sink.inputs == {"image": ["1", 0], "mask": ["1", 1], "any": ["3", 1], "latent": ["1", 1]}
    assert graph["3"].inputs == {"seed": 2}


def test_a_node_given_an_id_keeps_it_whatever_its_handles_are_called(graph, nodes):
    graph.node("Sink", id=1, image=nodes.Source(1).IMAGE, mask=nodes.Source(2).MASK)
    assert graph["1"].class_type == "Sink"
    assert [graph[graph["1"].inputs[name][0]].inputs["seed"] for name in ("image", "mask")] == [1, 2]
    assert [node.class_type for node in graph] == ["Source", "Source", "Sink"]


def test_a_node_that_is_refused_leaves_nothing_behind(graph, nodes):
    source = nodes.Source(1)
    with pytest.raises(nb.UnknownName, match="no input 'imgae' on <Sink #1>. Did you mean 'image'?"):
        graph.node("Sink", image=source.IMAGE, imgae=3)
    with pytest.raises(nb.GraphError, match="Source has 2 outputs; choose one of them: .IMAGE, .MASK"):
        graph.node("Sink", image=source)
    assert len(graph) == 0 and source not in graph


def test_an_unknown_class_is_answered_with_the_nearest(graph):
    with pytest.raises(nb.UnknownName, match="no node class 'Sorce' in the registry. Did you mean 'Source'?"):
        graph.node("Sorce")


def test_list_constants_are_wrapped_so_that_they_are_not_links(graph):
    sink = graph.node("Sink", any=[1, 2, 3])
    assert sink.inputs["any"] == {"__value__": [1, 2, 3]}


def test_hidden_inputs_may_be_set(graph):
    assert graph.node("Source", seed=1, id="7").id == "7"
    graph["7"].inputs["id"] = "x"
    assert graph["7"].inputs["id"] == "x"


def test_a_handle_added_twice_is_one_node(graph, nodes):
    source = nodes.Source(1)
    assert graph.add(source) is graph.add(source.MASK)
    structure = graph.structure
    graph.add(source)
    assert len(graph) == 1 and graph.structure == structure


def test_a_graph_of_handles_shares_what_they_share(nodes):
    source = nodes.Source(1)
    graph = nb.Graph(nodes.Sink(image=source.IMAGE), nodes.Sink(mask=source.MASK))
    assert [node.class_type for node in graph] == ["Source", "Sink", "Sink"]


@pytest.mark.parametrize("thing", ["graph.json", {"1": {}}, 3])
def test_a_graph_is_made_of_handles_only(thing):
    with pytest.raises(nb.GraphError, match=r"A graph is made of handles, not of .* read by nb.load\(\)"):
        nb.Graph(thing)


def test_a_node_of_another_graph_is_refused_as_an_input(graph, registry):
    other = nb.Graph(registry=registry).node("Source", seed=1)
    with pytest.raises(nb.GraphError, match="<Source #1> belongs to another graph"):
        graph.node("Sink", image=other)


def test_nodes_are_found_by_class_and_by_title(graph):
    graph.node("Source", seed=1, id="1")
    graph.node("Source", seed=2, id="2", title="Begin")
    assert [node.id for node in graph.find("Source")] == ["1", "2"]
    assert [node.id for node in graph.find("Begin")] == ["2"]
    assert graph.find("KSampler") == []
    with pytest.raises(nb.GraphError, match="find\\(\\) takes a handle, or the class or title of nodes, not 3"):
        graph.find(3)


# Loading and saving


PROMPT = {
    "4": {"class_type": "Source", "inputs": {"seed": 3}, "_meta": {"title": "Begin", "ver": "1"}},
    "9": {"class_type": "Sink", "inputs": {"image": ["4", 0]}},
}


@pytest.mark.parametrize("form", ["dict", "text", "bytes", "path", "path text", "prompt of an API call"])
def test_a_prompt_is_loaded_from_each_form(form, tmp_path, registry):
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(PROMPT))
    source = {
        "dict": PROMPT,
        "text": json.dumps(PROMPT),
        "bytes": json.dumps(PROMPT).encode(),
        "path": path,
        "path text": str(path),
        "prompt of an API call": {"prompt": PROMPT},
    }[form]
    graph = nb.load(source, registry)
    assert graph.to_prompt() == PROMPT
    assert [node.title for node in graph] == ["Begin", "Sink"]


def test_what_is_not_a_source_of_a_graph_is_refused():
    with pytest.raises(nb.PromptError, match="loaded from a path, JSON text or a dict, not from int"):
        nb.load(3)


def test_a_saved_graph_loads_as_the_same(tmp_path, registry):
    graph = nb.load(PROMPT, registry)
    graph["4"].title = "Start"
    graph.save(tmp_path / "out.json")
    again = nb.load(tmp_path / "out.json", registry)
    assert again.to_prompt() == graph.to_prompt()
    assert again["4"].extras["_meta"] == {"title": "Start", "ver": "1"}


def test_a_graph_with_a_tensor_in_it_cannot_be_saved(graph, tmp_path):
    graph.node("Sink", any=torch.zeros(2))
    with pytest.raises(nb.PromptError, match=r"(?s)any.*Tensor|Tensor.*any"):
        graph.save(tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


# Editing


def edits(graph):
    """Return what tells a plan of edits: the number of the structure, and the nodes with edited constants."""
    return graph.structure, set(graph.edited)


@pytest.mark.parametrize(
    "edit",
    [
        lambda inputs: inputs.__setitem__("image", ["1", 1]),
        lambda inputs: inputs.__delitem__("image"),
        lambda inputs: inputs.update(image=["1", 1]),
        lambda inputs: inputs.pop("image"),
        lambda inputs: inputs.popitem(),
        lambda inputs: inputs.clear(),
        lambda inputs: inputs.setdefault("mask", ["1", 1]),
        lambda inputs: inputs.__ior__({"mask": ["1", 1]}),
    ],
)
def test_every_way_to_edit_inputs_is_noticed(registry, edit):
    graph = nb.load({"1": PROMPT["4"], "9": {"class_type": "Sink", "inputs": {"image": ["1", 0]}}}, registry)
    before = edits(graph)
    edit(graph["9"].inputs)
    assert edits(graph) != before


def test_a_constant_edited_leaves_the_structure(registry):
    graph = nb.load(PROMPT, registry)
    structure = graph.structure
    graph["4"].inputs["seed"] = 7
    assert graph.structure == structure and graph.edited == {"4"}
    assert graph["4"].inputs.setdefault("seed", 1) == 7
    graph["4"].inputs |= {"seed": 8}
    assert graph["4"].inputs["seed"] == 8


def test_a_misspelt_input_is_refused(registry):
    graph = nb.load(PROMPT, registry)
    with pytest.raises(nb.UnknownName, match="no input 'sed' on <\"Begin\" Source #4>. Did you mean 'seed'?"):
        graph["4"].inputs["sed"] = 1
    assert "sed" not in graph["4"].inputs


def test_inputs_of_a_class_that_is_not_installed_are_left_alone(registry):
    graph = nb.load({"1": {"class_type": "Foreign", "inputs": {}}}, registry)
    graph["1"].inputs["whatever"] = 3
    assert graph["1"].out(2) == ["1", 2]
    with pytest.raises(nb.UnknownName, match="no output 'IMAGE' on <Foreign #1>"):
        graph["1"].out("IMAGE")


def test_removing_a_node_removes_the_links_from_it(registry):
    graph = nb.load(PROMPT, registry)
    del graph["4"]
    assert [node.id for node in graph] == ["9"] and graph["9"].inputs == {}
    with pytest.raises(nb.UnknownName, match="no node '4' in the graph. There are: 9"):
        graph.remove("4")


def test_a_removed_handle_can_be_added_again(nodes):
    source = nodes.Source(1)
    graph = nb.Graph(source)
    graph.remove(source)
    assert len(graph) == 0 and source not in graph
    graph.add(source)
    assert source in graph


def test_a_node_replaced_keeps_its_place_links_and_the_inputs_that_fit(graph):
    first, middle = graph.node("Source", seed=1), graph.node("Two", image=["1", 0], mask=["1", 1], more=["1", 0])
    graph.node("Sink", image=middle.out("IMAGE"))
    new = graph.replace(middle, "Union", n=3)
    assert graph["2"] is new and new.inputs == {"mask": ["1", 1], "n": 3}
    assert graph["3"].inputs["image"] == ["2", 0] and first in graph and middle not in graph


def test_a_replacement_that_is_refused_changes_nothing(graph):
    old = graph.node("Source", seed=1)
    with pytest.raises(nb.UnknownName, match="no input 'sed'"):
        graph.replace("1", "Source", sed=1)
    with pytest.raises(nb.UnknownName, match="Did you mean 'Source'"):
        graph.replace("1", "Sorce")
    assert graph["1"] is old


def test_a_copy_is_edited_apart(registry, nodes):
    graph = nb.load(PROMPT, registry)
    graph["4"].seed("increment").bypass()
    source = nodes.Source(5)
    graph.add(source)
    twin = graph.copy()
    assert twin.to_prompt() == graph.to_prompt() and source in twin
    twin["9"].inputs["mask"] = ["4", 1]
    twin["4"].activate().inputs["seed"] = 9
    twin["4"].control["seed"] = "fixed"
    assert (graph["4"].inputs["seed"], graph["4"].mode, graph["4"].control) == (3, "bypass", {"seed": "increment"})
    assert "mask" not in graph["9"].inputs and twin.scope is not graph.scope


def test_membership_is_by_id_node_and_handle(registry, nodes):
    graph = nb.load(PROMPT, registry)
    source = nodes.Source(1)
    assert "4" in graph and 4 in graph and graph["4"] in graph
    assert "5" not in graph and nb.load(PROMPT, registry)["4"] not in graph and source not in graph
    graph.add(source)
    assert source in graph and nodes.Source(1) in graph and nodes.Source(2) not in graph


def test_a_node_is_found_by_its_handle(nodes):
    source = nodes.Source(1)
    graph = nb.Graph(nodes.Sink(image=source.IMAGE))
    assert graph[source].class_type == "Source" and graph[nodes.Source(1).MASK] is graph[source]
    with pytest.raises(nb.UnknownName, match="No node of this graph is the one of"):
        graph[nodes.Source(2)]


def test_a_node_of_another_graph_is_not_taken_for_one_of_the_same_id(registry):
    graph, other = nb.load(PROMPT, registry), nb.load(PROMPT, registry)
    with pytest.raises(nb.GraphError, match="not in this graph"):
        graph.remove(other["4"])
    assert len(graph) == 2


def test_the_repr_shows_nodes_links_and_short_values(graph):
    graph.node("Source", seed=1, title="Begin")
    graph.node("Sink", image=["1", 0], any=torch.zeros(1, 2), mask="x" * 100).mute()
    lines = repr(graph).splitlines()
    assert lines[:2] == ["<Graph of 2 nodes>", '  <"Begin" Source #1> seed=1']
    assert lines[2].startswith("  <Sink #2 (mute)> image=#1[0], any=Tensor[1, 2], mask='xxx") and len(lines[2]) < 120
    for _ in range(40):
        graph.node("Source")
    assert repr(graph).splitlines()[-1] == "  ... and 12 more"


def test_a_value_whose_repr_fails_is_shown_by_its_class(graph):
    class Rude:
        def __repr__(self):
            raise RuntimeError

    graph.node("Sink", any=Rude())
    assert "any=<Rude whose repr raised RuntimeError>" in repr(graph)
    assert repr(nb.Graph()) == "<Graph of 0 nodes>"


# Running


async def test_outputs_are_wanted_by_id_node_or_handle(graph, nodes):
    first, second = graph.node("Source", seed=1), graph.node("Source", seed=2)
    with nb.use_session(nb.Session()):
        assert (await graph.run("1"))["1"] == (1, 101)
        assert (await graph.run([second]))["2"] == (2, 102)
        job = graph.start([first])
        assert (await job)["1"] == (1, 101)
        handle = nodes.Source(3)
        run = await graph.run(handle)
        assert run[graph[handle].id] == (3, 103)
    assert graph.validate() == []
    with pytest.raises(nb.UnknownName, match="no node '7'"):
        graph.run_sync("7")


def test_validate_reports_all_that_is_wrong(graph):
    graph.node("Source", seed=11)
    graph.node("Sink", image=["1", 1])
    problems = graph.validate()
    assert {problem.type for problem in problems} >= {"value_bigger_than_max", "return_type_mismatch"}
