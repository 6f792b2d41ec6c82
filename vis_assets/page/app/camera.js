// Which part of the map is seen, and the hands that move it: drag, wheel, pinch, double click.

const camera = (() => {
  const FARTHEST = 2; // levels out from the first view
  const NEAREST = 14;
  const SMALLEST_BOX = 0.02;
  const view = { target: [0, 0], zoom: 0 };
  let first = null;
  let flight = 0; // the frame that is asked for

  const size = () => [byId("stage").clientWidth, byId("stage").clientHeight];
  const clampZoom = (zoom) => Math.max(first.zoom - FARTHEST, Math.min(zoom, NEAREST));

  function boxView([left, bottom, right, top]) {
    const [width, height] = size();
    const margin = 0.06 * Math.min(width, height) + 4;
    const room = [Math.max(40, width - 2 * margin), Math.max(40, height - 2 * margin)];
    const scale = Math.min(room[0] / Math.max(right - left, SMALLEST_BOX), room[1] / Math.max(top - bottom, SMALLEST_BOX));
    return { target: [(left + right) / 2, (bottom + top) / 2], zoom: Math.log2(scale) };
  }

  function show(target, zoom) {
    view.target = [target[0], target[1]];
    view.zoom = zoom;
    bus.emit("view");
  }

  function stop() {
    cancelAnimationFrame(flight);
    flight = 0;
  }

  /** Move there in so many milliseconds: the middle in a straight line on the screen, fast at first. */
  function fly(target, zoom, milliseconds) {
    const [from, started] = [{ target: view.target, zoom: view.zoom }, performance.now()];
    const step = (now) => {
      const share = Math.min(1, Math.max(0, (now - started) / milliseconds));
      const eased = share * (2 - share);
      const here = from.zoom + (zoom - from.zoom) * eased;
      // of the way in map units, as much as brings the aim closer on the screen at the same rate
      const grown = 2 ** (zoom - from.zoom);
      const way = Math.abs(grown - 1) < 1e-6 ? eased : (1 - 2 ** (from.zoom - here)) / (1 - 1 / grown);
      show([0, 1].map((axis) => from.target[axis] + (target[axis] - from.target[axis]) * way), here);
      flight = share < 1 ? requestAnimationFrame(step) : 0;
    };
    flight = requestAnimationFrame(step);
  }

  return {
    get: () => ({ target: [...view.target], zoom: view.zoom }),
    set({ target = view.target, zoom = view.zoom }, milliseconds = 0) {
      stop();
      const aim = clampZoom(zoom);
      if (milliseconds > 0 && !movesLittle()) fly(target, aim, milliseconds);
      else show(target, aim);
    },
    fit(box, milliseconds = 0) {
      if (box === null) first = boxView(data.view);
      camera.set(boxView(box ?? data.view), milliseconds);
    },
    flyTo(row, milliseconds = 600) {
      const zoom = Math.max(view.zoom, first.zoom + 3);
      camera.set({ target: [data.positions[2 * row], data.positions[2 * row + 1]], zoom }, milliseconds);
    },
    /** Move the map by so many pixels. */
    pan(right, down) {
      stop();
      const scale = 2 ** view.zoom;
      show([view.target[0] - right / scale, view.target[1] + down / scale], view.zoom);
    },
    /** Come closer by so many levels; the place under a pixel stays there. */
    zoomAt([left, top], levels) {
      stop();
      const zoom = clampZoom(view.zoom + levels);
      const [x, y] = camera.unproject([left, top]);
      const [width, height] = size();
      const scale = 2 ** zoom;
      show([x - (left - width / 2) / scale, y + (top - height / 2) / scale], zoom);
    },
    start() {
      first = boxView(data.view);
      Object.assign(view, { target: [...first.target], zoom: first.zoom });
    },
    stop,
    first: () => first,
    size,
    project([x, y]) {
      const [width, height] = size();
      const scale = 2 ** view.zoom;
      return [width / 2 + (x - view.target[0]) * scale, height / 2 - (y - view.target[1]) * scale];
    },
    unproject([left, top]) {
      const [width, height] = size();
      const scale = 2 ** view.zoom;
      return [view.target[0] + (left - width / 2) / scale, view.target[1] - (top - height / 2) / scale];
    },
  };
})();

/** Drag, wheel, pinch and double click on an element move the camera. */
const gestures = (() => {
  const LEVELS_A_PIXEL = 1 / 240;
  const LINE_PX = 20; // of a wheel that counts in lines
  const MOST_A_TURN = 3;
  const SLIDE_MS = 260; // in which the map comes to rest after a throw
  const SLOWEST = 0.05; // pixels a millisecond
  const fingers = new Map(); // pointer -> [left, top]
  let speed = [0, 0];
  let movedAt = 0;
  let board = null;

  /** Middle of the fingers, and how far two of them are apart. */
  function grip() {
    const [one, other = one] = [...fingers.values()];
    return { middle: [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2], span: Math.hypot(one[0] - other[0], one[1] - other[1]) };
  }

  function press(event) {
    if (event.button !== 0) return;
    camera.stop();
    fingers.set(event.pointerId, pointerPlace(event));
    speed = [0, 0];
    board.setPointerCapture(event.pointerId);
    board.classList.add("dragging");
  }

  function move(event) {
    if (!fingers.has(event.pointerId)) return;
    if (event.buttons === 0) {
      release(event); // where it was released, nobody told
      return;
    }
    const before = grip();
    fingers.set(event.pointerId, pointerPlace(event));
    const after = grip();
    const way = [after.middle[0] - before.middle[0], after.middle[1] - before.middle[1]];
    if (before.span > 0 && after.span > 0) camera.zoomAt(before.middle, Math.log2(after.span / before.span));
    camera.pan(...way);
    const [now, elapsed] = [event.timeStamp, Math.max(1, event.timeStamp - movedAt)];
    speed = way.map((part, axis) => 0.6 * (part / elapsed) + 0.4 * speed[axis]);
    movedAt = now;
  }

  function release(event) {
    if (!fingers.delete(event.pointerId)) return;
    if (fingers.size > 0) return;
    board.classList.remove("dragging");
    const isThrown = event.timeStamp - movedAt < 40 && Math.hypot(...speed) > SLOWEST && !movesLittle();
    if (isThrown) slide();
  }

  /** Let the map run on as far as it would with even braking. */
  function slide() {
    const { target, zoom } = camera.get();
    const scale = 2 ** zoom;
    const way = speed.map((part) => (part * SLIDE_MS) / 2);
    camera.set({ target: [target[0] - way[0] / scale, target[1] + way[1] / scale], zoom }, SLIDE_MS);
  }

  function turn(event) {
    event.preventDefault();
    const px = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * LINE_PX;
    const fine = event.ctrlKey ? 4 : 1; // a pinch on a touch pad comes as small turns with ctrl
    camera.zoomAt(pointerPlace(event), Math.max(-MOST_A_TURN, Math.min(MOST_A_TURN, -px * LEVELS_A_PIXEL * fine)));
  }

  return {
    start(element) {
      board = element;
      board.addEventListener("pointerdown", press);
      board.addEventListener("pointermove", move);
      board.addEventListener("pointerup", release);
      board.addEventListener("pointercancel", release);
      board.addEventListener("wheel", turn, { passive: false });
      board.addEventListener("lostpointercapture", release);
      board.addEventListener("dblclick", (event) => camera.zoomAt(pointerPlace(event), event.shiftKey ? -1 : 1));
    },
  };
})();
