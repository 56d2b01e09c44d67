'use strict';
/* The forward pass of a network, as src/charlens/networks has it: LSTM, GRU and tanh RNN. This file
   and worker.js are the source of the page's workers.

   Several streams are read side by side: a weight that is loaded for one of them serves all. The
   streams of a unit lie next to each other: a vector of n numbers is [n x streams]. */

const STREAMS = 4;      // side by side, or one alone
const ROWS = 4;         // of a matrix at a time: the rows of a matrix are filled up to a multiple

const filledUp = (rows) => ROWS * Math.ceil(rows / ROWS);
const sigmoid = (v) => 1 / (1 + Math.exp(-v));

/* Half-precision numbers, uint16, as Float32Array. */
function fromHalves(halves) {
  return Float32Array.from(halves, (half) => {
    const sign = half & 0x8000 ? -1 : 1, exponent = half >> 10 & 31, fraction = half & 1023;
    if (!exponent) return sign * fraction * 2 ** -24;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}

/* out += W x for one stream: W [rows x n], four rows at a time. */
function multiplyOne(out, W, x) {
  const n = x.length, rows = W.length / n;
  for (let row = 0; row < rows; row += 4) {
    const p = row * n, q = p + n, r = q + n, s = r + n;
    let a = 0, b = 0, c = 0, d = 0;
    for (let k = 0; k < n; k++) {
      const v = x[k];
      a += W[p + k] * v;
      b += W[q + k] * v;
      c += W[r + k] * v;
      d += W[s + k] * v;
    }
    out[row] += a;
    out[row + 1] += b;
    out[row + 2] += c;
    out[row + 3] += d;
  }
}

/* out += W x for four streams, two rows at a time. */
function multiplyFour(out, W, x) {
  const n = x.length / 4, rows = W.length / n;
  for (let row = 0; row < rows; row += 2) {
    const p = row * n, q = p + n;
    let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
    for (let k = 0, m = 0; k < n; k++, m += 4) {
      const v = W[p + k], w = W[q + k], x0 = x[m], x1 = x[m + 1], x2 = x[m + 2], x3 = x[m + 3];
      a += v * x0;
      b += v * x1;
      c += v * x2;
      d += v * x3;
      e += w * x0;
      f += w * x1;
      g += w * x2;
      h += w * x3;
    }
    const to = 4 * row;
    out[to] += a;
    out[to + 1] += b;
    out[to + 2] += c;
    out[to + 3] += d;
    out[to + 4] += e;
    out[to + 5] += f;
    out[to + 6] += g;
    out[to + 7] += h;
  }
}

/* A matrix [n x rows] of the model file as [rows x n], rows filled up with zeros. */
function transposed(matrix, n) {
  const rows = matrix.length / n, out = new Float32Array(filledUp(rows) * n);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < n; k++) out[row * n + k] = matrix[k * rows + row];
  }
  return out;
}

/* The cell types: one step of a layer, from a [blocks*H x streams], the input's part. Each fills the
   layer's gates and states in place. clamp: clamps the memory, before anything reads it. */
const CELLS = {
  lstm: {states: ['h', 'c'], gates: ['i', 'f', 'o', 'g'], memory: 'c',
    step({a, h, c, i, f, o, g, w_h, multiply, clamp}) {
      multiply(a, w_h, h);
      const n = h.length;
      for (let u = 0; u < n; u++) {
        i[u] = sigmoid(a[u]);
        f[u] = sigmoid(a[n + u]);
        o[u] = sigmoid(a[2 * n + u]);
        g[u] = Math.tanh(a[3 * n + u]);
        c[u] = f[u] * c[u] + i[u] * g[u];
      }
      clamp(c);
      for (let u = 0; u < n; u++) h[u] = o[u] * Math.tanh(c[u]);
    }},
  gru: {states: ['h'], gates: ['r', 'z', 'g'], memory: 'h',
    step({a, h, r, z, g, w_h, w_g, b_g, product, reset, multiply, clamp}) {
      multiply(a, w_h, h);
      const n = h.length, streams = n / b_g.length;
      for (let u = 0; u < n; u++) {
        r[u] = sigmoid(a[u]);
        z[u] = sigmoid(a[n + u]);
        reset[u] = r[u] * h[u];
      }
      product.fill(0);
      multiply(product, w_g, reset);
      for (let u = 0; u < n; u++) {
        g[u] = Math.tanh(a[2 * n + u] + product[u] + b_g[Math.floor(u / streams)]);
        h[u] += z[u] * (g[u] - h[u]);
      }
      clamp(h);
    }},
  rnn: {states: ['h'], gates: [], memory: 'h',
    step({a, h, w_h, multiply, clamp}) {
      multiply(a, w_h, h);
      for (let u = 0; u < h.length; u++) h[u] = Math.tanh(a[u]);
      clamp(h);
    }},
};

