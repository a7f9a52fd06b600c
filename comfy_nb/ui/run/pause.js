// The controls of a run that is paused at a breakpoint: continue with the value, or with another one, or stop.

const RECEIVED_WITHIN_MS = 1500;
const NO_ANSWER = "The kernel has not answered yet: it may handle clicks only after the cell has ended.";

function render({ model, el }) {
  const field = element("input", "cnb-pause-field", { "aria-label": "value to continue with", spellcheck: "false" });
  field.value = "x";
  const resume = element("button", "cnb-button", { type: "button" }, "▶ Continue");
  const stop = element("button", "cnb-button cnb-pause-stop", { type: "button", title: "Stop this run" }, "■ Stop");
  const title = "Python: x is the value, and your own names are known, as in x.clamp(0, 1)";
  const label = element("label", "cnb-pause-label", { title }, "with ", field);
  const note = element("div", "cnb-pause-note", { role: "status" });
  const place = ` at ${model.get("place")}`;
  const heading = element("div", "cnb-pause-heading", {}, element("b", "", {}, "▮▮ Paused"), place);
  el.classList.add("cnb-pause");
  el.append(heading, element("div", "cnb-pause-do", {}, resume, label, stop), note);

  let timer;

  function request(message) {
    for (const each of [resume, stop, field]) each.disabled = true;
    note.textContent = "";
    model.send(message);
    timer = setTimeout(() => {
      if (!note.textContent) note.textContent = NO_ANSWER;
    }, RECEIVED_WITHIN_MS);
  }

  function onAnswer({ received, error }) {
    clearTimeout(timer);
    if (received) {
      note.textContent = "";
      return;
    }
    for (const each of [resume, stop, field]) each.disabled = false;
    note.textContent = error;
    field.focus();
  }

  const requestResume = () => request({ do: "resume", with: field.value });
  resume.addEventListener("click", requestResume);
  stop.addEventListener("click", () => request({ do: "stop" }));
  field.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the notebook has shortcuts of its own
    if (event.key === "Enter") requestResume();
  });
  model.on("msg:custom", onAnswer);
  model.send({ do: "hello" });

  return () => {
    model.off("msg:custom", onAnswer);
    clearTimeout(timer);
  };
}

export default { render: whenReady(render) };
