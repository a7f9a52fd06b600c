// Mounts a live view in every placeholder of this model, wherever a page shows that placeholder's HTML.
//
// The notebook's output is HTML alone, so a saved notebook shows it without a kernel and without a broken widget. This
// model is never displayed itself: it starts with its comm, also after a reload, and finds its placeholders on its own.

function initialize({ model }) {
  const views = new Map(); // by placeholder; null while the view is being created

  async function mount(placeholder) {
    const manager = model.widget_manager;
    const child = await manager.get_model(model.get("child").replace("IPY_MODEL_", ""));
    const view = await manager.create_view(child);
    const widget = view.luminoWidget ?? view.pWidget;
    // As Lumino attaches a widget: otherwise ipywidgets neither lay themselves out nor react.
    widget?.processMessage({ type: "before-attach" });
    placeholder.replaceChildren(view.el);
    widget?.processMessage({ type: "after-attach" });
    views.set(placeholder, view);
  }

  // An output that is rendered again is a new element: the view moves over from the old one with all its state.
  function adopt(placeholder) {
    const orphaned = [...views.keys()].find((each) => !each.isConnected && views.get(each));
    if (!orphaned) return false;
    const view = views.get(orphaned);
    const focused = document.activeElement;
    views.delete(orphaned);
    placeholder.replaceChildren(view.el);
    views.set(placeholder, view);
    if (view.el.contains(focused)) focused.focus();
    return true;
  }

  function mountAll() {
    for (const placeholder of [...document.getElementsByClassName(model.get("placeholder"))]) {
      if (views.has(placeholder) || adopt(placeholder)) continue;
      views.set(placeholder, null);
      mount(placeholder);
    }
  }

  const observer = new MutationObserver(mountAll);
  observer.observe(document.body, { childList: true, subtree: true });
  mountAll();
  return () => {
    observer.disconnect();
    for (const view of views.values()) view?.remove();
  };
}

export default { initialize };
