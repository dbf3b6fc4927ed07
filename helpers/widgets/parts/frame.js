// What the whole explorer does without a kernel: its keys stay inside, numbers are read as people write them, pictures
// are enlarged by a click, text by a switch, Python is copied, sliders play, a wiper is drawn over two pictures, and a
// restarted kernel is told of.
const inside = (event) => (event.target instanceof Element ? event.target.closest(".explorer") : null);

function keysStayInside(event) {
  // JupyterLab listens at the document, before any control; a focused control with this attribute is left alone.
  if (inside(event)) event.target.toggleAttribute("data-lm-suppress-shortcuts",
    !(event.ctrlKey || event.metaKey || event.altKey));
}

function readAsWritten(event) {
  const field = event.target;
  if (!inside(event) || !field.matches?.(".widget-readout[contenteditable]")) return;
  if (event.type === "focusin") return void (field.dataset.before = field.textContent);
  const text = field.textContent.trim().replace(/^(-?\d*),(\d+)$/, "$1.$2").replace("−", "-");
  const good = text !== "" && Number.isFinite(Number(text));
  if (!good) tell(inside(event), `“${text}” is no number; ${field.dataset.before} stays`);
  else tell(inside(event), "");
  field.textContent = field.dataset.before = good ? text : field.dataset.before;
}

function tell(explorer, sentence) {
  explorer.querySelector(".explorer-told").textContent = sentence;
}

function enlarge(event) {
  const picture = event.target;
  if (!inside(event) || picture.tagName !== "IMG") return;
  const dialog = document.createElement("dialog"), large = new Image();
  dialog.className = "explorer-enlarged";
  large.src = picture.src;
  large.alt = "the picture, enlarged";
  dialog.append(large);
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

async function copy(event) {
  if (!inside(event) || !event.target.matches?.(".explorer-copy")) return;
  const text = event.target.parentNode.querySelector("pre").textContent;
  event.target.textContent = await Promise.resolve(navigator.clipboard?.writeText(text) ?? Promise.reject())
    .then(() => "copied", () => "select it and press Ctrl+C");
}

function play(event) {
  const button = event.target.closest?.(".explorer-play"), explorer = inside(event);
  if (!button || !explorer) return;
  const over = () => { clearInterval(button.ticks); button.ticks = undefined; button.setAttribute("aria-pressed", false); };
  if (button.ticks) return over();
  const name = button.title.match(/slider (.+?),/)[1];
  const near = button.closest(".explorer-digits") ?? explorer;  // of two choices of a digit, its own
  const label = [...near.querySelectorAll(".widget-label")].find((one) => one.textContent === name);
  const handle = label.closest(".widget-inline-hbox").querySelector(".noUi-handle");
  button.setAttribute("aria-pressed", true);
  button.ticks = setInterval(() => {
    if (!button.isConnected) return over();
    if (explorer.classList.contains("explorer-busy")) return;  // the next one comes when this one has been seen
    const last = handle.getAttribute("aria-valuenow") === handle.getAttribute("aria-valuemax");
    handle.dispatchEvent(new KeyboardEvent("keydown", { key: last ? "Home" : "ArrowRight", bubbles: true }));
  }, 700);
}

function wipe(event) {
  if (!inside(event) || !event.target.matches?.(".explorer-wiper")) return;
  event.target.closest(".explorer-wiped").style.setProperty("--cut", `${event.target.value}%`);
}

if (!window.explorerListens) {
  window.explorerListens = true;
  window.addEventListener("keydown", keysStayInside, true);
  window.addEventListener("focusin", readAsWritten, true);
  window.addEventListener("blur", readAsWritten, true);
  window.addEventListener("keydown", (event) => { if (event.key === "Enter") readAsWritten(event); }, true);
  window.addEventListener("click", enlarge);
  window.addEventListener("click", copy);
  window.addEventListener("click", play);
  window.addEventListener("input", wipe);
}

function render({ model, el }) {
  const told = document.createElement("span"), large = document.createElement("button");
  told.className = "explorer-told";
  told.setAttribute("role", "alert");
  large.className = "jupyter-button widget-button explorer-enlarge-text";
  large.textContent = "large";
  large.title = "Larger text and pictures, for the last row.";
  const apply = () => {
    const on = localStorage.getItem("explorer-large") === "yes";
    document.querySelectorAll(".explorer").forEach((one) => one.classList.toggle("explorer-large", on));
    document.querySelectorAll(".explorer-enlarge-text").forEach((one) => one.setAttribute("aria-pressed", on));
  };
  large.addEventListener("click", () => {
    localStorage.setItem("explorer-large", localStorage.getItem("explorer-large") === "yes" ? "no" : "yes");
    apply();
  });
  el.append(told, large);
  model.on("comm_live_update", () => {
    told.textContent = "This explorer has lost its kernel: run its cell again.";
  });
  requestAnimationFrame(apply);
}
export default { render };
