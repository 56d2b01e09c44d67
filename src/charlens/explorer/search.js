/* Search: matches of a query, marked in the text and counted. */

/* Each byte as one character, so that positions in the string are positions in the text. */
const latin1 = (bytes) => {
  let out = '';
  for (let i = 0; i < bytes.length; i += 8192) out += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return out;
};

/* The bytes of a query as characters: UTF-8, with the escapes \n, \r, \t, \\ and \x00. */
function queryBytes(query) {
  const found = [];
  const pattern = /\\x([0-9a-f]{2})|\\([nrt\\])|([\s\S])/giu;
  for (const [, hex, letter, plain] of query.matchAll(pattern)) {
    if (hex) found.push(parseInt(hex, 16));
    else if (letter) found.push({n: 10, r: 13, t: 9, '\\': 92}[letter.toLowerCase()]);
    else found.push(...new TextEncoder().encode(plain));
  }
  return latin1(Uint8Array.from(found));
}

function search(query) {
  view.find = query;
  const lower = (s) => s.replace(/[A-Z]/g, (c) => c.toLowerCase());
  const needle = queryBytes(query);
  let haystack = search.text ??= latin1(bytes.text);
  if (!/[A-Z]/.test(needle)) haystack = search.lower ??= lower(haystack);
  const hits = [];
  transient.marks = needle ? new Uint8Array(bytes.text.length) : null;
  for (let at = needle ? haystack.indexOf(needle) : -1; at >= 0; at = haystack.indexOf(needle, at + 1)) {
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
