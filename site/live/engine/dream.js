// Carving maps' patterns into a photograph, octave by octave, the coarsest first. As `helpers.dreams.carve_octaves`, with
// the settings of the dream lab.
import { climb } from "./climb.js";
import { roundHalfEven, standardize } from "./images.js";
import { localMoments } from "./moments.js";
import { mapsOf, wholeLayer } from "./objectives.js";
import { short } from "./oip.js";
import { resize } from "./resize.js";
import { softener } from "./soften.js";

const LEAK = 0.1;  // what a pre-activation below zero counts
const NEIGHBORHOOD = 28, FAINT = 0.05;  // pixels around each pixel whose contrast is kept; deviation that counts as flat
const SMALLEST = 28, LARGEST = 800;  // pixels along an edge of an octave
const DEFAULTS = { octaves: 4, scale: 1.4, strength: 1, steps: 10, epsilon: 0.05, softened: false };

// Yield {change, octave} after each octave, and nothing in between steps, where one may stop. `maps` are numbers, or
// "all" for the whole layer. With `luma` (height x width, 0..1) the brightness is dreamt and `change` is to be added to
// each color; with `rgb` (height x width x 3) each color is dreamt for itself, with one map for all or with a map each,
// and so is `change`.
export function* dream(network, { layer, maps, weights, luma, rgb, height, width, ...question }) {
  const settings = dreamSettings(question), sizes = octaveSizes(network, [height, width], settings);
  const planes = rgb ? [0, 1, 2].map((color) => Float32Array.from({ length: height * width }, (_, n) => rgb[3 * n + color])) : [luma];
  const wanted = aimsOf(maps, weights, planes.length);
  const changes = planes.map(() => ({ values: new Float32Array(1), size: [1, 1] }));
  for (const [octave, size] of sizes.entries()) {
    for (const [number, plane] of planes.entries()) {
      const { maps, weights } = wanted[number];
      const objective = maps === "all" ? wholeLayer(network, size, layer)
        : mapsOf(network, size, layer, maps, { leak: LEAK, weights: weights ?? maps.map(() => 1) });
      const rules = settings.softened ? { precondition: softener(network, size) } : {};
      changes[number] = yield* carved(objective, rules, plane, [height, width], size, changes[number], settings);
    }
    const full = changes.map(({ values, size }) => resize(values, size, [height, width]));
    yield { change: rgb ? interleaved(full) : full[0], octave: octave + 1, octaves: sizes.length };
  }
}

export function dreamSettings(question) {
  const named = Object.entries(question).filter(([name, value]) => name in DEFAULTS && value !== undefined);
  const settings = { ...DEFAULTS, ...Object.fromEntries(named) };
  for (const name of ["scale", "strength", "epsilon"]) settings[name] = short(settings[name]);
  return settings;
}

// For each plane the maps it climbs.
function aimsOf(maps, weights, planes) {
  if (planes === 1 || maps === "all") return Array(planes).fill({ maps, weights });
  if (maps.length !== 1 && maps.length !== planes)
    throw new Error(`${maps.length} maps are named; to dream each color name 3, one for each, or 1 for all`);
  return Array.from({ length: planes }, (_, n) => ({ maps: [maps[n % maps.length]], weights: null }));
}

// The sizes of the octaves, smallest first.
function octaveSizes({ input }, [height, width], { octaves, scale }) {
  const smallest = Math.min(SMALLEST, ...input);
  if (!(scale > 1)) throw new Error("the scale of the octaves must be above 1");
  if (Math.max(height, width) > LARGEST) throw new Error(`the photo has ${height} x ${width} pixels; give at most ${LARGEST} along an edge`);
  const sizes = Array.from({ length: octaves }, (_, n) =>
    [height, width].map((length) => roundHalfEven(length / scale ** (octaves - 1 - n))));
  if (sizes.length && Math.min(...sizes[0]) < smallest)
    throw new Error(`${octaves} octaves of scale ${scale} shrink the photo to ${sizes[0].join(" x ")}; use fewer or a smaller scale`);
  return sizes;
}

// The change after one more octave of `size`. The photo is standardized around every pixel, and what the climb changes
// is brought to the contrast found there.
function* carved(objective, rules, plane, fullSize, size, change, { strength, steps, epsilon }) {
  const carried = resize(change.values, change.size, size);
  const photo = resize(plane, fullSize, size).map((value, n) => value + carried[n]);
  const { means, deviations } = localMoments(photo, ...size, NEIGHBORHOOD);
  const start = standardize(photo.map((value, n) => (value - means[n]) / Math.max(deviations[n], FAINT)));
  let end;
  for (const { image } of climb(objective, start, Array(steps).fill(Math.fround(epsilon)), rules)) {
    end = image;
    yield;
  }
  return { values: carried.map((value, n) => value + strength * deviations[n] * (end[n] - start[n])), size };
}

function interleaved([red, green, blue]) {
  return Float32Array.from({ length: 3 * red.length }, (_, n) => [red, green, blue][n % 3][Math.floor(n / 3)]);
}
