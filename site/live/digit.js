// Your digit: what the network reads while one draws, all maps of all layers, and the sum behind each node.

import { button, opener } from "./controls.js";
import { calm, make, sentence, settled, whenSeen } from "./dom.js";
import { node as nodeView } from "./node.js";
import { short } from "./oip.js";
import { pad } from "./pad.js";
import { canvasOf, heat, paint, range, between } from "./pictures.js";
import { sampleDigit } from "./samples.js";
import { sheet } from "./sheet.js";

const LOUDEST = 6, PHOTO = 400, WRITING = 900; // maps shown with their patterns; pixels; milliseconds

export const percent = (share) => (share > 0.999 ? "over 99.9 %" : share < 0.001 ? "below 0.1 %" : `${(100 * share).toFixed(1)} %`);
export const article = (digit) => (digit === 8 ? "an 8" : `a ${digit}`);

// Upright bars of the class probabilities.
export function classBars(count) {
  const bars = Array.from({ length: count }, (_, digit) => {
    const bar = make("i"), share = make("b", {}, "");
    return { bar, share, element: make("div", {}, share, make("div", { class: "bar" }, bar), make("span", {}, `${digit}`)) };
  });
  const element = make("div", { class: "bars", role: "img", "aria-label": "class probabilities" }, ...bars.map((one) => one.element));
  return { element, show(classes) {
    const best = classes.indexOf(Math.max(...classes));
    bars.forEach(({ bar, share, element: one }, digit) => {
      bar.style.height = `${100 * classes[digit]}%`;
      share.textContent = classes[digit] >= 0.01 ? `${Math.round(100 * classes[digit])}` : "";
      one.classList.toggle("best", digit === best);
    });
    element.setAttribute("aria-label", `probabilities: ${[...classes.keys()].filter((digit) => classes[digit] >= 0.01)
      .map((digit) => `${digit} ${percent(classes[digit])}`).join(", ")}`);
  } };
}

// All maps of one layer on one canvas; `choose(map)` for a click or the arrow keys.
function mapsOf(layer, words, choose) {
  const { name, maps, height, width } = layer, columns = Math.ceil(Math.sqrt(2 * maps)), rows = Math.ceil(maps / columns);
  const canvas = make("canvas", { width: columns * (width + 1), height: rows * (height + 1) }), mark = make("div", { class: "frame", hidden: true });
  const box = make("div", { class: "maps", tabIndex: 0, role: "slider", "aria-label": `maps of ${words}`, "aria-valuemin": "0",
    "aria-valuemax": String(maps - 1), "aria-valuenow": "0" }, canvas, mark);
  const told = make("figcaption", {}, `${words}: ${maps} maps of ${height} × ${width} nodes`);
  let chosen = -1, answer;
  const at = ({ clientX, clientY }) => {
    const place = canvas.getBoundingClientRect(), map = Math.floor((clientY - place.top) / place.height * rows) * columns
      + Math.floor((clientX - place.left) / place.width * columns);
    return map >= 0 && map < maps ? map : -1;
  };
  box.addEventListener("click", (event) => { if (at(event) >= 0) choose(at(event)); });
  box.addEventListener("pointermove", (event) => {
    const map = at(event);
    box.title = map >= 0 && answer ? `map ${map}: mean activation ${short(means(answer)[map])}` : "";
  });
  box.addEventListener("keydown", (event) => {
    const now = Math.max(0, chosen);
    const next = { ArrowLeft: now - 1, ArrowRight: now + 1, ArrowUp: now - columns, ArrowDown: now + columns, Home: 0, End: maps - 1, Enter: now, " ": now }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    if (next >= 0 && next < maps) choose(next);
  });
  const cell = width + 1, high = height + 1;
  return { name, element: make("figure", {}, box, told),
    mark(map) {
      chosen = map;
      mark.hidden = map < 0;
      box.setAttribute("aria-valuenow", String(Math.max(0, map)));
      box.setAttribute("aria-valuetext", map < 0 ? "none is open" : `map ${map}`);
      Object.assign(mark.style, { left: `${100 * (map % columns) / columns}%`, top: `${100 * Math.floor(map / columns) / rows}%`, width: `${100 / columns}%`, height: `${100 / rows}%` });
    },
    show(made) {
      answer = made;
      const { nodes } = made, most = range(nodes)[1], picture = new Float32Array(columns * cell * rows * high).fill(0.02 * most);
      for (let map = 0; map < maps; map++)
        for (let n = 0; n < height * width; n++)
          picture[(Math.floor(map / columns) * high + Math.floor(n / width)) * columns * cell + (map % columns) * cell + n % width] = nodes[n * maps + map];
      paint(canvas, picture, columns * cell, heat(most));
    } };
}

function means({ nodes, maps }) {
  const sums = new Float32Array(maps);
  for (let n = 0; n < nodes.length; n++) sums[n % maps] += nodes[n];
  return sums.map((sum) => sum * maps / nodes.length);
}

