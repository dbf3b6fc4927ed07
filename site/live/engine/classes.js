// What the dense layers make of the trunk's maps: logits, class probabilities, and the way back from logits.
import { AWAKE, POSITIVE, lookAt, wayBack } from "./trunk.js";

const product = ({ run, view }, left, matrix, inner, columns, result) => {
  run.multiply(left.at, matrix.at, 1, inner, columns, result.at);
  return view(result);
};

// The logits of an image of the network's own size; what all layers say of it stays in its sight.
export function logitsOf(network, image) {
  const { memory, stages, dense } = network;
  const sight = lookAt(network, image, ...network.input, stages.length);
  memory.view(sight.units[0].ins).set(memory.view(sight.stages.at(-1).best));
  return dense.reduce((_, layer, place) => runDense(memory, sight, layer, place, place === dense.length - 1), null);
}

function runDense(memory, sight, layer, place, last) {
  const at = sight.units[place];
  const units = product(memory, at.ins, layer.kernel, layer.ins, layer.outs, at.outs);
  for (let unit = 0; unit < units.length; unit++) units[unit] += layer.bias[unit];
  if (last) return units.slice();
  memory.view(sight.units[place + 1].ins).set(units.map((value) => Math.max(0, value)));
  return null;
}

// The slopes of the image, given those of the logits that `logitsOf` has just returned for it.
export function slopesOfLogits(network, slopes, rule = AWAKE) {
  slopesOfLastMaps(network, slopes, rule);
  return wayBack(network, network.sights[0], network.stages.length - 1, rule);
}

// The slopes of what the trunk leaves, given those of the logits. They are left in the sight, too.
export function slopesOfLastMaps(network, slopes, rule = AWAKE) {
  const { memory, dense, sights: [sight] } = network;
  for (let place = dense.length - 1; place >= 0; place--) {
    const layer = dense[place], at = sight.units[place], awake = memory.view(at.ins).slice();
    memory.view(at.outs).set(slopes);
    slopes = product(memory, at.outs, layer.turned, layer.outs, layer.ins, at.ins).slice();
    if (place > 0) slopes = slopes.map((slope, unit) => (passes(slope, awake[unit], rule) ? slope : 0));
  }
  memory.view(sight.stages.at(-1).slopes).set(slopes);
  return slopes;
}

const passes = (slope, value, rule) => (!(rule & AWAKE) || value > 0) && (!(rule & POSITIVE) || slope > 0);

export function softmax(logits) {
  const most = Math.max(...logits), shares = Float64Array.from(logits, (logit) => Math.exp(logit - most));
  const total = shares.reduce((a, b) => a + b);
  return Float32Array.from(shares, (share) => share / total);
}
