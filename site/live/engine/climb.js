// Gradient ascent on the sphere of standardized images. As `helpers.ascent`, whose plain way it goes: straight ahead by
// a step of a given size, then back to the sphere.
import { rootMeanSquare, standardize } from "./images.js";

const asItIs = (values) => values;

// Yield {image, value} at each state of a climb: the start, and what each of the step sizes leaves. `value` belongs to
// the image. An objective is a function from an image to {value, slopes}; `precondition` changes the slopes.
export function* climb(objective, start, sizes, { project = standardize, precondition = asItIs } = {}) {
  let image = project(start);
  for (const size of sizes) {
    const { value, slopes } = objective(image);
    yield { image, value };
    image = project(moved(image, precondition(slopes), size));
  }
  yield { image, value: objective(image).value };
}

// The image moved along the slopes, brought to root mean square 1, by `size`. Slopes of zero leave it where it is.
export function moved(image, slopes, size) {
  const scale = size / (rootMeanSquare(slopes) || Infinity);
  const made = new Float32Array(image.length);
  for (let n = 0; n < image.length; n++) made[n] = image[n] + scale * slopes[n];
  return made;
}

// The last state of a climb.
export function endOf(states) {
  let last;
  for (const state of states) last = state;
  return last;
}

// Numbers from `first` to `last`, each the same multiple of the one before it, as numpy's geomspace.
export function geomspace(first, last, count) {
  return Array.from({ length: count }, (_, n) => (n === 0 ? first : n === count - 1 ? last : first * (last / first) ** (n / (count - 1))));
}
