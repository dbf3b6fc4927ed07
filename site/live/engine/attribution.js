// Which pixels an answer rests on: eight ways to ask. As `helpers.explain.attributions`, each explains the logit of a
// class and gives a number for each pixel.
import { nodesOf } from "./activations.js";
import { logitsOf, slopesOfLastMaps, slopesOfLogits } from "./classes.js";
import { blank } from "./images.js";
import { normalNumbers } from "./random.js";
import { LINEAR, resize } from "./resize.js";
import { AWAKE, POSITIVE } from "./trunk.js";

const STEPS = 32;  // of integrated gradients
const NOISE = 0.3, SAMPLES = 25;  // of SmoothGrad
const WINDOW = 5, STRIDE = 2;  // of occlusion

export const METHODS = {
  gradient: (network, image, target) => slopesOf(network, image, target),
  "gradient x input": (network, image, target) => slopesOf(network, image, target).map((slope, n) => slope * image[n]),
  "integrated gradients": integratedGradients,
  SmoothGrad: smoothGrad,
  occlusion,
  "Grad-CAM": gradCam,
  deconvnet: (network, image, target) => slopesOf(network, image, target, POSITIVE),
  "guided backpropagation": (network, image, target) => slopesOf(network, image, target, AWAKE | POSITIVE),
};

// {values, target, method}: of the class that the network reads, if no other is asked for.
export function attribution(network, { image, target, method }) {
  if (!Object.hasOwn(METHODS, method)) throw new Error(`there is no method ${method}; use ${Object.keys(METHODS).join(", ")}`);
  target ??= strongest(logitsOf(network, image));
  if (!(Number.isInteger(target) && target >= 0 && target < network.classes))
    throw new Error(`class ${target} does not exist: there are 0 to ${network.classes - 1}`);
  return { values: METHODS[method](network, image, target), target, method };
}

// The place of the largest number.
export const strongest = (values) => values.indexOf(Math.max(...values));

function slopesOf(network, image, target, rule = AWAKE) {
  logitsOf(network, image);
  return slopesOfLogits(network, oneHot(network.classes, target), rule);
}

const oneHot = (length, place) => Float32Array.from({ length }, (_, n) => Number(n === place));

function meanSlopes(network, images, target) {
  const total = new Float64Array(network.input[0] * network.input[1]);
  for (const image of images) slopesOf(network, image, target).forEach((slope, n) => { total[n] += slope; });
  return Float32Array.from(total, (sum) => sum / images.length);
}

// Each pixel's share in the difference of the logit from that of blank paper.
function integratedGradients(network, image, target) {
  const paper = blank(image), ink = image.map((value, n) => value - paper[n]);
  const way = Array.from({ length: STEPS }, (_, n) => ink.map((value, at) => paper[at] + (n + 0.5) / STEPS * value));
  return meanSlopes(network, way, target).map((slope, n) => slope * ink[n]);
}

// The mean gradient over noisy copies of the image.
function smoothGrad(network, image, target) {
  const normal = normalNumbers(0);
  const copies = Array.from({ length: SAMPLES }, () => image.map((value) => value + Math.fround(NOISE * normal())));
  return meanSlopes(network, copies, target);
}

// By how much the logit falls when a square shows blank paper, the mean over the squares on a pixel.
function occlusion(network, image, target) {
  const [height, width] = network.input, paper = blank(image), logit = logitsOf(network, image)[target];
  const falls = new Float64Array(image.length), squares = new Float64Array(image.length);
  for (const top of begins(height))
    for (const left of begins(width)) {
      const pixels = squareAt(top, left, width), covered = image.slice();
      for (const n of pixels) covered[n] = paper[n];
      const fall = logit - logitsOf(network, covered)[target];
      for (const n of pixels) {
        falls[n] += fall;
        squares[n]++;
      }
    }
  return Float32Array.from(falls, (fall, n) => fall / squares[n]);
}

// Where the squares begin along an edge; the last one ends at the image's end.
function begins(length) {
  const made = [];
  for (let begin = 0; begin < length - WINDOW; begin += STRIDE) made.push(begin);
  return [...made, length - WINDOW];
}

function squareAt(top, left, width) {
  return Array.from({ length: WINDOW * WINDOW }, (_, n) => (top + Math.floor(n / WINDOW)) * width + left + n % WINDOW);
}

// Where the maps of the last convolution speak for the class, each with its mean slope as weight.
function gradCam(network, image, target) {
  logitsOf(network, image);
  const slopes = slopesOfLastMaps(network, oneHot(network.classes, target));
  const { rows, columns, wide, nodes } = lastNodes(network), weights = new Float64Array(wide);
  slopes.forEach((slope, n) => { weights[n % wide] += slope / (rows * columns); });  // a pooling hands each slope to one node
  const heat = Float32Array.from({ length: rows * columns }, (_, place) =>
    Math.max(0, weights.reduce((sum, weight, map) => sum + weight * nodes[place * wide + map], 0)));
  return resize(heat, [rows, columns], network.input, LINEAR);
}

function lastNodes(network) {
  const place = network.stages.length - 1, { rows, columns } = network.sights[0].stages[place];
  return { rows, columns, wide: network.stages[place].wide, nodes: nodesOf(network, network.sights[0], place) };
}

// What each map of the last convolution gives to the logit: above 0 it speaks for the class.
export function mapShares(network, image, target) {
  logitsOf(network, image);
  const stage = network.stages.at(-1), shares = new Float32Array(stage.wide);
  const maps = network.memory.view(network.sights[0].stages.at(-1).best).slice();
  slopesOfLastMaps(network, oneHot(network.classes, target)).forEach((slope, n) => { shares[n % stage.wide] += slope * maps[n]; });
  return shares.slice(0, stage.maps);
}
