// What an ascent makes large. An objective is a function from an image to {value, slopes}: one number, and by how much
// it rises with each pixel. As `helpers.objectives`.
import { logitsOf, slopesOfLogits } from "./classes.js";
import { stageNamed } from "./network.js";
import { AWAKE, handDown, lookAt, wayBack } from "./trunk.js";

// The mean pre-activation of some maps of a layer, a negative node counting `leak` times, each map times its weight.
export function mapsOf(network, [height, width], layer, maps, { leak = 0, weights = maps.map(() => 1) } = {}) {
  const place = stageNamed(network, layer), stage = network.stages[place], { run, view } = network.memory;
  const wrong = maps.find((map) => !(Number.isInteger(map) && map >= 0 && map < stage.maps));
  if (wrong !== undefined) throw new Error(`map ${wrong} does not exist: layer ${layer} has 0 to ${stage.maps - 1}`);
  const biases = view(stage.bias), size = stage.height * stage.width * stage.wideIns;
  const chosen = maps.map((map, n) => ({ bias: biases[map], kernel: stage.turned.at + 4 * map * size, weight: weights[n] }));
  return (image) => {
    const sight = lookAt(network, image, height, width, place), at = sight.stages[place];
    view(at.below).fill(0);
    const means = chosen.map(({ bias, kernel, weight }) => weight * run.climb_map(at.maps.at, at.high, at.across,
      stage.wideIns, kernel, stage.height, stage.width, bias, leak, weight, at.below.at));
    return { value: means.reduce((a, b) => a + b), slopes: slopesBelow(network, sight, place) };
  };
}

// The mean activation of all maps of a layer, as a DeepDream climbs it.
export function wholeLayer(network, [height, width], layer) {
  const place = stageNamed(network, layer), stage = network.stages[place], { memory } = network;
  return (image) => {
    const sight = lookAt(network, image, height, width, place), at = sight.stages[place], { rows, columns } = at;
    const count = rows * columns * stage.wide, share = 1 / (rows * columns * stage.maps);
    const mark = memory.mark(), nodes = memory.buffer(count), slopes = memory.buffer(count);  // for this call only
    memory.run.convolve(at.maps.at, at.high, at.across, stage.wideIns, stage.kernel.at, stage.height, stage.width,
      stage.bias.at, stage.wide, 1, nodes.at);
    memory.view(slopes).fill(share);
    memory.view(at.below).fill(0);
    memory.run.go_back(slopes.at, nodes.at, 0, rows, columns, at.across, stage.wideIns, stage.turned.at, stage.height,
      stage.width, stage.wide, AWAKE, at.below.at);
    memory.release(mark);
    return { value: share * memory.view(nodes).reduce((a, b) => a + b, 0), slopes: slopesBelow(network, sight, place) };
  };
}

// The slopes of the image, where those of what a stage reads lie `below` it.
function slopesBelow(network, sight, place) {
  handDown(network, sight, place);
  return wayBack(network, sight, place - 1);
}

// The logit of a class less the largest of the others: above 0 the network reads the image as that class. The others
// side of it is climbed with `sign` -1: away from the class.
export function marginOf(network, target, sign = 1) {
  if (!(Number.isInteger(target) && target >= 0 && target < network.classes))
    throw new Error(`class ${target} does not exist: there are 0 to ${network.classes - 1}`);
  return (image) => {
    const logits = logitsOf(network, image);
    const rival = logits.reduce((best, logit, n) => (n !== target && (best < 0 || logit > logits[best]) ? n : best), -1);
    const slopes = new Float32Array(network.classes);
    slopes[target] = sign;
    slopes[rival] = -sign;
    return { value: sign * (logits[target] - logits[rival]), slopes: slopesOfLogits(network, slopes) };
  };
}
