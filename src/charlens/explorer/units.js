/* The list of units: sorted and filtered; only the visible rows are drawn. */

const ROW = 30;         // height of an entry, in CSS pixels
const STRIP_WIDTH = 132; // of its strip

const list = {units: [], scores: null, rows: [], note: ''};

// ---- orders: from a unit to a number, the highest first ----

function correlation(a, b) {
  let sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
  const n = a.length;
  for (let i = 0; i < n; i++) {
    const x = a[i], y = b[i];
    sa += x; sb += y; saa += x * x; sbb += y * y; sab += x * y;
  }
  const spread = Math.sqrt((saa - sa * sa / n) * (sbb - sb * sb / n));
  return spread > 0 ? (sab - sa * sb / n) / spread : 0;
}

function deviation(values) {
  let sum = 0, squares = 0;
  for (const v of values) { sum += v; squares += v * v; }
  const n = values.length;
  return Math.sqrt(Math.max(0, squares / n - (sum / n) ** 2)) / 127.5;
}

/* Correlation of a unit with itself one character later; null if it hardly varies. */
function memory(values) {
  const last = values.length - 1;
  return deviation(values) < 0.05 ? null : correlation(values.subarray(0, last), values.subarray(1));
}

const state = () => facts.quantities[0].name;

function orders() {
  const rows = [
    {key: 'number', name: 'number', note: ''},
    {key: 'slow', name: 'long memory', note: 'By the correlation of a unit’s state with its state one character earlier; units that hardly vary are omitted.'},
    {key: 'spread', name: 'spread', note: 'By the standard deviation of the state.'},
    {key: `like ${id(likeUnit())}`, name: `similarity to ${id(likeUnit())}`,
      note: 'By the correlation of the state with that unit’s, regardless of sign.'},
  ];
  for (const hypothesis of facts.hypotheses || []) {
    const measure = {true: 'Area under the ROC curve: 0.5 is chance, 0 is as strong as 1.',
      false: 'Rank correlation: 0 is chance, −1 is as strong as 1.'}[hypothesis.yes_no] || '';
    rows.push({
      key: `by ${hypothesis.name}`, name: hypothesis.title, group: 'hypothesis', hypothesis,
      note: `${facts.scored} ${measure}`,
    });
  }
  return rows;
}

const likeUnit = () => view.sort.startsWith('like ') ? parseUnit(view.sort.slice(5)) || view.unit : view.unit;

function sortUnits() {
  const chosen = orders().find((order) => order.key === view.sort) || orders()[0];
  view.sort = chosen.key;
  let unitsHere = units().filter((unit) => view.only === null || unit.layer === view.only);
  let score = null, rank = null;
  const of = (unit) => series(state(), unit);
  const ready = complete();
  if (chosen.hypothesis) {
    const {order, score: scores} = chosen.hypothesis;
    const places = new Map(order.map((unit, place) => [unit, place]));
    const number = (unit) => unit.layer * facts.hidden + unit.index;
    list.places = (unit) => places.get(number(unit)) ?? -1;
    score = (unit) => scores[list.places(unit)] ?? null;
    rank = (unit) => -(places.get(number(unit)) ?? Infinity);
  } else if (chosen.key !== 'number' && ready) {
    const like = of(likeUnit());
    score = chosen.key === 'slow' ? (unit) => memory(of(unit))
      : chosen.key === 'spread' ? (unit) => deviation(of(unit))
        : (unit) => Math.abs(correlation(of(unit), like));
  }
  list.scores = null;
  if (score) {
    list.scores = new Map(unitsHere.map((unit) => [id(unit), score(unit)]));
    rank ??= (unit) => list.scores.get(id(unit)) ?? -Infinity;
    unitsHere = unitsHere.sort((a, b) => rank(b) - rank(a));
  }
  list.units = unitsHere;
  list.hypothesis = chosen.hypothesis || null;
  $('sorted-note').textContent = chosen.note || '';
  $('list').scrollTop = 0;
  sizeList();
}

/* Whether the state of every unit is known over all of the text. */
function complete() {
  for (let layer = 0; layer < facts.layers; layer++) if (!bytes.values.has(`${state()}.${layer}`)) return false;
  return !facts.network || isRead();
}

// ---- the list ----

function sizeList() {
  let filler = $('list').querySelector('.filler');
  if (!filler) {
    filler = element('div', undefined, 'filler');
    $('list').append(filler);
  }
  filler.style.height = `${list.units.length * ROW}px`;
}

