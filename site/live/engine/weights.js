// Reads the file of a network that `site/weights.py` writes: its header, then a kernel and a bias for each layer.

// The header with the layers' weights in it: {name, python, input: [height, width], layers: [{..., kernel, shape, bias}]}.
export function readWeights(bytes) {
  const length = new DataView(bytes).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  let at = 4 + length;
  function next(count, type) {
    const values = type === "float16" ? Float32Array.from(new Uint16Array(bytes, at, count), fromHalf)
      : new Float32Array(bytes.slice(at, at + 4 * count));
    at += Math.ceil((type === "float16" ? 2 : 4) * count / 4) * 4;
    return values;
  }
  const layers = header.layers.map((layer) => {
    const shape = layer.kernel, count = shape.reduce((a, b) => a * b);
    return { ...layer, shape, kernel: next(count, layer.type), bias: next(shape.at(-1), layer.type) };
  });
  return { ...header, layers };
}

function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

// A kernel (..., in, out) with zeros for the maps that a wider `in` and `out` add, as (places, in, out).
export function widened(kernel, [ins, outs], [wideIns, wideOuts]) {
  const places = kernel.length / (ins * outs), wide = new Float32Array(places * wideIns * wideOuts);
  for (let place = 0; place < places; place++)
    for (let i = 0; i < ins; i++) {
      const from = (place * ins + i) * outs;
      wide.set(kernel.subarray(from, from + outs), (place * wideIns + i) * wideOuts);
    }
  return wide;
}

// A matrix (rows, columns) as (columns, rows).
export function turned(matrix, rows, columns) {
  const made = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) made[column * rows + row] = matrix[row * columns + column];
  return made;
}
