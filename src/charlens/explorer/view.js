/* Drawing: the text, its legend, its map, and the card of a character. */

const FONT = 'ui-monospace, "SF Mono", SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono",'
  + ' "Liberation Mono", monospace';
const SIZE = 15;        // of the text; all sizes are in CSS pixels
const FULL = `${SIZE}px ${FONT}`, SMALL = `${SIZE * 0.72}px ${FONT}`;
const LINE = 23;        // height of a line of text alone
const GUESS = 15;       // height of a row of guesses
const STRIP = 9;        // height of the strip of a label or of the compared unit
const CURVE = 34;       // height of the curve
const EDGE = 18;        // margin around the text

/* Everything that a link reproduces: the chosen unit and the compared one; the quantity shown; the
   order of the list and its one layer; the cursor; the character at the top, and how much of its
   line is scrolled away; the query; the switches; the panel; the clamped units, each `at` a value;
   and the selected passage. */
const view = {
  unit: {layer: 0, index: 0}, show: '', other: null, sort: 'number', only: null,
  at: -1, top: 0, down: 0, find: '', guesses: 0, label: '', curve: false, theme: '', palette: 0, letters: true,
  panel: '', clamped: [], selected: null,
};

const $ = (name) => document.getElementById(name);
/* Everything else: the lines, the width of a column, the character under the pointer, the matches
   of the query, the scroll position that the page itself has set, where the selection began, and the map. */
const transient = {
  lines: null, advance: 9, hover: -1, hits: new Int32Array(0), hit: -1, marks: null, scrollSet: -1,
  anchor: null, pressed: -1, mapCanvas: document.createElement('canvas'),
};

function rowHeight() {
  const below = underneath() + (view.curve ? CURVE : 0) + view.guesses * GUESS;
  return LINE + below + (view.guesses || view.curve ? 10 : below ? 5 : 0);
}

/* The unit that is compared with the chosen one, if any. */
const compared = () => ofUnit(view.show) ? view.other : null;

/* Height of the strips right under the text: a label's, a compared unit's. */
const underneath = () => STRIP * ((view.label && bytes.labelled ? 1 : 0) + (compared() ? 1 : 0));

/* How much of the text the chosen quantity covers. */
const covered = () => lengthOf(view.show);

/* Which characters a quantity is known of. */
const knownOf = (name) => ofUnit(name) ? bytes.valued : bytes.done;

// ---- the text ----

function fit() {
  const context = $('text').getContext('2d');
  context.font = FULL;
  transient.advance = context.measureText('0'.repeat(100)).width / 100;
  const inside = $('scroller').clientWidth - 2 * EDGE;
  const columns = Math.max(16, Math.floor(inside / transient.advance) - 1);
  if (transient.lines?.columns !== columns) transient.lines = layOut(bytes.text, columns);
  $('sheet').style.height = `${transient.lines.starts.length * rowHeight() + 2 * EDGE}px`;
  for (const canvas of [$('text'), $('map')]) {
    const {clientWidth, clientHeight} = canvas === $('text') ? $('scroller') : canvas;
    canvas.width = Math.round(clientWidth * devicePixelRatio);
    canvas.height = Math.round(clientHeight * devicePixelRatio);
  }
  $('text').style.width = `${$('scroller').clientWidth}px`;
  $('text').style.height = `${$('scroller').clientHeight}px`;
}

/* How far the text is scrolled, in lines. */
const scrolled = () => Math.max(0, ($('scroller').scrollTop - EDGE / 2) / rowHeight());

const firstLine = () => Math.floor(scrolled());

function lastLine() {
  const bottom = $('scroller').scrollTop + $('scroller').clientHeight - EDGE;
  return Math.min(transient.lines.starts.length - 1, Math.floor(bottom / rowHeight()));
}

function visible() {
  return [transient.lines.starts[firstLine()], transient.lines.ends(lastLine())];
}

