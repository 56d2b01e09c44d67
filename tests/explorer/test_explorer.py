"""The explorer's page: what is in it, and that no text can be more than data (see test_page.py)."""

import base64
import dataclasses
import html.parser
import json
import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from conftest import small_split

from charlens.cli import main
from charlens.data import split
from charlens.errors import InputError
from charlens.explorer import explore, own_text, page
from charlens.explorer.recording import UNSCORED, Recording, quantise, record, spread
from charlens.networks import model_file, network
from charlens.networks.architecture import Architecture
from charlens.text.hypotheses import labellings
from charlens.training import score, score_text

HOSTILE = "</script><script>alert(1)</script> & <!-- {{facts}} ]]> \u2028"


def saved(path, arch, alphabet, **more):
    params = network.initialise(arch, 0.8, torch.Generator().manual_seed(1))
    about = dataclasses.asdict(arch) | {
        "corpus": "text", "source": "random", "size": 8, "val_loss": 1.0, "dropout": 0.0,
        "alphabet": bytes(alphabet).hex(), **more,
    }  # fmt: skip
    model_file.save(path, params, about)
    return params


class Elements(html.parser.HTMLParser):
    """The elements of a page as a browser finds them: tag, attributes, text."""

    def __init__(self, content: bytes):
        super().__init__()
        self.found = []
        self.feed(content.decode())

    def handle_starttag(self, tag, attrs):
        self.found.append([tag, dict(attrs), ""])

    def handle_data(self, data):
        if self.found:
            self.found[-1][2] += data


def contents(content: bytes):
    """Facts, and blocks as bytes, of a page."""
    scripts = [(a, text) for tag, a, text in Elements(content).found if tag == "script"]
    (facts,) = [json.loads(text) for a, text in scripts if a.get("id") == "facts"]
    blocks = {
        a["id"].removeprefix("block-"): zlib.decompress(base64.b64decode(text))
        for a, text in scripts
        if a.get("id", "").startswith("block-")
    }
    return facts, blocks


# ---- the recording ----


def by_hand(arch, params, codes):
    """Everything in float64, one character at a time, for one stream of codes."""
    p = {name: value.double().numpy() for name, value in params.items()}
    sigm = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    H = arch.hidden
    h, c = np.zeros((arch.layers, H)), np.zeros((arch.layers, H))
    values, expected = [], []
    for code in codes:
        x, seen = np.eye(arch.symbols)[code], {}
        for layer in range(arch.layers):
            w = {n.split(".", 2)[2]: v for n, v in p.items() if n.startswith(f"layers.{layer}.")}
            a = x @ w["w_x"] + w["b"]
            if arch.type == "lstm":
                a = a + h[layer] @ w["w_h"]
                i, f, o = (sigm(a[k * H : (k + 1) * H]) for k in range(3))
                g = np.tanh(a[3 * H :])
                c[layer] = f * c[layer] + i * g
                h[layer] = o * np.tanh(c[layer])
                now = {"c": np.tanh(c[layer]), "i": i, "f": f, "o": o, "g": g}
            elif arch.type == "gru":
                r, z = np.split(sigm(a[: 2 * H] + h[layer] @ w["w_h"]), 2)
                g = np.tanh(a[2 * H :] + (r * h[layer]) @ w["w_g"] + w["b_g"])
                h[layer] = (1 - z) * h[layer] + z * g
                now = {"h": h[layer].copy(), "r": r, "z": z, "g": g}
            else:
                h[layer] = np.tanh(a + h[layer] @ w["w_h"])
                now = {"h": h[layer].copy()}
            for name, value in now.items():
                seen.setdefault(name, []).append(value)
            x = h[layer]
        logits = x @ p["out.w"] + p["out.b"]
        values.append(seen)
        expected.append(logits - np.log(np.exp(logits).sum()))
    return values, np.array(expected)


