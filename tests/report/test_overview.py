"""The short report of a run: what was found, in words, and links to what is there alone."""

import json
import re

import pandas as pd
import pytest
from valid_html import Checker

from charlens.cli import main
from charlens.errors import InputError
from charlens.report import overview

TABLES = {
    "table1": """corpus,type,layers,size,val_loss,loss
c,lstm,1,64,1.5,1.4
c,gru,2,64,1.3,1.2
""",
    "table2": """corpus,model,n,loss
c,n-gram,4,1.25
c,n-NN,3,1.6
""",
    "hypotheses": """corpus,model,hypothesis,measure,layer,unit,score,low,high,strength,beyond,\
beyond_baselines
c,lstm 1x64,quote,auc,1,7,0.95,0.9,0.97,0.9,True,True
c,lstm 1x64,newline_next,auc,1,8,0.9,0.85,0.95,0.8,True,False
c,lstm 1x64,depth,tau,2,3,-0.1,-0.2,0,0.1,False,False
""",
    "claims": """claim,where,verdict,effect,basis,reason
depth helps,c,holds,0.1,9 networks,
depth helps,c: LSTM,undecided,0.1,9 networks,interval crosses the bar
long reach,c,does not hold,0,2 networks,
GRU beats RNN,c,not in this run,,not in this run: no GRU,not in this run
first a 1-NN,c,undecided,,missing: an LSTM,missing
LSTM beats RNN,c,undecided,0.1,2 networks,one seed
GRU goes far,c,undecided,0.1,2 networks,one seed
deviations are small,c,undecided,0.1,2 networks,interval crosses the bar
n-NN overfits,c,undecided,0.1,2 networks,not all trained
then a 4-NN,c,undecided,0.1,2 networks,
""",
}


@pytest.fixture
def run(tmp_path):
    for folder in ("tables", "corpora/titled", "figures"):
        (tmp_path / folder).mkdir(parents=True)
    for name, table in TABLES.items():
        (tmp_path / f"tables/{name}.csv").write_text(table)
    about = {
        "corpus": "c",
        "title": "A <b>",
        "kind": "prose",
        "source": "s",
        "bytes": 4,
        "symbols": 3,
    }
    (tmp_path / "corpora/titled/c.json").write_text(json.dumps(about))
    (tmp_path / "corpora/c.txt").write_text("abc\n")
    (tmp_path / "figures/figure2-c.svg").write_text("<svg/>")
    (tmp_path / "tables/cells.html").write_text("")
    return tmp_path


def test_it_says_what_was_found_and_links_to_what_is_there(run):
    assert main(["report", str(run), "--out", str(run / "report.html")]) == 0
    page = " ".join((run / "report.html").read_text().split())
    checker = Checker()
    checker.feed(page)
    assert not checker.faults and not checker.open
    assert all("//" not in link for link in checker.links)  # all lie beside the page
    assert "A &lt;b&gt;" in page and "GRU 2x64" in page and "4-gram" in page
    assert "1.200 nats" in page and "the network predicts better" in page
    assert "1.7" in page and "no more than by chance" in page
    assert "−0.10 (−0.20 to 0.00)" in page
    assert '<a href="tables/claims.html#gru-goes-far">' in page
    page = re.sub(r'<a href="tables/claims[^>]*>(.*?)</a>', r"\1", page)
    assert "1 holds: depth helps" in page and "1 does not hold: long reach" in page
    assert page.count("depth helps") == 1  # a part of a claim is not the claim
    assert "1 is not in this run: <ul> <li>no GRU: GRU beats RNN</li>" in page
    seed = "one seed of each network, so that the effect of the seed is unknown"
    assert f"6 are undecided: <ul> <li>missing: an LSTM: first a 1-NN</li> <li>{seed}:" in page
    assert f"{seed}: LSTM beats RNN; GRU goes far</li>" in page
    assert "<li>the interval lies on both sides of the bar: deviations are small</li>" in page
    assert "<li>not everything that is planned is trained: n-NN overfits</li>" in page
    assert "<li>what was found does not decide it: then a 4-NN</li>" in page
    assert 'src="figures/figure2-c.svg"' in page and "figure4.svg" not in page
    assert 'href="tables/cells.html"' in page and "tables/inside.html" not in page


def test_minutes_are_those_of_the_trainings_of_these_settings(run):
    for size, seconds in ((64, (60, 30)), (512, (6000, 6000))):
        folder = run / f"models/c/type~lstm/layers~1/size~{size}/seed~1/dropout~0.0"
        folder.mkdir(parents=True)
        rows = "".join(f"{epoch},{s}\n" for epoch, s in enumerate(seconds, start=1))
        (folder / "history.csv").write_text("epoch,seconds\n" + rows)
    mine = str(run / "models/c/type~lstm/layers~1/size~64/seed~1/dropout~0.0/history.csv")
    assert main(["report", str(run), "--histories", mine, "--out", str(run / "report.html")]) == 0
    assert "trainings took 1.5 minutes" in (run / "report.html").read_text()
    assert "trainings took 201.5 minutes" in overview.page(run, {})


