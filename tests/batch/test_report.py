"""report.html: its contents, and its behaviour in a browser (Chromium, if installed)."""

import base64
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from xray_seg.batch.report import warnings_and_notes, write_report
from xray_seg.batch.report.fragment import SIDE, make_fragment, outline
from xray_seg.batch.report.histogram import Distributions
from xray_seg.cli import main
from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.kernels import find_runs
from xray_seg.labels import ORGANS
from xray_seg.outputs import MaskSet
from xray_seg.radiograph import Radiograph

CHROMIUM = "/usr/bin/chromium"
UNTRUSTED = "<img src=x onerror=alert(1)>"


def areas(path: str) -> float:
    """The area within an SVG path of straight lines, without holes."""
    total = 0.0
    for ring in filter(None, path.split("Z")):
        x, y = np.array([p.split() for p in re.split("[ML]", ring) if p], float).T
        total += np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2
    return total


def test_an_outline_holds_the_area_of_its_organ():
    labels = phantom_labels(make_phantom(2, 360))
    for organ in ORGANS:
        area = np.count_nonzero(labels == organ.label)
        assert areas(outline(labels, organ.label)) == pytest.approx(area, rel=0.03)


def test_an_outline_leaves_out_holes():
    labels = np.zeros((40, 40), np.uint8)
    labels[5:35, 5:35] = 3
    labels[15:25, 15:25] = 2
    assert areas(outline(labels, 3)) == pytest.approx(30 * 30 - 10 * 10, rel=0.03)
    assert outline(labels, 1) == ""


