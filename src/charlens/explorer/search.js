/* Search: matches of a query, marked in the text and counted. */

/* The symbols of a query: characters, or bytes in UTF-8; with the escapes \n, \r, \t, \\ and \x00. */
function querySymbols(query) {
  const found = [];
  const pattern = /\\x([0-9a-f]{2})|\\([nrt\\])|([\s\S])/giu;
  for (const [, hex, letter, plain] of query.matchAll(pattern)) {
    if (hex) found.push(parseInt(hex, 16));
    else if (letter) found.push({n: 10, r: 13, t: 9, '\\': 92}[letter.toLowerCase()]);
    else if (inCharacters()) found.push(plain.codePointAt(0));
    else found.push(...new TextEncoder().encode(plain));
  }
  return found;
}

/* The small letter of a capital; of bytes, of A to Z alone. */
function lowered(symbol) {
  if (symbol < 128) return symbol >= 65 && symbol <= 90 ? symbol + 32 : symbol;
  const small = inCharacters() ? String.fromCodePoint(symbol).toLowerCase() : '';
  return [...small].length === 1 ? small.codePointAt(0) : symbol;
}

function search(query) {
  view.find = query;
  const needle = querySymbols(query), hits = [];
  let haystack = bytes.text;
  if (needle.every((symbol) => lowered(symbol) === symbol)) haystack = search.lower ??= haystack.map(lowered);
  const next = (from) => haystack.indexOf(needle[0], from);
  transient.marks = needle.length ? new Uint8Array(bytes.text.length) : null;
  for (let at = needle.length ? next(0) : -1; at >= 0; at = next(at + 1)) {
    if (!needle.every((symbol, k) => haystack[at + k] === symbol)) continue;
    hits.push(at);
    transient.marks.fill(1, at, at + needle.length);
  }
  transient.hits = Int32Array.from(hits);
  transient.hit = -1;
  showHitCount();
  repaint('text');
  remember();
}

function showHitCount() {
  const {hits, hit} = transient;
  $('found').textContent = !view.find ? '' : !hits.length ? 'none'
    : `${hit >= 0 ? `${(hit + 1).toLocaleString('en')} of ` : ''}${hits.length.toLocaleString('en')}`;
}

/* Move to the next match (by = 1) or the previous one (-1), wrapping at the ends. */
function goToHit(by) {
  const {hits} = transient;
  if (!hits.length) return;
  if (transient.hit < 0) {
    const from = view.at >= 0 ? view.at : visible()[0];
    const next = hits.findIndex((at) => at >= from);
    transient.hit = by > 0 ? (next < 0 ? 0 : next) : (next <= 0 ? hits.length : next) - 1;
  } else transient.hit = (transient.hit + by + hits.length) % hits.length;
  showHitCount();
  moveTo(hits[transient.hit]);
}