/* Scroll to the view's top: the line of a character, and a fraction of that line. */
function scrollToTop() {
  const line = lineOf(transient.lines, view.top) + view.down;
  $('scroller').scrollTop = line ? EDGE / 2 + line * rowHeight() : 0;
  transient.scrollSet = $('scroller').scrollTop;
}

/* Scroll no further than needed to show the whole line. */
function scrollLineIntoView(line) {
  const height = rowHeight(), {clientHeight, scrollTop} = $('scroller');
  const above = EDGE + line * height;
  if (above < scrollTop + EDGE) $('scroller').scrollTop = above - EDGE;
  else if (above + height > scrollTop + clientHeight - EDGE) {
    $('scroller').scrollTop = above + height + EDGE - clientHeight;
  }
}

/* The character at a point of the scroller; -1 if none. */
function characterAt(x, y) {
  const {lines, advance} = transient;
  const line = Math.floor((y + $('scroller').scrollTop - EDGE) / rowHeight());
  if (line < 0 || line >= lines.starts.length) return -1;
  const column = (x - EDGE) / advance;
  for (let i = lines.starts[line]; i < lines.ends(line); i++) {
    if (column >= lines.column[i] && column < lines.column[i] + span(lines, i)) return i;
  }
  return -1;
}

function paintText() {
  const {lines, advance} = transient;
  const context = $('text').getContext('2d');
  const dpr = devicePixelRatio, {clientWidth, clientHeight, scrollTop} = $('scroller');
  const snap = (v) => Math.round(v * dpr) / dpr;   // to whole pixels of the screen
  const colours = theme(), height = rowHeight();
  const shown = {values: series(view.show, view.unit), length: covered(), scale: scale(view.show),
    known: knownOf(view.show)};
  const strips = [];
  if (view.label && bytes.labelled) strips.push({values: label(view.label), length: Infinity, scale: scale('label')});
  if (compared()) strips.push({...shown, values: series(view.show, view.other)});

  context.setTransform(dpr, 0, 0, dpr, 0, 0);
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, clientWidth, clientHeight);
  context.textBaseline = 'middle';
  context.textAlign = 'center';

  for (let line = Math.max(0, firstLine() - 1); line <= lastLine(); line++) {
    const top = snap(EDGE + line * height - scrollTop);
    if (bytes.streamStarts.has(lines.starts[line])) paintBreak(context, colours, top, clientWidth);
    const boxes = [];
    for (let i = lines.starts[line]; i < lines.ends(line); i++) {
      const left = snap(EDGE + lines.column[i] * advance);
      const right = snap(EDGE + (lines.column[i] + span(lines, i)) * advance);
      boxes.push({i, left, width: right - left});
    }
    context.font = FULL;
    for (const box of boxes) paintCharacter(context, colours, shown, box, top);
    strips.forEach((strip, k) => paintStripUnder(context, strip, boxes, top + LINE + k * STRIP));
    let under = top + LINE + underneath() + 2;
    if (view.curve) {
      if (compared()) paintCurve(context, line, strips.at(-1).values, under, colours.faint, 1);
      paintCurve(context, line, shown.values, under, colours.ink, 1.4);
      under += CURVE;
    }
    context.font = SMALL;
    if (view.guesses) for (const box of boxes) paintGuesses(context, box, under);
  }
  for (const [i, weight] of [[view.at, 2], [transient.hover, 1]]) {
    if (i < 0) continue;
    context.strokeStyle = colours.mark;
    context.lineWidth = weight;
    const y = EDGE + lineOf(lines, i) * height - scrollTop, x = EDGE + lines.column[i] * advance;
    context.strokeRect(snap(x) - 0.5, snap(y) - 0.5, span(lines, i) * advance + 1, LINE + 1);
  }
}

