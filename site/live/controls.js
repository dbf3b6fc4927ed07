// Controls that are tied to a property of the state: they show it, change it, and follow it. Label above, value right.

import { make } from "./dom.js";

let count = 0;
const newId = () => `control-${(count += 1)}`;

// One property as a part of the page that a link can leave out with `hide=`.
function control(name, kind, ...children) {
  return make("div", { class: `control ${kind}`, "data-control": name }, ...children);
}

function follow(state, name, show) {
  state.on(name, show);
  show();
}

// A slider with a field in which its number can be typed. `most()` may change with the network. `log` makes it
// logarithmic, with whole numbers where `step` is 1.
export function slider(state, name, { label, hint = "", least = 0, most = () => 1, step = 1, log = false }) {
  const id = newId(), places = log ? 1000 : null;
  const range = make("input", { type: "range", id, title: hint, min: log ? 0 : least, step: log ? 1 : step, "aria-label": label });
  const field = make("input", { type: "number", class: "value", title: hint, min: least, step: log && step !== 1 ? "any" : step, "aria-label": `${label}, as a number` });
  const toPlace = (value) => (log ? places * Math.log(value / least) / Math.log(most() / least) : value);
  const toValue = (place) => {
    if (!log) return place;
    const value = least * (most() / least) ** (place / places);
    return step === 1 ? Math.round(value) : Number(value.toPrecision(2));
  };
  const show = () => {
    range.max = log ? places : most();
    field.max = most();
    if (!log || toValue(range.valueAsNumber) !== state.values[name]) range.value = toPlace(state.values[name]);
    if (document.activeElement !== field) field.value = state.values[name];
    if (log) range.setAttribute("aria-valuetext", String(state.values[name]));
  };
  range.addEventListener("input", () => state.set({ [name]: toValue(range.valueAsNumber) }));
  field.addEventListener("change", () => {
    const value = field.valueAsNumber;
    if (Number.isFinite(value)) state.set({ [name]: Math.min(most(), Math.max(least, step === 1 ? Math.round(value) : value)) });
    field.value = state.values[name];
  });
  follow(state, name, show);
  const element = control(name, "slider", make("label", { for: id }, label), field, range);
  return { element, show };
}

// One of a few options, as segments: [[value, words, second line], ...].
export function segments(state, name, { label, options }) {
  const group = newId();
  const choices = options.map(([value, words, more = ""]) => {
    const input = make("input", { type: "radio", name: group, value: String(value), onchange: () => state.set({ [name]: value }) });
    return { value, input, element: make("label", {}, input, make("span", {}, words, more ? make("small", {}, more) : "")) };
  });
  follow(state, name, () => choices.forEach(({ value, input }) => { input.checked = value === state.values[name]; }));
  const box = make("div", { class: "segments", role: "radiogroup", "aria-label": label }, ...choices.map(({ element }) => element));
  return { element: control(name, "choice", make("span", { class: "label", "aria-hidden": "true" }, label), box) };
}

// One of many options, as a list that opens: [[value, words], ...].
export function list(state, name, { label, options }) {
  const id = newId(), select = make("select", { id }, ...options.map(([value, words]) => make("option", { value: String(value) }, words)));
  select.addEventListener("change", () => state.set({ [name]: options[select.selectedIndex][0] }));
  follow(state, name, () => { select.selectedIndex = options.findIndex(([value]) => value === state.values[name]); });
  return { element: control(name, "choice", make("label", { for: id }, label), select) };
}

export function toggle(state, name, { label, hint = "" }) {
  const input = make("input", { type: "checkbox", onchange: () => state.set({ [name]: input.checked }) });
  follow(state, name, () => { input.checked = state.values[name]; });
  return { element: control(name, "toggle", make("label", { title: hint }, input, make("span", {}, label))) };
}

// Presets: each is a name and values of properties; the one that matches the state is pressed.
export function chips(state, label, presets) {
  const all = presets.map(([words, values, hint = ""]) => ({ values, button: make("button", { type: "button", class: "chip",
    title: hint, onclick: () => state.set(typeof values === "function" ? values() : values) }, words) }));
  const show = () => all.forEach(({ values, button }) => {
    const wanted = typeof values === "function" ? values() : values;
    button.setAttribute("aria-pressed", String(Object.entries(wanted).every(([name, value]) =>
      JSON.stringify(state.values[name]) === JSON.stringify(value))));
  });
  follow(state, "*", show);
  return { element: make("div", { class: "chips", role: "group", "aria-label": label, "data-control": "presets" }, ...all.map(({ button }) => button)), show };
}

export function button(words, onclick, { primary = false, hint = "", name = words } = {}) {
  return make("button", { type: "button", class: primary ? "primary" : "", title: hint, onclick, "data-control": name }, words);
}

// A button that opens a file, of which the page keeps a picture only as long as it is open.
export function opener(words, opened, name) {
  const input = make("input", { type: "file", accept: "image/*", class: "heard", onchange: () => {
    if (input.files[0]) opened(input.files[0]);
    input.value = "";
  } });
  return make("label", { class: "button", "data-control": name }, words, input);
}

// Rare settings, folded.
export function more(words, ...elements) {
  return make("details", { class: "more" }, make("summary", {}, words), make("div", { class: "stack" }, ...elements));
}
