// Arrays of numbers as pictures on canvases. One diverging color map for signed values, gray for all others.

const clamped = (value) => (value < 0 ? 0 : value > 255 ? 255 : value);
const gray = (value) => 0xff000000 | (0x10101 * (clamped(value) + 0.5 | 0));

// A standardized image as `images.contrast` shows it: -1 to 2 standard deviations from black to white.
export const contrast = (value) => gray(255 * (0.33 + value / 3));

// Values from 0 to `most`, from black to white; the root lets weak ones be seen.
export const heat = (most) => (value) => gray(most > 0 ? 255 * Math.sqrt(Math.max(0, value) / most) : 0);

// Values from `least` to `most`, from black to white.
export const between = (least, most) => (value) => gray(255 * (value - least) / Math.max(most - least, 1e-9));

// Blue below zero, white at zero, red above: matplotlib's RdBu_r, which the notebooks use.
const SIGNED = [[5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [209, 229, 240], [247, 247, 247],
  [253, 219, 199], [244, 165, 130], [214, 96, 77], [178, 24, 43], [103, 0, 31]];
export const signed = (most) => (value) => {
  const place = 5 + 5 * (most > 0 ? Math.max(-1, Math.min(1, value / most)) : 0), low = Math.min(9, Math.floor(place));
  const [red, green, blue] = SIGNED[low].map((from, n) => Math.round(from + (SIGNED[low + 1][n] - from) * (place - low)));
  return 0xff000000 | (blue << 16) | (green << 8) | red;
};

export const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
export const range = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)],
  [Infinity, -Infinity]);

// Draws values (height x width) on a canvas, which takes their size.
export function paint(canvas, values, width, tone = contrast) {
  const height = values.length / width, picture = new ImageData(width, height), words = new Uint32Array(picture.data.buffer);
  for (let n = 0; n < values.length; n++) words[n] = tone(values[n]);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

const taps = {};
function tapsOf(length, times) {  // four neighbors and their weights for each enlarged pixel (Catmull and Rom 1974)
  return (taps[`${length} ${times}`] ??= Array.from({ length: length * times }, (_, n) => {
    const at = (n + 0.5) / times - 0.5, first = Math.floor(at), t = at - first;
    const weights = [((-0.5 * t + 1) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1, ((-1.5 * t + 2) * t + 0.5) * t, (0.5 * t - 0.5) * t * t];
    return { places: [-1, 0, 1, 2].map((step) => Math.min(length - 1, Math.max(0, first + step))), weights };
  }));
}

// The values enlarged smoothly: the browser's own enlarging shows the grid of pixels as diamonds.
export function enlarged(values, width, times) {
  const height = values.length / width, wide = new Float32Array(height * width * times);
  const made = new Float32Array(height * width * times * times), columns = width * times;
  tapsOf(width, times).forEach(({ places: [a, b, c, d], weights: [p, q, r, s] }, x) => {
    for (let y = 0; y < height; y++) {
      const line = y * width;
      wide[y * columns + x] = p * values[line + a] + q * values[line + b] + r * values[line + c] + s * values[line + d];
    }
  });
  tapsOf(height, times).forEach(({ places, weights: [p, q, r, s] }, y) => {
    const [a, b, c, d] = places.map((place) => place * columns);
    for (let x = 0; x < columns; x++) made[y * columns + x] = p * wide[a + x] + q * wide[b + x] + r * wide[c + x] + s * wide[d + x];
  });
  return made;
}

export function paintLarge(canvas, values, width, tone = contrast, times = Math.max(1, Math.round(336 / width))) {
  paint(canvas, enlarged(values, width, times), width * times, tone);
}

export const canvasOf = (label) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 28;
  if (label) {
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
  }
  return canvas;
};

export function save(canvas, name) {
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
}

// A picture to share: the canvas on a card with a title, a sentence and the call that makes it.
export function card(canvas, title, told, call) {
  const [edge, margin] = [960, 60], made = document.createElement("canvas"), pen = made.getContext("2d");
  Object.assign(made, { width: edge + 2 * margin, height: edge + 2 * margin + 190 });
  pen.fillStyle = "#faf9f5";
  pen.fillRect(0, 0, made.width, made.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(canvas, margin, margin, edge, edge);
  const lines = [[title, "600 40px system-ui, sans-serif", "#1b2430", 70], [told, "28px system-ui, sans-serif", "#57606c", 120],
    [call, "24px ui-monospace, monospace", "#b3441c", 170]];
  for (const [text, font, fillStyle, down] of lines) {
    Object.assign(pen, { font, fillStyle });
    pen.fillText(text, margin, edge + margin + down, edge);
  }
  return made;
}
