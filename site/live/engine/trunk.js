// An image's way up through the stages of a network, and the way of slopes back down to the image.
import { sightOf } from "./network.js";

// What passes a ReLU on its way back, as in engine.c: a gradient asks for AWAKE.
export const AWAKE = 1;
export const POSITIVE = 2;

// Let the first `count` stages see an image; returns the sight, in which all that they leave lies.
export function lookAt(network, image, height, width, count) {
  const sight = sightOf(network, height, width), { memory, stages } = network;
  inFrame(network, sight, 0, image);
  for (let place = 0; place < count; place++) {
    runStage(memory.run, stages[place], sight.stages[place]);
    const next = sight.stages[place + 1];
    if (next?.framed) inFrame(network, sight, place + 1, memory.view(sight.stages[place].best));
  }
  return sight;
}

function runStage(run, stage, at) {
  const reads = [at.maps.at, at.high, at.across, stage.wideIns, stage.kernel.at, stage.height, stage.width, stage.bias.at];
  if (stage.pooled) run.convolve_and_pool(...reads, stage.wide, at.best.at, at.which.at);
  else run.convolve(...reads, stage.wide, 1, at.best.at);
}

// Put maps, or the image, where a stage reads them: amid its zeros.
function inFrame({ memory, stages }, sight, place, values) {
  const maps = memory.view(sight.stages[place].maps);
  for (const { plain, framed, length } of rowsOf(stages[place], sight.stages[place]))
    maps.set(values.subarray(plain, plain + length), framed);
}

// Where each row of maps begins, on its own and in the frame. Of an odd number of zeros one more comes after the maps.
function rowsOf({ frame: [down, right], wideIns }, { high, across }) {
  const top = Math.floor(down / 2), left = Math.floor(right / 2), length = (across - right) * wideIns;
  return Array.from({ length: high - down }, (_, row) =>
    ({ plain: row * length, framed: ((row + top) * across + left) * wideIns, length }));
}

// The slopes of the image (height x width), where `sight.stages[last].slopes` hold those of what stage `last` leaves.
export function wayBack(network, sight, last, rule = AWAKE) {
  const { memory: { run, view }, stages } = network;
  for (let place = last; place >= 0; place--) {
    const stage = stages[place], at = sight.stages[place];
    view(at.below).fill(0);
    run.go_back(at.slopes.at, at.best.at, at.which.at, at.height, at.width, at.across, stage.wideIns, stage.turned.at,
      stage.height, stage.width, stage.wide, rule, at.below.at);
    handDown(network, sight, place);
  }
  return withoutFrame(network, sight, 0);
}

// After slopes were left in `below` of a stage: hand them to the stage before it, which reads them in `slopes`.
export function handDown(network, sight, place) {
  const { view } = network.memory;
  if (place > 0 && sight.stages[place].framed) view(sight.stages[place - 1].slopes).set(withoutFrame(network, sight, place));
}

// A copy of the slopes `below` a stage, without those of the zeros around its maps.
function withoutFrame({ memory, stages }, sight, place) {
  const at = sight.stages[place], below = memory.view(at.below), rows = rowsOf(stages[place], at);
  const made = new Float32Array(rows.length * rows[0].length);
  for (const { plain, framed, length } of rows) made.set(below.subarray(framed, framed + length), plain);
  return made;
}
