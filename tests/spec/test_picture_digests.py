"""What of a picture counts: its pixels, all frames of its file, and what that says of them."""

from __future__ import annotations

import pytest
from PIL import Image as Pictures

from comfy_nb.spec.fingerprint import digest_of, unreadable_in


def test_a_closed_picture_stands_for_itself():
    picture = Pictures.new("L", (1, 1))
    picture.close()
    assert not digest_of(picture).reusable


def film(path, *shades: int):
    first, *rest = [Pictures.new("L", (4, 4), shade) for shade in shades]
    first.save(path, save_all=True, append_images=rest)
    return Pictures.open(path)


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.png"])
def test_a_picture_of_several_frames_counts_with_all_of_them_and_stays_at_its_own(tmp_path, name):
    with film(tmp_path / name, 0, 9, 99) as one, film(tmp_path / f"b-{name}", 0, 9, 98) as other:
        before = digest_of(one)
        assert before.reusable and before != digest_of(other)
        one.seek(1)
        assert digest_of(one) != before
        assert one.tell() == 1 and one.convert("L").getpixel((0, 0)) == 9
        one.seek(2)
        assert one.convert("L").getpixel((0, 0)) == 99
        one.seek(0)
        assert digest_of(one) == before


def test_a_picture_whose_frames_cannot_be_read_from_its_file_stands_for_itself(tmp_path):
    with film(tmp_path / "a.webp", 0, 255) as moving:
        assert unreadable_in(moving) == "an animated picture, whose frames can be sought"


def test_a_picture_that_is_read_for_its_digest_tells_the_same_as_before(tmp_path):
    Pictures.new("RGB", (4, 4), "red").save(tmp_path / "a.png", dpi=(72, 72))
    opened = Pictures.open(tmp_path / "a.png")
    told = (opened.format, dict(opened.info), opened.filename, opened.tell(), opened.size)
    assert digest_of(opened).reusable
    assert (opened.format, dict(opened.info), opened.filename, opened.tell(), opened.size) == told
    assert opened.getpixel((0, 0)) == (255, 0, 0)


def test_a_picture_whose_file_ends_too_early_is_said_to_be_unreadable(tmp_path):
    Pictures.effect_noise((99, 99), 50).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:3000])
    opened = Pictures.open(tmp_path / "a.png")
    assert unreadable_in(opened) == "a picture that cannot be read (image file is truncated)"


def test_a_picture_is_known_with_its_rotation():
    upright, rotated = Pictures.new("L", (2, 2)), Pictures.new("L", (2, 2))
    rotated.getexif()[0x0112] = 6
    assert digest_of(upright) != digest_of(rotated)


def test_a_picture_is_known_with_the_texts_of_its_file(tmp_path):
    Pictures.new("L", (2, 2)).save(tmp_path / "a.png")
    opened = Pictures.open(tmp_path / "a.png")
    before = digest_of(opened)
    assert opened.text == {} and digest_of(opened) == before
    opened.text["prompt"] = "a cat"
    assert digest_of(opened) != before


class Scan(Pictures.Image):
    """A picture of a person's own class, which keeps more of it."""

    _dpi = 0


def scan(dpi: int) -> Scan:
    made = Scan()
    vars(made).update(vars(Pictures.new("L", (2, 2))), _dpi=dpi)
    return made


def test_a_picture_of_a_persons_class_is_known_with_what_that_keeps_under_private_names():
    assert digest_of(scan(72)) == digest_of(scan(72)) != digest_of(scan(300))
    made = scan(72)
    before = digest_of(made)
    made.getexif()
    made.load()
    assert digest_of(made) == before


def test_a_palette_is_known_by_what_it_tells_too_as_long_as_the_picture_has_not_taken_it_over():
    picture = Pictures.new("P", (2, 2))
    picture.putpalette(bytes(range(30)))
    before = digest_of(picture)
    assert digest_of(picture.copy()) == before
    picture.palette.palette = bytes(range(1, 31))
    assert digest_of(picture) != before