def test_what_is_left_from_other_settings_is_not_shown(run):
    (run / "figures/emergence.svg").write_text("<svg/>")
    (run / "tables/emergence.html").write_text("")
    made = [str(run / path) for path in ("figures/figure2-c.svg", "tables/cells.html")]
    assert main(["report", str(run), "--made", *made, "--out", str(run / "report.html")]) == 0
    page = (run / "report.html").read_text()
    assert "figures/figure2-c.svg" in page and "tables/cells.html" in page
    assert "emergence" not in page


def test_what_was_made_of_other_types_is_linked(run):
    assert "Other types" not in overview.page(run, {})
    for path in ("types/minlstm/figure2-c.svg", "types/minlstm/explorer/c.html",
                 "types/gru/figure4.svg"):  # fmt: skip
        (run / path).parent.mkdir(parents=True, exist_ok=True)
        (run / path).write_text("")
    page = " ".join(overview.page(run, {}).split())
    assert (
        '<li>minLSTM: <a href="types/minlstm/figure2-c.svg">units that follow the text</a>,'
        ' <a href="types/minlstm/explorer/c.html">explorer</a></li>'
    ) in page
    assert '<li>GRU: <a href="types/gru/figure4.svg">its errors</a></li>' in page
    left = [run / "types/minlstm/explorer/c.html"]  # the GRU is of other settings
    page = overview.page(run, {}, left)
    assert "types/minlstm/explorer/c.html" in page and "types/gru" not in page
    checker = Checker()
    checker.feed(page)
    assert not checker.faults and not checker.open


def test_an_empty_table_is_not_offered(run):
    (run / "tables/discrepancies.html").write_text("")
    assert 'href="tables/discrepancies.html"' in overview.page(run, {})
    (run / "tables/discrepancies.csv").write_text("corpus,model\n")
    assert 'href="tables/discrepancies.html"' not in overview.page(run, {})


def test_a_unit_follows_only_what_its_baselines_do_not_tell(run):
    rows = overview.page(run, {}).split("<tbody>")[1].split("</tbody>")[0].split("<tr>")[1:]
    told = {row.split("</th>")[0].removeprefix("<th>"): row.split("<td>")[-1] for row in rows}
    words = {"quote": "yes", "newline_next": "no more than its baselines",
             "depth": "no more than by chance"}  # fmt: skip
    assert {name: cell.split("</td>")[0] for name, cell in told.items()} == words


def test_units_are_those_of_the_network_of_the_explorer(run):
    page = overview.page(run, {})  # the best network is a GRU
    assert "The unit of LSTM 1x64 that follows" in page and "the units of LSTM 1x64" in page


def test_losses_of_a_text_beyond_ascii_are_per_character_and_in_bits_per_byte(run):
    (run / "corpora/c.txt").write_text("жж")
    page = overview.page(run, {})
    assert "2.400 nats per character (1.731 bits per byte)" in page


def test_a_network_whose_training_diverged_is_named(run):
    (run / "tables/table1.csv").write_text("""corpus,type,layers,size,val_loss,loss,failed
c,lstm,1,64,1.5,1.4,
c,rnn,2,64,4.6,,training diverged in epoch 1
""")
    page = overview.page(run, {})
    assert (
        "RNN 2x64 is left out: training diverged in epoch 1." in page and "LSTM 1x64 is" not in page
    )


def test_a_network_whose_training_diverged_is_not_the_best(run):
    table = pd.DataFrame({"corpus": "c", "type": ["gru", "lstm"], "layers": 1, "size": 64,
                          "val_loss": [1.38, 1.4], "loss": [None, 1.41],
                          "failed": ["in epoch 3", None]})  # fmt: skip
    assert overview.best(table, "c") == ("LSTM 1x64", 1.41)


def test_a_network_with_an_addition_is_named_in_full(run):
    """As in a run with types like gru+block, whose table 1 says so in columns of their own."""
    (run / "tables/table1.csv").write_text("""corpus,type,layers,size,val_loss,loss,block,recipe
c,gru,2,64,1.4,1.3,0,paper
c,gru,2,64,1.3,1.2,1,adamw
""")
    assert "GRU+block+adamw 2x64" in overview.page(run, {})


def test_a_study_tells_what_its_text_holds(run):
    study = {"notes": ["line ends: LF, kept"], "holds": ["inside quotes: 3% <of it>"]}
    (run / "study.json").write_text(json.dumps(study))
    page = overview.page(run, {})
    assert "line ends: LF, kept" in page and "inside quotes: 3% &lt;of it&gt;" in page
    assert "--minutes" not in page  # the network is ahead of the n-gram
    ahead = (run / "tables/table2.csv").read_text().replace("4,1.25", "4,1.15")
    (run / "tables/table2.csv").write_text(ahead)
    assert "With more time (--minutes), a study trains larger" in overview.page(run, {})
    (run / "study.json").write_text(json.dumps(study | {"largest": True}))
    assert "--minutes" not in overview.page(run, {})
    (run / "study.json").unlink()
    assert "--minutes" not in overview.page(run, {})


def test_a_missing_table_is_named(run):
    (run / "tables/table1.csv").unlink()
    with pytest.raises(InputError, match="table1.csv"):
        overview.page(run, {})
