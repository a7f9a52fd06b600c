// What lies at a point of the scene.

function nodeAt(scene, x, y) {
  return scene.nodes.findLastIndex(({ box }) =>
    x >= box[0] - 6 && x <= box[0] + box[2] + 6 && y >= box[1] && y <= box[1] + box[3]);
}

function linkAt(scene, x, y, near) {
  const passes = ([left, top]) => x >= left && x <= left + scene.sizes.width && Math.abs(y - top) < near;
  const hits = (curve) => isOnCurve(curve, x, y, near);
  return scene.links.find((link, at) => link[5].some(passes) || scene.routes[at].curves.some(hits));
}

function isOnCurve([x0, y0, x1, y1], x, y, near) {
  const [left, top, wide, high] = boxAround([[x0, y0, x1, y1]]);
  const bend = bendOf(x0, x1);
  const out = x1 < x0 ? bend : 0; // a curve that leads back swings out on both sides
  if (x < left - out - near || x > left + wide + out + near || y < top - near || y > top + high + near) return false;
  const step = Math.min(0.02, near / 2 / (wide + high + 2 * bend));
  for (let t = 0; t <= 1; t += step) {
    const s = 1 - t;
    const px = s * s * s * x0 + 3 * s * s * t * (x0 + bend) + 3 * s * t * t * (x1 - bend) + t * t * t * x1;
    const py = s * s * (s + 3 * t) * y0 + t * t * (3 * s + t) * y1;
    if (Math.hypot(px - x, py - y) < near) return true;
  }
  return false;
}
