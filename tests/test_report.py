"""The report: lines checked, means and BD-rates by hand arithmetic, hostile names, crops, figures. The page in a browser is
tests/test_report_browser.py's."""

import base64
import hashlib
import io
import json
import re
import runpy
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inrcodec.errors import InputError, UsageError
from inrcodec.evaluation.report import CropRequest, crops, page, read_results

SCRIPT = Path(__file__).parents[1] / "scripts" / "report.py"
HOSTILE = '</script><script>window.hacked = 1</script><img src=x onerror="hacked=1">'
main = runpy.run_path(str(SCRIPT))["main"]


def line(codec="webp", setting="q=1", file="a.png", bpp=1.0, psnr_db=30.0, **more) -> dict:
    size = {"frames": 1, "width": 100, "height": 80, "bytes": max(1, round(1000 * bpp))}
    times = {"encode_s": 0.5, "decode_s": 0.1, "machine": "a machine", "threads": 1}
    facts = {"codec": codec, "setting": setting, "effort": None, "file": file, "over": "RGB", "published": False}
    return facts | size | times | {"bpp": bpp, "psnr_db": psnr_db, "ms_ssim": None} | more


def curve(codec, file="a.png", factor=1.0, psnrs=(30.0, 33.0, 36.0, 39.0), **more) -> list[dict]:
    """Points whose rate doubles."""
    return [
        line(codec, f"q={index}", file, factor * 0.1 * 2**index, psnr_db, **more) for index, psnr_db in enumerate(psnrs)
    ]


def write(folder, lines) -> Path:
    path = folder / "results.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    return path


def read(folder, lines) -> list[dict]:
    return read_results([write(folder, lines)], [])


class Elements(HTMLParser):
    """What a browser would see: elements with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements, self.texts = [], {"script": [], "style": []}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.lasttag in self.texts and data.strip():
            self.texts[self.lasttag].append(data)


def data_of(text: str) -> dict:
    """The data that the page's script reads."""
    return json.loads(Elements(text).texts["script"][0])


def kind_of(folder, lines, **options) -> dict:
    return data_of(page(read(folder, lines), **options))["kinds"][0]


GOOD = json.dumps(line())
BAD_LINES = {
    "{": "no JSON",
    "[1]": "not an object",
    "5": "not an object",
    "[" * 100_000: "no JSON",
    GOOD.replace('"psnr_db": 30.0', '"psnr_db": NaN'): "NaN",
    GOOD.replace('"bpp": 1.0', '"bpp": Infinity'): "Infinity",
    GOOD.replace('"bpp": 1.0', '"bpp": 1e999'): "bpp is inf",
    GOOD.replace('"bpp": 1.0', f'"bpp": {10**400}'): "bpp is 1000",
    GOOD.replace('"bpp": 1.0', '"bpp": null'): "bpp is null",
    GOOD.replace('"bytes": 1000', '"bytes": 0'): "bytes is 0, allowed is 1 to",
    GOOD.replace('"bytes": 1000', '"bytes": 10.5'): "a whole number",
    GOOD.replace('"frames": 1', '"frames": true'): "frames is True",
    GOOD.replace('"ms_ssim": null', '"ms_ssim": 7'): "ms_ssim is 7",
    GOOD.replace('"psnr_db": 30.0', '"psnr_db": "30"'): "psnr_db is '30'",
    GOOD.replace('"published": false', '"published": "no"'): "published is 'no'",
    GOOD.replace('"webp"', '"a\\nb"'): "codec is 'a",
    GOOD.replace('"webp"', '"\\ud800"'): "codec is",
    GOOD.replace('"webp"', f'"{"x" * 201}"'): "1 to 200 characters",
    GOOD.replace('"webp"', '["webp"]'): "codec is ['webp']",
    '{"codec": "webp", "bpp": 1}': "setting, file, over, frames, width, height, psnr_db missing",
}


