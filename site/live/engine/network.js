// A network as the engine runs it: a trunk of stages, each a convolution with its ReLU and perhaps a 2 x 2 max pooling,
// and dense layers behind it. Everything in it lies in the memory of the program, ready to be used.
import { startProgram } from "./memory.js";
import { readWeights, turned, widened } from "./weights.js";

const LANES = 8;  // maps that the program sums at a time
const wide = (maps) => Math.ceil(maps / LANES) * LANES;

// From the program and the file of a network, both as bytes.
export async function loadNetwork(program, file) {
  const memory = await startProgram(program), { layers, ...told } = readWeights(file);
  const stages = [], dense = [];
  for (const layer of layers) {
    if (layer.kind === "convolution") stages.push(stageOf(memory, layer, stages.at(-1)));
    else dense.push(denseOf(memory, layer, dense.length ? null : stages.at(-1)));
  }
  const weights = layers.reduce((sum, { kernel, bias }) => sum + kernel.length + bias.length, 0);
  const network = { ...told, weights, memory, stages, dense, classes: dense.at(-1).outs, sights: [] };
  sightOf(network, ...network.input);  // stays at the bottom of the memory
  return network;
}

function stageOf({ put }, { name, pooled, padding, shape, kernel, bias }, before) {
  const [height, width, ins, maps] = shape, wideIns = before ? before.wide : 1, wideMaps = wide(maps);
  const values = widened(kernel, [ins, maps], [wideIns, wideMaps]);
  const frame = padding === "same" ? [height - 1, width - 1] : [0, 0];  // rows and columns of zeros around the maps
  return { name, pooled, maps, ins, wide: wideMaps, wideIns, height, width, frame, kernel: put(values),
    turned: put(turned(values, values.length / wideMaps, wideMaps)), bias: put(widened(bias, [1, maps], [1, wideMaps])) };
}

// A dense layer; the first one reads the maps of the last stage, with those that were added to them.
function denseOf({ put }, { name, shape, kernel, bias }, stage) {
  const [ins, outs] = shape, wideIns = stage ? ins / stage.maps * stage.wide : ins;
  const values = stage ? widened(kernel, [stage.maps, outs], [stage.wide, outs]) : kernel;
  return { name, ins: wideIns, outs, bias, kernel: put(values), turned: put(turned(values, wideIns, outs)) };
}

// The place of a layer among the stages.
export function stageNamed(network, layer) {
  const place = network.stages.findIndex(({ name }) => name === layer);
  if (place < 0) throw new Error(`there is no layer ${layer}; this network has ${network.stages.map(({ name }) => name).join(", ")}`);
  return place;
}

// What the page must know of a network: {layers: [{name, maps, height, width}], input, classes, weights, ...}; `weights`
// is their number.
export function described(network) {
  const { name, python, input, classes, weights, stages, sights: [sight] } = network;
  const layers = stages.map(({ name, maps, pooled }, place) => {
    const { rows, columns } = sight.stages[place];
    return { name, maps, height: rows, width: columns, pooled: Boolean(pooled) };
  });
  return { name, python, input, classes, weights, layers };
}

// The buffers for images of one size. Those of the network's own size stay; of other sizes the last one is kept.
export function sightOf(network, height, width) {
  const { memory, stages, dense, sights } = network;
  const known = sights.find((sight) => sight.height === height && sight.width === width);
  if (known) return known;
  if (sights.length > 1) memory.release(sights.pop().begin);
  const begin = memory.mark(), buffers = stagesOf(memory, stages, height, width);
  const soft = Object.fromEntries(Object.entries({ down: height * height, across: width * width, values: height * width,
    between: height * width, spectrum: height * width }).map(([name, length]) => [name, memory.buffer(length)]));
  const units = sights.length ? [] : dense.map(({ ins, outs }) => ({ ins: memory.buffer(ins), outs: memory.buffer(outs) }));
  const sight = { begin, height, width, stages: buffers, soft, units };
  sights.push(sight);
  return sight;
}

// For each stage: `maps`, what it reads, with a frame of zeros if it pads, and `below`, the slopes of these; `rows` and
// `columns` of its nodes; `best` and `which`, what it leaves, and the `slopes` of that. Where the next stage has no
// frame, it reads what this one leaves without a copy.
function stagesOf({ buffer, view }, stages, height, width) {
  const made = [];
  for (const stage of stages) {
    const [down, right] = stage.frame, high = height + down, across = width + right, before = made.at(-1);
    const rows = high - stage.height + 1, columns = across - stage.width + 1, step = stage.pooled ? 2 : 1;
    if (Math.min(rows, columns) < step) throw new Error(`layer ${stage.name} needs a larger image than ${height} x ${width}`);
    const framed = down > 0 || right > 0, shared = before && !framed;
    const maps = shared ? before.best : buffer(high * across * stage.wideIns);
    const below = shared ? before.slopes : buffer(maps.length);
    view(maps).fill(0);
    [height, width] = [Math.floor(rows / step), Math.floor(columns / step)];
    const count = height * width * stage.wide;
    made.push({ high, across, framed, rows, columns, maps, below, height, width, best: buffer(count),
      which: stage.pooled ? buffer(count) : { at: 0 }, slopes: buffer(count) });
  }
  return made;
}
