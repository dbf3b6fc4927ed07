// Answers the page's questions, one part at a time. Of several questions with the same name only the newest counts: it
// replaces one that waits, and one that is being answered ends at its next part.
//
// page -> worker: {name, turn, ...question}; {name: "stop", of: name}; once {load: true, program, weights}
// worker -> page: {name, turn, ms, ...part}, ..., {name: name + " done", turn, ms}; {name, turn, error}; {name: "loaded",
// network}
import { answers } from "./engine/answers.js";
import { described, loadNetwork } from "./engine/network.js";

const waiting = new Map();  // name: the question to be answered next
const stopped = new Set();  // names of questions that are to end
const pause = pauses();
let working = false, haveLoaded;
const loaded = new Promise((resolve) => { haveLoaded = resolve; });  // the network; questions may come before it

onmessage = ({ data }) => {
  if (data.load) load(data);
  else if (data.name === "stop") stop(data.of);
  else {
    waiting.set(data.name, data);
    work();
  }
};

async function load({ program, weights }) {
  try {
    const made = await loadNetwork(program, weights);
    answers.oip(made, { layer: made.stages.at(-1).name, map: 0, steps: 1 }).next();  // the first climb is slow
    haveLoaded(made);
    postMessage({ name: "loaded", network: described(made) });
  } catch (error) {
    postMessage({ name: "loaded", error: error.message });
  }
}

function stop(name) {
  waiting.delete(name);
  stopped.add(name);
}

async function work() {
  if (working) return;
  working = true;
  const network = await loaded;
  while (waiting.size) {
    const [name, question] = waiting.entries().next().value;
    waiting.delete(name);
    stopped.delete(name);
    await answer(network, name, question);
  }
  working = false;
}

async function answer(network, name, question) {
  const { turn } = question, begin = performance.now(), told = () => ({ turn, ms: performance.now() - begin });
  try {
    if (!Object.hasOwn(answers, name)) throw new Error(`there is no answer to ${name}; ask ${Object.keys(answers).join(", ")}`);
    for (const part of answers[name](network, question)) {
      if (part) postMessage({ name, ...told(), ...part });
      await pause();
      if (waiting.has(name) || stopped.has(name)) break;
    }
  } catch (error) {
    postMessage({ name, ...told(), error: error.message });
  }
  postMessage({ name: `${name} done`, ...told() });
}

// A function to wait until the messages that have arrived are heard; a promise alone would not let them in.
function pauses() {
  const { port1, port2 } = new MessageChannel();
  let wake;
  port1.onmessage = () => wake();
  return () => new Promise((resolve) => {
    wake = resolve;
    port2.postMessage(0);
  });
}
