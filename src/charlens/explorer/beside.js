'use strict';
/* Two explorers side by side. Each is a whole page in a frame. What one of them shows of the text, and
   the hypothesis that orders its units, the other one follows. */

function startBeside() {
  const {pages, titles, same_text} = JSON.parse(document.getElementById('pages').textContent);
  const words = new URLSearchParams(location.hash.replace(/^#/, ''));
  const links = ['left', 'right'].map((side) => words.get(side) || '');
  let shared = '';
  const frames = pages.map((page, k) => {
    const frame = document.createElement('iframe');
    frame.title = titles[k];
    frame.dataset.link = links[k];
    frame.srcdoc = page;
    document.body.append(frame);
    return frame;
  });
  addEventListener('message', ({source, data}) => {
    const k = frames.findIndex((frame) => frame.contentWindow === source);
    if (k < 0 || typeof data?.link !== 'string') return;
    links[k] = data.link;
    history.replaceState(null, '', `#${new URLSearchParams({left: links[0], right: links[1]})}`);
    const {sort, find, top, down, at} = data;
    const state = same_text ? {sort, find, top, down, at} : {sort, find};
    if (JSON.stringify(state) === shared) return;
    shared = JSON.stringify(state);
    frames[1 - k].contentWindow.followOther?.(state);
  });
}

startBeside();
