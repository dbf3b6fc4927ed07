// A button for one file, which may also be dropped on it; a picture too large to be sent is made smaller here.
const MOST = 8e6, EDGE = 3000;
async function fitting(file) {
  if (file.size <= MOST) return file;
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, EDGE / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.round(picture.width * scale), Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
}
function render({ model, el }) {
  const button = document.createElement("button"), input = document.createElement("input");
  const problem = document.createElement("span");
  button.className = "jupyter-button widget-button explorer-upload";
  button.textContent = `⬆ ${model.get("label")}`;
  button.title = model.get("tip");
  input.type = "file";
  input.accept = "image/*";
  input.hidden = true;
  problem.className = "explorer-caption";
  problem.setAttribute("role", "alert");
  let newest = 0;
  const give = async (file) => {
    if (!file) return;
    const turn = ++newest;
    try {
      const content = await (await fitting(file)).arrayBuffer();
      if (turn !== newest) return;  // another file was chosen meanwhile
      model.set("file_name", file.name);
      model.set("content", new DataView(content));
      model.set("given", model.get("given") + 1);
      model.save_changes();
      problem.textContent = "";
    } catch {
      problem.textContent = ` ${file.name} is larger than 8 MB and no picture that this browser can read.`;
    }
  };
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => { give(input.files[0]); input.value = ""; });
  el.addEventListener("dragover", (event) => event.preventDefault());
  el.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    give(event.dataTransfer.files[0]);
  });
  el.append(button, input, problem);
}
export default { render };
