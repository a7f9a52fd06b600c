"""What a V1 class may declare, as far as it changes how nodes run (docs/semantics.md, "Declarations")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.errors import ValidationError
from tests.engine.support import Pack, made
from tests.reference.classes import INT


def seen_by(pack: Pack, *declared: Any, **traits: Any) -> type:
    """Add a class `See` that gives the inputs it was called with."""
    return pack.node("See", lambda self, **inputs: (inputs,), *declared, **traits)


class AnyType(str):
    """The wildcard of packs: equal to every type."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False


class OpenInputs(dict[str, Any]):
    """Inputs of any name, as packs declare them: every key is there, and none is listed."""

    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.entry = (kind, options)

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> Any:
        return self.entry


class AnyOutput(tuple[str, ...]):
    """Outputs of any number: every index answers."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        return "*"

    def __iter__(self) -> Iterator[str]:
        return iter(("*",))


def with_open_inputs(pack: Pack, cls: type, **options: Any) -> None:
    """Let a class take optional inputs of any name and type."""
    declared = {"required": {}, "optional": OpenInputs(AnyType("*"), **options)}
    cls.INPUT_TYPES = classmethod(lambda cls: declared)  # type: ignore[attr-defined]
    nb.register(cls, registry=pack.registry)


# Inputs


async def test_a_missing_optional_input_is_not_passed_even_with_a_default(pack: Pack) -> None:
    seen_by(pack, {"a": INT}, optional={"b": ("INT", {"default": 5})})
    assert (await pack.graph({"1": made("See", a=1)}).run())["1"] == {"a": 1}


async def test_a_missing_required_input_is_an_error_even_with_a_default(pack: Pack) -> None:
    seen_by(pack, {"a": ("INT", {"default": 5})})
    with pytest.raises(ValidationError, match="Required input is missing"):
        await pack.graph({"1": made("See")}).run()


async def test_an_undeclared_link_is_computed_and_passed_and_an_undeclared_constant_is_dropped(pack: Pack) -> None:
    seen_by(pack)
    pack.node("One", lambda self: (1,))
    run = await pack.graph({"1": made("One"), "2": made("See", x=["1", 0], y=5)}).run()
    assert run["2"] == {"x": 1}


async def test_inputs_of_any_name_are_taken_where_the_optional_dict_answers_every_key(pack: Pack) -> None:
    with_open_inputs(pack, seen_by(pack))
    pack.node("One", lambda self: (1,))
    run = await pack.graph({"1": made("One"), "2": made("See", any_1=["1", 0], any_2=7)}).run()
    assert run["2"] == {"any_1": 1, "any_2": 7}


async def test_an_input_of_an_open_dict_may_be_lazy(pack: Pack) -> None:
    pick = lambda self, **inputs: (inputs["any_2"],)  # noqa: E731
    cls = pack.node("Pick", pick, check_lazy_status=lambda self, **inputs: ["any_2"])
    with_open_inputs(pack, cls, lazy=True)
    pack.node("One", lambda self: (1,))
    pack.node("Two", lambda self: (2,))
    prompt = {"1": made("One"), "2": made("Two"), "3": made("Pick", any_1=["1", 0], any_2=["2", 0])}
    assert (await pack.graph(prompt).run())["3"] == 2
    assert pack.calls == {"Two": 1, "Pick": 1}


async def test_an_input_may_be_declared_by_its_type_alone(pack: Pack) -> None:
    seen_by(pack, {"a": ("INT",), "b": (["x", "y"],), "c": ("COMBO", {"options": ["p", "q"]})})
    run = await pack.graph({"1": made("See", a=1, b="y", c="q")}).run()
    assert run["1"] == {"a": 1, "b": "y", "c": "q"}


@pytest.mark.parametrize(
    ("given", "declared"),
    [("INT", "INT"), ("INT", "FLOAT,INT"), ("INT,STRING", "INT"), ("INT", "*"), ("*", "INT"), ("A", AnyType("B"))],
)
async def test_types_that_match_are_linked(pack: Pack, given: str, declared: str) -> None:
    pack.node("Give", lambda self: (1,), None, (given,))
    seen_by(pack, {"a": (declared, {})})
    assert (await pack.graph({"1": made("Give"), "2": made("See", a=["1", 0])}).run())["2"] == {"a": 1}


async def test_input_types_may_answer_something_else_after_a_file_appeared(pack: Pack) -> None:
    files = ["a.png"]

    class Load:
        RETURN_TYPES = ("STRING",)
        FUNCTION = "run"

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:
            return {"required": {"name": (list(files),)}}

        def run(self, name: str) -> tuple[str]:
            return (name,)

    nb.register(Load, registry=pack.registry)
    graph = pack.graph({"1": made("Load", name="b.png")})
    with pytest.raises(ValidationError):
        await graph.run()
    files.append("b.png")
    assert (await graph.run())["1"] == "b.png"


@pytest.mark.parametrize("marked", [True, 1, (True,), "yes"])
async def test_any_true_value_means_input_is_list(pack: Pack, marked: Any) -> None:
    seen_by(pack, {"a": INT}, INPUT_IS_LIST=marked)
    assert (await pack.graph({"1": made("See", a=1)}).run())["1"] == {"a": [1]}


# Outputs


async def test_a_tuple_of_outputs_that_answers_any_index_gives_as_many_as_are_returned(pack: Pack) -> None:
    pack.node("Many", lambda self: (1, 2, 3), None, AnyOutput())
    seen_by(pack, {"a": INT})
    run = await pack.graph({"1": made("Many"), "2": made("See", a=["1", 2])}).run()
    assert run["2"] == {"a": 3}


async def test_the_function_may_have_any_name(pack: Pack) -> None:
    cls = pack.node("Named", lambda self: (1,))
    cls.do_it = lambda self: (2,)  # type: ignore[attr-defined]
    cls.FUNCTION = "do_it"  # type: ignore[attr-defined]
    nb.register(cls, registry=pack.registry)
    assert (await pack.graph({"1": made("Named")}).run())["1"] == 2


async def test_input_types_may_be_called_on_the_class_with_extra_keys(pack: Pack) -> None:
    pack.node("Plain", lambda self: (1,), CATEGORY="x/y", DESCRIPTION="What it is.", DEPRECATED=True)
    spec = pack.registry["Plain"]
    assert (spec.category, spec.description, spec.deprecated) == ("x/y", "What it is.", True)


# Hidden inputs

HIDDEN = {
    "prompt": "PROMPT",
    "info": "EXTRA_PNGINFO",
    "me": "UNIQUE_ID",
    "token": "AUTH_TOKEN_COMFY_ORG",
    "api": "API_KEY_COMFY_ORG",
}


async def test_hidden_inputs_come_by_their_declared_values(pack: Pack) -> None:
    seen_by(pack, {"a": INT}, hidden=HIDDEN)
    extra = {"extra_pnginfo": {"workflow": {"x": 1}}, "auth_token_comfy_org": "t", "api_key_comfy_org": "k"}
    run = await pack.graph({"7": made("See", a="3")}).run(extra_data=extra)
    assert run["7"] == {
        "a": 3,
        "prompt": {"7": {"class_type": "See", "inputs": {"a": 3}}},
        "info": {"workflow": {"x": 1}},
        "me": "7",
        "token": "t",
        "api": "k",
    }


async def test_hidden_inputs_that_the_run_does_not_have_are_none(pack: Pack) -> None:
    seen_by(pack, hidden={name: kind for name, kind in HIDDEN.items() if name not in ("prompt", "me")})
    assert (await pack.graph({"7": made("See")}).run())["7"] == {"info": None, "token": None, "api": None}


async def test_the_prompt_is_the_submitted_one_also_inside_an_expansion(pack: Pack) -> None:
    pack.node("Look", lambda self, prompt: (sorted(prompt),), hidden={"prompt": "PROMPT"})
    pack.node("Make", lambda self: {"result": (["x", 0],), "expand": {"x": made("Look")}})
    assert (await pack.graph({"5": made("Make")}).run())["5"] == ["5"]


async def test_hidden_entry_of_another_kind_is_passed_only_when_the_prompt_has_it_and_is_not_validated(
    pack: Pack,
) -> None:
    seen_by(pack, {"n": INT}, hidden={"note": "NOTE", "n2": "n"})
    run = await pack.graph({"1": made("See", n=1), "2": made("See", n=2, note={"any": "thing"})}).run()
    assert run["1"] == {"n": 1}
    assert run["2"] == {"n": 2, "note": {"any": "thing"}}


async def test_what_the_prompt_holds_for_a_known_hidden_input_does_not_count(pack: Pack) -> None:
    seen_by(pack, hidden={"me": "UNIQUE_ID", "token": "AUTH_TOKEN_COMFY_ORG"})
    run = await pack.graph({"1": made("See", me="forged", token="forged")}).run()
    assert run["1"] == {"me": "1", "token": None}


async def test_the_four_functions_may_be_async(pack: Pack) -> None:
    async def run(self: Any, n: int) -> tuple[int]:
        return (n,)

    async def validate(n: int) -> bool:
        return True

    async def mark(n: int) -> int:
        return 1

    async def check(self: Any, n: int) -> list[str]:
        return ["n"]

    pack.node(
        "All",
        run,
        {"n": ("INT", {"lazy": True})},
        VALIDATE_INPUTS=staticmethod(validate),
        IS_CHANGED=staticmethod(mark),
        check_lazy_status=check,
    )
    pack.node("One", lambda self: (1,))
    assert (await pack.graph({"1": made("One"), "2": made("All", n=["1", 0])}).run())["2"] == 1


async def test_the_prompt_has_the_constants_that_a_class_does_not_declare_in_their_order(pack: Pack) -> None:
    pack.node("Seen", lambda self, a, p, d: ((p["1"]["inputs"], d.get_node("1")["inputs"]),), {"a": ("INT",)}, ("*",),
              hidden={"p": "PROMPT", "d": "DYNPROMPT"})  # fmt: skip
    inputs = {"upload": "image", "a": 1, "more": {"__value__": [1]}}
    graph = pack.graph({"1": made("Seen", **inputs)})
    seen, live = (await graph.run(["1"]))["1"]
    assert list(seen.items()) == list(live.items()) == list(inputs.items())
    graph["1"].inputs["upload"] = "mask"
    assert (await graph.run(["1"]))["1"][0] == {**inputs, "upload": "mask"}


async def test_the_prompt_has_no_muted_link_beside_an_undeclared_constant(pack: Pack) -> None:
    pack.node("Number", lambda self: (1,))
    pack.node("Seen", lambda self, p, **k: (p["1"]["inputs"],), {}, ("*",), hidden={"p": "PROMPT"})
    graph = pack.graph({"1": made("Seen", upload="image", link=["2", 0]), "2": made("Number")})
    graph["2"].mute()
    assert (await graph.run(["1"]))["1"] == {"upload": "image"}


async def test_an_undeclared_constant_changes_the_result_only_where_the_prompt_is_seen(pack: Pack) -> None:
    pack.node("Plain", lambda self: (1,))
    graph = pack.graph({"1": made("Plain", upload="image")})
    await graph.run(["1"])
    graph["1"].inputs["upload"] = "mask"
    assert (await graph.run(["1"])).counts == {"memory": 1}


async def test_a_node_of_an_expansion_shows_its_undeclared_constants_in_the_live_prompt(pack: Pack) -> None:
    def expand(self: Any) -> dict[str, Any]:
        builder = nb.GraphBuilder()
        child = builder.node("Seen", upload="image")
        return {"expand": builder.finalize(), "result": (child.out(0),)}

    seen = {"d": "DYNPROMPT", "me": "UNIQUE_ID"}
    pack.node("Seen", lambda self, d, me: (d.get_node(me)["inputs"],), {}, ("*",), hidden=seen)
    pack.node("Parent", expand, {}, ("*",))
    assert (await pack.graph({"1": made("Parent")}).run())["1"] == {"upload": "image"}


async def test_the_usage_source_comes_from_extra_data(pack: Pack) -> None:
    pack.node("Source", lambda self, s: (s,), {}, ("*",), hidden={"s": "COMFY_USAGE_SOURCE"}, NOT_IDEMPOTENT=True)
    graph = pack.graph({"1": made("Source")})
    assert (await graph.run(extra_data={"comfy_usage_source": "api"}))["1"] == "api"
    pack.node("Other", lambda self, s: (s,), {}, ("*",), hidden={"s": "COMFY_USAGE_SOURCE"})
    assert (await pack.graph({"1": made("Other")}).run())["1"] is None
