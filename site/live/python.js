// The lines of Python that make the same picture, folded, with a button that copies them.

import { copy, make } from "./dom.js";

export function pythonLines() {
  const code = make("code"), pre = make("pre", { tabIndex: 0, "aria-label": "Python" }, code);
  const button = make("button", { type: "button", class: "small" }, "copy");
  button.addEventListener("click", () => copy(button, code.textContent));
  const element = make("details", { class: "more python", "data-control": "python" }, make("summary", {}, "in Python"), pre, button);
  return { element, show: (lines) => { code.textContent = lines.join("\n"); } };
}
