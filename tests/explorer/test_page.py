"""The explorer in a real browser, as a person uses it."""

import dataclasses

import numpy as np
import pytest
import torch

from charlens.cli import main
from charlens.data import split
from charlens.explorer import explore
from charlens.explorer.recording import UNSCORED, Recording, record
from charlens.networks import model_file, network
from charlens.networks.architecture import Architecture

pytestmark = pytest.mark.browser

LINE = 'if (prince < 3 && king[{}]) {{ say("Prince & King"); }}  // “naïve”\n'
TEXT = "".join(LINE.format(k) for k in range(400)).encode()
ALPHABET = bytes(sorted(set(TEXT)))
HOSTILE = (
    b"<script>window.pwned = 1</script> </title></script><img src=x onerror='window.pwned = 2'>"
    b"<!-- &amp; & \n caf\xc3\xa9 \xff\xfe \xed\xa0\x80 \x00\x1b\t\r\n \xe2\x80\xaegnol e\xcc\x81\n"
    + b"<&>y"
    * 25_000
)


def saved(path, arch, alphabet, **more):
    params = network.initialise(arch, 1.0, torch.Generator().manual_seed(1))
    about = dataclasses.asdict(arch) | {
        "corpus": "text", "source": "</script><b>a", "size": 8, "val_loss": 1.0, "dropout": 0.0,
        "alphabet": alphabet.hex(), **more,
    }  # fmt: skip
    model_file.save(path, params, about)
    return params


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a page, page.html, and what it was made from."""
    folder = tmp_path_factory.mktemp("explorer")
    data = split.split(TEXT, "streams", 5, 20, [0.5, 0.1, 0.4])
    split.save(folder / "text.npz", data)
    arch = Architecture("lstm", 2, 30, data.symbols)
    params = saved(folder / "m.safetensors", arch, ALPHABET)
    with open(folder / "cells.csv", "w") as table:
        table.write("corpus,model,layer,unit,hypothesis,score,low,high\n")
        table.write("text,lstm 2x8,2,7,quote,0.951,0.9,0.97\ntext,lstm 2x8,1,3,quote,0.1,0,0.2\n")
        table.write("text,lstm 2x8,1,4,depth,-0.8,-0.9,-0.7\n")
    command = ["explore", folder / "m.safetensors", "--split", folder / "text.npz"]
    command += ["--cells", folder / "cells.csv", "--title", "A text & <b>its</b> cells"]
    (folder / "text.txt").write_bytes(TEXT)
    command += ["--corpus", folder / "text.txt", "--kind", "code"]
    with open(folder / "ablation.csv", "w") as table:
        table.write("corpus,model,layer,unit,hypothesis,clamp,loss,own,used\n")
        table.write("text,lstm 2x8,2,7,quote,mean,0.01,-0.3,1\n")
    command += ["--ablation", folder / "ablation.csv"]
    command += ["--recorded", "--gates", "900", "--out", folder / "page.html"]
    assert main([str(word) for word in command]) == 0
    x, y = data.test.x, data.test.y
    codes = np.concatenate([x[:, :1], y], axis=1)
    recording = record(arch, params, codes, min(y.size, 20_000), 900)
    return folder, recording, data.alphabet[y.ravel()].tobytes()[:20_000]


@pytest.fixture
def page(browser, made):
    """The page, freshly opened; whatever a test does, no script fails and nothing is fetched."""
    path = made[0] / "page.html"
    browser.resize(1280, 800)
    browser.prefer("light")
    open_whole(browser, path)
    yield browser
    assert browser.messages == []
    assert set(browser.requests) <= {path.resolve().as_uri()}


def open_whole(browser, path, fragment=""):
    browser.open(path, fragment)
    browser.wait("document.documentElement.dataset.complete")
    browser.settle()


def colour_at(browser, i, below=0):
    """The colour of the text's canvas at the upper left of character i, as [r, g, b]."""
    return browser.evaluate(f"""(i => {{
        const l = transient.lines, d = devicePixelRatio;
        const x = (EDGE + l.column[i] * transient.advance + 1.5) * d;
        const y = EDGE + lineOf(l, i) * rowHeight() - $('scroller').scrollTop + 1.5 + {below};
        const one = new OffscreenCanvas(1, 1).getContext('2d');
        one.drawImage($('text'), -Math.floor(x), -Math.floor(y * d));
        return [...one.getImageData(0, 0, 1, 1).data].slice(0, 3);
    }})({i})""")


