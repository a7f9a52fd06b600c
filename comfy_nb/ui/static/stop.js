// The Stop button of a run: says "stop" to the kernel, and to the person whether the kernel has heard it.

const READY_AGAIN_MS = 700;
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

  const timers = new Set();
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

  function after(milliseconds, act) {
    timers.add(setTimeout(act, milliseconds));
  }

  button.addEventListener("click", () => {
    isPressed = true;
    model.send("stop");
    after(HEARD_WITHIN_MS, () => {
      isLate = true;
      draw();
    });
    draw();
  });
  model.on("change:heard", draw);
  draw();

  // A kernel that runs a cell hears only comms whose last message came from the front end. One message alone may
  // arrive before the cell code's own last one, so there are two.
  model.send("ready");
  after(READY_AGAIN_MS, () => model.send("ready"));

  return () => {
    model.off("change:heard", draw);
    timers.forEach(clearTimeout);
  };
}

export default { render };
