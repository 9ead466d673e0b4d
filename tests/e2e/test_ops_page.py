"""The operator's page in a real browser, over two workers on a real broker."""

import re
import shutil
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from prom_faust.local import free_port
from tests.support.shop import Shop, owners

PARTITIONS = 8
SESSION_SECONDS = 6


@pytest.fixture(scope="module")
def shop(kafka, mongo, tmp_path_factory):
    shop = Shop(f"page{free_port()}", kafka, mongo, tmp_path_factory.mktemp("page"))
    for name in ("w1", "w2"):
        shop.start(name)
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def w1(shop):
    """The worker whose page is looked at, once both own partitions."""
    worker = shop.workers[0].await_ready()
    topic = f"{shop.name}.orders"
    worker.await_page(
        "/assignments", lambda answer: set(owners(answer.body, shop.name, topic).values()) == {"w1", "w2"}
    )
    return worker


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium")
    assert path is not None, (
        "there is no browser: install Debian's package chromium (apt-get install chromium)"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def look(browser, w1):
    """Opens the page, which refreshes quickly; nothing may be complained of, or asked of another host.

    What a test itself makes the server refuse the browser complains of, too.
    """
    pages, complaints, hosts = [], [], set()

    def look(path="/page?every=0.3", *, refusals=False, **options):
        def complain(said):
            expected = refusals and said.text.startswith("Failed to load resource")
            if said.type in {"error", "warning"} and not expected:
                complaints.append(said.text)

        page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
        pages.append(page)
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.goto(f"{w1.url}{path}")
        page.wait_for_selector(".cell")
        return page

    yield look
    for page in pages:
        # It refreshes, and may be in the middle of a route that a test has laid.
        page.unroute_all(behavior="ignoreErrors")
        page.close()
    assert complaints == []
    assert len(hosts) <= 1, hosts


def cells(page, topic):
    return {
        int(cell["partition"]): cell["owner"]
        for cell in page.eval_on_selector_all(".cell", "cells => cells.map(cell => ({...cell.dataset}))")
        if cell["topic"] == topic
    }


def test_every_partition_is_there_once_with_its_owner(look, shop, w1):
    page = look()
    topic = f"{shop.name}.orders"
    assert page.locator(f'.cell[data-topic="{topic}"]').count() == PARTITIONS
    assert cells(page, topic) == owners(w1.get("/assignments").body, shop.name, topic)


def test_an_owner_is_named_and_not_only_coloured(look, shop):
    page = look()
    cell = page.locator(f'.cell[data-topic="{shop.name}.orders"]').first
    owner = cell.get_attribute("data-owner")
    assert f"owner {owner}" in cell.get_attribute("title")
    assert cell.get_attribute("aria-label") == cell.get_attribute("title")
    expect(cell).to_contain_text(owner)
    expect(page.locator("#legend")).to_contain_text(f"{owner}: ")


def test_workers_groups_rebalances_and_sinks_are_shown(look, shop):
    page = look()
    expect(page.locator("#members tr")).to_have_count(2)
    expect(page.locator("#members")).to_contain_text("ready")
    expect(page.locator("#rebalances")).to_contain_text("started")
    expect(page.locator("#sinks")).to_contain_text(f"projection of {shop.name}.bills")
    expect(page.locator("#letters")).to_contain_text(f"{shop.name}.bills.dlq")
    expect(page.locator("#figures")).to_contain_text("2 / 2workers ready")
    expect(page.locator("#banner")).to_be_hidden()


def test_a_sink_that_may_hold_deleted_keys_says_so(look):
    page = look()

    def missed(route):
        answer = route.fetch()
        sinks = answer.json()
        for sink in sinks["sinks"]:
            for part in sink["partitions"][1:3]:
                part["may_hold_deleted"] = True
        route.fulfill(response=answer, json=sinks)

    expect(page.locator("#sinks")).not_to_contain_text("deletes")
    page.route("**/ops/sinks*", missed)
    expect(page.locator("#sinks")).to_contain_text("deletes may have been missed, keys are read again: 1, 2")


def test_a_phone_shows_it_without_scrolling_sideways(look):
    page = look(viewport={"width": 360, "height": 740}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    wide = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 361).length"
    )
    assert wide == 0


