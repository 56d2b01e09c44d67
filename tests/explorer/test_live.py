"""The network in the page, in a real browser: numbers, clamped units, one's own text, samples."""

import csv
import dataclasses
import json
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from charlens.cli import main
from charlens.explorer import explore, live
from charlens.explorer import page as page_files
from charlens.networks import model_file, network
from charlens.networks.architecture import Architecture, shapes
from charlens.text import symbols
from charlens.training import sample

pytestmark = pytest.mark.browser

TEXT = "".join(
    f'"Yes," said Prince Andrew the {k}th, and left.\r\n{"x" * (k % 9)}' for k in range(60)
).encode()
ALPHABET = bytes(sorted(set(TEXT) - set(b"P")))  # it does not know P
TYPES = {"lstm": (2, 11), "gru": (2, 9), "rnn": (1, 13)}  # layers, units: no multiples of 4


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a half-precision model, its page and its log-probabilities for each type."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "text.txt").write_bytes(TEXT)
    for type, (layers, hidden) in TYPES.items():
        arch = Architecture(type, layers, hidden, len(ALPHABET))
        params = network.initialise(arch, 1.5, torch.Generator().manual_seed(1))
        about = dataclasses.asdict(arch) | {
            "corpus": "text", "source": "random", "size": 8, "val_loss": 1.0, "dropout": 0.0,
            "alphabet": ALPHABET.hex(), "line_ends": "CRLF",
        }  # fmt: skip
        model = folder / f"{type}.safetensors"
        model_file.save(model, live.halved(params), about)
        command = ["explore", str(model), "--text", str(folder / "text.txt"), "--backend"]
        command += ["reference", "--csv", str(folder / f"{type}.csv")]
        assert main([*command, "--out", str(folder / f"{type}.html")]) == 0
    return folder


def opened(browser, path, fragment=""):
    browser.resize(1280, 800)
    browser.open(path, fragment, until="document.documentElement?.dataset.complete")
    return browser


@pytest.fixture
def page(browser, made):
    """The LSTM's page, read to its end; no script fails and no request leaves it."""
    yield opened(browser, made / "lstm.html")
    assert browser.messages == []
    own = ((made / "lstm.html").resolve().as_uri(), "blob:")
    assert all(url.startswith(own) for url in browser.requests)


def log_probs(path):
    with open(path, newline="") as file:
        return np.array([float(row["logp"] or "nan") for row in csv.DictReader(file)])


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("name", ["browser", "firefox"])
def test_the_page_computes_what_the_command_line_computes(request, made, name, type):
    browser = opened(request.getfixturevalue(name), made / f"{type}.html")
    got = np.array(browser.evaluate("[...bytes.logp]"), float)
    expected = log_probs(made / f"{type}.csv")
    assert len(got) > 2000 and np.array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(got, expected, atol=1e-4, rtol=0)
    assert browser.messages == []
    own = ((made / f"{type}.html").resolve().as_uri(), "blob:", "data:")
    assert all(url.startswith(own) for url in browser.requests)


@pytest.mark.parametrize("type", TYPES)
def test_states_and_gates_are_those_of_a_recording(browser, made, type, tmp_path):
    command = ["explore", str(made / f"{type}.safetensors"), "--text", str(made / "text.txt")]
    command += ["--recorded", "--gates", "99999", "--out", str(tmp_path / "recorded.html")]
    assert main(command) == 0
    layer, unit = (n - 1 for n in TYPES[type])
    look = f"""facts.quantities.filter(q => ofUnit(q.name)).map(({{name}}) =>
        [...series(name, {{layer: {layer}, index: {unit}}})])"""
    shown = "Array.from(bytes.read)"
    opened(browser, made / f"{type}.html")
    live_values, read = np.array(browser.evaluate(look)), np.array(browser.evaluate(shown), bool)
    guesses = "[...bytes.chances.slice(0, 999)]"
    chances = np.array(browser.evaluate(guesses))
    opened(browser, tmp_path / "recorded.html")
    browser.evaluate(
        f"Promise.all(facts.quantities.map(q => ensureUnpacked(q.name, {layer}))).then(() => 1)"
    )
    recorded = np.array(browser.evaluate(look))
    assert live_values.shape == recorded.shape
    assert np.abs(live_values - recorded)[:, read].max() <= 1  # rounded
    assert np.abs(chances - np.array(browser.evaluate(guesses)))[read[:999]].max() <= 20


