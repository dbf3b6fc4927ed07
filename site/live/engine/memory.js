// The engine's WebAssembly program and the memory in which its numbers lie. Knows no network.

const PAGE = 65536;  // bytes by which such a memory grows

// Start the program, given as bytes. A buffer is {at, length}: where its 32-bit numbers begin, and how many there are.
export async function startProgram(bytes) {
  const { instance } = await WebAssembly.instantiate(bytes);
  const run = instance.exports;
  let free = run.__heap_base.value;

  function buffer(length) {
    const at = free;
    free = Math.ceil((free + 4 * length) / 16) * 16;
    const missing = free - run.memory.buffer.byteLength;
    if (missing > 0) run.memory.grow(Math.ceil(missing / PAGE));
    return { at, length };
  }

  // The numbers of a buffer as an array. Ask for it anew each time: it ends when the memory grows.
  const view = ({ at, length }) => new Float32Array(run.memory.buffer, at, length);

  function put(values) {
    const made = buffer(values.length);
    view(made).set(values);
    return made;
  }

  const mark = () => free;
  const release = (mark) => { free = mark; };  // all buffers made since then may be overwritten
  return { run, buffer, view, put, mark, release };
}
