"""A class may check its inputs itself (docs/semantics.md, "VALIDATE_INPUTS")."""

from __future__ import annotations

from typing import Any

import pytest

import comfy_nb as nb
from tests.engine.planning.refusals import INT, checking, echo, refused, taking
from tests.engine.support import Pack, made


async def test_validate_inputs_runs_once_for_each_node_on_the_class(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, a: Any) -> bool:
        seen.append((cls.__name__, a))
        return True

    checking(pack, classmethod(validate))
    pack.node("Sum", lambda self, a, b: (0,), {"a": ("*",), "b": ("*",)}, OUTPUT_NODE=True)
    prompt = {
        "1": made("Checked", a=1, b=2),
        "2": made("Sum", a=["1", 0], b=["1", 0]),
        "3": made("Sum", a=["1", 0], b=0),
    }
    await pack.graph(prompt).run()
    assert seen == [("Checked", 1)]


async def test_validate_inputs_gets_the_inputs_that_it_names_converted_and_links_as_none(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, a: Any, b: Any, c: Any = "not given") -> bool:
        seen.append((a, b, c))
        return True

    checking(pack, classmethod(validate))
    pack.node("Number", lambda self: (5,))
    await pack.graph({"1": made("Checked", a="1", b=["2", 0]), "2": made("Number")}).run()
    assert seen == [(1, None, "not given")]


async def test_validate_inputs_with_kwargs_gets_everything_and_the_hidden_inputs(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, **inputs: Any) -> bool:
        seen.append(inputs)
        return True

    pack.node(
        "Checked", echo, {"a": INT}, ("*",), hidden={"me": "UNIQUE_ID"}, VALIDATE_INPUTS=classmethod(validate),
        OUTPUT_NODE=True,
    )  # fmt: skip
    await pack.graph({"9": made("Checked", a=1)}).run()
    assert seen == [{"a": 1, "me": "9"}]


async def test_validate_inputs_gets_the_hidden_inputs_that_it_names_and_nothing_of_the_run(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, a: Any, me: Any, prompt: Any, dynamic: Any, info: Any) -> bool:
        seen.append((a, me, prompt, dynamic, info))
        return True

    hidden = {"me": "UNIQUE_ID", "prompt": "PROMPT", "dynamic": "DYNPROMPT", "info": "EXTRA_PNGINFO"}
    checking(pack, classmethod(validate), hidden=hidden)
    graph = pack.graph({"9": made("Checked", a=1, b=2)})
    assert graph.validate() == []
    await graph.run(extra_data={"extra_pnginfo": {"workflow": {}}})
    assert seen == [(1, "9", {}, None, None)] * 2


async def test_validate_inputs_counts_where_the_node_has_none_of_its_inputs(pack: Pack) -> None:
    pack.node("Never", echo, {}, ("*",), OUTPUT_NODE=True, VALIDATE_INPUTS=classmethod(lambda cls: "not today"))
    (found,) = pack.graph({"1": made("Never")}).validate()
    assert (found.type, found.details, found.extra) == ("custom_validation_failed", "not today", {})


async def test_validate_inputs_gets_a_constant_that_could_not_be_converted_as_it_is(pack: Pack) -> None:
    seen: list[Any] = []
    checking(pack, classmethod(lambda cls, a: seen.append(a) or True))
    await refused(pack.graph({"1": made("Checked", a="x", b=2)}))
    assert seen == ["x"]


async def test_input_types_has_no_links_that_the_class_does_not_declare(pack: Pack) -> None:
    seen: list[Any] = []
    checking(pack, classmethod(lambda cls, input_types: seen.append(input_types) or True))
    pack.node("Number", lambda self: (5,))
    prompt = {"1": made("Checked", a=["2", 0], b=2, extra=["2", 0]), "2": made("Number")}
    assert pack.graph(prompt).validate() == []
    assert seen == [{"a": "INT"}]


async def test_keyword_only_names_of_validate_inputs_do_not_count(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, a: Any, *, b: Any = "not given") -> bool:
        seen.append((a, b))
        return True

    checking(pack, classmethod(validate), required={"a": INT, "b": ("INT", {"max": 3})})
    error = await refused(pack.graph({"1": made("Checked", a=1, b=9)}))
    assert [each.type for each in error.problems] == ["value_bigger_than_max"]
    assert seen == [(1, "not given")]


async def test_the_range_and_combo_checks_of_inputs_it_names_are_its_own(pack: Pack) -> None:
    required = {"a": ("INT", {"max": 3}), "b": (["x", "y"],)}
    checking(pack, classmethod(lambda cls, a, b: True), required=required)
    run = await pack.graph({"1": made("Checked", a=99, b="new file")}).run()
    assert run["1"] == {"a": 99, "b": "new file"}


async def test_the_conversion_of_inputs_it_names_stays(pack: Pack) -> None:
    checking(pack, classmethod(lambda cls, a: True))
    error = await refused(pack.graph({"1": made("Checked", a="many", b=1)}))
    assert [each.type for each in error.problems] == ["invalid_input_type"]


