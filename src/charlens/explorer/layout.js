/* The text as glyphs in lines. One entry for each symbol that the network reads. Where these are
   bytes, the first byte of a UTF-8 character carries the glyph; the others, its continuation, are
   narrow columns. */

const PLAIN = 0, FAINT = 1, HEX = 2, CONTINUATION = 3;
const TAB = 8;
const NEWLINE = 10;
const WIDE = Math.fround(1.9);   // columns of a Chinese, Japanese or Korean character, or an emoji

const glyphs = {text: [], kind: null, width: null};   // width in columns; a tab's depends on its place

/* Length of the well-formed UTF-8 character at `at`; 0 if there is none. */
function utf8Length(text, at) {
  const first = text[at];
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  for (let k = 1; k < length; k++) {
    if (!(text[at + k] >= 0x80 && text[at + k] < 0xc0)) return 0;
  }
  // an overlong form, half of a surrogate pair, beyond the last code point
  const second = text[at + 1];
  const wrong = first === 0xe0 && second < 0xa0 || first === 0xed && second > 0x9f
    || first === 0xf0 && second < 0x90 || first === 0xf4 && second > 0x8f;
  return wrong ? 0 : length;
}
/* The length of a code point in UTF-8. */
const utf8Bytes = (code) => code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
const decoder = new TextDecoder('utf-8', {ignoreBOM: true});

function makeGlyphs(text) {
  const n = text.length;
  glyphs.text = new Array(n).fill('');
  glyphs.kind = new Uint8Array(n).fill(CONTINUATION);
  glyphs.width = new Float32Array(n).fill(0.45);
  for (let i = 0; i < n;) {
    const length = inCharacters() ? 1 : utf8Length(text, i);
    const glyph = length === 1 ? String.fromCodePoint(text[i])
      : length ? decoder.decode(text.subarray(i, i + length)) : '';
    glyphs.width[i] = 1;
    if (text[i] === NEWLINE || text[i] === 9 || text[i] === 13) {
      glyphs.text[i] = {9: '→', 10: '↵', 13: '←'}[text[i]];
      glyphs.kind[i] = FAINT;
    } else if (!length || text[i] < 32 || text[i] === 127) {
      glyphs.text[i] = '\\x' + text[i].toString(16).padStart(2, '0');
      glyphs.kind[i] = HEX;
      glyphs.width[i] = 2.7;
    } else if (/^[\p{C}\p{M}\p{Z}]/u.test(glyph) && glyph !== ' ') {
      glyphs.text[i] = '·';   // invisible, combining, or changes the direction
      glyphs.kind[i] = FAINT;
    } else {
      glyphs.text[i] = glyph;
      glyphs.kind[i] = PLAIN;
      if ((length > 2 || text[i] > 255) && /^[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]|^[\u{1f300}-\u{1faff}]/u.test(glyph)) {
        glyphs.width[i] = WIDE;
      }
    }
    i += length || 1;
  }
}

/* Whether a line may break before a character without a space: a wide letter, no closing mark. */
const startsLine = (i) => glyphs.width[i] === WIDE && !/[\p{Pe}\p{Pf}\p{Po}]/u.test(glyphs.text[i]);

/* Lines of at most so many columns, broken at spaces or wide letters if possible. Returns the first character of
   each line, the column of each character, and the end of a line. */
function layOut(text, columns) {
  const starts = [0];
  const column = new Float32Array(text.length + 1);
  let here = 0;       // column
  let start = 0;      // of the line
  let after = -1;     // where the line was last seen to be breakable
  const newLine = (at) => { starts.push(at); start = at; here = 0; after = -1; };
  const width = (i) => text[i] === 9 ? TAB - Math.floor(here) % TAB : glyphs.width[i];
  for (let i = 0; i < text.length; i++) {
    if (bytes.streamStarts.has(i) && i > start) newLine(i);
    // a newline or one space may hang over the edge; a continuation stays with its glyph
    const hangs = text[i] === NEWLINE || text[i] === 32 && here <= columns
      || glyphs.kind[i] === CONTINUATION && here <= columns + 2;
    if (startsLine(i)) after = i;
    if (here + width(i) > columns && i > start && !hangs) {
      const from = after > start ? after : i;
      newLine(from);
      for (let k = from; k < i; k++) { column[k] = here; here += width(k); }
    }
    column[i] = here;
    here += width(i);
    if (text[i] === NEWLINE) newLine(i + 1);
    else if (text[i] === 32) after = i + 1;
  }
  if (starts.length > 1 && starts.at(-1) === text.length) starts.pop();
  return {starts, column, columns, ends: (line) => starts[line + 1] ?? text.length};
}

/* The width of a character, in columns. */
function span(lines, i) {
  const text = bytes.text;
  if (text[i] === 9) return TAB - Math.floor(lines.column[i]) % TAB;
  return glyphs.width[i];
}

function lineOf(lines, i) {
  let low = 0, high = lines.starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (lines.starts[middle] <= i) low = middle; else high = middle - 1;
  }
  return low;
}

const BLANKS = {9: 'tab', 10: 'newline', 13: 'carriage return', 32: 'space'};

/* A character in words, for the card and for screen readers. */
function spell(i) {
  const symbol = bytes.text[i];
  if (BLANKS[symbol]) return BLANKS[symbol];
  if (glyphs.kind[i] === HEX) return symbol < 128 ? 'control character' : 'invalid byte';
  if (glyphs.kind[i] === CONTINUATION) return 'continuation of a character';
  return glyphs.text[i];
}

/* A single byte or character, as shown among the guesses. */
function symbolGlyph(symbol) {
  if (symbol > 32 && symbol < 127) return String.fromCharCode(symbol);
  if (inCharacters() && symbol > 127) {
    const glyph = String.fromCodePoint(symbol);
    if (/\p{M}/u.test(glyph)) return `◌${glyph}`;    // combining
    if (!/[\p{C}\p{Z}]/u.test(glyph)) return glyph;
  }
  return {9: '→', 10: '↵', 13: '←', 32: '␣'}[symbol] ?? symbol.toString(16).padStart(2, '0');
}
