// Images made larger or smaller: each new pixel is a weighted mean of those around its place.

// The curves by which old pixels count, of their distance in new pixels (in old ones where the image grows).
const bell = (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((2.5 - 0.5 * x) * x - 4) * x + 2 : 0);
const sinc = (x) => (x ? Math.sin(Math.PI * x) / (Math.PI * x) : 1);
export const CUBIC = { reach: 2, curve: bell };  // TensorFlow's bicubic, anti-aliased
export const LANCZOS = { reach: 3, curve: (x) => (x < 3 ? sinc(x) * sinc(x / 3) : 0) };  // Pillow's
export const LINEAR = { reach: 1, curve: (x) => Math.max(0, 1 - x) };

// For each of `to` pixels along an edge of `from`: {first, weights} of the pixels it is a mean of.
export function weightsAlong(from, to, { reach, curve }) {
  const ratio = from / to, wide = Math.max(ratio, 1);
  return Array.from({ length: to }, (_, place) => {
    const center = (place + 0.5) * ratio - 0.5;
    const first = Math.max(0, Math.ceil(center - reach * wide)), last = Math.min(from - 1, Math.floor(center + reach * wide));
    const weights = Array.from({ length: last - first + 1 }, (_, n) => curve(Math.abs(first + n - center) / wide));
    const total = weights.reduce((a, b) => a + b);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

// The image (height x width) as (rows x columns).
export function resize(image, [height, width], [rows, columns], filter = CUBIC) {
  const wide = width === columns ? image : resizedAcross(image, height, width, columns, filter);
  return height === rows ? Float32Array.from(wide) : resizedDown(wide, height, rows, columns, filter);
}

function resizedAcross(image, height, width, columns, filter) {
  const made = new Float32Array(height * columns), each = weightsAlong(width, columns, filter);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < columns; column++) {
      const { first, weights } = each[column];
      let total = 0;
      for (let n = 0; n < weights.length; n++) total += weights[n] * image[row * width + first + n];
      made[row * columns + column] = total;
    }
  return made;
}

function resizedDown(image, height, rows, columns, filter) {
  const made = new Float32Array(rows * columns), line = new Float64Array(columns);
  weightsAlong(height, rows, filter).forEach(({ first, weights }, row) => {
    line.fill(0);
    weights.forEach((weight, n) => {
      for (let column = 0; column < columns; column++) line[column] += weight * image[(first + n) * columns + column];
    });
    made.set(line, row * columns);
  });
  return made;
}
