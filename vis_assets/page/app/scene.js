// The picture: ground with outlines, points, marks and names, one canvas each, and what lies under the pointer.

const FADED = 0.1; // of a point's own opacity
const NOT_CHOSEN = 0.28; // of it, where others are selected
const POINT_OPACITY = 190;
const GROWTH_LOST = 0.55; // of the camera's
const LEAST_RADIUS_PX = 0.5;
const MOST_FINE_POINTS = 300_000; // maps with more are drawn with one dot a pixel of the page

const scene = { painter: null, grid: null, fillColors: null, background: null, showsOutlines: false, pointer: null, isDrawn: false };

let hovered = -1;

const highlight = (() => {
  const MOST = 20_000;
  let rows = [];
  return {
    set(given) {
      rows = given === null ? [] : given.slice(0, MOST);
      drawTopSoon();
    },
    get: () => rows,
  };
})();

/** Pixels of a canvas for one of the page. */
const densityOf = (count) => (count > MOST_FINE_POINTS ? 1 : Math.min(window.devicePixelRatio || 1, 3));

/** Give a canvas the size of the map. */
function fitCanvas(canvas, density) {
  const [width, height] = camera.size().map((side) => Math.max(1, Math.round(side * density)));
  if (canvas.width === width && canvas.height === height) return;
  [canvas.width, canvas.height] = [width, height];
}

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
  scene.painter.setColors(fill);
}

/** Radius of a point in pixels. Points grow half as fast as the map when the camera comes closer, so that they come apart. */
function radiusPx() {
  const { point_radius_min_pixels: least, point_radius_max_pixels: most } = data.options;
  const { zoom } = camera.get();
  const grown = data.radius * 2 ** (zoom - GROWTH_LOST * Math.max(0, zoom - camera.first().zoom));
  return Math.min(most, Math.max(least, LEAST_RADIUS_PX, grown));
}

/** Width of the line around a point in pixels; lines that nobody would see are not drawn. */
function linePx() {
  const { point_line_width: width, point_line_width_min_pixels: least, point_line_width_max_pixels: most } = data.options;
  const px = Math.min(most, Math.max(least, width * 2 ** camera.get().zoom));
  return px < 0.1 ? 0 : px;
}

/** Draw the points: all of them, or every so-manieth. */
function drawPoints(density, step = 1) {
  fitCanvas(scene.canvas, density);
  scene.painter.draw({ ...camera.get(), size: camera.size(), density, radius: radiusPx(), line: linePx(), step });
}

/** How many points are left out while the map moves: as many as it takes to keep up. At rest, none. */
const haste = (() => {
  const SLOW_MS = 80;
  const FAST_MS = 34;
  const REST_MS = 180;
  const FEW_POINTS = 20_000;
  const MOST = 16; // of WebGL's 255 bytes from one point to the next
  let step = 1;
  let movedAt = 0;
  let isMoving = false;
  const rest = debounce(() => {
    isMoving = false;
    drawScene();
  }, REST_MS);

  return {
    /** Called when the view has changed. */
    note() {
      if (data.n <= FEW_POINTS) return;
      isMoving = true;
      rest();
    },
    /** Called with every picture; says how many points one stands for. */
    step() {
      const now = performance.now();
      const elapsed = now - movedAt;
      movedAt = now;
      if (!isMoving) return 1;
      if (elapsed < 4 * REST_MS && elapsed > SLOW_MS) step = Math.min(MOST, 2 * step);
      else if (elapsed < FAST_MS) step = Math.max(1, step / 2);
      return step;
    },
  };
})();

// ---- the ground -----------------------------------------------------------------------------------------------------

/** The picture behind the points, and outlines of clusters. */
function drawGround(pen) {
  if (scene.background) {
    const [left, bottom, right, top] = data.view;
    const [[x0, y0], [x1, y1]] = [camera.project([left, top]), camera.project([right, bottom])];
    pen.drawImage(scene.background, x0, y0, x1 - x0, y1 - y0);
  }
  if (!scene.showsOutlines) return;
  pen.lineJoin = "round";
  pen.lineWidth = 1.5 * data.options.cluster_boundary_line_width;
  for (const cluster of outlined()) drawOutline(pen, cluster);
}

const outlined = () => data.layers.flatMap(({ clusters }) => clusters.filter(({ outline }) => outline));

function drawOutline(pen, { outline, inks, color }) {
  pen.beginPath();
  for (const corner of outline) pen.lineTo(...camera.project(corner));
  pen.closePath();
  pen.fillStyle = cssColor(color, data.options.polygon_alpha);
  pen.strokeStyle = cssColor(inks[theme.isDark() ? 1 : 0], 0.66);
  pen.fill();
  if (pen.lineWidth > 0 && data.options.cluster_boundary_line_width > 0) pen.stroke();
}