def test_the_keyboard_reaches_every_control_and_one_sees_where_it_is(look):
    page = look()
    wanted = page.eval_on_selector_all(
        "#pause, [role=tab], summary, a[href], .cells",
        "nodes => nodes.filter(n => n.checkVisibility()).length",
    )
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        focus = page.evaluate(
            """() => {
              const node = document.activeElement, style = getComputedStyle(node);
              if (node === document.body) return null;
              const cell = node.closest('.cells');
              node.dataset.reached = '1';
              return [cell ? cell.ariaLabel : node.tagName + node.textContent + (node.dataset.group || ''),
                      style.outlineStyle, parseFloat(style.outlineWidth)];
            }"""
        )
        if focus is None:
            break
        name, outline, width = focus
        assert outline != "none", f"{name} does not show that it has the focus"
        assert width >= 2, name
        reached.add(name)
    # Of the tabs, and of the cells of a topic, one is a stop; arrows go on from there.
    assert len(reached) == wanted - (page.locator("[role=tab]").count() - 1)


def test_arrows_go_from_tab_to_tab_and_from_cell_to_cell(look, shop):
    page = look()
    page.locator('[role=tab][aria-selected="true"]').focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#panel")).to_contain_text(f"{shop.name}.bills")
    page.locator(".cell").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.partition") == "1"
    expect(page.locator("#about")).to_contain_text(f"{shop.name}.bills-1: owner w")
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.dataset.partition") == str(PARTITIONS - 1)


def test_a_refresh_keeps_focus_scroll_and_what_is_closed(look):
    page = look(viewport={"width": 800, "height": 300})
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    page.evaluate("window.scrollTo(0, 200)")
    where = page.evaluate("[document.activeElement.textContent.length > 0, window.scrollY]")
    said = page.locator("#updated").inner_text()
    expect(page.locator("#updated")).not_to_have_text(said, timeout=8000)
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert page.evaluate("[true, window.scrollY]") == where
    assert page.locator("details").first.get_attribute("open") is None


def test_a_paused_page_asks_for_nothing(look):
    page = look()
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(300)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(1200)
    assert asked == []
    page.get_by_role("button", name="Go on").click()
    page.wait_for_timeout(300)
    assert asked != []


def test_a_page_that_is_left_alone_asks_every_three_seconds(look):
    page = look("/page")
    said = page.locator("#updated").inner_text()
    page.wait_for_timeout(1500)
    assert page.locator("#updated").inner_text() == said
    expect(page.locator("#updated")).not_to_have_text(said, timeout=4000)


CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const shine = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || node.closest('script, style, dialog')) continue;
    const pair = [shine(parse(getComputedStyle(node).color)), shine(behind(node))].sort((a, b) => b - a);
    found.push([(pair[0] + .05) / (pair[1] + .05), node.className + ' ' + node.textContent.slice(0, 30)]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(look, scheme):
    page = look("/page", color_scheme=scheme)
    page.evaluate(
        """() => {
          document.querySelector('#banner').hidden = false;
          document.querySelector('#banner').textContent = 'something';
          const cell = document.querySelector('.cell');
          const copies = (node, kind, names) => names.forEach((name) => {
            const copy = node.cloneNode(true);
            copy.className = kind + ' ' + name;
            node.after(copy);
          });
          copies(cell, 'cell', [...Array(12).keys()].map((number) => 'c' + number));
          copies(document.querySelector('.tag'), 'tag', ['good', 'warn', 'bad', '']);
        }"""
    )
    found = page.evaluate(CONTRASTS)
    assert len(found) > 40
    low = [(round(ratio, 2), what) for ratio, what in found if ratio < 4.5]
    assert low == []


def test_the_two_schemes_look_different(look):
    shades = [
        look(color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert shades[0] != shades[1]


def test_names_are_text_and_never_markup(look, shop):
    page = look()
    page.route(
        re.compile("/members$"),
        lambda route: route.fulfill(
            json={
                "app": "<img src=x onerror=alert(1)>",
                "worker": "w1",
                "at": 1.0,
                "stale": None,
                "members": [
                    {
                        "name": "<b>w</b>",
                        "url": "javascript:alert(1)",
                        "host": "h",
                        "pid": 1,
                        "process": "p",
                        "weight": 1.0,
                        "started": 0,
                        "seen": 1.0,
                        "silent_since": None,
                        "state": "ready",
                        "not_ready": ["<i>no</i>"],
                        "versions": {},
                        "groups": [],
                    }
                ],
            }
        ),
    )
    expect(page.locator("#title")).to_have_text("<img src=x onerror=alert(1)>", timeout=8000)
    expect(page.locator("#members")).to_contain_text("<b>w</b>")
    assert page.locator("#members b, #members i:not(.dot), h1 img").count() == 0
    assert page.locator("#members a[href]").count() == 0


def test_a_worker_that_answers_no_more_is_told_of_and_what_it_said_stays(look):
    page = look(refusals=True)
    answer = {"error": "Kafka is away", "do": "wait"}
    page.route(re.compile("/ops/"), lambda route: route.fulfill(status=503, json=answer))
    banner = page.locator("#banner")
    expect(banner).to_contain_text("Kafka is away: wait", timeout=8000)
    expect(banner).to_contain_text("was true before")
    assert page.locator(".cell").count() > 0
    page.unroute_all()
    expect(banner).to_be_hidden(timeout=8000)


def test_stale_data_says_how_old_it_is(look, w1):
    told = {**w1.get("/assignments").body, "stale": {"age": 14.0, "reason": "Kafka gives no answer"}}
    page = look()
    page.route(re.compile("/assignments$"), lambda route: route.fulfill(json=told))
    expect(page.locator("#banner")).to_contain_text(
        "Kafka gives no answer. Owners and lag are 14 s old.", timeout=8000
    )


def test_the_token_is_asked_for_once_and_kept_in_the_tab(look):
    page = look(refusals=True)
    page.evaluate("sessionStorage.clear()")
    page.route(
        re.compile("/ops/(assignments|members|sinks|coordinators)$"),
        lambda route: (
            route.continue_()
            if route.request.headers.get("authorization") == "Bearer s3cret-s3cret"
            else route.fulfill(status=401, json={"error": "no", "do": "token"})
        ),
    )
    page.reload()
    dialog = page.locator("#ask")
    expect(dialog).to_be_visible()
    for token, note in (("wrong", "not the right one"), ("s3cret-s3cret", "")):
        page.locator("#token").fill(token)
        page.keyboard.press("Enter")
        if note:
            expect(dialog).to_contain_text(note)
    page.wait_for_selector(".cell")
    expect(dialog).to_be_hidden()
    page.reload()
    page.wait_for_selector(".cell")
    expect(dialog).to_be_hidden()


def test_a_killed_worker_disappears_from_the_grid_without_a_reload(look, shop):
    page = look()
    page.evaluate("window.sameDocument = true")
    topic = f"{shop.name}.orders"
    lost = shop.workers[1]
    lost.kill()
    try:
        page.wait_for_function(
            f"""() => {{
              const cells = [...document.querySelectorAll('.cell[data-topic="{topic}"]')];
              return cells.length === {PARTITIONS} && cells.every((cell) => cell.dataset.owner === 'w1');
            }}""",
            timeout=30_000,
        )
        expect(page.locator("#rebalances")).to_contain_text("w2 left", timeout=8000)
        expect(page.locator("#members")).to_contain_text("silent since", timeout=15_000)
        assert page.evaluate("window.sameDocument")
    finally:
        shop.workers[1] = shop.start("w2")
        shop.workers.pop()