def scale(browser, name, byte):
    return browser.evaluate(f"[...scale('{name}').numbers.slice(3 * {byte}, 3 * {byte} + 3)]")


def point(browser, i):
    """The middle of character i in the window."""
    return browser.evaluate(
        f"(i => {{ const b = $('scroller').getBoundingClientRect(), l = transient.lines;"
        f" return [b.x + EDGE + (l.column[i] + span(l, i) / 2) * transient.advance,"
        f" b.y + EDGE + lineOf(l, i) * rowHeight() - $('scroller').scrollTop + LINE / 2]; }})({i})"
    )


def test_it_opens_coloured_by_the_best_unit_of_the_first_hypothesis(page, made):
    _, recording, text = made
    assert page.evaluate("document.querySelector('h1').textContent") == "A text & <b>its</b> cells"
    assert page.evaluate("[...bytes.text.slice(0, 40)]") == list(text[:40])
    assert page.evaluate("id(view.unit)") == "2.7"
    assert "layer 2, unit 7" in page.evaluate("$('chosen').textContent")
    said = page.evaluate("$('clamped').textContent")
    assert said.startswith("rises inside quotes; clamped to its mean: −30.0 points")
    for i in (0, 5, 33):
        assert colour_at(page, i) == scale(page, "c", recording.values["c"][1, 6, i])


def test_every_stored_value_arrives(page, made):
    _, recording, _ = made
    for name, layer, unit in (("c", 0, 0), ("c", 1, 29), ("i", 1, 3), ("o", 0, 29)):
        page.evaluate(f"ensureUnpacked('{name}', {layer})")
        got = page.evaluate(f"[...series('{name}', {{layer: {layer}, index: {unit}}})]")
        assert got == recording.values[name][layer, unit].tolist()
    assert page.evaluate("[...bytes.loss]") == recording.loss.tolist()


def test_a_unit_is_chosen_from_the_list(page, made):
    _, recording, _ = made
    assert page.evaluate("list.units.slice(0, 2).map(id)") == ["2.7", "1.3"]
    page.click(100, page.evaluate("$('list').getBoundingClientRect().y") + 45)
    assert page.evaluate("id(view.unit)") == "1.3"
    assert page.evaluate("$('clamped').textContent") == "falls inside quotes"
    assert colour_at(page, 20) == scale(page, "c", recording.values["c"][0, 2, 20])
    assert (
        page.evaluate("document.querySelector('.unit[aria-selected=true] b').textContent") == "1.3"
    )
    title = page.evaluate("document.querySelector('.unit[aria-selected=true]').title")
    assert title == "layer 1, unit 3: inside quotes 0.100, 95% interval 0.000 to 0.200"


def test_the_list_is_sorted(page, made):
    _, recording, _ = made

    def sort(key):
        page.evaluate(f"$('sort').value = '{key}'; $('sort').dispatchEvent(new Event('change'))")
        page.settle()
        return page.evaluate("list.units.map(id)")

    assert sort("by depth")[0] == "1.4" == page.evaluate("id(view.unit)")
    c = recording.values["c"].reshape(60, -1).astype(float)
    spread = sort("spread")
    assert spread[0] == "{}.{}".format(*(np.array(divmod(c.std(axis=1).argmax(), 30)) + 1))
    like = sort(page.evaluate("orders().find(order => order.key.startsWith('like')).key"))
    layer, unit = map(int, spread[0].split("."))
    r = np.abs(np.corrcoef(c)[30 * (layer - 1) + unit - 1])
    assert like[:5] == [f"{k // 30 + 1}.{k % 30 + 1}" for k in np.argsort(-r)[:5]]
    page.click_on("#layers button:nth-child(3)")
    assert page.evaluate("list.units.length") == 30
    assert page.evaluate("list.units.every(unit => unit.layer === 1)")