def clamping(layer, unit, value):
    """A recorder that clamps a unit of the LSTM from the text's first character on."""

    def clamp(at, step, found):
        if at == layer and step:  # not the newline before the text
            found["c"][:, unit] = value
            found["h"][:, unit] = found["o"][:, unit] * np.tanh(value)

    return clamp


def clamped_log_probs(made, layer, unit, value):
    """Log-probabilities of the known characters with a unit of the LSTM clamped as they are read,
    in float32."""
    arch, params, _ = model_file.load(made / "lstm.safetensors")
    codes = torch.tensor([ALPHABET.index(byte) for byte in b"\n" + TEXT if byte in ALPHABET])
    record = clamping(layer, unit, value)
    logits, _ = network.forward(
        arch, params, codes[None, :-1], network.zero_state(arch, 1), record=record
    )
    return torch.log_softmax(logits, -1)[0].gather(1, codes[1:, None])[:, 0].numpy()


def test_a_clamped_unit_changes_guesses_and_surprise(page, made):
    plain = np.array(page.evaluate("[...bytes.logp]"), float)
    chances = page.evaluate("[...bytes.chances.slice(0, 500)]")
    page.evaluate("choose({layer: 0, index: 3})")
    page.evaluate("openPanel('unit')")
    page.settle()
    page.click_on("#clamp-zero")
    page.wait("isRead()")
    got = np.array(page.evaluate("[...bytes.logp]"), float)
    known = ~np.isnan(got)
    expected = clamped_log_probs(made, 0, 3, 0.0)
    assert np.abs(expected - plain[known]).max() > 0.01
    np.testing.assert_allclose(got[known][:900], expected[:900], atol=1e-4)  # from the beginning
    np.testing.assert_allclose(got[known], expected, atol=1e-2)  # after a warm-up
    assert page.evaluate("[...bytes.chances.slice(0, 500)]") != chances
    page.wait("$('effect').textContent.includes('2,')")
    bits = -np.nanmean(got) / np.log(2)
    assert f"{bits:.3f} bits per character" in page.evaluate("$('effect').textContent")
    page.click_on("#show-change")
    worst = int(np.nanargmax(plain - got))
    change = (plain - got)[worst] / np.log(2)
    byte = page.evaluate(f"bytes.change[{worst}]")
    assert byte == round(128 + 127 * min(1, change / 4))
    assert "clamp=1.4%3A0" in page.evaluate("link()")
    page.click_on("#clamps button")  # let it go
    np.testing.assert_array_equal(np.array(page.evaluate("[...bytes.logp]"), float), plain)
    assert page.evaluate("view.show") != "change"


def test_a_text_that_is_typed_is_read(page, made, tmp_path):
    page.evaluate("openPanel('write')")
    page.evaluate("$('own').focus()")
    text = '"Yes," said he,\nand left' + " the prince" * 30
    page.type(text)
    page.wait(f"own.shown && bytes.text.length === {len(text) + 1} && isRead()")
    page.evaluate("$('own').selectionStart = $('own').selectionEnd = 200")
    page.type("Q!")  # Q is not in the alphabet
    page.wait(f"bytes.text.length === {len(text) + 3} && isRead()")
    (tmp_path / "own.txt").write_text(text[:200] + "Q!" + text[200:], newline="\n")
    command = ["read", str(made / "lstm.safetensors"), "--text", str(tmp_path / "own.txt")]
    assert main([*command, "--backend", "reference", "--csv", str(tmp_path / "own.csv")]) == 0
    got = np.array(page.evaluate("[...bytes.logp.slice(0, bytes.text.length)]"), float)
    np.testing.assert_allclose(got, log_probs(tmp_path / "own.csv"), atol=1e-4)
    longer = "said he. " * 400  # than the page's own text
    page.evaluate(f"$('own').value = '{longer}'; readOwn(ownSymbols($('own').value))")
    page.wait("isRead()")
    assert page.evaluate("series('c', view.unit).length") == len(longer) > len(TEXT)
    page.click_on("#leave")
    assert page.evaluate("bytes.text.length") == len(TEXT)
    assert page.evaluate("isRead()")
    got = np.array(page.evaluate("[...bytes.logp]"), float)
    np.testing.assert_allclose(got, log_probs(made / "lstm.csv"), atol=1e-4)


