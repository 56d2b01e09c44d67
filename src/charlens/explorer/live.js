/* The network in the page. Workers read the text segment by segment, what is looked at first; what
   they find comes in pieces. A text is read once by the network as it is and, where units are
   clamped, a second time with these. */

const WORKERS = 4;      // at most
const WARM_UP = 500;    // characters read with the units clamped before those of which that is shown

const live = {
  workers: [],        // each with the job it works at, or null
  jobs: 0,            // so many were begun
  requests: [],       // jobs that somebody waits for
  clamps: [],         // {layer, index, value}: the memory of a unit and the value that it gets
  // of the text: begin, end; lead: codes read before it; state: before the lead, once it is known;
  // first: of its stream; plain, clamped: '', 'running' or 'done'
  segments: [],
  plain: null, clamped: null,     // predictions, see `noPredictions`
};

/* The code of each symbol, -1 for those that the network does not know. */
function codesOf(text) {
  const {alphabet} = facts.network;
  codesOf.table ??= new Map(alphabet.map((symbol, code) => [symbol, code]));
  return Int32Array.from(text, (symbol) => codesOf.table.get(symbol) ?? -1);
}

/* The code read before a text's first character, as `score_text.before`. */
const codeBefore = () => Math.max(0, facts.network.alphabet.indexOf(NEWLINE));

async function startWorkers() {
  const {layers, hidden, symbols, symbols_are, guesses, network} = facts;
  const source = new Blob([$('worker').textContent], {type: 'text/javascript'});
  const address = URL.createObjectURL(source);
  const halves = new Uint16Array((await unpack('weights')).buffer);
  const about = {...network, layers, hidden, symbols, symbols_are, guesses};
  const count = Math.max(1, Math.min(WORKERS, (navigator.hardwareConcurrency || 2) - 1));
  for (let k = 0; k < count; k++) {
    const worker = new Worker(address);
    const entry = {worker, job: null};
    worker.onmessage = ({data}) => received(entry, data);
    worker.onerror = ({message}) => toast(`The network cannot be run: ${message}`);
    worker.postMessage({network: about, halves});
    live.workers.push(entry);
  }
}

/* The segments of the page's own text, from the states that came with it. */
async function pageSegments() {
  const states = new Float32Array((await unpack('states')).buffer);
  const begins = facts.network.segments, size = states.length / begins.length;
  facts.network.state_size = size;
  return begins.map((begin, k) => ({
    begin, end: begins[k + 1] ?? bytes.text.length, lead: [],
    state: states.subarray(k * size, (k + 1) * size),
    first: k === 0 || facts.breaks.includes(begin), plain: '', clamped: '',
  }));
}

/* Room for the values of all units over the text. */
function makeValues() {
  bytes.values = new Map();
  for (const {name} of facts.quantities.filter((q) => ofUnit(q.name))) {
    for (let layer = 0; layer < facts.layers; layer++) {
      bytes.values.set(`${name}.${layer}`, new Uint8Array(facts.hidden * bytes.stride));
    }
  }
}

/* Begin to read a text that is in `bytes`. */
function readText(segments, breaks) {
  live.segments = segments;
  bytes.codes = codesOf(bytes.text);
  setReading(bytes.text, Uint8Array.from(bytes.codes, (code) => code >= 0), breaks);
  live.plain = noPredictions(bytes.stride);
  live.clamped = live.clamps.length ? noPredictions(bytes.stride) : null;
  bytes.valued = live.plain.done;
  makeValues();
  usePredictions();
}

/* Show the predictions of the network as it is, or with the units clamped. */
function usePredictions() {
  Object.assign(bytes, live.clamped || live.plain);
  bytes.change = live.clamped ? new Uint8Array(bytes.stride).fill(128) : null;
  if (live.clamped) findChange(0, bytes.text.length);
}

