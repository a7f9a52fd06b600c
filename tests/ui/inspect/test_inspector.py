"""Values of every kind, taken apart, described and drawn."""

from __future__ import annotations

import gc
import io
import math
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from comfy_nb.library.pictures import to_png
from comfy_nb.ui.inspect.html import as_text, to_html
from comfy_nb.ui.inspect.inspector import Inspector
from comfy_nb.ui.render.thumbnails import value_thumbnail

NAN = math.nan
QINT8 = torch.qint8


def picture(inspector: Inspector, **asked) -> Image.Image:
    answer, pictures = inspector.answer({"ask": "slice", "size": [64, 64], "rect": [0, 0, 64, 64], **asked})
    assert "error" not in answer, answer
    return Image.open(io.BytesIO(pictures[0])).convert("RGB")


def shared(levels: int) -> object:
    value: object = []
    for _ in range(levels):
        value = [value, value]
    return value


def alarms(value, kind=None) -> str:
    return " ".join(Inspector(value, kind=kind).described(0)["alarms"])


STRANGE = {
    "bool": lambda: torch.tensor([[True, False]]),
    "bfloat16": lambda: torch.ones(2, 3, dtype=torch.bfloat16),
    "float8": lambda: torch.ones(2, 3).to(torch.float8_e4m3fn),
    "complex": lambda: torch.ones(2, 3, dtype=torch.complex64),
    "conjugate": lambda: torch.ones(2, 3, dtype=torch.complex64).conj(),
    "sparse": lambda: torch.eye(4).to_sparse(),
    "csr": lambda: torch.eye(4).to_sparse_csr(),
    "quantised": lambda: torch.quantize_per_tensor(torch.rand(3, 4), 0.1, 0, torch.quint8),
    "quantised by channel": lambda: torch.quantize_per_channel(
        torch.rand(3, 4), torch.ones(3), torch.zeros(3), 0, QINT8
    ),
    "many channels": lambda: {"samples": torch.rand(1, 200_000, 2, 2)},
    "shared parts": lambda: shared(60),
    "meta": lambda: torch.empty(10**6, 10**6, device="meta"),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "empty": lambda: torch.zeros(0, 3),
    "empty picture": lambda: torch.zeros(1, 0, 8, 3),
    "scalar": lambda: torch.tensor(3.5),
    "gradient": lambda: torch.rand(2, 3, requires_grad=True),
    "transposed": lambda: torch.rand(5, 4).T,
    "expanded": lambda: torch.zeros(1).expand(4, 4),
    "large integer": lambda: torch.tensor([2**62, -(2**62)]),
    "all NaN": lambda: torch.full((3, 3), NAN),
    "read-only array": lambda: np.broadcast_to(np.float32(1), (3, 4)),
    "backwards array": lambda: np.arange(12.0).reshape(3, 4)[::-1],
    "big-endian array": lambda: np.arange(4, dtype=">f4"),
    "array of objects": lambda: np.array([{}, None], dtype=object),
    "array of records": lambda: np.zeros(3, dtype=[("a", "f4"), ("b", "i4")]),
    "array of texts": lambda: np.array(["a"]),
    "array of dates": lambda: np.array(["2020-01-01"], dtype="datetime64[D]"),
    "array of uint64": lambda: np.array([2**64 - 1], dtype=np.uint64),
    "huge numbers in a list": lambda: [10**400, 1],
    "nothing": lambda: None,
    "cycle": lambda: (lambda inner: inner.append(inner) or inner)([]),
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.filterwarnings("ignore")
def test_any_value_is_described_and_drawn(name):
    value = STRANGE[name]()
    for kind in (None, "IMAGE", "MASK", "LATENT", "CONDITIONING"):
        inspector = Inspector(value, kind=kind)
        assert as_text(inspector, "") and len(to_html(inspector, "")) < 300_000
        for place in range(len(inspector.parts)):
            known = inspector.described(place)
            if known["view"] == "pixels":
                picture(inspector, part=place)
            if known["view"] == "plot":
                answer, curves = inspector.answer({"ask": "plot", "part": place, "index": []})
                assert "error" not in answer and len(curves) == 2


@given(st.lists(st.integers(0, 6), max_size=5), st.sampled_from([None, "IMAGE", "MASK", "LATENT"]), st.data())
@settings(deadline=None, max_examples=60)
def test_no_request_of_a_front_end_raises(shape, kind, data):
    inspector = Inspector(torch.zeros(shape), torch.zeros(shape), kind)
    number = st.one_of(st.integers(-9, 99), st.none(), st.floats())
    asked = {
        "ask": data.draw(st.sampled_from(["slice", "sheet", "texts", "plot", "audio", "nonsense"])),
        "part": data.draw(st.integers(-3, 3)),
        "rect": data.draw(st.lists(number, min_size=4, max_size=4)),
        "size": data.draw(st.lists(st.integers(-5, 300), min_size=2, max_size=2)),
        "index": data.draw(st.lists(st.integers(-9, 9), max_size=6)),
        "channel": data.draw(number),
        "which": data.draw(st.sampled_from(["one", "other", "difference", "overlay"])),
    }
    answer, _ = inspector.answer(asked)
    assert isinstance(answer, dict)


def test_an_image_is_drawn_in_its_own_colours():
    image = torch.zeros(1, 8, 8, 3)
    image[0, 2, 5] = torch.tensor([1.0, 0.5, 0.0])
    seen = picture(Inspector(image), rect=[0, 0, 8, 8])
    assert seen.size == (8, 8) and seen.getpixel((5, 2)) == (255, 127, 0) and seen.getpixel((2, 5)) == (0, 0, 0)
    green = picture(Inspector(image), rect=[0, 0, 8, 8], channel=1)
    assert green.getpixel((5, 2)) == (127, 127, 127)


def test_only_the_rectangle_that_is_seen_is_drawn_and_written():
    image = torch.rand(1, 50, 60, 3)
    inspector = Inspector(image)
    assert picture(inspector, rect=[10, 20, 14, 23]).size == (4, 3)
    answer, _ = inspector.answer({"ask": "texts", "rect": [10, 20, 11, 21]})
    assert answer["texts"] == [[[f"{value:.4g}" for value in image[0, 20, 10].tolist()]]]


def test_what_is_not_a_number_is_magenta():
    x = torch.zeros(1, 8, 8, 3)
    x[0, 1, 3, 2] = NAN
    assert picture(Inspector(x), rect=[0, 0, 8, 8]).getpixel((3, 1)) == (255, 0, 255)
    assert picture(Inspector(x[0, ..., 2]), rect=[0, 0, 8, 8]).getpixel((3, 1)) == (255, 0, 255)


def test_a_difference_is_ten_times_brighter():
    one, other = torch.full((1, 8, 8, 3), 0.50), torch.full((1, 8, 8, 3), 0.53)
    seen = picture(Inspector(one, other), rect=[0, 0, 8, 8], which="difference")
    assert seen.getpixel((4, 4))[0] == pytest.approx(0.3 * 255, abs=1)


def test_pictures_of_two_sizes_have_no_difference():
    answer, _ = Inspector(torch.zeros(1, 8, 8, 3), torch.zeros(1, 8, 9, 3)).answer(
        {"ask": "slice", "which": "difference", "rect": [0, 0, 8, 8], "size": [8, 8]}
    )
    assert "differ in size" in answer["error"]


def test_a_view_and_a_small_picture_show_what_a_file_is_written_with():
    image = torch.rand(1, 16, 16, 4, generator=torch.Generator().manual_seed(1)) * 1.2 - 0.1
    image[0, 0, :, :] = (torch.arange(16.0) / 255)[:, None]
    saved = np.asarray(Image.open(io.BytesIO(to_png(image[0]))))
    _, pictures = Inspector(image, kind="IMAGE").answer({"ask": "slice", "size": [16, 16], "rect": [0, 0, 16, 16]})
    thumbnail = value_thumbnail(image, "IMAGE", 16)
    assert (thumbnail is not None, thumbnail.format) == (True, "png")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(pictures[0]))), saved)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(thumbnail.data))), saved)
    assert saved[0, :, 0].tolist() == list(range(16))


