/* The dossier of a unit: what it follows, in words; its values; where they are largest and smallest;
   what it does to the output; and which units move with it. */

const SNIPPETS = 5;         // of each kind
const AROUND = 26;          // characters of a snippet before and after the one it is about
const APART = 80;           // characters between two snippets, at least
const BARS = 40;            // of the histogram
const COMPANIONS = 6;
const LEAST = 1000;         // characters from which the percentiles of a unit are taken
const PASSAGE = 300;        // characters over which the effect on the output is measured

const dossier = {about: '', effects: new Map(), asked: ''};

/* 0, chance, to 1. */
const strength = (score, yes_no) => yes_no ? Math.abs(2 * score - 1) : Math.abs(score);

/* What a score says, in words: 'falls inside quotes'. */
function inWords({title, yes_no}, score) {
  const s = strength(score, yes_no);
  const how = s >= 0.8 ? '' : s >= 0.4 ? 'mostly ' : s >= 0.15 ? 'weakly ' : 'hardly ';
  const way = score > (yes_no ? 0.5 : 0) ? 'rises' : 'falls';
  if (!yes_no) return `${how}${way} with ${title}`;
  return `${how}${way} ${title.startsWith('inside') ? '' : 'where '}${title}`;
}

/* What a unit follows: hypothesis, place among all units (0 is the strongest), score; the strongest
   first. */
function followed(unit) {
  const number = unit.layer * facts.hidden + unit.index, found = [];
  for (const hypothesis of facts.hypotheses || []) {
    const place = hypothesis.order.indexOf(number), score = hypothesis.score[place];
    if (typeof score === 'number') found.push({hypothesis, place, score, s: strength(score, hypothesis.yes_no)});
  }
  return found.sort((a, b) => b.s - a.s);
}

/* The hypothesis for which a unit is the strongest of all, if there is one: its name. */
function nameOf(unit) {
  const first = followed(unit).find(({place, s}) => place === 0 && s >= 0.3);
  return first ? first.hypothesis.title : '';
}

const ENDINGS = {1: 'st', 2: 'nd', 3: 'rd'};
const ordinal = (n) => n + (n % 100 > 10 && n % 100 < 14 ? 'th' : ENDINGS[n % 10] || 'th');

function paintDossier() {
  const {unit} = view, values = series(state(), unit);
  const name = nameOf(unit);
  $('unit-name').textContent = `Layer ${unit.layer + 1}, unit ${unit.index + 1}${name ? `: “${name}”` : ''}`;
  $('unit-key').textContent = `${id(unit)} for short: layer ${unit.layer + 1} of ${facts.layers}`
    + `${facts.layers > 1 ? ', counted from the input' : ''}; unit ${unit.index + 1} of ${facts.hidden}.`;
  paintFollowed(unit);
  if (!values) return;
  const known = [...values.keys()].filter((i) => bytes.valued[i] && bytes.read[i]);
  const eighths = Math.ceil(8 * known.length / bytes.text.length);   // while the text is read, eight times
  const about = `${id(unit)} ${eighths} ${complete()} ${own.shown && bytes.text.length} ${dark()} ${view.palette}`;
  if (about === dossier.about) return;
  dossier.about = about;
  paintHistogram(values, known);
  paintSnippets(values, known);
  paintCompanions(unit);
  askForEffect(unit);
}

function paintFollowed(unit) {
  const lines = followed(unit).filter(({place, s}, k) => s >= 0.1 && (place < 20 || k < 2)).slice(0, 4)
    .map(({hypothesis, place, score}) => {
      const li = element('li', `${inWords(hypothesis, score)} `);
      const [low, high] = [hypothesis.low[place], hypothesis.high[place]];
      const interval = typeof low === 'number' ? ` (${low.toFixed(2)} to ${high.toFixed(2)})` : '';
      li.append(element('small', `${hypothesis.yes_no ? 'AUC' : 'rank correlation'} ${score.toFixed(2)}${interval}`
        + `, ${ordinal(place + 1)} of ${hypothesis.order.length} units`
        + (facts.origin ? `, on ${facts.origin}` : '')));
      return li;
    });
  const none = (facts.hypotheses || []).length ? 'follows no hypothesis that was tested' : '';
  $('follows').replaceChildren(...lines.length || !none ? lines : [element('li', none)]);
  $('ablated').textContent = facts.clamped?.[id(unit)] || '';
}

function paintHistogram(values, known) {
  const canvas = $('histogram'), context = canvas.getContext('2d'), {fill} = scale(state());
  const counts = new Array(BARS).fill(0);
  let sum = 0, squares = 0;
  for (const i of known) {
    const v = value(state(), values[i]);
    counts[Math.min(BARS - 1, Math.floor((v + 1) / 2 * BARS))] += 1;
    sum += v;
    squares += v * v;
  }
  const n = known.length || 1, mean = sum / n, most = Math.max(1, ...counts);
  const wide = canvas.width / BARS, tall = canvas.height;
  context.clearRect(0, 0, canvas.width, tall);
  counts.forEach((count, k) => {
    const height = count ? Math.max(2, count / most * (tall - 2)) : 0;
    context.fillStyle = fill[Math.round((k + 0.5) / BARS * 255)];
    context.fillRect(k * wide, tall - height, wide - 1, height);
    context.strokeStyle = theme().faint;
    context.strokeRect(k * wide + 0.5, tall - height + 0.5, wide - 2, height);
  });
  const spread = Math.sqrt(Math.max(0, squares / n - mean * mean));
  $('spread').textContent = `mean ${signedNumber(mean)}, standard deviation ${spread.toFixed(2)},`
    + ` over ${known.length.toLocaleString('en')} characters`;
}

