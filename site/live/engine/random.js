// The random numbers that numpy makes of a seed: SeedSequence (after Melissa O'Neill's seed_seq) and PCG64.

const WORD = 2n ** 64n - 1n, STATE = 2n ** 128n - 1n, MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;

// `np.random.default_rng(seed).random`, for a seed of one to four whole numbers below 2^32: a function that gives
// numbers in 0..1.
export function randomNumbers(...seed) {
  const words = randomWords(...seed);
  return () => Number(words() >> 11n) / 2 ** 53;
}

// The same as whole numbers of 64 bits.
export function randomWords(...seed) {
  const [high, low, above, below] = stateOfSeed(seed), step = ((above << 64n | below) << 1n | 1n) & STATE;
  let state = ((step + (high << 64n | low)) * MULTIPLIER + step) & STATE;
  return () => {
    state = (state * MULTIPLIER + step) & STATE;
    const folded = (state >> 64n) ^ (state & WORD), turn = state >> 122n;
    return (folded >> turn) | (folded << (64n - turn) & WORD);
  };
}

// Four words of 64 bits, in which each bit of the seed has changed about half of all bits.
function stateOfSeed(seed) {
  let hash = 0x43b0d7e5;
  function hashed(value) {
    value = (value ^ hash) >>> 0;
    hash = Math.imul(hash, 0x931e8875) >>> 0;
    value = Math.imul(value, hash) >>> 0;
    return (value ^ value >>> 16) >>> 0;
  }
  function mixed(x, y) {
    const value = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y) >>> 0;
    return (value ^ value >>> 16) >>> 0;
  }
  const pool = [0, 1, 2, 3].map((n) => hashed(seed[n] ?? 0));
  for (let from = 0; from < 4; from++)
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mixed(pool[to], hashed(pool[from]));
  hash = 0x8b51f9dd;
  const halves = Array.from({ length: 8 }, (_, n) => {
    let value = (pool[n % 4] ^ hash) >>> 0;
    hash = Math.imul(hash, 0x58f38ded) >>> 0;
    value = Math.imul(value, hash) >>> 0;
    return BigInt((value ^ value >>> 16) >>> 0);
  });
  return [0, 2, 4, 6].map((n) => halves[n] | halves[n + 1] << 32n);
}

// `np.random.default_rng(seed).standard_normal`: a function that gives normally distributed numbers. The ziggurat of
// Marsaglia and Tsang (2000) with 256 layers of equal area, as numpy cuts it.
export function normalNumbers(...seed) {
  const words = randomWords(...seed), uniform = () => Number(words() >> 11n) / 2 ** 53;
  return function normal() {
    const word = words(), number = Number(word & 255n), sign = word >> 8n & 1n ? -1 : 1;
    const layer = number && 256 - number;  // numpy counts the others from the top
    const across = Number(word >> 9n & 2n ** 52n - 1n) / 2 ** 52, { edges, heights } = ZIGGURAT;
    const x = across * edges[layer];
    if (across < edges[layer + 1] / edges[layer]) return sign * x;  // within the part that all of the layer lies under
    if (layer > 0) {
      const height = heights[layer] + (heights[layer + 1] - heights[layer]) * uniform();
      return height < Math.exp(-0.5 * x * x) ? sign * x : normal();
    }
    for (;;) {  // the tail
      const far = -Math.log1p(-uniform()) / TAIL, drop = -Math.log1p(-uniform());
      if (2 * drop > far * far) return (word >> 17n & 1n ? -1 : 1) * (TAIL + far);
    }
  };
}

const TAIL = 3.6541528853610088, AREA = 0.00492867323399;  // where the tail begins, and the area of each layer
const ZIGGURAT = layersOf(256);

// The right edges of the layers, from the bottom one up, and the heights at which they begin.
function layersOf(count) {
  const bell = (x) => Math.exp(-0.5 * x * x), edges = [AREA / bell(TAIL), TAIL], heights = [0, bell(TAIL)];
  while (edges.length < count) {
    heights.push(heights.at(-1) + AREA / edges.at(-1));
    edges.push(Math.sqrt(-2 * Math.log(heights.at(-1))));
  }
  return { edges: [...edges, 0], heights: [...heights, 1] };
}
