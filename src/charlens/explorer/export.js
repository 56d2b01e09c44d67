/* The view as a picture to keep: PNG, or SVG with the text as text. */

function save(blob, ending) {
  const link = element('a');
  link.href = URL.createObjectURL(blob);
  const text = $('name').textContent.replace(/[^\p{L}\p{N}]+/gu, '-');
  link.download = `${text}-${view.show}${ofUnit(view.show) ? `-${id(view.unit)}` : ''}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function savePng() {
  paintText();
  $('text').toBlob((blob) => save(blob, 'png'), 'image/png');
}

const escaped = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/* The visible lines as SVG: a coloured box for each run of one colour, and the characters. */
function asSvg() {
  const {lines, advance} = transient, values = series(view.show, view.unit), colours = scale(view.show);
  const known = knownOf(view.show), {paper, ink} = theme(), parts = [];
  const first = firstLine(), last = lastLine();
  const right = EDGE * 2 + lines.columns * advance, height = (last - first + 1) * LINE + 2 * EDGE + LINE;
  const caption = $('chosen').textContent + ($('clamped').textContent ? `: ${$('clamped').textContent}` : '');
  for (let line = first; line <= last; line++) {
    const top = EDGE + (line - first) * LINE;
    for (let i = lines.starts[line]; i < lines.ends(line); i++) {
      const x = (EDGE + lines.column[i] * advance).toFixed(1), width = (span(lines, i) * advance).toFixed(1);
      const coloured = values && i < covered() && bytes.read[i] && known[i];
      if (coloured) {
        parts.push(`<rect x="${x}" y="${top}" width="${width}" height="${LINE}"`
          + ` fill="${colours.fill[values[i]]}"/>`);
      }
      if (glyphs.kind[i] === CONTINUATION || bytes.text[i] === 32) continue;
      const faint = glyphs.kind[i] === FAINT ? ' opacity="0.38"' : '';
      const small = glyphs.kind[i] === HEX ? ` font-size="${SIZE * 0.72}"` : '';
      const fill = coloured ? colours.text[values[i]] : ink;
      parts.push(`<text x="${x}" y="${top + LINE * 0.7}" fill="${fill}"${faint}${small}>`
        + `${escaped(glyphs.text[i])}</text>`);
    }
  }
  parts.push(`<text x="${EDGE}" y="${height - EDGE}" fill="${ink}" font-size="12">${escaped(caption)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${right.toFixed(0)}" height="${height}"`
    + ` viewBox="0 0 ${right.toFixed(0)} ${height}" font-family="${escaped(FONT)}" font-size="${SIZE}">`
    + `<rect width="100%" height="100%" fill="${paper}"/>${parts.join('')}</svg>`;
}

const saveSvg = () => save(new Blob([asSvg()], {type: 'image/svg+xml'}), 'svg');
