"""`@nb.node`: a typed function becomes a node, and what its annotations promise is kept on both sides."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, Optional

import numpy as np
import PIL.Image
import pytest
import torch

import comfy_nb as nb
from comfy_nb.spec.function import spec_from_function


class Mood(enum.Enum):
    CALM = 1
    WILD = 2


class Tone(enum.StrEnum):
    LOW = "low"


class Model:
    """A class of somebody else's, known to graphs by its name."""


class Pair(NamedTuple):
    picture: nb.Image
    area: nb.Mask


def inputs_of(function, **options):
    return spec_from_function(function, **options).interface().declared


# what annotations mean


@pytest.mark.parametrize(
    ("annotation", "socket"),
    [
        (int, "INT"),
        (float, "FLOAT"),
        (str, "STRING"),
        (bool, "BOOLEAN"),
        (torch.Tensor, "*"),
        (PIL.Image.Image, "IMAGE"),
        (nb.Image, "IMAGE"),
        (nb.Mask, "MASK"),
        (nb.Latent, "LATENT"),
        (nb.Audio, "AUDIO"),
        (nb.Conditioning, "CONDITIONING"),
        (Any, "*"),
        (object, "*"),
        (dict, "*"),
        (dict[str, int], "*"),
        (list, "*"),
        (tuple[int, ...], "*"),
        (np.ndarray, "ndarray"),
        (Model, "Model"),
        (int | None, "INT"),
        (Optional[nb.Image], "IMAGE"),  # noqa: UP045
        (int | float, "INT,FLOAT"),
        (nb.Image | nb.Mask | None, "IMAGE,MASK"),
        (int | Any, "*"),
        (None, "*"),
        (Literal["a", "b"], ["a", "b"]),
        (Literal[1, 2] | None, [1, 2]),
        (Mood, ["CALM", "WILD"]),
        (Tone, ["LOW"]),
        (list[nb.Image], "IMAGE"),
        (Sequence[int], "INT"),
        (Annotated[int, nb.Range(0, 3)], "INT"),
        (Annotated[list[int] | None, nb.Tooltip("x")], "INT"),
    ],
)
def test_an_annotation_gives_the_socket_type(annotation, socket):
    def f(x):
        return x

    f.__annotations__["x"] = annotation
    assert inputs_of(f)["x"].type == socket


def test_an_input_without_annotation_takes_anything():
    def f(x, y=2):
        return x

    declared = inputs_of(f)
    assert declared["x"].type == "*" and declared["x"].required
    assert declared["y"].type == "*" and not declared["y"].required and declared["y"].default == 2


def test_annotated_adds_widget_hints():
    def f(
        a: Annotated[float, nb.Range(0, 1, step=0.01), nb.Tooltip("how much")],
        b: Annotated[str, nb.Multiline()],
        c: Annotated[int, {"display": "slider"}],
        d: Annotated[int, nb.Range(min=3)] | None = None,
    ):
        return a

    declared = inputs_of(f)
    assert declared["a"].options == {"min": 0, "max": 1, "step": 0.01, "tooltip": "how much"}
    assert declared["b"].options == {"multiline": True}
    assert declared["c"].options == {"display": "slider"}
    assert declared["d"].options == {"min": 3, "default": None}


@pytest.mark.parametrize("hint", [nb.Multiline, nb.Multiline(), nb.Range(0, 1)])
def test_a_hint_in_place_of_a_type_is_refused_and_shown_how_to_write(hint):
    def f(a):
        return a

    f.__annotations__["a"] = hint
    with pytest.raises(nb.SpecError, match=r"f\(a\): .*(Multiline|Range).* stands beside a type: Annotated\[str"):
        spec_from_function(f)


def test_a_hint_that_is_a_class_is_refused_by_name():
    def f(a: Annotated[str, nb.Multiline]):
        return a

    with pytest.raises(nb.SpecError, match=r"Multiline'> is no widget hint. Use nb.Range\(\), nb.Multiline\(\)"):
        spec_from_function(f)


