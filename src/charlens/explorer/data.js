'use strict';
/* The data of this page: facts as JSON, and packed blocks, each unpacked when it is needed. */

const facts = {};       // filled once the page has loaded
const bytes = {};       // text, guesses, chances, loss
const blocks = new Map();   // 'c.0' (name, layer) -> bytes [hidden x length]

const NAMES = {
  c: 'cell state', h: 'hidden state', i: 'input gate', f: 'forget gate', o: 'output gate',
  g: 'candidate', r: 'reset gate', z: 'update gate', loss: 'surprise',
};
const SURPRISE = 8;     // bits at which the scale of surprise ends

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

async function unpackSmall() {
  Object.assign(facts, JSON.parse(document.getElementById('facts').textContent));
  const [text, guesses, chances, loss] =
    await Promise.all(['text', 'guesses', 'chances', 'loss'].map(unpack));
  Object.assign(bytes, {text, guesses,
    chances: new Uint16Array(chances.buffer), loss: new Uint16Array(loss.buffer)});
  // surprise is shown like a gate: 0 ... 255 for 0 ... 8 bits
  bytes.surprise = Uint8Array.from(bytes.loss,
    (nats) => Math.min(255, nats / 1000 / Math.LN2 / SURPRISE * 255));
  bytes.streamStarts = new Set(facts.breaks);   // where the network starts from a zero state
  bytes.next = new Int32Array(text.length);   // the next character that the network reads; -1 if none
  for (let i = text.length - 1, next = -1; i >= 0; i--) {
    bytes.next[i] = next;
    if (bytes.streamStarts.has(i)) next = -1;
    else if (bytes.loss[i] !== facts.unscored) next = i;
  }
  facts.quantities.push({name: 'loss', signed: false, length: text.length});
}

function quantity(name) {
  return facts.quantities.find((q) => q.name === name);
}

/* The values of one unit over the text, bytes; null while their block is still packed. */
function series(name, unit) {
  if (name === 'loss') return bytes.surprise;
  const block = blocks.get(`${name}.${unit.layer}`);
  const {length} = quantity(name);
  return block ? block.subarray(unit.index * length, (unit.index + 1) * length) : null;
}

/* One value as a number: -1 ... 1 or 0 ... 1; surprise in bits. */
function value(name, byte) {
  if (name === 'loss') return byte / 255 * SURPRISE;
  return quantity(name).signed ? (byte - 128) / 127 : byte / 255;
}

/* The labels of the text by a hypothesis: 0 ... 254; 255 is undefined. */
const label = (name) => blocks.get(`label.${name}`) || null;

const unpacking = new Map();
/* Unpack a block, once. part: a layer, or the name of a label. */
function ensureUnpacked(name, part) {
  const id = `${name}.${part}`;
  if (name === 'loss') return Promise.resolve();
  if (!unpacking.has(id)) unpacking.set(id, unpack(id).then((found) => blocks.set(id, found)));
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