def test_a_mask_is_red_over_its_image():
    mask = torch.zeros(1, 8, 8)
    mask[0, :, :4] = 1.0
    inspector = Inspector(mask, torch.full((1, 8, 8, 3), 0.5), "MASK")
    assert inspector.described(0)["compare"] == "overlay"
    seen = picture(inspector, rect=[0, 0, 8, 8], which="overlay")
    red, _, blue = seen.getpixel((1, 1))
    assert red > 150 and blue < 110 and seen.getpixel((6, 1)) == (127, 127, 127)


def test_a_latent_has_colours_and_channels():
    inspector = Inspector({"samples": torch.randn(2, 4, 8, 8), "noise_mask": torch.zeros(2, 8, 8)})
    assert [part.kind for part in inspector.parts] == ["LATENT", "MASK"]
    assert len(picture(inspector, rect=[0, 0, 8, 8]).getcolors()) > 20
    answer, _ = inspector.answer({"ask": "sheet", "over": "channels", "size": [200, 200]})
    assert (answer["count"], answer["total"]) == (4, 4)


def test_a_batch_comes_in_pages():
    inspector = Inspector(torch.rand(60, 4, 6, 3), kind="IMAGE")
    answer, pictures = inspector.answer({"ask": "sheet", "page": 2, "size": [300, 300]})
    assert (answer["first"], answer["count"], answer["total"]) == (48, 12, 60)
    assert Image.open(io.BytesIO(pictures[0])).width <= 300


