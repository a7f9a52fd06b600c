// Elements for the views.

/** Makes an element: element("div", "cnb-row", { role: "listitem" }, child, "text"). */
function element(tag, className, attributes = {}, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Makes a button that calls `press`; `title` is its tooltip and its accessible name. */
function pushButton(className, label, title, press) {
  const made = element("button", className, { type: "button", title, "aria-label": title }, label);
  made.addEventListener("click", press);
  return made;
}
