/* The list of cells: sorted, filtered, and drawn only where it is seen. */

const ROW = 30;         // height of an entry
const SHOWN = 132;      // width of its strip

const list = {cells: [], scores: null, rows: [], note: ''};

/* -- what cells can be sorted by: from a cell to a number, the highest first -- */

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

/* Correlation of a cell with itself one character later; nothing for one that hardly moves. */
function memory(values) {
  const last = values.length - 1;
  return deviation(values) < 0.05 ? null : correlation(values.subarray(0, last), values.subarray(1));
}

const state = () => facts.quantities[0].name;

function orders() {
  const rows = [
    {key: 'number', name: 'number', note: ''},
    {key: 'slow', name: 'long memory', note: 'Cells by the correlation of their state with that of the character before, those left out that hardly move.'},
    {key: 'spread', name: 'spread', note: 'Cells by the standard deviation of their state.'},
    {key: `like ${id(likeWhich())}`, name: `likeness to ${id(likeWhich())}`,
      note: 'Cells by the correlation of their state with that cell’s, whichever sign.'},
  ];
  for (const hypothesis of facts.hypotheses || []) {
    const measure = {true: 'Area under the curve: 0.5 is chance, 0 as telling as 1.',
      false: 'Rank correlation: 0 is chance, −1 as telling as 1.'}[hypothesis.yes_no] || '';
    rows.push({
      key: `by ${hypothesis.name}`, name: hypothesis.title, group: 'hypothesis', hypothesis,
      note: `The strongest first, on one half of the text. ${measure} Measured on the other half.`,
    });
  }
  return rows;
}

const likeWhich = () => view.sort.startsWith('like ') ? cellOf(view.sort.slice(5)) || view.cell : view.cell;

function sortCells() {
  const chosen = orders().find((order) => order.key === view.sort) || orders()[0];
  view.sort = chosen.key;
  let cellsHere = cells().filter((cell) => view.only === null || cell.layer === view.only);
  let score = null, rank = null;
  const of = (cell) => series(state(), cell);
  const ready = facts.layers === [...blocks.keys()].filter((k) => k.startsWith(`${state()}.`)).length;
  if (chosen.hypothesis) {
    const {order, score: scores} = chosen.hypothesis;
    const places = new Map(order.map((cell, place) => [cell, place]));
    const number = (cell) => cell.layer * facts.hidden + cell.unit;
    list.places = (cell) => places.get(number(cell)) ?? -1;
    score = (cell) => scores[list.places(cell)] ?? null;
    rank = (cell) => -(places.get(number(cell)) ?? Infinity);
  } else if (chosen.key !== 'number' && ready) {
    const like = of(likeWhich());
    score = chosen.key === 'slow' ? (cell) => memory(of(cell))
      : chosen.key === 'spread' ? (cell) => deviation(of(cell))
        : (cell) => Math.abs(correlation(of(cell), like));
  }
  list.scores = null;
  if (score) {
    list.scores = new Map(cellsHere.map((cell) => [id(cell), score(cell)]));
    rank ??= (cell) => list.scores.get(id(cell)) ?? -Infinity;
    cellsHere = cellsHere.sort((a, b) => rank(b) - rank(a));
  }
  list.cells = cellsHere;
  list.hypothesis = chosen.hypothesis || null;
  $('sorted-note').textContent = chosen.note || '';
  $('list').scrollTop = 0;
  sizeList();
}

/* -- the list -- */

function sizeList() {
  let filler = $('list').querySelector('.filler');
  if (!filler) {
    filler = element('div', undefined, 'filler');
    $('list').append(filler);
  }
  filler.style.height = `${list.cells.length * ROW}px`;
}

function paintList() {
  const box = $('list');
  if (!box.clientHeight) return;
  const first = Math.floor(box.scrollTop / ROW);
  const count = Math.min(Math.ceil(box.clientHeight / ROW) + 1, list.cells.length - first);
  while (list.rows.length < count) list.rows.push(newRow());
  list.rows.forEach((row, k) => {
    row.box.hidden = k >= count;
    if (k < count) fillRow(row, list.cells[first + k], first + k);
  });
  const chosen = list.cells.findIndex((cell) => same(cell, view.cell));
  if (chosen >= first && chosen < first + count) box.setAttribute('aria-activedescendant', list.rows[chosen - first].box.id);
  else box.removeAttribute('aria-activedescendant');
}

function newRow() {
  const box = element('div', undefined, 'cell');
  box.id = `row-${list.rows.length}`;
  box.setAttribute('role', 'option');
  const strip = element('canvas'), name = element('b'), score = element('span');
  strip.width = SHOWN;
  strip.height = 1;
  strip.setAttribute('aria-hidden', 'true');
  box.append(name, strip, score);
  $('list').append(box);
  const row = {box, strip, name, score, cell: null};
  box.addEventListener('click', (event) => {
    if (event.shiftKey) compareWith(row.cell);
    else choose(row.cell);
    // the last thing a click does: keys go on from here
    $('list').focus({preventScroll: true});
  });
  return row;
}

function fillRow(row, cell, place) {
  row.cell = cell;
  row.box.style.top = `${place * ROW}px`;
  row.name.textContent = id(cell);
  row.box.setAttribute('aria-selected', same(cell, view.cell));
  row.box.setAttribute('aria-setsize', list.cells.length);
  row.box.setAttribute('aria-posinset', place + 1);
  row.box.classList.toggle('other', same(cell, view.other));
  const score = list.scores?.get(id(cell));
  row.score.textContent = score === undefined || score === null ? ''
    : signedNumber(score).replace('+', '');
  const {hypothesis} = list;
  const at = hypothesis ? list.places(cell) : -1;
  row.box.title = `layer ${cell.layer + 1}, unit ${cell.unit + 1}`
    + (hypothesis && typeof score === 'number' ? `: ${hypothesis.title} ${score.toFixed(3)}`
      + `, 95% interval ${hypothesis.low[at]?.toFixed(3)} to ${hypothesis.high[at]?.toFixed(3)}` : '');
  paintStrip(row.strip, cell);
}

/* The cell's colours over the text that is seen, squeezed into a strip. */
function paintStrip(canvas, cell) {
  const shown = view.show === 'loss' ? state() : view.show;
  const values = series(shown, cell), context = canvas.getContext('2d');
  const picture = context.createImageData(SHOWN, 1);
  if (values) {
    const [from, to] = visible();
    const end = Math.min(to, from + 6 * SHOWN, quantity(shown).length), {numbers} = scale(shown);
    for (let x = 0; x < SHOWN; x++) {
      const i = from + Math.floor(x / SHOWN * (end - from));
      if (i >= end) break;
      for (let c = 0; c < 3; c++) picture.data[4 * x + c] = numbers[3 * values[i] + c];
      picture.data[4 * x + 3] = 255;
    }
  }
  context.putImageData(picture, 0, 0);
}

/* Bring the chosen cell into sight. */
function revealChosen() {
  const place = list.cells.findIndex((cell) => same(cell, view.cell));
  const box = $('list');
  if (place < 0) return;
  const above = place * ROW - box.scrollTop;
  // a step scrolls a step, a leap puts it in the middle
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
    let home = select;
    if (order.group) {
      if (!groups.has(order.group)) {
        const group = element('optgroup');
        group.label = 'by hypothesis';
        groups.set(order.group, group);
        select.append(group);
      }
      home = groups.get(order.group);
    }
    home.append(option);
  }
  select.value = view.sort;
}
