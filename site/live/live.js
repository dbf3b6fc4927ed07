// The page: it loads the network, ties the state to the address, and opens the explorers.

import { mount as change } from "./change.js";
import { mount as digit } from "./digit.js";
import { copy, make } from "./dom.js";
import { mount as dream } from "./dream.js";
import { pythonLines } from "./engine/python.js";
import { networkOf, topic } from "./network.js";
import { amplitudesOf, mount as oip } from "./oip.js";
import { State } from "./state.js";
import { Engine } from "./worker-client.js";
import { zooOf } from "./zoo.js";

const VIEWS = { oip, digit, change, dream };
const packed = window.packed ?? {};  // in the page of one file: all others, as addresses
const source = (name) => packed[name] ?? new URL(name, document.baseURI).href;
const bytes = (name) => fetch(source(name)).then((answer) => {
  if (!answer.ok) throw new Error(`${name} is missing beside the page`);
  return answer.arrayBuffer();
});
const makeWorker = () => new Worker(source("worker.js"), packed["worker.js"] ? {} : { type: "module" });

const state = new State();
const engine = new Engine({ program: bytes("engine/engine.wasm"), weights: bytes("cnn.bin") }, makeWorker);

function placesOf(root) {
  const places = [...root.querySelectorAll("[data-place]")].map((one) => [one.dataset.place, one]);
  return { root, ...Object.fromEntries(places) };
}

function hide() {
  const { hide: hidden, only } = state.values;
  document.querySelectorAll("[data-control]").forEach((one) => one.classList.toggle("hidden", hidden.includes(one.dataset.control)));
  Object.keys(VIEWS).forEach((name) => document.getElementById(name)?.classList.toggle("hidden", Boolean(only) && only !== name));
  document.body.classList.toggle("alone", Boolean(only));
}

// The explorer in the middle of the window.
function seenNow() {
  const middle = window.innerHeight / 2, boxes = Object.keys(VIEWS).map((name) => [name, document.getElementById(name)?.getBoundingClientRect()]);
  return boxes.find(([, box]) => box?.height && box.bottom > middle)?.[0] ?? "oip";
}

function themes() {
  const { theme } = state.values, dark = theme ? theme === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  document.querySelector("#theme").textContent = dark ? "light" : "dark";
}

function greet(network) {
  document.querySelector("#weights").textContent = network.weights ? `${network.weights.toLocaleString("en")} weights` : "A small network";
  document.querySelector("#name").textContent = network.python === "load_cnn()" ? "trained on handwritten digits" : `the network ${network.name}`;
}

async function start() {
  state.follow();
  themes();
  state.on("theme", themes);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", themes);
  document.querySelector("#theme").addEventListener("click", () => state.set({ theme: document.documentElement.dataset.theme === "dark" ? "light" : "dark" }));
  const link = document.querySelector("#link");
  link.addEventListener("click", () => {
    const at = seenNow();
    state.values.at = at === "oip" ? "" : at;
    copy(link, window.location.href.split("#")[0] + state.link());
  });
  const network = networkOf(await engine.load()), digits = topic();
  greet(network);
  const zoo = zooOf(engine, () => {
    const { layer, seed, steps, epsilon, softened } = state.values;
    return { layer: network.layerOf(layer).name, seed, steps, epsilon, softened, amplitudes: amplitudesOf(state.values) };
  });
  if (!state.values.layer) state.set({ layer: network.layerOf("").name });
  const shared = { state, network, engine, digits, zoo, pythonOf: ({ name, ...question }) => pythonLines(name, question, network), source };
  for (const [name, mount] of Object.entries(VIEWS)) {
    const root = document.getElementById(name);
    if ((name === "digit" || name === "change") && !network.readsDigits) root.remove();
    else mount(placesOf(root), shared);
  }
  hide();
  state.on(["hide", "only"], hide);
  document.body.classList.add("ready");
  const wanted = state.values.at || window.location.hash.slice(1);
  if (wanted in VIEWS) document.getElementById(wanted)?.scrollIntoView();
}

start().catch((error) => {
  document.querySelector("main").prepend(make("p", { class: "sentence failed", role: "alert" }, `The page could not start: ${error.message}.`));
});
