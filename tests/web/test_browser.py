"""The page in a real browser, where playwright and Chromium are installed."""

import os
import shutil

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
HOSTILE = "<img src=x onerror=alert(1)>"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = p.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, client):
    contexts, troubles, urls = [], [], []

    def open_it(width=1000, height=800, address="", **options):
        size = {"width": width, "height": height}
        contexts.append(browser.new_context(viewport=size, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        page.on("request", lambda request: urls.append(request.url))
        page.on(
            "console",
            lambda message: (
                message.type == "error"
                and "status of 4" not in message.text
                and troubles.append(message.text)
            ),
        )
        page.goto(client.url + "/" + address)
        page.wait_for_selector("#preset option", state="attached")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert troubles == []
    assert all(url.startswith(client.url) for url in urls)


def focused(page):
    return page.evaluate("document.activeElement.id || document.activeElement.tagName")


def fill_in_fluxes(page):
    page.click("#tab-fluxes")
    page.click("#example")


def ask_and_wait(page, form="#panel-fluxes"):
    page.click(f"{form} button.main")
    page.wait_for_selector("#result:not([hidden])")


def test_a_position_is_asked_and_read_with_the_keyboard_alone(open_page):
    page = open_page()
    for _ in range(20):
        page.keyboard.press("Tab")
        if focused(page) == "target":
            break
    page.keyboard.type("150.1 2.2")
    page.keyboard.press("Enter")
    page.wait_for_selector("#result:not([hidden])")
    page.wait_for_selector("#result-title:focus")
    assert page.locator("#cutouts img").count() == 9
    sizes = page.evaluate("[...document.images].map(i => i.naturalWidth)")
    assert min(sizes) > 0
    page.keyboard.press("Tab")
    assert focused(page) == "svg"
    before = page.inner_text("#readout")
    page.keyboard.press("ArrowRight")
    after = page.inner_text("#readout")
    assert before != after
    assert after == page.get_attribute("#plot svg", "aria-valuetext")
    page.keyboard.press("Shift+Tab")
    for _ in range(20):
        if focused(page) == "tab-position":
            break
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    assert focused(page) == "tab-fluxes"
    assert page.is_visible("#panel-fluxes")
    assert not page.is_visible("#panel-position")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone(open_page, scheme):
    page = open_page(360, 740, color_scheme=scheme, is_mobile=True, has_touch=True)
    fill_in_fluxes(page)
    ask_and_wait(page)
    page.click("#card summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    small = page.evaluate(
        "[...document.querySelectorAll('button')].filter(b => b.offsetParent && "
        "b.getBoundingClientRect().height < 24).length"
    )
    assert small == 0
    assert page.evaluate(CONTRAST) >= 4.5


# The smallest contrast of text with what is behind it, as WCAG 2 defines it.
CONTRAST = """() => {
  const parts = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => { const [r, g, b] = parts(c).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const back = (e) => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor; const p = parts(c);
    if (p.length < 4 || p[3] > 0) return c; } return 'rgb(255, 255, 255)'; };
  let least = 21;
  for (const e of document.querySelectorAll('body *')) {
    if (!(e instanceof HTMLElement) || !e.offsetParent || e.disabled) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const both = [light(getComputedStyle(e).color), light(back(e))];
    const [a, b] = both.sort((x, y) => y - x);
    least = Math.min(least, (a + 0.05) / (b + 0.05));
  }
  return least; }"""


def test_mistakes_are_named_where_they_are(open_page):
    page = open_page()
    page.click("#panel-position button.main")
    assert page.inner_text("#problem") == "give a name or coordinates"
    assert page.get_attribute("#problem", "role") == "alert"
    assert focused(page) == "target"
    assert page.get_attribute("#target", "aria-invalid") == "true"
    fill_in_fluxes(page)
    page.fill(".measurement:nth-child(2) input:nth-child(2)", "bright")
    page.click("#panel-fluxes button.main")
    assert "value of sdss_g0 must be a number" in page.inner_text("#problem")
    page.click("#tab-table")
    file = {"name": "t.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"}
    page.set_input_files("#file", file)
    page.click("#panel-table button.main")
    page.wait_for_selector("#problem:not([hidden])")
    assert "neither fluxes" in page.inner_text("#problem")


def test_a_table_is_browsed_and_its_texts_stay_texts(open_page):
    page = open_page()
    rows = "".join(f"{HOSTILE} {i},{2 + i},{3 + i}\n" for i in range(3))
    content = f"name,flux_ps1_g,flux_ps1_r\n{rows}".encode()
    page.click("#tab-table")
    file = {"name": f"{HOSTILE}.csv", "mimeType": "text/csv", "buffer": content}
    page.set_input_files("#file", file)
    page.click("#panel-table summary")
    page.select_option("#unit", "uJy")
    ask_and_wait(page, "#panel-table")
    assert page.locator("#rows tr").count() == 3
    page.click("#rows tr:nth-child(3) button")
    page.wait_for_selector("#galaxy-title:focus")
    assert page.inner_text("#galaxy-title") == f"{HOSTILE} 2"
    assert HOSTILE in page.inner_text("#result-title")
    with page.expect_download() as found:
        page.click("#get-prospector")
    assert found.value.suggested_filename == "prospector_prior.py"


def test_an_address_shows_a_result_until_it_is_forgotten(open_page):
    page = open_page()
    fill_in_fluxes(page)
    ask_and_wait(page)
    name = page.url.partition("#")[2]
    other = open_page(address=f"#{name}")
    other.wait_for_selector("#result:not([hidden])")
    assert other.inner_text("#estimate") == page.inner_text("#estimate")
    page.click("#forget")
    page.wait_for_selector("#result", state="hidden")
    late = open_page(address=f"#{name}")
    late.wait_for_selector("#problem:not([hidden])")
    assert "there is no such job" in late.inner_text("#problem")