def test_a_hint_that_is_none_is_refused_by_name():
    def f(a: Annotated[int, "big"]):
        return a

    with pytest.raises(nb.SpecError, match=r"f\(a\): 'big' is no widget hint. Use nb.Range"):
        spec_from_function(f)


def test_an_annotation_without_meaning_is_refused_by_name():
    def f(a):
        return a

    f.__annotations__["a"] = 7
    with pytest.raises((nb.SpecError, TypeError), match="7"):
        spec_from_function(f)


def test_the_name_of_an_undefined_annotation_is_in_the_error():
    def f(a: Missing):  # noqa: F821
        return a

    with pytest.raises(nb.SpecError, match="f: the annotation 'Missing' is not defined"):
        spec_from_function(f)


def test_names_local_to_the_function_that_defines_the_node_are_found():
    class Local:
        pass

    class Result(NamedTuple):
        first: Local
        second: int

    def f(a: Local) -> Result:
        return Result(a, 1)

    spec = spec_from_function(f)
    assert spec.interface().declared["a"].type == "Local"
    assert (spec.return_types, spec.return_names) == (("Local", "INT"), ("first", "second"))


def test_names_of_a_closure_are_found_when_its_maker_has_returned():
    def make():
        kind = Model

        def f(a: kind) -> int:
            return isinstance(a, kind)

        return f

    assert inputs_of(make())["a"].type == "Model"


def test_a_method_can_be_a_node():
    class Scaler:
        factor = 3

        def scale(self, x: int) -> int:
            return x * self.factor

    with nb.use_session(nb.Session()):
        assert nb.node(Scaler().scale)(4).run_sync() == 12


# what a function gets


def test_an_enum_input_gets_its_member_by_member_or_name():
    with nb.use_session(nb.Session()):

        @nb.node
        def describe(mood: Mood = Mood.WILD) -> str:
            assert isinstance(mood, Mood)
            return mood.name

        assert describe().run_sync() == "WILD"
        assert describe(Mood.CALM).run_sync() == "CALM"
        assert describe("CALM").run_sync() == "CALM"
        graph = nb.Graph()
        graph.node("describe", id="a", mood=Mood.CALM)
        assert graph.run_sync()["a"] == "CALM"


def test_a_wrong_enum_member_is_refused_with_the_choices():
    with nb.use_session(nb.Session()):

        @nb.node
        def describe(mood: Mood) -> str:
            return mood.name

        with pytest.raises(nb.ValidationError, match="CALM"):
            describe("CAML").run_sync()


def test_a_pil_input_gets_a_picture_and_a_picture_may_be_returned():
    with nb.use_session(nb.Session()):

        @nb.node
        def flip(picture: PIL.Image.Image) -> PIL.Image.Image:
            assert picture.size == (4, 2) and picture.mode == "RGB"
            return picture.transpose(PIL.Image.Transpose.ROTATE_90)

        result = flip(PIL.Image.new("RGB", (4, 2), (255, 0, 0))).run_sync()
    assert result.shape == (1, 4, 2, 3)
    assert torch.equal(result[0, 0, 0], torch.tensor([1.0, 0.0, 0.0]))


def test_a_pil_input_takes_one_grey_picture_but_no_batch():
    with nb.use_session(nb.Session()):

        @nb.node
        def size(picture: PIL.Image.Image) -> str:
            return f"{picture.size} {picture.mode}"

        assert size(torch.zeros(1, 2, 3, 1)).run_sync() in ("(3, 2) L", "(3, 2) RGB")
        with pytest.raises(nb.NodeError, match=r"size\(picture\) takes one picture, but a batch of shape \(2, "):
            size(torch.zeros(2, 2, 3, 3)).run_sync()


