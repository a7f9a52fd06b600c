"""The names of saved files: the tokens in them, and what each platform allows."""

from __future__ import annotations

import ntpath
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import comfy_nb as nb
from comfy_nb.errors import ComfyNBWarning
from comfy_nb.library import Folders, use_folders
from comfy_nb.library.folders import current_folders
from comfy_nb.library.image_files import SaveImage
from comfy_nb.library.save_names import (
    SaveName,
    either,
    fill_tokens,
    fit_name,
    fit_path,
    format_date,
    graph_values,
    size_and_time,
    split_prefix,
)

NOW = time.struct_time((2024, 3, 9, 5, 7, 8, 0, 0, 0))
PLATFORMS = ("linux", "darwin", "win32")
TAIL = "_00001_.png"

PROMPT: dict[str, Any] = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 2**53 + 1, "cfg": 8.0, "denoise": 0.55, "model": ["4", 0]}},
    "4": {"class_type": "Loader", "inputs": {"name": "sd/xl:1.5?.ckpt", "on": True, "none": None, "list": [1, 2]}},
    "5": {"class_type": "PrimitiveInt", "inputs": {"value": 7}, "_meta": {"title": "Steps"}},
    "6": {"class_type": "KSampler", "inputs": {"seed": 5, "steps": ["5", 0]}, "_meta": {"title": "v1.5 fine"}},
    "7": {"class_type": "Text", "inputs": {"text": "..", "two": "a\nb", "half": "50%"}, "_meta": {"title": "Canvas"}},
}
WORKFLOW = {"nodes": [{"id": 6, "properties": {"Node name for S&R": "Fine"}}, {"id": 3, "properties": None}, None]}

FILLED = [
    ("%width%x%height%", "32x16"),
    ("%year%-%month%-%day% %hour%%minute%%second%", "2024-03-09 050708"),
    ("50%_%width%", "50%_32"),
    ("%foo%width%", "%foo32"),
    ("%%width%%", "%32%"),
    ("100%", "100%"),
    ("%", "%"),
    ("%%", "%%"),
    ("%width", "%width"),
    ("a%batch_num%b", "a%batch_num%b"),
    ("%date:yyyy-MM-dd%/a", "2024-03-09/a"),
    ("%date:hh.mm.ss%", "05.07.08"),
    ("%date:d.M.yy h:m:s%", "9.3.24 5:7:8"),
    ("50%_%date:yyyy%", "50%_2024"),
    ("%date:%", ""),
    ("%KSampler.seed%", "9007199254740993"),
    ("%3.cfg%_%3.denoise%", "8_0.55"),
    ("%4.name%", "sd_xl_1.5_.ckpt"),
    ("%4.on%", "true"),
    ("%Steps.value%", "7"),
    ("%6.steps%", "7"),
    ("%v1.5 fine.seed%", "5"),
    ("%Fine.seed%", "5"),
    ("%Canvas.text%/x", "__/x"),
    ("%Canvas.two%", "a_b"),
    ("%a.b%KSampler.seed%", "%a.b9007199254740993"),
]


def lookup(workflow: Any = WORKFLOW) -> Any:
    return either([size_and_time(32, 16, NOW), graph_values(PROMPT, {"workflow": workflow})])


@pytest.mark.parametrize(("prefix", "name"), FILLED)
def test_a_token_is_filled_in_wherever_it_stands(prefix: str, name: str) -> None:
    assert fill_tokens(prefix, lookup()) == (name, [])


@pytest.mark.parametrize(
    ("prefix", "unknown"),
    [
        ("%foo%", ["%foo%"]),
        ("%date%", ["%date%"]),
        ("a_%Nobody.seed%_%width%", ["%Nobody.seed%"]),
        ("%KSampler.nothing%", ["%KSampler.nothing%"]),
        ("%3.model%", ["%3.model%"]),
        ("%4.none%", ["%4.none%"]),
        ("%foo%%bar%", ["%foo%", "%bar%"]),
        ("100% cotton, 50% silk", []),
        ("5%_5%", []),
    ],
)
def test_a_token_that_cannot_be_filled_in_stays_and_is_named(prefix: str, unknown: list[str]) -> None:
    filled, found = fill_tokens(prefix, lookup())
    assert found == unknown
    assert filled == prefix.replace("%width%", "32")


@pytest.mark.parametrize("prompt", [None, [], {}, {"3": None}, {"3": {}}, {"3": {"inputs": None, "_meta": 1}}])
@pytest.mark.parametrize("workflow", [None, [], {}, {"nodes": 3}, {"nodes": [{"id": None}]}])
def test_a_prompt_of_any_shape_is_asked(prompt: Any, workflow: Any) -> None:
    assert fill_tokens("%3.seed%", graph_values(prompt, {"workflow": workflow})) == ("%3.seed%", ["%3.seed%"])


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("yyyyy", "2024y"), ("yyy", "yyy"), ("y", "y"), ("ddd", "099"), ("HH", "HH"), ("MMMM", "0303"), ("", "")],
)
def test_the_letters_of_a_date_count_in_ones_and_twos(pattern: str, text: str) -> None:
    assert format_date(pattern, NOW) == text


