// Runs the worker of the live page in Node: node live_engine.mjs FOLDER PROGRAM WEIGHTS < QUESTIONS > ANSWERS
//
// FOLDER holds worker.js. QUESTIONS is a JSON list of messages, each sent when the one before is answered, or of lists of
// messages that are sent at once; after {name: "pause"} only when the worker has posted something. ANSWERS is a JSON list of all that the worker posts, and of {name: "python", lines} for
// each question {python: question}. Arrays of numbers are written as {"float32": base64} in both directions.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { setImmediate } from "node:timers/promises";

const [folder, program, weights] = process.argv.slice(2), posted = [];
const bytes = (path) => { const file = readFileSync(path); return file.buffer.slice(file.byteOffset, file.byteOffset + file.length); };
let wake;
globalThis.postMessage = (message) => { posted.push(message); wake?.(); };  // as in a worker
globalThis.onmessage = null;
await import(pathToFileURL(`${folder}/worker.js`));

const packed = (key, value) => (ArrayBuffer.isView(value)
  ? { float32: Buffer.from(Float32Array.from(value).buffer).toString("base64") } : value);
const unpacked = (key, value) => (value?.float32 === undefined ? value
  : new Float32Array(Uint8Array.from(Buffer.from(value.float32, "base64")).buffer));

// Until the worker has posted so many messages by which an answer ends.
const ended = ({ name }) => name === "loaded" || name.endsWith(" done");
const until = async (count) => { while (posted.filter(ended).length < count) await setImmediate(); };

const { pythonLines } = await import(pathToFileURL(`${folder}/engine/python.js`));
const questions = JSON.parse(readFileSync(0, "utf8"), unpacked);
onmessage({ data: { load: true, program: bytes(program), weights: bytes(weights) } });
await until(1);
for (const sent of posted[0].network ? questions.map((one) => (Array.isArray(one) ? one : [one])) : []) {
  const before = posted.filter(ended).length, names = new Set(sent.map(({ name }) => name));
  if (sent[0].python) posted.push({ name: "python", lines: pythonLines(sent[0].python.name, sent[0].python, posted[0].network) });
  else {
    for (const one of sent) await (one.name === "pause" ? new Promise((resolve) => { wake = resolve; }) : onmessage({ data: one }));
    for (const name of ["stop", "pause"]) names.delete(name);
    await until(before + names.size);
  }
}
writeFileSync(1, JSON.stringify(posted, packed));
process.exit(0);
