"""A graph is validated before anything of it runs (docs/semantics.md, "Validation")."""

from __future__ import annotations

from typing import Any

import pytest

import comfy_nb as nb
from tests.engine.planning.refusals import INT, echo, refused, taking
from tests.engine.support import Pack, made, ran

# Classes and outputs


async def test_every_class_must_be_known_even_of_a_node_that_is_not_needed(pack: Pack) -> None:
    taking(pack, "INT")
    error = await refused(pack.graph({"1": made("Take", value=1), "7": made("Tak")}))
    assert error.type == "missing_node_type"
    assert error.problems[0].as_comfy() == {
        "type": "missing_node_type",
        "message": "Node 'Tak' not found. The custom node may not be installed.",
        "details": "Node ID '#7'",
        "extra_info": {"node_id": "7", "class_type": "Tak", "node_title": "Tak"},
    }
    assert "Did you mean 'Take'?" in str(error)
    assert pack.calls.total() == 0


async def test_an_unknown_class_is_reported_with_everything_else_that_is_wrong(pack: Pack) -> None:
    taking(pack, "INT")
    error = await refused(pack.graph({"1": made("Take", value="x"), "7": made("Nope")}))
    assert [each.type for each in error.problems] == ["missing_node_type", "invalid_input_type"]


async def test_an_input_types_that_raises_is_reported_with_its_class(pack: Pack) -> None:
    def broken(cls: Any) -> dict[str, Any]:
        raise OSError("no folder")

    cls = pack.node("Broken", echo, {}, ("*",))
    cls.INPUT_TYPES = classmethod(broken)
    error = await refused(pack.graph({"1": made("Broken")}))
    assert error.type == "invalid_prompt"
    assert "OSError: no folder" in str(error)
    assert "INPUT_TYPES" in str(error)


