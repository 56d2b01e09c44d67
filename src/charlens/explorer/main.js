/* Repainting, the choices of the reader, the cursor, and the start of the page. */

// ---- painting, at most once a frame ----

const due = new Set();
function repaint(...parts) {
  if (!due.size) {
    requestAnimationFrame(() => {
      const parts = new Set(due);
      due.clear();
      if (parts.has('fit')) fit();
      if (parts.has('scroll')) scrollToTop();
      if (parts.has('fit') || parts.has('text') || parts.has('scroll')) paintText();
      if (parts.has('fit') || parts.has('map')) paintMap();
      else paintMapFrame();
      if (parts.has('legend')) paintLegend();
      paintList();
    });
  }
  parts.forEach((part) => due.add(part));
}

// ---- choices ----

/* Colour by this unit. */
function choose(unit) {
  view.unit = unit;
  if (!ofUnit(view.show)) show(state());
  if (!view.sort.startsWith('like ')) fillOrders();
  unpackShown();
  repaint('text', 'map', 'legend');
  refreshCard();
  paintPanel();
  remember();
}

/* Colour by this quantity. (Surprise belongs to no unit, so there is nothing to compare.) */
function show(name) {
  if (view.other && ofUnit(name) !== ofUnit(view.show)) keepPlace();
  view.show = name;
  markShown();
  unpackShown();
  repaint('text', 'map', 'legend');
  refreshCard();
  remember();
}

function markShown() {
  for (const button of $('quantities').children) {
    const chosen = button.value === view.show;
    button.setAttribute('aria-checked', chosen);
    button.tabIndex = chosen ? 0 : -1;
  }
}

/* Unpack the shown layers first; then the same quantity of the others, for the list. */
function unpackShown() {
  const {show: name, unit, other} = view;
  const first = [ensureUnpacked(name, unit.layer), ...other ? [ensureUnpacked(name, other.layer)] : []];
  const after = () => repaint('text', 'map', 'legend');
  return Promise.all(first).then(after).then(async () => {
    for (let layer = 0; layer < facts.layers; layer++) await ensureUnpacked(name, layer);
    after();
  });
}

function compareWith(unit) {
  view.other = same(unit, view.other) ? null : unit;
  unpackShown();
  keepPlace();
  repaint('legend', 'map');
  remember();
}

/* Lay the text out again after heights have changed, with the same text at the top. */
function keepPlace() {
  repaint('fit', 'scroll');
}

function sortBy(key) {
  view.sort = key;
  sortUnits();
  fillOrders();
  revealChosen();
  repaint('list');
  remember();
}

function onlyLayer(layer) {
  view.only = layer;
  for (const button of $('layers').children) {
    button.setAttribute('aria-pressed', button.value === (layer === null ? '' : String(layer)));
  }
  sortUnits();
  revealChosen();
  repaint('list');
  remember();
}

function step(by) {
  const place = list.units.findIndex((unit) => same(unit, view.unit));
  const next = list.units[Math.max(0, Math.min(list.units.length - 1, place + by))];
  if (next) choose(next);
  revealChosen();
}

function setGuesses(count) {
  view.guesses = count;
  $('guesses').value = String(count);
  keepPlace();
  remember();
}

/* Show the labels of a hypothesis under the text; '' hides them. */
function setLabel(name) {
  view.label = facts.labels.some((known) => known.name === name) ? name : '';
  $('label').value = view.label;
  if (view.label) ensureUnpacked('label', view.label).then(() => repaint('text', 'legend'));
  keepPlace();
  repaint('legend');
  remember();
}

function setCurve(on) {
  view.curve = on;
  $('curve').checked = on;
  keepPlace();
  remember();
}

function setTheme(name) {
  view.theme = name;
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  repaint('text', 'map', 'legend');
  remember();
}

function setPalette(number) {
  view.palette = number;
  paintPanel();
  repaint('text', 'map', 'legend');
  remember();
}

// ---- the cursor ----

function moveTo(at, aloud = true) {
  view.at = Math.max(0, Math.min(bytes.text.length - 1, at));
  while (view.at > 0 && glyphs.kind[view.at] === CONTINUATION) view.at--;
  if (at !== transient.hits[transient.hit]) {   // the next search starts here
    transient.hit = -1;
    showHitCount();
  }
  scrollLineIntoView(lineOf(transient.lines, view.at));
  repaint('text');
  showCardAtCursor();
  if (aloud) speak(view.at);
  remember();
}

