// Many small pictures cut from one: one Tab stop, arrow keys walk over them, rows wrap with the window.
let sheets = 0;
function render({ model, el }) {
  const grid = document.createElement("div");
  grid.className = "explorer-sheet";
  grid.tabIndex = 0;
  grid.setAttribute("role", "listbox");
  el.append(grid);
  const sheet = ++sheets;
  let address = "", newest = 0;

  const choose = (place) => {
    const numbers = model.get("numbers");
    if (!numbers.length) return;
    model.set("chosen", numbers[Math.max(0, Math.min(place, numbers.length - 1))]);
    model.save_changes();
  };
  const mark = () => {
    const numbers = model.get("numbers"), chosen = numbers.indexOf(model.get("chosen"));
    [...grid.children].forEach((cell, place) => cell.setAttribute("aria-selected", place === chosen));
    if (chosen < 0) grid.removeAttribute("aria-activedescendant");
    else grid.setAttribute("aria-activedescendant", grid.children[chosen]?.id);
  };
  const cell = (place) => {
    const made = document.createElement("div");
    made.setAttribute("role", "option");
    made.id = `explorer-sheet-${sheet}-${place}`;
    made.append(...["label", "picture", "note"].map((name) => {
      const part = document.createElement("span");
      part.className = `explorer-${name}`;
      return part;
    }));
    made.addEventListener("click", () => { choose(place); grid.focus({ preventScroll: true }); });
    return made;
  };
  const draw = async () => {
    const turn = ++newest, picture = new Image(), before = address;
    const now = URL.createObjectURL(new Blob([model.get("picture")], { type: "image/png" }));
    picture.src = now;
    await picture.decode().catch(() => {});
    if (turn !== newest) return URL.revokeObjectURL(now);
    address = now;
    const numbers = model.get("numbers"), columns = model.get("columns");
    const rows = Math.max(1, Math.ceil(numbers.length / columns));
    const labels = model.get("labels"), notes = model.get("notes"), name = model.get("name");
    grid.setAttribute("aria-label", `${numbers.length} picture${numbers.length === 1 ? "" : "s"}: ${name}`);
    grid.style.setProperty("--edge", `${model.get("edge")}px`);
    while (grid.children.length > numbers.length) grid.lastChild.remove();
    numbers.forEach((number, place) => {
      if (!grid.children[place]) grid.append(cell(place));
      const [label, shown, note] = grid.children[place].children;
      label.textContent = labels[place] ?? number;
      note.textContent = notes[place] ?? "";
      grid.children[place].title = `${name} ${number}`;
      grid.children[place].setAttribute("aria-label", `${name} ${label.textContent} ${note.textContent}`);
      const x = columns > 1 ? (100 * (place % columns)) / (columns - 1) : 0;
      const y = rows > 1 ? (100 * Math.floor(place / columns)) / (rows - 1) : 0;
      shown.style.cssText = `aspect-ratio: ${model.get("aspect")}; background: url(${address}) ${x}% ${y}% / `
        + `${100 * columns}% ${100 * rows}%`;
    });
    grid.dataset.picture = address;
    mark();
    if (before) URL.revokeObjectURL(before);
  };
  grid.addEventListener("keydown", (event) => {
    const cells = [...grid.children], place = model.get("numbers").indexOf(model.get("chosen"));
    const across = cells.filter((one) => one.offsetTop === cells[0].offsetTop).length;
    const ways = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: cells.length - 1,
      ArrowDown: place < 0 ? 0 : Math.min(place + across, cells.length - 1), ArrowUp: place - across };
    if (!(event.key in ways) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    choose(event.key === "ArrowUp" && place < across ? place : ways[event.key]);
    cells[model.get("numbers").indexOf(model.get("chosen"))]?.scrollIntoView({ block: "nearest" });
  });
  model.on("change", (changed) => (Object.keys(changed?.changed ?? { all: 1 }).some((name) => name !== "chosen")
    ? draw() : mark()));
  draw();
  return () => URL.revokeObjectURL(address);
}
export default { render };
