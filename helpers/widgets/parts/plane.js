// A map of the latent plane: training digits as small numerals, the place of what is shown, the way of a walk.
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7f3fbf", "#8c564b", "#707070",
  "#e63946"];
const SIZE = 560;
function render({ model, el }) {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  canvas.width = canvas.height = SIZE;
  canvas.tabIndex = 0;
  canvas.className = "explorer-plane";
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Map of the latent plane: the pointer or the arrow keys choose a place");
  el.append(canvas);
  const ground = document.createElement("canvas");
  ground.width = ground.height = SIZE;
  let down = false, waiting = false, wanted = null;

  const reach = () => model.get("reach");
  const place = ([x, y]) => [(SIZE * (x / reach() + 1)) / 2, (SIZE * (1 - y / reach())) / 2];
  const drawGround = () => {
    const paper = ground.getContext("2d"), values = model.get("points"), text = "#888";  // on any theme
    paper.clearRect(0, 0, SIZE, SIZE);
    paper.strokeStyle = paper.fillStyle = text;
    paper.globalAlpha = 0.5;
    paper.beginPath();
    for (const [from, to] of [[[-reach(), 0], [reach(), 0]], [[0, -reach()], [0, reach()]]]) {
      paper.moveTo(...place(from));
      paper.lineTo(...place(to));
    }
    paper.stroke();
    paper.globalAlpha = 0.85;
    paper.font = "bold 13px sans-serif";
    paper.textAlign = "center";
    paper.textBaseline = "middle";
    const points = new Float32Array(values.buffer.slice(values.byteOffset, values.byteOffset + values.byteLength));
    for (let i = 0; i < points.length; i += 3) {
      paper.fillStyle = COLORS[points[i + 2] % 10];
      paper.fillText(String(points[i + 2]), ...place([points[i], points[i + 1]]));
    }
    paper.globalAlpha = 1;
    paper.fillStyle = text;
    paper.font = "18px sans-serif";
    paper.fillText(model.get("across"), SIZE / 2, SIZE - 14);
    paper.save();
    paper.translate(14, SIZE / 2);
    paper.rotate(-Math.PI / 2);
    paper.fillText(model.get("up"), 0, 0);
    paper.restore();
    draw();
  };
  const draw = () => {
    context.clearRect(0, 0, SIZE, SIZE);
    context.drawImage(ground, 0, 0);
    const way = model.get("way");
    for (const [width, color] of [[9, "#ffffff"], [5, "#d55e00"]]) {
      context.lineWidth = width;
      context.strokeStyle = color;
      context.beginPath();
      way.forEach((point, index) => context[index ? "lineTo" : "moveTo"](...place(point)));
      context.stroke();
    }
    const [x, y] = place(wanted ?? model.get("here"));
    for (const [radius, width, color] of [[11, 7, "#ffffff"], [11, 4, "#d55e00"]]) {
      context.lineWidth = width;
      context.strokeStyle = color;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  };
  const send = (point) => {
    const limit = reach();
    wanted = point.map((value) => Math.round(100 * Math.max(-limit, Math.min(limit, value))) / 100);
    draw();
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      model.set("wanted", wanted);
      model.save_changes();
      wanted = null;
    });
  };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [reach() * ((2 * (event.clientX - box.left)) / box.width - 1),
      reach() * (1 - (2 * (event.clientY - box.top)) / box.height)];
  };
  canvas.addEventListener("pointerdown", (event) => {
    down = true;
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    send(at(event));
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => { if (down) send(at(event)); });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { down = false; });
  canvas.addEventListener("keydown", (event) => {
    const ways = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
    if (!(event.key in ways) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    send(model.get("here").map((value, axis) => value + ways[event.key][axis]));
  });
  for (const name of ["points", "across", "up"]) model.on(`change:${name}`, drawGround);
  for (const name of ["here", "way"]) model.on(`change:${name}`, draw);
  requestAnimationFrame(drawGround);
}
export default { render };