/* One character on its colour; dots under one that was not read, a bar under a match. */
function paintCharacter(context, colours, shown, {i, left, width}, top) {
  const read = bytes.read[i], kind = glyphs.kind[i];
  let ink = colours.ink;
  if (read && shown.values && i < shown.length && shown.known[i]) {
    context.fillStyle = shown.scale.fill[shown.values[i]];
    context.fillRect(left, top, width, LINE);
    ink = shown.scale.text[shown.values[i]];
  } else if (read && i >= shown.length) paintHatch(context, colours, left, width, top);
  else if (read && !shown.known[i]) ink = colours.faint;   // not yet
  if (kind !== CONTINUATION && bytes.text[i] !== 32) {
    const middle = left + (bytes.text[i] === 9 ? transient.advance : width) / 2;
    if (kind === HEX) context.font = SMALL;   // setting it is slow: only where needed
    if (kind === FAINT) context.globalAlpha = 0.38;
    context.fillStyle = ink;
    context.fillText(glyphs.text[i], middle, top + LINE / 2 + 1);
    if (kind === HEX) context.font = FULL;
    if (kind === FAINT) context.globalAlpha = 1;
  }
  const bottom = top + LINE;
  if (!read) {
    context.fillStyle = colours.faint;
    for (let x = left + 1; x < left + width - 1; x += 3) context.fillRect(x, bottom - 3, 1, 1);
  }
  if (view.selected && i >= view.selected.from && i < view.selected.to) {
    context.fillStyle = colours.mark;
    context.fillRect(left, top, width, 2);
    context.fillRect(left, bottom - 2, width, 2);
  }
  if (transient.marks?.[i]) {
    context.fillStyle = colours.paper;
    context.fillRect(left, bottom - 4, width, 1);
    context.fillStyle = colours.mark;
    context.fillRect(left, bottom - 3, width, 3);
  }
}

/* A stroke across a character for which the chosen quantity was not recorded. */
function paintHatch(context, colours, left, width, top) {
  context.strokeStyle = colours.faint;
  context.lineWidth = 1;
  context.globalAlpha = 0.35;
  context.beginPath();
  context.moveTo(left, top + LINE - 1);
  context.lineTo(left + width, top + 5);
  context.stroke();
  context.globalAlpha = 1;
}

function paintStripUnder(context, {values, length, known, scale: {fill}}, boxes, top) {
  if (!values) return;
  const undefinedValue = length === Infinity ? 255 : -1;   // of a label
  for (const {i, left, width} of boxes) {
    if (i >= length || !bytes.read[i] || values[i] === undefinedValue || known && !known[i]) continue;
    context.fillStyle = fill[values[i]];
    context.fillRect(left, top + 1, width, STRIP - 1);
  }
}

/* The rule above a line that begins a stream. */
function paintBreak(context, colours, y, width) {
  context.fillStyle = colours.faint;
  context.globalAlpha = 0.6;
  context.fillRect(0, y - 2, width, 1);
  context.globalAlpha = 1;
}

/* The likeliest characters after i, the likeliest on top; a correct one is underlined. */
function paintGuesses(context, {i, left, width}, under) {
  const n = bytes.stride, room = Math.max(width, transient.advance), colours = scale('guess');
  if (glyphs.kind[i] === CONTINUATION || !bytes.done[i]) return;
  const next = bytes.next[i];
  for (let k = 0; k < view.guesses && k < facts.guesses; k++) {
    const chance = bytes.chances[k * n + i] / 65535;
    const shade = Math.round(255 * Math.sqrt(chance));
    const y = under + k * GUESS;
    context.fillStyle = colours.fill[shade];
    context.fillRect(left + 0.5, y + 0.5, room - 1, GUESS - 1);
    if (shade < 40) continue;   // below 1 in 40 the character would not be legible
    const guess = bytes.guesses[k * n + i];
    context.fillStyle = colours.text[shade];
    context.fillText(symbolGlyph(guess), left + room / 2, y + GUESS / 2 + 0.5, room + 1);
    if (next >= 0 && bytes.text[next] === guess) context.fillRect(left + 2, y + GUESS - 2.5, room - 4, 1.5);
  }
}

