'use strict';
/* The data of this page: facts as JSON, and packed blocks, each unpacked when it is needed. */

const facts = {};       // filled once the page has loaded
/* The text that is shown and what is known of it: text, its predictions (see `noPredictions`), which
   characters the network reads, and the values of units. In arrays of several numbers for each
   character, a row is `stride` long. */
const bytes = {};
const labels = new Map();   // by hypothesis

/* Whether the network predicts Unicode characters; otherwise bytes. Texts and guesses are arrays of
   code points, or of bytes. */
const inCharacters = () => facts.symbols_are === 'characters';
const symbolArray = () => inCharacters() ? Uint32Array : Uint8Array;

const SURPRISE = 8;     // bits at which the scale of surprise ends
const CHANGE = 4;       // and the scale of its change, on both sides

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const out = new Uint8Array(binary.length);
  for (let i = 0; i < out.length; i++) out[i] = binary.charCodeAt(i);
  return out;
}

/* The element of a block, once all of it has arrived: the page starts before it is complete. */
async function arrived(id) {
  for (;;) {
    const element = document.getElementById(`block-${id}`);
    if (element?.nextSibling || document.readyState !== 'loading') return element;
    await new Promise((done) => { setTimeout(done, 10); });
  }
}

/* The content of a block. Its element is removed to free memory. */
async function unpack(id) {
  const element = await arrived(id);
  const packed = fromBase64(element.textContent);
  element.remove();
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/* Predictions of n characters. done: which are known, none as yet. */
function noPredictions(n) {
  return {
    logp: new Float32Array(n).fill(NaN), loss: new Uint16Array(n), surprise: new Uint8Array(n),
    guesses: new (symbolArray())(n * facts.guesses), chances: new Uint16Array(n * facts.guesses),
    done: new Uint8Array(n),
  };
}

/* Surprise as it is shown, like a gate: 0 ... 255 for 0 ... 8 bits. */
const surpriseByte = (loss) => Math.min(255, loss / 1000 / Math.LN2 / SURPRISE * 255);

/* Which characters the network reads, 0 or 1, and the next that it reads after each; -1 if none. */
function setReading(text, read, breaks) {
  bytes.read = read;
  bytes.streamStarts = new Set(breaks);   // where the network starts from a zero state
  bytes.next = new Int32Array(text.length);
  for (let i = text.length - 1, next = -1; i >= 0; i--) {
    bytes.next[i] = next;
    if (bytes.streamStarts.has(i)) next = -1;
    else if (read[i]) next = i;
  }
}

async function unpackSmall() {
  Object.assign(facts, JSON.parse($('facts').textContent));
  facts.quantities.push({name: 'loss', title: 'surprise', signed: false});
  const text = new (symbolArray())((await unpack('text')).buffer);
  Object.assign(bytes, {text, stride: text.length, values: new Map(), labelled: true});
  if (facts.network) return;
  const [guesses, chances, loss] = await Promise.all(['guesses', 'chances', 'loss'].map(unpack));
  Object.assign(bytes, noPredictions(text.length), {
    guesses: new (symbolArray())(guesses.buffer),
    chances: new Uint16Array(chances.buffer), loss: new Uint16Array(loss.buffer)});
  bytes.surprise = Uint8Array.from(bytes.loss, surpriseByte);
  bytes.done.fill(1);
  bytes.valued = bytes.done;
  setReading(text, Uint8Array.from(bytes.loss, (nats) => nats !== facts.unscored), facts.breaks);
}

function quantity(name) {
  return facts.quantities.find((q) => q.name === name);
}

/* Whether a quantity belongs to a unit, not to the text. */
const ofUnit = (name) => name !== 'loss' && name !== 'change';

/* How much of the text a quantity covers: of what is recorded, a gate only the beginning. */
const lengthOf = (name) => facts.network || !ofUnit(name) ? bytes.text.length : quantity(name).length;

/* The values of one unit over the text, bytes; null while their block is still packed. */
function series(name, unit) {
  if (name === 'loss') return bytes.surprise;
  if (name === 'change') return bytes.change;
  const block = bytes.values.get(`${name}.${unit.layer}`);
  const row = facts.network ? bytes.stride : quantity(name).length;
  return block ? block.subarray(unit.index * row, unit.index * row + lengthOf(name)) : null;
}

/* One value as a number: -1 ... 1 or 0 ... 1; surprise and its change in bits. */
function value(name, byte) {
  if (name === 'loss') return byte / 255 * SURPRISE;
  const signed = (byte - 128) / 127;
  if (name === 'change') return signed * CHANGE;
  return quantity(name).signed ? signed : byte / 255;
}

/* The labels of the text by a hypothesis: 0 ... 254; 255 is undefined. */
const label = (name) => labels.get(name) || null;

const unpacking = new Map();
/* Unpack a block, once. part: a layer, or the name of a label. */
function ensureUnpacked(name, part) {
  const id = `${name}.${part}`;
  if (!ofUnit(name) || facts.network && name !== 'label') return Promise.resolve();
  const kept = name === 'label' ? (found) => labels.set(part, found)
    : (found) => bytes.values.set(id, found);
  if (!unpacking.has(id)) unpacking.set(id, unpack(id).then(kept));
  return unpacking.get(id);
}

function units() {
  const all = [];
  for (let layer = 0; layer < facts.layers; layer++) {
    for (let index = 0; index < facts.hidden; index++) all.push({layer, index});
  }
  return all;
}

const same = (a, b) => a !== null && b !== null && a.layer === b.layer && a.index === b.index;
const id = (unit) => `${unit.layer + 1}.${unit.index + 1}`;

/* '2.47' (layer, unit) as a unit; null if the network has no such unit. */
function parseUnit(text) {
  const match = /^(\d+)\.(\d+)$/.exec(text || '');
  if (!match) return null;
  const unit = {layer: match[1] - 1, index: match[2] - 1};
  const there = unit.layer >= 0 && unit.layer < facts.layers
    && unit.index >= 0 && unit.index < facts.hidden;
  return there ? unit : null;
}
