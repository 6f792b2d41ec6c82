// The picture: points on the graphics card, the camera, what is bright, and what lies under the pointer.

const FADED = 0.1; // of a point's own opacity
const NOT_CHOSEN = 0.3; // the same, beside points that are selected
const POINT_OPACITY = 190;
const GROWTH_LOST = 0.55; // of the camera's
const STOPS = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37]]; // viridis
const CATEGORY_COLORS = [[0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [213, 94, 0], [150, 140, 30], [120, 94, 240], [220, 38, 127], [100, 143, 90], [140, 90, 60], [90, 200, 190]]; // Okabe & Ito, and on
const MISSING_COLOR = [150, 150, 150];

// ---- what is bright -------------------------------------------------------------------------------------------------

const filters = (() => {
  const masks = new Map();
  let shown = null; // Uint8Array, or null where nothing is filtered

  function combine() {
    if (masks.size === 0) {
      shown = null;
      return;
    }
    shown = new Uint8Array(data.n).fill(1);
    for (const mask of masks.values()) for (let row = 0; row < data.n; row++) shown[row] &= mask[row];
  }

  return {
    set(name, mask) {
      if (mask === null && !masks.has(name)) return;
      if (mask === null) masks.delete(name);
      else masks.set(name, mask);
      combine();
      bus.emit("filter", { name });
    },
    passes: (row) => shown === null || shown[row] === 1,
    names: () => [...masks.keys()],
    mask: () => shown,
    /** All filters but one. */
    without(name) {
      const others = [...masks].filter(([key]) => key !== name).map(([, mask]) => mask);
      return others.length === 0 ? null : (row) => others.every((mask) => mask[row] === 1);
    },
    clear() {
      masks.clear();
      combine();
      bus.emit("filter", { name: null });
    },
    count() {
      if (shown === null) return data.n;
      let count = 0;
      for (let row = 0; row < data.n; row++) count += shown[row];
      return count;
    },
  };
})();

// ---- colours --------------------------------------------------------------------------------------------------------

const colors = (() => {
  const BUILT_IN = ["cluster", "strength"];
  let current = "cluster";
  let scale = null; // of a number or date: {low, high}

  function ramp(share) {
    const place = Math.min(0.999999, Math.max(0, share)) * (STOPS.length - 1);
    const below = Math.floor(place);
    return STOPS[below].map((part, index) => Math.round(part + (STOPS[below + 1][index] - part) * (place - below)));
  }

  function ofCategory(code) {
    if (code < 0) return MISSING_COLOR;
    if (code < CATEGORY_COLORS.length) return CATEGORY_COLORS[code];
    return hslToRgb((code * 137.508) % 360, 0.5, code % 2 ? 0.45 : 0.62);
  }

  function hslToRgb(hue, saturation, lightness) {
    const reach = saturation * Math.min(lightness, 1 - lightness);
    return [0, 8, 4].map((offset) => {
      const place = (offset + hue / 30) % 12;
      return Math.round(255 * (lightness - reach * Math.max(-1, Math.min(place - 3, 9 - place, 1))));
    });
  }

  /** The middle 98 % of the numbers, so that one outlier does not take all the colour. */
  function rangeOf(values) {
    const step = Math.max(1, Math.floor(values.length / 50_000));
    const sample = [];
    for (let row = 0; row < values.length; row += step) if (!Number.isNaN(values[row])) sample.push(values[row]);
    if (sample.length === 0) return { low: 0, high: 1 };
    const sorted = Float64Array.from(sample).sort();
    const low = sorted[Math.floor(sorted.length * 0.01)];
    const high = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))];
    return high > low ? { low, high } : { low, high: low + 1 };
  }

  function painter(name) {
    if (name === "cluster") {
      const { labels, clusters } = data.layers[0];
      const noise = data.noise_rgb;
      return (row) => (labels[row] < 0 ? noise : clusters[labels[row]].color);
    }
    if (name === "strength") return (row) => ramp(data.strengths[row] / 255);
    const field = data.fields.find((one) => one.name === name);
    if (field.kind === "category") {
      const table = [MISSING_COLOR, ...field.categories.map((_, code) => ofCategory(code))];
      return (row) => table[field.values[row] + 1];
    }
    const { low, high } = scale;
    const table = Array.from({ length: 256 }, (_, place) => ramp(place / 255));
    return (row) => {
      const share = (field.values[row] - low) / (high - low);
      return Number.isNaN(share) ? MISSING_COLOR : table[Math.max(0, Math.min(255, Math.round(share * 255)))];
    };
  }

  return {
    by(name) {
      const field = data.fields.find((one) => one.name === name);
      const isKnown = name === "cluster" || (name === "strength" && data.strengths) || (field && field.kind !== "text");
      if (!isKnown) return false;
      current = name;
      scale = field && field.kind !== "category" ? rangeOf(field.values) : null;
      bus.emit("color", { field: name });
      return true;
    },
    current: () => current,
    scale: () => scale,
    painter: () => painter(current),
    choices() {
      const own = data.fields.filter(({ name, kind }) => kind !== "text" && !BUILT_IN.includes(name)).map(({ name }) => name);
      return ["cluster", ...(data.strengths ? ["strength"] : []), ...own];
    },
    ramp,
    ofCategory,
  };
})();