def test_any_two_axes_are_rows_and_columns():
    x = torch.arange(2 * 3 * 4).reshape(2, 3, 4).double()
    answer, _ = Inspector(x).answer({"ask": "texts", "rect": [0, 0, 2, 4], "rows": 2, "columns": 0, "index": [0, 1, 0]})
    assert [[float(value[0]) for value in row] for row in answer["texts"]] == x[:, 1, :].T.tolist()


def test_alarms_say_what_is_wrong_and_what_to_do():
    image = torch.rand(1, 16, 16, 3)
    assert alarms(image) == ""
    assert "values from" in alarms(image * 212) and "looks like 0..255, divide by 255" in alarms(image * 212)
    assert "(x + 1) / 2" in alarms(image.clamp(0.01) * 2 - 1, "IMAGE") or alarms(image * 2 - 1)
    assert "x.permute(0, 2, 3, 1)" in alarms(image.permute(0, 3, 1, 2), "IMAGE")
    image[0, 4, 7, 1] = NAN
    assert "1 of 768 values is NaN; the first is at [0, 4, 7, 1]" in alarms(image)


def test_the_look_of_other_values():
    assert [part.kind for part in Inspector([1, 2.5, 3]).parts] == ["NUMBERS"]
    assert [part.kind for part in Inspector({"waveform": torch.zeros(1, 1, 9), "sample_rate": 9}).parts] == [
        "AUDIO",
        "TEXT",
    ]
    names = [part.name for part in Inspector([[torch.zeros(1, 7, 8), {"pooled_output": torch.zeros(1, 8)}]]).parts]
    assert names == ["[0][0]", "[0][1].pooled_output"]
    assert "16 parameters" in Inspector(torch.nn.Linear(3, 4)).parts[0].text
    assert Inspector(Image.new("RGBA", (4, 5))).described(0)["shape"] == [1, 5, 4, 4]


def test_a_sound_is_a_wav_file():
    answer, (data,) = Inspector({"waveform": torch.zeros(1, 2, 100), "sample_rate": 50}).answer({"ask": "audio"})
    assert answer == {"format": "wav"} and data[:4] == b"RIFF" and len(data) == 44 + 400


def test_a_curve_holds_every_peak_and_every_fault():
    x = torch.zeros(5_432)
    x[5_431], x[77] = 9.0, NAN
    _, (low, high) = Inspector(x).answer({"ask": "plot", "index": []})
    highest = np.frombuffer(high, np.float32)
    assert len(low) == len(high) and np.nanmax(highest) == 9.0 and np.isnan(highest).sum() == 1


def test_the_value_is_not_changed():
    x = torch.rand(1, 9, 9, 3)
    before, version = x.clone(), x._version
    inspector = Inspector(x, x)
    to_html(inspector, "")
    picture(inspector, which="difference")
    assert torch.equal(x, before) and x._version == version


def test_a_released_value_is_not_kept_alive():
    x = torch.rand(1, 9, 9, 3)
    inspector, ref = Inspector(x), weakref.ref(x)
    inspector.release()
    inspector.hold()
    assert picture(inspector, rect=[0, 0, 9, 9])
    inspector.release()
    del x
    gc.collect()
    assert ref() is None
    inspector.hold()
    assert "no longer held" in inspector.answer({"ask": "slice", "rect": [0, 0, 1, 1], "size": [1, 1]})[0]["error"]


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_a_picture_of_one_deep_channel_is_drawn(mode):
    inspector = Inspector(Image.new(mode, (6, 4), 3))
    assert inspector.parts[0].kind == "IMAGE"
    assert picture(inspector).size[0] > 0


