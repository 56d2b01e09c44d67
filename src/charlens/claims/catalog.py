"""The list of claims: what the paper concludes, and the function that tests it."""

from collections.abc import Callable
from dataclasses import dataclass

from charlens.claims import (
    ablation,
    baselines,
    deviation_and_size,
    error_causes,
    first_epochs,
    gates,
    likeness,
    losses,
    reach,
    types,
    types_inside,
    types_skills,
    units,
)
from charlens.claims.evidence import Evidence
from charlens.claims.measure import Finding


@dataclass(frozen=True)
class Claim:
    """A claim: a short name, the paper's statement, and the function that tests it.

    The function raises Missing where its evidence is incomplete; its docstring is printed on the
    page.
    """

    name: str
    says: str
    test: Callable[[Evidence], list[Finding]]


CLAIMS = (
    Claim("depth helps", "Networks with at least two layers outperform those with one.",
          losses.depth_helps),
    Claim("3 layers against 2 is mixed", "Neither three layers nor two are consistently better.",
          losses.third_layer_mixed),
    Claim("LSTM beats RNN", "The LSTM outperforms the RNN.", losses.beats_rnn("lstm")),
    Claim("GRU beats RNN", "The GRU outperforms the RNN.", losses.beats_rnn("gru")),
    Claim("LSTM against GRU is mixed", "Neither the LSTM nor the GRU is consistently better.",
          losses.lstm_and_gru_mixed),
    Claim("best network beats the n-gram", "The best recurrent network outperforms the 20-gram.",
          losses.best_beats_ngram),
    Claim("n-NN agrees with n-gram", "For small n, the n-NN and the n-gram perform equally well.",
          baselines.nn_agrees),
    Claim("n-NN falls behind", "For larger n, the n-NN falls behind the n-gram.",
          baselines.nn_falls_behind),
    Claim("n-NN's loss rises", "At the largest n, the n-NN’s loss is higher than at a smaller one.",
          baselines.nn_loss_rises),
    Claim("n-NN overfits", "For larger n, the n-NN overfits.", baselines.nn_overfits),
    Claim("deviations are small", "The standard deviation of every loss over bootstrap samples of "
          "the test set is below 0.004.", deviation_and_size.deviations_are_small),
    Claim("networks are small", "The best network takes megabytes (11 MB in the paper), the "
          "20-gram gigabytes (3 GB).", deviation_and_size.networks_are_small),
    Claim("RNNs lie apart", "RNNs predict differently from LSTMs and GRUs, which predict alike.",
          likeness.rnns_lie_apart),
    Claim("long reach", "The LSTM gains most over the n-gram on characters that depend on "
          "long-range context: brackets, quotes, newline, space.", reach.gains_on_long_reach),
    Claim("far braces", "The LSTM predicts “}” better than the n-gram when its “{” is far away.",
          reach.gains_on_far_braces),
    Claim("brace gain decays", "The gain on “}” grows with the distance to its “{” up to about 60 "
          "characters, then decays.", reach.brace_gain_decays),
    Claim("first a 1-NN, then more", "Early in training, the LSTM resembles first the 1-NN, "
          "then the 2-NN, then the 3-NN.", first_epochs.nearest_nn_climbs),
    Claim("then a 4-NN and a 5-NN", "The resemblance goes on to the 4-NN and the 5-NN.",
          first_epochs.nearest_nn_goes_on),
    Claim("size removes n-gram errors", "Most of the errors that a larger LSTM removes are "
          "errors that an n-gram model does not make.",
          error_causes.size_removes_ngram_errors),
    Claim("interpretable cells exist", "Some units are interpretable.",
          units.units_follow_hypotheses),
    Claim("interpretable cells are used", "The network uses the units that are interpretable: they "
          "are not only there.", ablation.interpretable_units_are_used),
    Claim("most cells are not", "Most units are not interpretable.", units.most_units_do_not),
    Claim("forget gates remember", "Some forget gates are almost always open (right-saturated): "
          "their units remember for very long.", gates.forget_gates_stay_open),
    Claim("output gates move", "No output gate is always open or always closed.",
          gates.output_gates_move),
    Claim("first GRU layer is one-sided", "In the first layer of the GRU, the reset gate is almost "
          "never right-saturated, and the update gate almost never left-saturated.",
          gates.first_gru_layer_is_one_sided),
    Claim("first layer is diffuse", "The gates of the first layer are saturated far less often "
          "than those of higher layers.", gates.first_layer_is_diffuse),
)  # fmt: skip

# About types that the paper does not have: put to runs that have some (`Evidence.newer_types`).
NEWER = (
    Claim("newer beats LSTM and GRU", "A newer type outperforms LSTM and GRU at equal parameters, "
          "by the paper's recipe.", types.newer_beats),
    Claim("newer beats them in blocks", "A newer type outperforms LSTM and GRU at equal "
          "parameters, all with a block around each cell.", types.newer_beats_in_blocks),
    Claim("newer beats them by its recipe", "A newer type outperforms LSTM and GRU at equal "
          "parameters, all by the AdamW recipe.", types.newer_beats_by_its_recipe),
    Claim("block and recipe help", "A block around each cell and the AdamW recipe, together, "
          "lower the loss.", types.additions_help),
    Claim("depth of two helps newer types", "In the newer types, networks with two layers "
          "outperform those with one.", types.depth_of_two_helps),
    Claim("newer types count lines", "The newer types learn to count the characters of a line.",
          types_skills.lines_are_counted),
    Claim("newer types close far quotes", "The newer types learn to close a quotation that was "
          "opened far away.", types_skills.far_quotes_are_closed),
    Claim("newer types close far braces", "The newer types learn to close a “{” that was opened "
          "far away.", types_skills.far_braces_are_closed),
    Claim("windows lose nesting", "Types that read a window at once fall behind the LSTM where "
          "brackets are nested.", types_skills.windows_lose_nesting),
    Claim("newer types remove errors", "A newer type makes fewer errors than the LSTM in some "
          "category of figure 6.", types_skills.newer_remove_errors),
    Claim("newer types have interpretable cells", "Some units of each newer type are "
          "interpretable.", types_inside.newer_have_interpretable_units),
    Claim("newer types use them", "Each newer type uses most of its units that are "
          "interpretable.", types_inside.newer_use_interpretable_units),
    Claim("newer types spread what they know", "What a newer type knows of the text is told by "
          "many units, not by one.", types_inside.newer_spread_what_they_know),
    Claim("newer types first resemble a 1-NN", "Early in training, each newer type resembles first "
          "the 1-NN, then the 2-NN, then the 3-NN.", types_inside.newer_first_resemble_a_1nn),
)  # fmt: skip


def claims_about(evidence: Evidence) -> tuple[Claim, ...]:
    """The claims that apply to a run with this evidence."""
    return CLAIMS + NEWER if evidence.newer_types else CLAIMS