function paintCurve(context, line, values, top, colour, weight) {
  const {lines, advance} = transient;
  const first = lines.starts[line], last = Math.min(lines.ends(line), covered());
  if (!values || first >= last) return;
  const reach = CURVE - 6, known = knownOf(view.show);
  const low = quantity(view.show).signed ? 128 : 0;
  context.strokeStyle = theme().faint;
  context.globalAlpha = 0.35;
  context.lineWidth = 1;
  const y = (byte) => top + reach * (1 - byte / 255);
  const x = (i) => EDGE + (lines.column[i] + span(lines, i) / 2) * advance;
  context.beginPath();
  context.moveTo(EDGE, y(low));
  context.lineTo(x(last - 1), y(low));
  context.stroke();
  context.globalAlpha = 1;
  context.strokeStyle = colour;
  context.lineWidth = weight;
  context.lineJoin = 'round';
  context.beginPath();
  let lifted = true;   // the pen: no line over characters that were not read
  for (let i = first; i < last; i++) {
    const read = bytes.read[i] && known[i];
    if (read && lifted) context.moveTo(x(i), y(values[i]));
    else if (read) context.lineTo(x(i), y(values[i]));
    lifted = !read;
  }
  context.stroke();
}

// ---- the map: every line of the text, small ----

function paintMap() {
  const {lines} = transient, rows = lines.starts.length;
  const colours = theme(), values = series(view.show, view.unit);
  const drawn = Math.min(rows, 4000), columns = Math.min(lines.columns, 160);
  const picture = new ImageData(columns, drawn);
  const paper = rgb(colours.paper), numbers = scale(view.show).numbers;
  const length = values ? covered() : 0, known = knownOf(view.show);
  for (let row = 0; row < drawn; row++) {
    const line = Math.floor(row * rows / drawn);
    const base = row * columns * 4;
    for (let k = 0; k < columns; k++) picture.data.set([...paper, 255], base + 4 * k);
    for (let i = lines.starts[line]; i < lines.ends(line) && i < length; i++) {
      const column = Math.floor(lines.column[i] / lines.columns * columns);
      if (column >= columns || bytes.text[i] === NEWLINE || !bytes.read[i] || !known[i]) continue;
      const from = 3 * values[i], to = base + 4 * column;
      for (let c = 0; c < 3; c++) picture.data[to + c] = numbers[from + c];
    }
  }
  const {mapCanvas} = transient;
  mapCanvas.width = columns;
  mapCanvas.height = drawn;
  mapCanvas.getContext('2d').putImageData(picture, 0, 0);
  paintMapFrame();
}

const mapHeight = () => Math.min($('map').height, transient.lines.starts.length * 3 * devicePixelRatio);

/* The map as it was painted, and on it the visible part of the text and the matches. */
function paintMapFrame() {
  const canvas = $('map'), context = canvas.getContext('2d'), {mapCanvas} = transient;
  if (!canvas.width || !canvas.height || !mapCanvas.width) return;
  const rows = transient.lines.starts.length, tall = mapHeight(), dpr = devicePixelRatio;
  context.fillStyle = theme().paper;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = tall < mapCanvas.height;
  context.drawImage(mapCanvas, 0, 0, canvas.width, tall);
  context.fillStyle = theme().mark;
  for (const at of transient.hits) {
    context.fillRect(canvas.width - 5 * dpr, lineOf(transient.lines, at) / rows * tall, 5 * dpr, Math.max(1, dpr));
  }
  const from = firstLine() / rows * tall, to = (lastLine() + 1) / rows * tall;
  context.globalAlpha = 0.1;
  context.fillRect(0, from, canvas.width, Math.max(to - from, 4 * dpr));
  context.globalAlpha = 0.7;
  context.lineWidth = dpr;
  context.strokeStyle = theme().mark;
  context.strokeRect(dpr / 2, from + dpr / 2, canvas.width - dpr, Math.max(to - from, 4 * dpr) - dpr);
  context.globalAlpha = 1;
}