def test_gates_and_surprise(page, made):
    _, recording, _ = made
    page.press("3")
    assert page.evaluate("view.show") == "f"
    assert colour_at(page, 12) == scale(page, "f", recording.values["f"][1, 6, 12])
    assert "first 900 characters" in page.evaluate("$('compared').textContent")
    page.evaluate("moveTo(1200)")
    page.settle()
    assert colour_at(page, 1204) == page.evaluate("rgb(theme().paper)")  # beyond the gates' stretch
    page.press("6")
    assert page.evaluate("view.show") == "loss"
    bits = recording.loss[1204] / 1000 / np.log(2)
    assert colour_at(page, 1204) == scale(page, "loss", int(min(255, bits / 8 * 255)))


def test_hovering_shows_character_activation_and_probabilities(page, made):
    _, recording, text = made
    i = text.index(b"&")
    page.hover(*point(page, i))
    card = page.evaluate("$('card').hidden ? '' : $('card').innerText")
    assert f"{i + 1} of {len(text):,}" in card and "0x26" in card
    held = (int(recording.values["c"][1, 6, i]) - 128) / 127
    assert f"{'−' if held < 0 else '+'}{abs(held):.2f}" in card
    assert f"{recording.loss[i] / 1000 / np.log(2):.2f} bits" in card
    guesses = page.evaluate("[...document.querySelectorAll('#card li b')].map(b => b.textContent)")
    codes = recording.guesses[:, i]
    shown = [chr(ALPHABET[c]) for c in codes]
    readable = [c for c in shown if "!" <= c <= "~"]
    assert len(guesses) == 5 and [g for g in guesses if g in readable] == readable
    page.hover(5, 5)
    assert page.evaluate("$('card').hidden")


def test_search(page, made):
    _, _, text = made

    def find(query):
        page.evaluate("$('find').value = ''")
        page.press("/")
        page.type(query)
        return page.evaluate("$('found').textContent")

    assert find("prince") == f"{text.lower().count(b'prince'):,}"  # small letters find both
    page.press("Enter")
    assert page.evaluate("view.at") == text.lower().index(b"prince")
    page.press("Enter", "Enter")
    third = [i for i in range(len(text)) if text.lower()[i : i + 6] == b"prince"][2]
    assert page.evaluate("view.at") == third
    assert page.evaluate("$('found').textContent").startswith("3 of ")
    page.press("Escape")
    page.press("N")
    assert page.evaluate("$('found').textContent").startswith("2 of ")
    page.evaluate("$('scroller').focus()")
    assert find("Prince") == f"{text.count(b'Prince'):,}"
    page.press("Escape")
    assert find("\\n") == f"{text.count(10):,}"
    page.press("Escape")
    assert find("ï") == f"{text.count('ï'.encode()):,}"
    page.press("Escape")
    assert find("\\x50") == f"{text.count(b'P'):,}"  # a capital, however it is written
    page.press("Escape")
    page.evaluate("moveTo(2500)")
    page.press("n")  # from where the cursor is
    assert page.evaluate("view.at") == text.index(b"P", 2500)
    assert find("no such thing") == "none"


def test_the_keyboard_alone_is_enough(page):
    page.evaluate("document.activeElement.blur()")
    page.press("j")
    assert page.evaluate("id(view.unit)") == "1.3"
    page.press("c")
    assert page.evaluate("id(view.other)") == "1.3"
    page.press("k")
    assert page.evaluate("id(view.unit)") == "2.7"
    page.press("x")
    assert page.evaluate("[id(view.unit), id(view.other)]") == ["1.3", "2.7"]
    page.press("c")
    assert page.evaluate("view.other") is None
    page.press("ArrowRight", "ArrowRight", "ArrowDown", "End", "ArrowLeft", "Home")
    line = page.evaluate("transient.lines.starts[1]")
    assert page.evaluate("view.at") == line
    assert not page.evaluate("$('card').hidden")
    assert "cell state" in page.evaluate("$('spoken').textContent")
    page.press("End", control=True)
    assert page.evaluate("view.at") == page.evaluate("bytes.text.length - 1")
    assert page.evaluate("$('scroller').scrollTop") > 0
    page.press("g", "v", "t", "p")
    assert page.evaluate("[view.guesses, view.curve, view.theme, view.palette]") == [
        5, True, "dark", 1,
    ]  # fmt: skip
    page.press("?")
    assert page.evaluate("$('help').open")
    page.press("Escape")
    assert not page.evaluate("$('help').open")
    reached = set()
    for _ in range(40):
        page.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.value"))
    assert {"sort", "list", "scroller", "find", "compare", "copy", "theme", "c"} <= reached


