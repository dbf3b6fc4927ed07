// Elements of the page and sentences that are heard. Knows no state.

// Makes an element: make("button", { class: "chip", onclick }, "waves"). Names with a dash and `role` are attributes.
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.includes("-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

// A sentence to see at once, and to hear once it has stood still: a moving slider does not flood a screen reader.
export function sentence() {
  const seen = make("p", { class: "sentence", "aria-hidden": "true" });
  const heard = make("p", { class: "heard", role: "status", "aria-live": "polite" });
  let waiting;
  const tell = (text, failed = false) => {
    seen.textContent = text;
    seen.classList.toggle("failed", failed);
    clearTimeout(waiting);
    waiting = setTimeout(() => { heard.textContent = text; }, 700);
  };
  return { element: make("div", { class: "told" }, seen, heard), tell };
}

// A function that is called once, when calls have ceased for some milliseconds.
export function settled(action, ms) {
  let waiting;
  return (...values) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => action(...values), ms);
  };
}

// Calls `action` whenever `element` comes near the window's view; `seen()` says whether it is there now.
export function whenSeen(element, action) {
  let near = false;
  new IntersectionObserver((entries) => {
    const now = entries.at(-1).isIntersecting;
    if (now && !near) queueMicrotask(action);
    near = now;
  }, { rootMargin: "120px" }).observe(element);
  return () => near;
}

export const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

export async function copy(button, text) {
  const before = button.textContent;
  button.textContent = await Promise.resolve(navigator.clipboard?.writeText(text) ?? Promise.reject(new Error()))
    .then(() => "copied", () => "select and press Ctrl+C");
  setTimeout(() => { button.textContent = before; }, 1600);
}