@pytest.mark.parametrize("type", ["lstm", "gru", "rnn"])
def test_a_recording_is_what_the_network_holds(type):
    arch = Architecture(type, 2, 5, 7)
    params = network.initialise(arch, 1.0, torch.Generator().manual_seed(3))
    n, streams = 130, 3  # more than a window
    codes = np.random.default_rng(0).integers(7, size=(streams, n + 1)).astype(np.uint8)
    characters, gates = 2 * n + 50, n + 20
    found = record(arch, params, codes, characters, gates)
    state = "c" if type == "lstm" else "h"
    assert {name: v.shape for name, v in found.values.items()} == {
        name: (2, 5, characters if name == state else gates)
        for name in {"lstm": "cifog", "gru": "hrzg", "rnn": "h"}[type]
    }
    assert found.guesses.shape == (5, characters) and found.loss.shape == (characters,)
    for s in range(streams):
        values, expected = by_hand(arch, params, codes[s])
        for t in range(n):
            at = s * n + t
            if at >= characters:
                break
            for name, kept in found.values.items():
                if at < kept.shape[2]:
                    signed = name in "chg"
                    got = kept[:, :, at].astype(float)
                    got = (got - 128) / 127 if signed else got / 255
                    step = 1 / 127 if signed else 1 / 255
                    np.testing.assert_allclose(
                        got, np.array(values[t + 1][name]), atol=step / 2 + 1e-4
                    )
            assert found.loss[at] == pytest.approx(-1000 * expected[t][codes[s, t + 1]], abs=0.6)
            order = np.sort(expected[t + 1])[::-1][:5]
            np.testing.assert_allclose(found.chances[:, at] / 65535, np.exp(order), atol=1e-4)
            np.testing.assert_allclose(expected[t + 1][found.guesses[:, at]], order, atol=1e-5)


def test_eight_bits_hold_the_ends_and_the_middle():
    values = np.array([-2.0, -1.0, -0.004, 0.0, 0.004, 1.0, 2.0])
    assert quantise(values, signed=True).tolist() == [1, 1, 127, 128, 129, 255, 255]
    assert quantise(values, signed=False).tolist() == [0, 0, 0, 0, 1, 255, 255]


def test_what_is_unknown_holds_what_was_before_it():
    values = {"h": np.arange(6, dtype=np.uint8).reshape(1, 2, 3), "z": np.array([[[7, 8]]])}
    row = np.arange(3, dtype=np.uint16)
    found = spread(
        Recording(values, row[None], row[None] + 7, row), np.array([0, 1, 0, 1, 1, 0]) > 0
    )
    assert found.values["h"].tolist() == [[[0, 0, 0, 1, 2, 2], [3, 3, 3, 4, 5, 5]]]
    assert found.values["z"].tolist() == [[[7, 7, 7, 8]]]  # as far as its last character
    assert found.loss.tolist() == [UNSCORED, 0, UNSCORED, 1, 2, UNSCORED]
    assert found.guesses.tolist() == [[0, 0, 0, 1, 2, 2]]
    assert found.chances.tolist() == [[0, 7, 7, 8, 9, 9]]  # nothing before the first
    assert found.chances.dtype == np.uint16


# ---- the page ----


def test_the_page_of_a_split(tmp_path, data, capsys):
    path = tmp_path / "m.safetensors"
    arch = Architecture("lstm", 2, 4, data.symbols)
    saved(path, arch, data.alphabet)
    split.save(tmp_path / "s.npz", data)
    out = tmp_path / "deep/page.html"
    command = ["explore", str(path), "--split", str(tmp_path / "s.npz"), "--title", HOSTILE]
    command += ["--recorded"]
    assert main([*command, "--characters", "40", "--gates", "20", "--out", str(out)]) == 0
    assert "40 characters" in capsys.readouterr().out
    facts, blocks = contents(out.read_bytes())
    assert facts["name"] == HOSTILE and facts["breaks"] == [16, 32]  # streams of 16 characters
    assert blocks["text"] == data.alphabet[data.test.y.ravel()[:40]].tobytes()
    scores = score.score(path, data)[:40]
    loss = np.frombuffer(blocks["loss"], "<u2") / 1000
    np.testing.assert_allclose(loss, -scores, atol=6e-4)
    assert [len(blocks[f"c.{layer}"]) for layer in (0, 1)] == [4 * 40] * 2
    assert [len(blocks[f"{gate}.1"]) for gate in "ifog"] == [4 * 20] * 4


