// The map without a pointer: keys to move, to step through topics, to read points; and the list of all keys.

const KEYS = [
  ["Arrow keys", "Move the map (with Shift: farther)"],
  ["+  −", "Zoom in, zoom out"],
  ["0", "Show the whole map"],
  ["N  P", "Next topic, previous topic (also ] and [)"],
  ["Enter", "Zoom to the topic and go into it"],
  ["Backspace", "Go up to the topic around it"],
  ["S", "Select the points of the topic, or all points in view"],
  [".", "Read the point nearest to the middle"],
  ["/", "Search"],
  ["Escape", "Close, stop drawing, clear the selection"],
  ["Shift + drag", "Draw around points to select them (with Ctrl: add to the selection)"],
  ["Alt + drag", "Select the points in a box"],
  ["?", "This list"],
];

/** The topic that keys have stepped to, and what shows it. */
const topicSteps = (() => {
  let layer = -1;
  let parent = -1; // the topic that was entered, -1 at the top
  let place = -1; // among the topics of this level
  let mark = null;
  let said = null;

  /** Topics of a level, the biggest first: those inside the topic that was entered. */
  function level() {
    const found = [];
    data.layers[layer].clusters.forEach((cluster, label) => {
      if (cluster.size > 0 && (parent < 0 || cluster.parent === parent)) found.push({ label, cluster });
    });
    return found.sort((one, other) => other.cluster.size - one.cluster.size || one.label - other.label);
  }

  const focused = () => (place < 0 ? null : (level()[place] ?? null));

  function step(by) {
    if (layer < 0) layer = data.layers.length - 1;
    const count = level().length;
    if (count === 0) {
      announce("This map has no topics.");
      return;
    }
    place = place < 0 ? (by > 0 ? 0 : count - 1) : (place + by + count) % count;
    bringIntoView();
    tell();
  }

  function bringIntoView() {
    const [left, bottom, right, top] = focused().cluster.box;
    const [width, height] = camera.size();
    const [x0, y0] = camera.project([left, top]);
    const [x1, y1] = camera.project([right, bottom]);
    const isInside = x0 >= 0 && y0 >= 0 && x1 <= width && y1 <= height;
    if (!isInside) camera.set({ target: [(left + right) / 2, (bottom + top) / 2] }, FLIGHT_MS / 2);
  }

  function tell() {
    const { cluster } = focused();
    const text = `Topic ${place + 1} of ${level().length}: ${cluster.name}, ${plural(cluster.size, "point")}`;
    said.textContent = text;
    announce(text);
    drawMark();
  }

  function drawMark() {
    const topic = focused();
    for (const part of [mark, said]) part.hidden = topic === null;
    if (topic === null) return;
    const [left, bottom, right, top] = topic.cluster.box;
    const [x0, y0] = camera.project([left, top]);
    const [x1, y1] = camera.project([right, bottom]);
    mark.style.transform = `translate(${x0}px, ${y0}px)`;
    mark.style.width = `${Math.max(8, x1 - x0)}px`;
    mark.style.height = `${Math.max(8, y1 - y0)}px`;
  }

  /** Zoom to the topic; where it holds finer ones, the next steps go through them. */
  function enter() {
    const topic = focused();
    if (topic === null) return;
    places.flyToTopic(layer, topic.label);
    const holdsFiner = layer > 0 && data.layers[layer - 1].clusters.some((cluster) => cluster.parent === topic.label);
    if (!holdsFiner) return;
    [layer, parent, place] = [layer - 1, topic.label, -1];
    const text = `Inside ${topic.cluster.name}: ${plural(level().length, "topic")}`;
    clearMark();
    announce(text);
  }

  function leave() {
    if (parent < 0) {
      clear();
      camera.fit(null, FLIGHT_MS);
      return;
    }
    const entered = parent;
    layer += 1;
    parent = layer === data.layers.length - 1 ? -1 : data.layers[layer].clusters[entered].parent;
    place = level().findIndex(({ label }) => label === entered);
    places.flyToTopic(layer, entered);
    tell();
  }

  function clearMark() {
    mark.hidden = true;
    said.hidden = true;
  }

  /** Forget the steps; true where there were some. */
  function clear() {
    const had = place >= 0 || parent >= 0;
    [layer, parent, place] = [-1, -1, -1];
    clearMark();
    return had;
  }

  function build() {
    mark = el("div", { id: "topic-mark", hidden: true, aria: { hidden: "true" } });
    said = el("div", { id: "topic-said", hidden: true, dir: "auto", aria: { hidden: "true" } });
    byId("stage").append(mark);
    byId("map").append(said);
    bus.on("view", drawMark);
  }

  return {
    build,
    step,
    enter,
    leave,
    clear,
    /** Rows of the topic stepped to, or null. */
    rows: () => (focused() ? places.membersOf(layer, focused().label) : null),
  };
})();