def test_samples(page, made):
    def drawn(temperature, seed, length=60):
        page.evaluate(f"$('own').value = '\"Yes'; readOwn(ownSymbols($('own').value));"
                      f"$('temperature').value = {temperature}; $('seed').value = {seed};"
                      f"$('length').value = {length}; sampleOwn()")  # fmt: skip
        page.wait("!own.sampling && isRead()")
        return bytes(page.evaluate("[...bytes.text]"))

    page.evaluate("openPanel('write')")
    first = drawn(1, 5)
    assert len(first) == 64 and set(first) <= set(ALPHABET)
    assert drawn(1, 5) == first != drawn(1, 6)
    writer = sample.Writer(made / "lstm.safetensors")  # the page reads a newline first
    written = b"".join(sample.sample(writer, 60, 0, 0, b'\n"Yes'))
    assert drawn(0, 5) == written[1:]


def test_the_dossier_of_a_unit(page, made):
    page.evaluate("openPanel('unit'); choose({layer: 1, index: 4})")
    page.wait("$('output-note').textContent.startsWith('The mean')")
    page.settle()
    assert page.evaluate("$('unit-name').textContent").startswith("Layer 2, unit 5")
    values = np.array(page.evaluate("[...series('c', view.unit)]"), float)
    read = np.array(page.evaluate("[...bytes.read]"), bool)
    mean = ((values[read] - 128) / 127).mean()
    assert f"mean {'−' if mean < 0 else '+'}{abs(mean):.2f}" in page.evaluate(
        "$('spread').textContent"
    )
    best = page.evaluate("extremes(series('c', view.unit), [...bytes.read.keys()], 1)[0]")
    assert values[best] == values.max()
    page.evaluate("document.querySelector('#strongest .snippet').click()")
    assert values[page.evaluate("view.at")] == values[read].max()
    c = np.array(page.evaluate("units().map(unit => [...series('c', unit)])"), float)  # [units, N]
    r = np.abs(np.corrcoef(c)[11 + 4])
    nearest = [k for k in np.argsort(-r) if k != 15][0]
    first = page.evaluate("document.querySelector('#companions button').textContent")
    assert first.split()[0] == f"{nearest // 11 + 1}.{nearest % 11 + 1}"


def test_what_a_unit_does_to_the_output(page, made):
    """The probabilities of the dossier are those of the network with the unit clamped."""
    page.evaluate("openPanel('unit'); choose({layer: 0, index: 3})")
    effects = page.wait("dossier.effects.get('1.4')")["changes"]
    values = np.sort(
        np.array(page.evaluate("[...series('c', view.unit)].filter((_, i) => bytes.read[i])"))
    )
    arch, params, _ = model_file.load(made / "lstm.safetensors")
    codes = torch.tensor([ALPHABET.index(b) for b in b"\n" + TEXT[:300] if b in ALPHABET])
    for name, share in (("low", 0.05), ("high", 0.95)):
        shown = (values[int(share * (len(values) - 1))] - 128) / 127
        value = np.arctanh(np.clip(shown, -0.999, 0.999))
        logits, _ = network.forward(
            arch, params, codes[None], network.zero_state(arch, 1), record=clamping(0, 3, value)
        )
        p = torch.softmax(logits, -1)[0, 1:].numpy()
        # a character that is not read leaves the prediction as it is
        at = np.cumsum([byte in ALPHABET for byte in TEXT[:300]]) - 1
        np.testing.assert_allclose([e[name] for e in effects], p[at].mean(axis=0), atol=1e-4)
    code = ALPHABET.index(b"\r")  # an arrow in the text, and a word here, where arrows mean change
    change = f"{{code: {code}, low: 0.1, high: 0.25, change: 0.15}}"
    page.evaluate(f"paintOutput({{over: 300, changes: [{change}]}})")
    assert page.evaluate("$('raises').textContent") == "← carriage return 10% → 25%"


