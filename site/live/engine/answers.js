// What the page may ask the engine: one generator for each name of a question, which yields its answer in one or more
// parts. A generator that yields nothing for a moment only lets a newer question in. The worker knows these names alone.
import { activationsOf, nodeOf } from "./activations.js";
import { attribution, mapShares } from "./attribution.js";
import { changeOf } from "./change.js";
import { dream } from "./dream.js";
import { digitFromInk, inkOfStrokes } from "./ink.js";
import { growEnd, growOip } from "./oip.js";
import { digitFromPhoto } from "./photo.js";

export const answers = {
  // One map's OIP, with the whole climb: {start, frames, values, value, image}.
  *oip(network, question) {
    yield growOip(network, question);
  },

  // The same map from several random starts: a part {place, seed, image, value} for each of `seeds`.
  *seeds(network, { seeds, ...question }) {
    for (const [place, seed] of seeds.entries()) yield { place, seed, ...growEnd(network, { ...question, seed }) };
  },

  // Several maps from the same start, all of the layer if none are named: a part {place, map, image, value} for each.
  *zoo(network, { maps, ...question }) {
    const count = network.stages.find(({ name }) => name === question.layer)?.maps ?? 1;
    for (const [place, map] of (maps ?? [...Array(count).keys()]).entries())
      yield { place, map, layer: question.layer, ...growEnd(network, { ...question, map }) };
  },

  // What the network makes of a digit: {digit, layers, classes, logits}.
  *digit(network, question) {
    const digit = digitOf(question);
    yield { digit, ...activationsOf(network, digit) };
  },

  // The sum behind one node.
  *node(network, question) {
    yield nodeOf(network, question);
  },

  // Which pixels an answer rests on, {values, target, method}, and what each map of the last convolution adds, `shares`.
  *attribution(network, question) {
    const digit = digitOf(question), made = attribution(network, { ...question, image: digit });
    yield { ...made, digit, shares: mapShares(network, digit, made.target) };
  },

  // What would change the network's mind, towards the class `target` or away from its answer: the smallest change, or
  // one of a given `radius`.
  *change(network, question) {
    const digit = digitOf(question);
    yield { digit, ...changeOf(network, { ...question, image: digit }) };
  },

  // A dream: a part {change, octave, octaves} after each octave.
  *dream(network, question) {
    yield* dream(network, question);
  },
};
answers.wishes = answers.zoo;

// The digit that a question gives: strokes on the pad, a photograph of one, or 784 values of model space.
function digitOf({ strokes, gray, height, width, image }) {
  if (strokes) return digitFromInk(inkOfStrokes(strokes));
  return gray ? digitFromPhoto({ gray, height, width }) : Float32Array.from(image);
}
