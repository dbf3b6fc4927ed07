// Original input patterns: the image that a map answers to most, made by a climb from a random start. The climb is that
// of the OIP lab (`helpers.widgets`), so the Python lines of `python.js` make the same picture.
import { climb, endOf, geomspace } from "./climb.js";
import { AMPLITUDES, fluctuation } from "./fluctuations.js";
import { standardize } from "./images.js";
import { mapsOf } from "./objectives.js";
import { softener } from "./soften.js";

const LEAK = 0.05;  // what a negative node counts, so that no map is stuck where its gradient is zero
const DEFAULTS = { seed: 0, amplitudes: AMPLITUDES, steps: 45, epsilon: 10 ** 0.5, cooled: 10 ** -1.7, leak: LEAK, softened: true };

// The settings of a question with the lab's own where it names none. Numbers are as the Python lines write them.
export function oipSettings(question) {
  const known = Object.keys(DEFAULTS).filter((name) => question[name] !== undefined).map((name) => [name, question[name]]);
  const settings = { ...DEFAULTS, ...Object.fromEntries(known) };
  for (const name of ["epsilon", "cooled", "leak"]) settings[name] = short(settings[name]);
  if (!(settings.epsilon > 0 && settings.cooled > 0)) throw new Error("epsilon, the step size, must be above 0");
  if (!(Number.isInteger(settings.steps) && settings.steps > 0)) throw new Error("the number of steps must be a whole number above 0");
  return settings;
}

// A number in six digits, as Python's `:g` writes it.
export const short = (number) => Number(number.toPrecision(6));

// The climb of one map: {start, frames, values, value, image}. `values` are what was climbed at each frame, `value` is
// the mean activation in the end.
export function growOip(network, { layer, map, ...question }) {
  const states = [...climbOf(network, layer, map, oipSettings(question))], frames = states.map(({ image }) => image);
  const image = frames.at(-1);
  return { start: frames[0], frames, values: Float32Array.from(states, ({ value }) => value), image,
    value: meanActivation(network, layer, map, image) };
}

// Only where the climb ends: {image, value}.
export function growEnd(network, { layer, map, ...question }) {
  const { image } = endOf(climbOf(network, layer, map, oipSettings(question)));
  return { image, value: meanActivation(network, layer, map, image) };
}

function climbOf(network, layer, map, { seed, amplitudes, steps, epsilon, cooled, leak, softened }) {
  const { input } = network, sizes = geomspace(epsilon, cooled, steps).map(Math.fround);
  const rules = { project: standardize, ...(softened && { precondition: softener(network, input) }) };
  return climb(mapsOf(network, input, layer, [map], { leak }), fluctuation(amplitudes, seed, input), sizes, rules);
}

const meanActivation = (network, layer, map, image) => mapsOf(network, network.input, layer, [map])(image).value;