const keyboard = (() => {
  const [STEP, FAR_STEP] = [0.15, 0.6]; // shares of the smaller side
  const ZOOM_STEP = 0.5;
  const MOVE_MS = 150;
  const TYPING = "input, textarea, select, [contenteditable]";
  let help = null;
  let aim = null; // where the last key sent the view
  let aimedAt = 0;

  /** Where the view is or, while keys follow each other quickly, where the last one sent it. */
  function start() {
    return aim !== null && performance.now() - aimedAt < 3 * MOVE_MS ? aim : camera.get();
  }

  function aimAt(view) {
    aim = view;
    aimedAt = performance.now();
    camera.set(aim, MOVE_MS);
  }

  function move(right, up, isFar) {
    const { target: [x, y], zoom } = start();
    const way = ((isFar ? FAR_STEP : STEP) * Math.min(...camera.size())) / 2 ** zoom;
    aimAt({ target: [x + right * way, y + up * way], zoom });
  }

  function zoomBy(step) {
    const { target, zoom } = start();
    aimAt({ target, zoom: zoom + step });
  }

  function readMiddle() {
    const [width, height] = camera.size();
    const [x, y] = camera.get().target;
    const reach = Math.max(width, height) / 2 ** camera.get().zoom;
    const row = scene.grid.nearest(x, y, reach, filters.passes);
    if (row >= 0) links.show(row, camera.get().zoom);
    else announce("There is no point in view.");
  }

  /** The points of the topic stepped to, or all bright points in view. */
  function select() {
    const [width, height] = camera.size();
    const corners = [[0, 0], [width, 0], [width, height], [0, height]].map(camera.unproject);
    selection.set(topicSteps.rows() ?? rowsInside(corners), "keyboard");
  }

  const ON_MAP = {
    ArrowLeft: (event) => move(-1, 0, event.shiftKey),
    ArrowRight: (event) => move(1, 0, event.shiftKey),
    ArrowUp: (event) => move(0, 1, event.shiftKey),
    ArrowDown: (event) => move(0, -1, event.shiftKey),
    "+": () => zoomBy(ZOOM_STEP),
    "=": () => zoomBy(ZOOM_STEP),
    "-": () => zoomBy(-ZOOM_STEP),
    "0": () => camera.fit(null, FLIGHT_MS),
    n: () => topicSteps.step(1),
    "]": () => topicSteps.step(1),
    p: () => topicSteps.step(-1),
    "[": () => topicSteps.step(-1),
    Enter: topicSteps.enter,
    Backspace: topicSteps.leave,
    s: select,
    ".": readMiddle,
  };

  const ANYWHERE = {
    "/": () => byId("search").focus(),
    "?": () => help.showModal(),
    Escape: escape,
  };

  /** Undo one thing: the newest first. */
  function escape() {
    if (lasso.stop() || topicSteps.clear()) return;
    tooltip.hide();
    if (selection.get().length > 0) selection.set(null, "keyboard");
    else {
      highlight.set(null);
      links.forget();
    }
  }

  function actionOf(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const isOnMap = event.target === document.body || byId("stage").contains(event.target);
    return ANYWHERE[key] ?? (isOnMap ? ON_MAP[key] : undefined);
  }

  function press(event) {
    const isOurs = !event.defaultPrevented && !event.ctrlKey && !event.metaKey && !event.altKey && !isDialogOpen();
    if (!isOurs || (event.target.closest?.(TYPING) && event.key !== "Escape")) return;
    const action = actionOf(event);
    if (action === undefined) return;
    event.preventDefault();
    action(event);
  }

  function describeMap() {
    const topicCount = data.layers[0].clusters.filter(({ size }) => size > 0).length;
    const board = byId("stage");
    board.tabIndex = 0;
    board.setAttribute("role", "application");
    board.setAttribute("aria-label",
      `Map of ${plural(data.n, "point")} in ${plural(topicCount, "topic")}. Arrow keys move, plus and minus zoom, 0 shows all, `
      + "N and P step through topics, Enter goes into a topic, slash searches, question mark lists all keys.");
  }

  function buildHelp() {
    const rows = KEYS.map(([key, effect]) => el("tr", {}, el("th", { scope: "row" }, el("kbd", { text: key })), el("td", { text: effect })));
    help = buildDialog("help", "Keys and gestures", el("table", { class: "keys" }, el("tbody", {}, ...rows)));
    toolbar.add({ id: "tool-help", label: "Keys and gestures", icon: "help", onclick: () => help.showModal() });
  }

  function build() {
    describeMap();
    topicSteps.build();
    buildHelp();
    document.addEventListener("keydown", press);
  }

  return { build };
})();

bus.on("ready", keyboard.build);