EFFECT = "openPanel('unit'); choose({layer: 0, index: 3})"


def test_what_a_unit_does_is_the_same_whichever_worker_answers_first(page):
    page.evaluate(EFFECT)
    expected = page.wait("dossier.effects.get('1.4')")
    assert any(abs(one["change"]) > 0.01 for one in expected["changes"])
    page.evaluate(
        "window.held = []; window.first = request; request = (kind, message, answer) =>"
        " first(kind, message, (found) => held.push(() => answer(found)))"
    )
    page.evaluate("forgetEffects(); askForEffect(view.unit)")
    page.wait("held.length === 2")
    page.evaluate("held.reverse().forEach((answer) => answer()); request = first")
    assert page.evaluate("dossier.effects.get('1.4')") == expected


def test_what_a_unit_does_is_measured_on_the_text_shown(page):
    page.evaluate(EFFECT)
    found = [page.wait("dossier.effects.get('1.4')")]
    for text in ('"Yes," said he. ' * 100, "left the prince and " * 100):
        page.evaluate(f"readOwn(ownSymbols('{text}'))")
        page.wait("isRead()")
        page.evaluate("askForEffect(view.unit)")
        found.append(page.wait("dossier.effects.get('1.4')"))
    assert [one["over"] for one in found] == [300, 300, 300]  # own texts are read 100 at a time
    assert found[0]["changes"] != found[1]["changes"] != found[2]["changes"]


@pytest.mark.parametrize("type", ["lstm", "gru"])
def test_a_character_that_is_not_read_leaves_the_gates_as_they_are(browser, made, type):
    page = opened(browser, made / f"{type}.html")
    at = TEXT.index(b"P")
    for name in page.evaluate("facts.quantities.map(({name}) => name).filter(ofUnit)"):
        pair = page.evaluate(
            f"units().map(unit => series('{name}', unit)).filter(Boolean)"
            f".map(values => [values[{at - 1}], values[{at}]])"
        )
        assert all(before == after for before, after in pair), name


def point(page, i):
    return page.evaluate(
        f"(i => {{ const b = $('scroller').getBoundingClientRect(), l = transient.lines;"
        f" return [b.x + EDGE + (l.column[i] + span(l, i) / 2) * transient.advance,"
        f" b.y + EDGE + lineOf(l, i) * rowHeight() - $('scroller').scrollTop + LINE / 2]; }})({i})"
    )


def test_a_passage_asks_for_the_units_that_are_on_there(page):
    page.evaluate("openPanel('ask')")
    page.settle()
    for kind, i in (("mousePressed", 52), ("mouseMoved", 70), ("mouseReleased", 70)):
        x, y = point(page, i)
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1,
                  clickCount=1)  # fmt: skip
    page.settle()
    first, last = 52, 71
    assert page.evaluate("[view.selected.from, view.selected.to]") == [first, last]
    c = np.array(page.evaluate("units().map(unit => [...series('c', unit)])"), float)
    c = (c - 128) / 127
    read = np.array(page.evaluate("[...bytes.read]"), bool)
    at = np.arange(len(read))
    within = read & (at >= first) & (at < last)
    around = read & ~within & (at < last + 200)
    difference = c[:, within].mean(axis=1) - c[:, around].mean(axis=1)
    for table, best in (("high-there", difference.argmax()), ("low-there", difference.argmin())):
        row = page.evaluate(f"$('{table}').rows[0].innerText")
        assert row.split()[0] == f"{best // 11 + 1}.{best % 11 + 1}"
    assert f"select={first}-{last}" in page.evaluate("link()")
    page.evaluate("$('scroller').focus()")
    page.press("Escape")
    assert page.evaluate("view.selected") is None
    page.evaluate("moveTo(10)")
    page.press("ArrowRight", "ArrowRight", shift=True)
    assert page.evaluate("[view.selected.from, view.selected.to]") == [10, 13]