@pytest.mark.parametrize("bad", BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_bad_line_is_one_clear_line(bad, tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    path.write_text(f"{GOOD}\n\n{bad}\n", encoding="utf-8")
    assert main([str(path), "-o", str(tmp_path / "page.html")]) == 3
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and len(told) < 400 + len(str(path))
    assert f"{path}, line 3: " in told and BAD_LINES[bad] in told
    assert not (tmp_path / "page.html").exists()


def test_files_without_results_are_refused(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, reason in (("empty", "no results"), ("binary", "not UTF-8"), ("missing", "No such file")):
        with pytest.raises(InputError, match=reason) as told:
            read_results([tmp_path / name], [])
        assert name in str(told.value)


def test_what_cannot_be_read_is_told_and_the_rest_is_shown(decoded, tmp_path, capsys):
    _, image, folder = decoded
    good, bad, page_at = write(tmp_path, [line()]), tmp_path / "bad.jsonl", tmp_path / "page.html"
    bad.write_text("{}\n")
    given = [str(good), str(bad), "-o", str(page_at), "--published", str(tmp_path / "none.json")]
    assert main([*given, "--crops", str(image), "--decoded", str(folder)]) == 1
    told = capsys.readouterr().err.splitlines()
    assert [one.startswith("report: ") for one in told] == [True, True, True, False]
    assert all(text in one for text, one in zip(("bad.jsonl, line 1", "none.json", "no decoded picture"), told))
    data = data_of(page_at.read_text())
    assert [codec["name"] for codec in data["codecs"]] == ["webp"] and data["crops"] is None


def test_names_of_curves(tmp_path):
    lines = [line("ours", effort=3), line("ours", effort=5), line("webp"), line("webp", published=True, bytes=None)]
    lines += [line("webp", bpp=2.0)]
    read_back = read(tmp_path, lines)
    assert [one["codec"] for one in read_back] == ["ours, effort 3", "ours, effort 5", "webp", "webp (published)"]
    assert read_back[2]["bpp"] == 2.0  # the last line of a point counts


def test_means_are_over_the_files_that_every_codec_has(tmp_path):
    lines = [line("a", "q=1", "x.png", 1.0, 30.0), line("a", "q=1", "y.png", 2.0, 34.0), line("a", "q=1", "z.png")]
    lines += [line("a", "q=2", "x.png", 3.0, 38.0)]  # not of y
    lines += [line("b", "q=7", "x.png", 0.5, 20.0, ms_ssim=0.9), line("b", "q=7", "y.png", 1.5, 30.0, ms_ssim=0.99)]
    lines += [line("c", "p", "x", 1.0, 31.0, published=True)]  # of too few files for a mean, but none's fault
    kind = kind_of(tmp_path, lines)
    means = {point["codec"]: point for point in kind["points"] if point["file"] is None}
    assert means.keys() == {0, 1}
    assert means[0]["bpp"] == 1.5 and means[0]["db"] == {"psnr_db": 32.0} and means[0]["bytes"] == 1500
    assert means[1]["ms_ssim"] == pytest.approx(0.945) and means[1]["db"]["ms_ssim"] == pytest.approx(12.596, abs=1e-3)
    assert kind["mean_note"] == "Mean over 2 files: x.png, y.png. Left out: 1 file that other codecs lack."


def test_a_codec_of_few_files_does_not_take_the_mean_of_the_others_away(tmp_path):
    names = [f"{index}.png" for index in range(6)]
    lines = [line(codec, file=name) for codec in ("a", "b") for name in names] + [line("slow", file="3.png")]
    kind = kind_of(tmp_path, lines)
    assert [point["codec"] for point in kind["points"] if point["file"] is None] == [0, 1]
    assert kind["mean_note"].startswith("Mean over 6 files") and "without a mean: slow." in kind["mean_note"]
    apart = kind_of(tmp_path, [line("a", file="x.png"), line("b", file="y.png")])
    assert not apart["has_mean"] and apart["mean_note"] == "No mean: no two measured codecs have a file in common."


def test_a_kind_of_samples_has_colors_of_its_own(tmp_path):
    lines = [line("a"), line("b"), line("x264", file="b.mp4", frames=8, over="4:2:0"), line("p", published=True)]
    kinds = data_of(page(read(tmp_path, lines)))["kinds"]
    assert [kind["looks"] for kind in kinds] == [[0, 1, None, 2], [None, None, 0, None]]


def test_unlike_samples_are_parts_of_their_own(tmp_path):
    kinds = data_of(page(read(tmp_path, [line(), line("x264", file="b.mp4", frames=8, over="4:2:0")])))["kinds"]
    assert [kind["over"] for kind in kinds] == ["RGB", "4:2:0"]
    assert kinds[1]["files"] == ["b.mp4 ×8"] and {point["codec"] for point in kinds[1]["points"]} == {1}


def test_bd_rates_and_what_is_not_comparable(tmp_path):
    lines = curve("a") + curve("half", factor=0.5) + curve("far", psnrs=(50.0, 53.0, 56.0, 59.0))
    lines += curve("mean", file="mean of 24", published=True, mean=True)
    rows = {row["codec"]: row for row in kind_of(tmp_path, lines, references=("a",))["bd"]["psnr_db"]["a"]}
    assert rows["half"]["of_files"] == pytest.approx(-50) and rows["half"]["of_mean"] == pytest.approx(-50)
    assert rows["far"]["of_files"] is None and rows["far"]["of_mean"] is None and "no overlap" in rows["far"]["note"]
    assert rows["mean (published)"]["of_mean"] is None and "own" in rows["mean (published)"]["note"]
    same = kind_of(tmp_path, lines, same_files=True)
    mean = next(row for row in same["bd"]["psnr_db"]["a"] if row["codec"] == "mean (published)")
    assert mean["of_mean"] == pytest.approx(0) and "own" not in same["mean_note"]


def test_ms_ssim_is_compared_in_decibels(tmp_path):
    decibels = (10.0, 13.0, 16.0, 19.0)
    lines = [one | {"ms_ssim": 1 - 10 ** (-db / 10)} for one, db in zip(curve("a"), decibels, strict=True)]
    lines += [one | {"codec": "double", "bpp": 2 * one["bpp"]} for one in lines]
    assert kind_of(tmp_path, lines)["bd"]["ms_ssim"]["a"][0]["of_files"] == pytest.approx(100)


def test_times_are_seconds_per_megapixel_and_of_one_machine(tmp_path):
    kind = kind_of(tmp_path, [line(encode_s=4.0, decode_s=0.0), line(setting="q=2", encode_s=12.0, decode_s=0.8)])
    assert kind["times"]["webp"] == {"encode": pytest.approx(1000.0), "decode": pytest.approx(100.0)}  # 8000 pixels
    assert "a machine, 1 thread" in kind["time_note"] and "not comparable" not in kind["time_note"]
    mixed = kind_of(tmp_path, [line(), line("a", machine="another")])
    assert "not comparable" in mixed["time_note"] and "another" in mixed["time_note"]


def test_published_points_far_beyond_are_not_drawn(tmp_path):
    lines = [line(bpp=1.0), *(line("p", f"p{bpp}", "a", bpp, published=True) for bpp in (0.1, 1.2, 1.3))]
    points = [point for point in kind_of(tmp_path, lines)["points"] if point["file"] == 0]
    assert [point["far"] for point in points] == [False, False, False, True]


def test_hostile_text_stays_text_and_the_policy_fits(tmp_path):
    lines = [line(HOSTILE, HOSTILE, HOSTILE, machine=HOSTILE + "\ud800", versions={HOSTILE: "1"}, commit=HOSTILE)]
    text = page(read(tmp_path, lines), title=HOSTILE)
    seen = Elements(text)
    tags = [tag for tag, _ in seen.elements]
    assert tags.count("script") == 2 and tags.count("style") == 1
    assert [attributes for tag, attributes in seen.elements if tag == "img" and "src" in attributes] == []
    links = [value for _, attributes in seen.elements for name, value in attributes.items() if name in ("src", "href")]
    assert links == ["data:,"]
    assert data_of(text)["codecs"][0]["name"] == HOSTILE
    policy = next(attributes["content"] for _, attributes in seen.elements if attributes.get("http-equiv"))
    for kind, source in (("style", seen.texts["style"][0]), ("script", seen.texts["script"][1])):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


@pytest.fixture
def decoded(tmp_path) -> tuple[list[dict], Path, Path]:
    """Lines, an original of noise, and the folder of decoded pictures, each of one gray."""
    folder = tmp_path / "decoded"
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    lines = [line(codec, f"q={size}", bytes=size) for codec, size in (("w", 500), ("w", 1000), ("v", 980), ("v", 1500))]
    for one in lines:
        place = folder / one["codec"] / one["setting"] / "a.png"
        place.parent.mkdir(parents=True)
        Image.new("RGB", (80, 60), (one["bytes"] // 10,) * 3).save(place)
        one["psnr_db"] = 10 * np.log10(255**2 / np.mean((noise - float(one["bytes"] // 10)) ** 2))
    return read(tmp_path, lines + [line("none")]), tmp_path / "a.png", folder


def pixels(picture: dict) -> np.ndarray:
    head, _, code = picture["png"].partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))


def test_crops_are_of_the_nearest_sizes(decoded):
    lines, image, folder = decoded
    shown = crops(CropRequest(image, folder, target_bytes=1000, region=(10, 5, 30, 20)), lines)
    assert [picture["name"] for picture in shown["pictures"]] == ["original", "w", "v"]
    assert np.array_equal(pixels(shown["pictures"][0]), np.asarray(Image.open(image))[5:25, 10:40])
    assert [pixels(picture).flat[0] for picture in shown["pictures"][1:]] == [100, 98]
    assert "1,000 bytes" in shown["pictures"][1]["caption"] and "980 bytes" in shown["pictures"][2]["caption"]
    assert "30×20 pixels at (10, 5)" in shown["note"]
    unequal = crops(CropRequest(image, folder, ("w",), target_bytes=400), lines)["pictures"][1]["caption"]
    assert "500 bytes (not equal size: +25%)" in unequal


def test_crops_that_cannot_be_shown(decoded, tmp_path):
    lines, image, folder = decoded
    for request, kind, told in (
        (CropRequest(image, folder, ("none",)), InputError, "none: no decoded picture of a.png"),
        (CropRequest(image, folder, ("unknown",)), InputError, "no line of results"),
        (CropRequest(image, tmp_path), InputError, "no decoded picture of a.png"),
        (CropRequest(tmp_path / "b.png", folder), InputError, "no measured line with bytes is of b.png"),
        (CropRequest(image, folder, region=(60, 0, 21, 1)), UsageError, "region 60,0,21,1 of a picture of 80×60"),
    ):
        with pytest.raises(kind, match=re.escape(told)):
            crops(request, lines)
    Image.new("RGB", (80, 60), (103, 103, 103)).save(folder / "w" / "q=1000" / "a.png")
    with pytest.raises(InputError, match="its line says .*: it is not the picture of that line"):
        crops(CropRequest(image, folder), lines)
    Image.new("RGB", (8, 6)).save(folder / "w" / "q=1000" / "a.png")
    with pytest.raises(InputError, match="8×6 pixels, a.png has 80×60"):
        crops(CropRequest(image, folder), lines)


def test_a_name_does_not_lead_out_of_the_folder(decoded):
    lines, image, folder = decoded
    inner = folder / "inner"
    inner.mkdir()
    outside = [one | {"codec": "x", "folder": "../w"} for one in lines if one["codec"] == "w"]
    assert (inner / "../w/q=500/a.png").is_file()
    with pytest.raises(InputError, match="no decoded picture|no measured line"):
        crops(CropRequest(image, inner), outside)


def test_options_that_make_no_sense(decoded, tmp_path, capsys):
    _, image, folder = decoded
    given = [str(write(tmp_path, [line()])), "-o", str(tmp_path / "page.html")]
    for more, told in (
        (["--crops", str(image)], "--decoded"),
        (["--reference", "nobody"], "'nobody', the results have webp"),
        (["--crops", str(image), "--decoded", str(folder), "--region", "1,2,3"], "four whole numbers"),
        (["--crops", str(image), "--decoded", str(folder), "--crop-bytes", "0"], "allowed is 1 and more"),
    ):
        assert main(given + more) == 2
        assert told in capsys.readouterr().err
    assert main([given[0], "-o", str(tmp_path / "nowhere" / "page.html")]) == 5


def test_figures_for_papers(tmp_path):
    hostile = r"_$\frac{$ <script>&"
    lines = curve("webp") + curve(hostile, "A b.png") + curve(hostile, "a-b.png") + curve("p", "a", published=True)
    path = write(tmp_path, lines)
    assert main([str(path), "-o", str(tmp_path / "page.html"), "--figures", str(tmp_path / "figures")]) == 0
    made = {one.name for one in (tmp_path / "figures").iterdir()}
    stems = {"rd-rgb-a", "rd-rgb-a-b", "rd-rgb-a-b-2", "time-rgb"}
    assert made == {stem + suffix for stem in stems for suffix in (".png", ".svg")}
    assert all(Image.open(tmp_path / "figures" / f"{stem}.png").width > 500 for stem in stems)
    text = "".join(ElementTree.parse(tmp_path / "figures" / "rd-rgb-a-b.svg").getroot().itertext())
    assert hostile in text and "bits per pixel" in text
    both = (tmp_path / "figures" / "rd-rgb-a.svg").read_text()
    assert "p (published)" in both and "stroke-dasharray" in both


def test_a_figure_grows_by_its_legend(tmp_path):
    sizes = []
    for codecs in (2, 25):
        lines = [one for index in range(codecs) for one in curve(f"codec of a long name {index}")]
        page, folder = tmp_path / "page.html", tmp_path / str(codecs)
        assert main([str(write(tmp_path, lines)), "-o", str(page), "--figures", str(folder)]) == 0
        sizes.append(Image.open(next(folder.glob("rd-*.png"))).size)
    (width, height), (same, taller) = sizes
    assert same == width and taller > 1.3 * height
