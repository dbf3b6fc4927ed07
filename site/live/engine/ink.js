// A drawn digit in MNIST's manner: strokes become ink, ink becomes 28 x 28 pixels of model space. As `helpers.ink`.
//
// Ink is {values, height, width}: 0 for paper, 1 where there is most. A digit is 20 pixels long, its center of mass is
// in the middle, and its strokes are as thick as MNIST's thin ones at least.
import { nearest } from "./distance.js";
import { roundHalfEven, standardize } from "./images.js";
import { LANCZOS, resize } from "./resize.js";

const CANVAS = 280, PEN = 20, INK = 140;  // edge of the pad and width of its pen; edge of the ink made of strokes
const EDGE = 28, LONG = 20, LONGEST_INK = 500, THINNEST = 2.2;

// Strokes on the pad as ink; each is a list of points [x, y] from 0 to 280.
export function inkOfStrokes(strokes) {
  const scale = INK / CANVAS, ink = { values: new Float32Array(INK * INK), height: INK, width: INK };
  for (const stroke of strokes) {
    const points = stroke.map(([x, y]) => [scale * x - 0.5, scale * y - 0.5]);
    points.forEach((point, n) => drawLine(ink, point, points[n + 1] ?? point, scale * PEN / 2));
  }
  return ink;
}

// A line with round ends, soft over one pixel at its edge.
function drawLine({ values, height, width }, [x1, y1], [x2, y2], radius) {
  const within = (at, length) => Math.min(length, Math.max(0, at)), [dx, dy] = [x2 - x1, y2 - y1];
  const low = (a, b, length) => within(Math.floor(Math.min(a, b) - radius - 1), length);
  const high = (a, b, length) => within(Math.ceil(Math.max(a, b) + radius + 2), length);
  for (let y = low(y1, y2, height); y < high(y1, y2, height); y++)
    for (let x = low(x1, x2, width); x < high(x1, x2, width); x++) {
      const along = Math.min(1, Math.max(0, ((x - x1) * dx + (y - y1) * dy) / Math.max(dx * dx + dy * dy, 1e-9)));
      const distance = Math.hypot(x - x1 - along * dx, y - y1 - along * dy);
      const soft = Math.min(1, Math.max(0, radius + 0.5 - distance));
      values[y * width + x] = Math.max(values[y * width + x], soft);
    }
}

// Ink as a digit of 28 x 28 pixels in model space.
export function digitFromInk(ink) {
  const most = ink.values.reduce((a, b) => Math.max(a, b), 0);
  if (!(most > 0)) throw new Error("there is no ink; draw a digit first");
  const small = twentyLong(thickEnough(fineEnough({ ...ink, values: ink.values.map((value) => value / most) })));
  const clipped = small.values.map((value) => Math.min(1, Math.max(0, value)));
  const largest = clipped.reduce((a, b) => Math.max(a, b));
  return standardize(amid28({ ...small, values: clipped.map((value) => value / largest) }));
}

// What there is of ink, resized to 20 pixels along its longer side.
function twentyLong(ink) {
  const { values, height, width } = withoutMargins(ink);
  const [rows, columns] = [height, width].map((side) => Math.max(1, roundHalfEven(LONG * side / Math.max(height, width))));
  return { values: resize(values, [height, width], [rows, columns], LANCZOS), height: rows, width: columns };
}

// A small digit in 0..1 with its center of mass amid 28 x 28 pixels, in whole numbers 0..255.
function amid28({ values, height, width }) {
  const down = new Float64Array(height), across = new Float64Array(width), image = new Float32Array(EDGE * EDGE);
  values.forEach((value, n) => { down[Math.floor(n / width)] += value; across[n % width] += value; });
  const top = centered(down), left = centered(across);
  values.forEach((value, n) => {
    image[(top + Math.floor(n / width)) * EDGE + left + n % width] = roundHalfEven(Math.fround(255 * value));
  });
  return image;
}

// Where a row of masses must begin for its center to be at 14 of 28.
function centered(masses) {
  const center = masses.reduce((sum, mass, n) => sum + n * mass, 0) / masses.reduce((a, b) => a + b);
  return Math.min(EDGE - masses.length, Math.max(0, roundHalfEven(EDGE / 2 - center)));
}

function withoutMargins({ values, height, width }) {
  const { top, bottom, left, right } = boxOf(values, width, (value) => value !== 0);
  return cut(values, width, top, left, bottom - top + 1, right - left + 1);
}

// The first and last row and column of the values for which `isInk` holds.
function boxOf(values, width, isInk) {
  const box = { top: Infinity, bottom: -1, left: Infinity, right: -1 };
  for (let n = 0; n < values.length; n++)
    if (isInk(values[n])) {
      const row = Math.floor(n / width), column = n % width;
      box.top = Math.min(box.top, row);
      box.bottom = row;
      box.left = Math.min(box.left, column);
      box.right = Math.max(box.right, column);
    }
  return box;
}

function cut(values, across, top, left, height, width) {
  const made = new values.constructor(height * width);
  for (let row = 0; row < height; row++) {
    const from = (top + row) * across + left;
    made.set(values.subarray(from, from + width), row * width);
  }
  return { values: made, height, width };
}

// Ink of at most 500 pixels along an edge; of several pixels the darkest stays, so no line is lost.
function fineEnough(ink) {
  const { values, height, width } = withoutMargins(ink), block = Math.ceil(Math.max(height, width) / LONGEST_INK);
  if (block === 1) return { values, height, width };
  const rows = Math.ceil(height / block), columns = Math.ceil(width / block), made = new Float32Array(rows * columns);
  values.forEach((value, n) => {
    const place = Math.floor(Math.floor(n / width) / block) * columns + Math.floor(n % width / block);
    made[place] = Math.max(made[place], value);
  });
  return { values: made, height: rows, width: columns };
}

// Ink whose strokes, once it is 20 pixels long, are at least `THINNEST` wide.
function thickEnough(ink) {
  const drawn = (value) => value > 0.5, { top, bottom, left, right } = boxOf(ink.values, ink.width, drawn);
  const pixel = Math.max(bottom - top, right - left, 1) / LONG, framed = withFrame(ink, 1);
  const depths = nearest(framed, (value) => !drawn(value)).distances.filter((depth) => depth > 0);
  const width = 4 * (depths.reduce((a, b) => a + b) / depths.length - 0.5);  // the mean depth is a quarter of it
  const reach = roundHalfEven((THINNEST * pixel - width) / 2);
  if (reach < 1) return ink;
  const wide = withFrame(ink, reach), { distances, places } = nearest(wide, drawn);  // the pen's tip is a disk
  const values = wide.values.map((value, n) => (distances[n] <= reach ? Math.max(value, wide.values[places[n]]) : value));
  return { ...wide, values };
}

function withFrame({ values, height, width }, frame) {
  const made = { values: new Float32Array((height + 2 * frame) * (width + 2 * frame)), height: height + 2 * frame, width: width + 2 * frame };
  for (let row = 0; row < height; row++)
    made.values.set(values.subarray(row * width, (row + 1) * width), (row + frame) * made.width + frame);
  return made;
}