const cssColor = ([red, green, blue], opacity = 1) => `rgba(${red},${green},${blue},${opacity})`;

// ---- theme ----------------------------------------------------------------------------------------------------------

const theme = {
  isDark: () => byId("map").classList.contains("dark"),
  set(isDark) {
    byId("map").classList.toggle("dark", isDark);
    document.documentElement.classList.toggle("dark", isDark);
    bus.emit("theme", { dark: isDark });
  },
  inkOf: (cluster) => {
    if (!data.options.color_label_text) return theme.isDark() ? [238, 238, 238] : [20, 20, 24];
    return theme.isDark() ? cluster.inks[1] : cluster.inks[0];
  },
  background: () => data.options.background_color ?? (theme.isDark() ? "#14161a" : "#ffffff"),
};

// ---- points by place ------------------------------------------------------------------------------------------------

/** Rows sorted into square cells, to find what lies near a place. */
class Grid {
  constructor(positions, count) {
    let [left, bottom, right, top] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let row = 0; row < count; row++) {
      const [x, y] = [positions[2 * row], positions[2 * row + 1]];
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < bottom) bottom = y;
      if (y > top) top = y;
    }
    this.positions = positions;
    this.box = [left, bottom, right, top];
    this.size = Math.max(right - left, top - bottom, 1e-6) / Math.max(1, Math.min(1024, Math.ceil(Math.sqrt(count / 3))));
    this.columns = Math.floor((right - left) / this.size) + 1;
    this.rows = Math.floor((top - bottom) / this.size) + 1;
    this.starts = new Uint32Array(this.columns * this.rows + 1);
    for (let row = 0; row < count; row++) this.starts[this.cellOf(row) + 1]++;
    for (let cell = 0; cell < this.starts.length - 1; cell++) this.starts[cell + 1] += this.starts[cell];
    const next = this.starts.slice();
    this.members = new Uint32Array(count);
    for (let row = 0; row < count; row++) this.members[next[this.cellOf(row)]++] = row;
  }

  cellOf(row) {
    const column = Math.floor((this.positions[2 * row] - this.box[0]) / this.size);
    const line = Math.floor((this.positions[2 * row + 1] - this.box[1]) / this.size);
    return line * this.columns + column;
  }

  /** The nearest row within a distance that passes a test, or -1. */
  nearest(x, y, reach, passes) {
    const clamp = (value, most) => Math.max(0, Math.min(most, Math.floor(value)));
    const first = clamp((x - reach - this.box[0]) / this.size, this.columns - 1);
    const last = clamp((x + reach - this.box[0]) / this.size, this.columns - 1);
    const low = clamp((y - reach - this.box[1]) / this.size, this.rows - 1);
    const high = clamp((y + reach - this.box[1]) / this.size, this.rows - 1);
    let [best, found] = [reach * reach, -1];
    for (let line = low; line <= high; line++) {
      for (let place = this.starts[line * this.columns + first]; place < this.starts[line * this.columns + last + 1]; place++) {
        const row = this.members[place];
        const [right, up] = [this.positions[2 * row] - x, this.positions[2 * row + 1] - y];
        const apart = right * right + up * up;
        if (apart <= best && passes(row)) [best, found] = [apart, row];
      }
    }
    return found;
  }
}