/* The change in surprise of some characters, as a signed byte. */
function findChange(from, to) {
  const {plain, clamped} = live;
  for (let i = from; i < to; i++) {
    const bits = plain.done[i] && clamped.done[i] ? (plain.logp[i] - clamped.logp[i]) / Math.LN2 : 0;
    bytes.change[i] = Math.round(128 + 127 * Math.max(-1, Math.min(1, bits / CHANGE)));
  }
}

/* Whether all of the text has been read. */
const isRead = () => live.segments.every((segment) => segment.plain === 'done')
  && (!live.clamped || live.segments.every((segment) => segment.clamped === 'done'));

// ---- jobs ----

/* The segment from which one is read: itself, or with units clamped one so far before it that the
   clamped state has settled. */
function startOf(segment, kind) {
  let at = live.segments.indexOf(segment);
  while (kind === 'clamped' && !live.segments[at].first
    && segment.begin - live.segments[at].begin < WARM_UP) at--;
  return live.segments[at];
}

/* What a worker must know to read a segment. */
function task(segment, kind) {
  const start = startOf(segment, kind);
  const codes = [...start.lead, ...bytes.codes.subarray(start.begin, segment.end)];
  return {codes, state: start.state, skip: codes.length - (segment.end - segment.begin)};
}

/* Up to four segments of one kind that wait to be read, the nearest to what is seen first. */
function nextBatch() {
  const [from, to] = visible();
  const due = [];
  for (const kind of live.clamps.length ? ['clamped', 'plain'] : ['plain']) {
    for (const segment of live.segments) {
      if (segment[kind] || !startOf(segment, kind).state) continue;
      const distance = Math.max(0, segment.begin - to, from - segment.end);
      due.push({kind, segment, distance});
    }
  }
  due.sort((a, b) => a.distance - b.distance);
  return due.filter(({kind}) => kind === due[0].kind).slice(0, 4);
}

function fillWorkers() {
  for (const entry of live.workers) {
    if (entry.job) continue;
    const request = live.requests.shift();
    if (request) { begin(entry, request); continue; }
    const batch = nextBatch();
    if (!batch.length) return;
    const [{kind}] = batch;
    batch.forEach(({segment}) => { segment[kind] = 'running'; });
    begin(entry, {kind, of: batch.map(({segment}) => segment),
      message: {segments: batch.map(({segment}) => task(segment, kind)),
        clamps: kind === 'clamped' ? live.clamps : [], withValues: kind === 'plain'}});
  }

  function begin(entry, job) {
    entry.job = {...job, number: ++live.jobs};
    entry.worker.postMessage({...job.message, job: live.jobs});
  }
}

/* Stop the jobs that match, as if they had never begun. */
function stop(matches) {
  for (const entry of live.workers) {
    if (!entry.job || !matches(entry.job)) continue;
    entry.job.of?.forEach((segment) => { segment[entry.job.kind] = ''; });
    entry.job = null;
    entry.worker.postMessage({job: ++live.jobs});
  }
  live.requests = live.requests.filter((job) => !matches(job));
}

/* The text has been scrolled: let go of what is out of sight, where what is in sight waits. */
function followView() {
  const [from, to] = visible(), seen = ({begin, end}) => end > from && begin < to;
  if (live.segments.some((segment) => seen(segment) && !segment.plain)) {
    stop(({of}) => of && !of.some(seen));
    fillWorkers();
  }
}

/* Have a job done before all others. message: as worker.js takes it; answer: called with each
   message that comes back. */
function request(kind, message, answer) {
  live.requests.push({kind, message, answer});
  // one worker lets go of what nobody waits for
  const busy = live.workers.every((entry) => entry.job);
  const idler = busy && live.workers.find((entry) => !entry.job.answer);
  if (idler) stop((job) => job === idler.job);
  fillWorkers();
}