// ---- the legend ----

function paintLegend() {
  const context = $('ramp').getContext('2d'), {fill} = scale(view.show);
  for (let i = 0; i < 180; i++) {
    context.fillStyle = fill[Math.round(i / 179 * 255)];
    context.fillRect(i, 0, 1, 10);
  }
  const q = quantity(view.show);
  $('low').textContent = view.show === 'change' ? `−${CHANGE}` : q.signed ? '−1' : '0';
  $('high').textContent = view.show === 'loss' ? `${SURPRISE} bits`
    : view.show === 'change' ? `+${CHANGE} bits` : q.signed ? '+1' : '1';
  const what = named(view.show);
  const place = (unit) => `layer ${unit.layer + 1}, unit ${unit.index + 1}`;
  $('chosen').textContent = !ofUnit(view.show) ? `${quantity(view.show).title} at each character`
    : `${what} of ${place(view.unit)}`;
  $('clamped').textContent = !ofUnit(view.show) ? '' : saysOf(view.unit);
  $('compared').textContent = '';
  if (compared()) {
    const a = series(view.show, view.unit), b = series(view.show, view.other);
    const r = a && b ? `, r = ${signedNumber(correlation(a, b))}` : '';
    $('compared').textContent = `below: ${place(view.other)}${r}`;
  }
  if (view.label && bytes.labelled) {
    const {title} = facts.labels.find(({name}) => name === view.label);
    $('compared').textContent = `below: ${title}${$('compared').textContent.replace('below:', ' ·')}`;
  }
  $('compare').textContent = view.other ? 'Stop comparing' : 'Compare';
  $('compare').hidden = !ofUnit(view.show);
  if (covered() < bytes.text.length) {
    const length = covered().toLocaleString('en');
    $('compared').textContent += `${$('compared').textContent ? ' · ' : ''}gates: first ${length} characters; crossed out: not recorded`;
  }
}

/* A unit in words: by the hypothesis that orders the list, or else the one that it follows best; and
   what clamping it changes. */
function saysOf(unit) {
  const all = followed(unit);
  const best = all.find(({hypothesis}) => hypothesis === list.hypothesis) || all[0];
  const words = best ? inWords(best.hypothesis, best.score) : '';
  return [words, facts.clamped?.[id(unit)]].filter(Boolean).join('; ');
}

/* A quantity in words; of an unbounded state, tanh is shown. */
const named = (name) => quantity(name).tanh ? `tanh(${name})` : quantity(name).title;

const signedNumber = (v, digits = 2) => (v < 0 ? '−' : '+') + Math.abs(v).toFixed(digits);

// ---- the card of a character ----

function element(tag, text, ...classes) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  made.classList.add(...classes);
  return made;
}

const percent = (p) => p >= 0.1 ? `${Math.round(100 * p)}%` : p >= 0.001 ? `${(100 * p).toFixed(1)}%` : '< 0.1%';

