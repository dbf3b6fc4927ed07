// A pad to draw on with mouse, pen, finger or keys; its strokes, lists of [x, y] in its pixels, are all that is sent.
const SIZE = 280, PEN = 20, STEP = 7;
function render({ model, el }) {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  canvas.width = canvas.height = SIZE;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Drawing pad: arrow keys move the pen, Space lowers and lifts it, Backspace undoes");
  el.classList.add("explorer-pad");
  el.append(canvas);
  let strokes = model.get("strokes"), down = false, waiting = false, keys = false, place = [SIZE / 2, SIZE / 4];

  const draw = () => {
    context.fillStyle = "#000";
    context.fillRect(0, 0, SIZE, SIZE);
    context.strokeStyle = "#fff";
    context.lineWidth = PEN;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of strokes) {
      context.beginPath();
      context.moveTo(...stroke[0]);
      for (const point of stroke.length > 1 ? stroke.slice(1) : stroke) context.lineTo(...point);
      context.stroke();
    }
    if (!keys || document.activeElement !== canvas) return;
    context.strokeStyle = down ? "#d55e00" : "#56b4e9";
    context.lineWidth = 2;
    context.strokeRect(place[0] - PEN / 2, place[1] - PEN / 2, PEN, PEN);
  };
  const send = () => {
    draw();
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      model.set("strokes", strokes.map((stroke) => stroke.map((point) => [...point])));
      model.save_changes();
    });
  };
  const begin = (point) => { down = true; strokes = [...strokes, [point]]; send(); };
  const undo = () => { strokes = strokes.slice(0, -1); down = false; send(); };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((way) => Math.round((way * SIZE) / box.width));
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    keys = false;
    begin(at(event));
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!down || keys) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) strokes.at(-1).push(at(one));
    send();
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { down = keys && down; });
  canvas.addEventListener("keydown", (event) => {
    const ways = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey))) undo();
    else if (event.key === " ") { keys = true; if (down) { down = false; draw(); } else begin([...place]); }
    else if (event.key in ways && !event.ctrlKey && !event.metaKey && !event.altKey) {
      keys = true;
      place = place.map((value, axis) => Math.max(0, Math.min(SIZE, value + ways[event.key][axis])));
      if (down) { strokes.at(-1).push([...place]); send(); } else draw();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  canvas.addEventListener("focus", draw);
  canvas.addEventListener("blur", draw);
  model.on("change:strokes", () => {
    if (!model.get("strokes").length) { strokes = []; down = false; }
    draw();
  });
  model.on("msg:custom", (message) => { if (message === "undo") undo(); });
  draw();
}
export default { render };