def test_a_list_of_pictures_comes_as_pil_images():
    with nb.use_session(nb.Session()):

        @nb.node(list_output=True)
        def two() -> nb.Image:
            return [torch.zeros(1, 2, 2, 3), torch.zeros(1, 3, 3, 3)]

        @nb.node
        def sizes(pictures: list[PIL.Image.Image]) -> str:
            return " ".join(str(each.size) for each in pictures)

        assert sizes(two()).run_sync() == "(2, 2) (3, 3)"


def test_a_list_input_gets_the_whole_list_and_single_inputs_beside_it_one_value():
    with nb.use_session(nb.Session()):

        @nb.node(list_output=True)
        def numbers(n: int) -> int:
            return list(range(n))

        @nb.node
        def add_up(values: list[int], factor: int = 2) -> int:
            return sum(values) * factor

        assert add_up(numbers(4)).run_sync() == 12
        assert add_up(numbers(4), numbers(1)).run_sync() == 0
        with pytest.raises(nb.NodeError, match=r"add_up\(factor\) takes one value, but a list of 3 came"):
            add_up(numbers(4), numbers(3)).run_sync()


def test_a_mutable_default_is_a_value_like_any_other():
    with nb.use_session(nb.Session()):

        @nb.node
        def total(values: Any = [1, 2]) -> int:  # noqa: B006
            return sum(values)

        assert total().run_sync() == 3
        assert total([5, 6, 7]).run_sync() == 18


def test_progress_is_given_and_is_no_input():
    with nb.use_session(nb.Session()):

        @nb.node
        def steps(n: int, *, progress: nb.Progress) -> int:
            return sum(progress.over(range(n)))

        assert list(steps.spec.interface().declared) == ["n"]
        assert steps.spec.interface().hidden == {"progress": "PROGRESS"}
        assert steps(4).run_sync() == 6


# what a function returns


@pytest.mark.parametrize(
    ("annotation", "types", "names"),
    [
        (int, ("INT",), ("INT",)),
        (Any, ("*",), ("result",)),
        (Literal["a"], (["a"],), ("COMBO",)),
        (list[int], ("*",), ("result",)),
        (tuple[int, str], ("INT", "STRING"), ("INT", "STRING")),
        (tuple[int, int, str], ("INT", "INT", "STRING"), ("INT_1", "INT_2", "STRING")),
        (tuple[Any, list[int]], ("*", "*"), ("result_1", "result_2")),
        (Pair, ("IMAGE", "MASK"), ("picture", "area")),
        (None, (), ()),
        (tuple[()], (), ()),
    ],
)
def test_a_return_annotation_gives_the_outputs(annotation, types, names):
    def f():
        return None

    f.__annotations__["return"] = annotation
    spec = spec_from_function(f)
    assert (spec.return_types, spec.return_names) == (types, names)


def test_outputs_of_a_named_tuple_are_taken_by_name():
    with nb.use_session(nb.Session()):

        @nb.node
        def split(n: int) -> Pair:
            return Pair(torch.zeros(1, n, n, 3), torch.ones(1, n, n))

        handle = split(2)
        assert handle.area.run_sync().shape == (1, 2, 2)
        assert handle["picture"].run_sync().shape == (1, 2, 2, 3)


def test_arrays_and_pictures_returned_for_images_and_masks_get_their_layout():
    with nb.use_session(nb.Session()):

        @nb.node
        def make() -> Pair:
            return Pair(np.full((2, 3, 3), 255, np.uint8), PIL.Image.new("L", (3, 2), 255))

        picture, area = make()
        assert torch.equal(picture.run_sync(), torch.ones(1, 2, 3, 3))
        assert torch.equal(area.run_sync(), torch.ones(1, 2, 3))


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (int, None, "it returned None where 'INT' is declared. Is a `return` missing?"),
        (None, 3, "it is declared to return nothing, but a int came"),
        (tuple[int, str], 3, r"it must return 2 values \(INT, STRING\), but a int came"),
        (tuple[int, str], (1,), r"it must return 2 values \(INT, STRING\), but 1 came"),
        (tuple[int, str], (1, "a", 2), r"it must return 2 values \(INT, STRING\), but 3 came"),
        (int, (n for n in ()), "it returned a generator, not a value; collect or await it before returning"),
    ],
)
def test_a_wrong_return_is_said_with_what_was_declared(annotation, value, words):
    def f():
        return value

    f.__annotations__["return"] = annotation
    with nb.use_session(nb.Session()), pytest.raises(nb.NodeError, match=words):
        nb.node(f)().run_sync() if f.__annotations__["return"] is not None else nb.node(f)().graph.run_sync()


