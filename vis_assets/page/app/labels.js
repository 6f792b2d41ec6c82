// Names of clusters over the map, drawn as text on a canvas: the browser's text engine sets every script of the world.
// Big clusters go first; none touches another or a panel. Coarse layers show from afar, fine ones from near.

const labels = (() => {
  const GAP_PX = 1; // kept free around a label, times `text_collision_size_scale`
  const EDGE_PX = 4;
  const MOST_SHOWN = 120;
  const FULL_SIZE_AT_PX = 1000; // on a narrower map letters are smaller
  const SMALLEST_SCALE = 0.8;
  const FILLS_VIEW = 1.5; // a cluster that is this many times as wide as the map needs no name any more
  const ROOM_NEEDED = 0.34; // share of a label's width that its cluster must span, where there are several layers
  // where a label's middle may lie from its cluster's, in halves of the label's own size; the first that fits is taken
  const PLACES = [[0, 0], [0, -1], [0, 1], [-0.8, 0], [0.8, 0], [-0.8, -1], [0.8, -1], [-0.8, 1], [0.8, 1]];

  let pen = null; // that measures
  let candidates = [];
  let shown = [];
  let pointed = null;
  let isOn = true;

  const fontOf = (size, weight) => `${weight} ${size}px ${data.font_css}`;

  function prepare() {
    pen = el("canvas").getContext("2d");
    const biggest = Math.max(...data.layers.map(({ clusters }) => Math.max(0, ...clusters.map(({ size }) => size))));
    const { min_fontsize: low, max_fontsize: high, text_min_pixel_size: least, text_max_pixel_size: most } = data.options;
    candidates = data.layers.flatMap(({ clusters }, layer) =>
      clusters.flatMap((cluster, index) => {
        if (cluster.size === 0) return [];
        const share = Math.sqrt(Math.sqrt(cluster.size / biggest));
        const size = Math.min(most, Math.max(least, low + (high - low) * share) * (1 + 0.14 * layer));
        return [measure({ cluster, layer, index, size })];
      }),
    );
    candidates.sort((one, other) => other.layer - one.layer || other.cluster.size - one.cluster.size);
  }

  function measure(label) {
    const weight = label.layer > 0 ? Math.min(900, data.options.font_weight + 100) : data.options.font_weight;
    pen.font = fontOf(label.size, weight);
    const lines = label.cluster.lines;
    const width = Math.max(...lines.map((line) => pen.measureText(line).width));
    return { ...label, weight, lines, width, height: lines.length * label.size * lineHeight() };
  }

  const lineHeight = () => data.options.line_spacing;

  /** Boxes of the page that no label may cover, from the map's corner. */
  function panelBoxes() {
    const map = byId("stage").getBoundingClientRect();
    return [...document.querySelectorAll("#map .panel, #map .bar, #title-box, #minimap")]
      .map((element) => element.getBoundingClientRect())
      .filter((box) => box.width > 0 && box.height > 0)
      .map((box) => [box.left - map.left, box.top - map.top, box.right - map.left, box.bottom - map.top]);
  }

  function isWanted({ cluster, layer, width }, scale, view) {
    const [left, bottom, right, top] = cluster.box;
    const [wide, high] = [(right - left) * scale, (top - bottom) * scale];
    const isFinest = layer === 0;
    if (!isFinest && Math.min(wide / view[0], high / view[1]) > FILLS_VIEW) return false;
    return data.layers.length === 1 || layer === data.layers.length - 1 || Math.max(wide, high) > ROOM_NEEDED * width;
  }

  function choose() {
    const view = camera.size();
    const scale = 2 ** camera.get().zoom;
    const shrink = Math.max(SMALLEST_SCALE, Math.min(1, view[0] / FULL_SIZE_AT_PX));
    const gap = GAP_PX * data.options.text_collision_size_scale;
    const taken = panelBoxes();
    const chosen = [];
    for (const label of candidates) {
      if (chosen.length >= MOST_SHOWN) break;
      const [x, y] = camera.project([label.cluster.x, label.cluster.y]);
      if (x < 0 || y < 0 || x > view[0] || y > view[1] || !isWanted(label, scale, view)) continue;
      const half = [(label.width * shrink) / 2 + gap, (label.height * shrink) / 2 + gap];
      const box = findPlace([x, y], half, view, taken);
      if (box === null) continue;
      taken.push(box);
      chosen.push({ ...label, box, middle: [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], size: label.size * shrink });
    }
    return chosen;
  }

  function findPlace([x, y], half, view, taken) {
    for (const [right, down] of PLACES) {
      const [middle, center] = [x + right * half[0], y + down * half[1]];
      const box = [middle - half[0], center - half[1], middle + half[0], center + half[1]];
      const isInside = box[0] >= EDGE_PX && box[1] >= EDGE_PX && box[2] <= view[0] - EDGE_PX && box[3] <= view[1] - EDGE_PX;
      if (isInside && !taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) return box;
    }
    return null;
  }

  const LIGHT_HALO = "#eeeeeedd"; // what Semantic Explorer sends with every job, dark ones too

  function haloColor() {
    const own = data.options.text_outline_color;
    if (own && !(theme.isDark() && own === LIGHT_HALO)) return own;
    return theme.isDark() ? "rgba(20,22,26,0.85)" : "rgba(255,255,255,0.85)";
  }

  /** Draw the names that were chosen with any pen, so that a picture of the map can be made too. */
  function drawOn(target) {
    target.textAlign = "center";
    target.textBaseline = "middle";
    target.lineJoin = "round";
    for (const label of shown) {
      target.font = fontOf(label.size, label.weight);
      target.lineWidth = data.options.text_outline_width * (label.size / 20);
      target.strokeStyle = haloColor();
      target.fillStyle = cssColor(theme.inkOf(label.cluster), isBright(label) ? 1 : 0.35);
      const step = label.size * lineHeight();
      const first = label.middle[1] - ((label.lines.length - 1) * step) / 2;
      label.lines.forEach((line, row) => {
        target.strokeText(line, label.middle[0], first + row * step);
        target.fillText(line, label.middle[0], first + row * step);
      });
    }
  }

  /** Clusters of which little is left by the filters are written faintly. */
  function isBright({ layer, index }) {
    return brightShares === null || brightShares[layer][index] > 0;
  }

  let brightShares = null;
  function countBright() {
    const mask = filters.mask();
    brightShares = mask === null ? null : data.layers.map(({ labels: own, clusters }) => {
      const counts = new Uint32Array(clusters.length);
      for (let row = 0; row < data.n; row++) if (mask[row] && own[row] >= 0) counts[own[row]]++;
      return counts;
    });
  }


  function at(left, top) {
    return shown.find(({ box }) => left >= box[0] && left <= box[2] && top >= box[1] && top <= box[3]) ?? null;
  }

  function point(left, top) {
    const found = at(left, top);
    if (found?.cluster === pointed?.cluster) return;
    pointed = found;
    bus.emit("label", { label: found, at: [left, top] });
  }

  function start() {
    prepare();
    drawScene();
    byId("stage").addEventListener("pointermove", () => {
      if (hovered >= 0) point(-1, -1);
      else if (scene.pointer) point(...scene.pointer);
    });
    byId("stage").addEventListener("pointerleave", () => point(-1, -1));
    bus.on("click", ({ index, at: place }) => {
      const found = index < 0 ? at(...place) : null;
      if (found) places.flyToTopic(found.layer, found.index);
    });
  }

  bus.on("filter", countBright);

  return {
    start,
    /** Choose the names that fit now. */
    choose() {
      shown = isOn ? choose() : [];
    },
    drawOn,
    shown: () => shown.map(({ cluster, layer, index, box, lines }) => ({ name: cluster.name, layer, index, box, lines })),
    toggle(on) {
      isOn = on;
      drawScene();
    },
  };
})();