def test_a_unit_is_found_by_number_and_by_what_it_follows(page):
    page.evaluate("document.activeElement.blur()")
    page.press("u")
    page.type("2.7")
    assert page.evaluate("id(view.unit)") == "2.7"
    page.evaluate("$('find-unit').value = ''")
    page.type("quotes")
    assert page.evaluate("view.sort") == "by quote"
    assert page.evaluate("nameOf(view.unit) === '' || nameOf(view.unit).includes('quotes')")
    assert page.evaluate("same(view.unit, list.units[0])")
    page.evaluate("$('find-unit').value = ''")
    page.type("no such thing")
    assert page.evaluate("$('unit-found').textContent") == "none"


FRAME = "document.querySelectorAll('iframe')[{}].contentWindow"


def beside(browser, made, out, *words):
    command = ["explore", str(made / "lstm.safetensors"), "--text", str(made / "text.txt")]
    assert main([*command, *map(str, words), "--out", str(out)]) == 0
    browser.resize(1280, 800)
    browser.open(out, until="document.querySelectorAll('iframe').length === 2")
    for k in (0, 1):
        browser.wait(f"{FRAME.format(k)}.document.documentElement?.dataset.complete")


def test_two_networks_on_one_text(browser, made, tmp_path):
    beside(browser, made, tmp_path / "both.html", "--beside", made / "gru.safetensors")
    left, right = (FRAME.format(k) for k in (0, 1))
    for side, type in ((left, "lstm"), (right, "gru")):
        about = browser.evaluate(f"{side}.document.getElementById('about').textContent")
        assert about.startswith(type.upper())
    browser.evaluate(f"{left}.moveTo(1500)")
    browser.wait(f"{right}.document.getElementById('scroller').scrollTop > 0")
    places = [f"{side}.document.getElementById('scroller').scrollTop" for side in (left, right)]
    assert abs(browser.evaluate(places[0]) - browser.evaluate(places[1])) <= 24
    browser.evaluate(f"{left}.sortBy('by newline_next')")
    browser.wait(f"{right}.document.getElementById('sort').value === 'by newline_next'")
    link = browser.wait("location.hash.includes('newline_next') && location.hash")
    assert "left=" in link and "right=" in link
    own = ((tmp_path / "both.html").resolve().as_uri(), "blob:", "about:srcdoc", "data:")
    assert browser.messages == [] and all(url.startswith(own) for url in browser.requests)


def test_two_texts_under_one_network(browser, made, tmp_path):
    (tmp_path / "other.txt").write_bytes(b"</script><script>window.pwned = 1</script>" + TEXT[:900])
    beside(browser, made, tmp_path / "both.html", "--beside-text", tmp_path / "other.txt")
    names = [
        browser.evaluate(f"{FRAME.format(k)}.document.getElementById('name').textContent")
        for k in (0, 1)
    ]
    assert names == ["text.txt", "other.txt"]
    assert browser.evaluate("window.pwned") is None
    assert browser.evaluate(f"{FRAME.format(1)}.pwned") is None