SPLIT = [
    ("a", (), "a"),
    ("a/b/c", ("a", "b"), "c"),
    ("a//./b", ("a",), "b"),
    ("a/../b", (), "b"),
    ("", (), "ComfyUI"),
    ("a/..", (), "ComfyUI"),
    ("a/", (), "a"),
    ("..", ("..",), "ComfyUI"),
    ("../a", ("..",), "a"),
    ("a/../../b", ("..",), "b"),
]


@pytest.mark.parametrize(("prefix", "folders", "stem"), SPLIT)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_prefix_names_folders_and_a_file(prefix: str, folders: tuple[str, ...], stem: str, platform: str) -> None:
    assert split_prefix(prefix, platform) == (folders, stem)
    if platform == "win32":
        assert split_prefix(prefix.replace("/", "\\"), platform) == (folders, stem)


def test_a_backslash_is_a_letter_but_on_windows() -> None:
    assert split_prefix("a\\b", "linux") == ((), "a\\b")
    assert split_prefix("a\\b", "win32") == (("a",), "b")


OUTSIDE = [("/a", PLATFORMS), *((each, ("win32",)) for each in ("C:\\a", "c:a", "C:/a", "\\a", "\\\\host\\share\\a"))]


@pytest.mark.parametrize(("prefix", "platforms"), OUTSIDE)
def test_an_absolute_path_is_refused(prefix: str, platforms: tuple[str, ...]) -> None:
    for platform in platforms:
        with pytest.raises(ValueError, match="leads out of"):
            split_prefix(prefix, platform)


WINDOWS_NAMES = [
    ("a:b", "a_b"),
    ('<>:"|?*', "_______"),
    ("a\x01\tb\n", "a__b_"),
    ("a\0b", "a_b"),
    ("CON", "CON"),
    ("CON.x", "CON_.x"),
    ("nul .txt", "nul_.txt"),
    ("com¹.a", "com¹_.a"),
    ("lpt0.", "lpt0_."),
    ("console.x", "console.x"),
    ("a.", "a."),
    ("a ", "a "),
    ("\ud83d", "\ud83d"),
    ("ü🙂", "ü🙂"),
]
WINDOWS_FOLDERS = [
    ("CON", "CON_"),
    ("aux.tar.gz", "aux_.tar.gz"),
    ("COM9", "COM9_"),
    ("LPT1 ", "LPT1_"),
    ("a.", "a"),
    ("a . .", "a"),
    ("...", "_"),
    (".. ", "_"),
    (" ", "_"),
    (" a", " a"),
    ("conin$", "conin$_"),
]


@pytest.mark.parametrize(("stem", "fit"), WINDOWS_NAMES)
def test_a_file_name_is_mended_for_windows(stem: str, fit: str) -> None:
    assert fit_name(stem, TAIL, "win32") == fit + TAIL


@pytest.mark.parametrize(("name", "fit"), WINDOWS_FOLDERS)
def test_a_folder_name_is_mended_for_windows(name: str, fit: str) -> None:
    assert fit_name(name, "", "win32") == fit
    assert split_prefix(f"{name}/a", "win32") == ((fit,), "a")


@pytest.mark.parametrize("name", ["a:b", "<>|?*", "CON", "a.", "a ", "a\n", "C:a", "a\\b", "..."])
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_elsewhere_such_names_stay(name: str, platform: str) -> None:
    assert fit_name(name, "", platform) == name


def test_half_surrogates_are_bytes_on_linux_and_nothing_on_a_mac() -> None:
    assert fit_name("\udc80\ud800", "", "linux") == "\udc80_"
    assert fit_name("\udc80\ud800", "", "darwin") == "__"


TEXTS = st.text(st.characters() | st.sampled_from('%/\\:<>|?*"._ \0\n\ud800\udc80🙂ß'), max_size=300)


@given(TEXTS, st.sampled_from(PLATFORMS))
def test_every_name_fits_its_platform(stem: str, platform: str) -> None:
    for ending in ("", TAIL):
        name = fit_name(stem, ending, platform)
        assert name.endswith(ending)
        assert name.count("/") == name.count("\0") == 0
        if platform == "win32":
            assert len(name.encode("utf-16-le", "surrogatepass")) <= 510
            assert not set(name) & set('<>:"|?*\\') and not name.endswith((".", " "))
            assert not any(letter < " " for letter in name)
            reserved = getattr(ntpath, "isreserved", lambda path: False)  # Python 3.13
            assert not reserved(name)
        else:
            assert len(name.encode("utf-8", "surrogateescape")) <= 255
        assert fit_name(name.removesuffix(ending), ending, platform) == name


@given(TEXTS)
def test_every_prefix_is_saved_or_leads_out(prefix: str) -> None:
    for platform in PLATFORMS:
        try:
            folders, stem = split_prefix(prefix, platform)
        except ValueError:
            continue
        assert stem not in ("", ".", "..")
        assert all(folder == ".." for folder in folders[: folders.count("..")])