def test_a_fragment_shows_bones_bright():
    phantom = make_phantom(1, 512)
    labels = phantom_labels(phantom)
    radiograph = Radiograph(1 - phantom.radiograph, inverted=True)
    made = make_fragment(MaskSet(radiograph, labels, np.zeros((2, 2, 4), np.float32)))
    shown = imagecodecs.jpeg_decode(base64.b64decode(made["jpeg"]))
    assert made["size"] == [SIDE, SIDE]
    small = phantom.radiograph[:: 512 // 128, :: 512 // 128]
    again = shown[np.arange(128) * SIDE // 128][:, np.arange(128) * SIDE // 128]
    assert np.corrcoef(small.ravel(), again.ravel())[0, 1] > 0.95
    assert len(json.dumps(made)) < 40_000
    assert len(find_runs(labels).rows) > 0


def row(name, **cells):
    return {"input": name, "status": "ok", **cells}


def embedded(page: str) -> list:
    found = re.findall(
        r'<script type="application/json" class="radiographs">(.*?)</script>', page, re.S
    )
    return [entry for chunk in found for entry in json.loads(chunk)]


def test_names_and_errors_are_escaped(tmp_path):
    rows = [
        (UNTRUSTED, row(UNTRUSTED, notes=f"{UNTRUSTED}; </script><script>alert(2)</script>")),
        ("b", {"input": "\udce9", "status": "failed", "error": f"\udce9 {UNTRUSTED}"}),
    ]
    write_report(tmp_path / "report.html", lambda: iter(rows), tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert UNTRUSTED not in page
    assert "alert(2)</script>" not in page
    entries = embedded(page)
    assert entries[0]["name"] == UNTRUSTED
    assert entries[1]["error"].endswith(UNTRUSTED)
    again = tmp_path / "again.html"
    write_report(again, lambda: iter(rows), tmp_path)
    assert again.read_text("utf-8") == page


class _Head(HTMLParser):
    """Tags with their attributes, in the page's order."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_page_forbids_whatever_is_not_in_it(tmp_path):
    """What slips through escaping cannot load anything from elsewhere."""
    write_report(tmp_path / "r.html", lambda: iter([("a", row("a"))]), tmp_path)
    tags = _Head((tmp_path / "r.html").read_text("utf-8")).tags
    metas = [attributes for tag, attributes in tags if tag == "meta"]
    (policy,) = [each for each in metas if each.get("http-equiv") == "Content-Security-Policy"]
    directives = dict(each.split(maxsplit=1) for each in policy["content"].split(";"))
    assert directives == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": "'unsafe-inline'",
        "base-uri": "'none'",  # these two do not fall back to default-src
        "form-action": "'none'",
    }
    # It holds only for what comes after it (Content Security Policy Level 3, section 3.3).
    names = [tag for tag, _ in tags]
    place = tags.index(("meta", policy))
    loading = {"script", "style", "link", "img", "body", "base", "iframe", "object"}
    assert min(names.index(name) for name in loading & set(names)) > place
    assert not {"link", "base", "iframe", "object"} & set(names)


def test_the_page_of_a_large_run_has_the_lowest_quality(tmp_path, monkeypatch):
    monkeypatch.setattr("xray_seg.batch.report.MAX_RADIOGRAPHS", 3)
    rows = [(str(n), row(str(n), quality=n / 10)) for n in range(8)]
    rows.append(("x", {"input": "x", "status": "failed", "error": "bad"}))
    write_report(tmp_path / "r.html", lambda: iter(rows), tmp_path)
    page = (tmp_path / "r.html").read_text("utf-8")
    assert {entry["name"] for entry in embedded(page)} == {"0", "1", "x"}
    assert "6 more radiographs" in page


def test_histograms_count_every_value():
    rows = [row(str(n), cardiothoracic_ratio=0.4 + n / 100, row_spacing_mm=0.1) for n in range(9)]
    distributions = Distributions()
    for each in rows:
        distributions.add(each)
    (only,) = distributions.histograms()
    assert (only.name, only.count, only.median) == ("cardiothoracic ratio", 9, "0.44")
    assert len([bar for bar in only.bars if bar[1]]) == 9


def test_warnings_are_listed_with_notes():
    assert warnings_and_notes({"warnings": "a; b", "notes": "c"}) == ["a", "b", "c"]
    assert warnings_and_notes({"warnings": "", "notes": None}) == []


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The output folder of a batch with phantoms, a noise image and a truncated file."""
    folder = tmp_path_factory.mktemp("report")
    inputs = folder / "inputs"
    inputs.mkdir()
    for seed in range(4):
        pixels = (make_phantom(seed, 256).radiograph * 255).astype(np.uint8)
        (inputs / f"phantom{seed}.png").write_bytes(imagecodecs.png_encode(pixels))
    noise = np.random.default_rng(0).integers(0, 255, (200, 200)).astype(np.uint8)
    (inputs / "white_noise.png").write_bytes(imagecodecs.png_encode(noise))
    (inputs / f"{UNTRUSTED}.png").write_bytes((inputs / "phantom0.png").read_bytes())
    (inputs / "truncated.png").write_bytes((inputs / "phantom0.png").read_bytes()[:500])
    with pytest.raises(SystemExit) as stop:
        main(["batch", str(inputs), "-o", str(folder / "out"), "-q"])
    assert stop.value.code == 1
    return folder / "out"


def test_a_resumed_run_keeps_the_pictures(finished):
    page = finished / "report.html"
    before = page.read_bytes()
    with pytest.raises(SystemExit):
        main(["batch", str(finished.parent / "inputs"), "-o", str(finished), "-q"])
    assert page.read_bytes() == before
    entries = embedded(before.decode())
    assert [entry["name"].split("/")[-1] for entry in entries if "picture" not in entry] == [
        "truncated.png"
    ]


def test_no_report_writes_neither_page_nor_fragments(finished, tmp_path):
    with pytest.raises(SystemExit):
        main(["batch", str(finished.parent / "inputs"), "-o", str(tmp_path), "-q", "--no-report"])
    assert not (tmp_path / "report.html").exists()
    assert not (tmp_path / ".xrayseg" / "report").exists()


def test_the_picture_of_an_input_that_fails_now_is_kept_but_not_shown(tmp_path, monkeypatch):
    """Also with a relative path as the output folder."""
    monkeypatch.chdir(tmp_path)
    image = Path("radiograph.png")
    pixels = (make_phantom(0, 128).radiograph * 255).astype(np.uint8)
    image.write_bytes(imagecodecs.png_encode(pixels))
    shown = []
    for _ in range(2):
        with pytest.raises(SystemExit):
            main(["batch", "radiograph.png", "-o", "out", "-q"])
        assert [path.name for path in Path("out/.xrayseg/report").iterdir()] == ["radiograph.json"]
        shown.append('"picture"' in Path("out/report.html").read_text())
        image.write_bytes(image.read_bytes()[:300])
    assert shown == [True, False]


@pytest.fixture(scope="module")
def browser():
    if not os.path.exists(CHROMIUM):  # noqa: PTH110
        pytest.skip(f"no {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, finished):
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    page = context.new_page()
    messages, requests = [], []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: (messages.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((finished / "report.html").as_uri())
    yield page
    context.close()
    assert messages == []
    assert [url for url in requests if not url.startswith("data:")] == [
        (finished / "report.html").as_uri()
    ]


def names(page) -> list[str]:
    return [title.split("/")[-1] for title in page.eval_on_selector_all(
        ".card", "cards => cards.map(card => card.title)"
    )]  # fmt: skip


@pytest.mark.browser
def test_it_sorts(page):
    assert names(page)[:2] == ["truncated.png", "white_noise.png"]
    page.select_option("#sort", "name")
    assert names(page) == sorted(names(page))
    page.select_option("#sort", "-review_rank")
    assert names(page)[-1] == "truncated.png"


@pytest.mark.browser
def test_it_filters(page):
    page.fill("#find", "PHANTOM")
    assert sorted(names(page)) == [f"phantom{n}.png" for n in range(4)]
    page.fill("#find", "")
    page.click(".chip[data-status=failed]")
    assert names(page) == ["truncated.png"]
    page.click(".chip[data-status=failed]")
    page.click('.chip[data-warning="not a frontal chest film?"]')
    assert names(page) == ["white_noise.png"]
    assert page.inner_text("#shown") == "1 of 7 radiographs"


@pytest.mark.browser
def test_it_enlarges_a_radiograph_with_organ_switches_and_keys(page):
    page.select_option("#sort", "name")
    page.focus(".card:nth-child(2)")
    page.keyboard.press("Enter")
    assert page.inner_text("#radiograph-name").endswith("phantom0.png")
    heart = page.locator("#large path.heart")
    assert heart.is_visible()
    page.keyboard.press("2")
    assert not heart.is_visible()
    assert not page.is_checked("#radiograph input[value=heart]")
    page.check("#radiograph input[value=heart]")
    assert heart.is_visible()
    page.keyboard.press("0")
    assert not heart.is_visible()
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#radiograph-name").endswith("phantom1.png")
    assert "cardiothoracic ratio" in page.inner_text("#cells")
    page.keyboard.press("Escape")
    assert not page.locator("#radiograph").is_visible()


@pytest.mark.browser
def test_it_follows_the_preferred_colour_scheme(page):
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(background)
    assert light != dark
    page.click("#theme")
    assert page.evaluate(background) == light


@pytest.mark.browser
def test_nothing_is_loaded_from_elsewhere(browser, finished):
    context = browser.new_context()
    page = context.new_page()
    page.goto((finished / "report.html").as_uri())
    blocked = page.evaluate(
        """async () => {
            const blocked = [];
            document.addEventListener("securitypolicyviolation",
                event => blocked.push(event.effectiveDirective));
            const image = new Image();
            image.src = "http://127.0.0.1:9/x.png";
            const frame = document.createElement("iframe");
            frame.src = "http://127.0.0.1:9/";
            document.body.append(image, frame);
            await fetch("http://127.0.0.1:9/").catch(() => null);
            await new Promise(resolve => setTimeout(resolve, 200));
            return blocked;
        }"""
    )
    context.close()
    assert set(blocked) == {"img-src", "frame-src", "connect-src"}


@pytest.mark.browser
def test_it_fits_a_phone(page):
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.click(".card:nth-child(2)")
    box = page.locator("#radiograph").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
