// Choosing points: a line or a box drawn on the map, and the panel that tells what was chosen.

const selection = (() => {
  let rows = new Int32Array(0);
  let chosen = null; // Uint8Array, made when it is asked for

  return {
    /** Choose rows, in any order; null chooses none. */
    set(given, source = "api") {
      rows = given === null ? new Int32Array(0) : Int32Array.from(given);
      chosen = null;
      bus.emit("selection", { indices: rows, source });
    },
    get: () => rows,
    /** 1 for each chosen point, or null where none is chosen. */
    mask() {
      if (rows.length === 0) return null;
      chosen ??= maskOfRows(rows);
      return chosen;
    },
  };
})();

/** The inside of a closed line (even-odd rule), whose edges are sorted into bands so that a test sees few of them. */
class Polygon {
  /** @param {number[][]} corners [x, y], at least three */
  constructor(corners) {
    const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
    this.box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
    this.bandCount = 256;
    this.scale = this.bandCount / Math.max(this.box[3] - this.box[1], 1e-12);
    const edges = corners.map(([x, y], place) => [x, y, ...corners[(place + 1) % corners.length]]);
    this.sortEdges(edges.filter(([, y0, , y1]) => y0 !== y1));
  }

  bandOf(y) {
    return Math.max(0, Math.min(this.bandCount - 1, Math.floor((y - this.box[1]) * this.scale)));
  }

  sortEdges(edges) {
    const bands = Array.from({ length: this.bandCount }, () => []);
    for (const edge of edges) {
      const last = this.bandOf(Math.max(edge[1], edge[3]));
      for (let band = this.bandOf(Math.min(edge[1], edge[3])); band <= last; band++) bands[band].push(edge);
    }
    this.bands = bands.map((some) => Float64Array.from(some.flat()));
  }

  holds(x, y) {
    const edges = this.bands[this.bandOf(y)];
    let isInside = false;
    for (let at = 0; at < edges.length; at += 4) {
      const [x0, y0, x1, y1] = [edges[at], edges[at + 1], edges[at + 2], edges[at + 3]];
      if (y0 > y !== y1 > y && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) isInside = !isInside;
    }
    return isInside;
  }
}

/** The bright points inside a closed line of corners [x, y] on the map, in order of their rows. */
function rowsInside(corners) {
  const polygon = new Polygon(corners);
  const [left, bottom, right, top] = polygon.box;
  const { positions, n } = data;
  const rows = new Int32Array(n);
  let found = 0;
  for (let row = 0; row < n; row++) {
    const [x, y] = [positions[2 * row], positions[2 * row + 1]];
    if (x < left || x > right || y < bottom || y > top) continue;
    if (filters.passes(row) && polygon.holds(x, y)) rows[found++] = row;
  }
  return rows.slice(0, found);
}

/** Rows of either list, in order. */
function uniteRows(one, other) {
  return Int32Array.from(new Set([...one, ...other])).sort();
}

