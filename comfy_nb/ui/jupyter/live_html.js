// Puts a live view in the place of the HTML that stands for it, wherever a page shows that HTML.
//
// The notebook's output is the HTML alone, so a saved notebook shows it without a kernel, and no broken widget. This
// model is never displayed: it comes to life with its comm, also after a reload, and looks for its places by itself.

function initialize({ model }) {
  const views = new Map(); // by the element that each stands in

  async function enter(place) {
    const manager = model.widget_manager;
    const child = await manager.get_model(model.get("child").replace("IPY_MODEL_", ""));
    const view = await manager.create_view(child);
    const widget = view.luminoWidget ?? view.pWidget;
    // As Lumino attaches a widget: only then are ipywidgets laid out, and heard.
    widget?.processMessage({ type: "before-attach" });
    place.replaceChildren(view.el);
    widget?.processMessage({ type: "after-attach" });
    views.set(place, view);
  }

  // An output that is shown anew is a new element: the view of the old one moves there, with all it knows.
  function move(place) {
    const left = [...views.keys()].find((each) => !each.isConnected && views.get(each));
    if (!left) return false;
    const view = views.get(left);
    const focused = document.activeElement;
    views.delete(left);
    place.replaceChildren(view.el);
    views.set(place, view);
    if (view.el.contains(focused)) focused.focus();
    return true;
  }

  function look() {
    for (const place of [...document.getElementsByClassName(model.get("place"))]) {
      if (views.has(place) || move(place)) continue;
      views.set(place, null); // it is on its way
      enter(place);
    }
  }

  const observer = new MutationObserver(look);
  observer.observe(document.body, { childList: true, subtree: true });
  look();
  return () => {
    observer.disconnect();
    for (const view of views.values()) view?.remove();
  };
}

export default { initialize };
