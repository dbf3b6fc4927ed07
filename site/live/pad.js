// A pad to draw on with finger, pen, mouse or keys. It tells strokes, lists of [x, y] on 280 pixels, and knows no more.

import { make } from "./dom.js";

export const PAD = 280;
const PEN = 20, STEP = 7;

// Returns { element, show(strokes) }; `changed(strokes, drawing)` is called at every move of the pen.
export function pad(changed) {
  const canvas = make("canvas", { class: "pad", width: 2 * PAD, height: 2 * PAD, tabIndex: 0, role: "application",
    "aria-label": "Drawing pad. Arrow keys move the pen, Space lowers and lifts it, Backspace takes the last stroke back." });
  const pen = canvas.getContext("2d");
  let strokes = [], down = false, keys = false, place = [PAD / 2, PAD / 4];

  function draw() {
    pen.setTransform(2, 0, 0, 2, 0, 0);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, PAD, PAD);
    Object.assign(pen, { strokeStyle: "#fff", lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    for (const stroke of strokes) {
      pen.beginPath();
      pen.moveTo(...stroke[0]);
      for (const point of stroke.length > 1 ? stroke.slice(1) : stroke) pen.lineTo(...point);
      pen.stroke();
    }
    if (!keys || document.activeElement !== canvas) return;
    Object.assign(pen, { strokeStyle: down ? "#f2915f" : "#56b4e9", lineWidth: 2 });
    pen.strokeRect(place[0] - PEN / 2, place[1] - PEN / 2, PEN, PEN);
  }
  function told(drawing = down) {
    draw();
    changed(strokes.map((stroke) => stroke.slice()), drawing);
  }
  const begin = (point) => { down = true; strokes = [...strokes, [point]]; told(); };
  const undo = () => { down = false; strokes = strokes.slice(0, -1); told(); };
  const at = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top].map((way) => Math.round(Math.min(box.width, Math.max(0, way)) * PAD / box.width));
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    keys = false;
    begin(at(event));
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!down || keys) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const move of moves.length ? moves : [event]) strokes.at(-1).push(at(move));
    told();
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => {
    if (keys || !down) return;
    down = false;
    told();
  });
  canvas.addEventListener("keydown", (event) => {
    const ways = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const held = event.ctrlKey || event.metaKey || event.altKey;
    if (event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey))) undo();
    else if (event.key === " ") {
      keys = true;
      if (down) { down = false; told(); } else begin([...place]);
    } else if (event.key in ways && !held) {
      keys = true;
      place = place.map((value, axis) => Math.max(0, Math.min(PAD, value + ways[event.key][axis])));
      if (down) { strokes.at(-1).push([...place]); told(); } else draw();
    } else return;
    event.preventDefault();
  });
  canvas.addEventListener("focus", draw);
  canvas.addEventListener("blur", draw);
  draw();
  return { element: canvas, undo, show: (given) => { strokes = given; down = false; draw(); } };
}