const lasso = (() => {
  const STEP_PX = 3;
  const LEAST_PX = 6;
  const MOST_CORNERS = 2_000;
  let button = null;
  let line = null;
  let drawing = null; // {pointer, kind, corners: [[left, top], ..] in pixels of the map, adds}

  const isOn = () => button?.getAttribute("aria-pressed") === "true";

  /** What a press begins: a line, a box, or nothing of ours. */
  function kindOf(event) {
    if (event.button !== 0) return null;
    if (event.altKey) return "box";
    return isOn() || event.shiftKey ? "line" : null;
  }

  function begin(event) {
    if (drawing) {
      cancel(); // a second finger
      event.stopImmediatePropagation();
      return;
    }
    const kind = kindOf(event);
    if (kind === null) return;
    event.stopImmediatePropagation();
    byId("stage").setPointerCapture(event.pointerId);
    drawing = { pointer: event.pointerId, kind, corners: [pointerPlace(event)], adds: event.ctrlKey || event.metaKey };
    setHovered(-1);
  }

  function extend(event) {
    if (!drawing) return;
    event.stopImmediatePropagation();
    if (event.pointerId !== drawing.pointer) return;
    const { corners } = drawing;
    const here = pointerPlace(event);
    if (drawing.kind === "box") corners[1] = here;
    else if (isFarther(here, corners.at(-1), STEP_PX) && corners.length < MOST_CORNERS) corners.push(here);
    draw();
  }

  const isFarther = ([left, top], [left0, top0], px) => Math.hypot(left - left0, top - top0) >= px;

  function outline() {
    const [[left, top], [right, bottom] = [left, top]] = drawing.corners;
    return drawing.kind === "box" ? [[left, top], [right, top], [right, bottom], [left, bottom]] : drawing.corners;
  }

  function draw() {
    line.setAttribute("d", `M${outline().map((corner) => corner.join(" ")).join("L")}Z`);
  }

  function end(event) {
    if (!drawing) return;
    event.stopImmediatePropagation();
    if (event.pointerId !== drawing.pointer) return;
    const { adds, corners } = drawing;
    const shape = outline();
    cancel();
    if (corners.some((corner) => isFarther(corner, corners[0], LEAST_PX)) && shape.length > 2) choose(shape, adds);
    else passClick(event);
  }

  function choose(shape, adds) {
    const rows = rowsInside(shape.map(camera.unproject));
    if (isOn()) button.click();
    selection.set(adds ? uniteRows(selection.get(), rows) : rows, "lasso");
  }

  /** A press that drew nothing was a click after all. */
  function passClick(event) {
    const at = pointerPlace(event);
    if (event.type === "pointerup" && !isOn()) bus.emit("click", { index: pickAt(...at), shift: event.shiftKey, at });
  }

  function cancel() {
    drawing = null;
    line.setAttribute("d", "");
  }

  /** Escape: true where there was something to stop. */
  function stop() {
    const wasBusy = drawing !== null || isOn();
    if (drawing) cancel();
    if (isOn()) button.click();
    return wasBusy;
  }

  function build() {
    const svg = document.createElementNS(SVG, "svg");
    line = document.createElementNS(SVG, "path");
    svg.id = "lasso";
    svg.setAttribute("aria-hidden", "true");
    svg.append(line);
    const board = byId("stage");
    board.append(svg);
    board.addEventListener("pointerdown", begin, true);
    board.addEventListener("pointermove", extend, true);
    board.addEventListener("pointerup", end, true);
    board.addEventListener("pointercancel", (event) => drawing?.pointer === event.pointerId && cancel(), true);
    button = toolbar.add({
      id: "tool-lasso",
      label: "Select points",
      icon: "lasso",
      toggle: true,
      onclick: (isPressed) => {
        board.classList.toggle("selecting", isPressed);
        if (isPressed) announce("Draw around points to select them; with Alt a box. Escape stops.");
      },
    });
  }

  return { build, stop };
})();

