// The Stop button of a run: says "stop" to the kernel, and to the person whether the kernel has heard it.

const HEARD_WITHIN_MS = 1000;
const UNHEARD = "This kernel takes clicks only when the cell has ended. To stop now, press ■ (interrupt) in the toolbar.";

function render({ model, el }) {
  const button = document.createElement("button");
  button.className = "cnb-button cnb-stop-button";
  button.type = "button";
  button.title = "Stop this run; what is computed stays cached";
  const note = document.createElement("div");
  note.className = "cnb-unheard";
  note.setAttribute("role", "status");
  el.classList.add("cnb-stop");
  el.append(button, note);

  let timer;
  let isPressed = false;
  let isLate = false;

  function draw() {
    const isHeard = model.get("heard");
    const isUnheard = isLate && !isHeard;
    const isStopping = isHeard || isPressed;
    button.textContent = isUnheard ? "not heard" : isStopping ? "stopping…" : "■ Stop";
    button.disabled = isStopping;
    note.textContent = isUnheard ? UNHEARD : "";
  }

  button.addEventListener("click", () => {
    isPressed = true;
    model.send("stop");
    timer = setTimeout(() => {
      isLate = true;
      draw();
    }, HEARD_WITHIN_MS);
    draw();
  });
  model.on("change:heard", draw);
  draw();

  return () => {
    model.off("change:heard", draw);
    clearTimeout(timer);
  };
}

export default { render: heard(render) };
