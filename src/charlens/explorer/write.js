/* A text of the reader's own in place of the page's: typed, pasted, or drawn from the network. */

const OWN_SEGMENT = 100;    // characters: what is read again after an edit, at most
const OWN_LENGTH = 20000;   // characters, at most

const own = {shown: false, first: null, sampling: false};

/* A text as the network reads it: characters or UTF-8, with the line ends of its training text. */
function ownSymbols(text) {
  const ends = facts.network.line_ends === 'CRLF' ? '\r\n' : '\n';
  const converted = text.replace(/\r\n?|\n/g, ends);
  const symbols = inCharacters() ? Uint32Array.from(converted, (letter) => letter.codePointAt(0))
    : new TextEncoder().encode(converted);
  return symbols.subarray(0, OWN_LENGTH);
}

function ownString(symbols) {
  const text = inCharacters() ? Array.from(symbols, (code) => String.fromCodePoint(code)).join('')
    : new TextDecoder().decode(symbols);
  return text.replace(/\r\n/g, '\n');
}

/* Segments of a text of one's own; of those before, the first that are unchanged are kept. */
function ownSegments(length, kept) {
  const made = [...kept];
  const size = facts.network.state_size;
  for (let begin = kept.length * OWN_SEGMENT; begin < length || !made.length; begin += OWN_SEGMENT) {
    const first = !begin;
    const state = first ? new Float32Array(size) : begin === kept.length * OWN_SEGMENT ? kept.at(-1).after : null;
    made.push({begin, end: Math.min(length, begin + OWN_SEGMENT), lead: first ? [codeBefore()] : [], state,
      first, plain: '', clamped: ''});
  }
  return made;
}

/* Show and read this text, an array of symbols. What an earlier one begins with alike is not read again. */
function readOwn(text) {
  stop((job) => job.of);
  let alike = 0, kept = [];
  if (own.shown) {
    while (alike < text.length && text[alike] === bytes.text[alike]) alike++;
    const whole = ({begin, end, plain}) => end <= alike && end - begin === OWN_SEGMENT && plain === 'done';
    const changed = live.segments.findIndex((segment) => !whole(segment));
    kept = live.segments.slice(0, changed < 0 ? undefined : changed);
  } else own.first = pageText();
  const stride = Math.max(2048, 2 ** Math.ceil(Math.log2(text.length)));
  if (!own.shown || stride !== bytes.stride) kept = [];
  own.shown = true;
  Object.assign(bytes, {text, labelled: false});
  if (!kept.length) {
    bytes.stride = stride;
    readText(ownSegments(text.length, []), []);
  } else {
    live.segments = ownSegments(text.length, kept);
    bytes.codes = codesOf(text);
    setReading(text, Uint8Array.from(bytes.codes, (code) => code >= 0), []);
    for (const predictions of [live.plain, live.clamped]) predictions?.done.fill(0, kept.length * OWN_SEGMENT);
  }
  textChanged();
}

/* What must be put back to show this text again. */
function pageText() {
  const {text, stride, codes, read, streamStarts, next, values, labelled} = bytes;
  return {bytes: {text, stride, codes, read, streamStarts, next, values, labelled, valued: live.plain.done},
    segments: live.segments, plain: live.plain, top: view.top, down: view.down, name: $('name').textContent,
    about: $('about').textContent};
}

function leaveOwn() {
  if (!own.shown) return;
  stop(() => true);
  own.shown = false;
  const {first} = own;
  Object.assign(bytes, first.bytes);
  live.segments = first.segments;
  live.plain = first.plain;
  live.segments.forEach((segment) => { segment.clamped = ''; });
  live.clamped = live.clamps.length ? noPredictions(bytes.stride) : null;
  usePredictions();
  textChanged();
  Object.assign(view, {top: first.top, down: first.down});
  $('name').textContent = first.name;
  $('about').textContent = first.about;
}

/* Lay out another text, and read it. */
function textChanged() {
  forgetEffects();
  makeGlyphs(bytes.text);
  transient.lines = null;
  search.lower = undefined;
  if (view.at >= bytes.text.length) view.at = -1;
  view.selected = transient.anchor = null;
  hideCard();
  fit();
  if (own.shown) {
    view.top = view.down = 0;
    $('name').textContent = 'Your text';
  }
  search(view.find);
  repaint('fit', 'map', 'legend');
  fillWorkers();
  changed();
}

function paintOwnNote() {
  $('leave').hidden = !own.shown;
  $('sample').textContent = own.sampling ? 'Stop' : 'Write';
  if (!own.shown) { $('own-note').textContent = ''; return; }
  const {count, each, before, after} = effect();
  const unknown = bytes.read.length - bytes.read.reduce((a, b) => a + b, 0);
  const parts = [];
  if (count) {
    parts.push(`${count.toLocaleString('en')} characters, ${before.toFixed(3)} nats`
      + ` (${(before / Math.LN2).toFixed(3)} bits) per character`
      + (inCharacters() ? `, ${(before / Math.LN2 / each).toFixed(3)} bits per byte` : '')
      + (live.clamped ? `, ${after.toFixed(3)} nats with units clamped.` : '.'));
  }
  if (unknown) parts.push(`${unknown.toLocaleString('en')} are not in the network’s alphabet and not read.`);
  if (bytes.text.includes(13)) parts.push('Line ends are CRLF, as in its training text.');
  $('own-note').textContent = parts.join(' ');
  $('about').textContent = `${facts.model}, ${facts.hidden} units in each layer · ${$('own-note').textContent}`;
}

// ---- samples ----

/* Draw from the network once the text has been read; again: stop. */
async function sampleOwn() {
  if (own.sampling) {
    stop(({kind}) => kind === 'sample');
    own.sampling = false;
    paintOwnNote();
    return;
  }
  if (!own.shown) readOwn(ownSymbols($('own').value));
  own.sampling = true;
  paintOwnNote();
  while (own.sampling && !isRead()) await new Promise((done) => { setTimeout(done, 30); });
  if (!own.sampling || !own.shown) return;
  const last = live.segments.at(-1);
  const number = (name, least, most) => Math.min(most, Math.max(least, Number($(name).value) || 0));
  const length = Math.min(number('length', 1, 2000), OWN_LENGTH - bytes.text.length);
  request('sample', {length, state: live.clamped ? last.clampedAfter : last.after, clamps: live.clamps,
    temperature: number('temperature', 0, 3), seed: number('seed', 0, 4294967295)}, ({drawn, done}) => {
    const text = symbolArray().from([...bytes.text, ...drawn]);
    $('own').value = ownString(text);
    if (done) own.sampling = false;
    readOwn(text);
    scrollLineIntoView(transient.lines.starts.length - 1);
  });
}

function listenToWriting() {
  let timer = 0;
  $('own').addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => readOwn(ownSymbols($('own').value)), 120);
  });
  $('take').addEventListener('click', () => {
    $('own').value = ownString(bytes.text.subarray(...visible()));
    readOwn(ownSymbols($('own').value));
  });
  $('leave').addEventListener('click', leaveOwn);
  $('sample').addEventListener('click', sampleOwn);
}