/* The parameters as the forward pass wants them. about: type, layers, hidden, symbols, and the names
   and shapes of the parameters in their order. */
function prepared(about, halves) {
  const all = fromHalves(halves), found = {layers: []};
  let at = 0;
  for (const [name, shape] of about.parameters) {
    const size = shape.reduce((a, b) => a * b, 1);
    let value = all.subarray(at, at += size);
    const looked = name === 'layers.0.w_x';     // its rows are looked up
    if (shape.length === 2 && !looked) value = transposed(value, shape[0]);
    const [, layer, rest] = /^layers\.(\d+)\.(.+)$/.exec(name) || [];
    if (layer === undefined) found[name] = value;
    else (found.layers[layer] ??= {})[rest] = value;
  }
  return found;
}

/* A network that reads one stream, or four side by side. */
class Reader {
  constructor(about, params, streams) {
    const {type, layers, hidden, symbols} = about;
    Object.assign(this, {about, params, streams, cell: CELLS[type], clamps: []});
    this.multiply = streams === 1 ? multiplyOne : multiplyFour;
    const vector = (n) => new Float32Array(n * streams);
    this.layers = Array.from({length: layers}, (_, l) => {
      const p = params.layers[l], width = p.b.length;
      const layer = {a: vector(filledUp(width)), width, multiply: this.multiply,
        product: vector(filledUp(hidden)), reset: vector(hidden), ...p,
        clamp: (memory) => this.clamp(l, memory)};
      for (const name of [...this.cell.states, ...this.cell.gates]) layer[name] = vector(hidden);
      return layer;
    });
    this.logits = vector(filledUp(symbols));
    this.logProbs = vector(symbols);
  }

  clamp(layer, memory) {
    for (const {layer: l, index, value} of this.clamps) {
      if (l === layer) memory.fill(value, index * this.streams, (index + 1) * this.streams);
    }
  }

  /* The state of one stream, [layers x states x hidden], or what else is named; and its inverse. */
  getState(stream, names = this.cell.states) {
    const out = [];
    for (const layer of this.layers) {
      for (const name of names) {
        for (let u = stream; u < layer[name].length; u += this.streams) out.push(layer[name][u]);
      }
    }
    return Float32Array.from(out);
  }

  setState(stream, state, names = this.cell.states) {
    let at = 0;
    for (const layer of this.layers) {
      for (const name of names) {
        for (let u = stream; u < layer[name].length; u += this.streams) layer[name][u] = state[at++];
      }
    }
  }

  /* Read one character in each stream, its code; -1 leaves a stream as it is, its gates too. */
  read(codes) {
    const {streams, layers} = this, names = [...this.cell.states, ...this.cell.gates];
    const left = [];
    for (let s = 0; s < streams; s++) if (codes[s] < 0) left.push([s, this.getState(s, names)]);
    let below = null;
    for (const layer of layers) {
      const {a, b, width, w_x} = layer;
      for (let j = 0; j < width; j++) {
        for (let s = 0; s < streams; s++) {
          a[j * streams + s] = b[j] + (below ? 0 : w_x[Math.max(0, codes[s]) * width + j]);
        }
      }
      a.fill(0, width * streams);
      if (below) this.multiply(a, w_x, below);
      this.cell.step(layer);
      below = layer.h;
    }
    for (const [s, state] of left) this.setState(s, state, names);
  }

  /* The log-probabilities of the next character, [symbols x streams], from the state. */
  predict() {
    const {logits, logProbs, streams, params} = this, bias = params['out.b'], K = bias.length;
    for (let k = 0; k < K; k++) logits.fill(bias[k], k * streams, (k + 1) * streams);
    this.multiply(logits, params['out.w'], this.layers.at(-1).h);
    for (let s = 0; s < streams; s++) {
      let most = -Infinity, sum = 0;
      for (let k = s; k < K * streams; k += streams) most = Math.max(most, logits[k]);
      for (let k = s; k < K * streams; k += streams) sum += Math.exp(logits[k] - most);
      const norm = most + Math.log(sum);
      for (let k = s; k < K * streams; k += streams) logProbs[k] = logits[k] - norm;
    }
    return logProbs;
  }
}
