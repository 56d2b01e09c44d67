/* Asking the text: which units are high in a selected passage and low around it; and finding a unit
   by its number, or by what it follows. */

const SURROUNDINGS = 200;   // characters on each side of a passage, at least
const ANSWERS = 8;          // units in each list

/* Select the characters from one to another, whichever comes first; null selects none. */
function select(anchor, at) {
  transient.anchor = anchor;
  view.selected = anchor === null ? null : {from: Math.min(anchor, at), to: Math.max(anchor, at) + 1};
  repaint('text');
  paintPanel();
  remember();
}

/* How each unit differs between a passage and what surrounds it: the mean of what it shows there, and
   around; the largest difference first. */
function distinguishing({from, to}) {
  const width = Math.max(SURROUNDINGS, to - from), within = [], around = [];
  for (let i = Math.max(0, from - width); i < Math.min(bytes.text.length, to + width); i++) {
    if (bytes.read[i] && bytes.valued[i]) (i >= from && i < to ? within : around).push(i);
  }
  const mean = (values, at) => at.reduce((sum, i) => sum + value(state(), values[i]), 0) / at.length;
  if (!within.length || !around.length) return [];
  return units().filter((unit) => series(state(), unit)).map((unit) => {
    const values = series(state(), unit), there = mean(values, within), elsewhere = mean(values, around);
    return {unit, there, elsewhere, by: there - elsewhere};
  }).sort((a, b) => b.by - a.by);
}

function paintPassage() {
  const {selected} = view;
  const quoted = selected ? glyphs.text.slice(selected.from, selected.to).join('').slice(0, 120) : '';
  $('passage').textContent = selected ? `“${quoted}”` : '';
  $('passage-help').hidden = Boolean(selected);
  $('answers').hidden = !selected;
  if (!selected) return;
  const found = distinguishing(selected);
  const row = ({unit, there, elsewhere}) => {
    const tr = element('tr'), first = element('td');
    first.append(unitButton(unit, id(unit)));
    const others = [signedNumber(there), signedNumber(elsewhere), nameOf(unit)];
    tr.append(first, ...others.map((text) => element('td', text)));
    return tr;
  };
  const some = (list, sign) => list.filter(({by}) => sign * by > 0).slice(0, ANSWERS).map(row);
  $('high-there').replaceChildren(...some(found, 1));
  $('low-there').replaceChildren(...some(found.toReversed(), -1));
  $('passage-note').textContent = !found.length ? 'Not read yet.'
    : 'Means of what each unit shows in the passage and around it, as far as the passage is long on both'
      + ` sides (at least ${SURROUNDINGS} characters). A passage chosen by looking says where to look, no more.`;
}

/* Choose a unit by its number ('2.62'), or order the list by a hypothesis that has these words. */
function findUnit(words) {
  const wanted = words.trim().toLowerCase(), unit = parseUnit(wanted);
  $('unit-found').textContent = '';
  if (!wanted) return;
  if (unit) {
    onlyLayer(null);
    choose(unit);
    revealChosen();
    return;
  }
  const hypothesis = (facts.hypotheses || [])
    .find(({name, title}) => `${title} ${name}`.toLowerCase().includes(wanted));
  if (!hypothesis) { $('unit-found').textContent = 'none'; return; }
  sortBy(`by ${hypothesis.name}`);
  step(-Infinity);
}

function listenToQuestions() {
  $('find-unit').addEventListener('input', () => findUnit($('find-unit').value));
  $('unselect').addEventListener('click', () => select(null));
  $('names').replaceChildren(...(facts.hypotheses || []).map(({title}) => {
    const option = element('option');
    option.value = title;
    return option;
  }));
}