/* The card of character i: its probability, the values there, and the next characters expected. */
function showCard(i) {
  const card = $('card');
  card.hidden = i < 0;
  if (i < 0) return;
  card.replaceChildren();
  const symbol = bytes.text[i];
  const head = element('div', undefined, 'head');
  head.append(element('span', symbol === 32 ? '␣' : glyphs.text[i] || '…', 'glyph'));
  const title = element('div');
  const number = inCharacters() ? `U+${symbol.toString(16).toUpperCase().padStart(4, '0')}`
    : `byte 0x${symbol.toString(16).padStart(2, '0')}`;
  title.append(
    element('strong', `${(i + 1).toLocaleString('en')} of ${bytes.text.length.toLocaleString('en')}`),
    element('small', spell(i) === glyphs.text[i] ? number : `${spell(i)}, ${number}`));
  head.append(title);
  card.append(head);

  const table = element('table');
  const row = (name, shown, colour) => {
    const tr = element('tr'), swatch = element('i');
    if (colour) swatch.style.background = colour;
    const td = element('td');
    td.append(swatch);
    tr.append(td, element('td', name), element('td', shown));
    table.append(tr);
  };
  if (!bytes.read[i]) {
    card.append(element('p', 'not in the network’s alphabet: not read'));
  } else if (!bytes.done[i]) {
    card.append(element('p', 'not computed yet'));
  } else {
    const nats = bytes.loss[i] / 1000;
    row('probability', percent(Math.exp(-nats)));
    row('surprise', `${(nats / Math.LN2).toFixed(2)} bits`, scale('loss').fill[bytes.surprise[i]]);
    for (const unit of [view.unit, view.other]) {
      if (!unit) continue;
      for (const {name} of facts.quantities) {
        const values = ofUnit(name) && bytes.valued[i] ? series(name, unit) : null;
        const length = lengthOf(name);
        if (name === view.show && i >= length) row(`${named(name)}, ${id(unit)}`, 'not recorded here');
        if (!values || i >= length || (unit === view.other && name !== view.show)) continue;
        const words = `${named(name)}, ${id(unit)}`;
        row(words, signedNumber(value(name, values[i])), scale(name).fill[values[i]]);
      }
    }
  }
  if (view.label && bytes.labelled && label(view.label)) {
    const truth = label(view.label)[i];
    const {title, yes_no, top} = facts.labels.find(({name}) => name === view.label);
    const count = `${truth === 254 ? '≥ ' : ''}${Math.round(truth / 254 * top)}`;
    row(title, truth === 255 ? 'undefined' : yes_no ? (truth ? 'yes' : 'no') : count,
      truth === 255 ? '' : scale('label').fill[truth]);
  }
  card.append(table);

  const n = bytes.stride, next = bytes.next[i];
  if (!bytes.done[i] || !bytes.chances[i]) return;   // nothing has been read yet
  const list = element('ol');
  for (let k = 0; k < facts.guesses; k++) {
    const guess = bytes.guesses[k * n + i], chance = bytes.chances[k * n + i] / 65535;
    const li = element('li'), bar = element('i');
    bar.style.width = `${Math.max(1, 100 * chance)}%`;
    const right = next >= 0 && bytes.text[next] === guess;
    li.append(element('b', symbolGlyph(guess)), bar, element('span', percent(chance) + (right ? ' ✓' : '')));
    list.append(li);
  }
  card.append(element('small', 'likeliest next characters'), list);
}

/* Put the card beside a point, inside the window. */
function placeCard(x, y) {
  const {offsetWidth, offsetHeight} = $('card');
  const left = x + 18 + offsetWidth < innerWidth ? x + 18 : x - 18 - offsetWidth;
  const top = y + 22 + offsetHeight < innerHeight ? y + 22 : Math.max(8, y - 16 - offsetHeight);
  $('card').style.left = `${Math.max(8, left)}px`;
  $('card').style.top = `${top}px`;
}

/* Announce the character under the cursor to screen readers. */
function speak(i) {
  const values = series(view.show, view.unit);
  const there = values && i < covered() && bytes.read[i] && knownOf(view.show)[i];
  const description = !there ? 'no value'
    : view.show === 'loss' ? `surprise ${(bytes.loss[i] / 1000 / Math.LN2).toFixed(1)} bits`
      : `${quantity(view.show).title} ${signedNumber(value(view.show, values[i]))}`;
  const guess = bytes.guesses[i], chance = bytes.chances[i] / 65535;
  const expected = BLANKS[guess] || symbolGlyph(guess);
  const expects = chance ? `; expects ${expected}, ${percent(chance)}` : '';
  $('spoken').textContent = `${spell(i)}; ${description}${expects}`;
}
