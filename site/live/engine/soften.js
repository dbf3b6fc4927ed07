// Slopes with their spectrum multiplied by 1 / (1 + (f / cutoff)^2), f in cycles per pixel. As `helpers.ascent.soften`.
//
// The response is the same for f and -f along each axis. So no complex numbers are needed: Hartley's basis of
// cos + sin, a symmetric and orthogonal matrix, takes an image to its spectrum and back by two products each way.
import { sightOf } from "./network.js";

const CUTOFF = 0.12;

// The function that softens slopes of images of one size.
export function softener(network, [height, width]) {
  const { run, view } = network.memory, response = responses(height, width);

  function transform(soft, from, to) {
    run.multiply(soft.down.at, from.at, height, height, width, soft.between.at);
    run.multiply(soft.between.at, soft.across.at, height, width, width, to.at);
  }

  return (slopes) => {
    const { soft } = sightOf(network, height, width);
    if (!soft.filled) {
      view(soft.down).set(basis(height));
      view(soft.across).set(basis(width));
      soft.filled = true;
    }
    view(soft.values).set(slopes);
    transform(soft, soft.values, soft.spectrum);
    const spectrum = view(soft.spectrum);
    for (let n = 0; n < spectrum.length; n++) spectrum[n] *= response[n];
    transform(soft, soft.spectrum, soft.values);
    return view(soft.values).slice();
  };
}

function basis(length) {
  return Float32Array.from({ length: length * length }, (_, n) => {
    const angle = 2 * Math.PI * ((Math.floor(n / length) * (n % length)) % length) / length;
    return (Math.cos(angle) + Math.sin(angle)) / Math.sqrt(length);
  });
}

function responses(height, width) {
  const cycles = (n, length) => Math.min(n, length - n) / length;
  return Float32Array.from({ length: height * width }, (_, n) =>
    1 / (1 + (cycles(Math.floor(n / width), height) ** 2 + cycles(n % width, width) ** 2) / CUTOFF ** 2));
}
