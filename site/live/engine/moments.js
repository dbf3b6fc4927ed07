// Means and standard deviations around every pixel. As `helpers.images.local_moments`.

// {means, deviations} of an image (height x width) in a square of `window` pixels; at the edge it is mirrored.
export function localMoments(image, height, width, window) {
  const average = (values) => runningMeans(runningMeans(values, height, width, window, false), height, width, window, true);
  const means = average(Float64Array.from(image)), squares = average(Float64Array.from(image, (value) => value * value));
  return { means, deviations: squares.map((square, n) => Math.sqrt(Math.max(0, square - means[n] ** 2))) };
}

// Means over `window` pixels along each row, or each column: of an even number one more lies before the pixel.
function runningMeans(values, height, width, window, alongRows) {
  const [length, step, lines, next] = alongRows ? [width, 1, height, width] : [height, width, width, 1];
  const made = new Float64Array(values.length), before = window >> 1, after = window - before - 1;
  for (let line = 0; line < lines; line++) {
    const at = (n) => values[line * next + mirrored(n, length) * step];
    let total = 0;
    for (let n = -before; n <= after; n++) total += at(n);
    for (let n = 0; n < length; n++) {
      made[line * next + n * step] = total / window;
      total += at(n + after + 1) - at(n - before);
    }
  }
  return made;
}

// The place that a place beyond the edge shows: ... 1 0 | 0 1 2 ... length-1 | length-1 ...
export function mirrored(n, length) {
  const place = ((n % (2 * length)) + 2 * length) % (2 * length);
  return place < length ? place : 2 * length - 1 - place;
}