def test_keys_of_one_letter_can_be_turned_off(page):
    page.evaluate("document.activeElement.blur()")
    page.click_on("#open-help")
    page.click_on("#letters")
    page.press("Escape")
    page.evaluate("document.activeElement.blur()")
    shown = "[id(view.unit), view.show, view.theme, $('help').open]"
    before = page.evaluate(shown)
    page.press("j", "2", "t", "?")
    assert page.evaluate(shown) == before and before[-1] is False
    page.press("ArrowRight")
    assert page.evaluate("view.at") >= 0
    assert "letters=off" in page.evaluate("link()")
    page.evaluate("followLink('#')")
    page.press("j")
    assert page.evaluate("id(view.unit)") != before[0]


def test_two_units_are_compared(page, made):
    _, recording, _ = made
    page.press("j")  # 1.3
    page.press("c", "k")  # 2.7, with 1.3 below
    c = recording.values["c"]
    for i in (3, 30):
        assert colour_at(page, i) == scale(page, "c", c[1, 6, i])
        assert colour_at(page, i, below=25) == scale(page, "c", c[0, 2, i])
    r = np.corrcoef(c[1, 6], c[0, 2])[0, 1]
    assert f"r = {'−' if r < 0 else '+'}{abs(r):.2f}" in page.evaluate("$('compared').textContent")


def test_surprise_is_of_no_unit(page, made):
    _, recording, _ = made
    page.press("j", "c", "k")
    height = page.evaluate("rowHeight()")
    page.press("6")
    page.settle()
    assert page.evaluate("rowHeight()") < height and page.evaluate("$('compare').hidden")
    page.press("c")  # nothing to compare
    page.settle()
    assert page.evaluate("id(view.other)") == "1.3"
    worst = int(recording.loss[:900].argmax())
    page.evaluate(f"moveTo({worst})")
    bits = recording.loss[worst] / 1000 / np.log(2)
    assert bits > 8 and f"surprise {bits:.1f} bits" in page.evaluate("$('spoken').textContent")
    page.press("1")
    page.settle()
    assert page.evaluate("rowHeight()") == height
    page.evaluate("bytes.guesses[view.at] = 32; speak(view.at)")
    assert "expects space" in page.evaluate("$('spoken').textContent")


def test_a_hypothesis_is_a_label_under_the_text(page, made):
    _, _, text = made
    page.press("h")
    assert page.evaluate("view.label") == "quote"  # the list is sorted by it
    assert "below: inside quotes" in page.evaluate("$('compared').textContent")
    inside = text.index(b'"Prince & King"') + 3
    assert colour_at(page, inside, below=25) == scale(page, "label", 254)
    assert colour_at(page, inside - 10, below=25) == scale(page, "label", 0)
    page.hover(*point(page, inside))
    assert "inside quotes\tyes" in page.evaluate("$('card').innerText").replace("\n\t", "\t")
    page.press("h")
    assert page.evaluate("view.label") == ""