// ---- the deck -------------------------------------------------------------------------------------------------------

const scene = { deck: null, grid: null, fillColors: null, layers: {} };

const camera = (() => {
  const view = { target: [0, 0], zoom: 0 };
  let first = null;
  let asked = 0;

  function paddingPx() {
    const [width, height] = camera.size();
    return 0.06 * Math.min(width, height) + 4;
  }

  function clampZoom(zoom) {
    return Math.max(first === null ? -20 : first.zoom - 2, Math.min(zoom, 14));
  }

  function boxView([left, bottom, right, top]) {
    const [width, height] = camera.size();
    const room = [Math.max(40, width - 2 * paddingPx()), Math.max(40, height - 2 * paddingPx())];
    const scale = Math.min(room[0] / Math.max(right - left, 0.02), room[1] / Math.max(top - bottom, 0.02));
    return { target: [(left + right) / 2, (bottom + top) / 2], zoom: Math.log2(scale) };
  }

  return {
    get: () => ({ target: [...view.target], zoom: view.zoom }),
    /** Called by the deck whenever the view has changed. */
    follow(state) {
      view.target = [state.target[0], state.target[1]];
      view.zoom = state.zoom;
      bus.emit("view");
    },
    set({ target = view.target, zoom = view.zoom }, milliseconds = 0) {
      const duration = movesLittle() ? 0 : milliseconds;
      const aim = { target: [target[0], target[1], 0], zoom: clampZoom(zoom), minZoom: clampZoom(-Infinity), maxZoom: 14 };
      const moving = duration > 0
        ? { transitionDuration: duration, transitionInterpolator: new deck.LinearInterpolator(["target", "zoom"]), transitionEasing: (t) => t * (2 - t) }
        : { transitionDuration: 0 };
      asked += 1; // deck.gl passes over a view that equals the last one it was given, though it has been moved since
      scene.deck.setProps({ initialViewState: { ...aim, ...moving, asked } });
      if (duration === 0) camera.follow(aim);
    },
    fit(box, milliseconds = 0) {
      if (box === null && first !== null) first = boxView(data.view);
      camera.set(boxView(box ?? data.view), milliseconds);
    },
    flyTo(row, milliseconds = 600) {
      const zoom = Math.max(view.zoom, first.zoom + 3);
      camera.set({ target: [data.positions[2 * row], data.positions[2 * row + 1]], zoom }, milliseconds);
    },
    start() {
      first = boxView(data.view);
      Object.assign(view, { target: [...first.target], zoom: first.zoom });
      return { target: [...first.target, 0], zoom: first.zoom, minZoom: first.zoom - 2, maxZoom: 14 };
    },
    first: () => first,
    size: () => [byId("deck").clientWidth, byId("deck").clientHeight],
    project([x, y]) {
      const [width, height] = camera.size();
      const scale = 2 ** view.zoom;
      return [width / 2 + (x - view.target[0]) * scale, height / 2 - (y - view.target[1]) * scale];
    },
    unproject([left, top]) {
      const [width, height] = camera.size();
      const scale = 2 ** view.zoom;
      return [view.target[0] + (left - width / 2) / scale, view.target[1] - (top - height / 2) / scale];
    },
  };
})();

/** Write colour and opacity of every point. */
function paintPoints() {
  const paint = colors.painter();
  const mask = filters.mask();
  const chosen = selection.mask();
  const fill = scene.fillColors ?? new Uint8Array(4 * data.n);
  for (let row = 0; row < data.n; row++) {
    const [red, green, blue] = paint(row);
    fill[4 * row] = red;
    fill[4 * row + 1] = green;
    fill[4 * row + 2] = blue;
    const share = chosen === null || chosen[row] ? 1 : NOT_CHOSEN;
    fill[4 * row + 3] = mask === null || mask[row] ? POINT_OPACITY * share : POINT_OPACITY * FADED;
  }
  scene.fillColors = fill;
}