def test_of_several_models_the_best_on_validation(tmp_path, data):
    split.save(tmp_path / "s.npz", data)
    for name, layers, loss in (("a", 1, 1.2), ("b", 2, 1.1), ("c", 3, 1.3)):
        saved(tmp_path / name, Architecture("rnn", layers, 3, data.symbols), data.alphabet,
              val_loss=loss)  # fmt: skip
    command = ["explore", *(str(tmp_path / name) for name in "abc")]
    out = tmp_path / "p.html"
    assert main([*command, "--split", str(tmp_path / "s.npz"), "--out", str(out)]) == 0
    assert contents(out.read_bytes())[0]["layers"] == 2


def test_the_page_of_a_text(tmp_path, data, capsys):
    path, text = tmp_path / "m.safetensors", tmp_path / "<b>my & text"
    saved(path, Architecture("gru", 1, 4, data.symbols), data.alphabet, corpus=HOSTILE)
    written = b"\0aba</script>\xff" + b"cab" * 100
    text.write_bytes(written)
    out, rows = tmp_path / "p.html", tmp_path / "p.csv"
    command = ["explore", str(path), "--text", str(text), "--characters", "50", "--recorded"]
    assert main([*command, "--gates", "20", "--csv", str(rows), "--out", str(out)]) == 0
    facts, blocks = contents(out.read_bytes())
    assert facts["name"] == text.name and facts["corpus"] == HOSTILE
    assert "unknown to the model's alphabet" in facts["summary"]
    assert facts["summary"] in capsys.readouterr().out
    assert blocks["text"] == written[:50]
    loss = np.frombuffer(blocks["loss"], "<u2")
    assert np.array_equal(loss == UNSCORED, [c not in data.alphabet for c in written[:50]])
    assert len(rows.read_text().splitlines()) == 1 + len(written)  # all of it


def test_no_data_is_markup():
    facts = {"name": HOSTILE, "nested": [{"</SCRIPT>": "<style>"}]}
    blocks = {"text": np.frombuffer(HOSTILE.encode(), np.uint8), "more": np.arange(5, dtype="<u2")}
    content = page.page(HOSTILE, facts, blocks)
    plain = page.page("", {}, dict.fromkeys(blocks, np.zeros(1, np.uint8)))

    def tags(c):
        return [tag for tag, _, _ in Elements(c).found]

    assert tags(content) == tags(plain)
    assert contents(content) == (facts, {k: v.tobytes() for k, v in blocks.items()})
    (title,) = [text for tag, _, text in Elements(content).found if tag == "title"]
    assert title.strip() == HOSTILE.strip()
    assert "{{" not in plain.decode()


def test_the_policy_lets_nothing_be_fetched_and_this_script_alone_run():
    content = page.page("t", {}, {}).decode()
    (policy,) = [
        a["content"]
        for tag, a, _ in Elements(content.encode()).found
        if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    for name in page.SCRIPTS:
        script = (page.resources.files("charlens") / "explorer" / name).read_text()
        assert "</script" not in script.lower() and "innerHTML" not in script
    plain = content.replace("http://www.w3.org/2000/svg", "")  # the name of a format, no address
    assert "http://" not in plain and "https://" not in plain


def test_the_page_does_not_depend_on_the_locale():
    code = (
        "import sys; from charlens.explorer import page;"
        " sys.stdout.buffer.write(page.page('t', {}, {}))"
    )
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True)
    assert done.stdout == page.page("t", {}, {}), done.stderr.decode()


