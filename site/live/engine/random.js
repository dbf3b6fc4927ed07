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
