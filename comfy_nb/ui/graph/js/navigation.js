// Where the arrow keys lead.

/** The node to go to: left and right along links, up and down to the nearest; -1 for none. */
function neighbour({ nodes, links }, from, key) {
  if (from < 0) return nodes.length ? 0 : -1;
  if (key === "ArrowLeft") return links.find((link) => link[2] === from)?.[0] ?? -1;
  if (key === "ArrowRight") return links.find((link) => link[0] === from)?.[2] ?? -1;
  const [x, y] = nodes[from].box;
  const way = key === "ArrowUp" ? -1 : 1;
  const far = (at) => Math.abs(nodes[at].box[0] - x) * 3 + Math.abs(nodes[at].box[1] - y);
  const there = nodes.map((_, at) => at).filter((at) => (nodes[at].box[1] - y) * way > 0);
  return there.sort((a, b) => far(a) - far(b))[0] ?? -1;
}