def test_three_layers_of_the_largest_budget_stay_below_40_mb():
    """Even if no value could be compressed: the units' states and every gate."""
    arch = Architecture("lstm", 3, 300, 101)
    random = np.random.default_rng(0)
    values = {
        name: random.integers(256, size=(3, 300, 20_000 if name == "c" else 4_000), dtype=np.uint8)
        for name in "cifog"
    }
    small = random.integers(65535, size=(5, 20_000), dtype=np.uint16)
    recording = Recording(values, (small % 101).astype(np.uint8), small, small[0])
    text = random.integers(256, size=20_000, dtype=np.uint8)
    about = {"corpus": "x", "source": "y", "alphabet": bytes(range(101)).hex()}
    facts = {"name": "x", "breaks": [], "summary": ""}
    content = explore.explorer(text, recording, arch, about, facts)
    assert 35e6 < len(content) <= 40e6
    for name in ("c.0", "c.2", "i.0", "f.1", "o.2"):
        assert f'id="block-{name}"'.encode() in content
    less = Recording({"c": values["c"], "g": values["g"]}, *dataclasses.astuple(recording)[1:])
    assert b'id="block-g.0"' in explore.explorer(text, less, arch, about, facts)


# ---- labels ----


def test_labels_of_a_text():
    """Yes and no at the ends; counts up to what one in a hundred exceeds; unknown told apart."""
    text = b'He said: "Come, (now) Ann!" and left.\n' * 40 + b'"open\n'
    at = np.arange(5, len(text))
    labels = explore.labelled(explore.labels_at(text, "prose", at))
    every = labellings(text, "prose")
    assert set(labels) <= set(every)
    for name, (values, top) in labels.items():
        truth, defined = every[name].values[at], every[name].defined[at]
        assert top == max(1, np.percentile(truth[defined], 99))
        assert values.dtype == np.uint8 and np.array_equal(values == 255, ~defined)
        assert set(values) <= {0, 254, 255} or not truth.max() < 2
        rising = np.argsort(truth[defined], kind="stable")
        assert (np.diff(values[defined][rising].astype(int)) >= 0).all()
    quote, _ = labels["quote"]
    assert quote[text.index(b"Come") - 5] == 254 and quote[0] == 0
    position, top = labels["line_position"]
    assert position.max() == 254 and top == 37  # of 38 characters


def test_labels_go_with_the_text_that_is_shown(tmp_path, data, capsys):
    path, out = tmp_path / "m", tmp_path / "p.html"
    saved(path, Architecture("rnn", 1, 3, data.symbols), data.alphabet)
    whole = np.zeros(4 * 72, np.uint8)  # as small_split has it: 4 streams, 72 characters each
    for part in (data.train, data.val, data.test):
        for begin, row in zip(part.at, part.y, strict=True):
            whole[begin : begin + len(row)] = data.alphabet[row]
    # the test's own lines: position in line is what they are counted by
    (tmp_path / "t.txt").write_bytes(whole.tobytes())
    split.save(tmp_path / "s.npz", data)
    command = ["explore", str(path), "--split", str(tmp_path / "s.npz"), "--kind", "prose"]
    assert main([*command, "--out", str(out)]) == 1
    assert "--corpus" in capsys.readouterr().err
    command += ["--out", str(out), "--corpus", str(tmp_path / "t.txt")]
    assert main(command) == 0
    facts, blocks = contents(out.read_bytes())
    offsets = (data.test.at[:, None] + np.arange(data.test.y.shape[1])).ravel()
    (label,) = facts["labels"]  # all else is flat
    assert (label["name"], label["yes_no"]) == ("line_position", False) and label["top"] > 1
    truth = labellings(whole.tobytes(), "prose")["line_position"].values[offsets]
    shown = np.frombuffer(blocks["label.line_position"], np.uint8)
    assert np.corrcoef(truth, shown)[0, 1] > 0.999
    (tmp_path / "t.txt").write_bytes(whole.tobytes()[1:] + b"a")
    assert main(command) == 1
    assert "is not the text of" in capsys.readouterr().err


# ---- hypotheses ----

TABLE = """corpus,model,layer,unit,hypothesis,score,low,high
text,rnn 2x8,2,3,quote,0.02,0.01,0.03
text,rnn 2x8,1,1,quote,0.9,0.8,0.95
other,rnn 2x8,1,2,quote,0.5,0.4,0.6
text,lstm 2x8,1,2,quote,0.5,0.4,0.6
text,rnn 2x8,1,2,mine <b>,,,
"""
RNN = Architecture("rnn", 2, 3, 7)
ABOUT = {"corpus": "text", "size": 8}