async def test_an_input_types_parameter_gets_the_linked_types_and_takes_the_type_check_over(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, input_types: Any) -> bool:
        seen.append(input_types)
        return True

    checking(pack, classmethod(validate))
    pack.node("Text", lambda self: ("a",), {}, ("STRING",))
    run = await pack.graph({"1": made("Checked", a=["2", 0], b=1), "2": made("Text")}).run()
    assert seen == [{"a": "STRING"}]
    assert run["1"] == {"a": "a", "b": 1}


async def test_a_class_that_takes_lists_validates_lists(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, a: Any, input_types: Any) -> bool:
        seen.append((a, input_types))
        return True

    checking(pack, classmethod(validate), INPUT_IS_LIST=True)
    await pack.graph({"1": made("Checked", a=1, b=2)}).run()
    assert seen == [([1], [{}])]


@pytest.mark.parametrize(("answer", "details"), [(False, ["a", "b"]), ("too dark", ["a - too dark", "b - too dark"])])
async def test_a_refusal_is_one_custom_validation_failed_for_each_input_it_was_given(
    pack: Pack, answer: Any, details: list[str]
) -> None:
    checking(pack, classmethod(lambda cls, a, b, c=0: answer))
    error = await refused(pack.graph({"1": made("Checked", a=1, b=2)}))
    assert [each.type for each in error.problems] == ["custom_validation_failed"] * 2
    assert [each.details for each in error.problems] == details
    assert [each.extra["input_name"] for each in error.problems] == ["a", "b"]
    assert pack.calls.total() == 0


async def test_validate_inputs_runs_also_when_earlier_checks_of_the_node_failed(pack: Pack) -> None:
    checking(pack, classmethod(lambda cls, a: "refused"))
    error = await refused(pack.graph({"1": made("Checked", a=1)}))
    assert [each.type for each in error.problems] == ["required_input_missing", "custom_validation_failed"]


async def test_an_exception_in_it_is_exception_during_validation_on_an_output_node(pack: Pack) -> None:
    def validate(cls: Any, a: Any) -> bool:
        raise KeyError("no such model")

    checking(pack, classmethod(validate))
    (found,) = (await refused(pack.graph({"1": made("Checked", a=1, b=2)}))).problems
    assert found.type == "exception_during_validation"
    assert found.extra["exception_type"] == "KeyError"
    assert found.extra["exception_message"] == "'no such model'"
    assert any("no such model" in line for line in found.extra["traceback"])


async def test_an_exception_in_it_elsewhere_is_exception_during_inner_validation_of_that_node(pack: Pack) -> None:
    def validate(cls: Any, a: Any) -> bool:
        raise KeyError("no such model")

    checking(pack, classmethod(validate), OUTPUT_NODE=False)
    taking(pack, "*")
    error = await refused(pack.graph({"1": made("Checked", a=1, b=2), "2": made("Take", value=["1", 0])}))
    assert [each.type for each in error.problems] == ["exception_during_inner_validation"]
    assert set(error.node_errors) == {"1"}
    assert error.node_errors["1"]["dependent_outputs"] == ["2"]


async def test_validate_inputs_may_be_async(pack: Pack) -> None:
    async def validate(cls: Any, a: Any) -> str:
        return "refused"

    checking(pack, classmethod(validate))
    error = await refused(pack.graph({"1": made("Checked", a=1, b=2)}))
    assert [each.details for each in error.problems] == ["a - refused"]


async def test_graph_validate_reports_the_same_without_running(pack: Pack) -> None:
    checking(pack, classmethod(lambda cls, a: "refused"))
    graph = pack.graph({"1": made("Checked", a=1)})
    assert [each.type for each in graph.validate()] == ["required_input_missing", "custom_validation_failed"]
    assert pack.calls.total() == 0


class Mute(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def mute(*_: Any, **inputs: Any) -> Any:
    raise Mute


async def test_an_exception_that_cannot_be_shown_is_reported_all_the_same(pack: Pack) -> None:
    checking(pack, classmethod(mute))
    (found,) = (await refused(pack.graph({"1": made("Checked", a=1, b=2)}))).problems
    assert found.details == "Mute: (it cannot be shown: RuntimeError)"


async def test_a_fingerprint_whose_exception_cannot_be_shown_makes_its_node_run_every_time(pack: Pack) -> None:
    pack.node("Changing", lambda self: (1,), IS_CHANGED=classmethod(mute), OUTPUT_NODE=True)
    graph = pack.graph({"1": made("Changing")})
    for _ in range(2):
        with pytest.warns(nb.ComfyNBWarning, match=r"Changing.*\(Mute: \(it cannot be shown"):
            run = await graph.run()
        assert run.counts["ran"] == 1


async def test_a_class_whose_exception_cannot_be_shown_cannot_be_read(pack: Pack) -> None:
    cls = pack.node("Closed", lambda self: (1,), OUTPUT_NODE=True)
    graph = pack.graph({"1": made("Closed")})
    cls.INPUT_TYPES = classmethod(mute)  # type: ignore[attr-defined]
    (found,) = (await refused(graph)).problems
    assert found.details == "SpecError: Closed.INPUT_TYPES() failed: Mute: (it cannot be shown: RuntimeError)."
