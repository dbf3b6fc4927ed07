// The OIP lab: the image that one map answers to most, grown anew at every move of a slider.

import { button, chips, list, more, segments, slider, toggle } from "./controls.js";
import { calm, make, sentence, settled, whenSeen } from "./dom.js";
import { canvasOf, card, paint, paintLarge, save } from "./pictures.js";
import { pythonLines } from "./python.js";
import { sheet } from "./sheet.js";

const STRIP = 9, SEEDS = 6, FILM = 2400; // pictures in the strip; seeds beside the picture; milliseconds
const BEND = 1.6; // the strip shows more of the first steps, where most happens
const MOST_SEED = 999;
const SETTINGS = ["layer", "map", "seed", "steps", "epsilon", "softened", "scale3", "scale7", "scale14"];
const TRY = { softened: true, steps: 45, epsilon: 10 ** 0.5, scale3: 0.5, scale7: 0.5, scale14: 0 };

export const short = (value) => (Math.abs(value) >= 0.01 || value === 0 ? value.toPrecision(3) : value.toFixed(3)).replace("-", "−");
export const amplitudesOf = ({ scale3, scale7, scale14 }) => ({ 3: scale3, 7: scale7, 14: scale14 });

export function questionOf(values) {
  const { layer, map, seed, steps, epsilon, softened } = values;
  return { layer, map, seed, steps, epsilon, softened, amplitudes: amplitudesOf(values) };
}

// The one call that opens the same picture in a notebook.
const callOf = ({ layer, map, seed, softened }) => `oip_lab(layer="${layer}", map=${map}, seed=${seed}${softened ? "" : ", softened=False"})`;