def test_none_is_a_value_where_the_annotation_allows_it():
    with nb.use_session(nb.Session()):

        @nb.node
        def maybe(x: int) -> int | None:
            return x or None

        @nb.node
        def anything(x: int):
            return None

        assert maybe(0).run_sync() is None
        assert anything(0).run_sync() is None


def test_a_dict_with_ui_is_what_v1_returns():
    with nb.use_session(nb.Session()):

        @nb.node(output=True)
        def show(x: int) -> int:
            return {"ui": {"text": [str(x)]}, "result": (x + 1,)}

        assert show(1).run_sync() == 2


def test_a_dict_of_the_nodes_own_stays_a_value():
    with nb.use_session(nb.Session()):

        @nb.node
        def make() -> dict:
            return {"result": 5}

        assert make().run_sync() == {"result": 5}


# options


def test_options_reach_the_spec():
    @nb.node(
        class_type="Shout", title="Shout it", category="text", output=True, thread_safe=True, grad=True, cache="off"
    )
    def f(text: str) -> str:
        """Say it loud."""
        return text.upper()

    spec = f.spec
    assert spec.class_type == "Shout" and nb.nodes.Shout.spec is spec
    assert (spec.display_name, spec.category, spec.description) == ("Shout it", "text", "Say it loud.")
    assert (spec.is_output, spec.thread_safe, spec.grad, spec.cache) == (True, True, True, "off")
    assert f.function("x") == "X"


def test_defining_a_node_again_replaces_it():
    @nb.node(class_type="Again")
    def first() -> int:
        return 1

    @nb.node(class_type="Again")
    def second() -> int:
        return 2

    assert nb.nodes.Again().run_sync() == 2


def test_lazy_inputs_named_in_a_collection_are_none_until_asked_for():
    with nb.use_session(nb.Session()):
        ran = []

        @nb.node(cache="off")
        def costly(x: int) -> int:
            ran.append(x)
            return x

        @nb.node(lazy=["x"])
        def ignore(x: int, y: int = 1) -> str:
            return f"{x} {y}"

        assert ignore(costly(5)).run_sync() == "None 1"
    assert ran == []


def test_lazy_inputs_with_a_predicate_are_computed_when_it_says_so():
    with nb.use_session(nb.Session()):

        @nb.node
        def costly(x: int) -> int:
            return x * 10

        @nb.node(lazy={"a": lambda first: first, "b": lambda first: not first})
        def choose(first: bool, a: int, b: int) -> str:
            return f"{a} {b}"

        assert choose(True, costly(1), costly(2)).run_sync() == "10 None"
        assert choose(False, costly(3), costly(4)).run_sync() == "None 40"


def test_one_lazy_input_may_be_given_as_text():
    def f(first: int, fir: int):
        return first

    spec = spec_from_function(f, lazy="first")
    assert spec.interface().lazy == {"first"}


def test_a_fingerprint_names_only_the_inputs_that_it_needs():
    seen = []

    def stamp(path: str) -> str:
        return path

    def everything(**inputs: Any) -> str:
        seen.append(inputs)
        return "x"

    def read(path: str, scale: float = 1.0):
        return path

    assert spec_from_function(read, fingerprint=stamp).fingerprint(path="a", scale=2.0) == "a"
    assert spec_from_function(read, fingerprint=everything).fingerprint(path="a", scale=2.0) == "x"
    assert seen == [{"path": "a", "scale": 2.0}]


