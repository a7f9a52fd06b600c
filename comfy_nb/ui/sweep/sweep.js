// The grid of a sweep: its frame arrives as a trait, the contents of its cells as messages; clicks are sent back.

const heading = (scope, label) => element("th", "cnb-sweep-label", { scope }, label);

function build({ columns, lines, pages, head }, pick) {
  const title = element("div", "cnb-sweep-head", { role: "status" }, head);
  const root = element("div", "cnb-sweep", { "data-lm-suppress-shortcuts": "true" }, title);
  const cells = new Map();
  for (const page of pages) {
    const table = element("table", "cnb-sweep-table");
    if (page.label) table.append(element("caption", "cnb-sweep-page", {}, page.label));
    const top = element("tr", "");
    if (lines.length) top.append(element("td", ""));
    top.append(...columns.map((label) => heading("col", label)));
    table.append(top);
    page.rows.forEach((indices, y) => {
      const row = element("tr", "");
      if (lines.length) row.append(heading("row", lines[y]));
      indices.forEach((index, x) => {
        const label = [columns[x], lines[y], page.label].filter(Boolean).join(", ");
        const button = element("button", "cnb-cell", { type: "button", title: label });
        button.addEventListener("click", () => pick(index, button));
        row.append(element("td", "", {}, button));
        cells.set(index, button);
      });
      table.append(row);
    });
    root.append(table);
  }
  return { root, title, cells };
}

function render({ model, el }) {
  const addresses = new Map();
  const pending = new Map();
  let head = null;
  let frame = 0;
  const grid = build(model.get("table"), (index, button) => {
    grid.root.querySelector("[aria-pressed=true]")?.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", "true");
    model.send({ cell: index });
  });
  el.append(grid.root);

  function drawCell(cell, data) {
    const button = grid.cells.get(cell.index);
    button.dataset.state = cell.state;
    const parts = [];
    if (data) {
      URL.revokeObjectURL(addresses.get(cell.index));
      addresses.set(cell.index, URL.createObjectURL(new Blob([data], { type: `image/${cell.picture}` })));
      parts.push(element("img", "cnb-cell-picture", { src: addresses.get(cell.index), alt: "" }));
    }
    if (cell.words) parts.push(element("span", "cnb-cell-words", {}, cell.words));
    parts.push(element("span", "cnb-cell-note", {}, cell.note));
    button.setAttribute("aria-label", `${button.title}: ${cell.words || cell.note}`);
    button.replaceChildren(...parts);
  }

  function draw() {
    frame = 0;
    grid.title.textContent = head;
    pending.forEach(({ cell, data }) => drawCell(cell, data));
    pending.clear();
  }

  function take(message, buffers) {
    head = message.head;
    let next = 0;
    for (const cell of message.cells) {
      pending.set(cell.index, { cell, data: cell.picture ? buffers[next++] : null });
    }
    if (!frame) frame = requestAnimationFrame(draw);
  }

  model.on("msg:custom", take);
  model.send("ready");
  return () => {
    model.off("msg:custom", take);
    cancelAnimationFrame(frame);
    addresses.forEach((address) => URL.revokeObjectURL(address));
  };
}

export default { render: whenReady(render) };
