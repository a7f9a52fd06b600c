"""What the nodes must do on any input, stated independently of how they do it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from comfy_nb.errors import LayoutError
from comfy_nb.library import NODE_CLASS_MAPPINGS as NODES
from comfy_nb.library.compositing import PORTER_DUFF
from comfy_nb.library.filters import bayer_matrix
from comfy_nb.library.overlap import overlap
from comfy_nb.library.resample import common_upscale, repeat_to_batch_size

SIZES = st.integers(1, 9)


def call(class_type, **inputs):
    cls = NODES[class_type]
    return getattr(cls(), cls.FUNCTION)(**inputs)


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@given(
    below=st.tuples(SIZES, SIZES),
    above=st.tuples(SIZES, SIZES),
    left=st.integers(-12, 12),
    top=st.integers(-12, 12),
)
def test_pasting_changes_exactly_the_pixels_that_are_covered(below, above, left, top):
    destination, source = torch.zeros(below), 1 + torch.arange(above[0] * above[1]).reshape(above)
    part, of_source = overlap(destination, source, left, top)
    part.copy_(of_source)
    for y, x in itertools.product(range(below[0]), range(below[1])):
        covered = 0 <= y - top < above[0] and 0 <= x - left < above[1]
        assert destination[y, x] == (source[y - top, x - left] if covered else 0)


@pytest.mark.long
@given(expand=st.integers(-5, 5), tapered=st.booleans(), seed=st.integers(0, 50))
def test_a_grown_mask_has_the_highest_value_within_reach(expand, tapered, seed):
    mask = rand(2, 6, 7, seed=seed)
    (grown,) = call("GrowMask", mask=mask, expand=expand, tapered_corners=tapered)
    reach, best = abs(expand), torch.amax if expand > 0 else torch.amin
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(7), indexing="ij")
    for y, x in itertools.product(range(6), range(7)):
        down, across = (rows - y).abs(), (columns - x).abs()
        near = (down + across if tapered else torch.maximum(down, across)) <= reach
        assert torch.equal(grown[:, y, x], best(mask[:, near], dim=1))


@given(
    old=st.tuples(SIZES, SIZES),
    new=st.tuples(SIZES, SIZES),
    method=st.sampled_from(["bislerp", "lanczos", "area"]),
)
def test_resizing_gives_the_size_asked_for_and_keeps_what_is_plain(old, new, method):
    plain = torch.full((2, 3, *old), 51 / 255)
    resized = common_upscale(plain, new[1], new[0], method, "disabled")
    torch.testing.assert_close(resized, torch.full((2, 3, *new), 51 / 255))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_lanczos_takes_any_number_of_channels(channels):
    samples = rand(1, channels, 6, 8)
    resized = common_upscale(samples, 5, 4, "lanczos", "disabled")
    first = Image.fromarray((samples[0, 0] * 255).to(torch.uint8).numpy()).resize((5, 4), Image.Resampling.LANCZOS)
    assert resized.shape == (1, channels, 4, 5)
    if channels != 4:
        assert torch.equal(resized[0, 0], torch.from_numpy(np.array(first)) / 255)


def test_bislerp_between_vectors_of_one_length_keeps_that_length():
    samples = torch.nn.functional.normalize(rand(1, 4, 5, 6) - 0.5, dim=1) * 3
    longer = common_upscale(samples, 17, 5, "bislerp", "disabled")
    torch.testing.assert_close(longer.norm(dim=1), torch.full((1, 5, 17), 3.0))


def test_bislerp_copes_with_zeros_and_opposites():
    samples = torch.zeros(1, 2, 1, 3)
    samples[0, :, 0, 1], samples[0, :, 0, 2] = torch.tensor([1.0, 0]), torch.tensor([-1.0, 0])
    longer = common_upscale(samples, 9, 2, "bislerp", "disabled")
    assert longer.isfinite().all()
    torch.testing.assert_close(longer[0, 0, 0, 6], torch.tensor(1 - 2 * 2 / 3))


def test_the_frames_of_a_video_latent_are_resized_one_by_one():
    video = rand(2, 3, 4, 6, 8)
    resized = common_upscale(video, 5, 3, "bilinear", "center")
    for index in range(4):
        one = common_upscale(video[:, :, index], 5, 3, "bilinear", "center")
        assert torch.equal(resized[:, :, index], one)


def test_a_centre_crop_keeps_the_middle():
    wide = torch.arange(9.0).expand(1, 1, 3, 9)
    assert common_upscale(wide, 3, 3, "nearest-exact", "center")[0, 0, 0].tolist() == [3, 4, 5]


@given(count=st.integers(1, 5), wanted=st.integers(1, 12), dim=st.integers(0, 1))
def test_a_batch_is_repeated_or_cut(count, wanted, dim):
    batch = torch.arange(count).reshape(-1, 1) if dim == 0 else torch.arange(count).reshape(1, -1)
    repeated = repeat_to_batch_size(batch, wanted, dim)
    assert repeated.flatten().tolist() == [index % count for index in range(wanted)]


@given(width=st.integers(1, 40), height=st.integers(1, 40), ask=st.integers(1, 60), which=st.booleans())
def test_a_size_of_zero_keeps_the_proportions(width, height, ask, which):
    sides = {"width": 0, "height": ask} if which else {"width": ask, "height": 0}
    (scaled,) = call(
        "ImageScale",
        image=torch.zeros(1, height, width, 3),
        upscale_method="bilinear",
        crop="disabled",
        **sides,
    )
    other = round(width * ask / height) if which else round(height * ask / width)
    assert scaled.shape[1:3] == ((ask, max(1, other)) if which else (max(1, other), ask))


def test_images_of_other_channel_counts_can_be_batched():
    (batch,) = call("ImageBatch", image1=rand(1, 4, 4, 3), image2=rand(1, 4, 4, 4, seed=1))
    assert torch.equal(batch[0, ..., 3], torch.ones(4, 4))
    (batch,) = call("ImageBatch", image1=rand(1, 4, 4, 4), image2=rand(2, 5, 3, 3, seed=1))
    assert batch.shape == (3, 4, 4, 4)
    assert torch.equal(batch[1:, ..., 3], torch.ones(2, 4, 4))


@pytest.mark.parametrize("dither", ["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"])
def test_quantising_leaves_few_colours_and_keeps_alpha(dither):
    image = rand(2, 20, 24, 4)
    (quantised,) = call("ImageQuantize", image=image, colors=5, dither=dither)
    for before, after in zip(image, quantised, strict=True):
        assert len(after[..., :3].reshape(-1, 3).unique(dim=0)) <= 5
        assert torch.equal(before[..., 3], after[..., 3])


@pytest.mark.parametrize("order", [1, 2, 4, 8, 16])
def test_a_bayer_matrix_spreads_its_thresholds_evenly(order):
    matrix = bayer_matrix(order)
    steps = np.arange(order**2) / order**2
    assert np.allclose(np.sort(matrix.ravel()), steps - steps.mean())
    assert np.allclose(matrix[::2, ::2].max(initial=-1), matrix.max()) == (order == 1)


def test_a_blur_keeps_brightness_and_mirrors_at_the_edges():
    (blurred,) = call("ImageBlur", image=torch.full((1, 9, 9, 4), 0.3), blur_radius=8, sigma=3.0)
    torch.testing.assert_close(blurred, torch.full((1, 9, 9, 4), 0.3))


@pytest.mark.parametrize("class_type", ["ImageBlur", "ImageSharpen"])
def test_a_radius_that_the_image_cannot_hold_is_an_error(class_type):
    radius, rest = {"ImageBlur": ("blur_radius", {}), "ImageSharpen": ("sharpen_radius", {"alpha": 1.0})}[class_type]
    with pytest.raises(LayoutError, match=r"radius of 5 px needs .* 5 x 9"):
        call(class_type, image=torch.zeros(1, 9, 5, 3), sigma=1.0, **{radius: 5}, **rest)


def test_a_missing_channel_is_an_error():
    with pytest.raises(LayoutError, match="no alpha channel, only red, green, blue"):
        call("ImageToMask", image=torch.zeros(1, 2, 2, 3), channel="alpha")


@pytest.mark.parametrize("mode", PORTER_DUFF)
def test_opaque_layers_combine_as_their_colours_do(mode):
    source, destination = rand(1, 4, 5, 3), rand(1, 4, 5, 3, seed=1)
    opaque = torch.zeros(1, 4, 5)
    image, mask = call(
        "PorterDuffImageComposite",
        source=source, source_alpha=opaque, destination=destination, destination_alpha=opaque, mode=mode,
    )  # fmt: skip
    nothing = torch.zeros_like(source)
    lower, upper = torch.minimum(source, destination), torch.maximum(source, destination)
    screen = 1 - (1 - source) * (1 - destination)
    hard = torch.where(2 * destination < 1, 2 * source * destination, 1 - 2 * (1 - source) * (1 - destination))
    expected = {
        "ADD": (source + destination).clamp(max=1), "DARKEN": lower, "LIGHTEN": upper, "SCREEN": screen,
        "MULTIPLY": source * destination, "OVERLAY": hard,
        "CLEAR": nothing, "XOR": nothing, "SRC_OUT": nothing,
        "DST_OUT": nothing, "DST": destination, "DST_OVER": destination, "DST_IN": destination,
        "DST_ATOP": destination,
    }  # fmt: skip
    torch.testing.assert_close(image, expected.get(mode, source))
    transparent = mode in ("CLEAR", "XOR", "SRC_OUT", "DST_OUT")
    torch.testing.assert_close(mask, torch.full((1, 4, 5), float(transparent)))


@pytest.mark.parametrize("mode", PORTER_DUFF)
def test_a_transparent_source_leaves_the_destination_or_nothing(mode):
    destination, seen = rand(1, 4, 5, 3), torch.full((1, 4, 5), 0.25)
    image, mask = call(
        "PorterDuffImageComposite",
        source=rand(1, 8, 9, 3, seed=1), source_alpha=torch.ones(1, 2, 2), destination=destination,
        destination_alpha=seen, mode=mode,
    )  # fmt: skip
    keeps = mode in {
        "ADD", "DARKEN", "LIGHTEN", "SCREEN", "OVERLAY", "XOR",
        "DST", "DST_OUT", "DST_OVER", "SRC_OVER", "SRC_ATOP",
    }  # fmt: skip
    torch.testing.assert_close(mask, seen if keeps else torch.ones_like(seen))
    # ComfyUI's OVERLAY and LIGHTEN take their colours from a formula that does not leave them alone here.
    if keeps and mode not in ("OVERLAY", "LIGHTEN"):
        torch.testing.assert_close(image, destination)


def test_layers_of_other_channel_counts_are_an_error():
    with pytest.raises(LayoutError, match="source has 4 channels and destination 3"):
        call(
            "PorterDuffImageComposite",
            source=rand(1, 2, 2, 4), source_alpha=rand(1, 2, 2), destination=rand(1, 2, 2, 3),
            destination_alpha=rand(1, 2, 2), mode="SRC",
        )  # fmt: skip


def test_splitting_undoes_joining():
    image, mask = rand(2, 4, 5, 3), rand(2, 4, 5, seed=1)
    (joined,) = call("JoinImageWithAlpha", image=image, alpha=mask)
    colours, alpha = call("SplitImageWithAlpha", image=joined)
    assert torch.equal(colours, image)
    torch.testing.assert_close(alpha, mask)


@pytest.mark.parametrize(("flip", "turn"), [("ImageFlip", "ImageRotate"), ("LatentFlip", "LatentRotate")])
def test_flips_and_turns_form_a_group(flip, turn):
    latent = flip.startswith("Latent")
    value = {"samples": rand(1, 4, 3, 5)} if latent else rand(1, 3, 5, 4)
    name = "samples" if latent else "image"

    def plain(outputs):
        return outputs[0]["samples"] if latent else outputs[0]

    def then(class_type, value, **inputs):
        return call(class_type, **{name: value}, **inputs)[0]

    both = then(flip, then(flip, value, flip_method="x-axis: vertically"), flip_method="y-axis: horizontally")
    half = then(turn, then(turn, value, rotation="90 degrees"), rotation="90 degrees")
    back = then(turn, then(turn, value, rotation="270 degrees"), rotation="90 degrees")
    assert torch.equal(plain((both,)), plain((half,)))
    assert torch.equal(plain((back,)), plain((value,)))


def test_a_turn_is_clockwise():
    image = torch.zeros(1, 2, 3, 1)
    image[0, 0, 0] = 1
    (turned,) = call("ImageRotate", image=image, rotation="90 degrees")
    assert turned[0, 0, 1] == 1


@given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=5), size=st.integers(1, 6))
def test_rebatching_images_keeps_them_all_in_order(counts, size):
    numbers = iter(range(99))
    images = [torch.tensor([float(next(numbers)) for _ in range(n)]).reshape(n, 1, 1, 1) for n in counts]
    (dealt,) = call("RebatchImages", images=images, batch_size=[size])
    assert torch.cat(dealt).flatten().tolist() == list(range(sum(counts)))
    assert all(len(each) == size for each in dealt[:-1])


def test_images_of_two_sizes_cannot_share_a_batch():
    images = [torch.zeros(1, 2, 3, 3), torch.zeros(1, 4, 3, 3)]
    with pytest.raises(LayoutError, match=r"\(2, 3, 3\), \(4, 3, 3\)"):
        call("RebatchImages", images=images, batch_size=[2])
    assert len(call("RebatchImages", images=images, batch_size=[1])[0]) == 2


def test_rebatching_latents_keeps_masks_and_indices():
    masked = {"samples": torch.zeros(1, 4, 2, 2), "noise_mask": torch.zeros(1, 1, 4, 4), "batch_index": [7]}
    plain = {"samples": torch.ones(2, 4, 2, 2)}
    wide = {"samples": torch.ones(1, 4, 2, 3)}
    (dealt,) = call("RebatchLatents", latents=[masked, plain, wide], batch_size=[2])
    assert [each["batch_index"] for each in dealt] == [[7, 1], [2], [3]]
    assert [sorted(each) for each in dealt] == [
        ["batch_index", "noise_mask", "samples"], ["batch_index", "samples"], ["batch_index", "samples"],
    ]  # fmt: skip
    assert dealt[0]["noise_mask"].mean(dim=(1, 2, 3)).tolist() == [0, 1]
    assert dealt[2]["samples"].shape == (1, 4, 2, 3)


def test_repeating_latents_gives_fresh_indices_and_repeats_masks():
    latent = {
        "samples": rand(2, 4, 2, 2),
        "noise_mask": rand(2, 1, 16, 16),
        "batch_index": [3, 5],
        "other": 1,
    }
    (repeated,) = call("RepeatLatentBatch", samples=latent, amount=3)
    assert repeated["batch_index"] == [3, 5, 6, 8, 9, 11]
    assert torch.equal(repeated["noise_mask"][4:], latent["noise_mask"])
    assert torch.equal(repeated["samples"][2:4], latent["samples"])
    assert repeated["other"] == 1
    assert latent["samples"].shape[0] == 2


def test_taking_latents_from_a_batch_takes_their_masks_and_indices():
    latent = {"samples": rand(4, 4, 2, 2), "noise_mask": rand(2, 1, 16, 16), "batch_index": [9, 8, 7, 6]}
    (taken,) = call("LatentFromBatch", samples=latent, batch_index=2, length=9)
    assert taken["batch_index"] == [7, 6]
    assert torch.equal(taken["noise_mask"], latent["noise_mask"])
    assert torch.equal(taken["samples"], latent["samples"][2:])


def test_a_latent_keeps_at_least_64_pixels_each_way():
    latent = {"samples": rand(1, 4, 10, 20)}
    (scaled,) = call("LatentUpscale", samples=latent, upscale_method="bilinear", width=0, height=8, crop="disabled")
    assert scaled["samples"].shape == (1, 4, 8, 16)
    (same,) = call("LatentUpscale", samples=latent, upscale_method="bilinear", width=0, height=0, crop="disabled")
    assert same is latent


def test_adding_latents_repeats_the_smaller_batch():
    first, second = {"samples": rand(3, 4, 4, 4), "kept": 1}, {"samples": rand(2, 4, 4, 4, seed=1)}
    (total,) = call("LatentAdd", samples1=first, samples2=second)
    assert torch.equal(total["samples"][2], first["samples"][2] + second["samples"][0])
    assert total["kept"] == 1


def test_a_latent_laid_outside_changes_nothing():
    below, above = {"samples": rand(1, 4, 4, 4)}, {"samples": rand(1, 4, 2, 2, seed=1)}
    (pasted,) = call("LatentComposite", samples_to=below, samples_from=above, x=64, y=0, feather=16)
    assert torch.equal(pasted["samples"], below["samples"])
    (pasted,) = call("LatentCompositeMasked", destination=below, source=above, x=64, y=0, resize_source=False)
    assert torch.equal(pasted["samples"], below["samples"])


def test_a_composite_leaves_its_inputs_alone():
    below, above = rand(1, 4, 4, 3), rand(1, 2, 2, 4, seed=1)
    before = below.clone()
    (pasted,) = call("ImageCompositeMasked", destination=below, source=above, x=1, y=2, resize_source=False)
    assert torch.equal(below, before)
    assert torch.equal(pasted[0, 2:, 1:3], above[0, ..., :3])


@pytest.mark.parametrize(
    ("mode", "pattern", "index", "found"),
    [
        ("First Match", r"(\w)=(\d)", 1, "a=1"),
        ("All Matches", r"(\w)=(\d)", 2, "a\nb"),
        ("All Matches", r"\w=\d", 1, "a=1\nb=2"),
        ("First Group", r"(\w)=(\d)", 2, "1"),
        ("First Group", r"(\w)=(\d)", 3, ""),
        ("First Group", r"(x)?=", 1, ""),
        ("All Groups", r"(\w)=(\d)", 2, "1\n2"),
        ("All Groups", r"(\w)=(\d)", 0, "a=1\nb=2"),
        ("All Groups", r"\w=\d", 0, ""),
        ("First Match", "nothing", 1, ""),
        ("First Match", "(", 1, ""),
    ],
)
def test_a_pattern_extracts_matches_or_groups(mode, pattern, index, found):
    flags = {"case_insensitive": True, "multiline": False, "dotall": False}
    outputs = call("RegexExtract", string="a=1 b=2", regex_pattern=pattern, mode=mode, group_index=index, **flags)
    assert outputs == (found,)


def test_the_flags_of_patterns():
    flags = {"case_insensitive": False, "multiline": False, "dotall": False}

    def matches(pattern, **changed):
        return call("RegexMatch", string="A\nb", regex_pattern=pattern, **(flags | changed))[0]

    assert [matches("^a"), matches("^a", case_insensitive=True)] == [False, True]
    assert [matches("^b"), matches("^b", multiline=True)] == [False, True]
    assert [matches("A.b"), matches("A.b", dotall=True)] == [False, True]
    assert matches("(") is False


def test_replacing_by_a_pattern():
    assert call("RegexReplace", string="aAb", regex_pattern="(a)", replace=r"<\1>") == ("<a><A>b",)
    assert call("RegexReplace", string="aAb", regex_pattern="a", replace="", count=1) == ("Ab",)
    with pytest.raises(ValueError, match=r"the pattern .* is not valid: missing .*backslash"):
        call("RegexReplace", string="a", regex_pattern="(", replace="")


@pytest.mark.parametrize(
    ("mode", "a", "b", "sensitive", "answer"),
    [
        ("Equal", "Ab", "aB", False, True),
        ("Equal", "Ab", "aB", True, False),
        ("Starts With", "abc", "ab", True, True),
        ("Ends With", "abc", "BC", False, True),
        ("Ends With", "abc", "BC", True, False),
    ],
)
def test_comparing_texts(mode, a, b, sensitive, answer):
    assert call("StringCompare", string_a=a, string_b=b, mode=mode, case_sensitive=sensitive) == (answer,)