/** Points grow half as fast as the map when the camera comes closer, so that they come apart. */
const pointScale = () => 2 ** (-GROWTH_LOST * Math.max(0, camera.get().zoom - camera.first().zoom));

function pointLayer() {
  const { options } = data;
  const hasLine = options.point_line_width_min_pixels >= 0.1 || options.point_line_width >= 0.01;
  return new deck.ScatterplotLayer({
    id: "points",
    data: {
      length: data.n,
      attributes: {
        getPosition: { value: data.positions, size: 2 },
        getFillColor: { value: scene.fillColors, size: 4, type: "unorm8", normalized: true },
      },
    },
    getRadius: data.radius,
    radiusScale: pointScale(),
    radiusUnits: "common",
    radiusMinPixels: Math.max(options.point_radius_min_pixels, 0.5),
    radiusMaxPixels: options.point_radius_max_pixels,
    stroked: hasLine,
    getLineColor: [250, 250, 250, 128],
    getLineWidth: options.point_line_width,
    lineWidthUnits: "common",
    lineWidthMinPixels: options.point_line_width_min_pixels,
    lineWidthMaxPixels: options.point_line_width_max_pixels,
    parameters: { depthCompare: "always" },
  });
}

function outlineLayer() {
  const outlines = data.layers.flatMap(({ clusters }) => clusters.filter(({ outline }) => outline));
  return new deck.PolygonLayer({
    id: "outlines",
    data: outlines,
    getPolygon: ({ outline }) => outline,
    positionFormat: "XY",
    getLineColor: ({ inks }) => [...inks[theme.isDark() ? 1 : 0], 170],
    getFillColor: ({ color }) => [...color, 255 * data.options.polygon_alpha],
    lineWidthUnits: "pixels",
    getLineWidth: 1.5 * data.options.cluster_boundary_line_width,
    lineJointRounded: true,
    visible: scene.showsOutlines,
    updateTriggers: { getLineColor: theme.isDark() },
    parameters: { depthCompare: "always" },
  });
}

const DRAWING_PX = 1024; // of a picture that has no size of its own
const NO_ROWS = [];
const knownPlaces = new WeakMap(); // deck.gl uploads a list anew only where it is another list
function placesOf(rows) {
  if (!knownPlaces.has(rows)) {
    knownPlaces.set(rows, Array.from(rows, (row) => [data.positions[2 * row], data.positions[2 * row + 1]]));
  }
  return knownPlaces.get(rows);
}

function ringLayer(id, rows, color, width, scale) {
  return new deck.ScatterplotLayer({
    id,
    data: placesOf(rows),
    getPosition: (place) => place,
    getRadius: data.radius * scale,
    radiusScale: pointScale(),
    radiusUnits: "common",
    radiusMinPixels: 5,
    radiusMaxPixels: data.options.point_radius_max_pixels + 4,
    filled: false,
    stroked: true,
    getLineColor: color,
    lineWidthUnits: "pixels",
    getLineWidth: width,
    parameters: { depthCompare: "always" },
  });
}

const highlight = (() => {
  const MOST = 20_000;
  let rows = [];
  return {
    set(given) {
      rows = given === null ? [] : given.slice(0, MOST);
      refreshLayers();
    },
    get: () => rows,
  };
})();

let hovered = -1;

const refreshLayers = oncePerFrame(() => {
  if (!scene.deck) return;
  const [red, green, blue, opacity] = data.hover_rgba;
  scene.deck.setProps({
    layers: [
      ...(scene.background ? [backgroundLayer()] : []),
      outlineLayer(),
      scene.points,
      ringLayer("highlight", highlight.get(), theme.isDark() ? [255, 210, 80, 255] : [200, 60, 0, 255], 2, 1.6),
      ringLayer("hovered", hovered < 0 ? NO_ROWS : [hovered], [red, green, blue, opacity], 2.5, 1.3),
    ],
  });
});