async def test_all_output_nodes_are_wanted_and_only_what_they_need_runs(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("Number", lambda self: (1,))
    run = await pack.graph({"1": made("Number"), "2": made("Take", value=1), "3": made("Take", value=2)}).run()
    assert sorted(ran(run)) == ["2", "3"]


async def test_targets_choose_among_the_output_nodes_and_any_other_node_too(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("Number", lambda self: (1,))
    graph = pack.graph({"1": made("Number"), "2": made("Take", value=1), "3": made("Take", value=2)})
    assert ran(await graph.run(outputs=["3"])) == ["3"]
    assert ran(await graph.run(outputs=["1"])) == ["1"]


async def test_an_empty_target_list_is_prompt_no_outputs(pack: Pack) -> None:
    taking(pack, "INT")
    error = await refused(pack.graph({"1": made("Take", value=1)}), outputs=[])
    assert error.type == "prompt_no_outputs"


async def test_a_graph_of_no_nodes_is_prompt_no_outputs(pack: Pack) -> None:
    assert (await refused(nb.Graph(registry=pack.registry))).type == "prompt_no_outputs"


async def test_a_graph_without_output_nodes_runs_its_leaves(pack: Pack) -> None:
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    prompt = {"1": made("Number", n=1), "2": made("Number", n=["1", 0]), "3": made("Number", n=4)}
    run = await pack.graph(prompt).run()
    assert run.wanted == ["2", "3"]


# What validation leaves behind


async def test_what_was_converted_and_unwrapped_is_what_runs_and_is_saved_and_the_callers_dict_stays(
    pack: Pack,
) -> None:
    taking(pack, "INT")
    pack.node("List", echo, {"values": ("*",)}, ("*",), OUTPUT_NODE=True)
    prompt = {"1": made("Take", value="12"), "2": made("List", values={"__value__": [1, 2]})}
    run = await pack.graph(prompt).run()
    assert run["2"] == {"values": [1, 2]}
    assert run.prompt["1"]["inputs"] == {"value": 12}
    assert run.prompt["2"]["inputs"] == {"values": [1, 2]}
    assert prompt == {"1": made("Take", value="12"), "2": made("List", values={"__value__": [1, 2]})}


async def test_what_was_converted_is_what_is_keyed(pack: Pack) -> None:
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    await pack.graph({"1": made("Number", n="12")}).run()
    await pack.graph({"1": made("Number", n=12)}).run()
    assert pack.calls["Number"] == 1


# Good and bad outputs


async def test_one_bad_output_does_not_stop_the_good_ones_and_the_rest_is_raised_with_the_run(pack: Pack) -> None:
    taking(pack, "INT")
    error = await refused(pack.graph({"1": made("Take", value=1), "2": made("Take"), "3": made("Take", value=3)}))
    assert error.type == "prompt_outputs_failed_validation"
    assert error.run.state == "done"
    assert error.run["1"] == {"value": 1}
    assert error.run["3"] == {"value": 3}
    assert set(error.node_errors) == {"2"}


async def test_with_no_valid_output_nothing_runs(pack: Pack) -> None:
    taking(pack, "INT")
    error = await refused(pack.graph({"1": made("Take"), "2": made("Take")}))
    assert error.type == "prompt_outputs_failed_validation"
    assert error.run is None
    assert pack.calls.total() == 0


async def test_node_errors_have_only_nodes_with_errors_of_their_own(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    prompt = {
        "1": made("Number", n="x"),
        "2": made("Number", n=["1", 0]),
        "3": made("Take", value=["2", 0]),
        "4": made("Take", value=["1", 0]),
        "5": made("Take", value=5),
    }
    error = await refused(pack.graph(prompt))
    assert set(error.node_errors) == {"1"}
    entry = error.node_errors["1"]
    assert entry["class_type"] == "Number"
    assert entry["dependent_outputs"] == ["3", "4"]
    assert [each["type"] for each in entry["errors"]] == ["invalid_input_type"]
    assert set(entry["errors"][0]) == {"type", "message", "details", "extra_info"}


async def test_what_is_wrong_beside_the_wanted_outputs_is_not_reported(pack: Pack) -> None:
    taking(pack, "INT")
    graph = pack.graph({"1": made("Take", value=1), "2": made("Take")})
    assert (await graph.run(outputs=["1"]))["1"] == {"value": 1}


async def test_everything_that_is_wrong_is_reported_at_once(pack: Pack) -> None:
    required = {"a": INT, "b": ("INT", {"max": 3}), "c": (["x"],), "d": ("IMAGE",)}
    pack.node("Many", echo, required, ("*",), OUTPUT_NODE=True)
    pack.node("Number", lambda self: (5,))
    error = await refused(pack.graph({"1": made("Many", b=4, c="z", d=["2", 0]), "2": made("Number")}))
    types = {each.type for each in error.problems}
    assert types == {"required_input_missing", "value_bigger_than_max", "value_not_in_list", "return_type_mismatch"}


# Cycles and depth


async def test_a_node_that_needs_itself_is_an_error(pack: Pack) -> None:
    taking(pack, "*")
    (found,) = (await refused(pack.graph({"1": made("Take", value=["1", 0])}))).problems
    assert found.type == "dependency_cycle"
    assert found.details == "1 (Take) -> 1 (Take)"


async def test_a_cycle_is_an_error_that_names_its_nodes(pack: Pack) -> None:
    taking(pack, "*")
    pack.node("Pass", lambda self, v: (v,), {"v": ("*",)}, ("*",))
    prompt = {
        "1": made("Pass", v=["3", 0]),
        "2": made("Pass", v=["1", 0]),
        "3": made("Pass", v=["2", 0]),
        "4": made("Take", value=["3", 0]),
        "5": made("Take", value="fine"),
    }
    error = await refused(pack.graph(prompt))
    assert {each.type for each in error.problems} == {"dependency_cycle"}
    assert [each.node_id for each in error.problems] == ["1", "2", "3"]
    assert error.problems[0].as_comfy() == {
        "type": "dependency_cycle",
        "message": "Dependency cycle detected",
        "details": "3 (Pass) -> 2 (Pass) -> 1 (Pass) -> 3 (Pass)",
        "extra_info": {"node_id": "1", "cycle_nodes": ["3", "2", "1"]},
    }
    assert set(error.node_errors) == {"1", "2", "3"}
    assert error.run["5"] == {"value": "fine"}


async def test_a_graph_that_is_nothing_but_a_cycle_is_reported_as_one(pack: Pack) -> None:
    pack.node("Pass", lambda self, v: (v,), {"v": ("*",)}, ("*",))
    error = await refused(pack.graph({"1": made("Pass", v=["2", 0]), "2": made("Pass", v=["1", 0])}))
    assert [each.type for each in error.problems] == ["dependency_cycle"] * 2


async def test_a_cycle_is_reported_again_after_an_edit_of_a_constant_in_it(pack: Pack) -> None:
    pack.node("Add", lambda self, a, b: (a,), {"a": INT, "b": INT})
    graph = pack.graph({"1": made("Add", a=["1", 0], b=1), "2": made("Add", a=["1", 0], b=1)})
    assert [each.type for each in graph.validate()] == ["dependency_cycle"]
    graph["1"].inputs["b"] = 2
    assert [each.type for each in graph.validate()] == ["dependency_cycle"]


@pytest.mark.long
async def test_a_chain_of_a_hundred_thousand_nodes_is_validated_and_planned_without_recursion(pack: Pack) -> None:
    pack.node("Pass", lambda self, v: (v,), {"v": ("*",)}, ("*",))
    taking(pack, "INT")
    count = 100_000
    prompt = {str(n): made("Pass", v=[str(n + 1), 0]) for n in range(count)}
    prompt[str(count)] = made("Take", value="x")
    (found,) = pack.graph(prompt).validate()
    assert (found.type, found.node_id) == ("invalid_input_type", str(count))


@pytest.mark.long
async def test_a_cycle_of_a_hundred_thousand_nodes_is_reported_in_a_line(pack: Pack) -> None:
    pack.node("Pass", lambda self, v: (v,), {"v": ("*",)}, ("*",))
    count = 100_000
    prompt = {str(n): made("Pass", v=[str((n + 1) % count), 0]) for n in range(count)}
    found = pack.graph(prompt).validate(["0"])
    assert {each.type for each in found} == {"dependency_cycle"}
    assert len(found) == count
    assert len(str(found[0])) < 400


# What is not checked


async def test_nodes_that_only_an_undeclared_link_needs_are_not_checked(pack: Pack) -> None:
    refuse = classmethod(lambda cls, n: False)
    pack.node("Small", lambda self, n: (n,), {"n": ("INT", {"max": 9})}, VALIDATE_INPUTS=refuse)
    pack.node("Choice", lambda self, c, n: ((c, n),), {"c": (["a"],), "n": INT}, ("*",))
    pack.node("Any", echo, {}, ("*",), OUTPUT_NODE=True)
    prompt = {
        "1": made("Small", n=77),
        "2": made("Choice", c="b", n=["1", 0]),
        "3": made("Any", extra=["2", 0]),
    }
    graph = pack.graph(prompt)
    assert graph.validate() == []
    assert (await graph.run())["3"] == {"extra": ("b", 77)}
    assert [each.node_id for each in graph.validate(["2"])] == ["1", "2"]


async def test_a_constant_that_is_not_checked_and_cannot_be_converted_arrives_as_it_is(pack: Pack) -> None:
    taking(pack, "INT", OUTPUT_NODE=False)
    pack.node("Any", echo, {}, ("*",), OUTPUT_NODE=True)
    run = await pack.graph({"1": made("Take", value="x"), "2": made("Any", extra=["1", 0])}).run()
    assert run["1"] == {"value": "x"}


async def test_an_undeclared_link_to_an_output_that_is_not_declared_is_not_checked(pack: Pack) -> None:
    pack.node("Two", lambda self: (1, 2), {}, ("INT",))
    pack.node("Any", echo, {}, ("*",), OUTPUT_NODE=True)
    with pytest.warns(nb.ComfyNBWarning, match="it returned 2 values for 1 output"):
        run = await pack.graph({"1": made("Two"), "2": made("Any", extra=["1", 1])}).run()
    assert run["2"] == {"extra": 2}


@pytest.mark.parametrize("origin", ["2", "9"], ids=["a cycle", "a node that does not exist"])
async def test_what_cannot_run_at_all_is_refused_behind_an_undeclared_link_too(pack: Pack, origin: str) -> None:
    pack.node("Any", echo, {}, ("*",), OUTPUT_NODE=True)
    graph = pack.graph({"1": made("Any", extra=["2", 0]), "2": made("Any", more=[origin, 0])})
    assert {each.node_id for each in graph.validate(["1"])} == {"2"}


# Expansions


async def test_nodes_of_an_expansion_are_not_validated(pack: Pack) -> None:
    pack.node("Child", echo, {"n": ("INT", {"max": 3}), "m": INT}, ("*",))

    def expand(self: Any) -> dict[str, Any]:
        builder = nb.GraphBuilder()
        child = builder.node("Child", n="99", stray=1)
        return {"expand": builder.finalize(), "result": (child.out(0),)}

    pack.node("Parent", expand, {}, ("*",))
    run = await pack.graph({"1": made("Parent")}).run()
    assert run["1"] == {"n": "99"}


async def test_an_unknown_class_in_an_expansion_raises_in_the_expanding_node(pack: Pack) -> None:
    def expand(self: Any) -> dict[str, Any]:
        return {"expand": {"x.1": {"class_type": "Childs", "inputs": {}}}, "result": (["x.1", 0],)}

    pack.node("Child", echo, {}, ("*",))
    pack.node("Parent", expand, {}, ("*",))
    with pytest.raises(nb.NodeError, match=r"Parent \(node 4\).*'Childs'.*Did you mean 'Child'") as caught:
        await pack.graph({"4": made("Parent")}).run()
    assert caught.value.node_id == "4"
