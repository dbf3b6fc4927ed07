// What would change the network's mind about an image. As `helpers.explain.attacks`: all images lie on the sphere of
// standardized images, and the size of a change is the root mean square of its pixels.
import { activationsOf } from "./activations.js";
import { strongest } from "./attribution.js";
import { logitsOf } from "./classes.js";
import { climb, endOf, geomspace, moved } from "./climb.js";
import { mean, rootMeanSquare, standardize } from "./images.js";
import { marginOf } from "./objectives.js";

const STEPS = 60, FIRST = 0.2, FARTHEST = 1.4, SHARES = [0.3, 0.02];  // of the search for the smallest change
const STEPS_WITHIN = 20;  // of the climb within a given radius

// With a `radius`: what a change of that size makes of the image, towards the class `target`. Without: the smallest
// change found after which it is read as `target`, or as anything else than now if that is null. {image, change,
// radius, found, before, after, classes, logits}: `before` and `after` are what is read.
export function changeOf(network, { image, target = null, radius = null, steps = null }) {
  const original = standardize(image), before = strongest(logitsOf(network, original));
  const objective = target === null ? marginOf(network, before, -1) : marginOf(network, target);
  const made = radius === null ? smallestChange(objective, original, steps ?? STEPS)
    : { image: climbWithin(objective, original, radius, steps ?? STEPS_WITHIN), radius };
  const { classes, logits } = activationsOf(network, made.image), after = strongest(logits);
  return { ...made, change: made.image.map((value, n) => value - original[n]), before, after, classes, logits,
    found: target === null ? after !== before : after === target };
}

// The nearest image found for which the objective is above 0, and its radius: an upper bound (Rony and others 2019). It
// climbs within a radius that shrinks wherever the objective is above 0 and grows wherever it is not.
function smallestChange(objective, original, steps) {
  let at = original, radius = FIRST, nearest = original, best = Infinity;
  for (const share of geomspace(...SHARES, steps)) {
    const { value, slopes } = objective(at), size = rootMeanSquare(at.map((pixel, n) => pixel - original[n]));
    const next = moved(at, slopes, Math.fround(share * radius));
    if (value > 0 && size < best) [nearest, best] = [at, size];
    radius = Math.min(FARTHEST, value > 0 ? (1 - share) * Math.min(radius, best) : (1 + share) * radius);
    at = within(original, radius)(next);
  }
  return { image: nearest, radius: best };
}

function climbWithin(objective, original, radius, steps) {
  const project = within(original, radius);
  if (radius === 0) return project(original);
  return endOf(climb(objective, original, geomspace(radius, radius / 5, steps).map(Math.fround), { project })).image;
}

// A function that brings images back to the standardized ones within `radius` of a center, along the great circle to it.
function within(center, radius) {
  const cosine = Math.max(1 - radius ** 2 / 2, -1), sine = Math.sqrt(1 - cosine ** 2);  // the radius is the chord
  return (image) => {
    const there = standardize(image), along = mean(there.map((value, n) => value * center[n]));
    if (along >= cosine) return there;
    const across = there.map((value, n) => value - along * center[n]), scale = sine / (rootMeanSquare(across) || Infinity);
    return center.map((value, n) => cosine * value + scale * across[n]);
  };
}
