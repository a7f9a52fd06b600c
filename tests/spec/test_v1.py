"""ComfyUI's V1 classes become specs."""

from __future__ import annotations

import pytest

import comfy_nb as nb
from comfy_nb.spec.registry import Registry
from comfy_nb.spec.v1 import is_v1, spec_from_v1


class Plain:
    """Adds."""

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"default": 1}), "b": ("INT",)}, "optional": {"c": (["x", "y"],)}}

    def run(self, a, b, c="x"):
        return (a + b,)


class Rich(Plain):
    RETURN_TYPES = ("IMAGE", "MASK", ["p", "q"])
    RETURN_NAMES = ("picture",)
    FUNCTION = "work"
    CATEGORY = "image/x"
    DESCRIPTION = "Does much."
    OUTPUT_NODE = True
    INPUT_IS_LIST = True
    OUTPUT_IS_LIST = (True, False, False)
    NOT_IDEMPOTENT = True
    DEPRECATED = True
    EXPERIMENTAL = True

    @classmethod
    def IS_CHANGED(cls, **inputs):
        return 1

    @classmethod
    def VALIDATE_INPUTS(cls, a):
        return True

    def check_lazy_status(self, **inputs):
        return []

    async def work(self, a, b, c=None):
        return (1, 2, 3)


def test_a_class_without_extras_has_plain_traits():
    spec = spec_from_v1(Plain)
    assert spec.class_type == spec.display_name == "Plain"
    assert spec.description == "Adds."
    assert spec.output_names == ("INT",)
    assert not any([spec.is_async, spec.is_output, spec.input_is_list, spec.not_idempotent, spec.deprecated])
    assert (spec.fingerprint, spec.validate, spec.check_lazy) == (None, None, None)
    assert spec.function(Plain())(1, 2) == (3,)
    assert isinstance(spec.make_object(), Plain)


def test_a_class_with_extras_keeps_each():
    spec = spec_from_v1(Rich, "RichNode", "Rich node")
    assert (spec.class_type, spec.display_name, spec.category) == ("RichNode", "Rich node", "image/x")
    assert spec.description == "Does much."
    assert spec.output_names == ("picture", "MASK", "COMBO")
    assert all([spec.is_async, spec.is_output, spec.input_is_list, spec.not_idempotent])
    assert all([spec.deprecated, spec.experimental])
    assert spec.output_is_list == (True, False, False)
    assert spec.fingerprint() == 1 and spec.validate(3) is True and spec.check_lazy(Rich())() == []


def test_inputs_keep_their_section_options_and_order():
    declared = spec_from_v1(Plain).interface().declared
    assert list(declared) == ["a", "b", "c"]
    assert declared["a"].default == 1 and declared["a"].required
    assert not declared["b"].has_default and declared["b"].default is None
    assert declared["c"].socket == "COMBO" and declared["c"].choices == ["x", "y"]
    assert declared["c"].default == "x" and not declared["c"].required


def test_the_newer_combo_form_has_choices_too():
    class Newer(Plain):
        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"m": ("COMBO", {"options": ["p", "q"]}), "n": ("COMBO",), "o": "IMAGE"}}

    declared = spec_from_v1(Newer).interface().declared
    assert declared["m"].choices == ["p", "q"] and declared["m"].default == "p"
    assert declared["n"].choices is None
    assert declared["o"].type == "IMAGE"


@pytest.mark.parametrize(
    ("hidden", "read"),
    [
        ({"id": "UNIQUE_ID", "p": ("PROMPT",)}, {"id": "UNIQUE_ID", "p": "PROMPT"}),
        (["prompt", "unique_id"], {"prompt": "PROMPT", "unique_id": "UNIQUE_ID"}),
        (None, {}),
    ],
)
def test_hidden_inputs_are_read_in_each_form(hidden, read):
    class Hidden(Plain):
        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {}, "hidden": hidden}

    assert spec_from_v1(Hidden).interface().hidden == read


def test_the_inputs_are_read_each_time():
    files = ["a.png"]

    class Files(Plain):
        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"image": (list(files),)}}

    spec = spec_from_v1(Files)
    files.append("b.png")
    assert spec.interface().declared["image"].choices == ["a.png", "b.png"]


def test_outputs_are_found_by_number_name_and_case():
    spec = spec_from_v1(Rich)
    assert [spec.slot(each) for each in (0, -1, "picture", "mask", "PICTURE")] == [0, 2, 0, 1, 0]
    assert [spec.slot(each) for each in (3, -4, "LATENT")] == [None, None, None]
    assert (spec.output_name(1), spec.output_name(7)) == ("MASK", "7")


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        (
            {"INPUT_TYPES": None},
            r"Broken is not a ComfyUI node class: it has no INPUT_TYPES\(\). For a function, use @nb.node",
        ),
        ({"FUNCTION": None}, "Broken.FUNCTION must name the method that does the work, not None"),
        ({"FUNCTION": "go"}, "Broken.FUNCTION is 'go', but the class has no such method"),
    ],
)
def test_a_class_that_cannot_be_a_node_is_refused(attributes, words):
    with pytest.raises(nb.SpecError, match=words):
        spec_from_v1(type("Broken", (Plain,), attributes))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([], r"Broken.INPUT_TYPES\(\) must return a dict, not list"),
        (
            {"required": {"a": ()}},
            r"Broken: the input 'a' is declared as \(\); expected \(type,\) or \(type, options\)",
        ),
        ({"required": {"a": 3}}, "Broken: the input 'a' is declared as 3"),
    ],
)
def test_inputs_that_cannot_be_read_are_named(raw, words):
    cls = type("Broken", (Plain,), {"INPUT_TYPES": classmethod(lambda cls: raw)})
    with pytest.raises(nb.SpecError, match=words):
        spec_from_v1(cls).interface()


def test_register_takes_a_class_a_mapping_or_specs_and_gives_it_back():
    registry = Registry()
    assert nb.register(Plain, registry=registry) is Plain
    mapping = {"Other": Plain}
    assert nb.register(mapping, {"Other": "The other"}, registry) is mapping
    nb.register({"Third": spec_from_v1(Plain, "Third")}, registry=registry)
    assert sorted(registry) == ["Other", "Plain", "Third"]
    assert registry["Other"].display_name == "The other"


def test_register_refuses_what_is_not_a_node_class():
    with pytest.raises(nb.SpecError, match="'X' is 3, which is not a ComfyUI node class"):
        nb.register({"X": 3}, registry=Registry())
    assert not is_v1(Plain()) and not is_v1(int) and is_v1(Plain)


def test_a_class_of_the_project_is_known_by_its_code():
    def make(plus):
        class Mine(Plain):
            def run(self, a, b, c="x"):
                return (a + b + plus,)

        return spec_from_v1(Mine).code()

    assert make(1) == make(1)
    assert make(1) != make(2)


def test_a_class_of_the_library_is_known_by_its_source():
    blur, sharpen = nb.nodes.ImageBlur.spec, nb.nodes.ImageSharpen.spec
    assert blur.code() == blur.code() != sharpen.code()
