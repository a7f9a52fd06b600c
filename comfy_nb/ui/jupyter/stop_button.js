// The Stop button of runs: sends "stop" to the kernel, and shows whether the kernel has acknowledged it. Once it is not
// acknowledged any more, it is for the runs that have begun since.

const ACKNOWLEDGED_WITHIN_MS = 1000;
const NO_ANSWER = "This kernel handles clicks only after the cell ends. To stop now, press ■ (interrupt) in the toolbar.";

function render({ model, el }) {
  const title = "Stop this run; what is computed stays cached";
  const button = element("button", "cnb-button cnb-stop-button", { type: "button", title });
  const note = element("div", "cnb-stop-note", { role: "status" });
  el.classList.add("cnb-stop");
  el.append(button, note);

  let timer;
  let isPressed = false;
  let isLate = false;

  function draw() {
    const isAcknowledged = model.get("acknowledged");
    const isUnanswered = isLate && !isAcknowledged;
    const isStopping = isAcknowledged || isPressed;
    button.textContent = isUnanswered ? "no answer" : isStopping ? "stopping…" : "■ Stop";
    button.disabled = isStopping;
    note.textContent = isUnanswered ? NO_ANSWER : "";
  }

  button.addEventListener("click", () => {
    isPressed = true;
    model.send("stop");
    timer = setTimeout(() => {
      isLate = true;
      draw();
    }, ACKNOWLEDGED_WITHIN_MS);
    draw();
  });
  function hear() {
    if (!model.get("acknowledged")) {
      clearTimeout(timer);
      isPressed = isLate = false;
    }
    draw();
  }

  model.on("change:acknowledged", hear);
  draw();

  return () => {
    model.off("change:acknowledged", hear);
    clearTimeout(timer);
  };
}

export default { render: whenReady(render) };
