// The lines of Python that make the same picture as a question to the engine, with `helpers` on the reader's machine.
// They leave it in `images` (an OIP, several seeds, a zoo), `maps` and `classes` (a digit), `heat` (an attribution),
// `changed` or `dream`.
import { dreamSettings } from "./dream.js";
import { oipSettings } from "./oip.js";

const HOMES = {
  activations: ["class_logits", "feature_extractor", "pre_activation_extractor"], ascent: ["climb", "soften"],
  dreams: ["carve_octaves"], "explain.attacks": ["climb_within", "smallest_changes"],
  "explain.attributions": ["deconvnet", "grad_cam", "gradient", "gradient_times_input", "guided_backpropagation",
    "integrated_gradients", "occlusion", "smooth_grad"],
  data: ["load_digits"], fluctuations: ["fluctuations"], geometry: ["any_size"], ink: ["digit_from_ink", "load_digit"],
  models: ["load_cnn"], objectives: ["Channels", "Margins", "Mixed", "WholeLayer"], photos: ["load_photo", "sample_photo"],
  "widgets.parts.digits": ["ink_of_strokes"],
};
const FUNCTIONS = { gradient: "gradient", "gradient x input": "gradient_times_input",
  "integrated gradients": "integrated_gradients", SmoothGrad: "smooth_grad", occlusion: "occlusion", "Grad-CAM": "grad_cam",
  deconvnet: "deconvnet", "guided backpropagation": "guided_backpropagation" };

// A whole program as a list of lines, for a question of this name. `network` is what the worker told when it was loaded.
// Where the digit or photo comes from a file, the question names it as `file`. A digit may also be given by `strokes`, or
// by the `number` of a test digit, and a photo by the name of a sample: flower, temple or portrait.
export function pythonLines(name, question, network) {
  const lines = [`model = ${network.python}`, ...LINES[name](question, network)], text = lines.join("\n");
  const homes = Object.entries(HOMES).map(([home, names]) => [home, names.filter((name) => new RegExp(`\\b${name}\\(|=${name}\\b`).test(text))]);
  const imports = homes.filter(([, names]) => names.length).map(([home, names]) => `from helpers.${home} import ${names.join(", ")}`).sort();
  const abroad = [["matplotlib.cbook", "import matplotlib.cbook"], ["np", "import numpy as np"]].filter(([name]) => text.includes(`${name}.`));
  return [...abroad.map(([, line]) => line), ...imports, "", ...lines];
}

const LINES = {
  oip: (question, network) => climbLines(question, network, [question.map], [oipSettings(question).seed]),
  seeds: (question, network) => climbLines(question, network, [question.map], question.seeds),
  zoo: (question, network) => climbLines(question, network, question.maps ?? "all", [oipSettings(question).seed]),
  digit: (question, network) => [...digitLines(question),
    ...network.layers.map(({ name }) => `${name.toLowerCase().replace(/\W/g, "_")} = feature_extractor(model, ${text(name)}).answers(digit)`),
    "classes = model.predict(digit, verbose=0)[0]"],
  attribution: (question) => [...digitLines(question), ...answerLines(question),
    `heat = ${FUNCTIONS[question.method]}(model, digit, ${question.target ?? "answer"})`],
  change: (question) => [...digitLines(question), ...answerLines(question), wishLine(question),
    question.radius == null ? `changed, radii = smallest_changes(wish, digit${stepsOf(question)})`
      : `changed = climb_within(wish, digit, ${question.radius}${stepsOf(question)})`],
  dream: dreamLines,
};
LINES.wishes = LINES.zoo;

const text = (value) => JSON.stringify(value);  // Python reads such text alike
const stepsOf = ({ steps }) => (steps == null ? "" : `, steps=${steps}`);