async function readBackground() {
  const picture = el("img", { src: data.background_image });
  await picture.decode();
  scene.background = picture;
  drawScene();
}

// ---- marks ----------------------------------------------------------------------------------------------------------

/** Rings around points: the highlighted ones, and the one under the pointer. */
function drawMarks(pen) {
  drawRings(pen, highlight.get(), theme.isDark() ? "rgb(255,210,80)" : "rgb(200,60,0)", 2, 1.6);
  const [red, green, blue, opacity] = data.hover_rgba;
  if (hovered >= 0) drawRings(pen, [hovered], cssColor([red, green, blue], opacity / 255), 2.5, 1.3);
}

function drawRings(pen, rows, color, width, growth) {
  const [wide, high] = camera.size();
  const radius = Math.max(5, radiusPx() * growth);
  pen.strokeStyle = color;
  pen.lineWidth = width;
  for (const row of rows) {
    const [left, top] = camera.project([data.positions[2 * row], data.positions[2 * row + 1]]);
    if (left < -radius || top < -radius || left > wide + radius || top > high + radius) continue;
    pen.beginPath();
    pen.arc(left, top, radius, 0, 2 * Math.PI);
    pen.stroke();
  }
}

// ---- all together ---------------------------------------------------------------------------------------------------

/** A pen that counts in pixels of the page, on a clean canvas. */
function cleanPen(canvas, density) {
  fitCanvas(canvas, density);
  const pen = canvas.getContext("2d");
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, ...camera.size());
  return pen;
}

const drawScene = oncePerFrame(() => {
  if (!scene.painter) return;
  drawGround(cleanPen(scene.ground, densityOf(0)));
  drawPoints(densityOf(data.n), haste.step());
  labels.choose();
  drawTop();
  scene.isDrawn = true;
});

/** Marks and names, which lie on a canvas of their own. */
function drawTop() {
  const pen = cleanPen(scene.marks, densityOf(0));
  drawMarks(pen);
  labels.drawOn(pen);
}

const drawTopSoon = oncePerFrame(() => {
  if (scene.isDrawn) drawTop();
});

const repaint = oncePerFrame(() => {
  paintPoints();
  drawScene();
});

function pickAt(left, top) {
  const reachPx = Math.max(6, radiusPx() + 2);
  const [x, y] = camera.unproject([left, top]);
  return scene.grid.nearest(x, y, reachPx / 2 ** camera.get().zoom, filters.passes);
}

function setHovered(row) {
  if (row === hovered) return;
  hovered = row;
  byId("stage").classList.toggle("pointing", row >= 0);
  drawTopSoon();
  bus.emit("hover", { index: row });
}

function buildScene() {
  camera.start();
  scene.showsOutlines = data.options.cluster_boundary_polygons;
  const [ground, canvas, marks] = ["ground", "points", "marks"].map((id) => el("canvas", { id, aria: { hidden: "true" } }));
  byId("stage").append(ground, canvas, marks);
  Object.assign(scene, { ground, canvas, marks, painter: createPainter(canvas) });
  scene.painter.setPlaces(data.positions);
  paintPoints();
  scene.grid = new Grid(data.positions, data.n);
  drawScene();
  if (data.background_image) readBackground().catch((error) => console.warn(`background: ${error.message}`));
  gestures.start(byId("stage"));
  followPointer();
  let wasHidden = camera.size()[0] === 0;
  new ResizeObserver(() => {
    if (wasHidden && camera.size()[0] > 0) {
      wasHidden = false;
      camera.fit(null);
      openPanels();
    }
    bus.emit("view");
  }).observe(byId("stage"));
}

function followPointer() {
  const board = byId("stage");
  let pressedAt = null;
  board.addEventListener("pointermove", (event) => {
    if (event.buttons !== 0) return;
    scene.pointer = pointerPlace(event);
    setHovered(pickAt(...scene.pointer));
  });
  board.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch") setHovered(-1); // a finger leaves when it is lifted; what it tapped stays shown
  });
  board.addEventListener("pointerdown", (event) => {
    pressedAt = pointerPlace(event);
    if (event.pointerType === "touch") setHovered(-1);
  });
  board.addEventListener("pointerup", (event) => {
    const [left, top] = pointerPlace(event);
    const isClick = pressedAt && Math.hypot(left - pressedAt[0], top - pressedAt[1]) < 5;
    pressedAt = null;
    if (!isClick) return;
    scene.pointer = [left, top];
    const index = pickAt(left, top);
    if (event.pointerType === "touch") setHovered(index);
    bus.emit("click", { index, shift: event.shiftKey, at: [left, top] });
  });
}

for (const event of ["view", "panel"]) bus.on(event, drawScene);
bus.on("view", haste.note);
for (const event of ["filter", "color", "selection"]) bus.on(event, repaint);
bus.on("theme", () => {
  byId("map").style.background = theme.background();
  drawScene();
});
