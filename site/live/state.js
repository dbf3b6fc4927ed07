// What the page shows, as named properties with types and defaults: every state is a link, such as
// `#layer=Conv2D_3&map=18&seed=7`. Two properties are for teachers: `hide=steps,seed` leaves controls out, and
// `only=oip` shows one explorer alone. Knows no control and no picture.

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

export function whole(standard, least = 0, most = 999999) {
  return { standard, write: String, read: (text) => number(standard, least, most).read(text, Math.round) };
}

export function number(standard, least, most) {
  const read = (text, round = (value) => value) => {
    const value = Number(text);
    return text.trim() !== "" && Number.isFinite(value) ? clamp(round(value), least, most) : standard;
  };
  return { standard, read, write: (value) => String(Number(value.toPrecision(4))) };
}

export function flag(standard) {
  return { standard, read: (text) => ({ yes: true, no: false })[text] ?? standard, write: (value) => (value ? "yes" : "no") };
}

export function choice(standard, options) {
  return { standard, read: (text) => (options.includes(text) ? text : standard), write: String };
}

export function text(standard) {
  return { standard, read: String, write: String };
}

export function names(standard) {
  return { standard, read: (text) => text.split(",").filter(Boolean), write: (list) => list.join(",") };
}

export function wholes(standard, most = 8) {
  const read = (text) => text.split(",").filter((part) => /^\d{1,6}$/.test(part)).map(Number).slice(0, most);
  return { standard, read, write: (list) => list.join(",") };
}

// Strokes on the pad of 280 pixels: two letters a point, a full stop between strokes, to the nearest 4.5 pixels.
const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_", GRID = 280 / 63;
export function ink() {
  const letter = (value) => LETTERS[Math.round(clamp(value, 0, 280) / GRID)], place = (sign) => LETTERS.indexOf(sign) * GRID;
  const points = (word) => word.match(/../g)?.map(([x, y]) => [place(x), place(y)]) ?? [];
  return {
    standard: [],
    read: (code) => (/^[\w.-]*$/.test(code) ? code.split(".").map(points).filter((stroke) => stroke.length) : []),
    write: (strokes) => strokes.map((stroke) => {
      const words = stroke.map(([x, y]) => letter(x) + letter(y));
      return words.filter((word, n) => word !== words[n - 1]).join("");
    }).join("."),
  };
}

export const PROPERTIES = {
  only: choice("", ["", "oip", "digit", "change", "dream"]),
  hide: names([]),
  at: choice("", ["", "oip", "digit", "change", "dream"]), // the explorer that a link opens
  theme: choice("", ["", "light", "dark"]),
  // the OIP lab; an empty layer is the last convolutional one
  layer: text(""),
  map: whole(37), // of the layer
  seed: whole(0),
  steps: whole(45, 1, 600),
  epsilon: number(10 ** 0.5, 0.001, 10),
  softened: flag(true),
  scale3: number(0.5, 0, 1),
  scale7: number(0.5, 0, 1),
  scale14: number(0, 0, 1),
  // the drawn digit; no ink is the sample digit
  sample: whole(4, 0, 9),
  ink: ink(),
  looked: text(""), // the map that is open, as layer/map
  // what would change its mind; -1 is the nearest other class
  towards: whole(-1, -1, 999),
  method: text("integrated gradients"),
  // the dream: the map of the OIP lab, and with it up to two others
  photo: choice("flower", ["flower", "temple", "portrait", "yours"]),
  also: wholes([], 2),
  octaves: whole(4, 1, 6),
  strength: number(1, 0.1, 3),
  fine: flag(false),
};

const same = (one, other) => one === other || JSON.stringify(one) === JSON.stringify(other);

// Holds a value for each property. `set` changes some and tells those who asked; `link` is the state as a hash.
export class State {
  constructor(properties = PROPERTIES) {
    this.properties = properties;
    this.listeners = [];
    this.values = Object.fromEntries(Object.entries(properties).map(([name, { standard }]) => [name, standard]));
  }

  // Whoever gives names hears of a change in any of these, once, with the names that changed.
  on(names, listener) {
    this.listeners.push({ names: [names].flat(), listener });
  }

  set(changes) {
    const changed = Object.keys(changes).filter((name) => !same(this.values[name], changes[name]));
    for (const name of changed) this.values[name] = changes[name];
    for (const { names, listener } of this.listeners) {
      const heard = changed.filter((name) => names.includes(name) || names.includes("*"));
      if (heard.length) listener(heard);
    }
  }

  // Takes the state from a hash: what it does not name goes back to its default; what it names wrongly does too.
  read(hash) {
    const told = new URLSearchParams(hash.replace(/^#/, ""));
    this.set(Object.fromEntries(Object.entries(this.properties).map(([name, { standard, read }]) =>
      [name, told.has(name) ? read(told.get(name)) : standard])));
  }

  link() {
    const told = Object.entries(this.properties).filter(([name, { standard }]) => !same(this.values[name], standard));
    return told.length ? `#${told.map(([name, { write }]) =>
      `${name}=${encodeURIComponent(write(this.values[name])).replaceAll("%2C", ",").replaceAll("%2F", "/")}`).join("&")}` : "";
  }

  // Keeps the address of the page in step with the state, and the state with the address.
  follow(page = window) {
    let waiting;
    const write = () => {
      const hash = this.link();
      if (hash !== page.location.hash) page.history.replaceState(null, "", hash || page.location.pathname + page.location.search);
    };
    if (page.location.hash.includes("=")) this.read(page.location.hash);
    this.on("*", () => {  // browsers allow few changes of the address a second
      clearTimeout(waiting);
      waiting = setTimeout(write, 250);
    });
    page.addEventListener("hashchange", () => {
      if (page.location.hash.includes("=") || !page.location.hash) this.read(page.location.hash);
    });  // others, such as #digit, name a place on the page
  }
}