def test_the_view_is_saved_as_png_and_as_svg(page):
    page.evaluate(
        "window.saved = []; save = (blob, ending) => window.saved.push([blob, ending]); show('c')"
    )
    page.click_on("#png")
    page.click_on("#svg")
    page.wait("window.saved.length === 2")
    assert page.evaluate("saved.map(([, ending]) => ending).sort()") == ["png", "svg"]
    svg = page.evaluate("saved.find(([, ending]) => ending === 'svg')[0].text()")
    drawing = ElementTree.fromstring(svg)
    shapes_of = "{http://www.w3.org/2000/svg}"
    glyphs = [t.text for t in drawing.iter(f"{shapes_of}text")]
    assert "".join(glyphs[:20]) == TEXT[:60].decode().replace(" ", "")[:20]
    first = next(iter(drawing.iter(f"{shapes_of}rect")))
    assert first.get("width") == "100%"
    fills = [r.get("fill") for r in drawing.iter(f"{shapes_of}rect")]
    byte = page.evaluate("series('c', view.unit)[0]")
    assert fills[1] == page.evaluate(f"scale('c').fill[{byte}]")


def test_what_a_unit_follows_is_said_in_words(page):
    def said(title, yes_no, score):
        return page.evaluate(f"inWords({{title: '{title}', yes_no: {yes_no}}}, {score})")

    assert said("inside quotes", "true", 0.05) == "falls inside quotes"
    assert said("line ends next", "true", 0.75) == "mostly rises where line ends next"
    assert said("position in line", "false", -0.2) == "weakly falls with position in line"
    assert page.evaluate("[1, 2, 3, 4, 11, 12, 13, 21, 112].map(ordinal)") == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th",
    ]  # fmt: skip


def test_the_time_of_a_step_is_printed(browser, made, capsys):
    """At 2 x 308 units, one stream and four side by side; nothing is asked of the clock."""
    network_js = (page_files.resources.files("charlens") / "explorer/network.js").read_text()
    shape = shapes(Architecture("lstm", 2, 308, 87))
    named = json.dumps([[name, list(value)] for name, value in shape.items()])
    browser.open(made / "lstm.html")
    steps = browser.evaluate(f"""(() => {{ {network_js}
        const about = {{type: 'lstm', layers: 2, hidden: 308, symbols: 87, parameters: {named}}};
        const count = about.parameters.reduce((sum, [, s]) => sum + s.reduce((a, b) => a * b), 0);
        const params = prepared(about, new Uint16Array(count).fill(0x2800));
        return [1, 4].map((streams) => {{
            const reader = new Reader(about, params, streams), codes = new Array(streams).fill(3);
            for (let k = 0; k < 30; k++) {{ reader.read(codes); reader.predict(); }}
            const begin = performance.now();
            for (let k = 0; k < 100; k++) {{ reader.read(codes); reader.predict(); }}
            return (performance.now() - begin) / 100 / streams;
        }}); }})()""")
    with capsys.disabled():
        print(f"\na step at 2 x 308 units: {steps[0]:.2f} ms alone, {steps[1]:.2f} ms beside three")
    assert all(step > 0 for step in steps)


def test_a_page_of_20000_characters_is_small(made, tmp_path):
    arch = Architecture("lstm", 2, 308, 87)
    params = network.initialise(arch, 0.08, torch.Generator().manual_seed(1))
    weights = sum(int(np.prod(shape)) for shape in shapes(arch).values())
    segments = live.Segments(np.arange(0, 20_000, 500), np.random.rand(40, 2, 2, 308))
    about = {"corpus": "x", "source": "y", "alphabet": bytes(range(32, 119)).hex()}
    facts = {"name": "x", "breaks": [], "summary": "", "hypotheses": []}
    text = np.random.default_rng(0).integers(32, 119, 20_000).astype(np.uint8)
    content = explore.explorer(text, None, arch, about, facts, {}, (params, segments))
    assert 2 * weights < len(content) < 6e6


# ---- networks that predict Unicode characters ----

STORY = "".join(f"Он сказал: «Да, {k}»,\nи ушёл в 世界 😀.\n" for k in range(80))


