/* Keyboard, pointer and controls. */

const KEYS = {
  j: () => step(1), k: () => step(-1),
  '/': () => { openUnits(false); $('find').focus(); $('find').select(); },
  n: () => goToHit(1), N: () => goToHit(-1),
  c: () => { if (ofUnit(view.show)) compareWith(view.other ? view.other : view.unit); },
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
  p: () => setPalette((view.palette + 1) % theme().signed.length),
  t: () => setTheme(dark() ? 'light' : 'dark'),
  u: () => { openUnits(true); $('find-unit').focus(); $('find-unit').select(); },
  i: () => openPanel(view.panel ? '' : 'unit'),
  l: () => copyLink(),
  '?': () => $('help').showModal(),
  Escape: () => {
    if (innerWidth <= 1100) openPanel('');
    select(null);
    hideCard();
    openUnits(false);
    view.at = -1;
    repaint('text');
    remember();
  },
};

const TEXT_KEYS = {
  ArrowRight: () => moveBy(1), ArrowLeft: () => moveBy(-1),
  ArrowDown: () => moveLine(1), ArrowUp: () => moveLine(-1),
  PageDown: () => moveLine(Math.max(1, lastLine() - firstLine() - 1)),
  PageUp: () => moveLine(-Math.max(1, lastLine() - firstLine() - 1)),
  Home: () => moveTo(transient.lines.starts[lineOf(transient.lines, Math.max(0, view.at))]),
  End: () => moveTo(transient.lines.ends(lineOf(transient.lines, Math.max(0, view.at))) - 1),
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
    if (key === 'Enter') goToHit(event.shiftKey ? -1 : 1);
    else if (key === 'Escape') $('scroller').focus();
    else return;
    event.preventDefault();
    return;
  }
  if (target === $('find-unit') && key === 'Escape') { $('list').focus(); event.preventDefault(); return; }
  if (target === $('own') || target === $('find-unit') || target.type === 'number') return;
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
  const from = transient.anchor ?? Math.max(0, view.at);
  act();
  if (event.shiftKey && act === TEXT_KEYS[key]) select(from, view.at);
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
    if (Math.abs(scroller.scrollTop - transient.scrollSet) > 1) {
      view.top = transient.lines.starts[Math.min(firstLine(), transient.lines.starts.length - 1)];
      view.down = Math.round(1000 * (scrolled() % 1)) / 1000;
      transient.scrollSet = -1;
    }
    if (transient.hover >= 0) hideCard();
    else if (!$('card').hidden) showCardAtCursor();
    repaint('text');
    remember();
    clearTimeout(followView.timer);
    if (facts.network) followView.timer = setTimeout(followView, 100);
  }, {passive: true});
  scroller.addEventListener('pointermove', (event) => {
    const box = scroller.getBoundingClientRect();
    const at = characterAt(event.clientX - box.left, event.clientY - box.top);
    if (at !== transient.hover) {
      transient.hover = at;
      showCard(at);
      repaint('text');
    }
    if (at >= 0) placeCard(event.clientX, event.clientY);
    const {pressed} = transient;
    if (at >= 0 && event.buttons & 1 && pressed >= 0 && at !== pressed) select(pressed, at);
  });
  scroller.addEventListener('pointerdown', (event) => {
    const box = scroller.getBoundingClientRect();
    transient.pressed = characterAt(event.clientX - box.left, event.clientY - box.top);
  });
  scroller.addEventListener('pointerleave', () => { hideCard(); repaint('text'); });
  scroller.addEventListener('click', (event) => {
    const box = scroller.getBoundingClientRect();
    const at = characterAt(event.clientX - box.left, event.clientY - box.top);
    if (event.shiftKey && at >= 0) select(transient.anchor ?? Math.max(0, view.at), at);
    else if (at >= 0 && at === transient.pressed) { select(null); moveTo(at, false); }
    if (at >= 0) placeCard(event.clientX, event.clientY);
  });
  const scrollToPointer = (event) => {
    const box = $('map').getBoundingClientRect();
    const share = (event.clientY - box.top) / (mapHeight() / devicePixelRatio);
    const line = Math.floor(share * transient.lines.starts.length);
    const half = Math.floor((lastLine() - firstLine()) / 2);
    scroller.scrollTop = EDGE / 2 + Math.max(0, line - half) * rowHeight();
  };
  $('map').addEventListener('pointerdown', (event) => {
    $('map').setPointerCapture(event.pointerId);
    scrollToPointer(event);
  });
  $('map').addEventListener('pointermove', (event) => { if (event.buttons) scrollToPointer(event); });
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
  $('png').addEventListener('click', savePng);
  $('svg').addEventListener('click', saveSvg);
  $('copy').addEventListener('click', copyLink);
  $('open-help').addEventListener('click', KEYS['?']);
  $('open-units').addEventListener('click', () => openUnits(!$('units').classList.contains('open')));
  listenToPanel();
  listenToQuestions();
  listenToWriting();
  addEventListener('hashchange', () => { if (location.hash !== remember.last) followLink(location.hash); });
  new ResizeObserver(() => keepPlace()).observe(scroller);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setTheme(view.theme));
}
