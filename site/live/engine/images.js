// Arithmetic on images: Float32Arrays of height x width values, row by row. As `helpers.images`.

export function mean(values) {
  let total = 0;
  for (let n = 0; n < values.length; n++) total += values[n];
  return total / values.length;
}

export function rootMeanSquare(values) {
  let total = 0;
  for (let n = 0; n < values.length; n++) total += values[n] * values[n];
  return Math.sqrt(total / values.length);
}

// Mean 0 and standard deviation 1; the deviation is never taken smaller than 1 / sqrt(number of values).
export function standardize(image) {
  const middle = mean(image), centered = new Float32Array(image.length);
  for (let n = 0; n < image.length; n++) centered[n] = image[n] - middle;
  const scale = 1 / Math.max(rootMeanSquare(centered), image.length ** -0.5);
  for (let n = 0; n < centered.length; n++) centered[n] *= scale;
  return centered;
}

// Every pixel at the lowest value of the image: the paper without ink.
export function blank(image) {
  return new Float32Array(image.length).fill(image.reduce((a, b) => Math.min(a, b)));
}

// Of two whole numbers equally near the even one, as Python and numpy round.
export function roundHalfEven(value) {
  const down = Math.floor(value), rest = value - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}