export function mount({ stage, aside, below }, { state, network, engine, digits }) {
  const told = sentence(), bars = classBars(network.classes), seen = canvasOf("the digit as the network sees it");
  const last = network.layers.at(-1), width = network.input[1];
  let answer, photo, writing, drawn, loudest = [];

  // ink in, answer out

  const board = pad((strokes, drawing) => {
    stopWriting();
    photo = undefined;
    read({ strokes });
    if (!drawing) state.set({ ink: (drawn = strokes) });
  });
  function read(question) {
    const empty = question.strokes && !question.strokes.length, asked = performance.now();
    if (empty) return told.tell("Draw one digit, large, with finger, pen or mouse.");
    return engine.ask("digit", question, { late: true,
      part: (made) => {
        show(made, question);
        performance.measure("digit", { start: asked, detail: { ms: made.ms } });
      },
      failed: (error) => told.tell(error, true) });
  }
  function show(made, { strokes, file }) {
    answer = made;
    const best = made.classes.indexOf(Math.max(...made.classes));
    paint(seen, made.digit, width, between(...range(made.digit)));
    bars.show(made.classes);
    sheets.forEach((one) => one.show(made.layers[one.name]));
    told.tell(`The network reads ${article(best)} (${percent(made.classes[best])}).`);
    detail.show(made);
    askWishes();
    digits.tell({ image: made.digit, classes: made.classes, best, strokes, file });
  }

  // the loudest maps, and what each would rather see

  const wishes = sheet("what the loudest maps would rather see", { edge: 76, label: (place) => `pattern of map ${loudest[place]}`,
    caption: (place) => `map ${loudest[place]}: ${short(loud[loudest[place]])}`, choose: (place) => {
      state.set({ layer: last.name, map: loudest[place], looked: `${last.name}/${loudest[place]}` });
    } });
  let wished = "", loud = [];
  const askWishes = settled(() => {
    loud = means(answer.layers[last.name]);
    loudest = [...loud.keys()].sort((one, other) => loud[other] - loud[one]).slice(0, LOUDEST);
    if (wished === loudest.join()) return wishes.rename();
    wished = loudest.join();
    wishes.fill(loudest.length);
    return engine.ask("wishes", { layer: last.name, maps: loudest, seed: 0, softened: true }, {
      part: ({ place, image }) => wishes.show(place, image, width, `mean activation ${short(loud[loudest[place]])} for your digit`),
      failed: (error) => told.tell(error, true) });
  }, 150);

  // all maps of all layers, one of them large

  const sheets = network.layers.map((layer) => mapsOf(layer, network.wordsOf(layer.name), (map) => state.set({ looked: `${layer.name}/${map}` })));
  const detail = nodeView({ state, network, engine });
  function mark() {
    const [name, map] = state.values.looked.split("/");
    sheets.forEach((one) => one.mark(one.name === name ? Number(map) : -1));
  }

  // samples and photographs

  function write(digit) {  // as a hand would, unless motion is to be kept low
    stopWriting();
    photo = undefined;
    const strokes = sampleDigit(digit), total = strokes.flat().length, begin = performance.now();
    const part = (now) => {
      const share = calm() ? 1 : Math.min(1, Math.max(0, (now - begin) / WRITING));
      let left = Math.max(1, Math.ceil(total * share));
      const written = [];
      for (const stroke of strokes) {
        if (left > 0) written.push(stroke.slice(0, left));
        left -= stroke.length;
      }
      board.show(written);
      read({ strokes: written });
      writing = share < 1 ? requestAnimationFrame(part) : undefined;
    };
    part(begin);
  }
  function stopWriting() {
    cancelAnimationFrame(writing);
    writing = undefined;
  }
  async function open(file) {
    stopWriting();
    try {
      const bitmap = await createImageBitmap(file), scale = Math.min(1, PHOTO / Math.max(bitmap.width, bitmap.height));
      const canvas = make("canvas", { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
      const pen = canvas.getContext("2d", { willReadFrequently: true });
      pen.fillStyle = "#fff";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
      const gray = Float32Array.from({ length: data.length / 4 }, (_, n) => (0.299 * data[4 * n] + 0.587 * data[4 * n + 1] + 0.114 * data[4 * n + 2]) / 255);
      photo = { gray, height: canvas.height, width: canvas.width, file: file.name };
      state.set({ ink: (drawn = []) });
      board.show([]);
      read(photo);
    } catch {
      told.tell(`${file.name} could not be opened as a picture.`, true);
    }
  }
  const samples = make("div", { class: "samples", role: "group", "aria-label": "sample digits", "data-control": "samples" },
    ...Array.from({ length: 10 }, (_, digit) => make("button", { type: "button", "aria-label": `sample digit ${digit}`,
      onclick: () => {
        if (state.values.sample === digit) write(digit);
        state.set({ sample: digit, ink: [] });
      } }, String(digit))));

  stage.append(board.element, make("div", { class: "actions" },
    button("clear", () => {
      stopWriting();
      photo = undefined;
      board.show([]);
      read({ strokes: [] });
      state.set({ ink: (drawn = []) });
    }, { name: "clear" }),
    button("undo", () => { stopWriting(); board.undo(); }, { name: "undo", hint: "Take the last stroke back." }),
    opener("photo of a digit", open, "photo")),
  samples);
  aside.append(told.element, bars.element, make("div", { class: "seen" }, seen, make("p", { class: "caption" },
    "The digit as the network sees it: 28 × 28 pixels, in the size and place of its training digits.")),
  make("h3", {}, `the ${LOUDEST} loudest maps of ${network.wordsOf(last.name)}, and what each would rather see`), wishes.element);
  below.append(make("h3", {}, "all maps of all layers"), make("p", { class: "caption" }, "Brighter nodes are more active. Choose a map to open it."),
    make("div", { class: "layers" }, ...sheets.map(({ element }) => element)), detail.element);

  state.on("looked", mark);
  state.on(["ink", "sample"], (changed) => {
    const { ink, sample } = state.values;
    if (ink === drawn) return;
    if (ink.length) {
      stopWriting();
      board.show(ink);
      read({ strokes: ink });
    } else if (changed.includes("sample")) write(sample);
  });
  mark();
  const { ink, sample } = state.values;
  if (ink.length) {
    board.show(ink);
    read({ strokes: ink });
  } else {
    const strokes = sampleDigit(sample);
    board.show(strokes);
    read({ strokes });
    let first = true;
    whenSeen(stage, () => { if (first && !calm() && !state.values.ink.length && !photo) write(state.values.sample); first = false; });
  }
}