function moveLine(by) {
  const {lines} = transient, at = Math.max(0, view.at);
  const line = Math.max(0, Math.min(lines.starts.length - 1, lineOf(lines, at) + by));
  let there = lines.starts[line];
  while (there + 1 < lines.ends(line) && lines.column[there + 1] <= lines.column[at]) there++;
  moveTo(there);
}

function moveBy(by) {
  let at = Math.max(0, view.at + by);
  while (by > 0 && at < bytes.text.length && glyphs.kind[at] === CONTINUATION) at++;
  moveTo(at);
}

function showCardAtCursor() {
  showCard(view.at);
  if (view.at < 0) return;
  const {left, top} = $('scroller').getBoundingClientRect();
  const line = lineOf(transient.lines, view.at);
  placeCard(left + EDGE + transient.lines.column[view.at] * transient.advance,
    top + EDGE + line * rowHeight() - $('scroller').scrollTop + rowHeight() - 8);
}

function refreshCard() {
  if (!$('card').hidden && transient.hover < 0 && view.at >= 0) showCardAtCursor();
  else if (transient.hover >= 0) showCard(transient.hover);
}

function hideCard() {
  transient.hover = -1;
  showCard(-1);
}

// ---- start ----

function fillQuantities() {
  $('quantities').replaceChildren();
  for (const {name, title} of facts.quantities) {
    const button = element('button', title.replace(' gate', ''));
    button.value = name;
    button.setAttribute('role', 'radio');
    button.addEventListener('click', () => show(name));
    $('quantities').append(button);
  }
  markShown();
}

function fillControls() {
  $('name').textContent = facts.name;
  $('about').textContent = `${facts.model}, ${facts.hidden} units in each layer · ${facts.summary}`;
  $('provenance').textContent = `${facts.model}, ${facts.parameters.toLocaleString('en')} parameters,`
    + ` trained on ${facts.source}; ${facts.symbols} symbols. Values are rounded to 8 bits.`;
  fillQuantities();
  for (let k = 0; k <= facts.guesses; k++) {
    const option = element('option', k ? String(k) : 'none');
    option.value = String(k);
    $('guesses').append(option);
  }
  for (const {name, title} of [{name: '', title: 'none'}, ...facts.labels]) {
    const option = element('option', title);
    option.value = name;
    $('label').append(option);
  }
  $('label').parentElement.hidden = !facts.labels.length;
  for (let layer = -1; layer < facts.layers; layer++) {
    const button = element('button', layer < 0 ? 'all' : `layer ${layer + 1}`);
    button.value = layer < 0 ? '' : String(layer);
    button.addEventListener('click', () => onlyLayer(layer < 0 ? null : layer));
    $('layers').append(button);
  }
  $('layers').hidden = facts.layers === 1;
}

/* A page that holds recorded states: unpack them, those shown first. */
async function beginRecorded() {
  await ensureUnpacked(view.show, view.unit.layer);
  repaint('fit', 'scroll', 'legend');
  requestAnimationFrame(() => requestAnimationFrame(() => {
    document.documentElement.dataset.ready = Math.round(performance.now());
  }));
  for (let layer = 0; layer < facts.layers; layer++) await ensureUnpacked(state(), layer);
  sortUnits();
  revealChosen();
  repaint('text', 'map', 'legend');
  paintPanel();
  document.documentElement.dataset.complete = Math.round(performance.now());
}

async function begin() {
  await unpackSmall();
  makeGlyphs(bytes.text);
  view.show = state();
  if (facts.network) readText(await pageSegments(), facts.breaks);
  fillControls();
  fit();
  followLink(firstLink());
  listen();
  if (!facts.network) { await beginRecorded(); return; }
  repaint('fit', 'scroll', 'legend');
  await startWorkers();
  fillWorkers();
}

begin().catch((error) => {
  $('name').textContent = 'This page cannot be shown';
  $('about').textContent = 'Its data could not be unpacked: the file is truncated, or the browser'
    + ` is older than 2023 (${error.message})`;
});