/* Characters with the largest values (by = 1) or the smallest (-1), some distance apart. */
function extremes(values, known, by) {
  const found = [];
  for (const i of known.toSorted((a, b) => by * (values[b] - values[a]))) {
    if (glyphs.kind[i] === CONTINUATION || found.some((j) => Math.abs(i - j) < APART)) continue;
    if (found.push(i) === SNIPPETS) break;
  }
  return found;
}

function snippet(values, i) {
  const button = element('button', undefined, 'snippet'), colours = scale(state());
  const from = Math.max(0, i - AROUND), to = Math.min(bytes.text.length, i + AROUND + 1);
  for (let k = from; k < to; k++) {
    if (glyphs.kind[k] === CONTINUATION) continue;
    const span = element('span', glyphs.text[k], ...k === i ? ['here'] : []);
    if (bytes.valued[k] && bytes.read[k]) {
      span.style.background = colours.fill[values[k]];
      span.style.color = colours.text[values[k]];
    }
    button.append(span);
  }
  button.setAttribute('aria-label', `Go to character ${i + 1}: ${signedNumber(value(state(), values[i]))}`);
  button.addEventListener('click', () => moveTo(i));
  return button;
}

function paintSnippets(values, known) {
  for (const [name, by] of [['strongest', 1], ['weakest', -1]]) {
    $(name).replaceChildren(...extremes(values, known, by).map((i) => snippet(values, i)));
  }
}

function unitButton(unit, text) {
  const button = element('button', text);
  button.title = 'Choose this unit; with shift: compare it';
  button.addEventListener('click', (event) => {
    if (event.shiftKey) compareWith(unit);
    else { choose(unit); revealChosen(); }
  });
  return button;
}

function paintCompanions(unit) {
  if (!complete()) {
    $('companions').replaceChildren(element('span', 'known once the text has been read', 'note'));
    return;
  }
  const values = series(state(), unit);
  const found = units().filter((other) => !same(other, unit))
    .map((other) => ({other, r: correlation(values, series(state(), other))}))
    .sort((a, b) => Math.abs(b.r) - Math.abs(a.r)).slice(0, COMPANIONS);
  $('companions').replaceChildren(
    ...found.map(({other, r}) => unitButton(other, `${id(other)}  ${signedNumber(r)}`)));
}

// ---- the output ----

/* Another text is shown: what units did to the predictions of the last one is of no use. */
function forgetEffects() {
  dossier.effects.clear();
  dossier.asked = '';
  stop(({kind}) => kind === 'output');
}

/* What a worker must know to read PASSAGE characters from a segment on, or as many as follow it. */
function passageFrom(segment) {
  const {codes, state, skip} = task(segment, 'plain');
  let {end} = segment;
  for (const next of live.segments.slice(live.segments.indexOf(segment) + 1)) {
    if (next.first || end - segment.begin >= PASSAGE) break;
    ({end} = next);
  }
  const more = [...codes, ...bytes.codes.subarray(segment.end, end)];
  return {codes: more.slice(0, skip + PASSAGE), state, skip};
}

/* Measure, once for each unit and text, what the unit does to the predictions: they are compared
   with the unit clamped to the 95th and to the 5th percentile of its values. */
function askForEffect(unit) {
  $('output').hidden = !facts.network;
  if (!facts.network) return;
  const key = id(unit);
  paintOutput(dossier.effects.get(key));
  if (dossier.effects.has(key) || dossier.asked === key) return;
  const known = series(state(), unit).filter((_, i) => bytes.valued[i] && bytes.read[i]);
  if (known.length < Math.min(LEAST, bytes.text.length)) return;
  dossier.asked = key;
  stop(({kind}) => kind === 'output');    // for a unit that is no longer looked at
  const sorted = known.toSorted(), at = (share) => value(state(), sorted[Math.floor(share * (sorted.length - 1))]);
  const segment = live.segments.find(({end}) => end > visible()[0]) || live.segments[0];
  const passage = passageFrom(segment), measured = {};
  for (const [side, share] of [['high', 0.95], ['low', 0.05]]) {
    const clamps = [{...unit, value: memoryAt(at(share))}];
    request('output', {mean: true, segments: [passage], clamps}, ({mean}) => {
      measured[side] = mean;    // whichever of two workers is the first
      const {high, low} = measured;
      if (!high || !low) return;
      dossier.effects.set(key, {over: passage.codes.length - passage.skip,
        changes: Array.from(high, (p, code) => ({code, low: low[code], high: p, change: p - low[code]}))});
      if (same(unit, view.unit)) paintOutput(dossier.effects.get(key));
      dossier.asked = '';
    });
  }
}

/* effect: the mean probability of each character with the unit low and high, and the change, over
   so many characters. */
function paintOutput(effect) {
  const {alphabet} = facts.network;
  const rows = (changes) => changes.map(({code, low, high}) => {
    const span = element('span', undefined, 'symbol');
    const words = [BLANKS[alphabet[code]] ?? [], percent(low), '→', percent(high)].flat().join(' ');
    span.append(element('b', symbolGlyph(alphabet[code])), element('small', ` ${words}`));
    return span;
  });
  const sorted = (effect?.changes || []).toSorted((a, b) => b.change - a.change);
  const first = (changes) => rows(changes.filter(({change}) => Math.abs(change) >= 0.002).slice(0, 6));
  $('raises').replaceChildren(...first(sorted.filter(({change}) => change > 0)));
  $('lowers').replaceChildren(...first(sorted.toReversed().filter(({change}) => change < 0)));
  $('output-note').textContent = effect
    ? 'The mean probability of the next character with the unit clamped to its low values → to its'
      + ` high ones (5th and 95th percentile), over ${effect.over} characters.`
      + (first(sorted).length ? '' : ' It hardly changes anything.')
    : 'Measured once enough of the text has been read …';
}
