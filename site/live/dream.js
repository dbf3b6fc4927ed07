// The dream: the pattern of a map carved into a photograph, from coarse to fine. A photograph never leaves the page.

import { button, chips, opener, slider, toggle } from "./controls.js";
import { make, sentence, settled, whenSeen } from "./dom.js";
import { short } from "./oip.js";
import { save } from "./pictures.js";
import { pythonLines } from "./python.js";
import { sheet } from "./sheet.js";

const DRAFT = 280, FINE = 560, SCALE = 1.4, STEPS = 10; // pixels along an edge; from octave to octave; steps of each
const PHOTOS = { flower: "flower", temple: "temple", portrait: "Grace Hopper" };
const FIRST_CUT = 12; // percent of the photograph that is seen at first

export function mount({ stage, rail, controls, below, root }, { state, network, engine, zoo, pythonOf, source }) {
  const told = sentence(), lines = pythonLines(), progress = make("progress", { max: 1, value: 0, "aria-label": "octaves", hidden: true });
  const before = make("canvas", { role: "img", "aria-label": "the photograph" }), after = make("canvas", { role: "img", "aria-label": "the dream" });
  const cut = make("input", { type: "range", min: 0, max: 100, value: 0, "aria-label": "wipe: how much of the photograph is seen" });
  const wiper = make("div", { class: "wiper", "data-control": "wiper" }, after, before, make("div", { class: "cut", "aria-hidden": "true" }), cut);
  const stop = button("■ stop", () => { engine.stop("dream"); over("Stopped; what has been dreamt so far stays."); }, { name: "stop" });
  const opened = {};
  let photo, asked, begun;

  const layer = () => network.layerOf(state.values.layer);
  const maps = () => [state.values.map, ...(state.values.also.length === 2 ? state.values.also : [])].map((map) => Math.min(map, layer().maps - 1));
  const edge = () => (state.values.fine ? FINE : DRAFT);
  const wipe = (value) => { cut.value = value; wiper.style.setProperty("--cut", `${value}%`); };

  async function photoNow() {
    const name = state.values.photo in PHOTOS || opened.yours ? state.values.photo : "flower";
    opened[name] ??= await fetch(source(`photos/${name}.jpg`)).then((answer) => answer.blob()).then(createImageBitmap);
    const bitmap = opened[name], side = Math.min(bitmap.width, bitmap.height), size = edge();
    Object.assign(before, { width: size, height: size });
    const pen = before.getContext("2d", { willReadFrequently: true });
    pen.imageSmoothingQuality = "high";
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, size, size);
    pen.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, size, size);
    return pen.getImageData(0, 0, size, size);
  }
  const rgbOf = ({ data }) => Float32Array.from({ length: data.length / 4 * 3 }, (_, n) => data[Math.floor(n / 3) * 4 + n % 3] / 255);
  const lumaOf = (rgb) => Float32Array.from({ length: rgb.length / 3 }, (_, n) => 0.299 * rgb[3 * n] + 0.587 * rgb[3 * n + 1] + 0.114 * rgb[3 * n + 2]);
  // Where Python finds the photograph; without a name it takes the flower.
  const fileOf = () => {
    const { photo: name } = state.values;
    return name === "flower" ? undefined : name === "yours" ? opened.name : `site/build/live/photos/${name}.jpg`;
  };
  function show(change) {
    const { width, height, data } = photo, picture = new ImageData(width, height), size = width * height, colors = change.length / size;
    for (let n = 0; n < size; n++) {
      for (let color = 0; color < 3; color++)
        picture.data[4 * n + color] = data[4 * n + color] + 255 * change[colors === 3 ? 3 * n + color : n];
      picture.data[4 * n + 3] = 255;
    }
    if (after.width !== width || after.height !== height) Object.assign(after, { width, height });
    after.getContext("2d").putImageData(picture, 0, 0);
  }
  function over(words) {
    wiper.classList.remove("busy");
    [progress.hidden, stop.hidden] = [true, true];
    told.tell(words);
  }
  const words = () => (maps().length === 1 ? `map ${maps()[0]} of ${network.wordsOf(layer().name)}`
    : `maps ${maps().join(", ")} of ${network.wordsOf(layer().name)} in red, green and blue`);
  async function dream() {
    const turn = (begun = {}), { octaves, strength } = state.values, picture = await photoNow();
    if (turn !== begun) return;
    photo = picture;
    const rgb = rgbOf(photo), colors = maps().length === 3 ? { rgb } : { luma: lumaOf(rgb) };
    const question = { layer: layer().name, maps: maps(), ...colors, height: photo.height, width: photo.width,
      octaves, scale: SCALE, strength, steps: STEPS };
    wiper.classList.add("busy");
    [progress.hidden, stop.hidden, progress.value] = [false, false, 0];
    show(new Float32Array(rgb.length));
    told.tell(`carving ${words()} …`);
    lines.show(pythonOf({ name: "dream", ...question, file: fileOf() }));
    const start = performance.now();
    engine.ask("dream", question, {
      part: ({ change, octave }) => {
        show(change);
        progress.value = octave / octaves;
        told.tell(`carving ${words()}: octave ${octave} of ${octaves}`);
      },
      done: () => {
        over(`${words()[0].toUpperCase()}${words().slice(1)}, carved in ${octaves} octaves in ${((performance.now() - start) / 1000).toFixed(1)} s. Drag across the picture to see the photograph.`);
        performance.measure("dream", { start, detail: { size: photo.width } });
      },
      failed: (error) => { over(""); told.tell(error, true); } });
  }
  const key = () => JSON.stringify([layer().name, maps(), state.values.photo, state.values.octaves, state.values.strength, state.values.fine, opened.turn]);
  const again = settled(() => {
    if (!near() || asked === key()) return;
    asked = key();
    dream().catch(() => told.tell("The photograph could not be opened.", true));
  }, 400);

  cut.addEventListener("input", () => wipe(cut.value));
  const choosePhoto = make("div", { class: "segments photos", role: "radiogroup", "aria-label": "photograph", "data-control": "photo" }, ...Object.entries(PHOTOS).map(([name, told]) => {
    const input = make("input", { type: "radio", name: "photo", value: name, onchange: () => state.set({ photo: name }) });
    state.on("photo", () => { input.checked = state.values.photo === name; });
    input.checked = state.values.photo === name;
    return make("label", {}, input, make("span", {}, told));
  }));
  async function open(file) {
    try {
      opened.yours = await createImageBitmap(file);
      [opened.name, opened.turn] = [file.name, (opened.turn ?? 0) + 1];
      state.set({ photo: "yours" });
      again();
    } catch {
      told.tell(`${file.name} could not be opened as a picture.`, true);
    }
  }

  // which maps: one, or three of which each dreams a color

  let slot = 0;
  const pick = (map) => {
    if (state.values.also.length !== 2) return state.set({ map });
    const all = maps();
    all[slot] = map;
    slot = (slot + 1) % 3;
    return state.set({ map: all[0], also: all.slice(1) });
  };
  const patterns = sheet("maps to carve", { edge: 56, choose: pick, label: (map) => `map ${map}`, caption: (map) => `${map}` });
  const near = whenSeen(root, () => { zoo.want(); again(); });
  zoo.on({
    start: ({ layer: name }) => { patterns.fill(network.layerOf(name).maps); patterns.mark(maps()); },
    part: ({ map, image, value }) => patterns.show(map, image, network.input[1], short(value)),
  });
  const count = layer().maps, at = (share) => Math.floor(share * (count - 1));
  const three = (on) => ({ also: on ? [at(0.69), at(0.09)] : [] });
  const howMany = chips(state, "how many maps", [["one map", three(false), "One map changes the brightness; the photograph keeps its colors."],
    ["three maps, one a color", () => (state.values.also.length === 2 ? { also: state.values.also } : three(true)), "Each color is dreamt by a map of its own."]]);
  stage.append(told.element, wiper, progress);
  rail.append(make("h3", {}, "maps to carve"), howMany.element, patterns.element);
  controls.append(choosePhoto, make("div", { class: "actions" }, opener("your photo", open, "yours"), stop,
    button("save picture", () => save(after, "dream.png"), { name: "save" })),
  slider(state, "strength", { label: "strength", least: 0.1, most: () => 3, step: 0.1, hint: "What each change is multiplied by." }).element,
  slider(state, "octaves", { label: "octaves", least: 1, most: () => 6, hint: "How many sizes of the photograph are carved, from coarse to fine." }).element,
  toggle(state, "fine", { label: `fine: ${FINE} pixels instead of ${DRAFT}` }).element,
  make("p", { class: "caption" }, "Your photo stays on your device: nothing is sent anywhere."), lines.element);
  stop.hidden = true;
  wipe(FIRST_CUT);
  state.on(["layer", "map", "also", "photo", "octaves", "strength", "fine"], () => { patterns.mark(maps()); again(); });
  below.remove();
}