@pytest.fixture(scope="module")
def characters(tmp_path_factory):
    """A folder with a model of characters, its page and its log-probabilities."""
    folder = tmp_path_factory.mktemp("characters")
    (folder / "text.txt").write_text(STORY, encoding="utf-8")
    alphabet = np.unique(symbols.numbers(STORY + "".join(map(chr, range(0x4E00, 0x4F00)))))
    arch = Architecture("lstm", 1, 9, len(alphabet))
    params = network.initialise(arch, 1.5, torch.Generator().manual_seed(1))
    about = dataclasses.asdict(arch) | {
        "corpus": "text", "source": "random", "size": 8, "val_loss": 1.0, "dropout": 0.0,
        "alphabet": symbols.in_hex(alphabet), "symbols_are": "characters", "line_ends": "LF",
    }  # fmt: skip
    model = folder / "lstm.safetensors"
    model_file.save(model, live.halved(params), about)
    command = ["explore", str(model), "--text", str(folder / "text.txt"), "--backend", "reference"]
    for name, more in (("live", []), ("recorded", ["--recorded"])):
        more = [*more, "--csv", str(folder / f"{name}.csv"), "--out", str(folder / f"{name}.html")]
        assert main([*command, *more]) == 0
    return folder


@pytest.mark.parametrize("name", ["live", "recorded"])
def test_a_page_of_characters_shows_and_searches_them(browser, characters, name):
    opened(browser, characters / f"{name}.html")
    assert browser.evaluate("glyphs.text.join('')") == STORY.replace("\n", "↵")
    assert not browser.evaluate("glyphs.kind.includes(CONTINUATION)")
    losses = np.array(browser.evaluate("[...bytes.loss]"))
    expected = np.rint(-1000 * log_probs(characters / "live.csv"))
    assert np.abs(losses - expected).max() <= 1  # thousandths of a nat
    alphabet = set(map(ord, STORY)) | set(range(0x4E00, 0x4F00))
    assert set(browser.evaluate("[...bytes.guesses.subarray(0, bytes.text.length)]")) <= alphabet
    for query, count in (("да", 80), ("ДА", 0), ("😀", 80), ("世界 😀.\\n", 80), ("x", 0)):
        browser.evaluate(f"search({json.dumps(query)})")
        assert browser.evaluate("transient.hits.length") == count
    browser.evaluate("showCard(4)")
    assert "U+043A" in browser.evaluate("$('card').textContent")


def test_characters_are_typed_and_written(browser, characters, tmp_path):
    opened(browser, characters / "live.html")
    text = "Он сказал: «Да, 7 😀»,\n"
    browser.evaluate(f"readOwn(ownSymbols({json.dumps(text)}))")
    browser.wait("isRead()")
    assert browser.evaluate("bytes.text.length") == len(text)
    (tmp_path / "own.txt").write_text(text, encoding="utf-8", newline="")
    command = ["read", str(characters / "lstm.safetensors"), "--text", str(tmp_path / "own.txt")]
    assert main([*command, "--backend", "reference", "--csv", str(tmp_path / "own.csv")]) == 0
    got = np.array(browser.evaluate("[...bytes.logp.slice(0, bytes.text.length)]"), float)
    np.testing.assert_allclose(got, log_probs(tmp_path / "own.csv"), atol=1e-4)
    browser.wait("$('own-note').textContent.includes('bits per byte')")
    browser.evaluate("openPanel('write'); $('length').value = 40; sampleOwn()")
    browser.wait("!own.sampling && isRead()")
    assert browser.evaluate("bytes.text.length") == len(text) + 40
    assert browser.evaluate("$('own').value").startswith(text)
    writer = sample.Writer(characters / "lstm.safetensors")
    browser.evaluate(f"readOwn(ownSymbols({json.dumps(text)})); $('temperature').value = 0")
    browser.wait("isRead()")
    browser.evaluate("sampleOwn()")
    browser.wait("!own.sampling && isRead()")
    written = b"".join(sample.sample(writer, 40, 0, 0, "\n" + text)).decode()[1:]
    assert browser.evaluate("ownString(bytes.text)") == written