function paintList() {
  const box = $('list');
  if (!box.clientHeight) return;
  const first = Math.floor(box.scrollTop / ROW);
  const count = Math.min(Math.ceil(box.clientHeight / ROW) + 1, list.units.length - first);
  while (list.rows.length < count) list.rows.push(newRow());
  list.rows.forEach((row, k) => {
    row.box.hidden = k >= count;
    if (k < count) fillRow(row, list.units[first + k], first + k);
  });
  const chosen = list.units.findIndex((unit) => same(unit, view.unit));
  if (chosen >= first && chosen < first + count) box.setAttribute('aria-activedescendant', list.rows[chosen - first].box.id);
  else box.removeAttribute('aria-activedescendant');
}

function newRow() {
  const box = element('div', undefined, 'unit');
  box.id = `row-${list.rows.length}`;
  box.setAttribute('role', 'option');
  const strip = element('canvas'), name = element('b'), score = element('span');
  strip.width = STRIP_WIDTH;
  strip.height = 1;
  strip.setAttribute('aria-hidden', 'true');
  box.append(name, strip, score);
  $('list').append(box);
  const row = {box, strip, name, score, unit: null};
  box.addEventListener('click', (event) => {
    if (event.shiftKey) compareWith(row.unit);
    else choose(row.unit);
    // last, so that the keyboard continues from here
    $('list').focus({preventScroll: true});
  });
  return row;
}

function fillRow(row, unit, place) {
  row.unit = unit;
  row.box.style.top = `${place * ROW}px`;
  row.name.textContent = id(unit);
  row.box.setAttribute('aria-selected', same(unit, view.unit));
  row.box.setAttribute('aria-setsize', list.units.length);
  row.box.setAttribute('aria-posinset', place + 1);
  row.box.classList.toggle('other', same(unit, view.other));
  const score = list.scores?.get(id(unit));
  row.score.textContent = score === undefined || score === null ? ''
    : signedNumber(score).replace('+', '');
  const {hypothesis} = list;
  const at = hypothesis ? list.places(unit) : -1;
  row.box.title = `layer ${unit.layer + 1}, unit ${unit.index + 1}`
    + (hypothesis && typeof score === 'number' ? `: ${hypothesis.title} ${score.toFixed(3)}`
      + `, 95% interval ${hypothesis.low[at]?.toFixed(3)} to ${hypothesis.high[at]?.toFixed(3)}`
      + (facts.origin ? `, on ${facts.origin}` : '') : '')
    + (typeof hypothesis?.elsewhere?.[at] === 'number'
      ? `; on ${facts.elsewhere} ${hypothesis.elsewhere[at].toFixed(3)}` : '');
  paintStrip(row.strip, unit);
}

/* The unit's colours over the visible text, compressed into a strip. */
function paintStrip(canvas, unit) {
  const shown = ofUnit(view.show) ? view.show : state();
  const values = series(shown, unit), context = canvas.getContext('2d');
  const picture = context.createImageData(STRIP_WIDTH, 1);
  if (values) {
    const [from, to] = visible();
    const end = Math.min(to, from + 6 * STRIP_WIDTH, lengthOf(shown)), {numbers} = scale(shown);
    for (let x = 0; x < STRIP_WIDTH; x++) {
      const i = from + Math.floor(x / STRIP_WIDTH * (end - from));
      if (i >= end) break;
      if (!bytes.valued[i]) continue;
      for (let c = 0; c < 3; c++) picture.data[4 * x + c] = numbers[3 * values[i] + c];
      picture.data[4 * x + 3] = 255;
    }
  }
  context.putImageData(picture, 0, 0);
}

/* Scroll the list to the chosen unit. */
function revealChosen() {
  const place = list.units.findIndex((unit) => same(unit, view.unit));
  const box = $('list');
  if (place < 0) return;
  const above = place * ROW - box.scrollTop;
  // one row further scrolls one row; a longer way puts the unit in the middle
  if (above < -2 * ROW || above > box.clientHeight + ROW) {
    box.scrollTop = place * ROW - box.clientHeight / 2;
  } else if (above < 0) box.scrollTop = place * ROW;
  else if (above + ROW > box.clientHeight) box.scrollTop = (place + 1) * ROW - box.clientHeight;
}

function fillOrders() {
  const select = $('sort');
  select.replaceChildren();
  const groups = new Map();
  for (const order of orders()) {
    const option = element('option', order.name);
    option.value = order.key;
    let parent = select;
    if (order.group) {
      if (!groups.has(order.group)) {
        const group = element('optgroup');
        group.label = 'by hypothesis';
        groups.set(order.group, group);
        select.append(group);
      }
      parent = groups.get(order.group);
    }
    parent.append(option);
  }
  select.value = view.sort;
}
