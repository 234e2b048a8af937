"""The report's page in headless Chromium: curves are toggled, points told, pictures compared, without errors or network."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from inrcodec.evaluation.report import CropRequest, crops, page, read_results

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not (BROWSER and DRIVER):
    pytest.skip("Chromium is not installed (Debian: chromium, chromium-driver)", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver")
ui = pytest.importorskip("selenium.webdriver.support.ui")

QUIET = ("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking")
QUIET += ("disable-component-update", "disable-sync", "hide-scrollbars")
HOSTILE = '</script><b onclick="x">"&amp;'
PUBLISHED = "paper (published)"


def lines() -> list[dict]:
    """Three codecs on two pictures; rates double from point to point."""
    made = []
    for codec, factor, published in (("webp", 1.0, False), (HOSTILE, 0.5, False), ("paper", 0.8, True)):
        for file in ("a.png", "b.png"):
            for index in range(4):
                size = round(1000 * factor * 2**index)
                facts = {"codec": codec, "setting": f"q={index}", "file": file, "frames": 1, "width": 96, "height": 64}
                facts |= {"over": "RGB", "published": published, "bytes": size, "bpp": size / 768}
                facts |= {"psnr_db": 30.0 + 3 * index, "ms_ssim": 1 - 0.1 / 2**index}
                made.append(facts | {"encode_s": factor, "decode_s": 0.1, "machine": "a machine"})
    return made


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("report")
    (folder / "results.jsonl").write_text("\n".join(map(json.dumps, lines())), encoding="utf-8")
    black = np.zeros((64 * 96, 3), np.uint8)
    near = black + 5
    near[:4239] = 6  # together 33.0 dB, as its line says
    for place, levels in ((folder, black), (folder / "decoded" / "webp" / "q=1", near)):
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels.reshape(64, 96, 3)).save(place / "a.png")
    read = read_results([folder / "results.jsonl"], [])
    pictures = crops(CropRequest(folder / "a.png", folder / "decoded", region=(0, 0, 64, 48)), read)
    (folder / "page.html").write_text(page(read, ("webp",), pictures), encoding="utf-8")
    return (folder / "page.html").as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in (*QUIET, f"user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, address):
    """The page as it is at first, 1200 pixels wide; whatever a test does, no error and no request to a network comes of it."""
    for log in ("browser", "performance"):
        browser.get_log(log)
    resize(browser, 1200)
    browser.get(address)
    yield browser
    assert [url[:60] for url in requests(browser, address) if url != address and not url.startswith("data:")] == []
    assert browser.get_log("browser") == []


def requests(browser, address: str) -> list[str]:
    """What the page asked for; the browser's own first page, say, is not it."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    asked = [params["request"]["url"] for params in sent if params["documentURL"] == address]
    assert address in asked
    return asked


