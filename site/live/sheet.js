// A sheet of small pictures, one of which can be chosen: one stop of the Tab key, within it the arrow keys.

import { make } from "./dom.js";
import { canvasOf, paint } from "./pictures.js";

// Returns { element, fill(names), show(place, values, width, note, tone), mark(places), rename() }. `choose(place)` is called for a
// click or the Enter key, `label(place)` names a picture for those who do not see it.
export function sheet(title, { choose, label, caption = () => "", edge = 52 }) {
  const element = make("div", { class: "sheet", role: "group", "aria-label": title });
  element.style.setProperty("--edge", `${edge}px`);
  let cells = [];

  function fill(count) {
    if (count !== cells.length) {
      cells = Array.from({ length: count }, (_, place) => {
        const canvas = canvasOf(), words = make("span", { class: "words" }, caption(place));
        const button = make("button", { type: "button", class: "cell empty", tabIndex: place ? -1 : 0, "aria-pressed": "false",
          onclick: () => { roam(place, false); choose(place); } }, canvas, words);
        return { button, canvas, words };
      });
      element.replaceChildren(...cells.map(({ button }) => button));
    }
    cells.forEach(({ button, words }, place) => {
      button.classList.add("empty");
      button.setAttribute("aria-label", label(place));
      words.textContent = caption(place);
    });
  }
  function roam(place, focus = true) {
    cells.forEach(({ button }, n) => { button.tabIndex = n === place ? 0 : -1; });
    if (focus) cells[place].button.focus();
  }
  element.addEventListener("keydown", (event) => {
    const now = cells.findIndex(({ button }) => button === document.activeElement);
    const tops = cells.map(({ button }) => button.offsetTop), columns = Math.max(1, tops.filter((top) => top === tops[0]).length);
    const next = { ArrowLeft: now - 1, ArrowRight: now + 1, ArrowUp: now - columns, ArrowDown: now + columns, Home: 0,
      End: cells.length - 1 }[event.key];
    if (now < 0 || next === undefined || !cells[next]) return;
    event.preventDefault();
    roam(next);
  });

  return {
    element, fill,
    show(place, values, width, note = "", tone = undefined) {
      const { button, canvas, words } = cells[place] ?? {};
      if (!button) return;
      paint(canvas, values, width, tone);
      button.classList.remove("empty");
      button.title = note ? `${label(place)}: ${note}` : label(place);
      button.setAttribute("aria-label", button.title);
      words.textContent = caption(place);
    },
    rename() {
      cells.forEach(({ words }, place) => { words.textContent = caption(place); });
    },
    mark(places) {
      cells.forEach(({ button }, place) => button.setAttribute("aria-pressed", String(places.includes(place))));
    },
  };
}
