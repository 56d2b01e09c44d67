/* A worker: reads segments of a text and draws samples, as the page asks. What it finds it posts
   piece by piece, so that the page paints early and a newer request takes its place. */

const PIECE = 50;       // characters

const worker = {about: null, params: null, readers: {}, job: 0};

function reader(streams) {
  return worker.readers[streams] ??= new Reader(worker.about, worker.params, streams);
}

/* Let messages in. */
const pause = () => new Promise((done) => {
  const {port1, port2} = new MessageChannel();
  port1.onmessage = done;
  port2.postMessage(0);
});

/* As `recording.quantise`. */
const signedByte = (v) => Math.round(128 + 127 * Math.max(-1, Math.min(1, v)));
const gateByte = (v) => Math.round(255 * v);

/* Buffers for a piece of one stream: values by name and layer, [hidden x PIECE], and predictions. */
function buffers(about, withValues) {
  const {cell} = reader(1), values = {};
  for (const name of withValues ? [cell.memory, ...cell.gates] : []) {
    values[name] = Array.from({length: about.layers}, () => new Uint8Array(about.hidden * PIECE));
  }
  const symbols = about.symbols_are === 'characters' ? Uint32Array : Uint8Array;
  return {values, logp: new Float32Array(PIECE).fill(NaN),
    guesses: new symbols(about.guesses * PIECE), width: PIECE, chances: new Uint16Array(about.guesses * PIECE)};
}

/* Put what one stream of a network holds now into column t of its buffers. */
function keep(network, stream, {values, guesses, chances}, t) {
  const {streams, about, cell, layers, logProbs} = network;
  for (const [name, kept] of Object.entries(values)) {
    const signed = name === 'g' || name === cell.memory, bounded = name !== 'c';
    kept.forEach((out, l) => {
      const held = layers[l][name];
      for (let u = 0; u < about.hidden; u++) {
        const v = held[u * streams + stream];
        out[u * PIECE + t] = !signed ? gateByte(v) : signedByte(bounded ? v : Math.tanh(v));
      }
    });
  }
  const best = new Array(about.guesses).fill(-1);     // codes, the likeliest first
  const p = (code) => code < 0 ? -Infinity : logProbs[code * streams + stream];
  for (let code = 0; code < about.symbols; code++) {
    let place = best.length;
    while (place > 0 && p(code) > p(best[place - 1])) place--;
    if (place < best.length) { best.splice(place, 0, code); best.pop(); }
  }
  best.forEach((code, k) => {
    guesses[k * PIECE + t] = about.alphabet[code];
    chances[k * PIECE + t] = Math.round(65535 * Math.exp(p(code)));
  });
}

/* Read segments side by side. Each has codes (-1 where a character is unknown), the state before
   them, and how many of its first characters are a warm-up. mean: the mean probabilities over all
   characters are wanted alone. */
async function readSegments({job, segments, clamps, withValues, mean}) {
  const streams = segments.length > 1 ? STREAMS : 1, network = reader(streams), {about} = worker;
  const padded = Array.from({length: streams}, (_, s) => segments[s] || segments[0]);
  network.clamps = clamps;
  padded.forEach((segment, s) => network.setState(s, segment.state));
  const last = Math.max(...segments.map(({codes}) => codes.length));
  const sums = new Float64Array(about.symbols);
  let pieces = [], from = 0, counted = 0;
  const post = (to) => {
    segments.forEach((segment, s) => {
      const end = Math.min(to, segment.codes.length);
      if (mean || end <= Math.max(from, segment.skip)) return;
      const {values, logp, guesses, chances} = pieces[s];
      const arrays = [...Object.values(values).flat(), logp, guesses, chances];
      postMessage({job, segment: s, from, begin: Math.max(from, segment.skip), end, ...pieces[s]},
        arrays.map((array) => array.buffer));
    });
  };
  let logProbs = network.predict();
  for (let t = 0; t < last; t++) {
    if (t === from) pieces = segments.map(() => buffers(about, withValues));
    segments.forEach(({codes}, s) => {
      if (codes[t] >= 0) pieces[s].logp[t - from] = logProbs[codes[t] * streams + s];
    });
    network.read(padded.map(({codes}) => codes[t] ?? -1));
    logProbs = network.predict();
    segments.forEach((segment, s) => {
      if (t >= segment.codes.length || t < segment.skip) return;
      if (!mean) { keep(network, s, pieces[s], t - from); return; }
      for (let k = 0; k < about.symbols; k++) sums[k] += Math.exp(logProbs[k * streams + s]);
      counted += 1;
    });
    segments.forEach(({codes}, s) => {
      if (t + 1 === codes.length && !mean) segments[s].after = network.getState(s);
    });
    if (t + 1 - from === PIECE || t + 1 === last) {
      post(t + 1);
      from = t + 1;
      await pause();
      if (worker.job !== job) return;
    }
  }
  postMessage({job, done: true, after: segments.map(({after}) => after),
    mean: mean && sums.map((sum) => sum / counted)});
}

// ---- samples ----

/* Random numbers in 0 ... 1 from a seed (mulberry32). */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
}

/* The bytes that may follow in UTF-8: [the least, the most] allowed above ASCII, after the bytes of a
   character that has begun. As `text.utf8`. */
function follows(begun) {
  if (!begun.length) return (byte) => byte < 0x80 || byte >= 0xc2 && byte < 0xf5;
  const [low, high] = begun.length > 1 ? [0x80, 0xbf]
    : {0xe0: [0xa0, 0xbf], 0xed: [0x80, 0x9f], 0xf0: [0x90, 0xbf], 0xf4: [0x80, 0x8f]}[begun[0]] || [0x80, 0xbf];
  return (byte) => byte >= low && byte <= high;
}

const bytesOf = (first) => first < 0xc2 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

/* The code of the next character. temperature: 0 takes the likeliest. */
function draw(logProbs, allowed, temperature, random) {
  const {alphabet, symbols} = worker.about;
  let codes = Array.from({length: symbols}, (_, code) => code).filter((code) => allowed(alphabet[code]));
  if (!codes.length) codes = Array.from({length: symbols}, (_, code) => code);
  const best = codes.reduce((a, b) => logProbs[b] > logProbs[a] ? b : a);
  if (temperature <= 0) return best;
  const weights = codes.map((code) => Math.exp((logProbs[code] - logProbs[best]) / temperature));
  let left = random() * weights.reduce((a, b) => a + b, 0);
  return codes[weights.findIndex((weight) => (left -= weight) < 0)] ?? best;
}

/* Draw characters from a state on: `length` of them, each whole. */
async function drawSample({job, state, clamps, length, temperature, seed}) {
  const network = reader(1), {alphabet, utf8} = worker.about, random = randomNumbers(seed);
  network.clamps = clamps;
  network.setState(0, state);
  let begun = [], drawn = [];
  for (let n = 0; n < length;) {
    const code = draw(network.predict(), utf8 ? follows(begun) : () => true, temperature, random);
    network.read([code]);
    begun.push(alphabet[code]);
    if (utf8 && begun.length < bytesOf(begun[0])) continue;
    drawn.push(...begun);
    begun = [];
    n += 1;
    if (n % 20 === 0 || n === length) {
      postMessage({job, drawn, done: n === length});
      drawn = [];
      await pause();
      if (worker.job !== job) return;
    }
  }
}

self.onmessage = ({data}) => {
  if (data.network) {
    worker.about = data.network;
    worker.params = prepared(data.network, data.halves);
    return;
  }
  worker.job = data.job;
  if (data.segments) readSegments(data);
  else if (data.length) drawSample(data);
};
