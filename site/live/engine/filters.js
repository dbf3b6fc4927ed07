// Filters over the neighborhood of each pixel, as scipy.ndimage has them: one axis after the other, mirrored at the edge.
import { mirrored } from "./moments.js";

// Let `filter` turn each column of an image (height x width), then each row, into another of the same length.
function alongBoth(values, height, width, filter) {
  return along(along(values, width, height, 1, width, filter), height, width, width, 1, filter);
}

function along(values, lines, length, next, step, filter) {
  const made = new Float64Array(values.length), line = new Float64Array(length);
  for (let number = 0; number < lines; number++) {
    for (let n = 0; n < length; n++) line[n] = values[number * next + n * step];
    filter(line).forEach((value, n) => { made[number * next + n * step] = value; });
  }
  return made;
}

// A line with `before` and `after` mirrored values around it.
function framed(line, before, after) {
  return Float64Array.from({ length: before + line.length + after }, (_, n) => line[mirrored(n - before, line.length)]);
}

// `gaussian_filter(image, deviation)`.
export function blurred(values, height, width, deviation) {
  const reach = Math.floor(4 * deviation + 0.5);
  const curve = Array.from({ length: 2 * reach + 1 }, (_, n) => Math.exp(-0.5 * ((n - reach) / deviation) ** 2));
  const total = curve.reduce((a, b) => a + b);
  return alongBoth(values, height, width, (line) => {
    const wide = framed(line, reach, reach);
    return line.map((_, n) => {
      let sum = 0;
      for (let k = 0; k < curve.length; k++) sum += curve[k] * wide[n + k];
      return sum / total;
    });
  });
}

// `grey_opening(image, size)`: the smallest values around each pixel, and of these the largest around it. What is
// lighter than its surroundings and smaller than the square is gone.
export function opened(values, height, width, size) {
  const half = size >> 1, even = size % 2 === 0 ? 1 : 0;
  const smallest = alongBoth(values, height, width, (line) => lowest(framed(line, half, size - 1 - half), size));
  const turned = alongBoth(smallest.map((value) => -value), height, width, (line) =>
    lowest(framed(line, half - even, size - 1 - half + even), size));
  return turned.map((value) => -value);
}

// The lowest of each `size` values in a row. `queue` holds the places of those that may still be the lowest.
function lowest(line, size) {
  const made = new Float64Array(line.length - size + 1), queue = new Int32Array(line.length);
  for (let n = 0, first = 0, last = 0; n < line.length; n++) {
    while (last > first && line[queue[last - 1]] >= line[n]) last--;
    queue[last++] = n;
    if (queue[first] <= n - size) first++;
    if (n >= size - 1) made[n - size + 1] = line[queue[first]];
  }
  return made;
}