def test_a_hundred_parts_are_all_shown():
    assert len(Inspector([str(each) for each in range(100)]).parts) == 100
    assert len(Inspector([str(each) for each in range(101)]).parts) == 101


class Unloaded:
    @property
    def model(self):
        raise RuntimeError("not loaded")


@pytest.mark.parametrize("value", [Unloaded(), torch.nn.LazyLinear(3)])
def test_a_value_whose_own_code_fails_is_named_by_its_type(value):
    (part,) = Inspector(value).parts
    assert part.text.startswith(f"{type(value).__name__}: it cannot be inspected (")


def test_a_class_is_not_a_picture():
    assert Inspector(Image.Image).parts[0].kind == "TEXT"


def test_a_tensor_that_fails_without_a_message_is_described_by_the_error(monkeypatch):
    def fails(x):
        raise NotImplementedError

    monkeypatch.setattr("comfy_nb.ui.inspect.inspector.statistics_of", fails)
    assert "its values cannot be read: NotImplementedError" in as_text(Inspector(torch.zeros(2, 2)), "")


@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_without_a_batch_is_shown_in_its_colours(channels):
    orange = np.full((40, 60, channels), 255, np.uint8)
    orange[:] = (255, 128, 0, 255)[:channels]
    for value in (orange, orange / 255, torch.from_numpy(orange / 255)):
        inspector = Inspector(value)
        assert inspector.parts[0].kind == "IMAGE"
        assert picture(inspector).getpixel((5, 5)) == pytest.approx((255, 128, 0), abs=2)


def test_an_array_that_cannot_be_a_picture_is_shown_as_any_array():
    for value in (np.zeros((3, 60, 3)), np.zeros((40, 60, 5)), np.zeros((40, 60, 3), np.int64)):
        assert Inspector(value).parts[0].kind == "TENSOR"


def test_the_latent_of_a_video_has_colours_and_an_axis_of_frames():
    samples = torch.zeros(1, 16, 5, 8, 8)
    samples[:, :4, 3, :4] = 1.0
    inspector = Inspector({"samples": samples})
    known = inspector.described(0)
    assert known["kind"] == "LATENT"
    assert (known["rows"], known["columns"], known["channels"], known["batch"], known["frames"]) == (3, 4, 1, 0, 2)
    assert len(picture(inspector, index=[0, 0, 0, 0, 0]).getcolors()) == 1
    assert len(picture(inspector, index=[0, 0, 3, 0, 0]).getcolors()) == 2


def spectrum() -> torch.Tensor:
    """Many small numbers and a huge one, as at the centre of a Fourier transform."""
    values = torch.linspace(1.0, 100.0, 64 * 64).reshape(64, 64)
    values[32, 32] = 1e5
    return values


def lightness(inspector: Inspector, **asked) -> float:
    return float(np.asarray(picture(inspector, **asked).convert("L")).mean())


def test_a_complex_tensor_is_drawn_by_the_logarithm_of_its_magnitudes():
    inspector = Inspector(torch.polar(spectrum(), torch.ones(64, 64)))
    assert inspector.described(0)["scale"] == "log"
    assert lightness(inspector) == lightness(inspector, scale="log")
    assert lightness(inspector) > 3 * lightness(inspector, scale="all")


def test_numbers_are_drawn_on_the_scale_that_is_asked_for():
    inspector = Inspector(spectrum())
    assert inspector.described(0)["scale"] == "all"
    assert lightness(inspector) == lightness(inspector, scale="all") == lightness(inspector, scale="odd")
    assert lightness(inspector, scale="most") > 3 * lightness(inspector)
    assert lightness(inspector, scale="log") > 3 * lightness(inspector)


@pytest.mark.parametrize("scale", ["all", "most", "log"])
@pytest.mark.parametrize("number", [0.0, -1.0, 5e-324, 1e308, -math.inf, NAN])
def test_every_scale_takes_any_numbers(scale, number):
    for rest in (number, 0.0):
        values = torch.full((8, 8), rest, dtype=torch.float64)
        values[0, 0] = number
        picture(Inspector(values), scale=scale)