function received(entry, message) {
  const {job} = entry;
  if (!job || message.job !== job.number) return;
  if (message.done) entry.job = null;
  if (job.answer) job.answer(message);
  else if (message.done) finished(job, message);
  else merge(job, message);
  if (message.done) fillWorkers();
}

/* A piece of a segment has arrived. */
function merge({kind, of}, {segment: place, from, begin, end, width, values, logp, guesses, chances}) {
  const segment = of[place], predictions = live[kind];
  const {codes} = task(segment, kind);
  const at = segment.end - codes.length + begin, local = begin - from, n = end - begin;
  for (const [name, found] of Object.entries(values)) {
    found.forEach((array, layer) => {
      const block = bytes.values.get(`${name}.${layer}`);
      for (let u = 0; u < facts.hidden; u++) {
        block.set(array.subarray(u * width + local, u * width + local + n), u * bytes.stride + at);
      }
    });
  }
  for (let k = 0; k < facts.guesses; k++) {
    const row = [k * width + local, k * width + local + n];
    predictions.guesses.set(guesses.subarray(...row), k * bytes.stride + at);
    predictions.chances.set(chances.subarray(...row), k * bytes.stride + at);
  }
  predictions.logp.set(logp.subarray(local, local + n), at);
  for (let i = at; i < at + n; i++) {
    const nats = -predictions.logp[i];
    predictions.loss[i] = nats >= 0 ? Math.min(facts.unscored - 1, Math.round(1000 * nats)) : facts.unscored;
    predictions.surprise[i] = surpriseByte(predictions.loss[i]);
    predictions.done[i] = 1;
  }
  if (live.clamped) findChange(at, at + n);
  changed();
}

function finished({kind, of}, {after}) {
  of.forEach((segment, k) => {
    segment[kind] = 'done';
    if (kind === 'clamped') { segment.clampedAfter = after[k]; return; }
    segment.after = after[k];
    const next = live.segments[live.segments.indexOf(segment) + 1];
    if (next && !next.first) next.state ??= after[k];
  });
  changed();
}

/* Repaint what has changed, the costly parts at most a few times a second. */
function changed() {
  repaint('text');
  if (changed.timer) return;
  changed.timer = setTimeout(() => {
    changed.timer = 0;
    repaint('map', 'legend');
    refreshCard();
    const whole = isRead();
    if (whole && whole !== changed.whole) sortUnits();
    changed.whole = whole;
    const {dataset} = document.documentElement;
    dataset.ready ??= Math.round(performance.now());
    if (whole) dataset.complete ??= Math.round(performance.now());
    paintPanel();
  }, 250);
}

// ---- clamped units ----

/* Clamp units: a list of {layer, index, value}; none to let all go. */
function clampUnits(clamps) {
  stop(({kind}) => kind === 'clamped');
  live.clamps = clamps;
  live.segments.forEach((segment) => { segment.clamped = ''; });
  live.clamped = clamps.length ? noPredictions(bytes.stride) : null;
  usePredictions();
  const there = Boolean(quantity('change'));
  if (clamps.length && !there) {
    facts.quantities.push({name: 'change', title: 'change in surprise', signed: true});
  }
  if (!clamps.length && there) facts.quantities.pop();
  if (!clamps.length && view.show === 'change') show('loss');
  fillQuantities();
  fillWorkers();
  changed();
  remember();
}

/* Mean loss in nats without and with clamped units, over the characters read both ways; their number,
   and their mean length in bytes. */
function effect() {
  const {plain, clamped} = live;
  let count = 0, length = 0, before = 0, after = 0;
  for (let i = 0; i < bytes.text.length; i++) {
    if (!plain.done[i] || clamped && !clamped.done[i] || !bytes.read[i]) continue;
    count += 1;
    length += inCharacters() ? utf8Bytes(bytes.text[i]) : 1;
    before -= plain.logp[i];
    if (clamped) after -= clamped.logp[i];
  }
  return {count, each: length / count, before: before / count, after: after / count};
}