export function mount({ stage, rail, controls, below }, { state, network, engine, zoo, pythonOf }) {
  const width = network.input[1], layers = network.layers;
  const layer = () => network.layerOf(state.values.layer);
  const values = () => ({ ...state.values, layer: layer().name, map: Math.min(state.values.map, layer().maps - 1) });

  // the picture, and the climb below it

  const picture = canvasOf("the pattern"), told = sentence(), lines = pythonLines();
  const strip = make("canvas", { class: "strip" }), mark = make("div", { class: "mark" });
  const curve = make("div", { class: "curve", "aria-hidden": "true" });
  const scrub = make("div", { class: "scrub", tabIndex: 0, role: "slider", "aria-label": "step of the climb", "aria-valuemin": "0",
    "data-control": "strip" }, strip, curve, mark);
  const step = make("p", { class: "caption" });
  let made, shown = 0, playing;
  picture.style.aspectRatio = `${width} / ${network.input[0]}`;

  const placeOf = (number) => (0.5 + (STRIP - 1) * (number / (made.frames.length - 1)) ** (1 / BEND)) / STRIP;
  const stepAt = (place) => {
    const along = Math.min(1, Math.max(0, (place * STRIP - 0.5) / (STRIP - 1)));
    return Math.round((made.frames.length - 1) * along ** BEND);
  };
  function showStep(number) {
    const end = made.frames.length - 1;
    shown = Math.min(end, Math.max(0, number));
    paintLarge(picture, made.frames[shown], width);
    mark.style.left = `${100 * placeOf(shown)}%`;
    step.textContent = `${shown ? `step ${shown} of ${end}` : "the random start"}: climbed to ${short(made.values[shown])}`;
    scrub.setAttribute("aria-valuenow", String(shown));
    scrub.setAttribute("aria-valuetext", step.textContent);
  }
  function showClimb() {
    const end = made.frames.length - 1, height = made.frames[0].length / width, row = new Float32Array(STRIP * width * height);
    for (let n = 0; n < STRIP; n++) {
      const frame = made.frames[stepAt((n + 0.5) / STRIP)];
      for (let y = 0; y < height; y++) row.set(frame.subarray(y * width, (y + 1) * width), (y * STRIP + n) * width);
    }
    paint(strip, row, STRIP * width);
    const low = Math.min(0, ...made.values), high = Math.max(...made.values, low + 1e-6);
    const points = Array.from(made.values, (value, n) => `${(100 * placeOf(n)).toFixed(2)},${(38 - 36 * (value - low) / (high - low)).toFixed(2)}`);
    curve.innerHTML = `<svg viewBox="0 0 100 40" preserveAspectRatio="none"><polyline points="${points.join(" ")}"/></svg>`;
    scrub.setAttribute("aria-valuemax", String(end));
  }
  function stopFilm() {
    cancelAnimationFrame(playing);
    playing = undefined;
    watch.textContent = "▶ watch it grow";
  }
  function film() {
    if (playing) return stopFilm();
    watch.textContent = "■ stop";
    const begin = performance.now(), frames = calm() ? 6 : Infinity;
    const next = (now) => {
      let part = Math.min(1, (now - begin) / FILM);
      if (part < 1 && frames < Infinity) part = Math.floor(part * frames) / frames;
      showStep(stepAt((0.5 + (STRIP - 1) * part) / STRIP));
      if (part < 1) playing = requestAnimationFrame(next);
      else stopFilm();
    };
    playing = requestAnimationFrame(next);
    return undefined;
  }

  scrub.addEventListener("pointerdown", (event) => {
    if (!made) return;
    scrub.setPointerCapture(event.pointerId);
    stopFilm();
    const move = ({ clientX }) => { const box = scrub.getBoundingClientRect(); showStep(stepAt((clientX - box.left) / box.width)); };
    move(event);
    scrub.addEventListener("pointermove", move);
    for (const end of ["pointerup", "pointercancel"]) scrub.addEventListener(end, () => scrub.removeEventListener("pointermove", move), { once: true });
  });
  scrub.addEventListener("keydown", (event) => {
    const next = { ArrowLeft: shown - 1, ArrowDown: shown - 1, ArrowRight: shown + 1, ArrowUp: shown + 1, Home: 0, End: Infinity }[event.key];
    if (next === undefined || !made) return;
    event.preventDefault();
    stopFilm();
    showStep(next);
  });

  // the questions

  const tell = (answer, { layer: name, map, softened }) => {
    const which = `Map ${map} of ${network.wordsOf(name)}`, steps = answer.frames.length - 1;
    if (!(answer.value > 0)) return `${which} stays silent from this random start: roll the dice for another.`;
    return `${which} has a mean activation of ${short(answer.value)} for this pattern. It grew from noise in `
      + `${steps} ${softened ? "softened " : ""}${steps === 1 ? "step" : "steps"}, ${answer.ms.toFixed(0)} ms.`;
  };
  function climb() {
    stopFilm();
    const question = questionOf(values()), asked = performance.now();
    engine.ask("oip", question, { late: true,
      part: (answer, wish) => {
        made = answer;
        showClimb();
        showStep(Infinity);
        told.tell(tell(answer, wish));
        picture.setAttribute("aria-label", `Pattern of map ${wish.map} of ${wish.layer}: ${told.element.textContent}`);
        lines.show(pythonOf({ name: "oip", ...wish }));
        performance.measure("oip", { start: asked, detail: { layer: wish.layer, ms: answer.ms } });
      },
      failed: (error) => told.tell(error, true) });
  }

  const seeds = sheet("other random starts", { edge: 64, choose: (place) => state.set({ seed: firstSeed() + place }),
    label: (place) => `seed ${firstSeed() + place}`, caption: (place) => `${firstSeed() + place}` });
  const firstSeed = () => Math.floor(state.values.seed / SEEDS) * SEEDS;
  let family;
  const askSeeds = settled(() => {
    const all = Array.from({ length: SEEDS }, (_, n) => firstSeed() + n), question = { ...questionOf(values()), seed: 0, seeds: all };
    seeds.mark([state.values.seed - firstSeed()]);
    if (family === JSON.stringify(question)) return;
    family = JSON.stringify(question);
    seeds.fill(SEEDS);
    engine.ask("seeds", question, { part: ({ place, image, value }) => seeds.show(place, image, width, short(value)),
      failed: (error) => told.tell(error, true) });
  }, 120);

  // all maps, grown before one's eyes

  const sheetOfMaps = sheet("all maps of the layer", { edge: 56, choose: (map) => {
    state.set({ map });
    stage.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  }, label: (map) => `map ${map}`, caption: (map) => `${map}` });
  const zooTold = make("p", { class: "caption", role: "status" });
  const near = whenSeen(sheetOfMaps.element, () => zoo.want());
  zoo.on({
    start: (question) => {
      const { maps } = network.layerOf(question.layer);
      sheetOfMaps.fill(maps);
      sheetOfMaps.mark([values().map]);
      zooTold.textContent = `growing the ${maps} maps of ${network.wordsOf(question.layer)} …`;
    },
    part: ({ map, image, value }) => sheetOfMaps.show(map, image, width, short(value)),
    done: (ms, count) => { zooTold.textContent = `${count} maps of ${network.wordsOf(layer().name)}, grown in ${(ms / 1000).toFixed(1)} s. Choose one.`; },
    failed: (error) => { zooTold.textContent = error; },
  });

  // controls

  const word = (n) => (n === layers.length - 1 ? "whole shapes" : n === 0 ? "edges" : "strokes");
  const options = layers.map(({ name }, n) => [name, `layer ${n + 1}`, word(n)]);
  const chooseLayer = layers.length <= 4 ? segments(state, "layer", { label: "layer", options })
    : list(state, "layer", { label: "layer", options: options.map(([name, first, second]) => [name, `${first} · ${second}`]) });
  const map = slider(state, "map", { label: "map", hint: "Which feature map (channel) of the layer.", most: () => layer().maps - 1 });
  const dice = button("⚄ roll the dice", () => state.set({ map: Math.floor(Math.random() * layer().maps), seed: Math.floor(Math.random() * 100) }),
    { hint: "Any map, any random start.", name: "dice" });
  const watch = button("▶ watch it grow", film, { primary: true, hint: "The climb as a film, step by step.", name: "film" });
  const picturePng = button("save picture", () => save(picture, `oip_${layer().name}_${values().map}.png`), { name: "save" });
  const share = button("save as a card", () => save(card(picture, `What map ${values().map} of ${network.wordsOf(layer().name)} wants to see`,
    step.textContent, callOf(values())), `card_${layer().name}_${values().map}.png`), { name: "save", hint: "One picture with a sentence and the Python that makes it." });
  const presets = [
    ["strokes", { ...TRY }, "Softened climbs turn speckle into strokes."],
    ["speckle", { ...TRY, softened: false }, "The plain gradient: a higher value, a picture like noise."],
    ["three steps", { ...TRY, steps: 3 }, "What the first turns do."],
    ["fine noise", { ...TRY, scale3: 0, scale7: 0.3, scale14: 1 }, "A start with finer structure."],
    ...(layers.length > 1 ? [["edges", { layer: layers[0].name, map: Math.min(5, layers[0].maps - 1) }, "What the first layer looks for."]] : []),
  ];
  controls.append(
    chooseLayer.element, map.element,
    slider(state, "seed", { label: "random start (seed)", hint: "The same number gives the same noise, here and in Python.", most: () => MOST_SEED }).element,
    slider(state, "steps", { label: "epochs (steps)", hint: "How many steps the climb takes.", least: 1, most: () => 600, log: true }).element,
    toggle(state, "softened", { label: "softened: strokes instead of speckle", hint: "Climb along smooth directions." }).element,
    make("div", { class: "actions" }, watch, dice),
    more("more settings",
      slider(state, "epsilon", { label: "epsilon (step size)", least: 0.001, most: () => 10, step: "any", log: true, hint: "How far the first step goes; later ones go less far." }).element,
      ...[3, 7, 14].map((grid) => slider(state, `scale${grid}`, { label: `fluctuation scale ${grid} × ${grid}`, step: 0.05, hint: `Weight of noise on a grid of ${grid} × ${grid} in the random start.` }).element),
      make("div", { class: "actions" }, picturePng, share)),
    lines.element);
  stage.append(chips(state, "presets", presets).element, told.element, picture, scrub, step);
  rail.append(make("h3", {}, "other seeds"), seeds.element);
  below.append(make("h3", {}, "all maps of the layer"), zooTold, sheetOfMaps.element);

  const again = () => {
    map.show();
    climb();
    askSeeds();
    sheetOfMaps.mark([values().map]);
    if (near()) zoo.want();
  };
  state.on(SETTINGS, again);
  again();
}