def test_a_link_reproduces_the_view(page, made):
    page.press("j", "c", "j", "j", "g", "v", "h", "t", "2")
    page.press("/")
    page.type("king")
    page.press("Enter", "Enter", "Enter", "Enter", "Enter", "Enter", "Enter", "Enter", "Escape")
    page.evaluate("hideCard(); sortBy('slow'); onlyLayer(1)")
    page.settle()
    link = page.wait("(h => h === link() && h)(location.hash)")
    picture = page.evaluate("$('text').toDataURL()")
    seen = page.evaluate("JSON.stringify(view)")
    open_whole(page, made[0] / "page.html", link)
    assert page.evaluate("JSON.stringify(view)") == seen
    assert page.evaluate("link()") == link
    assert page.evaluate("$('text').toDataURL()") == picture


@pytest.mark.parametrize(
    "link", ["#cell=9.9&show=zz&top=-4&at=1e9&guesses=7&sort=%3Cb%3E&layer=x&with=1", "#%%%", "#"]
)
def test_a_wrong_link_is_as_none(page, made, link):
    open_whole(page, made[0] / "page.html", link)
    assert page.evaluate("[view.show, view.top, view.at, view.guesses, view.only]") == (
        ["c", 0, -1, 0, None]
    )


def test_light_and_dark(page):
    def paper():
        page.settle()
        return page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g)[0] * 1"
        )

    assert paper() > 200
    page.prefer("dark")
    assert paper() < 60
    assert colour_at(page, -1 + page.evaluate("transient.lines.ends(0)"))  # painted anew
    page.press("t")
    assert paper() > 200


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_legible_on_every_colour(page, dark):
    page.evaluate(f"setTheme('{'dark' if dark else 'light'}')")
    worst = page.evaluate("""[0, 1].flatMap(palette => {
        view.palette = palette;
        return ['c', 'i', 'loss', 'guess'].map(scale).flatMap(s => s.text.map((text, k) => {
            const a = luminance([...s.numbers.slice(3 * k, 3 * k + 3)]), b = luminance(rgb(text));
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        }));
    })""")
    assert min(worst) > 4  # to one: 3 is asked for large text, 4.5 for small


def test_a_narrow_window(page):
    page.resize(390, 800)
    page.settle()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("getComputedStyle($('units')).display") == "none"
    page.click_on("#open-units")
    assert page.evaluate("getComputedStyle($('units')).display") == "flex"
    page.click(150, page.evaluate("$('list').getBoundingClientRect().y") + 45)
    assert page.evaluate("id(view.unit)") == "1.3"


def test_great_zoom(page):
    page.resize(427, 267)  # a window of 1280 by 800 at 300%
    page.settle()
    assert page.evaluate("$('scroller').clientHeight") > 100
    assert page.evaluate("document.documentElement.scrollHeight") > 267  # reached by scrolling
    assert page.evaluate("document.documentElement.scrollWidth") <= 427


def test_a_page_that_is_cut_short_says_so(browser, made, tmp_path):
    whole = (made[0] / "page.html").read_bytes()
    (tmp_path / "cut.html").write_bytes(whole[: whole.index(b"block-loss")])
    said = "document.getElementById('name')?.textContent.includes('cannot be shown')"
    browser.open(tmp_path / "cut.html", until=said)
    assert "truncated" in browser.evaluate("$('about').textContent")


def test_streams_are_parted(page, made):
    n = page.evaluate("facts.breaks[0]")
    assert page.evaluate(f"transient.lines.starts.includes({n})")
    assert page.evaluate(f"bytes.next[{n - 1}]") == -1


# ---- a hostile text ----


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    known = bytes(sorted(set(b"\n" + bytes(range(32, 127)))))
    saved(folder / "m", Architecture("rnn", 1, 8, len(known)), known)
    (folder / "</title><script>pwned=3</script>".replace("/", "\u2215")).write_bytes(HOSTILE)
    (text,) = [path for path in folder.iterdir() if path.name != "m"]
    command = ["explore", str(folder / "m"), "--text", str(text), "--characters", "200000"]
    command += ["--keep-line-ends"]  # it has both
    assert main([*command, "--out", str(folder / "page.html")]) == 0
    return folder / "page.html"