/** The picture behind the points, drawn by the browser: deck.gl reads no drawings (SVG). */
async function readBackground() {
  const picture = el("img", { src: data.background_image });
  await picture.decode();
  const [width, height] = [picture.naturalWidth || DRAWING_PX, picture.naturalHeight || DRAWING_PX];
  const canvas = el("canvas", { width, height });
  canvas.getContext("2d").drawImage(picture, 0, 0, width, height);
  scene.background = canvas;
  refreshLayers();
}

function backgroundLayer() {
  const [left, bottom, right, top] = data.view;
  return new deck.BitmapLayer({ id: "background", image: scene.background, bounds: [left, bottom, right, top] });
}

const repaint = oncePerFrame(() => {
  paintPoints();
  scene.points = pointLayer();
  refreshLayers();
});

function pickAt(left, top) {
  const reachPx = Math.max(6, Math.min(data.radius * pointScale() * 2 ** camera.get().zoom, data.options.point_radius_max_pixels) + 2);
  const [x, y] = camera.unproject([left, top]);
  return scene.grid.nearest(x, y, reachPx / 2 ** camera.get().zoom, filters.passes);
}

function setHovered(row) {
  if (row === hovered) return;
  hovered = row;
  refreshLayers();
  bus.emit("hover", { index: row });
}

function buildScene() {
  const start = camera.start();
  scene.showsOutlines = data.options.cluster_boundary_polygons;
  paintPoints();
  scene.grid = new Grid(data.positions, data.n);
  scene.points = pointLayer();
  scene.deck = new deck.Deck({
    parent: byId("deck"),
    views: new deck.OrthographicView({ id: "map", flipY: false, controller: { scrollZoom: { speed: 0.01, smooth: true }, keyboard: false, doubleClickZoom: true, inertia: true } }),
    initialViewState: start,
    deviceProps: { type: "webgl", webgl: { antialias: false } }, // circles smooth their edges themselves
    layers: [],
    useDevicePixels: data.n > 300_000 ? 1 : true,
    getCursor: ({ isDragging }) => (isDragging ? "grabbing" : hovered >= 0 ? "pointer" : "grab"),
    onViewStateChange: ({ viewState }) => camera.follow(viewState),
    onError: (error) => console.warn(error.message),
  });
  refreshLayers();
  if (data.background_image) readBackground().catch((error) => console.warn(`background: ${error.message}`));
  followPointer();
  new ResizeObserver(() => bus.emit("view")).observe(byId("deck"));
}

function followPointer() {
  const board = byId("deck");
  const place = (event) => {
    const box = board.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  let pressedAt = null;
  board.addEventListener("pointermove", (event) => {
    if (event.buttons !== 0) return;
    scene.pointer = place(event);
    setHovered(pickAt(...scene.pointer));
  });
  board.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch") setHovered(-1); // a finger leaves when it is lifted; what it tapped stays shown
  });
  board.addEventListener("pointerdown", (event) => {
    pressedAt = place(event);
    if (event.pointerType === "touch") setHovered(-1);
  });
  board.addEventListener("pointerup", (event) => {
    const [left, top] = place(event);
    const isClick = pressedAt && Math.hypot(left - pressedAt[0], top - pressedAt[1]) < 5;
    pressedAt = null;
    if (!isClick || event.target.closest("button, a, input")) return;
    scene.pointer = [left, top];
    const index = pickAt(left, top);
    if (event.pointerType === "touch") setHovered(index);
    bus.emit("click", { index, shift: event.shiftKey, at: [left, top] });
  });
}

bus.on("view", () => {
  if (!scene.points) return;
  scene.points = scene.points.clone({ radiusScale: pointScale() });
  refreshLayers();
});
bus.on("filter", repaint);
bus.on("color", repaint);
bus.on("selection", repaint);
bus.on("theme", () => {
  byId("map").style.background = theme.background();
  refreshLayers();
});
