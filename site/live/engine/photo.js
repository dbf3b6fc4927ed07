// The ink on a photographed or scanned page. As `helpers.ink.load_digit`: ink may be dark on light or light on dark, and
// the light may be uneven.
import { blurred, opened } from "./filters.js";
import { standardize } from "./images.js";
import { digitFromInk } from "./ink.js";
import { LANCZOS, resize } from "./resize.js";

const LONGEST = 400;  // pixels along the longer edge of what is searched
const FAINTEST = 0.1;  // by how much ink must stand out from paper, where black to white is 1

// One digit from a picture, given as its brightness `gray` (height x width) in 0..1.
export function digitFromPhoto({ gray, height, width }) {
  const photo = shrunk(Float32Array.from(gray), height, width);
  if (isDigit(photo)) return standardize(photo.values);
  const ink = inkOnPaper(photo);
  if (!ink.some((value) => value > 0)) throw new Error("the photo shows no digit; give a picture of one digit, dark on light or light on dark");
  return digitFromInk({ ...photo, values: Float32Array.from(ink) });
}

function shrunk(values, height, width) {
  const longest = Math.max(height, width);
  if (longest <= LONGEST) return { values, height, width };
  const [rows, columns] = [height, width].map((side) => Math.max(1, Math.round(LONGEST * side / longest)));
  return { values: resize(values, [height, width], [rows, columns], LANCZOS), height: rows, width: columns };
}

// Whether a picture is a digit already: 28 x 28 pixels, mostly black along its edge, or all along it.
function isDigit({ values, height, width }) {
  if (height !== 28 || width !== 28) return false;
  const edge = [...rows(values, width, 0), ...rows(values, width, height - 1), ...columns(values, width, 0), ...columns(values, width, width - 1)];
  const ordered = edge.sort((a, b) => a - b), middle = ordered.length / 2;
  const median = (ordered[middle - 1] + ordered[middle]) / 2;
  return Math.min(median, ordered.at(-1)) < 0.1 && Math.max(...values) > 0.1;
}

const rows = (values, width, row) => values.subarray(row * width, (row + 1) * width);
const columns = (values, width, column) => values.filter((_, n) => n % width === column);

// Ink in 0..1, 0 everywhere if there is none. It is what is rarer; the paper's own brightness is taken away first, and
// the threshold between both is Otsu's, with a soft edge.
function inkOnPaper({ values, height, width }) {
  const edge = Math.max(height, width), light = smoothLight(values, height, width);
  const even = blurred(values.map((value, n) => value - light[n]), height, width, edge / 400);
  const sign = even.reduce((sum, value) => sum + value ** 3, 0) > 0 ? 1 : -1, signed = even.map((value) => sign * value);
  const surroundings = blurred(opened(signed, height, width, Math.floor(edge / 3)), height, width, edge / 12);
  const raised = signed.map((value, n) => value - surroundings[n]), [paper, written] = twoTones(raised);
  if (written - paper < FAINTEST) return new Float64Array(values.length);
  const ink = raised.map((value) => Math.min(1, Math.max(0, 0.5 + 2 * (value - (paper + written) / 2) / (written - paper))));
  return withoutSpecks(ink, height, width);
}

// The quadratic function of row and column that comes closest to the brightness: six numbers that solve the normal
// equations.
function smoothLight(values, height, width) {
  const scaled = (n, length) => (length > 1 ? -1 + 2 * n / (length - 1) : -1);
  const terms = (n) => {
    const y = scaled(Math.floor(n / width), height), x = scaled(n % width, width);
    return [1, x, y, x * y, x * x, y * y];
  };
  const equations = Array.from({ length: 6 }, () => new Float64Array(7));
  values.forEach((value, n) => {
    const all = [...terms(n), value];
    for (let i = 0; i < 6; i++) for (let j = 0; j < 7; j++) equations[i][j] += all[i] * all[j];
  });
  const shares = solved(equations);
  return Float64Array.from(values, (_, n) => terms(n).reduce((sum, term, i) => sum + term * shares[i], 0));
}

// The solution of linear equations, rows of coefficients with the right side at their end, by Gauss's elimination.
function solved(equations) {
  const count = equations.length;
  for (let n = 0; n < count; n++) {
    const pivot = equations.slice(n).reduce((best, row, k) => (Math.abs(row[n]) > Math.abs(equations[best][n]) ? n + k : best), n);
    [equations[n], equations[pivot]] = [equations[pivot], equations[n]];
    for (let k = 0; k < count; k++)
      if (k !== n) {
        const times = equations[k][n] / equations[n][n];
        for (let j = n; j <= count; j++) equations[k][j] -= times * equations[n][j];
      }
  }
  return equations.map((row, n) => row[count] / row[n]);
}

// The means of the darker and the lighter values, parted where the two differ most (Otsu 1979).
function twoTones(values) {
  const ordered = Float64Array.from(values).sort(), count = ordered.length, total = ordered.reduce((a, b) => a + b);
  let best = -1, tones = [0, 0], sum = 0;
  for (let below = 1; below < count; below++) {
    sum += ordered[below - 1];
    const low = sum / below, high = (total - sum) / (count - below), apart = below * (count - below) * (high - low) ** 2;
    if (apart > best) [best, tones] = [apart, [low, high]];
  }
  return tones;
}

// Ink without what is much smaller than its largest piece, or reaches the edge where other pieces do not.
function withoutSpecks(ink, height, width) {
  const { labels, sizes, atEdge } = piecesOf(ink, height, width), all = [...sizes.keys()];
  const inner = all.filter((piece) => !atEdge[piece]), sum = (pieces) => pieces.reduce((total, piece) => total + sizes[piece], 0);
  const candidates = sum(inner) > 0.2 * sum(all) ? inner : all;
  const largest = Math.max(0, ...candidates.map((piece) => sizes[piece]));
  const kept = new Set(candidates.filter((piece) => sizes[piece] > 0.05 * largest));
  return ink.map((value, n) => (kept.has(labels[n]) ? value : 0));
}

// The pieces that hang together, by corners too: the number of each pixel's piece, how much ink each holds, and whether
// it reaches the edge.
function piecesOf(ink, height, width) {
  const labels = new Int32Array(ink.length).fill(-1), sizes = [], atEdge = [];
  for (let first = 0; first < ink.length; first++) {
    if (labels[first] >= 0 || !(ink[first] > 0)) continue;
    const piece = sizes.length, stack = [first];
    labels[first] = piece;
    sizes.push(0);
    atEdge.push(false);
    while (stack.length) {
      const n = stack.pop(), row = Math.floor(n / width), column = n % width;
      sizes[piece] += ink[n];
      atEdge[piece] ||= row === 0 || column === 0 || row === height - 1 || column === width - 1;
      for (let y = Math.max(0, row - 1); y <= Math.min(height - 1, row + 1); y++)
        for (let x = Math.max(0, column - 1); x <= Math.min(width - 1, column + 1); x++)
          if (labels[y * width + x] < 0 && ink[y * width + x] > 0) {
            labels[y * width + x] = piece;
            stack.push(y * width + x);
          }
    }
  }
  return { labels, sizes, atEdge };
}
