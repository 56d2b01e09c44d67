/* Colours. The diverging scales are safe for colour-blind readers: red-blue and orange-purple do
   not rely on red against green, and both ends differ from the middle in lightness. The third needs no
   colour vision: lightness alone runs from one end to the other. */

const SCALES = {
  light: {
    paper: '#fdfcfa', ink: '#161513', faint: '#a29c92', strong: '#ffffff', mark: '#161513',
    signed: [
      ['#a81529', '#d15b49', '#f1a184', '#fadfd2', '#fdfcfa', '#d8e8f2', '#93c4de', '#3f8fc1', '#1b5fa6'],
      ['#a65006', '#dc8120', '#f8b76c', '#fde6ca', '#fdfcfa', '#e1deed', '#b3abd3', '#7f71ad', '#4f2683'],
      ['#fdfcfa', '#e2e0dc', '#c4c2be', '#a6a4a0', '#888683', '#6b6a67', '#504e4c', '#353432', '#1d1c1a'],
    ],
    gate: ['#fdfcfa', '#d3e8e2', '#87c3b8', '#2f8d86', '#07524f'],
    loss: ['#fdfcfa', '#ebdcec', '#c8a2cf', '#97589f', '#5d2166'],
    label: ['#fdfcfa', '#d5dfc0', '#a3b96f', '#6c8433', '#3f5210'],
    guess: ['#fdfcfa', '#faebc8', '#f2cb7d', '#dd9c2c', '#a96505'],
  },
  dark: {
    paper: '#15171b', ink: '#f0ede6', faint: '#6f757f', strong: '#000000', mark: '#f4f1ea',
    signed: [
      ['#f27c68', '#cf5f4c', '#943d33', '#4c2523', '#15171b', '#182f43', '#22577f', '#3784ba', '#6fb9ec'],
      ['#ffb65f', '#cc7f24', '#7e4d16', '#3d2a14', '#15171b', '#2a2742', '#51478b', '#8d80d1', '#c6baff'],
      ['#15171b', '#2b2d31', '#424448', '#5b5d61', '#76787b', '#929396', '#afb0b2', '#cecfd0', '#f0ede6'],
    ],
    gate: ['#15171b', '#163432', '#1d665f', '#37a496', '#8ae6d5'],
    loss: ['#15171b', '#352338', '#6a3f70', '#aa69b2', '#ecb2f2'],
    label: ['#15171b', '#2a321b', '#536629', '#8aa545', '#c6e07f'],
    guess: ['#15171b', '#3a2b13', '#765318', '#bf8727', '#ffca69'],
  },
};

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function luminance([r, g, b]) {
  const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}

/* 256 colours along the stops, as CSS and as numbers, and the colour of text legible on each. */
function ramp(stops, ink, strong) {
  const points = stops.map(rgb);
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const [dark, light] = [ink, strong].map((hex) => luminance(rgb(hex)));
  const fill = [], text = [], numbers = new Uint8Array(3 * 256);
  for (let i = 0; i < 256; i++) {
    const place = i / 255 * (points.length - 1);
    const low = Math.min(Math.floor(place), points.length - 2);
    const colour = points[low].map((v, k) => Math.round(v + (points[low + 1][k] - v) * (place - low)));
    numbers.set(colour, 3 * i);
    fill.push(`rgb(${colour.join()})`);
    const here = luminance(colour);
    text.push(contrast(here, dark) >= contrast(here, light) ? ink : strong);
  }
  return {fill, text, numbers};
}

const ramps = new Map();
/* The scale of a quantity (or 'guess', 'label') in the current theme and palette. */
function scale(name) {
  const kind = ['loss', 'guess', 'label'].includes(name) ? name
    : quantity(name).signed ? 'signed' : 'gate';
  const key = `${dark()} ${kind} ${view.palette}`;
  if (!ramps.has(key)) {
    const colours = theme();
    const stops = kind === 'signed' ? colours.signed[view.palette] : colours[kind];
    ramps.set(key, ramp(stops, colours.ink, colours.strong));
  }
  return ramps.get(key);
}

const theme = () => SCALES[dark() ? 'dark' : 'light'];

function dark() {
  if (view.theme) return view.theme === 'dark';
  return matchMedia('(prefers-color-scheme: dark)').matches;
}