function climbLines({ layer, ...question }, { input }, maps, seeds) {
  const { amplitudes, steps, epsilon, cooled, leak, softened } = oipSettings(question), [height, width] = input;
  const weights = Object.entries(amplitudes).filter(([, weight]) => weight > 0).map(([grid, weight]) => `${grid}: ${weight}`).join(", ");
  const size = Math.max(height, width) === 28 ? "" : `, size=${Math.max(height, width)}`;
  const start = `fluctuations(1, {${weights}}, seed=${seeds.length > 1 ? "seed" : seeds[0]}${size})`;
  const several = maps === "all" || maps.length > 1, indices = maps === "all" ? "range(features.output_shape[-1])" : `[${maps.join(", ")}]`;
  return [
    `features = pre_activation_extractor(model, ${text(layer)})`,
    ...(several ? [`maps = ${indices}`] : []),
    (seeds.length > 1 ? `start = np.concatenate([${start} for seed in [${seeds.join(", ")}]])`
      : `start = ${start}${several ? ".repeat(len(maps), axis=0)" : ""}`) + (height === width ? "" : `[:, :${height}, :${width}]`),
    `step_sizes = np.geomspace(${epsilon}, ${cooled}, ${steps})`,
    `objective = Channels(features, ${several ? "maps" : indices}, leak=${leak})`,
    `climbing = climb(objective, start, step_sizes, ${softened ? "precondition=soften, " : ""}reports=range)`,
    "*_, (step, images, values) = climbing",
  ];
}

function digitLines({ strokes, file, number }) {
  if (strokes) return [`strokes = ${text(strokes)}`, "digit = digit_from_ink(ink_of_strokes(strokes))"];
  if (number == null) return [`digit = load_digit(${text(file ?? "digit.png")})`];
  return ['images, labels = load_digits("test")', `digit = images[${number}:${number + 1}]`];
}

const answerLines = ({ target }) => (target == null ? ["answer = int(class_logits(model).answers(digit)[0].argmax())"] : []);

function wishLine({ target }) {
  const margin = `Margins(class_logits(model), [${target ?? "answer"}])`;
  return `wish = ${target == null ? `Mixed([${margin}], [-1])` : margin}`;
}

function photoLine({ photo = "flower", file, height }) {
  if (!file && ["flower", "temple"].includes(photo)) return `photo = sample_photo(${text(photo)}, size=${height})`;
  const portrait = !file && photo === "portrait";
  const source = portrait ? 'matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)' : text(file ?? "photo.jpg");
  return `photo = load_photo(${source}, size=${height})`;
}

function dreamLines({ layer, maps, weights, rgb, ...question }) {
  const { octaves, scale, strength, steps, epsilon, softened } = dreamSettings(question), all = maps === "all";
  const one = (map) => (all ? "WholeLayer(features)" : `Channels(features, [${map}], leak=0.1)`);
  const rest = `${octaves}, ${scale}, step_sizes=step_sizes, strength=${strength}${softened ? ", precondition=soften" : ""})`;
  const lines = [
    photoLine(question),
    "trunk = any_size(model)",
    `features = ${all ? "feature_extractor" : "pre_activation_extractor"}(trunk, ${text(layer)})`,
    `step_sizes = np.full(${steps}, ${epsilon})`,
  ];
  if (rgb) {
    const each = all || maps.length === 1 ? `[${one(maps[0])}] * 3` : `[${maps.map(one).join(", ")}]`;
    return [...lines, `objectives = ${each}`,
      `colors = [carve_octaves(objective, photo[..., [color]], ${rest}`,
      "          for color, objective in enumerate(objectives)]",
      "*_, dream = (np.concatenate(planes, axis=-1) for planes in zip(*colors))"];
  }
  const objective = all || (maps.length === 1 && (weights?.[0] ?? 1) === 1) ? one(maps)
    : `Mixed([${maps.map(one).join(", ")}], [${(weights ?? maps.map(() => 1)).join(", ")}])`;
  return [...lines, `objective = ${objective}`, `*_, dream = carve_octaves(objective, photo, ${rest}`];
}
