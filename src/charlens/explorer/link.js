/* The link that reproduces a view. */

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
  words.set('panel', view.panel || 'none');
  if (view.clamped.length) words.set('clamp', view.clamped.map((entry) => `${id(entry)}:${entry.at}`).join(' '));
  if (view.selected) words.set('select', `${view.selected.from}-${view.selected.to}`);
  if (!view.letters) words.set('letters', 'off');
  return `#${words}`;
}

/* Update the link in the address bar shortly after the last change. */
function remember() {
  clearTimeout(remember.timer);
  remember.timer = setTimeout(() => {
    remember.last = link();
    if (parent === window) history.replaceState(null, '', remember.last);
    else parent.postMessage({link: remember.last, ...view}, '*');    // beside another, see beside.js
  }, 200);
}

/* The link with which the page was opened. */
const firstLink = () => parent === window ? location.hash : window.frameElement.dataset.link;

/* Follow the page beside this one: the same place and query, and the same hypothesis. */
function followOther({sort, find, top, down, at}) {
  if (sort !== view.sort && orders().some(({key}) => key === sort)) {
    sortBy(sort);
    step(-Infinity);
  }
  if (find !== view.find) {
    $('find').value = find;
    search(find);
  }
  if (top === undefined) return;
  Object.assign(view, {top, down, at});
  hideCard();
  repaint('scroll');
}

/* The hypothesis whose first unit is the strongest. */
function strongest() {
  const of = ({score, yes_no}) => typeof score[0] === 'number' ? strength(score[0], yes_no) : -1;
  return facts.hypotheses.reduce((a, b) => of(b) > of(a) ? b : a);
}

/* Show the view of a link; missing or invalid parts get their defaults. */
function followLink(hash) {
  const words = new URLSearchParams(hash.replace(/^#/, ''));
  const whole = (name, most) => {
    const number = Number(words.get(name) || NaN);
    return Number.isInteger(number) && number >= 0 && number <= most ? number : null;
  };
  const last = bytes.text.length - 1;
  Object.assign(view, {
    unit: parseUnit(words.get('cell')) || {layer: 0, index: 0},
    other: parseUnit(words.get('with')),
    sort: words.get('sort') || (facts.hypotheses?.length ? `by ${strongest().name}` : 'number'),
    only: whole('layer', facts.layers) ? whole('layer', facts.layers) - 1 : null,
    top: whole('top', last) ?? 0,
    down: Math.min(0.999, Math.max(0, Number(words.get('down')) || 0)),
    at: whole('at', last) ?? -1,
    guesses: whole('guesses', facts.guesses) ?? 0,
    curve: words.get('curve') === '1',
    palette: whole('colours', 2) ?? 0,
    letters: words.get('letters') !== 'off',
  });
  const theme = words.get('theme');
  setTheme(['light', 'dark'].includes(theme) ? theme : '');
  $('guesses').value = String(view.guesses);
  $('curve').checked = view.curve;
  $('letters').checked = view.letters;
  const [, from, to] = /^(\d+)-(\d+)$/.exec(words.get('select') || '') || [];
  view.selected = Number(from) < Number(to) && to <= last + 1 ? {from: Number(from), to: Number(to)} : null;
  openPanel(words.get('panel') || (innerWidth >= 1440 ? 'unit' : ''));
  setClamped((words.get('clamp') || '').split(' ').flatMap((word) => {
    const [name, at] = word.split(':'), unit = parseUnit(name);
    return unit && Math.abs(at) <= 1 ? [{...unit, at: Number(at)}] : [];
  }));
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
  if (parent === window) history.replaceState(null, '', link());
  const done = () => toast('Link copied');
  const failed = () => toast('The address bar holds the link');
  const {href} = (parent === window ? window : parent).location;
  if (navigator.clipboard) navigator.clipboard.writeText(href).then(done, failed);
  else failed();
}

function toast(words) {
  $('toast').textContent = words;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { $('toast').textContent = ''; }, 2500);
}
