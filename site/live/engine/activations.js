// What all layers say of one image, and the sum behind a single node. As `helpers.activations`.
import { logitsOf, softmax } from "./classes.js";
import { stageNamed } from "./network.js";
import { lookAt } from "./trunk.js";

const SHOWN = 8;  // inputs of a node that are told one by one

// {layers: {name: {nodes, height, width, maps}}, classes, logits}; `nodes` are (height, width, maps), after the ReLU.
export function activationsOf(network, image) {
  const logits = logitsOf(network, image), sight = network.sights[0], layers = {};
  for (const [place, { name, maps }] of network.stages.entries()) {
    const { rows, columns } = sight.stages[place];
    layers[name] = { nodes: withoutWidth(nodesOf(network, sight, place), network.stages[place]), height: rows, width: columns, maps };
  }
  return { layers, classes: softmax(logits), logits };
}

// All nodes of a stage after the ReLU and before the pooling, (rows, columns, wide).
export function nodesOf({ memory, stages }, sight, place) {
  const stage = stages[place], at = sight.stages[place];
  if (!stage.pooled) return memory.view(at.best).slice();
  const mark = memory.mark(), nodes = memory.buffer(at.rows * at.columns * stage.wide);  // for this call only
  memory.run.convolve(at.maps.at, at.high, at.across, stage.wideIns, stage.kernel.at, stage.height, stage.width,
    stage.bias.at, stage.wide, 1, nodes.at);
  memory.release(mark);
  return memory.view(nodes).slice();
}

function withoutWidth(nodes, { maps, wide }) {
  if (maps === wide) return nodes;
  const made = new Float32Array(nodes.length / wide * maps);
  for (let place = 0; place * wide < nodes.length; place++) made.set(nodes.subarray(place * wide, place * wide + maps), place * maps);
  return made;
}

// The sum behind one node: {patch, kernel, sum, bias, before, value, inputs, others, height, width, below}. `patch` is
// what its kernel meets, both (height, width, maps below). `inputs` are the maps below that matter most, each {map, share,
// patch, kernel, products}, of which `share` is the sum; `others` are the rest together: {count, share}.
export function nodeOf(network, { image, layer, row, column, map }) {
  const place = stageNamed(network, layer), stage = network.stages[place];
  const sight = lookAt(network, image, ...network.input, place), at = sight.stages[place], { view } = network.memory;
  if (!(row >= 0 && row < at.rows && column >= 0 && column < at.columns && map >= 0 && map < stage.maps))
    throw new Error(`node (${row}, ${column}) of map ${map} does not exist: layer ${layer} has ${stage.maps} maps of ${at.rows} x ${at.columns} nodes`);
  const maps = view(at.maps), kernels = view(stage.kernel), bias = view(stage.bias)[map], { ins } = stage;
  const patch = new Float32Array(stage.height * stage.width * ins), kernel = patch.slice();
  for (let n = 0; n < patch.length; n++) {
    const spot = Math.floor(n / ins), input = n % ins, y = Math.floor(spot / stage.width), x = spot % stage.width;
    patch[n] = maps[((row + y) * at.across + column + x) * stage.wideIns + input];
    kernel[n] = kernels[(spot * stage.wideIns + input) * stage.wide + map];
  }
  const each = Array.from({ length: ins }, (_, input) => shareOf(input, ...[patch, kernel].map((all) => all.filter((_, n) => n % ins === input))));
  const sum = each.reduce((total, { share }) => total + share, 0), before = sum + bias;
  const inputs = each.sort((a, b) => Math.abs(b.share) - Math.abs(a.share) || a.map - b.map).slice(0, SHOWN);
  const others = { count: ins - inputs.length, share: sum - inputs.reduce((total, { share }) => total + share, 0) };
  return { patch, kernel, sum, bias, before, value: Math.max(0, before), inputs, others, height: stage.height,
    width: stage.width, below: place ? network.stages[place - 1].name : null };
}

function shareOf(map, patch, kernel) {
  const products = patch.map((value, n) => value * kernel[n]);
  return { map, share: products.reduce((a, b) => a + b), patch, kernel, products };
}
