// Random start images with structure on several length scales: the very images of `helpers.fluctuations`.
import { standardize } from "./images.js";
import { randomNumbers } from "./random.js";
import { CUBIC, resize } from "./resize.js";

export const AMPLITUDES = { 3: 0.5, 7: 0.5 };  // grid size: weight, as the OIP lab opens

// `fluctuations(1, amplitudes, seed, size)`, as one image (height x width) of model space.
export function fluctuation(amplitudes, seed, [height, width]) {
  const edge = Math.max(height, width), total = new Float32Array(edge * edge);
  const grids = Object.entries(amplitudes).map(([grid, weight]) => [Number(grid), weight]).filter(([, weight]) => weight > 0);
  if (!grids.length) throw new Error("all fluctuation scales are 0, so there is nothing to start from; raise one of them");
  for (const [grid, weight] of grids.sort(([a], [b]) => a - b)) {
    const random = randomNumbers(seed, grid), noise = Float32Array.from({ length: grid * grid }, () => 2 * random() - 1);
    standardize(resize(noise, [grid, grid], [edge, edge], CUBIC)).forEach((value, n) => { total[n] += weight * value; });
  }
  return standardize(Float32Array.from({ length: height * width }, (_, n) => total[Math.floor(n / width) * edge + n % width]));
}
