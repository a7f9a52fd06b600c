// What to do with a run that is paused at a breakpoint: go on with the value, or with another one, or stop.

const HEARD_WITHIN_MS = 1500;
const UNHEARD = "The kernel has not heard it yet: it may take clicks only when the cell has ended.";

function make(tag, name, attributes = {}, ...children) {
  const element = document.createElement(tag);
  element.className = name;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function render({ model, el }) {
  const { where } = model.get("said");
  const field = make("input", "cnb-pause-field", { "aria-label": "value to go on with", spellcheck: "false" });
  field.value = "x";
  const go = make("button", "cnb-button", { type: "button" }, "▶ Continue");
  const stop = make("button", "cnb-button cnb-pause-stop", { type: "button", title: "Stop this run" }, "■ Stop");
  const title = "Python: x is the value, and your own names are known, as in x.clamp(0, 1)";
  const label = make("label", "cnb-pause-label", { title }, "with ", field);
  const note = make("div", "cnb-pause-note", { role: "status" });
  const said = make("div", "cnb-pause-where", {}, make("b", "", {}, "▮▮ Paused"), ` at ${where}`);
  el.classList.add("cnb-pause");
  el.append(said, make("div", "cnb-pause-do", {}, go, label, stop), note);

  let timer;

  function ask(message) {
    for (const each of [go, stop, field]) each.disabled = true;
    note.textContent = "";
    model.send(message);
    timer = setTimeout(() => {
      if (!note.textContent) note.textContent = UNHEARD;
    }, HEARD_WITHIN_MS);
  }

  function onAnswer({ heard, fault }) {
    clearTimeout(timer);
    if (heard) {
      note.textContent = "";
      return;
    }
    for (const each of [go, stop, field]) each.disabled = false;
    note.textContent = fault;
    field.focus();
  }

  const resume = () => ask({ do: "resume", with: field.value });
  go.addEventListener("click", resume);
  stop.addEventListener("click", () => ask({ do: "stop" }));
  field.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the notebook has shortcuts of its own
    if (event.key === "Enter") resume();
  });
  model.on("msg:custom", onAnswer);
  model.send({ do: "hello" });

  return () => {
    model.off("msg:custom", onAnswer);
    clearTimeout(timer);
  };
}

export default { render: whenReady(render) };
