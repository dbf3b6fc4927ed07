// What would change its mind: the smallest change that makes the drawn digit another one, and which pixels decide.

import { list, segments } from "./controls.js";
import { make, sentence, settled, whenSeen } from "./dom.js";
import { article, classBars, percent } from "./digit.js";
import { between, canvasOf, largest, paint, paintLarge, range, signed } from "./pictures.js";
import { pythonLines } from "./python.js";

export const METHODS = {
  "gradient": "Red: a brighter pixel would raise the answer. Blue: it would lower it. It tells what to change, not why.",
  "gradient x input": "What each pixel would give to the answer if the network were linear.",
  "integrated gradients": "How much of the answer the ink of each pixel is worth, measured from a blank page.",
  "SmoothGrad": "The mean gradient over noisy copies of the digit: calmer, and like the gradient about change.",
  "occlusion": "How far the answer falls when a square of 5 × 5 pixels is covered with paper there.",
  "Grad-CAM": "Where the maps of the last convolution speak for the class; coarse, because these maps have few nodes.",
  "deconvnet": "The answer sent back down and rectified at each ReLU: a sketch of the ink, not of the reasons.",
  "guided backpropagation": "Like deconvnet, and masked where ReLUs were silent: again a sketch more than a reason.",
};

// How large a change is, where the digit's own contrast is 1.
export function inWords(radius) {
  const words = [[0.12, "hardly to be seen"], [0.25, "a faint shadow"], [0.45, "plain to see, still the same digit to us"],
    [0.7, "about as strong as a stroke"], [Infinity, "nearly another digit"]];
  return words.find(([most]) => radius < most)[1];
}

function pictured(words) {
  const canvas = canvasOf(words), caption = make("figcaption", {}, words);
  return { canvas, caption, element: make("figure", {}, canvas, caption) };
}

export function mount({ stage, aside, below, root }, { state, network, engine, digits, pythonOf }) {
  const width = network.input[1], told = sentence(), lines = pythonLines(), bars = classBars(network.classes);
  const [before, change, after, heat] = ["the digit", "what changes", "the changed digit", "which pixels decide"].map(pictured);
  const explained = make("p", { class: "caption" });
  let digit, asked;

  function changed({ image, change: difference, radius, found, after: reads, classes }) {
    if (!found) return told.tell("No change within reach makes it that. Try another class.");
    const limits = range([...range(digit.image), ...range(image)]);
    paintLarge(before.canvas, digit.image, width, between(...limits));
    paintLarge(after.canvas, image, width, between(...limits));
    paint(change.canvas, difference, width, signed(largest(difference)));
    before.caption.textContent = `read as ${digit.best}, ${percent(digit.classes[digit.best])}`;
    after.caption.textContent = `read as ${reads}, ${percent(classes[reads])}`;
    change.caption.textContent = "what changes: red brighter, blue darker";
    bars.show(classes);
    return told.tell(`It reads ${article(digit.best)}. A change of ${Math.round(100 * radius)} % of the digit's contrast, `
      + `${inWords(radius)}, makes it ${article(reads)}.`);
  }
  const askChange = () => {
    const { towards } = state.values, target = towards < 0 ? null : towards;
    if (target === digit.best) {
      paintLarge(before.canvas, digit.image, width, between(...range(digit.image)));
      return told.tell(`It reads ${article(digit.best)} already. Choose another class.`);
    }
    told.tell(`looking for the smallest change to ${target === null ? "any other class" : article(target)} …`);
    const wish = { image: digit.image, target };
    lines.show(pythonOf({ name: "change", ...wish, strokes: digit.strokes, file: digit.file }));
    return engine.ask("change", wish, { part: changed, failed: (error) => told.tell(error, true) });
  };
  const askHeat = () => {
    const { method } = state.values;
    explained.textContent = METHODS[method] ?? "";
    engine.ask("attribution", { image: digit.image, target: digit.best, method }, {
      part: ({ values }) => {
        paint(heat.canvas, values, width, signed(largest(values)));
        heat.caption.textContent = `what speaks for a ${digit.best} (red) and against it (blue)`;
      },
      failed: (error) => { explained.textContent = error; } });
  };
  const ask = settled(() => {
    const key = digits.now && JSON.stringify([[...digits.now.image], state.values.towards, state.values.method]);
    if (!key || key === asked || !near()) return;
    asked = key;
    digit = digits.now;
    askChange();
    askHeat();
  }, 200);
  const near = whenSeen(root, ask);

  const targets = [[-1, "nearest"], ...Array.from({ length: network.classes }, (_, n) => [n, String(n)])];
  const towards = network.classes <= 12 ? segments : list;
  stage.append(towards(state, "towards", { label: "make it read", options: targets }).element, told.element,
    make("div", { class: "three" }, before.element, change.element, after.element));
  aside.append(list(state, "method", { label: "which pixels decide", options: Object.keys(METHODS).map((name) => [name, name]) }).element,
    heat.element, explained);
  below.append(make("div", { class: "after" }, make("p", { class: "caption" }, "Class probabilities of the changed digit, in %."), bars.element), lines.element);
  state.on(["towards", "method"], ask);
  digits.on(ask);
}
