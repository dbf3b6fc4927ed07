// Laid over a picture of a map: the pointer, a tap or the arrow keys choose one of its nodes, which is framed.
function render({ model, el }) {
  const frame = document.createElement("div");
  frame.className = "explorer-node";
  el.tabIndex = 0;
  el.setAttribute("role", "application");
  el.append(frame);

  const point = (place) => {
    const node = place.map((at, axis) => Math.max(0, Math.min(Math.floor(at), model.get("size")[axis] - 1)));
    if (String(node) === String(model.get("node"))) return;
    model.set("node", node);
    model.save_changes();
  };
  const follow = (event) => {
    const box = el.getBoundingClientRect(), [rows, columns] = model.get("size");
    point([(rows * (event.clientY - box.top)) / box.height, (columns * (event.clientX - box.left)) / box.width]);
  };
  const show = () => {
    const [row, column] = model.get("node"), [rows, columns] = model.get("size");
    el.setAttribute("aria-label", `Nodes of the map: row ${row} of ${rows}, column ${column} of ${columns}`);
    frame.style.cssText = `top: ${(100 * row) / rows}%; left: ${(100 * column) / columns}%; `
      + `height: ${100 / rows}%; width: ${100 / columns}%`;
  };
  for (const name of ["pointermove", "pointerdown"]) el.addEventListener(name, follow);
  el.addEventListener("click", (event) => {  // a mouse has pointed already: its click enlarges the picture below
    if (event.pointerType === "mouse") el.parentElement.querySelector("img").click();
  });
  el.addEventListener("keydown", (event) => {
    const ways = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (!(event.key in ways) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    point(model.get("node").map((at, axis) => at + ways[event.key][axis]));
  });
  model.on("change", show);
  show();
}
export default { render };
