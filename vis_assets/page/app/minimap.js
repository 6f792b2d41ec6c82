// The whole map in small, with the part that is in view; a press or a drag moves there.

const minimap = (() => {
  const WIDTH_PX = 160;
  const [LEAST_PX, MOST_PX] = [60, 160];
  const MOST_POINTS = 50_000;
  const MARGIN = 0.04;
  const FADED_ALPHA = 40;
  let canvas = null;
  let frame = null;
  let world = null; // [left, bottom, right, top]

  const isSeen = () => byId("minimap").open && !byId("minimap").hidden;

  function measure() {
    const [left, bottom, right, top] = data.view;
    const [wide, high] = [Math.max(right - left, 1e-6), Math.max(top - bottom, 1e-6)];
    const height = Math.max(LEAST_PX, Math.min(MOST_PX, Math.round((WIDTH_PX * high) / wide)));
    const scale = Math.min((WIDTH_PX * (1 - 2 * MARGIN)) / wide, (height * (1 - 2 * MARGIN)) / high);
    const [x, y] = [(left + right) / 2, (bottom + top) / 2];
    world = [x - WIDTH_PX / 2 / scale, y - height / 2 / scale, x + WIDTH_PX / 2 / scale, y + height / 2 / scale];
    return height;
  }

  /** Where a place of the map lies on the canvas, as shares from its top left. */
  const toShare = ([x, y]) => [(x - world[0]) / (world[2] - world[0]), (world[3] - y) / (world[3] - world[1])];
  const fromShare = ([across, down]) => [world[0] + across * (world[2] - world[0]), world[3] - down * (world[3] - world[1])];

  function paint() {
    if (!isSeen()) return;
    const { width, height } = canvas;
    const picture = new ImageData(width, height);
    const pixels = new Uint32Array(picture.data.buffer); // little-endian, as every browser's machine is
    const color = colors.painter();
    const dot = width > 1.5 * WIDTH_PX ? 2 : 1;
    const step = Math.max(1, Math.ceil(data.n / MOST_POINTS));
    for (let row = 0; row < data.n; row += step) {
      const [across, down] = toShare([data.positions[2 * row], data.positions[2 * row + 1]]);
      const [x, y] = [Math.floor(across * width), Math.floor(down * height)];
      if (x < 0 || y < 0 || x > width - dot || y > height - dot) continue;
      const [red, green, blue] = color(row);
      const value = ((filters.passes(row) ? 255 : FADED_ALPHA) << 24) | (blue << 16) | (green << 8) | red;
      for (let at = 0; at < dot * dot; at++) pixels[(y + Math.floor(at / dot)) * width + x + (at % dot)] = value;
    }
    canvas.getContext("2d").putImageData(picture, 0, 0);
    drawFrame();
  }

  function drawFrame() {
    if (!isSeen()) return;
    const [width, height] = camera.size();
    const clamp = (share) => Math.max(0, Math.min(1, share));
    const [left, top] = toShare(camera.unproject([0, 0])).map(clamp);
    const [right, bottom] = toShare(camera.unproject([width, height])).map(clamp);
    frame.style.left = `${100 * left}%`;
    frame.style.top = `${100 * top}%`;
    frame.style.width = `${100 * (right - left)}%`;
    frame.style.height = `${100 * (bottom - top)}%`;
  }

  function followPress() {
    let pressed = null;
    const go = (event) => {
      const box = canvas.getBoundingClientRect();
      const target = fromShare([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
      camera.set({ target });
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      pressed = event.pointerId;
      canvas.setPointerCapture(pressed);
      go(event);
    });
    canvas.addEventListener("pointermove", (event) => event.pointerId === pressed && go(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (pressed = null));
  }

  function build() {
    const height = measure();
    const density = Math.min(2, Math.ceil(window.devicePixelRatio || 1));
    canvas = el("canvas", { width: WIDTH_PX * density, height: height * density, role: "img", aria: { label: "Overview of the whole map with the part in view" } });
    canvas.style.height = `${height}px`;
    frame = el("div", { class: "minimap-frame" });
    const body = panel("minimap", "Overview", { corner: "bottom-right", open: true });
    body.append(el("div", { class: "minimap-board" }, canvas, frame));
    followPress();
    addTool();
    const paintSoon = oncePerFrame(paint);
    for (const name of ["color", "theme", "filter", "panel"]) bus.on(name, paintSoon);
    bus.on("view", oncePerFrame(drawFrame));
    paint();
  }

  function addTool() {
    const button = toolbar.add({
      id: "tool-minimap",
      label: "Overview map",
      icon: "map",
      toggle: true,
      onclick: (isPressed) => {
        byId("minimap").hidden = !isPressed;
        bus.emit("panel", { id: "minimap" });
      },
    });
    button.setAttribute("aria-pressed", "true");
    button.classList.add("wide-only");
  }

  return { build };
})();

bus.on("ready", minimap.build);
