// What a front end says waits here until the page has a subshell for it: the kernel's thread that hears widgets beside
// a running cell. Said before that, it goes to the loop of the cells, where ipykernel 7.4 can lose the end of a cell.

const LONGEST_MS = 5000;

async function untilHeard(model) {
  const kernel = model.widget_manager?.kernel;
  const comm = model.get("layout")?.comm?.jsServicesComm; // all widgets of a page share its subshell
  await kernel?.info;
  if (kernel?.supportsSubshells && comm && comm.commsOverSubshells !== "disabled") await comm.subshellStarted;
}

function heard(render) {
  return ({ model, el }) => {
    const late = new Promise((resolve) => setTimeout(resolve, LONGEST_MS)); // without a subshell it is still said
    const line = Promise.race([untilHeard(model), late]).catch(() => {});
    const send = (...message) => line.then(() => model.send(...message)).catch(console.warn);
    return render({ model: { ...model, send }, el });
  };
}