def test_hypotheses_come_in_the_order_of_their_table(tmp_path):
    (tmp_path / "cells.csv").write_text(TABLE)
    quote, mine = explore.hypotheses(tmp_path / "cells.csv", RNN, ABOUT)
    assert quote == {
        "name": "quote", "title": "inside quotes", "yes_no": True,
        "order": [5, 0], "score": [0.02, 0.9], "low": [0.01, 0.8], "high": [0.03, 0.95],
    }  # fmt: skip
    assert mine["title"] == "mine <b>" and mine["score"] == [None] and mine["order"] == [1]


def test_where_nothing_was_searched_there_is_nothing_to_sort_by(tmp_path):
    (tmp_path / "cells.csv").write_text(TABLE.splitlines()[0])
    assert explore.hypotheses(tmp_path / "cells.csv", RNN, ABOUT) == []


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (None, "cannot read"),
        (TABLE.replace("rnn", "gru"), "expected units of rnn 2x8, got gru 2x8, lstm 2x8"),
        (TABLE.replace("2,3,quote", "2,4,quote"), "no unit 4 in layer 2"),
        (TABLE.replace("0.02", "high"), "is not a table of units"),
        ("a,b\n1,2\n", "is not a table of units"),
    ],
)
def test_another_table_is_refused(tmp_path, table, words):
    if table is not None:
        (tmp_path / "cells.csv").write_text(table)
    with pytest.raises(InputError, match=words):
        explore.hypotheses(tmp_path / "cells.csv", RNN, ABOUT)


# ---- clamped units ----

CLAMPED = """corpus,model,layer,unit,hypothesis,clamp,loss,own,used
text,rnn 2x8,2,3,quote,mean,0.0123,-0.25,1
text,rnn 2x8,2,3,quote,zero,0.5,-0.5,0
text,rnn 2x8,2,3,depth,mean,0.0123,0.001,0
text,rnn 2x8,1,1,mine <b>,mean,-0.001,0.02,0
text,rnn 2x8,1,2,quote,mean,0.001,,0
text,lstm 2x8,1,3,quote,mean,0.5,0.4,0
other,rnn 2x8,1,3,quote,mean,0.5,0.4,0
"""


def test_what_clamping_a_unit_changes_is_said_in_a_line(tmp_path):
    (tmp_path / "ablation.csv").write_text(CLAMPED)
    assert explore.clamped(tmp_path / "ablation.csv", RNN, ABOUT) == {
        "2.3": "clamped to its mean: −25.0 points of probability for its own characters"
        " (inside quotes), +0.0123 nats; the network uses it",
        "1.1": "clamped to its mean: +2.0 points of probability for its own characters"
        " (mine <b>), −0.0010 nats; the network does not use it",
    }
    with pytest.raises(InputError, match="no readable table"):
        explore.clamped(tmp_path / "absent.csv", RNN, ABOUT)


# ---- bad input ----


def test_bad_input_is_one_line(tmp_path, data, capsys):
    split.save(tmp_path / "s.npz", data)
    split.save(tmp_path / "other.npz", small_split(symbols=9))
    saved(tmp_path / "rnn", Architecture("rnn", 1, 3, data.symbols), data.alphabet)
    saved(tmp_path / "nn", Architecture("nn", 1, 3, data.symbols, 2), data.alphabet)
    (tmp_path / "late.txt").write_bytes(b"XXXXXXaaa")
    for words, model_name, *arguments in (
        ("an n-NN has no units", "nn", "--split", "s.npz"),
        ("trained on", "rnn", "--split", "other.npz"),
        ("any text, scored as it is: --text", "rnn", "--split", "other.npz"),
        ("--from 99", "rnn", "--text", "late.txt", "--from", "99"),
        ("--from and --whole require --text", "rnn", "--split", "s.npz", "--from", "9"),
        ("at least 1", "rnn", "--split", "s.npz", "--gates", "0"),
        ("--csv requires --text", "rnn", "--split", "s.npz", "--csv", "x"),
        ("first 5 characters are unknown", "rnn", "--text", "late.txt", "--characters", "5"),
        ("cannot read", "rnn", "--text", "absent"),
    ):
        arguments = [str(tmp_path / a) if "." in a or a == "absent" else a for a in arguments]
        out = str(tmp_path / "page.html")
        assert main(["explore", str(tmp_path / model_name), *arguments, "--out", out]) == 1
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


