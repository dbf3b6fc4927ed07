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

// The sum behind one node: {inputs, others, sum, bias, before, value}. `inputs` are the maps below that matter most,
// each {map, share, patch, kernel, products}: what its kernel meets, the kernel, and both multiplied, of which `share`
// is the sum. `others` are the rest together: {count, share}.
export function nodeOf(network, { image, layer, row, column, map }) {
  const place = stageNamed(network, layer), stage = network.stages[place];
  const sight = lookAt(network, image, ...network.input, place), at = sight.stages[place], { view } = network.memory;
  if (!(row >= 0 && row < at.rows && column >= 0 && column < at.columns && map >= 0 && map < stage.maps))
    throw new Error(`node (${row}, ${column}) of map ${map} does not exist: layer ${layer} has ${stage.maps} maps of ${at.rows} x ${at.columns} nodes`);
  const maps = view(at.maps), kernels = view(stage.kernel), bias = view(stage.bias)[map];
  const each = Array.from({ length: stage.ins }, (_, input) => {
    const patch = new Float32Array(stage.height * stage.width), kernel = patch.slice();
    for (let y = 0, n = 0; y < stage.height; y++)
      for (let x = 0; x < stage.width; x++, n++) {
        patch[n] = maps[((row + y) * at.across + column + x) * stage.wideIns + input];
        kernel[n] = kernels[(n * stage.wideIns + input) * stage.wide + map];
      }
    const products = patch.map((value, n) => value * kernel[n]);
    return { map: input, share: products.reduce((a, b) => a + b), patch, kernel, products };
  });
  const sum = each.reduce((total, { share }) => total + share, 0), before = sum + bias;
  const inputs = each.sort((a, b) => Math.abs(b.share) - Math.abs(a.share) || a.map - b.map).slice(0, SHOWN);
  const others = { count: each.length - inputs.length, share: sum - inputs.reduce((total, { share }) => total + share, 0) };
  return { height: stage.height, width: stage.width, below: place ? network.stages[place - 1].name : null, inputs, others,
    sum, bias, before, value: Math.max(0, before) };
}
