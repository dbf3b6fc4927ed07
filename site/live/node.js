// One map large, and the sum behind one of its nodes: what it reads, times its kernel, plus its bias.

import { button } from "./controls.js";
import { calm, make } from "./dom.js";
import { short } from "./oip.js";
import { between, canvasOf, heat, largest, paint, range, signed } from "./pictures.js";

const MOST = 6, SLIDE = 130; // maps below that are told one by one; milliseconds from node to node

function table(values, columns, tone) {
  const rows = Array.from({ length: values.length / columns }, (_, row) => make("tr", {}, ...Array.from({ length: columns }, (_, column) => {
    const value = values[row * columns + column], word = tone(value);
    const light = (word & 255) * 0.3 + (word >> 8 & 255) * 0.59 + (word >> 16 & 255) * 0.11;
    const cell = make("td", {}, value.toFixed(2).replace("-", "−"));
    cell.style.background = `rgb(${word & 255} ${word >> 8 & 255} ${word >> 16 & 255})`;
    cell.style.color = light > 140 ? "#111" : "#fff";
    return cell;
  })));
  return make("table", {}, make("tbody", {}, ...rows));
}

export function node({ state, network, engine }) {
  const picture = canvasOf("the open map"), frame = make("div", { class: "frame" }), told = make("p", { class: "sentence", role: "status" });
  const box = make("div", { class: "nodes", tabIndex: 0, role: "application", "aria-label": "Nodes of the open map: arrow keys move from node to node" }, picture, frame);
  const sum = make("div", { class: "sum" }), title = make("h3"), close = button("close", () => state.set({ looked: "" }), { name: "close" });
  const slide = button("▶ slide the kernel", () => (sliding ? stopSliding() : startSliding()), { name: "slide", hint: "Go from node to node." });
  const pattern = button("its pattern", () => {
    state.set({ layer: layer.name, map });
    document.querySelector("#oip").scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
  }, { name: "pattern", hint: "What this map wants to see, in the first explorer." });
  const element = make("div", { class: "detail", hidden: true }, make("div", {}, title, box, make("div", { class: "actions" }, slide, pattern, close)),
    make("div", {}, told, sum));
  let answer, layer, map, place = [0, 0], sliding;

  function open() {
    const [name, number] = state.values.looked.split("/");
    layer = network.layers.find((one) => one.name === name);
    map = Number(number);
    element.hidden = !layer || !(map >= 0 && map < layer.maps);
    stopSliding();
    if (element.hidden || !answer) return;
    const { nodes, maps } = answer.layers[name], own = nodes.filter((_, n) => n % maps === map), best = own.indexOf(Math.max(...own));
    title.textContent = `map ${map} of ${network.wordsOf(name)}`;
    paint(picture, own, layer.width, heat(Math.max(largest(own), 1e-6)));
    if (opened !== state.values.looked) place = [Math.floor(best / layer.width), best % layer.width];
    opened = state.values.looked;
    ask();
  }
  let opened = "";
  function ask() {
    const [row, column] = place;
    Object.assign(frame.style, { left: `${100 * column / layer.width}%`, top: `${100 * row / layer.height}%`,
      width: `${100 / layer.width}%`, height: `${100 / layer.height}%` });
    engine.ask("node", { image: answer.digit, layer: layer.name, row, column, map }, { late: true, part: show,
      failed: (error) => { told.textContent = error; } });
  }
  function show({ width, below, inputs, others, sum: total, bias, before, value }, { row, column }) {
    const count = (inputs.length + others.count) * inputs[0].kernel.length;
    told.textContent = `Node (${row}, ${column}) adds up ${count} products: ${short(total)}. With the bias of ${short(bias)} it is `
      + `${short(before)}, ${value > 0 ? "above zero: the node is active." : "not above zero: the ReLU makes it 0, the node is silent."}`;
    const all = (name) => Float32Array.from(inputs.flatMap((one) => [...one[name]]));
    const tones = [between(...range(all("patch"))), signed(largest(all("kernel"))), signed(Math.max(largest(all("products")), 1e-9))];
    const shown = inputs.slice(0, MOST), rest = inputs.slice(MOST);
    const lines = shown.map((one) => make("div", { class: "equation" },
      make("p", {}, below ? `map ${one.map} of ${network.wordsOf(below)} ` : "the digit ", make("b", {}, `${one.share < 0 ? "−" : "+"}${short(Math.abs(one.share))}`)),
      table(one.patch, width, tones[0]), "×", table(one.kernel, width, tones[1]), "=", table(one.products, width, tones[2])));
    const left = others.count + rest.length, share = rest.reduce((all, one) => all + one.share, others.share);
    sum.replaceChildren(...lines, ...(left ? [make("p", { class: "caption" }, `The other ${left} maps below add ${short(share)}.`)] : []));
  }
  function move(row, column) {
    if (row < 0 || column < 0 || row >= layer.height || column >= layer.width) return;
    place = [row, column];
    ask();
  }
  const at = ({ clientX, clientY }) => {
    const { left, top, width, height } = picture.getBoundingClientRect();
    return [Math.floor((clientY - top) / height * layer.height), Math.floor((clientX - left) / width * layer.width)];
  };
  function stopSliding() {
    clearInterval(sliding);
    sliding = undefined;
    slide.textContent = "▶ slide the kernel";
  }
  function startSliding() {
    slide.textContent = "■ stop";
    let n = place[0] * layer.width + place[1];
    sliding = setInterval(() => {
      n = (n + 1) % (layer.width * layer.height);
      if (n === 0) return stopSliding();
      return move(Math.floor(n / layer.width), n % layer.width);
    }, SLIDE);
  }
  for (const name of ["pointermove", "pointerdown"]) box.addEventListener(name, (event) => { stopSliding(); move(...at(event)); });
  box.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (event.key === "Escape") close.click();
    if (!way) return;
    event.preventDefault();
    stopSliding();
    move(place[0] + way[0], place[1] + way[1]);
  });
  state.on("looked", open);
  return { element, show: (made) => { answer = made; open(); } };
}