# ---- a text of one's own ----


def test_units_are_scored_on_the_text_that_is_shown(tmp_path, capsys):
    """A network whose first unit follows the line: its score is of this text, not of the table."""
    alphabet = bytes(sorted(set(b"\nabc")))
    arch = Architecture("rnn", 1, 4, len(alphabet))
    saved(tmp_path / "m", arch, alphabet)
    text = "\n".join("abcab"[: 2 + k % 4] * (1 + k % 3) for k in range(1200)).encode()
    (tmp_path / "my.txt").write_bytes(text)
    with open(tmp_path / "cells.csv", "w") as table:
        table.write("corpus,model,layer,unit,hypothesis,score,low,high\n")
        table.write("text,rnn 1x8,1,2,newline_next,0.111,0.1,0.2\n")
        table.write("text,rnn 1x8,1,2,quote,0.222,0.1,0.2\n")
    command = ["explore", str(tmp_path / "m"), "--text", str(tmp_path / "my.txt")]
    command += ["--cells", str(tmp_path / "cells.csv"), "--out", str(tmp_path / "p.html")]
    assert main(command) == 0
    facts, _ = contents((tmp_path / "p.html").read_bytes())
    found = {entry["name"]: entry for entry in facts["hypotheses"]}
    assert "newline_next" in found and "quote" not in found  # the text has no quotation marks
    entry = found["newline_next"]
    assert sorted(entry["order"]) == [0, 1, 2, 3] and 0.111 not in entry["score"]
    assert entry["elsewhere"][entry["order"].index(1)] == 0.111 and facts["elsewhere"] == "text"
    assert all(low <= high for low, high in zip(entry["low"], entry["high"], strict=True))

    assert main([*command, "--characters", "100"]) == 0  # too short to score: the table's, named
    facts, _ = contents((tmp_path / "p.html").read_bytes())
    assert facts["origin"] == "text" and "not on this text" in facts["scored"]
    assert {entry["name"] for entry in facts["hypotheses"]} == {"newline_next", "quote"}


def test_units_of_a_split_without_a_table_are_scored_on_what_is_shown(tmp_path):
    text = "".join(f'say("king {k}"); if (k < {k % 7}) {{ go(); }}\n' for k in range(700)).encode()
    data = split.split(text, "streams", 5, 20, [0.4, 0.1, 0.5])
    split.save(tmp_path / "s.npz", data)
    (tmp_path / "t.txt").write_bytes(text)
    saved(tmp_path / "m", Architecture("rnn", 1, 3, data.symbols), data.alphabet)
    command = ["explore", str(tmp_path / "m"), "--split", str(tmp_path / "s.npz"), "--kind", "code"]
    command += ["--corpus", str(tmp_path / "t.txt"), "--out", str(tmp_path / "p.html")]
    assert main(command) == 0
    facts, _ = contents((tmp_path / "p.html").read_bytes())
    assert "quote" in {entry["name"] for entry in facts["hypotheses"]}
    assert "of this text" in facts["scored"] and not facts["origin"]


