// What the page may ask the engine: one generator for each name of a question, which yields its answer in one or more
// parts. A generator that yields nothing for a moment only lets a newer question in. The worker knows these names alone.
import { activationsOf, nodeOf } from "./activations.js";
import { dream } from "./dream.js";
import { digitFromInk, inkOfStrokes } from "./ink.js";
import { growEnd, growOip } from "./oip.js";

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

  // A dream: a part {change, octave, octaves} after each octave.
  *dream(network, question) {
    yield* dream(network, question);
  },
};
answers.wishes = answers.zoo;

// The digit that a question gives: strokes on the pad, or 784 values of model space.
function digitOf({ strokes, image }) {
  if (strokes) return digitFromInk(inkOfStrokes(strokes));
  return Float32Array.from(image);
}