def test_validate_refuses_a_graph_before_it_runs():
    with nb.use_session(nb.Session()):

        @nb.node(validate=lambda n: True if n % 2 == 0 else "n must be even")
        def half(n: int) -> int:
            return n // 2

        assert half(4).run_sync() == 2
        with pytest.raises(nb.ValidationError, match="n must be even"):
            half(3).run_sync()


async def test_an_async_function_has_a_timeout():
    import asyncio

    with nb.use_session(nb.Session()):

        @nb.node(timeout=0.01)
        async def wait() -> int:
            await asyncio.Event().wait()
            return 1

        with pytest.raises(nb.NodeTimeout, match="wait"):
            await wait()


def test_a_failing_call_is_repeated():
    with nb.use_session(nb.Session()):
        calls = []

        @nb.node(retries=2, backoff=0.0)
        def flaky() -> int:
            calls.append(1)
            if len(calls) < 3:
                raise OSError("busy")
            return len(calls)

        assert flaky().run_sync() == 3


def test_a_list_output_gives_its_items_one_by_one_to_the_next_node():
    with nb.use_session(nb.Session()):

        @nb.node(list_output={"numbers"})
        def make() -> Numbers:
            return Numbers([1, 2, 3], "a")

        @nb.node
        def double(n: int, name: str) -> str:
            return name * n

        numbers, name = make()
        assert make.spec.output_is_list == (True, False)
        assert double(numbers, name).run_sync() == ["a", "aa", "aaa"]


class Numbers(NamedTuple):
    numbers: int
    name: str


def test_a_list_output_must_be_a_list():
    with nb.use_session(nb.Session()):

        @nb.node(list_output=True)
        def make() -> int:
            return 3

        with pytest.raises(nb.NodeError, match="output 'INT' must be a list of values, but a int came"):
            make().run_sync()


# what cannot be a node


def sync(x: int) -> int:
    return x


async def background(x: int) -> int:
    return x


def several(*values: int) -> int:
    return 1


def named(**values: int) -> int:
    return 1


def positional(x: int, /) -> int:
    return x


def generator(x: int):
    yield x


async def async_generator(x: int):
    yield x


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (several, {}, r"several\(values\): a node's inputs have names; \*args, \*\*kwargs and positional-only"),
        (named, {}, r"named\(values\): a node's inputs have names"),
        (positional, {}, r"positional\(x\): a node's inputs have names"),
        (generator, {}, "generator is a generator function. A node returns its result"),
        (async_generator, {}, "async_generator is a generator function"),
        (sync, {"timeout": 3}, "sync: a timeout needs an async function"),
        (background, {"timeout": 0}, "background: timeout must be seconds above 0, not 0"),
        (background, {"timeout": float("nan")}, "background: timeout must be seconds above 0, not nan"),
        (sync, {"retries": -1}, "sync: retries must be 0 or more, not -1"),
        (sync, {"cache": "sometimes"}, 'sync: cache must be "on", "off" or "node"'),
        (sync, {"lazy": ["y"]}, "sync: lazy names 'y', which is not among its inputs. There are: x."),
        (sync, {"list_output": ["INTS"]}, "sync: list_output names 'INTS', .* Did you mean 'INT'?"),
    ],
)
def test_what_cannot_be_a_node_is_refused_with_the_reason(function, options, words):
    with pytest.raises(nb.SpecError, match=words):
        spec_from_function(function, **options)


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (Model, r"takes a function, not .*Model.*nb.register\(cls\)"),
        (3, "A node is made of a function .* not of 3"),
        (print, "A node is made of a function"),
    ],
)
def test_only_functions_can_be_declared_as_nodes(thing, words):
    with pytest.raises(nb.SpecError, match=words):
        nb.node(thing)