const selectionPanel = (() => {
  const FILTER = "selection";
  const MOST_TOPICS = 8;
  const SAMPLE = 10;
  const MOST_CHARACTERS = 180;
  const MOST_RINGED = 100; // more rings would hide the points
  let parts = null;
  let isOnly = false; // whether the others are faded

  /** Points by topic of the finest layer: [label, count], the most first, noise as -1. */
  function countTopics(rows) {
    const { labels, clusters } = data.layers[0];
    const counts = new Uint32Array(clusters.length + 1);
    for (const row of rows) counts[labels[row] + 1]++;
    const found = [];
    counts.forEach((count, place) => count > 0 && found.push([place - 1, count]));
    return found.sort((one, other) => other[1] - one[1] || one[0] - other[0]);
  }

  function topicBar(label, count, most) {
    const cluster = data.layers[0].clusters[label];
    const bar = el("span", { class: "share", aria: { hidden: "true" } });
    bar.style.width = `${(100 * count) / most}%`;
    bar.style.background = cssColor(cluster?.color ?? data.noise_rgb ?? MISSING_COLOR);
    return el("li", {},
      el("span", { class: "share-name", dir: "auto", text: cluster?.name ?? (data.options.noise_label || "No topic") }),
      el("span", { class: "share-count", text: formatCount(count) }),
      bar,
    );
  }

  function fillTopics(rows) {
    const counts = countTopics(rows);
    const shown = counts.slice(0, MOST_TOPICS);
    parts.topics.replaceChildren(...shown.map(([label, count]) => topicBar(label, count, shown[0][1])));
    if (counts.length <= MOST_TOPICS) return;
    const rest = counts.slice(MOST_TOPICS);
    const points = rest.reduce((sum, [, count]) => sum + count, 0);
    parts.topics.append(el("li", { class: "share-rest", text: `${plural(rest.length, "more topic")}: ${formatCount(points)}` }));
  }

  /** Some rows, always the same ones of a selection, spread over it; those with a text first. */
  function sampleOf(rows) {
    const count = Math.min(SAMPLE, rows.length);
    return Array.from({ length: count }, (_, place) => {
      const [first, last] = [Math.floor((place * rows.length) / count), Math.floor(((place + 1) * rows.length) / count)];
      const middle = Math.floor((first + last) / 2);
      for (let at = middle; at < Math.min(last, middle + 20); at++) if (data.text(rows[at])) return rows[at];
      return rows[middle];
    });
  }

  function sampleButton(row) {
    const text = data.text(row) || `(no text) ${data.id(row)}`;
    const isLong = text.length > MOST_CHARACTERS;
    const button = el("button", { type: "button", class: "sample", dir: "auto", text: isLong ? `${text.slice(0, MOST_CHARACTERS)}…` : text });
    button.addEventListener("click", () => links.show(row));
    return el("li", {}, button);
  }

  function tellCount() {
    const rows = selection.get();
    const share = ((100 * rows.length) / data.n).toLocaleString("en", { maximumSignificantDigits: 2 });
    let hidden = 0;
    if (filters.mask() !== null) for (const row of rows) if (!filters.passes(row)) hidden++;
    const faded = hidden > 0 ? `, ${formatCount(hidden)} of them faded by filters` : "";
    parts.count.textContent = `${plural(rows.length, "point")} (${share} %)${faded}`;
    parts.heading.textContent = `Selection: ${formatCount(rows.length)}`;
  }

  function setOnly(isWanted) {
    isOnly = isWanted;
    parts.only.setAttribute("aria-pressed", String(isOnly));
    if (!isOnly) {
      filters.set(FILTER, null);
      return;
    }
    filters.set(FILTER, selection.mask());
  }

  function ring() {
    const rows = selection.get();
    highlight.set(rows.length > 0 && rows.length <= MOST_RINGED ? rows : null);
  }

  function refresh() {
    const rows = selection.get();
    byId("selection").hidden = rows.length === 0;
    bus.emit("panel", { id: "selection" });
    if (isOnly) setOnly(rows.length > 0);
    ring();
    if (rows.length === 0) return;
    parts.topics.parentElement.scrollTop = 0;
    tellCount();
    fillTopics(rows);
    parts.sample.replaceChildren(...sampleOf(rows).map(sampleButton));
    announce(`${plural(rows.length, "point")} selected`);
  }

  const action = (text, label, onclick) => el("button", { type: "button", class: "plain", text, title: label, aria: { label }, on: { click: onclick } });

  function build() {
    const body = panel("selection", "Selection", { corner: "bottom-right", open: true });
    byId("selection").hidden = true;
    parts = {
      heading: byId("selection").querySelector("summary"),
      count: el("p", { id: "selection-count", class: "panel-count" }),
      topics: el("ul", { class: "shares", aria: { label: "Topics of the selected points" } }),
      sample: el("ol", { class: "samples", aria: { label: "Some of the selected points" } }),
      only: action("Only these", "Only these: fade all other points", () => setOnly(!isOnly)),
    };
    parts.only.setAttribute("aria-pressed", "false");
    const actions = el("div", { class: "actions" },
      action("Zoom to", "Zoom to the selected points", () => places.flyToRows(selection.get())),
      parts.only,
      action("Clear", "Clear the selection", () => selection.set(null, "keyboard")),
      action("CSV", "CSV: save the selected points as a table", () => rowFiles.save(selection.get(), "csv")),
      action("JSON", "JSON: save the selected points as JSON", () => rowFiles.save(selection.get(), "json")),
    );
    body.append(parts.count, actions, el("h3", { text: "Topics" }), parts.topics, el("h3", { text: "Some of them" }), parts.sample);
  }

  /** After a change of filters: "Show all" elsewhere ends "Only these" too. */
  function followFilters() {
    if (isOnly && !filters.names().includes(FILTER)) setOnly(false);
    if (selection.get().length > 0) tellCount();
  }

  return { build, refresh, ring, followFilters };
})();

bus.on("ready", () => {
  lasso.build();
  selectionPanel.build();
  bus.on("selection", selectionPanel.refresh);
  bus.on("filter", selectionPanel.followFilters);
});