def test_a_hostile_text_is_shown_and_never_run(browser, hostile):
    browser.resize(1280, 800)
    browser.open(hostile)
    browser.wait("bytes.done[300]")
    assert browser.evaluate("window.pwned") is None
    assert browser.evaluate("document.querySelectorAll('img, b:not(#list b)').length") == 0
    assert browser.evaluate("[...bytes.text.slice(0, 300)]") == list(HOSTILE[:300])
    at = HOSTILE.index(b"\xff")
    assert browser.evaluate(f"glyphs.text.slice({at}, {at + 2})") == ["\\xff", "\\xfe"]
    at = HOSTILE.index(b"\xc3\xa9")
    assert browser.evaluate(f"glyphs.text.slice({at}, {at + 2})") == ["é", ""]
    assert browser.evaluate("glyphs.text.slice(0, 8).join('')") == "<script>"
    surrogate = HOSTILE.index(b"\xed\xa0")
    assert browser.evaluate(f"glyphs.text[{surrogate}]") == "\\xed"
    for i in (HOSTILE.index(b"\0"), HOSTILE.index("é".encode()), 3):
        browser.hover(*point(browser, i))
        assert not browser.evaluate("$('card').hidden")
    assert browser.evaluate(f"bytes.loss[{HOSTILE.index(0xFF)}]") == UNSCORED
    # what the policy says, holds
    assert browser.evaluate("fetch('data:,x').then(() => 'fetched', () => 'refused')") == "refused"
    browser.evaluate("""(s => { s.textContent = 'window.pwned = 4'; document.body.append(s); })
        (document.createElement('script'))""")
    assert browser.evaluate("window.pwned") is None
    browser.messages = [m for m in browser.messages if "Content Security Policy" not in m]
    assert browser.messages == []
    assert {url for url in browser.requests if not url.startswith(("data:", "blob:"))} == {
        hostile.resolve().as_uri()
    }


def test_a_line_of_100_000_characters_is_broken(browser, hostile):
    browser.resize(1280, 800)
    browser.open(hostile)
    lines = browser.evaluate("transient.lines.starts.length")
    assert lines > 1000
    assert browser.evaluate("Math.max(...transient.lines.column) <= transient.lines.columns + 1")
    seen = browser.evaluate("lastLine() - firstLine()")
    painted = browser.evaluate("""(() => {
        let calls = 0;
        const {prototype} = CanvasRenderingContext2D;
        const fillText = prototype.fillText;
        prototype.fillText = () => { calls += 1; };
        paintText();
        prototype.fillText = fillText;
        return calls; })()""")
    assert 0 < painted < (seen + 3) * 200  # what is in sight, not the whole text
    browser.press("End", control=True)
    assert browser.evaluate("view.at") == len(HOSTILE) - 1
    assert browser.evaluate("lastLine()") == lines - 1


def test_the_largest_page_shows_itself_before_all_is_unpacked(browser, tmp_path):
    """20,000 characters of three layers of 300 units that can hardly be compressed: 37 MB."""
    random = np.random.default_rng(0)
    values = {
        name: random.integers(256, size=(3, 300, 20_000 if name == "c" else 4_000), dtype=np.uint8)
        for name in "cifo"
    }
    small = random.integers(6000, size=(5, 20_000), dtype=np.uint16)
    recording = Recording(values, (small % 90).astype(np.uint8), small, small[0])
    text = random.integers(32, 122, size=20_000, dtype=np.uint8)
    about = {"corpus": "x", "source": "y", "alphabet": bytes(range(32, 122)).hex()}
    facts = {"name": "x", "breaks": [], "summary": ""}
    arch = Architecture("lstm", 3, 300, 90)
    path = tmp_path / "large.html"
    path.write_bytes(explore.explorer(text, recording, arch, about, facts))
    assert path.stat().st_size < 40e6
    browser.resize(1280, 800)
    browser.open(path)
    browser.wait("document.documentElement.dataset.complete")
    ready, complete = browser.evaluate(
        "['ready', 'complete'].map(name => Number(document.documentElement.dataset[name]))"
    )
    assert 0 < ready < complete
    assert browser.evaluate("series('c', {layer: 2, index: 299})[19999]") == values["c"][2, 299, -1]
