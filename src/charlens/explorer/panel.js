/* The panel beside the text: its tabs, and the clamped units. */

const PANELS = ['unit', 'ask', 'write'];

/* Open one of the panel's tabs; '' closes the panel. */
function openPanel(name) {
  const known = name === 'write' && !facts.network ? 'unit' : name;
  view.panel = PANELS.includes(known) ? known : '';
  $('panel').hidden = !view.panel;
  $('open-panel').setAttribute('aria-expanded', Boolean(view.panel));
  for (const panel of PANELS) {
    const chosen = panel === view.panel;
    $(`panel-${panel}`).hidden = !chosen;
    $(`tab-${panel}`).setAttribute('aria-selected', chosen);
    $(`tab-${panel}`).tabIndex = chosen ? 0 : -1;
  }
  $('tab-write').hidden = $('clamping').hidden = !facts.network;
  paintPanel();
  remember();
}

/* Left and right move among the tabs. */
function onTabKey(event) {
  const by = {ArrowRight: 1, ArrowLeft: -1}[event.key];
  if (!by) return;
  const shown = PANELS.filter((panel) => !$(`tab-${panel}`).hidden);
  openPanel(shown[(shown.indexOf(view.panel) + by + shown.length) % shown.length]);
  $(`tab-${view.panel}`).focus();
  event.preventDefault();
  event.stopPropagation();
}

function paintPanel() {
  if (view.panel === 'unit') paintUnitPanel();
  if (view.panel === 'ask') paintPassage();
  if (facts.network && (view.panel === 'write' || own.shown)) paintOwnNote();
}

function paintUnitPanel() {
  if (facts.network) paintClamps();
  paintDossier();
}

// ---- clamped units ----

/* The value of the memory that is shown as v. */
const memoryAt = (v) => quantity(state()).tanh ? Math.atanh(Math.max(-0.999, Math.min(0.999, v))) : v;

/* Hold a unit so that it shows as v, -1 to 1; null lets it go. */
function clampUnit(unit, v) {
  const others = view.clamped.filter((entry) => !same(entry, unit));
  setClamped(v === null ? others : [...others, {...unit, at: v}]);
}

function setClamped(clamped) {
  view.clamped = facts.network ? clamped : [];
  if (!facts.network) return;
  clampUnits(view.clamped.map(({layer, index, at}) => ({layer, index, value: memoryAt(at)})));
  paintPanel();
}

/* The mean of what a unit shows, over the characters read so far. */
function meanOf(unit) {
  const values = series(state(), unit);
  let sum = 0, count = 0;
  for (let i = 0; i < bytes.text.length; i++) {
    if (bytes.valued[i] && bytes.read[i]) { sum += value(state(), values[i]); count += 1; }
  }
  return count ? sum / count : 0;
}

function paintClamps() {
  const clamped = view.clamped.find((entry) => same(entry, view.unit));
  $('clamp-zero').setAttribute('aria-pressed', clamped?.at === 0);
  if (clamped) $('clamp-value').value = clamped.at;
  $('clamp-at').textContent = signedNumber(clamped ? clamped.at : Number($('clamp-value').value));
  $('clamps').replaceChildren(...view.clamped.map((entry) => {
    const button = element('button', `${id(entry)} clamped to ${signedNumber(entry.at)} ×`);
    button.title = 'Let it go';
    button.addEventListener('click', () => clampUnit(entry, null));
    return button;
  }));
  const {count, before, after} = view.clamped.length ? effect() : {};
  const bits = (nats) => (nats / Math.LN2).toFixed(3);
  $('show-change').hidden = !view.clamped.length;
  const over = () => `over ${count.toLocaleString('en')} of ${bytes.text.length.toLocaleString('en')} characters`;
  $('effect').textContent = !view.clamped.length ? ''
    : !count ? 'Reading the text with this unit clamped …'
      : `Surprise ${bits(before)} → ${bits(after)} bits per character`
        + ` (${signedNumber((after - before) / Math.LN2, 3)}), ${over()}. Guesses and surprise are those`
        + ' with the unit clamped; the colours of units are those without.';
}

function listenToPanel() {
  $('open-panel').addEventListener('click', () => openPanel(view.panel ? '' : 'unit'));
  for (const panel of PANELS) $(`tab-${panel}`).addEventListener('click', () => openPanel(panel));
  $('tabs').addEventListener('keydown', onTabKey);
  $('clamp-zero').addEventListener('click', () => {
    const clamped = view.clamped.some((entry) => same(entry, view.unit) && entry.at === 0);
    clampUnit(view.unit, clamped ? null : 0);
  });
  $('clamp-mean').addEventListener('click', () => clampUnit(view.unit, Math.round(100 * meanOf(view.unit)) / 100));
  $('clamp-value').addEventListener('input', () => {
    $('clamp-at').textContent = signedNumber(Number($('clamp-value').value));
  });
  $('clamp-value').addEventListener('change', () => clampUnit(view.unit, Number($('clamp-value').value)));
  $('show-change').addEventListener('click', () => show(view.show === 'change' ? state() : 'change'));
}
