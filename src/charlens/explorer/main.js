/* The page at work: choices, keys, pointer, search, and the link that reproduces a view. */

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
  if (view.show === 'loss') show(state());
  if (!view.sort.startsWith('like ')) fillOrders();
  unpackShown();
  repaint('text', 'map', 'legend');
  refreshCard();
  remember();
}

/* Colour by this quantity. (Surprise is of no unit: there is nothing to compare then.) */
function show(name) {
  if (view.other && (name === 'loss') !== (view.show === 'loss')) keepPlace();
  view.show = name;
  for (const button of $('quantities').children) {
    const chosen = button.value === name;
    button.setAttribute('aria-checked', chosen);
    button.tabIndex = chosen ? 0 : -1;
  }
  unpackShown();
  repaint('text', 'map', 'legend');
  refreshCard();
  remember();
}

/* What is shown comes first; then, for the list, the same of the other layers. */
function unpackShown() {
  const {show: name, unit, other} = view;
  const first = [need(name, unit.layer), ...other ? [need(name, other.layer)] : []];
  const after = () => repaint('text', 'map', 'legend');
  return Promise.all(first).then(after).then(async () => {
    for (let layer = 0; layer < facts.layers; layer++) await need(name, layer);
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

/* Heights change: the same text stays at the top. */
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

/* What is true of the text, by a hypothesis, under it; '' for nothing. */
function setLabel(name) {
  view.label = facts.labels.some((known) => known.name === name) ? name : '';
  $('label').value = view.label;
  if (view.label) need('label', view.label).then(() => repaint('text', 'legend'));
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
  repaint('text', 'map', 'legend');
  remember();
}

// ---- the cursor ----

function moveTo(at, aloud = true) {
  view.at = Math.max(0, Math.min(bytes.text.length - 1, at));
  while (view.at > 0 && glyphs.kind[view.at] === REST) view.at--;
  if (at !== screen_.hits[screen_.hit]) {   // the next find is looked for from here
    screen_.hit = -1;
    tellFound();
  }
  bringIntoSight(lineOf(screen_.lines, view.at));
  repaint('text');
  showCardAtCursor();
  if (aloud) speak(view.at);
  remember();
}

function moveLine(by) {
  const {lines} = screen_, at = Math.max(0, view.at);
  const line = Math.max(0, Math.min(lines.starts.length - 1, lineOf(lines, at) + by));
  let there = lines.starts[line];
  while (there + 1 < lines.ends(line) && lines.column[there + 1] <= lines.column[at]) there++;
  moveTo(there);
}

function moveBy(by) {
  let at = Math.max(0, view.at + by);
  while (by > 0 && at < bytes.text.length && glyphs.kind[at] === REST) at++;
  moveTo(at);
}

function showCardAtCursor() {
  showCard(view.at);
  if (view.at < 0) return;
  const {left, top} = $('scroller').getBoundingClientRect();
  const line = lineOf(screen_.lines, view.at);
  placeCard(left + EDGE + screen_.lines.column[view.at] * screen_.advance,
    top + EDGE + line * rowHeight() - $('scroller').scrollTop + rowHeight() - 8);
}

function refreshCard() {
  if (!$('card').hidden && screen_.hover < 0 && view.at >= 0) showCardAtCursor();
  else if (screen_.hover >= 0) showCard(screen_.hover);
}

function hideCard() {
  screen_.hover = -1;
  showCard(-1);
}

// ---- search ----

/* Bytes one by one as characters, so that a place in the string is a place in the text. */
const latin = (some) => {
  let out = '';
  for (let i = 0; i < some.length; i += 8192) out += String.fromCharCode(...some.subarray(i, i + 8192));
  return out;
};

/* What is looked for, as bytes: UTF-8, with \n, \t, \\ and \x00 understood. */
function sought(query) {
  const found = [];
  const pattern = /\\x([0-9a-f]{2})|\\([nrt\\])|([\s\S])/giu;
  for (const [, hex, letter, plain] of query.matchAll(pattern)) {
    if (hex) found.push(parseInt(hex, 16));
    else if (letter) found.push({n: 10, r: 13, t: 9, '\\': 92}[letter.toLowerCase()]);
    else found.push(...new TextEncoder().encode(plain));
  }
  return latin(Uint8Array.from(found));
}

function search(query) {
  view.find = query;
  const lower = (s) => s.replace(/[A-Z]/g, (c) => c.toLowerCase());
  const needle = sought(query);
  let hay = search.text ??= latin(bytes.text);
  if (!/[A-Z]/.test(needle)) hay = search.lower ??= lower(hay);
  const hits = [];
  screen_.marks = needle ? new Uint8Array(bytes.text.length) : null;
  for (let at = needle ? hay.indexOf(needle) : -1; at >= 0; at = hay.indexOf(needle, at + 1)) {
    hits.push(at);
    screen_.marks.fill(1, at, at + needle.length);
  }
  screen_.hits = Int32Array.from(hits);
  screen_.hit = -1;
  tellFound();
  repaint('text');
  remember();
}

function tellFound() {
  const {hits, hit} = screen_;
  $('found').textContent = !view.find ? '' : !hits.length ? 'none'
    : `${hit >= 0 ? `${(hit + 1).toLocaleString('en')} of ` : ''}${hits.length.toLocaleString('en')}`;
}

/* To the next find (by = 1) or the previous one, round the end. */
function toHit(by) {
  const {hits} = screen_;
  if (!hits.length) return;
  if (screen_.hit < 0) {
    const from = view.at >= 0 ? view.at : visible()[0];
    const next = hits.findIndex((at) => at >= from);
    screen_.hit = by > 0 ? (next < 0 ? 0 : next) : (next <= 0 ? hits.length : next) - 1;
  } else screen_.hit = (screen_.hit + by + hits.length) % hits.length;
  tellFound();
  moveTo(hits[screen_.hit]);
}

// ---- the link ----

function link() {
  const words = new URLSearchParams();
  words.set('cell', id(view.unit));
  words.set('show', view.show);
  if (view.other) words.set('with', id(view.other));
  if (view.sort !== 'number') words.set('sort', view.sort);
  if (view.only !== null) words.set('layer', view.only + 1);
  if (view.top) words.set('top', view.top);
  if (view.down) words.set('down', view.down);
  if (view.at >= 0) words.set('at', view.at);
  if (view.find) words.set('find', view.find);
  if (view.guesses) words.set('guesses', view.guesses);
  if (view.label) words.set('label', view.label);
  if (view.curve) words.set('curve', 1);
  if (view.theme) words.set('theme', view.theme);
  if (view.palette) words.set('colours', view.palette);
  if (!view.letters) words.set('letters', 'off');
  return `#${words}`;
}

/* Keep the link in the address bar, a moment after the last change. */
function remember() {
  clearTimeout(remember.timer);
  remember.timer = setTimeout(() => {
    remember.last = link();
    history.replaceState(null, '', remember.last);
  }, 200);
}

/* Take over what a link says; what it does not say, or says wrongly, is as at the beginning. */
function follow(hash) {
  const words = new URLSearchParams(hash.replace(/^#/, ''));
  const whole = (name, most) => {
    const number = Number(words.get(name) || NaN);
    return Number.isInteger(number) && number >= 0 && number <= most ? number : null;
  };
  const last = bytes.text.length - 1;
  Object.assign(view, {
    unit: unitOf(words.get('cell')) || {layer: 0, index: 0},
    other: unitOf(words.get('with')),
    sort: words.get('sort') || (facts.hypotheses?.length ? `by ${facts.hypotheses[0].name}` : 'number'),
    only: whole('layer', facts.layers) ? whole('layer', facts.layers) - 1 : null,
    top: whole('top', last) ?? 0,
    down: Math.min(0.999, Math.max(0, Number(words.get('down')) || 0)),
    at: whole('at', last) ?? -1,
    guesses: whole('guesses', facts.guesses) ?? 0,
    curve: words.get('curve') === '1',
    palette: whole('colours', 1) ?? 0,
    letters: words.get('letters') !== 'off',
  });
  const theme = words.get('theme');
  setTheme(['light', 'dark'].includes(theme) ? theme : '');
  $('guesses').value = String(view.guesses);
  $('curve').checked = view.curve;
  $('letters').checked = view.letters;
  setLabel(words.get('label') || '');
  $('find').value = words.get('find') || '';
  onlyLayer(view.only);
  fillOrders();
  if (!words.has('cell') && list.units.length) view.unit = list.units[0];
  search($('find').value);
  show(quantity(words.get('show')) ? words.get('show') : state());
  keepPlace();
  revealChosen();
}

function copyLink() {
  clearTimeout(remember.timer);
  history.replaceState(null, '', link());
  const done = () => toast('Link copied');
  const failed = () => toast('The address bar holds the link');
  if (navigator.clipboard) navigator.clipboard.writeText(location.href).then(done, failed);
  else failed();
}

function toast(words) {
  $('toast').textContent = words;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { $('toast').textContent = ''; }, 2500);
}

// ---- hands on keys and pointer ----

const KEYS = {
  j: () => step(1), k: () => step(-1),
  '/': () => { openUnits(false); $('find').focus(); $('find').select(); },
  n: () => toHit(1), N: () => toHit(-1),
  c: () => { if (view.show !== 'loss') compareWith(view.other ? view.other : view.unit); },
  x: () => {
    if (!compared()) return;
    const {unit, other} = view;
    view.other = unit;
    choose(other);
  },
  g: () => setGuesses(view.guesses ? 0 : facts.guesses),
  h: () => {
    const sorted = view.sort.replace(/^by /, '');
    const known = facts.labels.find(({name}) => name === sorted) || facts.labels[0];
    setLabel(view.label || !known ? '' : known.name);
  },
  v: () => setCurve(!view.curve),
  p: () => setPalette(1 - view.palette),
  t: () => setTheme(dark() ? 'light' : 'dark'),
  l: () => copyLink(),
  '?': () => $('help').showModal(),
  Escape: () => { hideCard(); openUnits(false); view.at = -1; repaint('text'); remember(); },
};

const TEXT_KEYS = {
  ArrowRight: () => moveBy(1), ArrowLeft: () => moveBy(-1),
  ArrowDown: () => moveLine(1), ArrowUp: () => moveLine(-1),
  PageDown: () => moveLine(Math.max(1, lastLine() - firstLine() - 1)),
  PageUp: () => moveLine(-Math.max(1, lastLine() - firstLine() - 1)),
  Home: () => moveTo(screen_.lines.starts[lineOf(screen_.lines, Math.max(0, view.at))]),
  End: () => moveTo(screen_.lines.ends(lineOf(screen_.lines, Math.max(0, view.at))) - 1),
};

const LIST_KEYS = {
  ArrowDown: () => step(1), ArrowUp: () => step(-1),
  PageDown: () => step(10), PageUp: () => step(-10),
  Home: () => step(-Infinity), End: () => step(Infinity),
};

function onKey(event) {
  const {target, key} = event;
  if ($('help').open || event.altKey || event.metaKey) return;
  if (target === $('find')) {
    if (key === 'Enter') toHit(event.shiftKey ? -1 : 1);
    else if (key === 'Escape') $('scroller').focus();
    else return;
    event.preventDefault();
    return;
  }
  if (event.ctrlKey) {
    if (key === 'Home') moveTo(0);
    else if (key === 'End') moveTo(bytes.text.length - 1);
    else return;
    event.preventDefault();
    return;
  }
  if (key.length === 1 && !view.letters) return;
  if (target.tagName === 'SELECT' && !['Escape', '/', '?'].includes(key)) return;
  const inRadios = target.parentElement === $('quantities');
  const number = Number(key);
  let act = KEYS[key];
  if (number >= 1 && number <= facts.quantities.length) act = () => show(facts.quantities[number - 1].name);
  else if (inRadios && /^Arrow/.test(key)) {
    const names = facts.quantities.map((q) => q.name), by = /Right|Down/.test(key) ? 1 : -1;
    act = () => {
      show(names[(names.indexOf(view.show) + by + names.length) % names.length]);
      $('quantities').querySelector('[aria-checked=true]').focus();
    };
  } else if (target === $('list')) act = LIST_KEYS[key] || act;
  else if (!/^(BUTTON|INPUT)$/.test(target.tagName)) act = TEXT_KEYS[key] || act;
  if (!act) return;
  event.preventDefault();
  act();
}

function openUnits(open) {
  $('units').classList.toggle('open', open);
  $('open-units').setAttribute('aria-expanded', open);
  if (open) { paintList(); revealChosen(); }
}

function listen() {
  document.addEventListener('keydown', onKey);
  const scroller = $('scroller');
  scroller.addEventListener('scroll', () => {
    if (Math.abs(scroller.scrollTop - screen_.asked) > 1) {
      view.top = screen_.lines.starts[Math.min(firstLine(), screen_.lines.starts.length - 1)];
      view.down = Math.round(1000 * (scrolled() % 1)) / 1000;
      screen_.asked = -1;
    }
    if (screen_.hover >= 0) hideCard();
    else if (!$('card').hidden) showCardAtCursor();
    repaint('text');
    remember();
  }, {passive: true});
  scroller.addEventListener('pointermove', (event) => {
    const box = scroller.getBoundingClientRect();
    const at = characterAt(event.clientX - box.left, event.clientY - box.top);
    if (at !== screen_.hover) {
      screen_.hover = at;
      showCard(at);
      repaint('text');
    }
    if (at >= 0) placeCard(event.clientX, event.clientY);
  });
  scroller.addEventListener('pointerleave', () => { hideCard(); repaint('text'); });
  scroller.addEventListener('click', (event) => {
    const box = scroller.getBoundingClientRect();
    const at = characterAt(event.clientX - box.left, event.clientY - box.top);
    if (at >= 0) moveTo(at, false);
    if (at >= 0) placeCard(event.clientX, event.clientY);
  });
  const follow_ = (event) => {
    const box = $('map').getBoundingClientRect();
    const share = (event.clientY - box.top) / (mapHeight() / devicePixelRatio);
    const line = Math.floor(share * screen_.lines.starts.length);
    const half = Math.floor((lastLine() - firstLine()) / 2);
    scroller.scrollTop = EDGE / 2 + Math.max(0, line - half) * rowHeight();
  };
  $('map').addEventListener('pointerdown', (event) => {
    $('map').setPointerCapture(event.pointerId);
    follow_(event);
  });
  $('map').addEventListener('pointermove', (event) => { if (event.buttons) follow_(event); });
  $('list').addEventListener('scroll', () => repaint('list'), {passive: true});
  $('sort').addEventListener('change', () => {
    sortBy($('sort').value);
    if (list.scores && !view.sort.startsWith('like ')) step(-Infinity);
  });
  $('find').addEventListener('input', () => { search($('find').value); });
  $('guesses').addEventListener('change', () => setGuesses(Number($('guesses').value)));
  $('label').addEventListener('change', () => setLabel($('label').value));
  $('curve').addEventListener('change', () => setCurve($('curve').checked));
  $('letters').addEventListener('change', () => { view.letters = $('letters').checked; remember(); });
  $('compare').addEventListener('click', KEYS.c);
  $('theme').addEventListener('click', KEYS.t);
  $('copy').addEventListener('click', copyLink);
  $('open-help').addEventListener('click', KEYS['?']);
  $('open-units').addEventListener('click', () => openUnits(!$('units').classList.contains('open')));
  addEventListener('hashchange', () => { if (location.hash !== remember.last) follow(location.hash); });
  new ResizeObserver(() => keepPlace()).observe(scroller);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setTheme(view.theme));
}

// ---- start ----

function furnish() {
  $('name').textContent = facts.name;
  $('about').textContent = `${facts.model}, ${facts.hidden} units in each layer · ${facts.summary}`;
  $('provenance').textContent = `${facts.model}, ${facts.parameters.toLocaleString('en')} parameters,`
    + ` trained on ${facts.source}; ${facts.symbols} symbols. Values are rounded to 8 bits.`;
  for (const {name} of facts.quantities) {
    const button = element('button', (NAMES[name] || name).replace(' gate', ''));
    button.value = name;
    button.setAttribute('role', 'radio');
    button.addEventListener('click', () => show(name));
    $('quantities').append(button);
  }
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

async function begin() {
  await unpackSmall();
  makeGlyphs(bytes.text);
  view.show = state();
  furnish();
  fit();
  follow(location.hash);
  listen();
  await need(view.show, view.unit.layer);
  repaint('fit', 'scroll', 'legend');
  requestAnimationFrame(() => requestAnimationFrame(() => {
    document.documentElement.dataset.ready = Math.round(performance.now());
  }));
  for (let layer = 0; layer < facts.layers; layer++) await need(state(), layer);
  sortUnits();
  revealChosen();
  repaint('text', 'map', 'legend');
  document.documentElement.dataset.complete = Math.round(performance.now());
}

begin().catch((error) => {
  $('name').textContent = 'This page cannot be shown';
  $('about').textContent = 'Its data could not be unpacked: the file is cut short, or the browser'
    + ` is older than 2023 (${error.message})`;
});