def resize(browser, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def curves(browser, chart: str) -> list[str]:
    """Codecs drawn in the first chart of a group."""
    script = "return [...document.querySelectorAll(arguments[0])].map((curve) => curve.dataset.codec)"
    return browser.execute_script(script, f"#{chart} > :first-child .curve")


def choose(browser, identity: str, label: str) -> None:
    ui.Select(browser.find_element("id", identity)).select_by_visible_text(label)


def point_at(browser, codec: str, index: int) -> str:
    """Moves the pointer to a point of the first chart; the text that is told."""
    script = """const curves = [...document.querySelectorAll("#rd-charts > :first-child .curve")];
        return curves.find((curve) => curve.dataset.codec === arguments[0]).querySelectorAll(".marker")[arguments[1]]"""
    marker = browser.execute_script(script, codec, index)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", marker)
    webdriver.ActionChains(browser, duration=0).move_to_element(marker).perform()
    return browser.find_element("id", "tip").text


def test_a_curve_is_hidden_and_shown(opened):
    assert curves(opened, "rd-charts") == ["webp", HOSTILE, PUBLISHED]
    buttons = {
        button.get_dom_attribute("data-codec"): button
        for button in opened.find_elements("css selector", "[aria-pressed]")
    }
    buttons[HOSTILE].click()
    assert buttons[HOSTILE].get_dom_attribute("aria-pressed") == "false"
    assert curves(opened, "rd-charts") == ["webp", PUBLISHED]
    assert curves(opened, "time-charts") == ["webp"]
    buttons[HOSTILE].click()
    assert curves(opened, "rd-charts") == ["webp", HOSTILE, PUBLISHED]
    for name, left in (("none", []), ("all", ["webp", HOSTILE, PUBLISHED]), ("measured only", ["webp", HOSTILE])):
        opened.find_element("xpath", f"//button[.='{name}']").click()
        assert curves(opened, "rd-charts") == left


def test_pointing_at_a_point_tells_it(opened):
    choose(opened, "view", "b.png")
    told = point_at(opened, HOSTILE, 1).splitlines()
    assert told[:3] == [HOSTILE, "q=1 · b.png", "1,000 bytes · 1.3021 bpp"]
    assert "PSNR over RGB 33.00 dB" in told and "encode 500 ms · decode 100 ms" in told
    faded = opened.find_elements("css selector", "#rd-charts > :first-child .curve.faded")
    assert {curve.get_dom_attribute("data-codec") for curve in faded} == {"webp", PUBLISHED}
    assert "published, not measured here" in point_at(opened, PUBLISHED, 0)
    webdriver.ActionChains(opened, duration=0).move_to_element(opened.find_element("tag name", "figcaption")).perform()
    assert not opened.find_element("id", "tip").is_displayed()


def test_points_are_reached_by_keys(opened):
    chart = opened.find_element("css selector", "#rd-charts svg")
    chart.send_keys(webdriver.Keys.ARROW_RIGHT, webdriver.Keys.ARROW_RIGHT)
    assert opened.find_element("id", "tip").text.startswith("webp\nq=1 · mean of 2 files\n2,000 bytes")


def test_the_tables(opened):
    rows = [row.text for row in opened.find_elements("css selector", "#bd tbody tr")]
    assert any(row.startswith(HOSTILE) and row.count("−50.0 %") == 2 and "2 of 2" in row for row in rows)
    assert any(row.startswith("paper published") and row.count("−20.0 %") == 2 for row in rows)
    choose(opened, "reference", HOSTILE)
    assert "+100.0 %" in opened.find_element("id", "bd").text
    opened.find_element("css selector", "#points summary").click()
    ui.WebDriverWait(opened, 10).until(lambda page: page.find_elements("css selector", "#points tbody tr"))
    assert len(opened.find_elements("css selector", "#points tbody tr")) == 12
    opened.find_element("id", "log-rate").click()
    assert curves(opened, "rd-charts") == ["webp", HOSTILE, PUBLISHED]


def test_pictures_are_compared_by_a_slider(opened):
    assert "2,000 bytes" in opened.find_element("id", "right-caption").text
    assert opened.execute_script("return document.getElementById('right-image').naturalWidth") == 64
    slider = opened.find_element("id", "slider")
    slider.send_keys(webdriver.Keys.HOME)
    assert "0%)" in opened.find_element("id", "right-image").get_attribute("style")
    slider.send_keys(webdriver.Keys.END)
    assert "100%)" in opened.find_element("id", "right-image").get_attribute("style")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_by_day_and_night(opened, address, scheme):
    resize(opened, 360)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    opened.get(address)
    assert opened.execute_script("return document.documentElement.scrollWidth") == 360
    ground = opened.find_element("tag name", "body").value_of_css_property("background-color")
    assert (sum(map(int, ground[ground.index("(") + 1 : -1].split(",")[:3])) > 384) == (scheme == "light")
    charts = opened.find_elements("css selector", "#rd-charts > div")
    assert charts[1].location["y"] >= charts[0].location["y"] + charts[0].size["height"]  # one below the other