@pytest.mark.parametrize(("platform", "most"), [("linux", 4095), ("darwin", 1023), ("win32", 259)])
def test_a_path_is_cut_to_what_the_platform_takes(platform: str, most: int) -> None:
    root = "/home/me/comfy/output"
    long = SaveName(tuple(letter * 200 for letter in "abcdefghij"), "z" * 300)
    folders, stem = fit_path(long, root, platform)
    assert len(root) + sum(len(each) + 1 for each in (*folders, stem)) + len(TAIL) <= most
    assert len(folders) == 10
    short = SaveName(("a", "b"), "c")
    assert fit_path(short, root, platform) == short


# In the folder --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Folders]:
    with use_folders(Folders(tmp_path)) as folders:
        yield folders


def saved(prefix: str, **inputs: Any) -> str:
    entry = SaveImage().save_images(torch.zeros(1, 16, 32, 3), prefix, **inputs)["ui"]["images"][0]
    return f"{entry['subfolder']}/{entry['filename']}".lstrip("/")


@pytest.mark.parametrize(
    "prefix",
    [
        "a" * 400,
        "ü" * 200,
        "x" * 252 + "🙂",
        "/".join("ab" * 100 for _ in range(40)),
        "a\0b",
        "\ud800",
        "a:b?/c*",
        "\udc80",
    ],
)
def test_no_name_fails_at_the_end_of_a_run(folders: Folders, prefix: str) -> None:
    names = [saved(prefix) for _ in range(3)]
    assert len(set(names)) == 3
    assert [name[-11:] for name in names] == ["_00001_.png", "_00002_.png", "_00003_.png"]
    for name in names:
        assert (folders.output / name).is_file()


def test_a_file_in_the_place_of_a_folder_is_gone_around(folders: Folders) -> None:
    folders.output.mkdir()
    (folders.output / "a").write_text("mine")
    assert saved("a/b") == "a_/b_00001_.png"
    assert saved("a/b") == "a_/b_00002_.png"
    assert (folders.output / "a").read_text() == "mine"


@pytest.mark.parametrize("prefix", ["../a", "a/../../b", "/tmp/a", "%Canvas.up%/../../x"])
def test_a_prefix_that_leads_out_is_refused(folders: Folders, prefix: str) -> None:
    with pytest.raises(ValueError, match="leads out of"):
        saved(prefix, prompt={"1": {"inputs": {"up": ".."}, "_meta": {"title": "Canvas"}}})


def test_tokens_name_the_workflows_nodes(folders: Folders) -> None:
    assert saved("%Fine.seed%_%width%", prompt=PROMPT, extra_pnginfo={"workflow": WORKFLOW}) == "5_32_00001_.png"


@pytest.mark.parametrize("is_linked", [False, True])
def test_a_run_fills_in_what_is_typed_and_what_is_linked(folders: Folders, is_linked: bool) -> None:
    prefix: Any = "%date:yyyy%/%Canvas.width%_%2.height%_%width%"
    graph = nb.Graph()
    graph.node("EmptyImage", id="2", title="Canvas", width=24, height=12, batch_size=1, color=0)
    if is_linked:
        prefix = graph.node("PrimitiveString", id="5", value=prefix).out(0)
    graph.node("SaveImage", id="3", images=["2", 0], filename_prefix=prefix)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (entry,) = graph.run_sync().ui["3"]["images"]
    assert (entry["subfolder"], entry["filename"]) == (str(time.localtime().tm_year), "24_12_24_00001_.png")


def test_a_run_warns_once_of_a_token_that_stays(folders: Folders) -> None:
    graph = nb.Graph()
    graph.node("EmptyImage", id="2", width=8, height=8, batch_size=3, color=0)
    graph.node("RebatchImages", id="4", images=["2", 0], batch_size=1)
    graph.node("SaveImage", id="3", title="Keep", images=["4", 0], filename_prefix="%Nobody.seed%_a")
    with pytest.warns(ComfyNBWarning) as caught:
        run = graph.run_sync(["3"])
    (warning,) = caught
    assert '"Keep" (node 3, SaveImage): The name of a saved file keeps %Nobody.seed%' in str(warning.message)
    assert sorted(os.listdir(folders.output)) == [entry["filename"] for entry in run.ui["3"]["images"]]
    assert len(run.ui["3"]["images"]) == 3
    assert run.ui["3"]["images"][0]["filename"] == "%Nobody.seed%_a_00001_.png"


def test_a_save_node_of_a_pack_gets_the_same_names(folders: Folders) -> None:
    @nb.node
    def SaveText(text: str, filename_prefix: str) -> str:
        paths = current_folders().save_paths(filename_prefix, 3, 4)
        return paths.write_new(text.encode(), paths.counter, suffix=".txt")[0]

    graph = nb.Graph()
    graph.node("SaveText", id="7", title="Note", text="hello", filename_prefix="%Note.text%_%width%_%Nobody.text%")
    with pytest.warns(ComfyNBWarning, match=r'"Note" \(node 7, SaveText\): .* keeps %Nobody.text%, which'):
        assert graph.run_sync()["7"] == "hello_3_%Nobody.text%_00001_.txt"