def test_two_pages_in_one(tmp_path, data, capsys):
    """The page beside another is data, and both policies allow its scripts."""
    for type in ("lstm", "gru"):
        saved(tmp_path / type, Architecture(type, 1, 4, data.symbols), data.alphabet)
    (tmp_path / "a.txt").write_bytes(bytes(data.alphabet) * 20)
    command = ["explore", str(tmp_path / "lstm"), "--text", str(tmp_path / "a.txt"), "--title"]
    command += [HOSTILE, "--out", str(tmp_path / "p.html")]
    assert main([*command, "--beside", str(tmp_path / "gru")]) == 0
    content = (tmp_path / "p.html").read_bytes()
    elements = Elements(content).found
    (pages,) = [text for tag, a, text in elements if a.get("id") == "pages"]
    inner = [page.encode() for page in json.loads(pages)["pages"]]
    assert [contents(page)[0]["model"] for page in inner] == ["LSTM 1×8", "GRU 1×8"]
    assert [tag for tag, _, _ in elements].count("script") == 2

    def allowed(page):
        (policy,) = [a["content"] for _, a, _ in Elements(page).found if "http-equiv" in a]
        return set(policy.replace(";", "").split())

    assert all(allowed(page) <= allowed(content) for page in inner)
    assert main([*command, "--beside", str(tmp_path / "gru"), "--beside-text", "x"]) == 1
    assert "exclude each other" in capsys.readouterr().err


def test_a_later_stretch_is_read_after_a_warm_up(tmp_path, data, monkeypatch):
    arch = Architecture("lstm", 1, 4, data.symbols)
    saved(tmp_path / "m", arch, data.alphabet)
    text = np.random.default_rng(0).choice(data.alphabet, 3000).tobytes()
    (tmp_path / "my.txt").write_bytes(text)
    read = []
    score_it = score_text.score

    def counted(arch, params, part, *more):
        read.append(len(part.text))
        return score_it(arch, params, part, *more)

    monkeypatch.setattr(score_text, "score", counted)
    command = ["explore", str(tmp_path / "m"), "--text", str(tmp_path / "my.txt")]
    command += ["--out", str(tmp_path / "p.html"), "--characters", "200", "--recorded"]

    def shown(*options):
        assert main([*command, *options]) == 0
        facts, blocks = contents((tmp_path / "p.html").read_bytes())
        return facts, blocks["text"], np.frombuffer(blocks["loss"], "<u2")

    facts, whole_text, whole = shown("--characters", "3000")
    assert whole_text == text
    facts, part, loss = shown("--from", "2500")
    assert part == text[2500:2700] and "characters 2,501 to 2,700 of 3,000" in facts["summary"]
    assert np.abs(loss.astype(int) - whole[2500:2700]).max() <= 2  # as if all had been read
    facts, _, _ = shown("--from", "2500", "--whole")
    assert "all were scored" in facts["summary"]
    assert read == [3000, 1200, 3000]
    assert main([*command, "--from", "3000"]) == 1


def test_units_are_scored_on_memories_that_the_page_shows_as_one_colour():
    """The c of an LSTM that counts to 60 is 255 of 255 from 3 on."""
    arch = Architecture("lstm", 1, 1, 2)
    params = network.initialise(arch, 0.0, torch.Generator())
    params["layers.0.b"] += 100  # every gate is open
    codes = np.zeros((1, 61), np.uint8)
    made = record(arch, params, codes, 60, 0, memory=True)
    assert (made.memory[0, 0] == np.arange(2, 62)).all()  # the first is before the text
    assert len(set(made.values["c"][0, 0])) < 10
    known = np.arange(80) % 4 > 0
    wide = spread(made.after(0), known)
    assert (wide.memory[..., known] == made.memory).all()
    assert made.after(10).memory[0, 0, 0] == 12
    assert record(arch, params, codes, 60, 0).memory is None


def test_characters_that_were_not_read_score_no_unit():
    """A unit that follows the labels at unread characters alone, where its state is only repeated,
    follows nothing."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 20_000)
    read = np.arange(20_000) % 4 > 0
    values = np.where(read, rng.normal(size=20_000), 9 * labels).astype(np.float16)
    loss = np.where(read, 0, UNSCORED)
    nothing = np.zeros((1, 20_000))
    made = Recording({}, nothing, nothing, loss, memory=values[None, None])
    text = np.zeros(20_000, np.uint8)
    shown = own_text.Shown(text, np.arange(20_000), made, {"name": "it"}, b"", "prose")
    (entry,) = own_text.scored_here(shown, {"quote": (labels, np.ones(20_000, bool), True)})
    assert abs(entry["score"][0] - 0.5) < 0.03
