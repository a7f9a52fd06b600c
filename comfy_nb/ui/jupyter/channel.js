// Messages wait here until the page has a subshell: the kernel thread that handles widgets while a cell runs. A message
// sent before that goes to the main shell, where ipykernel 7.4 can lose the end of a cell.

const WAIT_MAX_MS = 5000;

async function subshellStarted(model) {
  const kernel = model.widget_manager?.kernel;
  const comm = model.get("layout")?.comm?.jsServicesComm; // all widgets of a page share its subshell
  await kernel?.info;
  if (kernel?.supportsSubshells && comm && comm.commsOverSubshells !== "disabled") await comm.subshellStarted;
}

/** Wraps a widget's `render`, so that `model.send` holds messages back until the kernel can handle them. */
function whenReady(render) {
  return ({ model, el }) => {
    const late = new Promise((resolve) => setTimeout(resolve, WAIT_MAX_MS)); // a kernel may have no subshells
    const ready = Promise.race([subshellStarted(model), late]).catch(() => {});
    const send = (...message) => ready.then(() => model.send(...message)).catch(console.warn);
    return render({ model: { ...model, send }, el });
  };
}
